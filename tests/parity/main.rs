//! The embedded control plane and a real kube-apiserver are sent the same requests; their answers must agree.
//!
//! What each server makes up by itself (uids, versions, times) is taken out before the comparison; everything else,
//! down to the words of an error, must be equal.

#[path = "../support/kube.rs"]
mod real_kube;

use kube::config::Kubeconfig;
use mosdat::controlplane::{ControlPlane, Options, ServeOptions};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

const RUNS: &str = "/apis/mosdat.dev/v1alpha1/namespaces/default/functionaltestruns";
const VMS: &str = "/apis/mosdat.dev/v1alpha1/namespaces/default/proxmoxvms";
const CONFIGMAPS: &str = "/api/v1/namespaces/default/configmaps";

struct Server {
    http: Client,
    base: String,
    token: String,
}

struct Answer {
    code: u16,
    body: Value,
}

impl Server {
    fn of(kubeconfig: &Path) -> Server {
        use secrecy::ExposeSecret;
        let file = Kubeconfig::read_from(kubeconfig).expect("kubeconfig");
        let cluster = file.clusters[0].cluster.clone().expect("cluster");
        let user = file.auth_infos[0].auth_info.clone().expect("user");
        let ca = base64_decode(&cluster.certificate_authority_data.expect("CA"));
        let http = Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&ca).expect("CA")])
            .timeout(Duration::from_secs(60))
            .build()
            .expect("client");
        let token = user.token.expect("token").expose_secret().to_string();
        Server {
            http,
            base: cluster.server.expect("server").trim_end_matches('/').to_string(),
            token,
        }
    }

    async fn send(&self, method: Method, path: &str, content: &str, body: Option<&Value>) -> Answer {
        let mut r = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token);
        if let Some(b) = body {
            r = r.header("content-type", content).body(b.to_string());
        }
        let r = r.send().await.expect("an answer");
        let code = r.status().as_u16();
        let text = r.text().await.expect("text");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { code, body }
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, "application/json", Some(&body)).await
    }
    async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, "application/json", Some(&body)).await
    }
    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "", None).await
    }
    async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, "", None).await
    }
    async fn merge(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, "application/merge-patch+json", Some(&body))
            .await
    }
    async fn apply(&self, path: &str, manager: &str, force: bool, body: Value) -> Answer {
        let path = format!("{path}?fieldManager={manager}&force={force}&fieldValidation=Strict");
        self.send(Method::PATCH, &path, "application/apply-patch+yaml", Some(&body))
            .await
    }

    /// Watches from a version until `count` events came, and answers their types, names and whether they carry data.
    async fn watch(&self, path: &str, from: &str, count: usize) -> Value {
        use futures::StreamExt;
        let url = format!(
            "{}{path}?watch=true&resourceVersion={from}&timeoutSeconds=30",
            self.base
        );
        let r = self.http.get(url).bearer_auth(&self.token).send().await.expect("watch");
        let code = r.status().as_u16();
        let (mut stream, mut buffer, mut events) = (r.bytes_stream(), Vec::new(), Vec::new());
        while events.len() < count
            && let Some(Ok(part)) = stream.next().await
        {
            buffer.extend_from_slice(&part);
            while let Some(end) = buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                let event: Value = serde_json::from_slice(&line).expect("a JSON line");
                events.push(json!([
                    event["type"],
                    event["object"]["metadata"]["name"],
                    event["object"]["data"]
                ]));
            }
        }
        json!([code, events])
    }
}

fn base64_decode(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}

fn run(name: &str) -> Value {
    json!({
        "apiVersion": "mosdat.dev/v1alpha1", "kind": "FunctionalTestRun",
        "metadata": {"name": name},
        "spec": {"vm": {"ref": {"name": "vm"}}, "scenario": {"ref": {"name": "s"}}},
    })
}

fn vm(name: &str) -> Value {
    json!({
        "apiVersion": "mosdat.dev/v1alpha1", "kind": "ProxmoxVM",
        "metadata": {"name": name},
        "spec": {"clusterRef": {"name": "lab"}, "source": {"clone": {"template": "desktop"}}},
    })
}

fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": value}})
}

/// Takes out what a server makes up by itself.
fn plain(v: &Value) -> Value {
    const OWN: [&str; 6] = [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "time",
        "selfLink",
    ];
    match v {
        Value::Object(m) => Value::Object(
            m.iter()
                .filter(|(k, _)| !OWN.contains(&k.as_str()))
                .map(|(k, v)| (k.clone(), plain(v)))
                .collect(),
        ),
        Value::Array(a) => Value::Array(a.iter().map(plain).collect()),
        v => v.clone(),
    }
}

/// Sends the requests and writes down what came back, one entry each.
async fn script(s: &Server) -> Vec<(&'static str, Value)> {
    let mut out: Vec<(&'static str, Value)> = Vec::new();
    let mut note = |what, a: &Answer| out.push((what, json!([a.code, plain(&a.body)])));
    let one = format!("{RUNS}/one");

    note("create, with defaults filled in", &s.post(RUNS, run("one")).await);
    note("create again: AlreadyExists", &s.post(RUNS, run("one")).await);
    note("get", &s.get(&one).await);
    note("get what is not there", &s.get(&format!("{RUNS}/none")).await);
    note(
        "get an unknown kind",
        &s.get("/apis/mosdat.dev/v1alpha1/namespaces/default/nonsense").await,
    );

    let mut bad = run("bad");
    bad["spec"]["timeoutSeconds"] = json!("soon");
    note("a field of the wrong type", &s.post(RUNS, bad).await);
    let mut bad = run("bad");
    bad["spec"]["timeoutSeconds"] = json!(0);
    note("a number out of its range", &s.post(RUNS, bad).await);
    let mut bad = run("bad");
    bad["spec"].as_object_mut().expect("spec").remove("vm");
    note("a missing field", &s.post(RUNS, bad).await);
    let mut bad = run("bad");
    bad["spec"]["timeoutSecond"] = json!(5);
    note(
        "an unknown field, strictly",
        &s.post(&format!("{RUNS}?fieldValidation=Strict"), bad.clone()).await,
    );
    note(
        "an unknown field, ignored and pruned",
        &s.post(&format!("{RUNS}?fieldValidation=Ignore&dryRun=All"), bad).await,
    );
    let mut bad = run("bad");
    bad["spec"]["vm"] = json!({});
    note("a CEL rule", &s.post(RUNS, bad).await);
    note("a bad name", &s.post(RUNS, run("Bad_Name")).await);
    note(
        "a transition rule",
        &s.merge(&one, json!({"spec": {"vm": {"ref": {"name": "other"}}}})).await,
    );

    let stored = s.get(&one).await.body;
    note(
        "a mutable field; generation moves",
        &s.merge(&one, json!({"spec": {"cancel": true}})).await,
    );
    let mut stale = stored.clone();
    stale["spec"]["timeoutSeconds"] = json!(60);
    note("a stale update: Conflict", &s.put(&one, stale).await);
    let mut with_status = s.get(&one).await.body;
    with_status["status"] = json!({"phase": "Running"});
    note("an update does not touch status", &s.put(&one, with_status).await);
    note(
        "a status patch does not touch spec",
        &s.merge(
            &format!("{one}/status"),
            json!({"status": {"phase": "Running"}, "spec": {"cancel": false}}),
        )
        .await,
    );
    note(
        "a status with a bad value",
        &s.merge(&format!("{one}/status"), json!({"status": {"phase": "Sleeping"}}))
            .await,
    );

    let two = format!("{VMS}/two");
    let hardware = |cores: u32| {
        let mut v = vm("two");
        v["spec"]["hardware"] = json!({"cores": cores});
        v
    };
    note("apply by a", &s.apply(&two, "a", false, hardware(2)).await);
    note("apply by b: conflict", &s.apply(&two, "b", false, hardware(4)).await);
    note("apply by b, forced", &s.apply(&two, "b", true, hardware(4)).await);
    note(
        "a no longer names what b took",
        &s.apply(&two, "a", false, vm("two")).await,
    );
    note("b lets go of it too", &s.apply(&two, "b", false, vm("two")).await);
    note("apply of an unknown field", &s.apply(&two, "a", false, json!({"apiVersion": "mosdat.dev/v1alpha1", "kind": "ProxmoxVM", "metadata": {"name": "two"}, "spec": {"cluster": 1}})).await);
    note(
        "json patch",
        &s.send(
            Method::PATCH,
            &two,
            "application/json-patch+json",
            Some(&json!([{"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}])),
        )
        .await,
    );
    note(
        "json patch whose test fails",
        &s.send(
            Method::PATCH,
            &two,
            "application/json-patch+json",
            Some(&json!([{"op": "test", "path": "/spec/clusterRef/name", "value": "no"}])),
        )
        .await,
    );
    note("select by label", &s.get(&format!("{VMS}?labelSelector=x%3Dy")).await);
    note(
        "select by another label",
        &s.get(&format!("{VMS}?labelSelector=x%21%3Dy")).await,
    );
    note(
        "select by name",
        &s.get(&format!("{VMS}?fieldSelector=metadata.name%3Dtwo")).await,
    );
    note(
        "select by an unsupported field",
        &s.get(&format!("{VMS}?fieldSelector=spec.nonsense%3Dtwo")).await,
    );

    for (what, change) in [
        ("a patch of the kind", json!({"kind": "Other"})),
        ("a patch of the version", json!({"apiVersion": "mosdat.dev/v9"})),
        ("a patch of the group", json!({"apiVersion": "v1"})),
        ("a patch without the version", json!({"apiVersion": null})),
    ] {
        note(what, &s.merge(&one, change).await);
    }
    // The words of this one hold the whole object, with what the server made up.
    let kindless = s.merge(&one, json!({"kind": null})).await;
    note(
        "a patch without the kind",
        &Answer {
            code: kindless.code,
            body: kindless.body["reason"].clone(),
        },
    );
    let mut whole = run("whole");
    whole["spec"]["timeoutSeconds"] = json!(30.0);
    note("a whole float is an integer", &s.post(RUNS, whole).await);
    note(
        "the default namespace stays",
        &s.delete("/api/v1/namespaces/default").await,
    );

    // Finalizer: deletion waits for it.
    note(
        "a finalizer",
        &s.merge(&one, json!({"metadata": {"finalizers": ["mosdat.dev/cleanup"]}}))
            .await,
    );
    note("delete: still there", &s.delete(&one).await);
    note(
        "a finalizer cannot be added now",
        &s.merge(
            &one,
            json!({"metadata": {"finalizers": ["mosdat.dev/cleanup", "mosdat.dev/more"]}}),
        )
        .await,
    );
    note(
        "the finalizer goes",
        &s.merge(&one, json!({"metadata": {"finalizers": []}})).await,
    );
    note("gone", &s.get(&one).await);

    // Watch from a version, on a kind of the core group.
    let first = s.post(CONFIGMAPS, config_map("first", "1")).await;
    let from = first.body["metadata"]["resourceVersion"]
        .as_str()
        .expect("version")
        .to_string();
    s.put(&format!("{CONFIGMAPS}/first"), config_map("first", "2")).await;
    s.post(CONFIGMAPS, config_map("second", "1")).await;
    s.delete(&format!("{CONFIGMAPS}/first")).await;
    let events = s.watch(CONFIGMAPS, &from, 3).await;
    out.push(("watch from a version", events));

    // Cascade: what an object owns goes after it.
    let owner = s.post(VMS, vm("owner")).await.body;
    let mut child = config_map("child", "1");
    child["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "mosdat.dev/v1alpha1", "kind": "ProxmoxVM", "name": "owner", "uid": owner["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true,
    }]);
    let child = s.post(CONFIGMAPS, child).await;
    out.push(("an owned object", json!(child.code)));
    let gone = s.delete(&format!("{VMS}/owner")).await;
    out.push(("delete the owner", json!([gone.code, plain(&gone.body)])));
    // The real collector learns of new kinds every 30 s.
    let deadline = Instant::now() + Duration::from_secs(90);
    let mut code = 200;
    while code == 200 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(200)).await;
        code = s.get(&format!("{CONFIGMAPS}/child")).await.code;
    }
    out.push(("what it owned is gone", json!(code)));
    out
}

#[tokio::test]
async fn both_control_planes_answer_alike() {
    let real = real_kube::RealKube::start().await;
    real.apply_crds().await;
    let dir = tempfile::tempdir().expect("temp dir");
    let plane = ControlPlane::open(Options {
        state_file: dir.path().join("state.redb"),
        kinds: mosdat::controlplane::Kinds::new(mosdat::api::crds()).expect("kinds"),
    })
    .expect("control plane");
    let token = secrecy::SecretString::from("parity-test-token".to_string());
    let serving = plane
        .serve(ServeOptions {
            addr: ([127, 0, 0, 1], 0).into(),
            token: token.clone(),
            tls_dir: dir.path().join("tls"),
        })
        .await
        .expect("serve");
    let config = dir.path().join("kubeconfig");
    plane
        .write_kubeconfig(&config, &serving, &token, "default")
        .expect("kubeconfig");

    let (ours, theirs) = (Server::of(&config), Server::of(real.kubeconfig()));
    let (ours, theirs) = tokio::join!(script(&ours), script(&theirs));
    let mut differing = Vec::new();
    for ((what, a), (_, b)) in ours.iter().zip(&theirs) {
        if a != b {
            differing.push(format!("## {what}\nembedded: {a:#}\nreal:     {b:#}"));
        }
    }
    assert_eq!(ours.len(), theirs.len());
    assert!(
        differing.is_empty(),
        "{} of {} answers differ:\n{}",
        differing.len(),
        ours.len(),
        differing.join("\n")
    );
}
