//! What the client does with connections that misbehave, and with answers as they are on the wire.

use crate::fake::{TOKEN_ID, TOKEN_SECRET};
use crate::liar::{Act, Liar, answer, data};
use mosdat::proxmox::{Auth, Client, Config, ConfigChange, ErrorKind, Tls};
use std::sync::Arc;
use std::time::{Duration, Instant};

const VERSION: &str = r#"{"version":"9.1.7","release":"9.1"}"#;
const UPID: &str = r#""UPID:pve1:000003E8:00001B58:66AABBCC:qmstart:101:root@pam:""#;

fn client(liar: &Liar) -> Client {
    let config = Config {
        endpoints: vec![liar.url.parse().expect("url")],
        auth: Auth::Token {
            id: TOKEN_ID.to_string(),
            secret: TOKEN_SECRET.into(),
        },
        tls: Tls::InsecureSkipVerify,
        timeout: Duration::from_secs(2),
    };
    Client::new(config).expect("client")
}

#[tokio::test]
async fn a_get_is_repeated_once_when_a_kept_connection_closes_without_an_answer() {
    let liar = Liar::start(vec![data(VERSION), Act::Close, data(VERSION), Act::Close, Act::Close]).await;
    let pve = client(&liar);
    pve.version().await.expect("first");
    pve.version().await.expect("repeated");
    assert_eq!(liar.requests().len(), 3);
    let e = pve.version().await.expect_err("lost twice");
    assert_eq!(e.kind, ErrorKind::Transport, "{e}");
    assert_eq!(liar.requests().len(), 5);
}

#[tokio::test]
async fn a_write_is_never_repeated() {
    let liar = Liar::start(vec![data(VERSION), Act::Close]).await;
    let pve = client(&liar);
    pve.version().await.expect("keeps the connection");
    let e = pve.start("pve1", 101).await.expect_err("lost");
    assert_eq!((e.kind, e.status), (ErrorKind::Transport, None), "{e}");
    let e = pve.set_config("pve1", 101, &[("cores", "1".to_string())]).await;
    assert_eq!(e.expect_err("lost").kind, ErrorKind::Transport);
    let e = pve.delete("pve1", 101).await.expect_err("lost");
    assert_eq!(e.kind, ErrorKind::Transport, "{e}");
    let methods: Vec<String> = liar.requests().iter().map(|r| r[..4].to_string()).collect();
    assert_eq!(methods, ["GET ", "POST", "PUT ", "DELE"]);
}

#[tokio::test]
async fn a_change_with_a_digest_may_be_repeated() {
    let change = ConfigChange {
        set: vec![("cores".to_string(), "2".to_string())],
        digest: Some("abc".to_string()),
        ..ConfigChange::default()
    };
    let liar = Liar::start(vec![Act::Close, data("null")]).await;
    client(&liar)
        .update_config("pve1", 101, &change)
        .await
        .expect("repeated");
    assert_eq!(liar.requests().len(), 2);

    let stale = r#"{"data":null,"message":"checksum mismatch (file change by other user?)\n"}"#;
    let liar = Liar::start(vec![Act::Close, answer("500 checksum mismatch", "", stale)]).await;
    let e = client(&liar)
        .update_config("pve1", 101, &change)
        .await
        .expect_err("who did it?");
    assert_eq!(e.kind, ErrorKind::Transport, "{e}");

    let liar = Liar::start(vec![answer("500 checksum mismatch", "", stale)]).await;
    let e = client(&liar)
        .update_config("pve1", 101, &change)
        .await
        .expect_err("stale");
    assert_eq!(e.kind, ErrorKind::Busy, "{e}");

    let liar = Liar::start(vec![Act::Close]).await;
    let blind = ConfigChange { digest: None, ..change };
    let e = client(&liar)
        .update_config("pve1", 101, &blind)
        .await
        .expect_err("lost");
    assert_eq!(e.kind, ErrorKind::Transport, "{e}");
    assert_eq!(liar.requests().len(), 1);
}

#[tokio::test]
async fn without_a_body_the_reason_phrase_is_the_message() {
    let closing = "Connection: close\r\n";
    let liar = Liar::start(vec![
        answer("401 No ticket", closing, ""),
        answer("500 VM 100 is not running", closing, ""),
        answer("596 Broken pipe", closing, ""),
        answer("403 ", closing, ""),
    ])
    .await;
    let pve = client(&liar);
    let e = pve.version().await.expect_err("401");
    assert_eq!(
        (e.kind, e.message.as_str(), e.status),
        (ErrorKind::Auth, "No ticket", Some(401))
    );
    let e = pve.agent_ping("pve1", 100).await.expect_err("500");
    assert_eq!(
        (e.kind, e.message.as_str()),
        (ErrorKind::NotRunning, "VM 100 is not running")
    );
    let e = pve
        .agent_exec("pve1", 100, &["x".to_string()], None)
        .await
        .expect_err("596");
    assert_eq!(e.kind, ErrorKind::CommandNotRun, "{e}");
    let e = pve.version().await.expect_err("403");
    assert_eq!(
        (e.kind, e.message.as_str()),
        (ErrorKind::Permission, "no text was given")
    );
}

#[tokio::test]
async fn silence_ends_with_the_time_limit() {
    let liar = Liar::start(vec![Act::Silence]).await;
    let begun = Instant::now();
    let e = client(&liar).version().await.expect_err("no answer");
    assert_eq!(e.kind, ErrorKind::Transport, "{e}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(liar.requests().len(), 1, "what took too long is not asked again");
}

#[tokio::test]
async fn who_waits_for_a_login_waits_for_it_once() {
    let liar = Liar::start((0..8).map(|_| Act::Silence).collect()).await;
    let config = Config {
        endpoints: vec![liar.url.parse().expect("url")],
        auth: Auth::password("root@pam", "x".into()),
        tls: Tls::InsecureSkipVerify,
        timeout: Duration::from_secs(2),
    };
    let pve = Client::new(config).expect("client");
    let begun = Instant::now();
    let all = futures::future::join_all((0..8).map(|_| pve.version())).await;
    assert!(
        all.iter()
            .all(|r| r.as_ref().is_err_and(|e| e.kind == ErrorKind::Transport))
    );
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(liar.requests(), ["POST /api2/json/access/ticket HTTP/1.1"]);
}

#[tokio::test]
async fn answers_of_forwarded_calls_have_two_connection_headers() {
    let both = "Connection: close\r\nConnection: Keep-Alive\r\n";
    let upid = format!("{{\"data\":{UPID}}}");
    let liar = Liar::start(vec![answer("200 OK", both, &upid), answer("200 OK", both, &upid)]).await;
    let pve = client(&liar);
    for _ in 0..2 {
        assert_eq!(pve.start("pve1", 101).await.expect("start").kind(), "qmstart");
    }
}

#[tokio::test]
async fn numbers_and_flags_come_in_both_forms() {
    let vm = r#"[{"vmid":"101","status":"stopped","template":"1","name":"a"}]"#;
    let liar = Liar::start(vec![
        data("\"100\""),
        data(vm),
        data("null"),
        answer("200 OK", "", "<html>"),
    ])
    .await;
    let pve = client(&liar);
    assert_eq!(pve.next_id().await.expect("id"), 100);
    let vms = pve.vms("pve1").await.expect("vms");
    assert!(vms[0].vmid == 101 && vms[0].template);
    let e = pve.start("pve1", 101).await.expect_err("no UPID");
    assert!(e.message.contains("UPID"), "{e}");
    let e = pve.version().await.expect_err("no JSON");
    assert_eq!(e.kind, ErrorKind::Other, "{e}");
}

/// Proxmox's server drops requests with a ticket whose body arrives in a later TLS record than the headers.
#[tokio::test]
async fn headers_and_body_leave_in_one_record() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_string()]).expect("certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("key");
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("TLS");
    let liar = Liar::tls(vec![data("null"), data("null")], Arc::new(config).into()).await;
    let pve = client(&liar);
    for size in [10, 12_000] {
        let values = [("description", "x".repeat(size))];
        pve.set_config("pve1", 101, &values).await.expect("written");
        let (text, reads) = liar.last();
        assert!(text.starts_with("PUT ") && text.len() > size);
        assert_eq!(reads, 1, "{size} bytes");
    }
}
