//! The guest agent's calls.

use super::Node;
use super::answer::{Answer, Refusal};
use super::params::{Kind, Params};
use crate::lab::Error;
use crate::lab::qemu::Vm;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const CALL: Duration = Duration::from_secs(20);
/// Bytes of a file that a call returns, and characters that one writes.
const READ_LIMIT: usize = 16 << 20;
const WRITE_LIMIT: usize = 61_440;

impl Node {
    async fn agent_vm(&self, vmid: u32) -> Result<Arc<Vm>, Refusal> {
        let vm = self
            .entry(vmid)?
            .running()
            .ok_or_else(|| Refusal::die(format!("VM {vmid} is not running")))?;
        match vm.agent() {
            None => return Err(Refusal::die("No QEMU guest agent configured")),
            Some(agent) => {
                // It has its own limit of 3 s, which does not count the turns of other callers.
                if agent.ping().await.is_ok() {
                    return Ok(vm);
                }
            }
        }
        Err(Refusal::die("QEMU guest agent is not running"))
    }

    async fn agent_call(&self, vmid: u32, command: &str, arguments: Value) -> Answer {
        let vm = self.agent_vm(vmid).await?;
        let Some(agent) = vm.agent() else {
            return Err(Refusal::die("No QEMU guest agent configured"));
        };
        agent.execute(command, arguments, CALL).await.map_err(|e| match e {
            Error::Agent { desc } => Refusal::die(format!("Agent error: {desc}")),
            e => Refusal::die(e.to_string()),
        })
    }

    pub(super) async fn agent_ping(&self, vmid: u32) -> Answer {
        self.agent_vm(vmid).await?;
        Ok(json!({"result": {}}))
    }

    /// Calls without parameters whose answer Proxmox passes on under `result`.
    pub(super) async fn agent_query(&self, vmid: u32, command: &str) -> Answer {
        let guest = match command {
            "network-get-interfaces" => "guest-network-get-interfaces",
            "get-osinfo" => "guest-get-osinfo",
            "get-time" => "guest-get-time",
            _ => "guest-info",
        };
        Ok(json!({"result": self.agent_call(vmid, guest, json!({})).await?}))
    }

    /// `POST .../agent/exec`. A command that cannot be run ends in 596, as observed on the real thing.
    pub(super) async fn agent_exec(&self, vmid: u32, p: &Params) -> Answer {
        p.check(&[("command", Kind::List, true), ("input-data", Kind::Text, false)])?;
        let command = p.all("command");
        let (path, args) = command
            .split_first()
            .ok_or_else(|| Refusal::parameter("command", "is empty"))?;
        let mut call = json!({"path": path, "arg": args, "capture-output": true});
        if let Some(input) = p.get("input-data") {
            if input.len() > 65_536 {
                return Err(Refusal::parameter(
                    "input-data",
                    "value may only be 65536 characters long",
                ));
            }
            call["input-data"] = json!(STANDARD.encode(input));
        }
        match self.agent_call(vmid, "guest-exec", call).await {
            Ok(v) => Ok(json!({"pid": v["pid"]})),
            Err(r) if r.reason.contains("Failed to execute child process") => Err(Refusal::broken_pipe()),
            Err(r) => Err(r),
        }
    }

    /// `GET .../agent/exec-status`. The first answer about a finished process removes it.
    pub(super) async fn agent_exec_status(&self, vmid: u32, p: &Params) -> Answer {
        p.check(&[("pid", Kind::Number, true)])?;
        let pid = p.number("pid").unwrap_or_default();
        let v = match self.agent_call(vmid, "guest-exec-status", json!({"pid": pid})).await {
            Ok(v) => v,
            // Agents up to QEMU 9 name the parameter, later ones the number.
            Err(r) if r.reason.contains("PID") || r.reason.contains("'pid'") => {
                return Err(Refusal::die(format!("Agent error: PID {pid} does not exist")));
            }
            Err(r) => return Err(r),
        };
        if v["exited"] != true {
            return Ok(json!({"exited": 0}));
        }
        let mut out = json!({"exited": 1});
        for key in ["exitcode", "signal"] {
            if !v[key].is_null() {
                out[key] = v[key].clone();
            }
        }
        for stream in ["out", "err"] {
            let Some(data) = v[format!("{stream}-data")].as_str() else {
                continue;
            };
            let bytes = STANDARD.decode(data).unwrap_or_default();
            if bytes.is_empty() {
                continue;
            }
            out[format!("{stream}-data")] = json!(String::from_utf8_lossy(&bytes));
            out[format!("{stream}-truncated")] = json!(u8::from(v[format!("{stream}-truncated")] == true));
        }
        Ok(out)
    }

    pub(super) async fn agent_file_read(&self, vmid: u32, p: &Params) -> Answer {
        p.check(&[("file", Kind::Text, true)])?;
        let open = json!({"path": p.get("file"), "mode": "r"});
        let handle = self.agent_call(vmid, "guest-file-open", open).await?;
        let mut content = Vec::new();
        let read = async {
            while content.len() < READ_LIMIT {
                let part = self
                    .agent_call(vmid, "guest-file-read", json!({"handle": handle, "count": 1 << 20}))
                    .await?;
                let bytes = STANDARD
                    .decode(part["buf-b64"].as_str().unwrap_or_default())
                    .unwrap_or_default();
                content.extend_from_slice(&bytes);
                if bytes.is_empty() || part["eof"] == true {
                    break;
                }
            }
            Ok::<_, Refusal>(())
        }
        .await;
        self.agent_call(vmid, "guest-file-close", json!({"handle": handle}))
            .await?;
        read?;
        // Proxmox answers each byte as the character of that number, so that any file comes through.
        let text: String = content.iter().copied().map(char::from).collect();
        let mut out = json!({"content": text, "bytes-read": content.len()});
        if content.len() >= READ_LIMIT {
            out["truncated"] = json!(1);
        }
        Ok(out)
    }

    pub(super) async fn agent_file_write(&self, vmid: u32, p: &Params) -> Answer {
        p.check(&[
            ("file", Kind::Text, true),
            ("content", Kind::Text, true),
            ("encode", Kind::Bool, false),
        ])?;
        let content = p.get("content").unwrap_or_default();
        if content.len() > WRITE_LIMIT {
            return Err(Refusal::parameter(
                "content",
                format!("value may only be {WRITE_LIMIT} characters long"),
            ));
        }
        // `encode=0` says that it is base64 already.
        let encoded = if p.get("encode") == Some("0") {
            content.to_string()
        } else {
            STANDARD.encode(content)
        };
        let open = json!({"path": p.get("file"), "mode": "wb"});
        let handle = self.agent_call(vmid, "guest-file-open", open).await?;
        let written = self
            .agent_call(vmid, "guest-file-write", json!({"handle": handle, "buf-b64": encoded}))
            .await;
        self.agent_call(vmid, "guest-file-close", json!({"handle": handle}))
            .await?;
        written.map(|_| Value::Null)
    }
}
