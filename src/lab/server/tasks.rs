//! Tasks: work that goes on after its request was answered, named by a UPID.

use super::answer::{Answer, Refusal};
use super::params::{Kind, Params};
use super::{NODE, locked};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// Finished tasks that are remembered.
const KEPT: usize = 500;

/// All tasks of the node, by UPID.
#[derive(Default)]
pub(super) struct Tasks {
    all: Mutex<Vec<Arc<Task>>>,
    next: AtomicU32,
}

/// One task.
pub(super) struct Task {
    upid: String,
    kind: &'static str,
    id: String,
    user: String,
    start: i64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    log: Vec<String>,
    /// End, and `OK` or why not.
    end: Option<(i64, String)>,
    abort: Option<tokio::task::AbortHandle>,
}

impl Task {
    /// Adds a line to the task's log.
    pub fn say(&self, line: impl Into<String>) {
        locked(&self.state).log.push(line.into());
    }

    fn abort(&self) {
        let abort = locked(&self.state).abort.clone();
        if let Some(a) = abort {
            a.abort();
        }
        self.finish("received interrupt".into());
    }

    fn finish(&self, status: String) {
        let mut state = locked(&self.state);
        if state.end.is_none() {
            state.log.push(if status == "OK" {
                "TASK OK".into()
            } else {
                format!("TASK ERROR: {status}")
            });
            state.end = Some((now(), status));
        }
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

impl Tasks {
    /// Starts work as a task and answers its UPID. `kind` and `id` are Proxmox's, such as `qmstart` and the VMID.
    pub fn start<F, Fut>(&self, kind: &'static str, id: &str, user: &str, work: F) -> String
    where
        F: FnOnce(Arc<Task>) -> Fut,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let start = now();
        let upid = format!(
            "UPID:{NODE}:{:08X}:{number:08X}:{start:08X}:{kind}:{id}:{user}:",
            std::process::id()
        );
        let task = Arc::new(Task {
            upid: upid.clone(),
            kind,
            id: id.into(),
            user: user.into(),
            start,
            state: Mutex::default(),
        });
        {
            let mut all = locked(&self.all);
            all.push(task.clone());
            if all.len() > KEPT {
                let ended = all.iter().position(|t| locked(&t.state).end.is_some());
                if let Some(i) = ended {
                    all.remove(i);
                }
            }
        }
        let work = work(task.clone());
        let watched = task.clone();
        let join = tokio::spawn(async move {
            let status = match work.await {
                Ok(()) => "OK".to_string(),
                Err(e) => e,
            };
            watched.finish(status);
        });
        locked(&task.state).abort = Some(join.abort_handle());
        upid
    }

    fn find(&self, upid: &str) -> Result<Arc<Task>, Refusal> {
        if !upid.starts_with("UPID:") {
            return Err(Refusal::parameter(
                "upid",
                format!("unable to parse worker upid '{upid}'\n"),
            ));
        }
        let all = locked(&self.all);
        all.iter()
            .find(|t| t.upid == upid)
            .cloned()
            .ok_or_else(|| Refusal::parameter("upid", "no such task"))
    }

    pub fn status(&self, upid: &str) -> Answer {
        let task = self.find(upid)?;
        let state = locked(&task.state);
        let mut v = describe(&task);
        v["status"] = json!(if state.end.is_some() { "stopped" } else { "running" });
        if let Some((_, status)) = &state.end {
            v["exitstatus"] = json!(status);
        }
        Ok(v)
    }

    /// Lines of the log; 50 unless `limit` says otherwise, as Proxmox does.
    pub fn log(&self, upid: &str, p: &Params) -> Answer {
        let task = self.find(upid)?;
        let state = locked(&task.state);
        let start = p.number("start").unwrap_or(0) as usize;
        let limit = p.number("limit").unwrap_or(50) as usize;
        let lines = state.log.iter().enumerate().skip(start).take(limit);
        Ok(lines.map(|(i, t)| json!({"n": i + 1, "t": t})).collect())
    }

    pub fn abort(&self, upid: &str) -> Answer {
        self.find(upid)?.abort();
        Ok(Value::Null)
    }

    /// Aborts what still runs, of one kind and machine.
    pub fn abort_of(&self, kind: &str, id: &str) {
        for t in locked(&self.all).iter().filter(|t| t.kind == kind && t.id == id) {
            t.abort();
        }
    }

    /// Aborts what still runs.
    pub fn abort_all(&self) {
        for t in locked(&self.all).iter() {
            t.abort();
        }
    }

    /// The list: finished tasks, or with `source` `all` or `active` the running ones (too).
    pub fn list(&self, p: &Params) -> Answer {
        p.check(&[
            ("source", Kind::Text, false),
            ("vmid", Kind::Number, false),
            ("typefilter", Kind::Text, false),
            ("since", Kind::Number, false),
            ("until", Kind::Number, false),
            ("start", Kind::Number, false),
            ("limit", Kind::Number, false),
        ])?;
        let number = |name: &str| p.number(name).and_then(|n| i64::try_from(n).ok());
        let (since, until) = (number("since").unwrap_or(0), number("until").unwrap_or(i64::MAX));
        let start = p.number("start").unwrap_or(0) as usize;
        let limit = p.number("limit").unwrap_or(50) as usize;
        let source = p.get("source").unwrap_or("archive");
        let vmid = p.get("vmid");
        if !["archive", "active", "all"].contains(&source) {
            let text = format!("value '{source}' does not have a value in the enumeration 'archive, active, all'");
            return Err(Refusal::parameter("source", text));
        }
        let kind = p.get("typefilter");
        let all = locked(&self.all);
        let mut out = Vec::new();
        for t in all.iter().rev() {
            let end = locked(&t.state).end.clone();
            let wanted = match source {
                "active" => end.is_none(),
                "all" => true,
                _ => end.is_some(),
            };
            let wanted = wanted && (since..=until).contains(&t.start);
            if !wanted || vmid.is_some_and(|v| v != t.id) || kind.is_some_and(|k| k != t.kind) {
                continue;
            }
            let mut v = describe(t);
            if let Some((at, status)) = end {
                v["endtime"] = json!(at);
                v["status"] = json!(status);
            }
            out.push(v);
        }
        Ok(Value::Array(out.into_iter().skip(start).take(limit).collect()))
    }
}

fn describe(t: &Task) -> Value {
    let parts: BTreeMap<&str, &str> = ["pid", "pstart"].into_iter().zip(t.upid.split(':').skip(2)).collect();
    let hex = |k: &str| {
        parts
            .get(k)
            .and_then(|h| u64::from_str_radix(h, 16).ok())
            .unwrap_or_default()
    };
    json!({
        "upid": t.upid, "node": NODE, "type": t.kind, "id": t.id, "user": t.user, "starttime": t.start,
        "pid": hex("pid"), "pstart": hex("pstart"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_list_takes_what_it_knows_and_refuses_the_rest() {
        let tasks = Tasks::default();
        for id in ["101", "102", "103"] {
            tasks.start("qmstart", id, "root@pam", |_| async { Ok(()) });
        }
        let count = |query: &str| {
            let p = Params::form(query.as_bytes());
            tasks.list(&p).map(|v| v.as_array().map_or(0, Vec::len))
        };
        assert_eq!(count("source=all").ok(), Some(3));
        assert_eq!(count("source=all&limit=2").ok(), Some(2));
        assert_eq!(count("source=all&start=2").ok(), Some(1));
        let later = now() + 100;
        assert_eq!(count(&format!("source=all&since={later}")).ok(), Some(0));
        assert_eq!(count(&format!("source=all&until={later}")).ok(), Some(3));
        assert!(count("source=some").is_err());
        assert!(count("userfilter=root").is_err());
    }
}
