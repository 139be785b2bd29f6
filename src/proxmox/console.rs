//! The VM's console: VNC through a websocket.

use super::client::{Client, Failed};
use super::qemu::vm_path;
use super::wire::{base, encode};
use super::{Error, ErrorKind, lenient};
use futures::{SinkExt, StreamExt};
use http::header::SEC_WEBSOCKET_PROTOCOL;
use reqwest::Method;
use rustls::pki_types::ServerName;
use secrecy::SecretString;
use serde_json::Value;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// Both directions of a console: RFB bytes.
pub trait VncStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> VncStream for T {}

/// An open console, before the RFB handshake.
pub struct VncConnection {
    /// RFB bytes. Dropping it closes the websocket.
    pub stream: Box<dyn VncStream>,
    /// Password for VNC authentication; DES uses its first 8 bytes. Expires 30 s after connecting.
    pub password: SecretString,
}

impl std::fmt::Debug for VncConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VncConnection")
    }
}

/// Proxmox takes client frames of at most 128 KiB.
const CHUNK: usize = 32 * 1024;

impl Client {
    /// Opens the console: `POST vncproxy`, then the websocket (Proxmox waits 10 s for it, once).
    pub async fn vnc(&self, node: &str, vmid: u32) -> Result<VncConnection, Error> {
        let path = vm_path(node, vmid, "/vncproxy");
        let form = vec![("websocket", "1".to_string()), ("generate-password", "1".to_string())];
        let (v, at) = self.call(Method::POST, &path, form).await?;
        let text = |k: &str| v.get(k).and_then(lenient::text);
        let (Some(ticket), Some(port)) = (text("ticket"), text("port")) else {
            let m = "the answer has no ticket and port";
            return Err(self.error(at, "POST", &path, ErrorKind::Other, m));
        };
        let password = text("password").unwrap_or_else(|| ticket.clone());
        let begun = Instant::now();
        let path = vm_path(node, vmid, "/vncwebsocket");
        let opening = self.websocket(at, node, vmid, &port, &ticket);
        let opened = match tokio::time::timeout(self.inner.timeout, opening).await {
            Ok(opened) => opened,
            Err(_) => {
                let m = "the websocket did not open in time";
                Err(self.error(at, "GET", &path, ErrorKind::Transport, m))
            }
        };
        let status = opened.as_ref().map_or_else(|e| e.status, |_| Some(101));
        self.tell("GET", &path, status, opened.as_ref().err().map(|e| e.kind), begun);
        let stream = opened?;
        Ok(VncConnection {
            stream,
            password: SecretString::from(password),
        })
    }

    async fn websocket(
        &self,
        at: usize,
        node: &str,
        vmid: u32,
        port: &str,
        ticket: &str,
    ) -> Result<Box<dyn VncStream>, Error> {
        let path = vm_path(node, vmid, "/vncwebsocket");
        let fail = |what: String| self.error(at, "GET", &path, ErrorKind::Transport, what);
        let endpoint = &self.inner.endpoints[at];
        let secure = endpoint.scheme() == "https";
        let mut url = self.url(at, &path);
        url.set_query(Some(&encode(&[
            ("port", port.to_string()),
            ("vncticket", ticket.to_string()),
        ])));
        let url = url.as_str().replacen("http", "ws", 1);
        let mut request = url
            .into_client_request()
            .map_err(|e| fail(format!("the websocket request cannot be made: {e}")))?;
        let signature = self.sign(at, &Method::GET).await.map_err(Failed::into_error)?;
        request.headers_mut().extend(signature.headers);
        request
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("binary"));

        let host = endpoint.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let tcp = TcpStream::connect((bare, endpoint.port_or_known_default().unwrap_or(8006)))
            .await
            .map_err(|e| fail(format!("connecting to {}: {e}", base(endpoint))))?;
        tcp.set_nodelay(true).map_err(|e| fail(e.to_string()))?;
        if secure {
            let name = ServerName::try_from(bare.to_string()).map_err(|e| fail(format!("{bare}: {e}")))?;
            let tls = tokio_rustls::TlsConnector::from(self.inner.tls.clone())
                .connect(name, tcp)
                .await
                .map_err(|e| fail(format!("TLS: {e}")))?;
            self.upgrade(request, tls, &fail).await
        } else {
            self.upgrade(request, tcp, &fail).await
        }
    }

    async fn upgrade<S>(
        &self,
        request: tokio_tungstenite::tungstenite::handshake::client::Request,
        stream: S,
        fail: &(dyn Fn(String) -> Error + Sync),
    ) -> Result<Box<dyn VncStream>, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        use tokio_tungstenite::tungstenite::Error as Ws;
        let (ws, _) = tokio_tungstenite::client_async(request, stream)
            .await
            .map_err(|e| match e {
                Ws::Http(response) => {
                    let status = response.status().as_u16();
                    let body = response.body().as_deref().unwrap_or_default();
                    let text = serde_json::from_slice::<Value>(body)
                        .ok()
                        .and_then(|v| v.get("message").and_then(Value::as_str).map(|s| s.trim().to_string()))
                        .unwrap_or_default();
                    let mut e = fail(format!("the websocket was refused: {text}"));
                    e.status = Some(status);
                    if status == 401 {
                        e.kind = ErrorKind::Auth;
                    } else if status == 403 {
                        e.kind = ErrorKind::Permission;
                    }
                    e
                }
                e => fail(format!("the websocket did not open: {e}")),
            })?;
        let (near, far) = tokio::io::duplex(256 * 1024);
        tokio::spawn(pump(ws, far));
        Ok(Box::new(near))
    }
}

/// Carries bytes between the websocket and the caller's end until either closes.
async fn pump<S>(ws: tokio_tungstenite::WebSocketStream<S>, far: tokio::io::DuplexStream)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sink, mut source) = ws.split();
    let (mut from_caller, mut to_caller) = tokio::io::split(far);
    let inward = async {
        while let Some(Ok(message)) = source.next().await {
            let written = match message {
                Message::Binary(b) => to_caller.write_all(&b).await,
                Message::Text(t) => to_caller.write_all(t.as_bytes()).await,
                Message::Close(_) => break,
                // Pings are answered by the library.
                _ => Ok(()),
            };
            if written.is_err() {
                break;
            }
        }
    };
    let outward = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            match from_caller.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(n) => {
                    if sink.send(Message::Binary(buffer[..n].to_vec().into())).await.is_err() {
                        break;
                    }
                }
            }
        }
        let _ = sink.close().await;
    };
    // Both halves end with this function, so the caller sees end of file when the server goes away.
    tokio::select! {
        () = inward => {}
        () = outward => {}
    }
}
