//! Tables for the cluster's verdict: one row per situation.

use super::super::Error;
use super::decide::decide;
use super::observe::Observed;
use super::privileges::Declared;
use crate::api::ClusterNode;
use crate::proxmox::Permissions;
use std::collections::BTreeMap;

fn node(name: &str, online: bool) -> ClusterNode {
    ClusterNode {
        name: name.to_string(),
        online,
        ..ClusterNode::default()
    }
}

const ALL: &[&str] = &[
    "VM.Allocate",
    "VM.Audit",
    "VM.Clone",
    "VM.Config.CPU",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Options",
    "VM.Console",
    "VM.PowerMgmt",
    "VM.GuestAgent.Unrestricted",
    "Datastore.AllocateSpace",
    "Datastore.Audit",
    "Mapping.Use",
    "Sys.Audit",
    "SDN.Use",
];

fn grants(list: &[(&str, &[&str])]) -> Permissions {
    let set = |l: &[&str]| l.iter().map(|p| (p.to_string(), true)).collect::<BTreeMap<_, _>>();
    Permissions(list.iter().map(|(path, l)| (path.to_string(), set(l))).collect())
}

fn seen() -> Observed {
    Observed {
        version: "9.1.7".to_string(),
        nodes: vec![node("pve1", true), node("pve2", true)],
        quorate: Some(true),
        permissions: Some(grants(&[("/", ALL)])),
        login: "mosdat@pve!t".to_string(),
        declared: Declared {
            mappings: ["gpu0".to_string()].into(),
            ..Declared::default()
        },
        ..Observed::default()
    }
}

fn reason(o: Observed) -> (bool, String) {
    let v = decide(&Ok(o)).0;
    (v.ready, v.reason.to_string())
}

#[test]
fn verdicts() {
    let with = |change: &dyn Fn(&mut Observed)| {
        let mut o = seen();
        change(&mut o);
        let (ready, word) = reason(o);
        format!("{ready} {word}")
    };
    let rows: Vec<(&str, Box<dyn Fn(&mut Observed)>)> = vec![
        ("true Reachable", Box::new(|_| {})),
        ("true Reachable", Box::new(|o| o.quorate = None)),
        ("true Reachable", Box::new(|o| o.permissions = None)),
        ("false NoNodes", Box::new(|o| o.nodes.clear())),
        ("true NodesOffline", Box::new(|o| o.nodes[1].online = false)),
        (
            "false NodeOffline",
            Box::new(|o| o.nodes.iter_mut().for_each(|n| n.online = false)),
        ),
        (
            "false NodeOffline",
            Box::new(|o| {
                o.nodes[1].online = false;
                o.default_node = Some("pve2".to_string());
            }),
        ),
        (
            "false UnknownNode",
            Box::new(|o| o.default_node = Some("pve9".to_string())),
        ),
        ("false NoQuorum", Box::new(|o| o.quorate = Some(false))),
        (
            "false MissingPrivileges",
            Box::new(|o| o.permissions = Some(Permissions::default())),
        ),
    ];
    for (want, change) in rows {
        assert_eq!(with(&*change), want);
    }
    let e = Err(Error::Cluster("no Secret".to_string()));
    assert_eq!(decide(&e).0.reason, "InvalidSettings");
}

#[test]
fn missing_privileges_are_named_with_the_command() {
    let vm: Vec<&str> = ALL
        .iter()
        .copied()
        .filter(|p| p.starts_with("VM.") && *p != "VM.Clone")
        .collect();
    let mut o = seen();
    o.permissions = Some(grants(&[
        ("/vms", &vm),
        // Any storage will do while none is named, and any bridge.
        ("/storage/local", &["Datastore.AllocateSpace", "Datastore.Audit"]),
        ("/sdn/zones/localnetwork/vmbr0", &["SDN.Use"]),
        ("/nodes", &["Sys.Audit"]),
    ]));
    let text = decide(&Ok(o.clone())).0.message;
    assert!(
        text.starts_with("mosdat@pve!t lacks Mapping.Use on /mapping/pci/gpu0; VM.Clone on /vms. "),
        "{text}"
    );
    for path in ["/vms", "/mapping/pci/gpu0"] {
        let command = format!("pveum acl modify {path} --users 'mosdat@pve' --tokens 'mosdat@pve!t' --roles Mosdat");
        assert!(text.contains(&command), "{text}");
    }
    assert!(text.contains("pveum role add Mosdat --privs 'Datastore.AllocateSpace") && text.contains("VM.PowerMgmt"));
    // A named storage has to be that one; a pool takes the place of all VMs.
    o.declared.mappings.clear();
    o.declared.storages = ["fast".to_string()].into();
    o.declared.pool = Some("tests".to_string());
    o.login = "tester@pam".to_string();
    let text = decide(&Ok(o)).0.message;
    assert!(
        text.contains("Datastore.AllocateSpace, Datastore.Audit on /storage/fast"),
        "{text}"
    );
    assert!(
        text.contains("on /pool/tests") && text.contains("VM.Clone on /vms"),
        "{text}"
    );
    assert!(text.contains("--users 'tester@pam' --roles"), "{text}");
}

#[test]
fn before_version_9_the_agent_needs_another_privilege() {
    let mut o = seen();
    o.version = "8.4.1".to_string();
    let text = decide(&Ok(o)).0.message;
    assert!(text.starts_with("mosdat@pve!t lacks VM.Monitor on /vms. "), "{text}");
}
