//! Proxmox client and the controllers that use it, against fakepve on loopback and a real kube-apiserver.

/// Makes each test run on the embedded control plane and on a real kube-apiserver.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() {
                super::$name(crate::world::World::embedded().await).await
            }
            #[tokio::test(flavor = "multi_thread")]
            async fn kubernetes() {
                super::$name(crate::world::World::kubernetes().await).await
            }
        }
    )*};
}

mod client;
mod examples;
mod client_auth;
mod client_calls;
mod client_faults;
mod client_tasks;
mod client_wire;
mod cluster;
mod fake;
mod functional;
mod gpu;
mod kube;
mod liar;
mod run;
#[path = "../support/sshd.rs"]
mod sshd;
mod vm;
mod vm_adopt;
mod vm_checkpoint;
mod vm_drift;
mod vm_late;
mod vm_pool;
mod vm_ssh;
mod windows;
mod world;
