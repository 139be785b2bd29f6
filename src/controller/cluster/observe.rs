//! Five requests to Proxmox at once, and what the namespace declares for the cluster.

use super::super::{Context, Error};
use super::privileges::Declared;
use crate::api::{CloneMode, ClusterNode, ClusterStorage, GpuProfile, ProxmoxClusterSpec, ProxmoxVM};
use crate::proxmox::{ErrorKind, Node, Permissions, StorageResource};
use std::collections::BTreeSet;

/// What a look shows.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    pub version: String,
    pub nodes: Vec<ClusterNode>,
    pub storages: Vec<ClusterStorage>,
    /// `None` when the API does not tell us.
    pub quorate: Option<bool>,
    /// `None` when the API does not tell us.
    pub permissions: Option<Permissions>,
    /// User or token.
    pub login: String,
    pub declared: Declared,
    /// `spec.defaults.node`.
    pub default_node: Option<String>,
}

pub async fn observe(ctx: &Context, ns: &str, name: &str) -> Result<Observed, Error> {
    let cluster = ctx.cluster(ns, name).await?;
    let pve = &cluster.client;
    // By itself and first: when it fails, the others would too, and each refused login takes Proxmox 3 s.
    let version = pve.version().await?.version;
    let (nodes, quorate, permissions, storages) =
        tokio::join!(pve.nodes(), pve.quorate(), pve.permissions(), pve.cluster_storages());
    Ok(Observed {
        version,
        nodes: self::nodes(nodes?),
        storages: self::storages(unless_refused(storages)?.unwrap_or_default()),
        quorate: unless_refused(quorate)?.flatten(),
        permissions: unless_refused(permissions)?,
        login: cluster.login.clone(),
        declared: declared(ctx, ns, name, &cluster.spec).await?,
        default_node: cluster.spec.defaults.as_ref().and_then(|d| d.node.clone()),
    })
}

/// What we may not ask for, or what the server does not have, is not known; anything else is an error.
fn unless_refused<T>(answer: Result<T, crate::proxmox::Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(v) => Ok(Some(v)),
        Err(e) if matches!(e.kind, ErrorKind::Permission | ErrorKind::Parameter) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

async fn declared(ctx: &Context, ns: &str, name: &str, spec: &ProxmoxClusterSpec) -> Result<Declared, Error> {
    let profiles = ctx
        .api::<GpuProfile>(ns)
        .list(&Default::default())
        .await
        .map_err(Error::kube(format!("listing the GpuProfiles of {ns}")))?;
    let mappings: BTreeSet<String> = profiles
        .into_iter()
        .filter(|p| p.spec.cluster_ref.name == name)
        .flat_map(|p| p.spec.devices)
        .filter_map(|d| d.mapping)
        .collect();
    let vms = ctx.known_vms();
    let ours = |vm: &&std::sync::Arc<ProxmoxVM>| {
        vm.metadata.namespace.as_deref() == Some(ns) && vm.spec.cluster_ref.name == name
    };
    let defaults = spec.defaults.clone().unwrap_or_default();
    let mut storages: BTreeSet<String> = defaults.storage.into_iter().collect();
    for clone in vms.iter().filter(ours).filter_map(|vm| vm.spec.source.clone.as_ref()) {
        if clone.mode == CloneMode::Full {
            storages.extend(clone.storage.clone());
        }
    }
    Ok(Declared {
        pool: defaults.pool,
        storages,
        mappings,
    })
}

const GIB: u64 = 1 << 30;

fn nodes(list: Vec<Node>) -> Vec<ClusterNode> {
    let mut out: Vec<ClusterNode> = list
        .into_iter()
        .map(|n| ClusterNode {
            online: n.status == "online",
            cpus: n.maxcpu,
            memory_gib: n.maxmem.map(|b| b / GIB),
            memory_free_gib: n.maxmem.zip(n.mem).map(|(all, used)| all.saturating_sub(used) / GIB),
            name: n.node,
        })
        .collect();
    out.sort_by(|a, b| a.name.cmp(&b.name));
    out
}

fn storages(list: Vec<StorageResource>) -> Vec<ClusterStorage> {
    let mut out: Vec<ClusterStorage> = list
        .into_iter()
        .map(|s| ClusterStorage {
            name: s.storage,
            node: (!s.shared).then_some(s.node),
            size_gib: s.maxdisk.map(|b| b / GIB),
            free_gib: s.maxdisk.zip(s.disk).map(|(all, used)| all.saturating_sub(used) / GIB),
        })
        .collect();
    out.sort_by(|a, b| (&a.name, &a.node).cmp(&(&b.name, &b.node)));
    out.dedup_by(|a, b| a.name == b.name && a.node == b.node);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_storage_is_one() {
        let row = |node: &str, shared| StorageResource {
            storage: "s".to_string(),
            node: node.to_string(),
            status: String::new(),
            content: vec![],
            shared,
            disk: Some(GIB),
            maxdisk: Some(10 * GIB),
        };
        let one = storages(vec![row("a", true), row("b", true)]);
        assert_eq!((one.len(), one[0].node.as_deref(), one[0].free_gib), (1, None, Some(9)));
        assert_eq!(storages(vec![row("a", false), row("b", false)]).len(), 2);
    }
}
