//! The rights that the controller needs: the one source of the ClusterRole in the chart.

use crate::api::GROUP;
use k8s_openapi::api::rbac::v1::PolicyRule;

/// The controller's rules. Secrets can be read by name only; nothing can list them.
pub fn rules() -> Vec<PolicyRule> {
    let own = ["functionaltestruns", "gpuprofiles", "proxmoxclusters", "proxmoxvms", "scenarios", "visionproviders"];
    let sub = |s: &str| own.iter().map(|k| format!("{k}/{s}")).collect::<Vec<_>>();
    vec![
        rule(GROUP, own.map(String::from).to_vec(), &["get", "list", "watch", "update", "patch"]),
        rule(GROUP, vec!["functionaltestruns".into(), "proxmoxvms".into()], &["create", "delete"]),
        rule(GROUP, sub("status"), &["get", "update", "patch"]),
        rule(GROUP, sub("finalizers"), &["update"]),
        rule("", vec!["secrets".into()], &["get"]),
        rule("", vec!["events".into()], &["create", "patch"]),
        rule("events.k8s.io", vec!["events".into()], &["create", "patch"]),
    ]
}

fn rule(group: &str, resources: Vec<String>, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![group.to_string()]),
        resources: Some(resources),
        verbs: verbs.iter().map(|v| v.to_string()).collect(),
        ..Default::default()
    }
}
