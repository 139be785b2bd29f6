//! Tasks: a UPID says nothing about success, the task's exit status does.

use super::client::Client;
use super::wire::esc;
use super::{Error, ErrorKind, Upid, classify};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// Still at it.
    Running,
    /// Ended well; warnings count as well.
    Ok,
    /// Ended with this text.
    Failed(String),
}

#[derive(Deserialize)]
struct RawStatus {
    status: String,
    #[serde(default)]
    exitstatus: Option<String>,
}

#[derive(Deserialize)]
struct LogLine {
    #[serde(default)]
    t: String,
}

impl Client {
    /// `GET /nodes/{node}/tasks/{upid}/status`.
    pub async fn task_status(&self, upid: &Upid) -> Result<TaskStatus, Error> {
        let raw: RawStatus = self.get(&task_path(upid, "status"), vec![]).await?;
        Ok(if raw.status == "running" {
            TaskStatus::Running
        } else {
            match raw.exitstatus.as_deref() {
                Some(s) if s == "OK" || s.starts_with("WARNINGS") => TaskStatus::Ok,
                Some(s) => TaskStatus::Failed(s.trim().to_string()),
                None => TaskStatus::Failed("the task ended without an exit status".to_string()),
            }
        })
    }

    /// The last `lines` lines of a task's log.
    pub async fn task_log_tail(&self, upid: &Upid, lines: usize) -> Result<Vec<String>, Error> {
        // Without a limit only the first 50 lines come.
        let rows: Vec<LogLine> = self
            .get(&task_path(upid, "log"), vec![("limit", "5000".to_string())])
            .await?;
        let skip = rows.len().saturating_sub(lines);
        Ok(rows.into_iter().skip(skip).map(|l| l.t).collect())
    }

    /// UPIDs of running tasks of a worker type on a node.
    pub async fn running_tasks(&self, node: &str, kind: &str) -> Result<Vec<Upid>, Error> {
        let rows: Vec<Value> = self
            .get(
                &format!("/nodes/{}/tasks", esc(node)),
                vec![("source", "active".to_string()), ("typefilter", kind.to_string())],
            )
            .await?;
        Ok(rows
            .iter()
            .filter(|r| r.get("endtime").is_none_or(Value::is_null))
            .filter_map(|r| Upid::parse(r.get("upid")?.as_str()?))
            .filter(|u| u.kind() == kind)
            .collect())
    }

    /// The VMID that a `qmclone` task makes: only its log says it, the UPID has the source's.
    pub async fn clone_target(&self, upid: &Upid) -> Result<Option<u32>, Error> {
        let head: Vec<LogLine> = self
            .get(&task_path(upid, "log"), vec![("limit", "10".to_string())])
            .await?;
        Ok(head
            .iter()
            .filter(|l| l.t.contains("creating a clone of VM"))
            .find_map(|l| l.t.trim_end().rsplit(' ').next()?.parse().ok()))
    }

    /// Polls a task to its end. A failed task is an error, classified by its text, with the end of its log.
    pub async fn wait_task(&self, upid: &Upid, deadline: Instant) -> Result<(), Error> {
        let mut pause = Duration::from_millis(100);
        loop {
            match self.task_status(upid).await {
                Ok(TaskStatus::Ok) => return Ok(()),
                Ok(TaskStatus::Failed(text)) => return Err(self.task_error(upid, &text).await),
                Ok(TaskStatus::Running) => {}
                Err(e) if e.kind == ErrorKind::Transport => tracing::debug!(%e, "task status"),
                Err(e) => return Err(e),
            }
            if Instant::now() + pause >= deadline {
                return Err(self.error(
                    0,
                    "GET",
                    &task_path(upid, "status"),
                    ErrorKind::Busy,
                    format!("task {upid} was still running at its deadline"),
                ));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(Duration::from_secs(1));
        }
    }

    /// The error of a task that ended with `text`.
    pub async fn task_error(&self, upid: &Upid, text: &str) -> Error {
        let mut message = format!("{} task failed: {text}", upid.kind());
        if let Ok(tail) = self.task_log_tail(upid, 5).await {
            let more: Vec<&String> = tail
                .iter()
                .filter(|l| !l.is_empty() && !l.contains(text) && !l.starts_with("TASK "))
                .collect();
            if !more.is_empty() {
                let more: Vec<&str> = more.iter().map(|s| s.as_str()).collect();
                message.push_str(&format!(" (log: {})", more.join(" | ")));
            }
        }
        let kind = classify(None, "", text, &BTreeMap::new());
        self.error(0, "GET", &task_path(upid, "status"), kind, message)
    }
}

fn task_path(upid: &Upid, what: &str) -> String {
    format!("/nodes/{}/tasks/{}/{what}", esc(upid.node()), esc(upid.as_str()))
}
