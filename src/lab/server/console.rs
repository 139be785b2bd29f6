//! The console: a ticket by `vncproxy`, then the VM's VNC server through `vncwebsocket`.

use super::access::User;
use super::answer::{Answer, Refusal};
use super::params::{Kind, Params};
use super::{Node, locked};
use base64::Engine;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// How long a ticket waits for its one client.
const TICKET_LIFE: Duration = Duration::from_secs(10);
/// Largest frame sent to a client.
const FRAME: usize = 128 << 10;

/// Consoles that wait for their client, by port.
pub(super) type Pending = HashMap<u16, Console>;

/// A console that waits.
pub(super) struct Console {
    vmid: u32,
    ticket: String,
    user: String,
    password: String,
    until: Instant,
    done: tokio::sync::oneshot::Sender<Result<(), String>>,
}

impl Node {
    /// `POST .../vncproxy`. Answers for a stopped machine too; its websocket then ends at once.
    pub(super) fn vncproxy(self: &Arc<Self>, vmid: u32, p: &Params, user: &User) -> Answer {
        p.check(&[
            ("websocket", Kind::Bool, false),
            ("generate-password", Kind::Bool, false),
        ])?;
        self.entry(vmid)?;
        if !p.flag("websocket") {
            return Err(Refusal::not_implemented(
                "POST",
                "/nodes/lab/qemu/{vmid}/vncproxy without websocket=1",
            ));
        }
        let random: Vec<u8> = (0..48).map(|_| rand::random()).collect();
        let stamp = jiff::Timestamp::now().as_second();
        let ticket = format!(
            "PVEVNC:{stamp:08X}::{}",
            base64::engine::general_purpose::STANDARD.encode(random)
        );
        // Any printable ASCII; DES uses eight bytes, of the ticket too.
        let own: String = (0..8).map(|_| char::from(b'!' + rand::random::<u8>() % 94)).collect();
        let generated = p.flag("generate-password");
        let password = if generated {
            own.clone()
        } else {
            ticket[..8].to_string()
        };
        let (done, ended) = tokio::sync::oneshot::channel();
        let port = {
            let mut pending = locked(&self.consoles);
            pending.retain(|_, c| c.until > Instant::now());
            let Some(port) = (5900..6900).find(|n| !pending.contains_key(n)) else {
                return Err(Refusal::die("unable to find free port (5900-6899)"));
            };
            let until = Instant::now() + TICKET_LIFE;
            let console = Console {
                vmid,
                ticket: ticket.clone(),
                user: user.id.clone(),
                password,
                until,
                done,
            };
            pending.insert(port, console);
            port
        };
        let (node, mine) = (self.clone(), ticket.clone());
        let upid = self
            .tasks
            .start("vncproxy", &vmid.to_string(), &user.id, |_| async move {
                let expire = async {
                    tokio::time::sleep(TICKET_LIFE).await;
                    // Of a console that was taken meanwhile, this is somebody else's port by now.
                    locked(&node.consoles).retain(|_, c| c.ticket != mine);
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    end = ended => end.unwrap_or_else(|_| Err("connection timed out".into())),
                    () = expire => Ok(()),
                }
            });
        let mut v = json!({
            "port": port.to_string(), "ticket": ticket, "user": user.id, "cert": "", "upid": upid,
        });
        if generated {
            v["password"] = json!(own);
        }
        Ok(v)
    }

    /// `GET .../vncwebsocket`: takes the console that waits on the port, and passes bytes both ways.
    pub(super) async fn vncwebsocket(
        self: &Arc<Self>,
        vmid: u32,
        p: &Params,
        user: &User,
        mut request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        p.check(&[("port", Kind::Number, true), ("vncticket", Kind::Text, true)])?;
        let port = p.number("port").and_then(|n| u16::try_from(n).ok()).unwrap_or_default();
        let console = {
            let mut pending = locked(&self.consoles);
            let fits = pending
                .get(&port)
                .is_some_and(|c| c.vmid == vmid && Some(c.ticket.as_str()) == p.get("vncticket") && c.user == user.id);
            if !fits {
                return Err(Refusal {
                    body: true,
                    ..Refusal::unauthorized("permission denied - invalid PVEVNC ticket")
                });
            }
            pending.remove(&port)
        };
        let console = console
            .filter(|c| c.until > Instant::now())
            .ok_or_else(|| Refusal::die("connection timed out"))?;
        let Some(key) = request
            .headers()
            .get(header::SEC_WEBSOCKET_KEY)
            .map(|k| derive_accept_key(k.as_bytes()))
        else {
            return Err(Refusal::die("No websocket upgrade"));
        };
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::from_str(&key) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(offered) = request.headers().get(header::SEC_WEBSOCKET_PROTOCOL) {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, offered.clone());
        }
        let upgrade = hyper::upgrade::on(&mut request);
        let vm = self.entry(vmid)?.running();
        tokio::spawn(async move {
            let bridged = async {
                let vm = vm.ok_or("Failed to run vncproxy.")?;
                vm.set_vnc_password(&console.password)
                    .await
                    .map_err(|_| "qmp command 'set_password' failed - Could not set password")?;
                let path = vm.dir().socket("vnc.sock");
                let server = tokio::net::UnixStream::connect(path)
                    .await
                    .map_err(|_| "Failed to run vncproxy.")?;
                let upgraded = upgrade.await.map_err(|_| "connection closed")?;
                let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
                bridge(socket, server).await;
                Ok::<_, &str>(())
            };
            let ended = bridged.await.map_err(String::from);
            if let Err(e) = &ended {
                tracing::debug!(vmid, "console: {e}");
            }
            // The task may have been aborted.
            let _ = console.done.send(ended);
        });
        Ok(response)
    }

    /// `PUT .../sendkey`: a chord such as `ctrl-alt-delete`.
    pub(super) async fn sendkey(&self, vmid: u32, p: &Params) -> Answer {
        p.check(&[("key", Kind::Text, true), ("skiplock", Kind::Bool, false)])?;
        let vm = self
            .entry(vmid)?
            .running()
            .ok_or_else(|| Refusal::die(format!("VM {vmid} not running")))?;
        let keys: Vec<&str> = p.get("key").unwrap_or_default().split('-').collect();
        vm.send_key(&keys).await?;
        Ok(Value::Null)
    }
}

/// Passes bytes both ways until either side ends.
async fn bridge<S>(socket: WebSocketStream<S>, server: tokio::net::UnixStream)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let (mut to_client, mut from_client) = socket.split();
    let (mut from_server, mut to_server) = server.into_split();
    let down = async {
        let mut buffer = vec![0; FRAME];
        loop {
            match from_server.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(n) => {
                    let frame = Message::Binary(Bytes::copy_from_slice(&buffer[..n]));
                    if to_client.send(frame).await.is_err() {
                        break;
                    }
                }
            }
        }
    };
    let up = async {
        while let Some(Ok(message)) = from_client.next().await {
            let bytes = match message {
                Message::Binary(b) => b,
                Message::Text(t) => Bytes::from(t),
                Message::Close(_) => break,
                // Pings are answered by the library.
                _ => continue,
            };
            if to_server.write_all(&bytes).await.is_err() {
                break;
            }
        }
    };
    tokio::select! { () = down => {}, () = up => {} }
}
