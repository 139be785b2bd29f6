//! Tasks: a UPID says nothing about success, the task's exit status does.

use super::client::Client;
use super::wire::{Params, esc};
use super::{Error, ErrorKind, Upid, classify};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Lines of a log per request, and requests at most: what lies behind 100 000 lines is not looked at.
const LOG_PAGE: usize = 5000;
const LOG_PAGES: usize = 20;
const CLONE: &str = "qmclone";

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// Still at it.
    Running,
    /// Ended well; [`Client::task_warnings`] tells what it warned of.
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
        let raw: RawStatus = self.get(&task_path(upid, "/status"), vec![]).await?;
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
        let mut tail = VecDeque::new();
        for page in 0..LOG_PAGES {
            let rows = self.task_log(upid, page * LOG_PAGE, LOG_PAGE).await?;
            let full = rows.len() == LOG_PAGE;
            tail.extend(rows);
            while tail.len() > lines {
                tail.pop_front();
            }
            if !full {
                break;
            }
        }
        Ok(tail.into())
    }

    /// What a task that ended well warned of: its exit status is `WARNINGS: n` then.
    pub async fn task_warnings(&self, upid: &Upid) -> Result<Vec<String>, Error> {
        let log = self.task_log_tail(upid, LOG_PAGE).await?;
        Ok(log
            .iter()
            .filter_map(|l| l.strip_prefix("WARN:"))
            .map(|w| w.trim().to_string())
            .collect())
    }

    async fn task_log(&self, upid: &Upid, start: usize, limit: usize) -> Result<Vec<String>, Error> {
        // Without a limit only the first 50 lines come.
        let query = vec![("start", start.to_string()), ("limit", limit.to_string())];
        let rows: Vec<LogLine> = self.get(&task_path(upid, "/log"), query).await?;
        Ok(rows.into_iter().map(|l| l.t).collect())
    }

    /// Ends a running task; its exit status becomes `received interrupt`. What it was doing stays half done: look at
    /// the VM, its lock too.
    pub async fn abort_task(&self, upid: &Upid) -> Result<(), Error> {
        self.call(Method::DELETE, &task_path(upid, ""), vec![])
            .await
            .map(|_| ())
    }

    /// What became of a write whose answer was lost ([`ErrorKind::Transport`]): the newest task of a worker type
    /// (`qmstart`, ...) on a VM that began at `since` or later, whether it runs or has ended.
    ///
    /// A write must never be repeated blindly: it may have been done, or be under way. Note the node's time before it
    /// (from an earlier UPID, or the local clock with a margin for its error), ask here after it was lost, and wait
    /// for the task that is found as if its UPID had been answered. `None` says that no task was started: then the
    /// VM itself decides ([`Client::vm_status`], [`Client::vm_config`]), since task lists are cut short.
    ///
    /// For `qmclone`, `vmid` is the *new* VM and `node` the template's.
    pub async fn find_task(&self, node: &str, kind: &str, vmid: u32, since: u64) -> Result<Option<Upid>, Error> {
        let mut query = vec![
            ("source", "all".to_string()),
            ("typefilter", kind.to_string()),
            ("since", since.to_string()),
            ("limit", "500".to_string()),
        ];
        if kind != CLONE {
            query.push(("vmid", vmid.to_string()));
        }
        let mut found = self.task_list(node, query).await?;
        found.retain(|(u, _)| u.kind() == kind && u.started() >= since);
        found.sort_by_key(|(u, _)| std::cmp::Reverse(u.order()));
        for (upid, _) in found {
            let of = if kind == CLONE {
                self.clone_target(&upid).await?
            } else {
                upid.id().parse().ok()
            };
            if of == Some(vmid) {
                return Ok(Some(upid));
            }
        }
        Ok(None)
    }

    /// Tasks of a node, and whether each has ended.
    async fn task_list(&self, node: &str, query: Params<'_>) -> Result<Vec<(Upid, bool)>, Error> {
        let rows: Vec<Value> = self.get(&format!("/nodes/{}/tasks", esc(node)), query).await?;
        let ended = |r: &Value| r.get("endtime").is_some_and(|v| !v.is_null());
        Ok(rows
            .iter()
            .filter_map(|r| Some((Upid::parse(r.get("upid")?.as_str()?)?, ended(r))))
            .collect())
    }

    /// UPIDs of running tasks of a worker type on a node.
    pub async fn running_tasks(&self, node: &str, kind: &str) -> Result<Vec<Upid>, Error> {
        let query = vec![("source", "active".to_string()), ("typefilter", kind.to_string())];
        let all = self.task_list(node, query).await?;
        Ok(all
            .into_iter()
            .filter(|(upid, ended)| !ended && upid.kind() == kind)
            .map(|(upid, _)| upid)
            .collect())
    }

    /// The VMID that a `qmclone` task makes: only its log says it, the UPID has the source's.
    pub async fn clone_target(&self, upid: &Upid) -> Result<Option<u32>, Error> {
        let head = self.task_log(upid, 0, 10).await?;
        Ok(head
            .iter()
            .filter(|l| l.contains("creating a clone of VM"))
            .find_map(|l| l.trim_end().rsplit(' ').next()?.parse().ok()))
    }

    /// Polls a task to its end. A failed task is an error, classified by its text, with the end of its log. Trouble
    /// with the API is waited out until the deadline.
    pub async fn wait_task(&self, upid: &Upid, deadline: Instant) -> Result<(), Error> {
        let mut pause = Duration::from_millis(100);
        loop {
            let trouble = match self.task_status(upid).await {
                Ok(TaskStatus::Ok) => return Ok(()),
                Ok(TaskStatus::Failed(text)) => return Err(self.task_error(upid, &text).await),
                Ok(TaskStatus::Running) => None,
                Err(e) if e.is_transient() => {
                    tracing::debug!(%e, "task status");
                    Some(e)
                }
                Err(e) => return Err(e),
            };
            if Instant::now() + pause >= deadline {
                return Err(trouble.unwrap_or_else(|| {
                    let text = format!("task {upid} was still running at its deadline");
                    self.error(0, "GET", &task_path(upid, "/status"), ErrorKind::Busy, text)
                }));
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
        self.error(0, "GET", &task_path(upid, "/status"), kind, message)
    }
}

fn task_path(upid: &Upid, what: &str) -> String {
    format!("/nodes/{}/tasks/{}{what}", esc(upid.node()), esc(upid.as_str()))
}
