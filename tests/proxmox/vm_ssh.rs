//! A guest that is reached by SSH: a real sshd on this machine stands for it.

use crate::gpu::event;
use crate::sshd::Sshd;
use crate::world::{World, ready, stalled};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use mosdat::api::{FunctionalTestRun, HostKeySource, ProxmoxVM, RunPhase, VmSsh};
use serde_json::{Value, json};

on_both!(
    the_agent_reads_the_host_keys_that_are_pinned,
    without_them_the_first_contact_is_trusted_and_said_so,
    who_has_another_key_is_not_let_near,
    a_key_is_pinned_anew_when_its_pin_is_removed,
    a_secret_that_is_not_there_is_named,
    a_guest_without_an_agent_is_ready_by_ssh_alone,
    the_login_of_a_run_has_the_pinned_key,
    what_is_declared_twice_or_changed_is_refused,
);

/// A VM whose guest is behind this server, with the key in a Secret.
async fn spec(world: &World, sshd: &Sshd) -> Value {
    let key = std::fs::read_to_string(sshd.file("key")).expect("key");
    let secret = json!({"metadata": {"name": "guest-key"}, "stringData": {"id_ed25519": key}});
    let secret: Secret = serde_json::from_value(secret).expect("secret");
    let made = world.api::<Secret>().create(&PostParams::default(), &secret).await;
    made.expect("create");
    let mut spec = world.vm_spec();
    spec["guest"] = json!({"ssh": {
        "user": sshd.login().user,
        "host": "127.0.0.1",
        "port": sshd.port,
        "keySecretRef": {"name": "guest-key", "key": "id_ed25519"},
    }});
    spec
}

/// The agent of every guest finds this in the file of the host key.
fn in_the_guest(world: &World, sshd: &Sshd) {
    let text = std::fs::read_to_string(sshd.file("host.pub")).expect("key");
    let text = serde_json::to_string(&text).expect("text");
    world.fake.py(&format!(
        "type(template).files['/etc/ssh/ssh_host_ed25519_key.pub'] = {text}\nNone"
    ));
}

async fn make(world: &World, spec: Value) {
    world
        .create::<ProxmoxVM>(json!({"metadata": {"name": "a"}, "spec": spec}))
        .await;
}

fn pin(vm: &ProxmoxVM) -> VmSsh {
    let status = vm.status.clone().expect("status");
    status.ssh.expect("pinned")
}

async fn the_agent_reads_the_host_keys_that_are_pinned(world: World) {
    let sshd = Sshd::start().await;
    in_the_guest(&world, &sshd);
    let spec = spec(&world, &sshd).await;
    let _running = world.controllers("a");
    make(&world, spec).await;
    let vm = world.until::<ProxmoxVM>("a", "ready", ready).await;
    let pinned = pin(&vm);
    assert_eq!(pinned.source, HostKeySource::GuestAgent);
    assert_eq!(pinned.host_keys, [sshd.host_key().text()]);
    event(&world, "HostKeyPinned", &sshd.host_key().fingerprint()).await;
}

async fn without_them_the_first_contact_is_trusted_and_said_so(world: World) {
    let sshd = Sshd::start().await;
    let spec = spec(&world, &sshd).await;
    let _running = world.controllers("a");
    make(&world, spec).await;
    let vm = world.until::<ProxmoxVM>("a", "ready", ready).await;
    assert_eq!(pin(&vm).source, HostKeySource::FirstContact);
    assert_eq!(pin(&vm).host_keys, [sshd.host_key().text()]);
    event(&world, "HostKeyTrustedOnFirstUse", &sshd.host_key().fingerprint()).await;
}

async fn who_has_another_key_is_not_let_near(world: World) {
    let sshd = Sshd::start().await;
    in_the_guest(&world, &sshd);
    let true_key = sshd.host_key();
    let other = sshd.new_host_key();
    let spec = spec(&world, &sshd).await;
    let _running = world.controllers("a");
    make(&world, spec).await;
    let vm = world
        .until::<ProxmoxVM>("a", "stalled", |vm| stalled(vm).is_some())
        .await;
    let text = stalled(&vm).expect("text");
    for part in ["HostKeyChanged", &true_key.fingerprint(), &other.fingerprint()] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(vm.status.and_then(|s| s.ssh), None);
}

async fn a_key_is_pinned_anew_when_its_pin_is_removed(world: World) {
    let sshd = Sshd::start().await;
    let spec = spec(&world, &sshd).await;
    let _running = world.controllers("a");
    make(&world, spec).await;
    let vm = world.until::<ProxmoxVM>("a", "ready", ready).await;
    let before = pin(&vm);
    let after = sshd.new_host_key();
    assert_ne!(before.host_keys, [after.text()]);
    let forget = Patch::Merge(json!({"status": {"ssh": null}}));
    let api = world.api::<ProxmoxVM>();
    api.patch_status("a", &PatchParams::default(), &forget)
        .await
        .expect("patch");
    let anew = |vm: &ProxmoxVM| {
        let ssh = vm.status.as_ref().and_then(|s| s.ssh.as_ref());
        ssh.is_some_and(|s| s.host_keys == [after.text()])
    };
    world.until::<ProxmoxVM>("a", "pinned anew", anew).await;
}

async fn a_secret_that_is_not_there_is_named(world: World) {
    let sshd = Sshd::start().await;
    let mut spec = spec(&world, &sshd).await;
    spec["guest"]["ssh"]["keySecretRef"]["key"] = "id_rsa".into();
    let _running = world.controllers("a");
    make(&world, spec).await;
    let says = |vm: &ProxmoxVM| {
        let conditions = vm.status.iter().flat_map(|s| &s.conditions);
        let mut ready = conditions.filter(|c| c.type_ == "Ready");
        ready.any(|c| {
            c.reason == "WaitingForSsh" && c.message.contains("keySecretRef") && c.message.contains("has id_ed25519")
        })
    };
    world.until::<ProxmoxVM>("a", "told", says).await;
    assert_eq!(sshd.connections(), 0);
}

async fn a_guest_without_an_agent_is_ready_by_ssh_alone(world: World) {
    let sshd = Sshd::start().await;
    world.fake.py("type(template).silent = True\nNone");
    let spec = spec(&world, &sshd).await;
    let _running = world.controllers("a");
    make(&world, spec).await;
    let vm = world.until::<ProxmoxVM>("a", "ready", ready).await;
    let conditions = &vm.status.as_ref().expect("status").conditions;
    assert!(
        conditions.iter().any(|c| c.message.contains("by SSH")),
        "{conditions:?}"
    );
}

async fn the_login_of_a_run_has_the_pinned_key(world: World) {
    let sshd = Sshd::start().await;
    in_the_guest(&world, &sshd);
    let spec = spec(&world, &sshd).await;
    let _running = world.controllers("a");
    world
        .create::<FunctionalTestRun>(json!({
            "metadata": {"name": "r"},
            "spec": {
                "vm": {"template": spec},
                "scenario": {"inline": {"name": "s", "steps": [{"note": "x"}]}},
            },
        }))
        .await;
    let done = |run: &FunctionalTestRun| run.status.as_ref().is_some_and(|s| s.phase == Some(RunPhase::Done));
    world.until::<FunctionalTestRun>("r", "done", done).await;
    let job = world.executor.jobs.lock().expect("lock")[0].clone();
    let login = job.machine.ssh.expect("login");
    assert_eq!(login.host_keys, [sshd.host_key()]);
    assert_eq!(
        (login.host.as_str(), login.port, login.vm.as_str()),
        ("127.0.0.1", sshd.port, "r-1")
    );
    assert!(
        !format!("{login:?}").contains("PRIVATE KEY"),
        "secrets are not formatted"
    );
}

async fn what_is_declared_twice_or_changed_is_refused(world: World) {
    let mut spec = world.vm_spec();
    let mut refused = async |guest: Value, why: &str| {
        spec["guest"] = guest;
        let object =
            json!({"apiVersion": "mosdat.dev/v1alpha1", "kind": "ProxmoxVM", "metadata": {"name": "a"}, "spec": spec});
        let object: ProxmoxVM = serde_json::from_value(object).expect("object");
        let made = world.api::<ProxmoxVM>().create(&PostParams::default(), &object).await;
        let text = made.expect_err("refused").to_string();
        assert!(text.contains(why), "{text}");
    };
    let one = "set exactly one of keySecretRef, agent: true";
    refused(json!({"ssh": {}}), one).await;
    let key = json!({"name": "k", "key": "k"});
    refused(json!({"ssh": {"agent": true, "keySecretRef": key}}), one).await;
    refused(json!({"ssh": {"agent": true, "hostKeys": ["ssh-ed25519"]}}), "hostKeys").await;
    refused(json!({"ssh": {"agent": true, "user": "-oProxyCommand=x"}}), "user").await;
    let mut spec = world.vm_spec();
    spec["guest"] = json!({"ssh": {"agent": true}});
    make(&world, spec).await;
    let api = world.api::<ProxmoxVM>();
    for guest in [json!({"ssh": {"port": 2222}}), Value::Null] {
        let patch = Patch::Merge(json!({"spec": {"guest": guest}}));
        let patched = api.patch("a", &PatchParams::default(), &patch).await;
        let text = patched.expect_err("immutable").to_string();
        assert!(text.contains("guest is immutable"), "{text}");
    }
}
