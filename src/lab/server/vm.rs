//! A machine as the lab keeps it: a folder with its configuration and disk, and its QEMU when it runs.

use super::config::{self, Config};
use super::{NODE, TEMPLATE_VMID, locked};
use crate::lab::qemu::{self, Vm};
use crate::lab::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What is kept on disk about a machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Record {
    /// Configuration.
    pub config: Config,
    /// Snapshots by name.
    #[serde(default)]
    pub snapshots: BTreeMap<String, Snapshot>,
    /// Whether the disk has been made, which happens at the first start.
    #[serde(default)]
    pub disk: bool,
}

/// A snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Snapshot {
    /// What a person wrote.
    #[serde(default)]
    pub description: String,
    /// Whether it holds the RAM.
    pub vmstate: bool,
    /// Seconds since the epoch.
    pub snaptime: i64,
    /// The configuration of that moment.
    pub config: Config,
}

/// A machine.
pub(super) struct Entry {
    /// Its number.
    pub vmid: u32,
    /// Its folder.
    pub dir: PathBuf,
    record: Mutex<Record>,
    running: Mutex<Option<Arc<Vm>>>,
    /// Held while a task changes the machine; Proxmox's config lock.
    pub busy: tokio::sync::Mutex<()>,
}

impl Entry {
    pub fn new(vmid: u32, dir: PathBuf, record: Record) -> Entry {
        Entry {
            vmid,
            dir,
            record: Mutex::new(record),
            running: Mutex::new(None),
            busy: tokio::sync::Mutex::new(()),
        }
    }

    pub fn record(&self) -> Record {
        locked(&self.record).clone()
    }

    pub fn config(&self) -> Config {
        locked(&self.record).config.clone()
    }

    /// Changes the record and writes it. Nothing changes where `f` refuses.
    pub fn update<T, E: From<Error>>(&self, f: impl FnOnce(&mut Record) -> Result<T, E>) -> Result<T, E> {
        let mut record = locked(&self.record);
        let mut next = record.clone();
        let answer = f(&mut next)?;
        write(&self.dir, &next)?;
        *record = next;
        Ok(answer)
    }

    /// The running QEMU. One that has ended is noticed here.
    pub fn running(&self) -> Option<Arc<Vm>> {
        let mut running = locked(&self.running);
        if running.as_ref().is_some_and(|vm| vm.process().ended().is_some()) {
            *running = None;
        }
        running.clone()
    }

    pub fn set_running(&self, vm: Option<Arc<Vm>>) {
        *locked(&self.running) = vm;
    }

    /// Pulls the plug, if it is in.
    pub async fn power_off(&self) {
        let vm = locked(&self.running).take();
        if let Some(vm) = vm {
            vm.stop().await;
        }
    }

    /// What the lists show.
    pub fn summary(&self) -> Value {
        let c = self.config();
        let running = self.running();
        let mut v = json!({
            "vmid": self.vmid, "name": c.get("name").cloned().unwrap_or_else(|| format!("VM {}", self.vmid)),
            "status": if running.is_some() { "running" } else { "stopped" },
            "cpus": c.get("cores").and_then(|n| n.parse::<u32>().ok()).unwrap_or(1),
            "maxmem": c.get("memory").and_then(|n| n.parse::<u64>().ok()).unwrap_or(512) << 20,
            "uptime": running.as_ref().map_or(0, |r| r.uptime().as_secs()),
        });
        if let Some(r) = running {
            v["pid"] = json!(r.process().pid());
        }
        for key in ["tags", "lock"] {
            if let Some(t) = c.get(key) {
                v[key] = json!(t);
            }
        }
        if c.contains_key("template") {
            v["template"] = json!(1);
        }
        v
    }

    /// What `/cluster/resources` shows.
    pub fn resource(&self) -> Value {
        let mut v = self.summary();
        v["id"] = json!(format!("qemu/{}", self.vmid));
        v["type"] = json!("qemu");
        v["node"] = json!(NODE);
        v["template"] = json!(u8::from(v["template"] == 1));
        if let Some(cpus) = v.as_object_mut().and_then(|o| o.remove("cpus")) {
            v["maxcpu"] = cpus;
        }
        v
    }
}

const FILE: &str = "vm.json";

fn write(dir: &Path, record: &Record) -> Result<()> {
    let (path, fresh) = (dir.join(FILE), dir.join("vm.json.new"));
    let text = serde_json::to_vec_pretty(record).map_err(|e| Error::BadFile {
        path: path.clone(),
        why: e.to_string(),
    })?;
    // On disk before it takes the old one's place: a record that cannot be read is a machine that cannot be had.
    let mut file = std::fs::File::create(&fresh).map_err(Error::io("create", &fresh))?;
    std::io::Write::write_all(&mut file, &text).map_err(Error::io("write", &fresh))?;
    file.sync_all().map_err(Error::io("write", &fresh))?;
    std::fs::rename(&fresh, &path).map_err(Error::io("write", &path))
}

/// Makes the folder and record of a new machine.
pub(super) fn create(vms: &Path, vmid: u32, record: Record) -> Result<Entry> {
    let dir = vms.join(vmid.to_string());
    std::fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
    write(&dir, &record)?;
    Ok(Entry::new(vmid, dir, record))
}

/// The machines of an earlier process: all are stopped, and clones that it did not finish are gone.
pub(super) fn load(vms: &Path) -> Result<BTreeMap<u32, Arc<Entry>>> {
    let mut out = BTreeMap::new();
    let template = Record {
        config: config::template(),
        ..Default::default()
    };
    out.insert(
        TEMPLATE_VMID,
        Arc::new(Entry::new(TEMPLATE_VMID, vms.join("template"), template)),
    );
    for entry in std::fs::read_dir(vms).map_err(Error::io("read", vms))?.flatten() {
        let dir = entry.path();
        let Some(vmid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        qemu::sweep(&dir);
        let path = dir.join(FILE);
        let record: Option<Record> = match std::fs::read(&path) {
            Ok(text) => Some(serde_json::from_slice(&text).map_err(|e| Error::BadFile {
                path: path.clone(),
                why: format!(
                    "the record of VM {vmid} cannot be read ({e}); without it the VM and its disk are removed"
                ),
            })?),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(Error::io("read", &path)(e)),
        };
        match record.filter(|r| r.config.get("lock").is_none_or(|l| l != "clone")) {
            Some(r) => {
                out.insert(vmid, Arc::new(Entry::new(vmid, dir, r)));
            }
            // Nobody will finish it, and in the lab nobody has to be asked.
            None => {
                tracing::warn!(vmid, "removing a clone that was not finished");
                std::fs::remove_dir_all(&dir).map_err(Error::io("remove", &dir))?;
            }
        }
    }
    Ok(out)
}
