//! A server of raw TCP that does what it is told to: answers word by word, closes without an answer, keeps silent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// What is done with a request.
pub enum Act {
    /// These bytes, and the connection stays open.
    Answer(String),
    /// The connection is closed.
    Close,
    /// Nothing, for ever.
    Silence,
}

/// 200 with this JSON as `data`.
pub fn data(json: &str) -> Act {
    let body = format!("{{\"data\":{json}}}");
    answer("200 OK", "Content-Type: application/json;charset=UTF-8\r\n", &body)
}

pub fn answer(status: &str, headers: &str, body: &str) -> Act {
    Act::Answer(format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

pub struct Liar {
    pub url: String,
    state: Arc<Mutex<State>>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    script: VecDeque<Act>,
    /// Every request with its body, and how many reads its bytes took.
    seen: Vec<(String, usize)>,
}

impl Liar {
    /// Plain HTTP: each request takes the next act; when they are used up, connections are closed.
    pub async fn start(script: Vec<Act>) -> Liar {
        Liar::serve(script, None).await
    }

    /// The same over TLS, where one read gives one record.
    pub async fn tls(script: Vec<Act>, acceptor: tokio_rustls::TlsAcceptor) -> Liar {
        Liar::serve(script, Some(acceptor)).await
    }

    async fn serve(script: Vec<Act>, acceptor: Option<tokio_rustls::TlsAcceptor>) -> Liar {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let state = Arc::new(Mutex::new(State {
            script: script.into(),
            seen: vec![],
        }));
        let shared = state.clone();
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (state, acceptor) = (shared.clone(), acceptor.clone());
                connections.spawn(async move {
                    match acceptor {
                        None => talk(tcp, state).await,
                        Some(a) => match a.accept(tcp).await {
                            Ok(tls) => talk(tls, state).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Liar {
            url: format!("{scheme}://127.0.0.1:{port}"),
            state,
            server,
        }
    }

    /// First lines of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        let lines = |(text, _): &(String, usize)| text.lines().next().unwrap_or_default().to_string();
        self.state.lock().expect("lock").seen.iter().map(lines).collect()
    }

    /// The last request, and how many reads it took.
    pub fn last(&self) -> (String, usize) {
        self.state
            .lock()
            .expect("lock")
            .seen
            .last()
            .cloned()
            .expect("a request")
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, state: Arc<Mutex<State>>) -> Option<()> {
    loop {
        let (mut bytes, mut reads) = (Vec::new(), 0);
        while !complete(&bytes) {
            let mut buffer = vec![0; 1 << 20];
            let n = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
            bytes.extend_from_slice(&buffer[..n]);
            reads += 1;
        }
        let act = {
            let mut s = state.lock().expect("lock");
            s.seen.push((String::from_utf8_lossy(&bytes).into_owned(), reads));
            s.script.pop_front().unwrap_or(Act::Close)
        };
        match act {
            Act::Answer(text) => stream.write_all(text.as_bytes()).await.ok()?,
            Act::Close => {
                let _ = stream.shutdown().await;
                return None;
            }
            Act::Silence => std::future::pending().await,
        }
    }
}

/// Whether the headers are there, and the body that they announce.
fn complete(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .filter_map(|l| {
            l.to_ascii_lowercase()
                .strip_prefix("content-length:")?
                .trim()
                .parse()
                .ok()
        })
        .next();
    body.len() >= length.unwrap_or(0_usize)
}
