//! Looking at machines, and changing their configuration.

use super::access::User;
use super::answer::{Answer, Refusal};
use super::config::{self, Config};
use super::params::{Kind, Params};
use super::vm::Entry;
use super::{NODE, Node, TEMPLATE_VMID, locked};
use serde_json::{Value, json};
use std::sync::Arc;

impl Node {
    /// The machine, or Proxmox's refusal. The template is there only when it has been built.
    pub(super) fn entry(&self, vmid: u32) -> Result<Arc<Entry>, Refusal> {
        if vmid == TEMPLATE_VMID && self.template().is_none() {
            return Err(Refusal::die(crate::lab::Error::TemplateMissing.to_string()));
        }
        self.vm(vmid).ok_or_else(|| Refusal::no_vm(vmid))
    }

    fn entries(&self) -> Vec<Arc<Entry>> {
        let built = self.template().is_some();
        locked(&self.vms)
            .values()
            .filter(|e| built || e.vmid != TEMPLATE_VMID)
            .cloned()
            .collect()
    }

    /// `GET /nodes/{node}/qemu`.
    pub(super) fn list(&self) -> Answer {
        Ok(self.entries().iter().map(|e| e.summary()).collect())
    }

    /// `GET /cluster/resources`.
    pub(super) fn resources(&self, p: &Params) -> Answer {
        p.check(&[("type", Kind::Text, false)])?;
        let kind = p.get("type");
        let mut out: Vec<Value> = Vec::new();
        if kind.is_none_or(|k| k == "vm") {
            out.extend(self.entries().iter().map(|e| e.resource()));
        }
        if kind.is_none_or(|k| k == "node") {
            out.push(json!({"id": format!("node/{NODE}"), "type": "node", "node": NODE, "status": "online"}));
        }
        if kind.is_none_or(|k| k == "storage") {
            out.push(json!({
                "id": format!("storage/{NODE}/local"), "type": "storage", "node": NODE, "storage": "local",
                "status": "available", "content": "images", "plugintype": "dir",
            }));
        }
        Ok(Value::Array(out))
    }

    /// `GET /cluster/nextid`.
    pub(super) fn next_id(&self, p: &Params) -> Answer {
        p.check(&[("vmid", Kind::Number, false)])?;
        let vms = locked(&self.vms);
        if let Some(wanted) = p.number("vmid") {
            if u32::try_from(wanted).is_ok_and(|w| vms.contains_key(&w)) {
                return Err(Refusal::parameter("vmid", format!("VM {wanted} already exists")));
            }
            return Ok(json!(wanted.to_string()));
        }
        let free = (100..).find(|id| !vms.contains_key(id)).unwrap_or(100);
        Ok(json!(free.to_string()))
    }

    /// `GET .../status/current`.
    pub(super) async fn status(&self, vmid: u32) -> Answer {
        let entry = self.entry(vmid)?;
        let mut v = entry.summary();
        let state = match entry.running() {
            Some(vm) => vm.status().await.unwrap_or_else(|_| "unknown".into()),
            None => "stopped".into(),
        };
        v["qmpstatus"] = json!(state);
        v["ha"] = json!({"managed": 0});
        if entry.config().get("agent").is_some_and(|a| a.starts_with('1')) {
            v["agent"] = json!(1);
        }
        Ok(v)
    }

    /// `GET .../config`. What a running machine has that differs is pending only for the next start.
    pub(super) fn config_of(&self, vmid: u32, p: &Params) -> Answer {
        p.check(&[("current", Kind::Bool, false), ("snapshot", Kind::Text, false)])?;
        let record = self.entry(vmid)?.record();
        match p.get("snapshot") {
            Some(name) => match record.snapshots.get(name) {
                Some(s) => Ok(config::shown(&s.config)),
                None => Err(Refusal::die(format!("snapshot '{name}' does not exist"))),
            },
            None => Ok(config::shown(&record.config)),
        }
    }

    /// `GET .../pending`: nothing is pending in the lab but what the next start reads.
    pub(super) fn pending(&self, vmid: u32) -> Answer {
        let config = self.entry(vmid)?.config();
        Ok(config.iter().map(|(k, v)| json!({"key": k, "value": v})).collect())
    }

    /// `PUT .../config`, and what `POST` does in its task.
    pub(super) fn set_config(&self, vmid: u32, p: &Params, user: &User) -> Result<(), Refusal> {
        let entry = self.entry(vmid)?;
        entry.update(|r| {
            unlocked(&r.config)?;
            changed(vmid, &mut r.config, p, user)
        })
    }

    /// What `POST .../config` tells before its task: everything but a lock.
    pub(super) fn check_config(&self, vmid: u32, p: &Params, user: &User) -> Result<(), Refusal> {
        changed(vmid, &mut self.entry(vmid)?.config(), p, user)
    }
}

fn changed(vmid: u32, c: &mut Config, p: &Params, user: &User) -> Result<(), Refusal> {
    if vmid == TEMPLATE_VMID {
        return Err(Refusal::die(
            "the lab's template cannot be changed: change a clone of it instead",
        ));
    }
    let delete = p.all("delete");
    let delete: Vec<String> = delete
        .iter()
        .flat_map(|d| d.split(','))
        .map(|k| k.trim().to_string())
        .collect();
    let set: Vec<(String, String)> =
        p.0.iter()
            .filter(|(k, _)| k != "delete" && k != "digest")
            .cloned()
            .collect();
    if p.get("digest").is_some_and(|d| d != config::digest(c)) {
        return Err(Refusal::die("checksum mismatch (file change by other user?)"));
    }
    config::change(c, &set, &delete, user.is_root())
}

/// Refuses while a task has the machine.
pub(super) fn unlocked(c: &Config) -> Result<(), Refusal> {
    match c.get("lock") {
        Some(lock) => Err(Refusal::die(format!("VM is locked ({lock})"))),
        None => Ok(()),
    }
}
