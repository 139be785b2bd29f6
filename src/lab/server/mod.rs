//! The Proxmox VE API of the lab: one node named `lab`, on loopback, over HTTPS.
//!
//! Parameter names, encodings, texts and status codes are Proxmox VE 9's (its API documentation, and what was observed
//! on the wire). What is not implemented is refused as Proxmox refuses an unknown method: by name, with 501.

mod access;
mod agent;
mod answer;
mod config;
mod console;
mod guests;
mod lifecycle;
mod listen;
mod params;
mod pci;
mod routes;
mod snapshots;
mod tasks;
mod vm;

pub use listen::Serving;
pub use pci::GPU_MAPPING;

use super::template::{RamState, Template};
use super::{Error, Result, qemu};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Name of the one node.
pub(crate) const NODE: &str = "lab";
/// VMID of the desktop template.
pub(crate) const TEMPLATE_VMID: u32 = 9000;

/// How to run the lab.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of the machines, the certificate and the secrets.
    pub state_dir: PathBuf,
    /// Folder of the template.
    pub cache_dir: PathBuf,
    /// Where to listen; port 0 lets the system choose.
    pub addr: SocketAddr,
    /// Resume clones from the template's RAM where their hardware allows it.
    pub resume: bool,
}

impl Options {
    /// The usual options, with the machines below `state_dir`.
    pub fn in_state(state_dir: &Path) -> Options {
        Options {
            state_dir: state_dir.to_path_buf(),
            cache_dir: super::default_cache_dir(),
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            resume: true,
        }
    }
}

/// The lab, opened but not yet served.
pub struct Lab {
    node: Arc<Node>,
    addr: SocketAddr,
}

impl Lab {
    /// Opens the state folder: finds the machines that are there, and kills what an earlier process left running.
    ///
    /// # Errors
    /// QEMU is not installed, the folder cannot be used, or another process uses it.
    pub fn open(options: Options) -> Result<Lab> {
        qemu::find_program(qemu::EMULATOR, "qemu-system-x86")?;
        let dir = std::path::absolute(&options.state_dir).map_err(Error::io("find", &options.state_dir))?;
        let vms_dir = dir.join("vms");
        std::fs::create_dir_all(&vms_dir).map_err(Error::io("create", &vms_dir))?;
        let lock = lock(&dir)?;
        let template = Template::find(&options.cache_dir)?;
        let vms = vm::load(&vms_dir)?;
        Ok(Lab {
            node: Arc::new(Node {
                access: access::Access::open(&dir)?,
                dir,
                cache_dir: options.cache_dir,
                template: Mutex::new(template.map(Arc::new)),
                resume: options.resume,
                host: tokio::sync::OnceCell::new(),
                vms: Mutex::new(vms),
                tasks: tasks::Tasks::default(),
                pci: Mutex::default(),
                consoles: Mutex::default(),
                lock,
            }),
            addr: options.addr,
        })
    }

    /// Whether the desktop template has been built.
    pub fn template_ready(&self) -> bool {
        self.node.template().is_some()
    }

    /// Starts serving.
    ///
    /// # Errors
    /// The address cannot be had, or the certificate cannot be made.
    pub async fn serve(self) -> Result<Serving> {
        listen::serve(self.node, self.addr).await
    }
}

/// What the API speaks about.
pub(crate) struct Node {
    dir: PathBuf,
    cache_dir: PathBuf,
    access: access::Access,
    template: Mutex<Option<Arc<Template>>>,
    resume: bool,
    host: tokio::sync::OnceCell<Host>,
    vms: Mutex<BTreeMap<u32, Arc<vm::Entry>>>,
    tasks: tasks::Tasks,
    pci: Mutex<pci::Reservations>,
    consoles: Mutex<console::Pending>,
    /// The folder is this process's while it is locked.
    lock: std::fs::File,
}

/// What QEMU can do here; found out at the first start of a machine.
#[derive(Debug)]
pub(crate) struct Host {
    accel: qemu::Accel,
    /// `None` also after it did not load.
    ram: Mutex<Option<RamState>>,
}

/// The maps stay consistent between operations, so a panic elsewhere does not spoil them.
pub(crate) fn locked<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// The template, looked for again when it was not there: it may have been built meanwhile.
    fn template(&self) -> Option<Arc<Template>> {
        let mut known = locked(&self.template);
        if known.is_none() {
            *known = Template::find(&self.cache_dir).ok().flatten().map(Arc::new);
        }
        known.clone()
    }

    async fn host(&self, template: &Template) -> Result<&Host> {
        self.host
            .get_or_try_init(|| async {
                let version = qemu::version().await?;
                let accel = qemu::Accel::probe(&template.dir, &version, &template.kernel(), &template.initrd()).await;
                let ram = if self.resume {
                    template.ram_state(&version, accel)
                } else {
                    None
                };
                let ram = Mutex::new(ram);
                Ok(Host { accel, ram })
            })
            .await
    }

    fn vm(&self, vmid: u32) -> Option<Arc<vm::Entry>> {
        locked(&self.vms).get(&vmid).cloned()
    }

    /// Refuses where the machine was destroyed while a task waited for it; its number may be another's by now.
    fn still(&self, entry: &Arc<vm::Entry>) -> Result<(), String> {
        match self.vm(entry.vmid) {
            Some(now) if Arc::ptr_eq(&now, entry) => Ok(()),
            _ => Err(answer::Refusal::no_vm(entry.vmid).reason),
        }
    }

    /// Kills every machine without waiting.
    fn kill_all(&self) {
        for entry in locked(&self.vms).values() {
            if let Some(vm) = entry.running() {
                vm.process().kill();
            }
        }
    }

    /// Lets another lab have the folder.
    fn unlock(&self) {
        if let Err(e) = self.lock.unlock() {
            tracing::warn!("unlocking {}: {e}", self.dir.display());
        }
    }

    /// Stops every machine.
    async fn stop_all(&self) {
        let all: Vec<_> = locked(&self.vms).values().cloned().collect();
        futures::future::join_all(all.iter().map(|e| e.power_off())).await;
    }
}

fn lock(dir: &Path) -> Result<std::fs::File> {
    let path = dir.join("lock");
    let file = std::fs::File::create(&path).map_err(Error::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::StateInUse {
            path: dir.to_path_buf(),
        }),
        Err(std::fs::TryLockError::Error(e)) => Err(Error::io("lock", &path)(e)),
    }
}
