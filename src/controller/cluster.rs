//! `ProxmoxCluster`: is the API reachable with this trust and these credentials, and what does it have?

use super::conditions::Verdict;
use super::{Context, Error, backoff};
use crate::api::{ClusterNode, ProxmoxCluster};
use crate::proxmox::ErrorKind;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::PostParams;
use kube::runtime::controller::Action;
use std::sync::Arc;
use std::time::Duration;

type Seen = Result<(String, Vec<ClusterNode>), Error>;

async fn observe(ctx: &Context, namespace: &str, name: &str) -> Seen {
    let cluster = ctx.cluster(namespace, name).await?;
    let version = cluster.client.version().await?;
    let mut nodes: Vec<ClusterNode> = cluster
        .client
        .nodes()
        .await?
        .into_iter()
        .map(|n| ClusterNode {
            online: n.status == "online",
            name: n.node,
        })
        .collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((version.version, nodes))
}

fn decide(seen: &Seen) -> (Verdict, Duration) {
    match seen {
        Ok((version, nodes)) if nodes.is_empty() => (
            Verdict::progressing(
                "NoNodes",
                format!("Proxmox VE {version} answers but shows no node; the token may lack Sys.Audit"),
            ),
            Duration::from_secs(30),
        ),
        Ok((version, nodes)) => (
            Verdict::ready("Reachable", format!("Proxmox VE {version}, {} node(s)", nodes.len())),
            Duration::from_secs(60),
        ),
        Err(e) => {
            let reason = match e {
                Error::Proxmox(p) => match p.kind {
                    ErrorKind::Auth => "AuthenticationFailed",
                    ErrorKind::Permission => "MissingPrivileges",
                    ErrorKind::Transport | ErrorKind::NodeOffline => "Unreachable",
                    ErrorKind::Parameter => "InvalidSettings",
                    _ => "ApiError",
                },
                Error::Cluster(_) => "InvalidSettings",
                _ => "ApiError",
            };
            (Verdict::progressing(reason, e.to_string()), Duration::from_secs(5))
        }
    }
}

pub async fn reconcile(object: Arc<ProxmoxCluster>, ctx: Arc<Context>) -> Result<Action, Error> {
    let (ns, name) = (object.namespace().unwrap_or_default(), object.name_any());
    if object.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let seen = observe(&ctx, &ns, &name).await;
    let (verdict, after) = decide(&seen);
    let api = ctx.api::<ProxmoxCluster>(&ns);
    let Some(mut fresh) = api
        .get_opt(&name)
        .await
        .map_err(Error::kube(format!("reading ProxmoxCluster {ns}/{name}")))?
    else {
        return Ok(Action::await_change());
    };
    let before = fresh.status.clone().unwrap_or_default();
    let mut status = before.clone();
    if let Ok((version, nodes)) = seen {
        status.version = Some(version);
        status.nodes = nodes;
    }
    status.observed_generation = fresh.metadata.generation;
    verdict.apply(&mut status.conditions, Timestamp::now(), fresh.metadata.generation);
    if status != before {
        fresh.status = Some(status);
        api.replace_status(&name, &PostParams::default(), &fresh)
            .await
            .map_err(Error::kube(format!("writing status of ProxmoxCluster {ns}/{name}")))?;
    }
    ctx.succeeded(&object.metadata.uid);
    Ok(Action::requeue(backoff::jitter(after)))
}

pub fn on_error(object: Arc<ProxmoxCluster>, error: &Error, ctx: Arc<Context>) -> Action {
    tracing::warn!(cluster = %object.name_any(), %error, "reconcile failed");
    Action::requeue(ctx.failed(object.metadata.uid.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let node = ClusterNode {
            name: "a".to_string(),
            online: true,
        };
        assert!(decide(&Ok(("9.1".to_string(), vec![node]))).0.ready);
        assert_eq!(decide(&Ok(("9.1".to_string(), vec![]))).0.reason, "NoNodes");
        let e = Err(Error::Cluster("no Secret".to_string()));
        assert_eq!(decide(&e).0.reason, "InvalidSettings");
    }
}
