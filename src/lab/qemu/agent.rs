//! The QEMU guest agent, over the virtio-serial channel's socket (QEMU: qga/qapi-schema.json).

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::lab::{Error, Result};

/// Largest answer taken from a guest, bytes: an exec-status may carry 16 MiB of output, in base64.
const MAX_ANSWER: usize = 64 << 20;

/// The agent of one VM. The channel serves one client at a time, so every call takes its turn.
#[derive(Debug)]
pub struct Agent {
    socket: PathBuf,
    turn: tokio::sync::Mutex<()>,
}

impl Agent {
    /// An agent behind a socket, which need not answer yet.
    pub fn new(socket: PathBuf) -> Agent {
        Agent {
            socket,
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// Runs one command; `deadline` covers the agent's answer, after a first answer to a ping within 3 s.
    pub async fn execute(&self, command: &str, arguments: Value, deadline: Duration) -> Result<Value> {
        let _turn = self.turn.lock().await;
        let mut stream = tokio::time::timeout(Duration::from_secs(3), self.synchronised())
            .await
            .map_err(|_| Error::AgentDown)??;
        send(&mut stream, command, &arguments, false).await?;
        if command == "guest-shutdown" {
            // It answers errors only, and those soon.
            return match tokio::time::timeout(Duration::from_secs(1), receive(&mut stream, false)).await {
                Ok(Ok(v)) => answer(v),
                _ => Ok(Value::Null),
            };
        }
        let v = tokio::time::timeout(deadline, receive(&mut stream, false))
            .await
            .map_err(|_| Error::AgentDown)??;
        answer(v)
    }

    /// Keeps other callers away while the channel must have no client, e.g. during a rollback.
    pub async fn hold(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Whether it answers within 3 s.
    pub async fn ping(&self) -> Result<()> {
        self.execute("guest-ping", json!({}), Duration::from_secs(3))
            .await
            .map(drop)
    }

    /// A connection whose leftovers of earlier clients have been read away.
    async fn synchronised(&self) -> Result<UnixStream> {
        let mut stream = UnixStream::connect(&self.socket).await.map_err(|_| Error::AgentDown)?;
        let id: u32 = rand::random::<u32>() >> 1;
        send(&mut stream, "guest-sync-delimited", &json!({"id": id}), true).await?;
        loop {
            // Answers to commands of clients that gave up may come first.
            if receive(&mut stream, true).await?["return"] == json!(id) {
                return Ok(stream);
            }
        }
    }
}

async fn send(stream: &mut UnixStream, command: &str, arguments: &Value, delimited: bool) -> Result<()> {
    let mut bytes = Vec::new();
    if delimited {
        // 0xFF cannot be in JSON: it makes the agent's parser forget half a command.
        bytes.push(0xff);
    }
    bytes.extend_from_slice(
        json!({"execute": command, "arguments": arguments})
            .to_string()
            .as_bytes(),
    );
    bytes.push(b'\n');
    stream.write_all(&bytes).await.map_err(|_| Error::AgentDown)
}

async fn receive(stream: &mut UnixStream, delimited: bool) -> Result<Value> {
    let mut line = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        let n = stream.read(&mut chunk).await.map_err(|_| Error::AgentDown)?;
        if n == 0 || line.len() > MAX_ANSWER {
            return Err(Error::AgentDown);
        }
        line.extend_from_slice(&chunk[..n]);
        if delimited {
            // What stands before the delimiter belongs to someone else.
            if let Some(at) = line.iter().rposition(|b| *b == 0xff) {
                line.drain(..=at);
            }
        }
        if line.last() == Some(&b'\n')
            && let Some(v) = line
                .split(|b| *b == b'\n')
                .filter_map(|l| serde_json::from_slice(l).ok())
                .next_back()
        {
            return Ok(v);
        }
    }
}

fn answer(v: Value) -> Result<Value> {
    match v.get("error") {
        Some(e) => Err(Error::Agent {
            desc: e["desc"].as_str().unwrap_or("unknown error").into(),
        }),
        None => Ok(v["return"].clone()),
    }
}
