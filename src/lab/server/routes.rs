//! Which request does what.

use super::access::User;
use super::answer::{Answer, Refusal};
use super::params::Params;
use super::{NODE, Node, pci};
use serde_json::{Value, json};
use std::sync::Arc;

impl Node {
    /// Carries a request out. `path` is what follows `/api2/json/`.
    pub(super) async fn dispatch(self: &Arc<Self>, method: &str, path: &str, p: &Params, user: &User) -> Answer {
        let parts: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        match (method, parts.as_slice()) {
            ("GET", ["version"]) => Ok(json!({"version": "9.1.7", "release": "9.1", "repoid": "mosdat-lab"})),
            ("GET", ["access", "permissions"]) => self.access.permissions(),
            ("GET", ["cluster", "resources"]) => self.resources(p),
            ("GET", ["cluster", "nextid"]) => self.next_id(p),
            ("GET", ["cluster", "tasks"]) => self.tasks.list(&Params(vec![("source".into(), "all".into())])),
            ("GET", ["cluster", "mapping", "pci"]) => pci::mappings(),
            ("GET", ["cluster", "mapping", "pci", id]) => pci::mapping(id),
            ("GET", ["nodes"]) => Ok(json!([{
                "node": NODE, "status": "online", "type": "node", "id": format!("node/{NODE}"), "level": "",
            }])),
            ("GET", ["storage"]) => Ok(json!([{"storage": "local", "type": "dir", "content": "images"}])),
            (_, ["nodes", node, ..]) if *node != NODE => Err(Refusal::die(format!(
                "hostname lookup '{node}' failed - failed to get address info for: {node}: Name or service not known"
            ))),
            (_, ["nodes", _, rest @ ..]) => self.on_node(method, path, rest, p, user).await,
            _ => Err(Refusal::not_implemented(method, &format!("/{path}"))),
        }
    }

    async fn on_node(self: &Arc<Self>, method: &str, path: &str, parts: &[&str], p: &Params, user: &User) -> Answer {
        match (method, parts) {
            ("GET", ["status"]) => {
                Ok(json!({"pveversion": "pve-manager/9.1.7/mosdat-lab", "cpuinfo": {"cpus": cpus()}}))
            }
            ("GET", ["hardware", "pci"]) => pci::hardware(),
            ("GET", ["storage"]) => Ok(json!([{
                "storage": "local", "type": "dir", "content": "images", "active": 1, "enabled": 1, "shared": 0,
            }])),
            ("GET", ["storage", "local", "content"]) => self.content(),
            ("GET", ["tasks"]) => self.tasks.list(p),
            ("GET", ["tasks", upid, "status"]) => self.tasks.status(upid),
            ("GET", ["tasks", upid, "log"]) => self.tasks.log(upid, p),
            ("DELETE", ["tasks", upid]) => self.tasks.abort(upid),
            ("GET", ["qemu"]) => self.list(),
            (_, ["qemu", vmid, rest @ ..]) => match vmid.parse::<u32>() {
                Ok(vmid) => self.on_vm(method, path, vmid, rest, p, user).await,
                Err(_) => Err(Refusal::parameter("vmid", "type check ('integer') failed")),
            },
            _ => Err(Refusal::not_implemented(method, &format!("/{path}"))),
        }
    }

    async fn on_vm(
        self: &Arc<Self>,
        method: &str,
        path: &str,
        vmid: u32,
        parts: &[&str],
        p: &Params,
        user: &User,
    ) -> Answer {
        match (method, parts) {
            ("DELETE", []) => self.destroy(vmid, p, user),
            ("GET", ["config"]) => self.config_of(vmid, p),
            ("PUT", ["config"]) => self.set_config(vmid, p, user).map(|()| Value::Null),
            ("POST", ["config"]) => {
                // Wrong parameters are told at once; what the machine's state forbids, in the task.
                self.check_config(vmid, p, user)?;
                let (node, p, user) = (self.clone(), p.clone(), user.clone());
                let id = user.id.clone();
                Ok(Value::String(self.tasks.start(
                    "qmconfig",
                    &vmid.to_string(),
                    &id,
                    |_| async move { node.set_config(vmid, &p, &user).map_err(|r| r.reason) },
                )))
            }
            ("GET", ["pending"]) => self.pending(vmid),
            ("POST", ["clone"]) => self.clone_vm(vmid, p, user),
            ("GET", ["status", "current"]) => self.status(vmid).await,
            ("POST", ["status", "start"]) => self.start(vmid, p, user),
            ("POST", ["status", "stop"]) => self.stop(vmid, p, user),
            ("POST", ["status", "shutdown"]) => self.shutdown(vmid, p, user),
            ("POST", ["status", "reset"]) => self.reset(vmid, p, user).await,
            ("GET", ["snapshot"]) => self.snapshots(vmid),
            ("POST", ["snapshot"]) => self.snapshot(vmid, p, user),
            ("DELETE", ["snapshot", name]) => self.delete_snapshot(vmid, name, user),
            ("POST", ["snapshot", name, "rollback"]) => self.rollback(vmid, name, p, user),
            ("POST", ["agent", "ping"]) => self.agent_ping(vmid).await,
            (
                "GET",
                [
                    "agent",
                    query @ ("network-get-interfaces" | "get-osinfo" | "get-time" | "info"),
                ],
            ) => self.agent_query(vmid, query).await,
            ("POST", ["agent", "exec"]) => self.agent_exec(vmid, p).await,
            ("GET", ["agent", "exec-status"]) => self.agent_exec_status(vmid, p).await,
            ("GET", ["agent", "file-read"]) => self.agent_file_read(vmid, p).await,
            ("POST", ["agent", "file-write"]) => self.agent_file_write(vmid, p).await,
            ("POST", ["vncproxy"]) => self.vncproxy(vmid, p, user),
            ("PUT", ["sendkey"]) => self.sendkey(vmid, p).await,
            _ => Err(Refusal::not_implemented(method, &format!("/{path}"))),
        }
    }

    fn content(&self) -> Answer {
        let vms = self.list()?;
        let volumes = vms.as_array().into_iter().flatten().filter_map(|v| {
            let vmid = u32::try_from(v["vmid"].as_u64()?).ok()?;
            let volid = self.vm(vmid)?.config().get("virtio0")?.clone();
            Some(json!({"volid": volid, "vmid": vmid, "format": "qcow2", "content": "images"}))
        });
        Ok(volumes.collect())
    }
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
