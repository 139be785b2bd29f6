//! A running virtual machine.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::agent::Agent;
use super::argv::{Machine, PassedDevice, shell_quote};
use super::process::{Process, RunDir};
use super::qmp::Qmp;
use crate::lab::{Error, Result};

/// Longest time for writing or reading a snapshot.
pub const SNAPSHOT_DEADLINE: Duration = Duration::from_secs(300);

/// A VM whose QEMU runs; dropping it pulls the plug.
#[derive(Debug)]
pub struct Vm {
    vmid: u32,
    process: Process,
    qmp: Qmp,
    agent: Option<Agent>,
    dir: RunDir,
    started: Instant,
}

impl Vm {
    /// Starts a machine in a directory that holds its disk, from `incoming` RAM if given. It runs when this returns.
    pub async fn start(vmid: u32, dir: &Path, machine: &Machine, incoming: Option<&Path>) -> Result<Vm> {
        // A resumed guest gets its devices afterwards: they are not in the saved state.
        let mut plain = machine.clone();
        if incoming.is_some() {
            plain.passed.clear();
        }
        let process = Process::start(dir, &plain.argv(incoming)).await?;
        let dir = RunDir::open(dir)?;
        let started = Instant::now();
        let qmp = loop {
            if let Some(status) = process.ended() {
                return Err(Error::QemuExited {
                    vmid,
                    status: status.to_string(),
                    tail: process.last_words(),
                });
            }
            match Qmp::connect(&dir.socket("qmp.sock")).await {
                Ok(q) => break q,
                Err(e) if started.elapsed() > Duration::from_secs(15) => return Err(e),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        let agent = machine.agent.then(|| Agent::new(dir.socket("agent.sock")));
        let vm = Vm {
            vmid,
            process,
            qmp,
            agent,
            dir,
            started,
        };
        vm.until_running().await?;
        if incoming.is_some() {
            for (n, d) in machine.passed.iter().enumerate() {
                let id = format!("hostpci{}", d.index);
                vm.qmp
                    .execute(
                        "device_add",
                        json!({"driver": d.driver, "id": id, "bus": format!("port{n}")}),
                    )
                    .await?;
            }
        }
        Ok(vm)
    }

    async fn until_running(&self) -> Result<()> {
        const LIMIT: Duration = Duration::from_secs(60);
        let mut seen = "silent".to_string();
        loop {
            if let Some(status) = self.process.ended() {
                let tail = self.process.last_words();
                return Err(Error::QemuExited {
                    vmid: self.vmid,
                    status: status.to_string(),
                    tail,
                });
            }
            if self.started.elapsed() > LIMIT {
                return Err(Error::Timeout {
                    what: format!("start of VM {}", self.vmid),
                    seconds: LIMIT.as_secs(),
                    detail: format!(" (it is {seen})"),
                });
            }
            match self.status().await {
                Ok(s) if s == "running" => return Ok(()),
                Ok(s) => {
                    if s == "paused" {
                        self.qmp.execute("cont", json!({})).await?;
                    }
                    seen = s;
                }
                // A QEMU that ends between two lines of this loop is seen at its beginning.
                Err(e) => seen = format!("not answering: {e}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// QEMU's run state: `running`, `paused`, `inmigrate`, `shutdown`, ...
    pub async fn status(&self) -> Result<String> {
        let v = self.qmp.execute("query-status", json!({})).await?;
        Ok(v["status"].as_str().unwrap_or("unknown").to_owned())
    }

    /// QEMU's process, its directory, its control socket, its agent.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The VM's directory.
    pub fn dir(&self) -> &RunDir {
        &self.dir
    }

    /// The control socket.
    pub fn qmp(&self) -> &Qmp {
        &self.qmp
    }

    /// The guest agent, if the machine has its channel.
    pub fn agent(&self) -> Option<&Agent> {
        self.agent.as_ref()
    }

    /// Time since QEMU was started.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Pulls the plug and waits until the process is gone.
    pub async fn stop(&self) {
        // `quit` closes the disk in order; a QEMU that hangs is killed.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.qmp.execute("quit", json!({}))).await;
        if tokio::time::timeout(Duration::from_secs(5), self.process.wait())
            .await
            .is_err()
        {
            self.process.kill();
            self.process.wait().await;
        }
    }

    /// Writes the RAM and device state to a file and stops QEMU, whose disk then belongs to that state.
    pub async fn save_and_quit(&self, file: &Path) -> Result<()> {
        self.qmp.execute("stop", json!({})).await?;
        self.qmp
            .execute("migrate-set-parameters", json!({"max-bandwidth": 1u64 << 40}))
            .await?;
        let uri = format!("exec:cat > {}", shell_quote(&file.to_string_lossy()));
        self.qmp.execute("migrate", json!({"uri": uri})).await?;
        let begun = Instant::now();
        loop {
            let v = self.qmp.execute("query-migrate", json!({})).await?;
            match v["status"].as_str() {
                Some("completed") => break,
                Some("failed" | "cancelled") => {
                    let desc = v["error-desc"].as_str().unwrap_or("failed").to_owned();
                    return Err(Error::Qmp {
                        command: "migrate".into(),
                        desc,
                    });
                }
                _ if begun.elapsed() > SNAPSHOT_DEADLINE => {
                    let what = "saving the RAM".into();
                    return Err(Error::Timeout {
                        what,
                        seconds: SNAPSHOT_DEADLINE.as_secs(),
                        detail: String::new(),
                    });
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        self.stop().await;
        Ok(())
    }

    /// Takes an internal snapshot of disk and RAM; the guest stands still meanwhile.
    pub async fn snapshot_save(&self, tag: &str) -> Result<()> {
        self.job(
            "snapshot-save",
            json!({"tag": tag, "vmstate": "disk0", "devices": ["disk0"]}),
        )
        .await
    }

    /// Goes back to an internal snapshot with RAM; the guest runs on from there.
    pub async fn snapshot_load(&self, tag: &str) -> Result<()> {
        // The agent's channel is part of the state: no client may be on it.
        let _turn = match &self.agent {
            Some(a) => Some(a.hold().await),
            None => None,
        };
        self.qmp.execute("stop", json!({})).await?;
        let loaded = self
            .job(
                "snapshot-load",
                json!({"tag": tag, "vmstate": "disk0", "devices": ["disk0"]}),
            )
            .await;
        // Also when there was nothing to load: the guest must not stand still for ever.
        let continued = self.qmp.execute("cont", json!({})).await;
        loaded?;
        continued.map(drop)
    }

    /// Takes an internal snapshot of the disk alone.
    pub async fn snapshot_disk(&self, tag: &str) -> Result<()> {
        self.qmp
            .execute(
                "blockdev-snapshot-internal-sync",
                json!({"device": "disk0", "name": tag}),
            )
            .await
            .map(drop)
    }

    /// Deletes an internal snapshot.
    pub async fn snapshot_delete(&self, tag: &str) -> Result<()> {
        self.job("snapshot-delete", json!({"tag": tag, "devices": ["disk0"]}))
            .await
    }

    async fn job(&self, command: &str, mut arguments: Value) -> Result<()> {
        let id = format!("lab-{:016x}", rand::random::<u64>());
        arguments["job-id"] = json!(id);
        self.qmp.execute(command, arguments).await?;
        let begun = Instant::now();
        loop {
            let jobs = self.qmp.execute("query-jobs", json!({})).await?;
            let job = jobs.as_array().and_then(|j| j.iter().find(|j| j["id"] == json!(id)));
            match job {
                Some(j) if j["status"] == "concluded" => {
                    let error = j["error"].as_str().map(str::to_owned);
                    self.qmp.execute("job-dismiss", json!({"id": id})).await?;
                    return match error {
                        Some(desc) => Err(Error::Qmp {
                            command: command.into(),
                            desc,
                        }),
                        None => Ok(()),
                    };
                }
                None => return Ok(()),
                _ if begun.elapsed() > SNAPSHOT_DEADLINE => {
                    let seconds = SNAPSHOT_DEADLINE.as_secs();
                    return Err(Error::Timeout {
                        what: command.into(),
                        seconds,
                        detail: String::new(),
                    });
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Sets the password of the VNC server for new connections within the next 30 s.
    pub async fn set_vnc_password(&self, password: &str) -> Result<()> {
        self.qmp
            .execute("set_password", json!({"protocol": "vnc", "password": password}))
            .await?;
        self.qmp
            .execute("expire_password", json!({"protocol": "vnc", "time": "+30"}))
            .await
            .map(drop)
    }

    /// Presses and releases keys together, by their QEMU names (`ctrl`, `alt`, `delete`, ...).
    pub async fn send_key(&self, keys: &[&str]) -> Result<()> {
        let keys: Vec<_> = keys.iter().map(|k| json!({"type": "qcode", "data": k})).collect();
        self.qmp.execute("send-key", json!({"keys": keys})).await.map(drop)
    }

    /// Resets the guest; QEMU stays.
    pub async fn reset(&self) -> Result<()> {
        self.qmp.execute("system_reset", json!({})).await.map(drop)
    }

    /// Presses the power button.
    pub async fn power_button(&self) -> Result<()> {
        self.qmp.execute("system_powerdown", json!({})).await.map(drop)
    }

    /// Tells a guest that was resumed from the template's RAM who it is and what time it is.
    pub async fn give_identity(&self, machine: &Machine) -> Result<()> {
        let Some(agent) = &self.agent else { return Ok(()) };
        let deadline = Duration::from_secs(10);
        let now = jiff::Timestamp::now().as_nanosecond() as i64;
        agent.execute("guest-set-time", json!({"time": now}), deadline).await?;
        let Some(mac) = &machine.mac else { return Ok(()) };
        let seed: [u8; 64] = rand::random();
        use base64::Engine as _;
        let input = base64::engine::general_purpose::STANDARD.encode(seed);
        let exec = json!({"path": "/usr/lib/lab/identity", "arg": [mac.to_lowercase()], "input-data": input,
            "capture-output": true});
        let pid = agent.execute("guest-exec", exec, deadline).await?["pid"].clone();
        let begun = Instant::now();
        loop {
            let s = agent
                .execute("guest-exec-status", json!({"pid": pid}), deadline)
                .await?;
            if s["exited"] == true {
                return match s["exitcode"].as_i64() {
                    Some(0) => Ok(()),
                    code => Err(Error::Agent {
                        desc: format!("/usr/lib/lab/identity ended with {code:?}"),
                    }),
                };
            }
            if begun.elapsed() > deadline {
                let what = "giving the clone its identity".into();
                return Err(Error::Timeout {
                    what,
                    seconds: deadline.as_secs(),
                    detail: String::new(),
                });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The stand-in device of this QEMU for passed-through ones.
pub fn stand_in(index: u8) -> PassedDevice {
    // `edu` is in every QEMU from 2.4 on; a neutral device with a BAR, no driver of the guest touches it.
    PassedDevice {
        index,
        driver: "edu".into(),
    }
}
