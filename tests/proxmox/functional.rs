//! `mosdat functional` and `mosdat preflight` as processes, with VMs of a fake Proxmox and controllers of the test's.

use crate::fake::{TOKEN_ID, TOKEN_SECRET};
use crate::world::{Play, World, outcome, ready};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, PostParams};
use mosdat::api::{FunctionalTestRun, ProxmoxVM, RunResult};
use mosdat::controlplane::{ControlPlane, Options, ServeOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Output;

/// A world whose control plane a process can reach, two VMs with snapshots, and the file that names them.
struct Stage {
    world: World,
    dir: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Stage {
        let dir = tempfile::tempdir().expect("folder");
        let plane = ControlPlane::open(Options {
            state_file: dir.path().join("state.redb"),
            kinds: mosdat::controlplane::Kinds::new(mosdat::api::crds()).expect("kinds"),
        })
        .expect("control plane");
        let token: secrecy::SecretString = "token".to_string().into();
        let options = ServeOptions {
            addr: ([127, 0, 0, 1], 0).into(),
            token: token.clone(),
            tls_dir: dir.path().join("tls"),
        };
        let serving = plane.serve(options).await.expect("a listener");
        let kubeconfig = dir.path().join("kubeconfig");
        plane
            .write_kubeconfig(&kubeconfig, &serving, &token, "default")
            .expect("kubeconfig");
        let client = plane.client("default");
        let world = World::on(client, "default".to_string(), Box::new((plane, serving))).await;
        for (vmid, name) in [(150, "one"), (151, "two")] {
            world.fake.py(&format!(
                "vm = pve.add_vm({vmid}, '{name}', status='stopped', config={{'cores': 2, 'memory': '1024', 'agent': '1', \
                 'vga': 'std', 'net0': 'virtio=BC:24:11:00:00:AA,bridge=vmbr0'}})\n\
                 vm.snapshots['clean'] = dict(vm.config, snaptime=1)\n",
            ));
        }
        let print: Vec<String> = world.fake.fingerprint.iter().map(|b| format!("{b:02X}")).collect();
        let file = format!(
            "[app]\nname = 'demo'\nversion = '1'\nbinary = '/opt/demo'\n[proxmox]\nhost = '127.0.0.1'\nport = {}\n\
             user = '{TOKEN_ID}'\nfingerprint = '{}'\n[defaults]\nsnapshot = 'clean'\n[[vm]]\nname = 'one'\nvmid = 150\n\
             [[vm]]\nname = 'two'\nvmid = 151\n[functional]\ntests_dir = 'tests'\n",
            world.fake.port,
            print.join(":"),
        );
        let folder = dir.path().join("fleet");
        std::fs::create_dir_all(folder.join("tests")).expect("folder");
        std::fs::write(folder.join("fleet.toml"), file).expect("file");
        std::fs::write(folder.join(".env"), format!("PROXMOX_PASSWORD={TOKEN_SECRET}\n")).expect("file");
        let scenario = "name: t\ninputs:\n  app_path: {type: string}\n  test_password: {type: string, secret: true}\nsteps:\n  - note: hello\n";
        std::fs::write(folder.join("tests/t.yaml"), scenario).expect("file");
        Stage { world, dir }
    }

    /// A command on the file.
    async fn mosdat(&self, command: &str, more: &[&str]) -> Output {
        let mut process = tokio::process::Command::new(env!("CARGO_BIN_EXE_mosdat"));
        process
            .arg(command)
            .arg(self.dir.path().join("fleet/fleet.toml"))
            .args(more)
            .env("FUNCTIONAL_TEST_PASSWORD", "swordfish")
            .env_remove("PROXMOX_PASSWORD");
        if command == "functional" {
            process
                .args(["--test", "t", "--kubeconfig"])
                .arg(self.dir.path().join("kubeconfig"));
        }
        let out = process.kill_on_drop(true).output().await.expect("mosdat");
        let all = format!(
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
        assert!(!all.contains("swordfish") && !all.contains(TOKEN_SECRET), "{all}");
        out
    }

    /// The run of the latest call on a VM.
    async fn run(&self, begin: &str) -> FunctionalTestRun {
        let all = self
            .world
            .api::<FunctionalTestRun>()
            .list(&Default::default())
            .await
            .expect("runs");
        let of_vm = all.items.into_iter().filter(|r| r.name_any().starts_with(begin));
        of_vm.max_by_key(|r| r.creation_timestamp()).expect("run")
    }

    async fn secret(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        let secrets: Api<Secret> = Api::namespaced(self.world.client.clone(), &self.world.ns);
        let data = secrets.get(name).await.expect("secret").data.expect("data");
        data.into_iter().map(|(k, v)| (k, v.0)).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_vm_is_rolled_back_tested_and_given_back() {
    let stage = Stage::new().await;
    let fake = &stage.world.fake;
    let _running = stage.world.controllers("a");
    let out = stage.mosdat("functional", &["--vms", "one,two"]).await;
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    let told = text(&out.stdout);
    for name in ["t-one", "t-two"] {
        let run = stage.run(name).await.name_any();
        assert!(told.contains(&format!("\n{run}  passed")), "{run}: {told}");
        assert_eq!(
            stage.secret(&format!("{run}-inputs")).await["test_password"],
            b"swordfish"
        );
    }
    assert_eq!(fake.count("POST", "/rollback"), 2);
    assert_eq!(fake.count("POST", "/clone"), 0);
    assert_eq!(fake.py("sum(1 for r in pve.requests if r[0] == 'DELETE')"), 0);
    for vmid in [150, 151] {
        let vm = format!("[v for v in pve.vms if v.vmid == {vmid}][0]");
        assert_eq!(fake.py(&format!("{vm}.status")), "stopped");
        assert!(fake.py(&format!("{vm}.config")).get("tags").is_none());
    }
    let jobs = stage.world.executor.jobs.lock().expect("lock").len();
    assert_eq!(jobs, 2);
    // Once more, one after the other; the product fails on the first, which does not keep the second from its run.
    *stage.world.executor.plays.lock().expect("lock") = vec![
        Play::End(outcome(RunResult::Failed)),
        Play::End(outcome(RunResult::Passed)),
    ];
    let out = stage
        .mosdat("functional", &["--vms", "one,two", "--parallel", "1"])
        .await;
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let (one, two) = (stage.run("t-one").await, stage.run("t-two").await);
    let told = format!("\n{}  failed", one.name_any());
    assert!(text(&out.stdout).contains(&told), "{out:?}");
    // What was typed goes with the run that it was made for.
    let name = one.name_any();
    stage
        .world
        .api::<FunctionalTestRun>()
        .delete(&name, &Default::default())
        .await
        .expect("delete");
    stage.world.gone::<Secret>(&format!("{name}-inputs")).await;
    let ended = one.status.and_then(|s| s.completion_time).expect("its end");
    let began = two.status.and_then(|s| s.start_time).expect("its beginning");
    assert!(began.0 >= ended.0);
    assert_eq!(fake.count("POST", "/rollback"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_on_the_cluster_is_used_and_left() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let _running = world.controllers("a");
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "demo-inputs"}, "stringData": {"test_password": "theirs"},
    }))
    .expect("secret");
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.ns);
    secrets.create(&PostParams::default(), &secret).await.expect("secret");
    let out = stage.mosdat("functional", &["--vms", "two"]).await;
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    let used = |run: FunctionalTestRun| run.spec.secret_variables[0].secret_key_ref.name.clone();
    assert_eq!(used(stage.run("t-two").await), "demo-inputs");
    assert_eq!(stage.secret("demo-inputs").await["test_password"], b"theirs");
    // What this call says otherwise is this call's, and so is what the Secret lacks; nobody else's is touched.
    let out = stage
        .mosdat("functional", &["--vms", "two", "--var", "test_password=mine"])
        .await;
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    let own = used(stage.run("t-two").await);
    assert_eq!(stage.secret(&own).await["test_password"], b"mine");
    let lacks = json!({"data": {"test_password": null}, "stringData": {"others": "stays"}});
    let patch = kube::api::Patch::Merge(&lacks);
    secrets
        .patch("demo-inputs", &Default::default(), &patch)
        .await
        .expect("patch");
    let out = stage.mosdat("functional", &["--vms", "two"]).await;
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    let own = used(stage.run("t-two").await);
    assert_eq!(stage.secret(&own).await["test_password"], b"swordfish");
    assert_eq!(stage.secret("demo-inputs").await.len(), 1);
    let vm = |vmid: u32| {
        json!({"metadata": {"name": "one"}, "spec": {
            "clusterRef": {"name": "demo-pve"}, "source": {"adopt": {"vmid": vmid}}, "deletionPolicy": "Stop",
        }})
    };
    world.create::<ProxmoxVM>(vm(150)).await;
    world.until::<ProxmoxVM>("one", "ready", ready).await;
    let out = stage.mosdat("functional", &["--vms", "one"]).await;
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    assert!(text(&out.stdout).contains("proxmoxvm/one is there"), "{out:?}");
    assert_eq!(stage.run("t-one").await.spec.vm.reference.expect("ref").name, "one");
    world
        .api::<ProxmoxVM>()
        .delete("one", &Default::default())
        .await
        .expect("delete");
    world.gone::<ProxmoxVM>("one").await;
    world.create::<ProxmoxVM>(vm(151)).await;
    let out = stage.mosdat("functional", &["--vms", "one"]).await;
    assert_eq!(out.status.code(), Some(3), "{out:?}");
    assert!(text(&out.stderr).contains("is another machine than VM 150"), "{out:?}");
}

/// Proxmox answers, and what was given lets nobody in: nothing is started, and it is not the infrastructure's fault.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_or_a_certificate_that_is_wrong_is_wrong_input() {
    let stage = Stage::new().await;
    let file = stage.dir.path().join("fleet/fleet.toml");
    let right = std::fs::read_to_string(&file).expect("file");
    let pin = right.lines().find(|l| l.starts_with("fingerprint")).expect("pin");
    let other_pin = right.replace(pin, &format!("fingerprint = '{}'", ["AB"; 32].join(":")));
    let unpinned = right.replace(pin, "");
    for (text, password, told) in [
        (&right, "wrong", "look at `user` in [proxmox] and at PROXMOX_PASSWORD"),
        (&other_pin, TOKEN_SECRET, "give `fingerprint` in [proxmox]"),
        (&unpinned, TOKEN_SECRET, "give `fingerprint` in [proxmox]"),
    ] {
        std::fs::write(&file, text).expect("file");
        for more in [&["preflight"][..], &["functional", "--vms", "one", "--test", "t"]] {
            let mut process = tokio::process::Command::new(env!("CARGO_BIN_EXE_mosdat"));
            process
                .args([more[0], "fleet.toml"])
                .args(&more[1..])
                .current_dir(stage.dir.path().join("fleet"))
                .env("MOSDAT_STATE", "state")
                .env("FUNCTIONAL_TEST_PASSWORD", "swordfish")
                .env("PROXMOX_PASSWORD", password)
                .env_remove("KUBECONFIG");
            let out = process.kill_on_drop(true).output().await.expect("mosdat");
            let all = format!("{}{}", self::text(&out.stdout), self::text(&out.stderr));
            assert_eq!(out.status.code(), Some(3), "{more:?}: {all}");
            assert!(all.contains(told), "{more:?}: {told}: {all}");
            assert!(!all.contains(TOKEN_SECRET), "{all}");
        }
        assert!(!stage.dir.path().join("fleet/state").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn preflight_reads_and_writes_nothing() {
    let stage = Stage::new().await;
    let fake = &stage.world.fake;
    let judged = |out: &Output| -> Vec<(String, String)> {
        let found: Vec<Value> = serde_json::from_slice(&out.stdout).expect("JSON");
        let word = |f: &Value, key: &str| f[key].as_str().unwrap_or_default().to_string();
        found.iter().map(|f| (word(f, "about"), word(f, "state"))).collect()
    };
    let out = stage.mosdat("preflight", &["--test", "t", "--format", "json"]).await;
    let found = judged(&out);
    for about in ["one", "two", "secret inputs"] {
        assert!(
            found.contains(&(about.to_string(), "ok".to_string())),
            "{about}: {found:?}"
        );
    }
    fake.py("[v for v in pve.vms if v.vmid == 151][0].snapshots.clear()\n");
    let out = stage.mosdat("preflight", &["--format", "json"]).await;
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    assert!(
        judged(&out).contains(&("two".to_string(), "failed".to_string())),
        "{out:?}"
    );
    assert_eq!(fake.py("[r[1] for r in pve.requests if r[0] != 'GET']"), json!([]));
}
