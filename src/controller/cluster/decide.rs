//! From what was seen to a verdict. Pure.

use super::super::Error;
use super::super::conditions::Verdict;
use super::observe::Observed;
use super::privileges;
use crate::proxmox::ErrorKind;
use std::time::Duration;

/// Between looks at a cluster that is as it should be.
const PAUSE: Duration = Duration::from_secs(60);
/// While people are likely to be repairing it.
const SOON: Duration = Duration::from_secs(5);

pub fn decide(seen: &Result<Observed, Error>) -> (Verdict, Duration) {
    match seen {
        Ok(seen) => {
            let verdict = reached(seen);
            let after = if verdict.ready { PAUSE } else { SOON };
            (verdict, after)
        }
        Err(e) => {
            let reason = match e {
                Error::Proxmox(p) => match p.kind {
                    ErrorKind::Auth => "AuthenticationFailed",
                    ErrorKind::Permission => "MissingPrivileges",
                    ErrorKind::Transport | ErrorKind::NodeOffline => "Unreachable",
                    ErrorKind::Parameter => "InvalidSettings",
                    _ => "ApiError",
                },
                Error::SecretGone(_) => "SecretMissing",
                Error::Cluster(_) => "InvalidSettings",
                _ => "ApiError",
            };
            let message = match reason {
                "AuthenticationFailed" => format!(
                    "{e}; check the Secret of credentialsSecretRef: tokenId (USER@REALM!NAME) and tokenSecret, or username (USER@REALM) and password"
                ),
                _ => e.to_string(),
            };
            (Verdict::progressing(reason, message), SOON)
        }
    }
}

fn reached(seen: &Observed) -> Verdict {
    let version = &seen.version;
    if let Some(held) = &seen.permissions {
        let missing = privileges::missing(held, &seen.declared, version);
        if !missing.is_empty() {
            return Verdict::stalled(
                "MissingPrivileges",
                privileges::told(&missing, &seen.login, &seen.declared, version),
            );
        }
    }
    if seen.nodes.is_empty() {
        return Verdict::progressing("NoNodes", format!("Proxmox VE {version} answers but shows no node"));
    }
    let offline: Vec<&str> = seen
        .nodes
        .iter()
        .filter(|n| !n.online)
        .map(|n| n.name.as_str())
        .collect();
    let some = format!("node(s) offline: {}", offline.join(", "));
    if seen.quorate == Some(false) {
        let why = if offline.is_empty() {
            String::new()
        } else {
            format!("; {some}")
        };
        return Verdict::progressing(
            "NoQuorum",
            format!(
                "the cluster has lost its quorum: VMs cannot be made, changed or started until enough nodes are back{why}"
            ),
        );
    }
    if let Some(node) = &seen.default_node {
        match seen.nodes.iter().find(|n| n.name == *node) {
            None => {
                return Verdict::stalled(
                    "UnknownNode",
                    format!("defaults.node is {node}, which the cluster does not have"),
                );
            }
            Some(n) if !n.online => {
                return Verdict::progressing("NodeOffline", format!("defaults.node {node} is offline"));
            }
            Some(_) => {}
        }
    }
    if offline.len() == seen.nodes.len() {
        return Verdict::progressing("NodeOffline", some);
    }
    let count = seen.nodes.len();
    if !offline.is_empty() {
        return Verdict::ready("NodesOffline", format!("Proxmox VE {version}, {count} node(s); {some}"));
    }
    Verdict::ready("Reachable", format!("Proxmox VE {version}, {count} node(s)"))
}
