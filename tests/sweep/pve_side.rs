//! A reverse proxy in front of fakepve: HTTP towards the client, TLS towards the fake, each request through the gate.

use crate::gate::Gate;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::io;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub struct Proxy {
    pub port: u16,
    gate: Arc<Mutex<Arc<Gate>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One message: its head, and its body as long as Content-Length says.
struct Message {
    head: String,
    body: Vec<u8>,
}

async fn message<R: tokio::io::AsyncRead + Unpin>(from: &mut BufReader<R>) -> io::Result<Option<Message>> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if from.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
        if head[before..].trim().is_empty() {
            break;
        }
    }
    let length = head.lines().find_map(|l| {
        let (k, v) = l.split_once(':')?;
        k.eq_ignore_ascii_case("content-length")
            .then(|| v.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    from.read_exact(&mut body).await?;
    Ok(Some(Message { head, body }))
}

impl Proxy {
    pub async fn start(upstream: u16, cert_pem: &str) -> Proxy {
        let mut roots = rustls::RootCertStore::empty();
        let der = CertificateDer::from_pem_slice(cert_pem.as_bytes()).expect("certificate");
        roots.add(der).expect("certificate");
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = tokio_rustls::TlsConnector::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let gate = Arc::new(Mutex::new(Gate::open()));
        let current = gate.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let gate = current.lock().expect("lock").clone();
                let tls = tls.clone();
                tokio::spawn(async move {
                    // A connection that breaks is the client's business.
                    let _ = serve(socket, upstream, tls, gate).await;
                });
            }
        });
        Proxy { port, gate, task }
    }

    /// Connections made from now on go through this gate.
    pub fn use_gate(&self, gate: Arc<Gate>) {
        *self.gate.lock().expect("lock") = gate;
    }
}

async fn serve(socket: TcpStream, upstream: u16, tls: tokio_rustls::TlsConnector, gate: Arc<Gate>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let far = TcpStream::connect(("127.0.0.1", upstream)).await?;
    far.set_nodelay(true)?;
    let name = ServerName::try_from("127.0.0.1").expect("address");
    let mut far = BufReader::new(tls.connect(name, far).await?);
    let mut near = BufReader::new(socket);
    while let Some(request) = message(&mut near).await? {
        let mut words = request.head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = path.split('?').next().unwrap_or_default();
        let label = format!("pve {method} {}", path.trim_start_matches("/api2/json"));
        let writes = matches!(method, "POST" | "PUT" | "DELETE");
        let forward = async {
            far.write_all(request.head.as_bytes()).await?;
            far.write_all(&request.body).await?;
            far.flush().await?;
            message(&mut far).await
        };
        let answer = if writes {
            gate.write(label, forward).await
        } else {
            gate.other("pve reads", forward).await
        };
        let Some(answer) = answer? else { return Ok(()) };
        near.write_all(answer.head.as_bytes()).await?;
        near.write_all(&answer.body).await?;
        near.flush().await?;
        if answer.head.starts_with("HTTP/1.1 101") {
            let mut near_all = near;
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near_all, &mut far) => {}
                () = gate.death() => {}
            }
            return Ok(());
        }
    }
    Ok(())
}
