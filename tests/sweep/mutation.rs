//! Acto's method: each field that the schema declares is changed, changed back, and given what the schema forbids.

use crate::fake::Fake;
use crate::gate::Gate;
use crate::rig::{Rig, ready, uid, vm_spec};
use kube::api::{Patch, PatchParams};
use mosdat::api::ProxmoxVM;
use serde_json::{Value, json};
use std::sync::Arc;

/// What a field does.
enum Field {
    /// Shows up in the VM's configuration under `key`: the value of the object, and what Proxmox then has.
    Config(&'static str, fn() -> [(Value, &'static str); 2]),
    /// Cannot be changed; a valid other value.
    Immutable(fn() -> Value),
    /// Does not show in the configuration; where it is tested.
    Elsewhere(#[allow(dead_code)] &'static str),
}
use Field::{Config, Elsewhere, Immutable};

/// Every field of the spec. A field of the schema that is not here fails the test.
fn table() -> Vec<(&'static str, Field)> {
    vec![
        ("clusterRef.name", Immutable(|| json!("other"))),
        ("source.clone.template", Immutable(|| json!("other"))),
        ("source.clone.vmid", Immutable(|| json!(101))),
        ("source.clone.mode", Immutable(|| json!("Full"))),
        ("source.clone.storage", Immutable(|| json!("local"))),
        ("source.clone.node", Immutable(|| json!("pve2"))),
        ("source.adopt.vmid", Immutable(|| json!(101))),
        ("source.adopt.snapshot", Immutable(|| json!("clean"))),
        ("gpuProfileRef.name", Immutable(|| json!("other"))),
        ("hardware.cores", Config("cores", || [(json!(3), "3"), (json!(2), "2")])),
        (
            "hardware.sockets",
            Config("sockets", || [(json!(2), "2"), (json!(1), "1")]),
        ),
        (
            "hardware.cpu",
            Config("cpu", || [(json!("host"), "host"), (json!("kvm64"), "kvm64")]),
        ),
        (
            "hardware.machine",
            Config("machine", || [(json!("q35"), "q35"), (json!("pc"), "pc")]),
        ),
        (
            "hardware.memoryMiB",
            Config("memory", || [(json!(4096), "4096"), (json!(2048), "2048")]),
        ),
        ("hardware.bridge", Elsewhere("tests/proxmox: a part of net0")),
        ("tags", Elsewhere("tests/proxmox: a part of tags")),
        ("power", Elsewhere("tests/proxmox: power state, not configuration")),
        ("ttlSeconds", Elsewhere("tests/proxmox: the object's end")),
        ("deletionPolicy", Elsewhere("tests/proxmox: the object's end")),
        ("guest.ssh.user", Immutable(|| json!("other"))),
        ("guest.ssh.port", Immutable(|| json!(2222))),
        ("guest.ssh.host", Immutable(|| json!("10.0.0.9"))),
        ("guest.ssh.keySecretRef.name", Immutable(|| json!("other"))),
        ("guest.ssh.keySecretRef.key", Immutable(|| json!("other"))),
        ("guest.ssh.agent", Immutable(|| json!(true))),
        ("guest.ssh.hostKeys", Immutable(|| json!(["ssh-ed25519 AAAA"]))),
        ("keyboardLayout", Elsewhere("how runs type, nothing in Proxmox")),
    ]
}

fn schema() -> Value {
    let crd = mosdat::api::crds()
        .into_iter()
        .find(|c| c.spec.names.kind == "ProxmoxVM");
    let v = serde_json::to_value(crd.expect("definition")).expect("json");
    v["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

/// Leaves (arrays and maps count as one) with their schema and whether a rule makes them or a parent immutable.
fn leaves(schema: &Value, path: &str, frozen: bool, out: &mut Vec<(String, Value, bool)>) {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    let frozen = frozen || rules.clone().any(|r| r["rule"] == "self == oldSelf");
    match schema["properties"].as_object() {
        Some(properties) => {
            for (name, s) in properties {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                leaves(s, &path, frozen, out);
            }
        }
        None => out.push((path.to_string(), schema.clone(), frozen)),
    }
}

fn fields() -> Vec<(String, Value, bool)> {
    let mut out = vec![];
    leaves(&schema(), "", false, &mut out);
    out
}

/// Sets a value by its path, making objects on the way.
fn set(object: &mut Value, path: &str, value: Value) {
    let mut at = object;
    for part in path.split('.') {
        at = &mut at[part];
    }
    *at = value;
}

async fn rig() -> Rig {
    let fake = tokio::task::spawn_blocking(|| Arc::new(Fake::start()))
        .await
        .expect("fake");
    Rig::new(fake).await
}

#[test]
fn every_field_of_the_schema_is_in_the_table() {
    let table = table();
    for (path, _, frozen) in fields() {
        let (_, field) = table
            .iter()
            .find(|(p, _)| *p == path)
            .unwrap_or_else(|| panic!("ProxmoxVM.spec.{path} has no entry in the table of tests/sweep/mutation.rs"));
        assert_eq!(
            matches!(field, Immutable(_)),
            frozen,
            "{path}: immutable by a rule of the schema?"
        );
    }
}

/// Configuration without what Proxmox invents for each VM.
async fn config(rig: &Rig, vm: &ProxmoxVM) -> Value {
    let vmid = vm.status.as_ref().and_then(|s| s.vmid).expect("vmid");
    // Most of what a running VM gets is pending until its next start.
    let code = format!("[{{**v.config, **v.pending}} for v in pve.vms if v.vmid == {vmid}][0]");
    let mut v = rig.py(&code).await;
    v.as_object_mut().expect("object").retain(|_, v| !v.is_null());
    for key in ["net0", "smbios1", "vmgenid", "digest", "meta"] {
        v.as_object_mut().expect("object").remove(key);
    }
    serde_json::from_str(&v.to_string().replace(&uid(vm), "UID")).expect("json")
}

fn text(v: &Value) -> String {
    v.as_str().map_or_else(|| v.to_string(), str::to_string)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mutable_field_is_carried_out_and_taken_back() {
    let rig = rig().await;
    let _running = rig.start(Gate::open());
    let api = rig.api::<ProxmoxVM>();
    for (path, _, _) in fields() {
        let Some((_, Config(key, values))) = table().into_iter().find(|(p, _)| *p == path) else {
            continue;
        };
        let [one, two] = values();
        let mut spec = vm_spec();
        set(&mut spec, &path, one.0.clone());
        let vm = rig.create::<ProxmoxVM>("m", spec).await;
        rig.until_ready("m").await.expect("ready");
        let vm = api.get(&vm.metadata.name.expect("name")).await.expect("get");
        let fresh = config(&rig, &vm).await;
        assert_eq!(text(&fresh[key]), one.1, "{path} of a new VM");
        for (value, shown) in [&two, &one, &two, &one] {
            let mut patch = json!({});
            set(&mut patch, &format!("spec.{path}"), value.clone());
            api.patch("m", &PatchParams::default(), &Patch::Merge(&patch))
                .await
                .expect("patch");
            rig.until(&format!("{path} {shown} in Proxmox"), || async {
                let now = config(&rig, &vm).await;
                (text(&now[key]) == *shown).then_some(())
            })
            .await
            .unwrap_or_else(|e| panic!("{e}"));
        }
        rig.until("told", || async { api.get("m").await.ok().filter(ready) })
            .await
            .expect("ready");
        assert_eq!(config(&rig, &vm).await, fresh, "{path} changed and changed back");
        rig.delete("m").await;
        rig.until_gone("m").await.expect("gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn immutable_fields_are_refused() {
    let rig = rig().await;
    let api = rig.api::<ProxmoxVM>();
    let mut spec = vm_spec();
    spec["gpuProfileRef"] = json!({"name": "gpu"});
    spec["guest"] = json!({"ssh": {"keySecretRef": {"name": "k", "key": "k"}}});
    rig.create::<ProxmoxVM>("m", spec).await;
    for (path, _, _) in fields() {
        let Some((_, Immutable(other))) = table().into_iter().find(|(p, _)| *p == path) else {
            continue;
        };
        let mut patch = json!({});
        set(&mut patch, &format!("spec.{path}"), other());
        if path == "source.adopt.snapshot" {
            set(&mut patch, "spec.source.adopt.vmid", json!(101));
        }
        let e = api.patch("m", &PatchParams::default(), &Patch::Merge(&patch)).await;
        let e = e.expect_err(&path).to_string();
        let top = path.split('.').next().unwrap_or_default();
        assert!(
            e.contains(&format!("{top} is immutable")) || e.contains("exactly one"),
            "{path}: {e}"
        );
    }
    for gone in ["gpuProfileRef", "guest", "source"] {
        let patch = json!({"spec": {gone: null}});
        let e = api.patch("m", &PatchParams::default(), &Patch::Merge(&patch)).await;
        assert!(e.is_err(), "{gone} could be taken away");
    }
}

/// Values that the schema of a field excludes, and one of each wrong type.
fn forbidden(schema: &Value) -> Vec<Value> {
    let mut out = vec![json!({"no": "object"})];
    match schema["type"].as_str() {
        Some("integer") => {
            out.extend([
                json!("7"),
                json!(true),
                json!(1.5),
                json!([1]),
                json!(-1),
                json!(i64::MAX),
            ]);
            out.extend(schema["minimum"].as_f64().map(|n| json!(n as i64 - 1)));
            out.extend(schema["maximum"].as_f64().map(|n| json!(n as i64 + 1)));
        }
        Some("string") => {
            out.extend([json!(7), json!(true), json!(["x"]), json!("")]);
            out.extend(schema["maxLength"].as_u64().map(|n| json!("x".repeat(n as usize + 1))));
            if schema["enum"].is_array() || schema["pattern"].is_string() {
                out.push(json!("No such\nvalue"));
            }
        }
        Some("array") => out.extend([json!("x"), json!(7), json!([7]), json!([""])]),
        _ => {}
    }
    out
}

/// A condition that tells of trouble with this field.
fn tells(vm: &ProxmoxVM, field: &str) -> bool {
    let conditions = vm.status.iter().flat_map(|s| &s.conditions);
    let mut bad = conditions.filter(|c| c.type_ == "Stalled" || (c.type_ == "Ready" && c.status == "False"));
    bad.any(|c| c.message.to_lowercase().contains(&field.to_lowercase()))
}

/// As kubectl does it: unknown fields are errors.
async fn create_strictly(rig: &Rig, object: &Value) -> Result<Value, kube::Error> {
    let url = "/apis/mosdat.dev/v1alpha1/namespaces/default/proxmoxvms?fieldValidation=Strict";
    let request = http::Request::post(url).header("content-type", "application/json");
    let request = request.body(object.to_string().into_bytes()).expect("request");
    rig.client.request(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_schema_forbids_is_refused() {
    let rig = rig().await;
    let _running = rig.start(Gate::open());
    let mut accepted = vec![];
    for (path, schema, _) in fields() {
        let leaf = path.rsplit('.').next().unwrap_or_default().to_string();
        for value in forbidden(&schema) {
            let mut spec = vm_spec();
            if path.starts_with("source.clone.vmid") || path.starts_with("source.adopt") {
                spec["source"] = json!({});
            }
            set(&mut spec, &path, value.clone());
            if path == "source.adopt.snapshot" {
                set(&mut spec, "source.adopt.vmid", json!(101));
            }
            let object = json!({
                "apiVersion": "mosdat.dev/v1alpha1", "kind": "ProxmoxVM", "metadata": {"name": "bad"}, "spec": spec,
            });
            match create_strictly(&rig, &object).await {
                Err(kube::Error::Api(e)) => {
                    assert!(matches!(e.code, 400 | 422), "{path} {value}: {e:?}");
                    assert!(
                        e.message.contains(&leaf),
                        "{path} {value}: the field is not named: {}",
                        e.message
                    );
                }
                Err(e) => panic!("{path} {value}: {e}"),
                Ok(_) => {
                    let told = rig
                        .until(&format!("{path} {value}: a condition that names {leaf}"), || async {
                            let vm = rig.api::<ProxmoxVM>().get("bad").await.ok()?;
                            if ready(&vm) {
                                return Some(false);
                            }
                            tells(&vm, &leaf).then_some(true)
                        })
                        .await;
                    if told != Ok(true) {
                        accepted.push(format!("{path} {value}: {told:?}"));
                    }
                    rig.delete("bad").await;
                    rig.until_gone("bad").await.expect("gone");
                }
            }
        }
    }
    // A field that nobody knows, on every level.
    for path in [
        "nonsense",
        "clusterRef.nonsense",
        "source.nonsense",
        "source.clone.nonsense",
        "hardware.nonsense",
    ] {
        let mut spec = vm_spec();
        set(&mut spec, path, json!(1));
        let object = json!({
            "apiVersion": "mosdat.dev/v1alpha1", "kind": "ProxmoxVM", "metadata": {"name": "bad"}, "spec": spec,
        });
        match create_strictly(&rig, &object).await {
            Err(kube::Error::Api(e)) => assert!(e.message.contains("nonsense"), "{path}: {}", e.message),
            other => panic!("{path}: {other:?}"),
        }
    }
    assert!(accepted.is_empty(), "{}", accepted.join("\n"));
}
