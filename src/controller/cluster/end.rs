//! The end of a ProxmoxCluster: only when nothing names it any more.

use super::super::conditions::Verdict;
use super::super::{Context, Error};
use crate::api::{FINALIZER, GpuProfile, ProxmoxCluster, ProxmoxVM};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::Action;
use serde_json::json;
use std::time::Duration;

/// Between looks at what still names it.
const PAUSE: Duration = Duration::from_secs(2);
/// How many are named.
const MOST: usize = 10;

/// Keeps the object from going away before what was made through it.
pub async fn hold(ctx: &Context, object: &ProxmoxCluster) -> Result<(), Error> {
    if object.finalizers().iter().any(|f| f == FINALIZER) {
        return Ok(());
    }
    set(ctx, object, |f| f.push(FINALIZER.to_string())).await
}

/// Lets the object go if nothing names it, else says what does.
pub async fn end(ctx: &Context, ns: &str, name: &str) -> Result<Action, Error> {
    let api = ctx.api::<ProxmoxCluster>(ns);
    let what = format!("ProxmoxCluster {ns}/{name}");
    let fresh = api
        .get_opt(name)
        .await
        .map_err(Error::kube(format!("reading {what}")))?;
    let Some(mut fresh) = fresh.filter(|c| c.finalizers().iter().any(|f| f == FINALIZER)) else {
        return Ok(Action::await_change());
    };
    // Asked of the API server: the watches may be late.
    let all = ListParams::default();
    let vms = ctx.api::<ProxmoxVM>(ns).list(&all).await;
    let vms = vms.map_err(Error::kube(format!("listing ProxmoxVMs of {ns}")))?.items;
    let profiles = ctx.api::<GpuProfile>(ns).list(&all).await;
    let profiles = profiles
        .map_err(Error::kube(format!("listing GpuProfiles of {ns}")))?
        .items;
    let users = users(name, &vms, &profiles);
    if users.is_empty() {
        set(ctx, &fresh, |f| f.retain(|x| x != FINALIZER)).await?;
        ctx.cluster_seen(ns, name, None, None);
        return Ok(Action::await_change());
    }
    let login = match ctx.cluster(ns, name).await {
        Err(Error::SecretGone(text)) => match ctx.cluster_to_clean_up(ns, name).await {
            Ok(_) => Some(format!(
                "{text}; until this process ends, the login that it remembers is used"
            )),
            Err(_) => Some(text),
        },
        _ => None,
    };
    let verdict = in_use(&users, login.as_deref());
    let mut status = fresh.status.clone().unwrap_or_default();
    verdict.apply(&mut status.conditions, Timestamp::now(), fresh.metadata.generation);
    status.observed_generation = fresh.metadata.generation;
    if fresh.status.as_ref() != Some(&status) {
        fresh.status = Some(status);
        api.replace_status(name, &PostParams::default(), &fresh)
            .await
            .map_err(Error::kube(format!("writing status of {what}")))?;
    }
    Ok(Action::requeue(PAUSE))
}

async fn set(ctx: &Context, object: &ProxmoxCluster, change: impl FnOnce(&mut Vec<String>)) -> Result<(), Error> {
    let (ns, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let mut list = object.finalizers().to_vec();
    change(&mut list);
    let patch = json!({"metadata": {"finalizers": list, "resourceVersion": object.metadata.resource_version}});
    ctx.api::<ProxmoxCluster>(&ns)
        .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map_err(Error::kube(format!("finalizers of ProxmoxCluster {ns}/{name}")))?;
    Ok(())
}

/// What names the cluster: VMs, and profiles with a lease.
fn users(name: &str, vms: &[ProxmoxVM], profiles: &[GpuProfile]) -> Vec<String> {
    let vms = vms.iter().filter(|v| v.spec.cluster_ref.name == name);
    let lent =
        |p: &&GpuProfile| p.spec.cluster_ref.name == name && p.status.as_ref().is_some_and(|s| !s.leases.is_empty());
    let mut out: Vec<String> = vms.map(|v| format!("ProxmoxVM {}", v.name_any())).collect();
    let profiles = profiles.iter().filter(lent);
    out.extend(profiles.map(|p| format!("GpuProfile {} (a device is lent)", p.name_any())));
    out
}

fn in_use(users: &[String], login: Option<&str>) -> Verdict {
    let more = match users.len().saturating_sub(MOST) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let mut text = format!(
        "it is still needed by {}{more}: delete these first; one whose VM is to be given up, annotate with {}=true",
        users[..users.len().min(MOST)].join(", "),
        super::super::vm::FORCE_DELETE
    );
    if let Some(login) = login {
        text = format!("{text}. {login}");
    }
    Verdict::stalled("InUse", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_it_is_named() {
        let vm = |name: &str, cluster: &str| -> ProxmoxVM {
            serde_json::from_value(json!({
                "apiVersion": "mosdat.dev/v1alpha1", "kind": "ProxmoxVM", "metadata": {"name": name},
                "spec": {"clusterRef": {"name": cluster}, "source": {"clone": {"template": "t"}}},
            }))
            .expect("vm")
        };
        let found = users("lab", &[vm("a", "lab"), vm("b", "other")], &[]);
        assert_eq!(found, ["ProxmoxVM a"]);
        let many: Vec<String> = (0..12).map(|i| format!("ProxmoxVM v{i}")).collect();
        let text = in_use(&many, Some("Secret x is gone")).message;
        assert!(
            text.contains("ProxmoxVM v9 and 2 more: delete") && text.ends_with(". Secret x is gone"),
            "{text}"
        );
    }
}
