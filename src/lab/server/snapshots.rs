//! Snapshots: of the disk, or of disk and RAM.

use super::access::User;
use super::answer::{Answer, Refusal};
use super::lifecycle::turn;
use super::params::{Kind, Params};
use super::vm::{Entry, Snapshot};
use super::{Node, config};
use crate::lab::Error;
use crate::lab::qemu::{Machine, qemu_img};
use serde_json::{Value, json};
use std::sync::Arc;

impl Node {
    /// `GET .../snapshot`: with the `current` state that Proxmox lists too.
    pub(super) fn snapshots(&self, vmid: u32) -> Answer {
        let entry = self.entry(vmid)?;
        let record = entry.record();
        let mut out: Vec<Value> = record
            .snapshots
            .iter()
            .map(|(name, s)| {
                json!({"name": name, "description": s.description, "snaptime": s.snaptime, "vmstate": u8::from(s.vmstate)})
            })
            .collect();
        out.push(json!({
            "name": "current", "description": "You are here!", "digest": config::digest(&record.config),
            "running": u8::from(entry.running().is_some()),
        }));
        Ok(Value::Array(out))
    }

    /// `POST .../snapshot`.
    pub(super) fn snapshot(self: &Arc<Self>, vmid: u32, p: &Params, user: &User) -> Answer {
        p.check(&[("snapname", Kind::Text, true), ("vmstate", Kind::Bool, false), ("description", Kind::Text, false)])?;
        let name = p.get("snapname").unwrap_or_default().to_string();
        if !is_name(&name) {
            return Err(Refusal::parameter("snapname", "invalid format - invalid configuration ID\n"));
        }
        let (vmstate, description) = (p.flag("vmstate"), p.get("description").unwrap_or_default().to_string());
        let entry = self.entry(vmid)?;
        Ok(Value::String(self.tasks.start("qmsnapshot", &vmid.to_string(), &user.id, |_| async move {
            let _turn = turn(&entry).await?;
            if entry.record().snapshots.contains_key(&name) {
                return Err(format!("snapshot name '{name}' already used"));
            }
            if !entry.record().disk {
                return Err("snapshot feature is not available: the VM was never started".into());
            }
            let text = |e: Error| e.to_string();
            let running = entry.running();
            match &running {
                Some(vm) if vmstate => vm.snapshot_save(&name).await.map_err(text)?,
                Some(vm) => vm.snapshot_disk(&name).await.map_err(text)?,
                None => {
                    let args = ["snapshot", "-c", name.as_str(), Machine::DISK];
                    qemu_img(&entry.dir, &args).await.map(drop).map_err(text)?;
                }
            }
            let ram = vmstate && running.is_some();
            entry
                .update(|r| {
                    let config = r.config.clone();
                    let snaptime = jiff::Timestamp::now().as_second();
                    r.snapshots.insert(name, Snapshot { description, vmstate: ram, snaptime, config });
                    Ok::<_, Error>(())
                })
                .map_err(text)
        })))
    }

    /// `POST .../snapshot/{name}/rollback`. Without RAM the machine is off afterwards unless `start=1`.
    pub(super) fn rollback(self: &Arc<Self>, vmid: u32, name: &str, p: &Params, user: &User) -> Answer {
        p.check(&[("start", Kind::Bool, false)])?;
        let start = p.flag("start");
        let (entry, name, node) = (self.entry(vmid)?, name.to_string(), self.clone());
        Ok(Value::String(self.tasks.start("qmrollback", &vmid.to_string(), &user.id, |_| async move {
            let _turn = turn(&entry).await?;
            let snapshot = known(&entry, &name)?;
            let text = |e: Error| e.to_string();
            if snapshot.vmstate {
                // The saved devices are those of the snapshot's configuration.
                restore(&entry, &snapshot).map_err(text)?;
                let vm = match entry.running() {
                    Some(vm) => vm,
                    None => node.power_on(&entry).await?,
                };
                return vm.snapshot_load(&name).await.map_err(text);
            }
            entry.power_off().await;
            let args = ["snapshot", "-a", name.as_str(), Machine::DISK];
            qemu_img(&entry.dir, &args).await.map_err(text)?;
            restore(&entry, &snapshot).map_err(text)?;
            if start {
                node.power_on(&entry).await?;
            }
            Ok(())
        })))
    }

    /// `DELETE .../snapshot/{name}`.
    pub(super) fn delete_snapshot(self: &Arc<Self>, vmid: u32, name: &str, user: &User) -> Answer {
        let (entry, name) = (self.entry(vmid)?, name.to_string());
        Ok(Value::String(self.tasks.start("qmdelsnapshot", &vmid.to_string(), &user.id, |_| async move {
            let _turn = turn(&entry).await?;
            known(&entry, &name)?;
            let text = |e: Error| e.to_string();
            match entry.running() {
                Some(vm) => vm.snapshot_delete(&name).await.map_err(text)?,
                None => {
                    let args = ["snapshot", "-d", name.as_str(), Machine::DISK];
                    qemu_img(&entry.dir, &args).await.map(drop).map_err(text)?;
                }
            }
            entry
                .update(|r| {
                    r.snapshots.remove(&name);
                    Ok::<_, Error>(())
                })
                .map_err(text)
        })))
    }
}

fn restore(entry: &Entry, snapshot: &Snapshot) -> Result<(), Error> {
    entry.update(|r| {
        r.config = snapshot.config.clone();
        Ok(())
    })
}

fn known(entry: &Entry, name: &str) -> Result<Snapshot, String> {
    entry.record().snapshots.get(name).cloned().ok_or_else(|| format!("snapshot '{name}' does not exist"))
}

/// At least two characters, the first a letter; `current` is taken.
fn is_name(name: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    name.len() >= 2
        && name.len() <= 40
        && name != "current"
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(rest)
}
