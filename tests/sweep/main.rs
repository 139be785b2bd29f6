//! What must hold whatever happens: the controllers are killed before and after every single write, watches go stale,
//! every mutable field is changed and changed back. Far sides: fakepve behind a recording proxy, and the embedded
//! control plane behind a recording layer.

mod asked;
mod asks;
mod crash;
// Shared with tests/proxmox, which uses more of it.
#[allow(dead_code)]
#[path = "../proxmox/fake.rs"]
mod fake;
mod gate;
mod invariants;
mod kube_side;
mod mutation;
mod pve_side;
mod rig;
mod stale;
mod stories;
