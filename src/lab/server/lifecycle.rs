//! Clone, start, stop, delete: each a task.

use super::access::User;
use super::answer::{Answer, Refusal};
use super::guests::unlocked;
use super::params::{Kind, Params};
use super::vm::{self, Entry, Record};
use super::{Node, TEMPLATE_VMID, config, locked, pci};
use crate::lab::Error;
use crate::lab::qemu::{Machine, Vm, qemu_img};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long a task waits for a machine that another task has, as Proxmox's config lock does.
const LOCK_WAIT: Duration = Duration::from_secs(10);

impl Node {
    /// `POST .../clone`. The answer's UPID carries the source's VMID.
    pub(super) fn clone_vm(self: &Arc<Self>, source: u32, p: &Params, user: &User) -> Answer {
        p.check(&[
            ("newid", Kind::Number, true),
            ("name", Kind::Name, false),
            ("description", Kind::Text, false),
            ("full", Kind::Bool, false),
            ("pool", Kind::Text, false),
            ("storage", Kind::Text, false),
            ("target", Kind::Text, false),
        ])?;
        let from = self.entry(source)?;
        let is_template = source == TEMPLATE_VMID;
        let full = p.get("full").map_or(!is_template, |f| f == "1");
        if !is_template {
            // The lab's machines stand on the template's files; only these may be shared.
            return Err(match full {
                true => Refusal::not_implemented("POST", "/nodes/lab/qemu/{vmid}/clone of a VM that is no template"),
                false => Refusal::die(format!("Linked clone feature is not supported for '{}'", "virtio0")),
            });
        }
        if let Some(other) = p.get("target").filter(|t| *t != super::NODE) {
            return Err(Refusal::parameter(
                "target",
                format!("no such cluster node '{other}'\n"),
            ));
        }
        if let Some(storage) = p.get("storage").filter(|s| *s != "local") {
            return Err(Refusal::die(format!("storage '{storage}' does not exist")));
        }
        if let Some(pool) = p.get("pool") {
            return Err(Refusal::die(format!("pool '{pool}' does not exist")));
        }
        let newid = p
            .number("newid")
            .and_then(|n| u32::try_from(n).ok())
            .filter(|n| (100..1_000_000_000).contains(n));
        let Some(newid) = newid else {
            return Err(Refusal::parameter(
                "newid",
                "invalid format - value does not look like a valid VM ID\n",
            ));
        };
        // The target exists from now on, under a lock, with nothing of the clone in it yet.
        let mut placeholder = config::Config::new();
        placeholder.insert("lock".into(), "clone".into());
        let entry = {
            let mut vms = locked(&self.vms);
            if vms.contains_key(&newid) {
                return Err(Refusal::die(format!(
                    "unable to create VM {newid}: config file already exists"
                )));
            }
            let record = Record {
                config: placeholder,
                ..Default::default()
            };
            let entry = Arc::new(vm::create(&self.dir.join("vms"), newid, record)?);
            vms.insert(newid, entry.clone());
            entry
        };
        let made = config::cloned(&from.config(), newid, p.get("name"), p.get("description"));
        let node = self.clone();
        // Made before the task: one that is aborted before it began drops it too.
        let mut half = HalfClone {
            node: node.clone(),
            entry,
            done: false,
        };
        Ok(Value::String(self.tasks.start(
            "qmclone",
            &source.to_string(),
            &user.id,
            |task| async move {
                task.say(format!("creating a clone of VM {source} with ID {newid}"));
                node.finish_clone(&half.entry, made, full).await?;
                half.keep();
                Ok(())
            },
        )))
    }

    async fn finish_clone(&self, entry: &Entry, made: config::Config, full: bool) -> Result<(), String> {
        let _turn = entry.busy.lock().await;
        if full {
            let template = self.template().ok_or_else(|| Error::TemplateMissing.to_string())?;
            let base = template.disk().to_string_lossy().into_owned();
            let args = ["convert", "-O", "qcow2", base.as_str(), Machine::DISK];
            qemu_img(&entry.dir, &args).await.map_err(|e| e.to_string())?;
        }
        entry
            .update(|r| {
                r.config = made;
                r.disk = full;
                Ok::<_, Error>(())
            })
            .map_err(|e| e.to_string())
    }

    fn forget(&self, entry: &Entry) {
        // The number is free when the folder is gone: a new machine of that number has the same one.
        if let Err(e) = std::fs::remove_dir_all(&entry.dir) {
            tracing::warn!("cannot remove {}: {e}", entry.dir.display());
        }
        pci::release(&mut locked(&self.pci), entry.vmid);
        locked(&self.vms).remove(&entry.vmid);
    }

    /// `POST .../status/start`. Refusals come from inside the task.
    pub(super) fn start(self: &Arc<Self>, vmid: u32, p: &Params, user: &User) -> Answer {
        p.check(&[("timeout", Kind::Number, false), ("skiplock", Kind::Bool, false)])?;
        refuse_skiplock(p, user)?;
        let node = self.clone();
        Ok(Value::String(self.tasks.start(
            "qmstart",
            &vmid.to_string(),
            &user.id,
            |_| async move {
                let entry = node.entry(vmid).map_err(|r| r.reason)?;
                let _turn = turn(&entry).await?;
                node.still(&entry)?;
                unlocked(&entry.config()).map_err(|r| r.reason)?;
                if entry.config().contains_key("template") {
                    return Err("you can't start a vm if it's a template".into());
                }
                if entry.running().is_some() {
                    return Err(format!("VM {vmid} already running"));
                }
                node.power_on(&entry)
                    .await
                    .map(drop)
                    .inspect_err(|_| pci::release(&mut locked(&node.pci), vmid))
            },
        )))
    }

    /// Starts QEMU: from the template's RAM at the first start, where the hardware allows it, else from power-off.
    pub(super) async fn power_on(&self, entry: &Entry) -> Result<Arc<Vm>, String> {
        let text = |e: Error| e.to_string();
        let template = self.template().ok_or_else(|| text(Error::TemplateMissing))?;
        let host = self.host(&template).await.map_err(text)?;
        let record = entry.record();
        let passed = {
            let mut reserved = locked(&self.pci);
            // What a machine had that is off by now (its guest switched itself off, its start was aborted) is free.
            reserved.retain(|_, vmid| {
                *vmid == entry.vmid
                    || self
                        .vm(*vmid)
                        .is_some_and(|other| other.running().is_some() || other.busy.try_lock().is_err())
            });
            pci::reserve(&mut reserved, entry.vmid, &record.config)?
        };
        let machine = config::machine(&record.config, &template, host.accel, passed);
        let ram = locked(&host.ram)
            .clone()
            .filter(|r| !record.disk && r.machine.same_hardware(&machine));
        let resumed = match &ram {
            Some(r) => {
                overlay(entry, &r.disk).await.map_err(text)?;
                let resumed = Vm::start(entry.vmid, &entry.dir, &machine, Some(&r.ram)).await;
                resumed.map_err(|e| tracing::warn!(vmid = entry.vmid, "resuming from the template's RAM: {e}"))
            }
            None => Err(()),
        };
        let (vm, resumed) = match resumed {
            Ok(vm) => (vm, true),
            Err(()) => {
                if !record.disk {
                    overlay(entry, &template.disk()).await.map_err(text)?;
                }
                let vm = Vm::start(entry.vmid, &entry.dir, &machine, None).await.map_err(text)?;
                if let Some(r) = ram {
                    tracing::warn!(
                        "{} does not load and is not used any more; to have it made anew, remove its folder and run \
                         `mosdat lab template build`",
                        r.ram.display()
                    );
                    *locked(&host.ram) = None;
                }
                (vm, false)
            }
        };
        let vm = Arc::new(vm);
        entry
            .update(|r| {
                r.disk = true;
                Ok::<_, Error>(())
            })
            .map_err(text)?;
        if resumed {
            // Before this the guest still believes to be the template.
            vm.give_identity(&machine).await.map_err(text)?;
        }
        entry.set_running(Some(vm.clone()));
        Ok(vm)
    }

    /// `POST .../status/stop`: pulls the plug. Of a machine that is off, this is nothing to do.
    pub(super) fn stop(self: &Arc<Self>, vmid: u32, p: &Params, user: &User) -> Answer {
        p.check(&[
            ("timeout", Kind::Number, false),
            ("skiplock", Kind::Bool, false),
            ("overrule-shutdown", Kind::Bool, false),
        ])?;
        refuse_skiplock(p, user)?;
        let node = self.clone();
        if p.flag("overrule-shutdown") {
            self.tasks.abort_of("qmshutdown", &vmid.to_string());
        }
        Ok(Value::String(self.tasks.start(
            "qmstop",
            &vmid.to_string(),
            &user.id,
            |_| async move {
                let entry = node.entry(vmid).map_err(|r| r.reason)?;
                let _turn = turn(&entry).await?;
                unlocked(&entry.config()).map_err(|r| r.reason)?;
                entry.power_off().await;
                pci::release(&mut locked(&node.pci), vmid);
                Ok(())
            },
        )))
    }

    /// `POST .../status/shutdown`: through the agent where the machine has one, else the power button.
    pub(super) fn shutdown(self: &Arc<Self>, vmid: u32, p: &Params, user: &User) -> Answer {
        p.check(&[
            ("timeout", Kind::Number, false),
            ("forceStop", Kind::Bool, false),
            ("skiplock", Kind::Bool, false),
        ])?;
        refuse_skiplock(p, user)?;
        let limit = Duration::from_secs(p.number("timeout").unwrap_or(180));
        let force = p.flag("forceStop");
        let node = self.clone();
        Ok(Value::String(self.tasks.start(
            "qmshutdown",
            &vmid.to_string(),
            &user.id,
            |_| async move {
                let entry = node.entry(vmid).map_err(|r| r.reason)?;
                let _turn = turn(&entry).await?;
                let Some(vm) = entry.running() else { return Ok(()) };
                let asked = match vm.agent() {
                    // The agent does not answer this one: the guest is going down.
                    Some(agent) => agent
                        .execute("guest-shutdown", json!({"mode": "powerdown"}), Duration::from_secs(3))
                        .await
                        .map(drop),
                    None => vm.power_button().await,
                };
                if let Err(e) = asked {
                    tracing::debug!(vmid, "asking for a shutdown: {e}");
                }
                if tokio::time::timeout(limit, vm.process().wait()).await.is_err() {
                    if !force {
                        return Err("VM quit/powerdown failed - got timeout".into());
                    }
                    vm.stop().await;
                }
                entry.set_running(None);
                pci::release(&mut locked(&node.pci), vmid);
                Ok(())
            },
        )))
    }

    /// `POST .../status/reset`.
    pub(super) async fn reset(self: &Arc<Self>, vmid: u32, p: &Params, user: &User) -> Answer {
        p.check(&[("skiplock", Kind::Bool, false)])?;
        refuse_skiplock(p, user)?;
        let vm = self
            .entry(vmid)?
            .running()
            .ok_or_else(|| Refusal::die(format!("VM {vmid} not running")))?;
        Ok(Value::String(self.tasks.start(
            "qmreset",
            &vmid.to_string(),
            &user.id,
            |_| async move { vm.reset().await.map_err(|e| e.to_string()) },
        )))
    }

    /// `DELETE /nodes/{node}/qemu/{vmid}`. A running machine is refused at once.
    pub(super) fn destroy(self: &Arc<Self>, vmid: u32, p: &Params, user: &User) -> Answer {
        p.check(&[
            ("purge", Kind::Bool, false),
            ("destroy-unreferenced-disks", Kind::Bool, false),
            ("skiplock", Kind::Bool, false),
        ])?;
        refuse_skiplock(p, user)?;
        let entry = self.entry(vmid)?;
        if entry.running().is_some() {
            return Err(Refusal::die(format!("VM {vmid} is running - destroy failed")));
        }
        unlocked(&entry.config())?;
        let node = self.clone();
        Ok(Value::String(self.tasks.start("qmdestroy", &vmid.to_string(), &user.id, |_| async move {
            let _turn = turn(&entry).await?;
            node.still(&entry)?;
            if vmid == TEMPLATE_VMID {
                return Err("base volume 'local:9000/base-9000-disk-0.qcow2' belongs to the lab; delete its cache folder instead".into());
            }
            if entry.running().is_some() {
                return Err(format!("VM {vmid} is running - destroy failed"));
            }
            node.forget(&entry);
            Ok(())
        })))
    }
}

/// Makes a machine's disk, on top of another one.
async fn overlay(entry: &Entry, base: &std::path::Path) -> Result<(), Error> {
    let base = base.to_string_lossy();
    let args = [
        "create",
        "-q",
        "-f",
        "qcow2",
        "-b",
        base.as_ref(),
        "-F",
        "qcow2",
        Machine::DISK,
    ];
    qemu_img(&entry.dir, &args).await.map(drop)
}

/// A clone under way; what is not done when this is dropped leaves nothing behind.
struct HalfClone {
    node: Arc<Node>,
    entry: Arc<Entry>,
    done: bool,
}

impl HalfClone {
    /// The clone is whole.
    fn keep(&mut self) {
        self.done = true;
    }
}

impl Drop for HalfClone {
    fn drop(&mut self) {
        if !self.done {
            self.node.forget(&self.entry);
        }
    }
}

fn refuse_skiplock(p: &Params, user: &User) -> Result<(), Refusal> {
    match p.get("skiplock") {
        Some(_) if !user.is_root() => Err(Refusal::parameter("skiplock", "Only root may use this option.")),
        _ => Ok(()),
    }
}

/// Waits for the machine's turn.
pub(super) async fn turn(entry: &Entry) -> Result<tokio::sync::MutexGuard<'_, ()>, String> {
    tokio::time::timeout(LOCK_WAIT, entry.busy.lock()).await.map_err(|_| {
        format!(
            "can't lock file '/var/lock/qemu-server/lock-{}.conf' - got timeout",
            entry.vmid
        )
    })
}
