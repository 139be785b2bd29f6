//! Logging in, and how requests that cannot be carried out are refused. No machine runs here.

use crate::rig::{NODE, Rig, TEMPLATE, raw, vm};
use mosdat::lab::Options;
use mosdat::proxmox::{CloneParams, ErrorKind};
use reqwest::Method;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn who_may() {
    let rig = Rig::new().await;
    let begun = Instant::now();
    let bad = format!("PVEAPIToken={}=00000000-0000-0000-0000-000000000000", rig.lab.token_id);
    let (none, wrong, garbled) = tokio::join!(
        raw(rig.request(Method::GET, "/version")),
        raw(rig.request(Method::GET, "/version").header("authorization", bad)),
        raw(rig
            .request(Method::GET, "/version")
            .header("authorization", "PVEAPIToken=x")),
    );
    for refused in [none, wrong, garbled] {
        assert_eq!((refused.status, refused.text.as_str()), (401, ""), "{refused:?}");
        assert_eq!(refused.content_type, None);
    }
    assert!(begun.elapsed().as_secs_f32() > 2.9, "a 401 takes its time");

    assert!(
        rig.client
            .version()
            .await
            .expect("the token is taken")
            .version
            .starts_with('9')
    );
    assert_eq!(rig.client.nodes().await.expect("nodes")[0].node, NODE);
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets() {
    let rig = Rig::new().await;
    let password = std::fs::read_to_string(rig.state.path().join("root.password")).expect("the password");
    let log_in = |user: &'static str, realm: &'static str, password: String| {
        let body = serde_json::json!({"username": user, "realm": realm, "password": password});
        raw(rig
            .request(Method::POST, "/access/ticket")
            .header("content-type", "application/json")
            .body(body.to_string()))
    };
    let refused = log_in("root", "pam", "guess".into()).await;
    assert_eq!((refused.status, refused.message()), (401, "authentication failure"));

    let given = log_in("root", "pam", password).await;
    assert_eq!(given.body["data"]["username"], "root@pam", "{given:?}");
    let text = |k: &str| given.body["data"][k].as_str().expect("text").to_string();
    let (ticket, csrf) = (text("ticket"), text("CSRFPreventionToken"));
    let again = log_in("root", "pam", ticket.clone()).await;
    assert_eq!(again.status, 200, "a ticket renews itself: {again:?}");

    let encoded: String = url::form_urlencoded::byte_serialize(ticket.as_bytes()).collect();
    for cookie in [&ticket, &encoded] {
        let get = rig.request(Method::GET, "/version");
        assert_eq!(
            raw(get.header("cookie", format!("PVEAuthCookie={cookie}")))
                .await
                .status,
            200
        );
    }
    let post = || {
        rig.request(Method::POST, &vm(101, "/status/stop"))
            .header("cookie", format!("a=b; PVEAuthCookie={ticket}"))
    };
    let refused = raw(post()).await;
    assert_eq!((refused.status, refused.text.as_str()), (401, ""), "no CSRF token");
    let taken = raw(post().header("CSRFPreventionToken", csrf)).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals() {
    let rig = Rig::new().await;
    let clone = vm(TEMPLATE, "/clone");
    let r = rig
        .call(
            Method::POST,
            &clone,
            &[("full", "yes"), ("name", "no name"), ("frobnicate", "1")],
        )
        .await;
    assert_eq!(
        (r.status, r.message()),
        (400, "Parameter verification failed."),
        "{r:?}"
    );
    assert_eq!(r.content_type.as_deref(), Some("application/json;charset=UTF-8"));
    for (field, text) in [
        ("newid", "property is missing and it is not optional"),
        ("full", "type check ('boolean') failed - got 'yes'"),
        ("name", "does not look like a valid DNS name"),
        ("frobnicate", "property is not defined in schema"),
    ] {
        let told = r.body["errors"][field].as_str().unwrap_or_default();
        assert!(told.contains(text), "{field}: {r:?}");
    }

    let r = rig.call(Method::GET, "/nodes/lab/qemux", &[]).await;
    assert_eq!(
        (r.status, r.message()),
        (501, "Method 'GET /nodes/lab/qemux' not implemented")
    );
    let r = rig.call(Method::HEAD, "/version", &[]).await;
    assert_eq!(r.status, 501);
    let r = raw(rig.request(Method::HEAD, "/version")).await;
    assert_eq!(r.status, 501, "without a ticket too");
    let r = rig.call(Method::GET, "/nodes/pve9/qemu", &[]).await;
    assert_eq!(r.status, 500);
    assert!(r.message().starts_with("hostname lookup 'pve9' failed - "), "{r:?}");

    let r = rig.call(Method::GET, &vm(999, "/config"), &[]).await;
    let text = "Configuration file 'nodes/lab/qemu-server/999.conf' does not exist";
    assert_eq!((r.status, r.message()), (500, text));
    let e = rig.client.vm_config(NODE, 999).await.expect_err("no such VM");
    assert_eq!(e.kind, ErrorKind::NotFound);
    let upid = rig.client.start(NODE, 999).await.expect("a task");
    let e = rig.wait(&upid).await.expect_err("which fails");
    assert_eq!(e.kind, ErrorKind::NotFound, "{e}");

    let with_body = rig
        .request(Method::DELETE, &vm(999, ""))
        .header("authorization", rig.token())
        .body("purge=1");
    let r = raw(with_body).await;
    assert_eq!((r.status, r.message()), (501, "Unexpected content for method 'DELETE'"));

    let json = |body: &'static str, kind: &'static str| {
        raw(rig
            .request(Method::POST, &clone)
            .header("authorization", rig.token())
            .header("content-type", kind)
            .body(body))
    };
    assert_eq!(json("{", "application/json").await.status, 500);
    assert_eq!(json("newid: 101", "text/plain").await.status, 506);

    let r = rig.call(Method::GET, "/nodes/lab/tasks/garbage/status", &[]).await;
    assert_eq!(r.status, 400);
    assert!(
        r.body["errors"]["upid"]
            .as_str()
            .is_some_and(|t| t.contains("unable to parse")),
        "{r:?}"
    );
    let unknown = "UPID:lab:00000001:00000001:00000001:qmstart:101:root@pam:";
    let r = rig
        .call(Method::GET, &format!("/nodes/lab/tasks/{unknown}/status"), &[])
        .await;
    assert_eq!((r.status, &r.body["errors"]["upid"]), (400, &"no such task".into()));
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_template_the_command_is_told() {
    let (state, cache) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let options = Options {
        cache_dir: cache.path().to_path_buf(),
        ..Options::in_state(state.path())
    };
    let rig = Rig::open(options, state).await;
    assert!(rig.client.cluster_vms().await.expect("a list").is_empty());
    let params = CloneParams {
        newid: 101,
        ..CloneParams::default()
    };
    let e = rig
        .client
        .clone_vm(NODE, TEMPLATE, &params)
        .await
        .expect_err("nothing to clone");
    assert!(e.message.contains("run `mosdat lab template build`"), "{e}");
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration() {
    let rig = Rig::new().await;
    rig.clone_to(101).await;
    let before = rig.client.vm_config(NODE, 101).await.expect("config");
    assert_eq!(before.get("name"), Some("vm-101"));
    assert!(
        before
            .net0_mac()
            .is_some_and(|m| m.to_lowercase().starts_with("bc:24:11:"))
    );

    let params = CloneParams {
        newid: 101,
        ..CloneParams::default()
    };
    let e = rig
        .client
        .clone_vm(NODE, TEMPLATE, &params)
        .await
        .expect_err("it is there");
    assert_eq!(e.kind, ErrorKind::AlreadyExists, "{e}");
    let e = rig
        .client
        .clone_vm(NODE, 101, &CloneParams { newid: 102, ..params })
        .await;
    assert!(e.is_err_and(|e| e.message.contains("Linked clone feature is not supported")));
    assert!(!rig.client.next_id_free(101).await.expect("an answer"));
    assert!(rig.client.next_id_free(102).await.expect("an answer"));

    // All wrong values are told at once, by the call that answers with a task too, and nothing is changed.
    let bad = [("cores", "many"), ("name", "no name"), ("args", "-S")];
    for method in [Method::PUT, Method::POST] {
        let r = rig.call(method.clone(), &vm(101, "/config"), &bad).await;
        assert_eq!(r.status, 400, "{method}: {r:?}");
        assert_eq!(
            r.body["errors"].as_object().map(|e| e.len()),
            Some(3),
            "{method}: {r:?}"
        );
        let stale = [("cores", "1"), ("digest", "0000000000000000000000000000000000000000")];
        let r = rig.call(method, &vm(101, "/config"), &stale).await;
        assert_eq!(
            (r.status, r.message()),
            (500, "checksum mismatch (file change by other user?)")
        );
    }
    assert_eq!(rig.client.vm_config(NODE, 101).await.expect("config"), before);
    let e = rig
        .client
        .set_config(NODE, 101, &[("hostpci0", "0000:01:00.0".into())])
        .await;
    assert_eq!(e.expect_err("a token").kind, ErrorKind::Permission);
    let r = rig.call(Method::PUT, &vm(TEMPLATE, "/config"), &[("cores", "4")]).await;
    assert_eq!(r.status, 500);
    assert!(r.message().contains("template"), "{r:?}");

    let digest = before.get("digest").expect("a digest");
    let good = [
        ("cores", "1"),
        ("tags", "a;b"),
        ("delete", "balloon,vga"),
        ("digest", digest),
    ];
    rig.data(Method::PUT, &vm(101, "/config"), &good).await;
    let after = rig.client.vm_config(NODE, 101).await.expect("config");
    assert_eq!((after.get("cores"), after.get("vga")), (Some("1"), None));
    assert_eq!(after.tags(), ["a", "b"]);
    rig.task(Method::POST, &vm(101, "/config"), &[("memory", "768")])
        .await
        .expect("a task");
    let shown = rig.data(Method::GET, &vm(101, "/config"), &[]).await;
    assert_eq!((&shown["memory"], &shown["cores"]), (&"768".into(), &1.into()));
    rig.delete(101).await;
    rig.close().await;
}
