//! The QEMU guest agent through the API.

use super::client::Client;
use super::qemu::vm_path;
use super::{Error, ErrorKind, lenient};
use base64::Engine;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

/// Most bytes that `file-write` takes: 60 KiB of base64.
const MAX_WRITE: usize = 61440 / 4 * 3;
/// Most bytes that [`Client::agent_exec`] takes as input.
pub const MAX_INPUT: usize = 64 * 1024;

/// A network card as the guest sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Name in the guest.
    pub name: String,
    /// Hardware address in lower case.
    pub mac: Option<String>,
    /// Addresses, without prefix length.
    pub addresses: Vec<std::net::IpAddr>,
}

/// What runs in the guest, as `/etc/os-release` and `uname` have it. Windows gives all of them too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct OsInfo {
    /// Such as `debian` or `mswindows`.
    pub id: String,
    /// Such as `Debian GNU/Linux`.
    pub name: String,
    /// Name with version, for people.
    pub pretty_name: String,
    /// Such as `13`.
    pub version_id: String,
    /// Such as `6.12.0`.
    pub kernel_release: String,
    /// Such as `x86_64`.
    pub machine: String,
}

/// Where a command in the guest stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentExecStatus {
    /// Whether it has ended.
    pub exited: bool,
    /// Exit code, when it ended by itself.
    pub exitcode: Option<i32>,
    /// Signal (or Windows exception), when it was killed.
    pub signal: Option<i32>,
    /// Standard output.
    pub out_data: String,
    /// Standard error.
    pub err_data: String,
    /// Whether output was cut off.
    pub out_truncated: bool,
    /// Whether error output was cut off.
    pub err_truncated: bool,
}

#[derive(Deserialize)]
struct Pid {
    #[serde(deserialize_with = "lenient::de_number")]
    pid: u64,
}

impl Client {
    /// Whether the agent answers; [`ErrorKind::AgentNotRunning`] when it does not.
    pub async fn agent_ping(&self, node: &str, vmid: u32) -> Result<(), Error> {
        self.post::<Value>(&vm_path(node, vmid, "/agent/ping"), vec![])
            .await
            .map(|_| ())
    }

    /// The guest's network cards.
    pub async fn agent_network(&self, node: &str, vmid: u32) -> Result<Vec<Interface>, Error> {
        let v: Value = self
            .get(&vm_path(node, vmid, "/agent/network-get-interfaces"), vec![])
            .await?;
        Ok(interfaces(&v))
    }

    /// The guest's operating system.
    pub async fn agent_osinfo(&self, node: &str, vmid: u32) -> Result<OsInfo, Error> {
        #[derive(Deserialize)]
        struct Answer {
            result: OsInfo,
        }
        let answer: Answer = self.get(&vm_path(node, vmid, "/agent/get-osinfo"), vec![]).await?;
        Ok(answer.result)
    }

    /// Starts a command; its process id in the guest. `command[0]` is the file to run, no shell is involved.
    pub async fn agent_exec(
        &self,
        node: &str,
        vmid: u32,
        command: &[String],
        input: Option<&[u8]>,
    ) -> Result<u64, Error> {
        let path = vm_path(node, vmid, "/agent/exec");
        let mut form: Vec<(&str, String)> = command.iter().map(|c| ("command", c.clone())).collect();
        if let Some(input) = input {
            let text = match std::str::from_utf8(input) {
                Ok(t) if input.len() <= MAX_INPUT => t,
                Ok(_) => {
                    let m = format!("the input has {} bytes, the agent takes {MAX_INPUT}", input.len());
                    return Err(self.error(0, "POST", &path, ErrorKind::Parameter, m));
                }
                Err(_) => {
                    let m = "the input is not UTF-8; write it to a file in the guest instead";
                    return Err(self.error(0, "POST", &path, ErrorKind::Parameter, m));
                }
            };
            form.push(("input-data", text.to_string()));
        }
        Ok(self.post::<Pid>(&path, form).await?.pid)
    }

    /// State of a command. The first answer after its end removes it: one reader per process id. When that answer
    /// is lost on the way, so is the result, and asking again is [`ErrorKind::NotFound`].
    pub async fn agent_exec_status(&self, node: &str, vmid: u32, pid: u64) -> Result<AgentExecStatus, Error> {
        let v: Value = self
            .get(
                &vm_path(node, vmid, "/agent/exec-status"),
                vec![("pid", pid.to_string())],
            )
            .await?;
        Ok(exec_status(&v))
    }

    /// Reads a file of at most 16 MiB.
    pub async fn agent_file_read(&self, node: &str, vmid: u32, file: &str) -> Result<Vec<u8>, Error> {
        let path = vm_path(node, vmid, "/agent/file-read");
        let (v, at) = self.call(Method::GET, &path, vec![("file", file.to_string())]).await?;
        if v.get("truncated").is_some_and(lenient::boolean) {
            let m = format!("{file} in VM {vmid} is larger than the agent's 16 MiB");
            return Err(self.error(at, "GET", &path, ErrorKind::Parameter, m));
        }
        Ok(v.get("content").and_then(Value::as_str).map(bytes).unwrap_or_default())
    }

    /// Writes a file of at most 45 KiB.
    pub async fn agent_file_write(&self, node: &str, vmid: u32, file: &str, content: &[u8]) -> Result<(), Error> {
        let path = vm_path(node, vmid, "/agent/file-write");
        if content.len() > MAX_WRITE {
            let m = format!(
                "{} bytes for {file}, the agent takes {MAX_WRITE} at once",
                content.len()
            );
            return Err(self.error(0, "POST", &path, ErrorKind::Parameter, m));
        }
        let form = vec![
            ("file", file.to_string()),
            ("content", base64::engine::general_purpose::STANDARD.encode(content)),
            ("encode", "0".to_string()),
        ];
        self.post::<Value>(&path, form).await.map(|_| ())
    }
}

/// Proxmox answers bytes as characters U+0000 to U+00FF; anything above means that it decoded the text.
fn bytes(content: &str) -> Vec<u8> {
    let latin: Option<Vec<u8>> = content.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    latin.unwrap_or_else(|| content.as_bytes().to_vec())
}

fn interfaces(v: &Value) -> Vec<Interface> {
    let rows = v.get("result").and_then(Value::as_array).cloned().unwrap_or_default();
    rows.iter()
        .map(|r| Interface {
            name: r.get("name").and_then(Value::as_str).unwrap_or_default().to_string(),
            mac: r
                .get("hardware-address")
                .and_then(Value::as_str)
                .map(str::to_ascii_lowercase),
            addresses: r
                .get("ip-addresses")
                .and_then(Value::as_array)
                .map(|a| {
                    a.iter()
                        .filter_map(|x| x.get("ip-address")?.as_str()?.parse().ok())
                        .collect()
                })
                .unwrap_or_default(),
        })
        .collect()
}

fn exec_status(v: &Value) -> AgentExecStatus {
    // Exit codes of Windows come as negative numbers, or as those beyond 31 bits.
    let int = |k: &str| v.get(k).and_then(lenient::signed).map(|n| n as i32);
    let text = |k: &str| v.get(k).and_then(Value::as_str).unwrap_or_default().to_string();
    let flag = |k: &str| v.get(k).is_some_and(lenient::boolean);
    AgentExecStatus {
        exited: flag("exited"),
        exitcode: int("exitcode"),
        signal: int("signal"),
        out_data: text("out-data"),
        err_data: text("err-data"),
        out_truncated: flag("out-truncated"),
        err_truncated: flag("err-truncated"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn file_content_is_bytes() {
        assert_eq!(bytes("\u{c3}\u{a9}"), "é".as_bytes());
        assert_eq!(bytes("→"), "→".as_bytes());
    }

    #[test]
    fn statuses() {
        assert!(!exec_status(&json!({"exited": 0})).exited);
        let s = exec_status(&json!({"exited": 1, "exitcode": 3, "out-data": "x", "out-truncated": "1"}));
        assert_eq!(
            (s.exited, s.exitcode, s.out_data.as_str(), s.out_truncated),
            (true, Some(3), "x", true)
        );
    }

    #[test]
    fn exit_codes_of_windows() {
        for told in [json!(-1073741819), json!(3221225477_i64), json!("-1073741819")] {
            let s = exec_status(&json!({"exited": 1, "signal": told}));
            assert_eq!((s.signal, s.exitcode), (Some(-1073741819), None));
        }
    }

    #[test]
    fn cards_without_addresses() {
        let v = json!({"result": [{"name": "eth0", "hardware-address": "BC:24:11:00:00:01"}]});
        assert_eq!(interfaces(&v)[0].mac.as_deref(), Some("bc:24:11:00:00:01"));
    }
}
