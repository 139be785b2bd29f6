//! QMP, QEMU's control protocol: JSON lines over a Unix socket (QEMU: docs/interop/qmp-spec.txt).

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::oneshot;

use crate::lab::{Error, Result};

/// Longest wait for the answer to one command.
const DEADLINE: Duration = Duration::from_secs(60);

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// A connection to one QEMU.
#[derive(Debug)]
pub struct Qmp {
    writer: tokio::sync::Mutex<(OwnedWriteHalf, u64)>,
    pending: Pending,
    reader: tokio::task::JoinHandle<()>,
}

impl Qmp {
    /// Connects and negotiates; the socket must accept already.
    pub async fn connect(path: &Path) -> Result<Qmp> {
        let stream = UnixStream::connect(path).await.map_err(Error::io("connect to", path))?;
        let (read, write) = stream.into_split();
        let pending: Pending = Arc::default();
        let answers = pending.clone();
        let reader = tokio::spawn(async move {
            let mut lines = BufReader::new(read).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(v) = serde_json::from_str::<Value>(&line) else {
                    continue;
                };
                if let Some(id) = v["id"].as_u64() {
                    if let Some(tx) = answers.lock().unwrap_or_else(|e| e.into_inner()).remove(&id) {
                        let _ = tx.send(v);
                    }
                } else if let Some(event) = v["event"].as_str() {
                    tracing::debug!(event, data = %v["data"], "QMP event");
                }
            }
            // Whoever still waits learns by the closed channel that QEMU is gone.
            answers.lock().unwrap_or_else(|e| e.into_inner()).clear();
        });
        let qmp = Qmp {
            writer: tokio::sync::Mutex::new((write, 0)),
            pending,
            reader,
        };
        qmp.execute("qmp_capabilities", json!({})).await?;
        Ok(qmp)
    }

    /// Runs a command and returns what it returns.
    pub async fn execute(&self, command: &str, arguments: Value) -> Result<Value> {
        let failed = |desc: &str| Error::Qmp {
            command: command.into(),
            desc: desc.into(),
        };
        let answer = {
            let mut writer = self.writer.lock().await;
            writer.1 += 1;
            let (tx, rx) = oneshot::channel();
            self.pending
                .lock()
                .unwrap_or_else(|e| e.into_inner())
                .insert(writer.1, tx);
            let line = json!({"execute": command, "arguments": arguments, "id": writer.1}).to_string() + "\n";
            writer
                .0
                .write_all(line.as_bytes())
                .await
                .map_err(|_| failed("QEMU has ended"))?;
            rx
        };
        let answer = match tokio::time::timeout(DEADLINE, answer).await {
            Ok(Ok(v)) => v,
            Ok(Err(_)) => return Err(failed("QEMU has ended")),
            Err(_) => return Err(failed("no answer from QEMU")),
        };
        match answer.get("error") {
            Some(e) => Err(failed(e["desc"].as_str().unwrap_or("unknown error"))),
            None => Ok(answer["return"].clone()),
        }
    }
}

impl Drop for Qmp {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
