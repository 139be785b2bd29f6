//! Logging in with a password: tickets, their renewal and their end.

use crate::fake::Fake;
use mosdat::proxmox::{Auth, Client, CloneParams, ErrorKind};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn root(fake: &Fake, password: &str) -> Client {
    with(fake, Auth::password("root@pam", password.into()))
}

fn with(fake: &Fake, auth: Auth) -> Client {
    let mut c = fake.config();
    c.auth = auth;
    Client::new(c).expect("client")
}

/// A client that renews its ticket before every request.
fn eager(fake: &Fake) -> Client {
    let auth = Auth::Password {
        username: "root@pam".to_string(),
        password: "secret".into(),
        renew_after: Duration::ZERO,
    };
    with(fake, auth)
}

#[tokio::test]
async fn one_login_is_enough_for_every_kind_of_call() {
    let fake = Fake::start();
    let pve = root(&fake, "secret");
    let all = futures::future::join_all((0..8).map(|_| pve.version())).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");

    let params = CloneParams {
        newid: 20000,
        ..CloneParams::default()
    };
    let upid = pve.clone_vm("pve1", 100, &params).await.expect("POST");
    pve.wait_task(&upid, soon()).await.expect("clone task");
    pve.set_config("pve1", 20000, &[("cores", "3".to_string())])
        .await
        .expect("PUT");
    let upid = pve.start("pve1", 20000).await.expect("start");
    pve.wait_task(&upid, soon()).await.expect("start task");
    pve.vnc("pve1", 20000).await.expect("the websocket takes the cookie");
    let upid = pve.stop("pve1", 20000).await.expect("stop");
    pve.wait_task(&upid, soon()).await.expect("stop task");
    let upid = pve.delete("pve1", 20000).await.expect("DELETE");
    pve.wait_task(&upid, soon()).await.expect("delete task");
    assert_eq!(fake.py("pve.logins"), json!(["password"]));
    assert_eq!(fake.clones(), Vec::<u64>::new());
}

#[tokio::test]
async fn a_ticket_is_renewed_with_itself_and_then_with_the_password() {
    let fake = Fake::start();
    let pve = eager(&fake);
    pve.version().await.expect("logged in");
    pve.version().await.expect("renewed");
    assert_eq!(fake.py("pve.logins"), json!(["password", "ticket"]));
    fake.py("pve.revoke_tickets()");
    pve.version().await.expect("logged in again");
    assert_eq!(fake.py("pve.logins[2:]"), json!(["wrong", "password"]));

    // No login works now, but the ticket that is there has not aged out.
    fake.py("pve.fail('POST', '/access/ticket', 503, 'not now')");
    pve.version().await.expect("with the old ticket");
}

#[tokio::test]
async fn a_ticket_that_worked_and_is_refused_is_replaced_once() {
    let fake = Fake::start();
    let pve = root(&fake, "secret");
    pve.version().await.expect("version");
    fake.py("pve.revoke_tickets()");
    let params = CloneParams {
        newid: 20000,
        ..CloneParams::default()
    };
    let upid = pve.clone_vm("pve1", 100, &params).await.expect("a write too");
    pve.wait_task(&upid, soon()).await.expect("clone task");
    assert_eq!(fake.clones(), [20000]);
    assert_eq!(fake.py("pve.logins"), json!(["password", "password"]));

    // From here on no ticket is any good.
    fake.py("setattr(pve, 'ticket_ttl', -1)");
    fake.py("pve.revoke_tickets()");
    let e = pve.version().await.expect_err("refused");
    assert_eq!(e.kind, ErrorKind::Auth, "{e}");
    assert_eq!(fake.py("len(pve.logins)"), json!(3));
    let e = root(&fake, "secret").version().await.expect_err("never accepted");
    assert_eq!(e.kind, ErrorKind::Auth, "{e}");
    assert_eq!(fake.py("len(pve.logins)"), json!(4), "not tried again");
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_repeated() {
    let fake = Fake::start();
    let pve = root(&fake, "guess-hunter2");
    for _ in 0..3 {
        let e = pve.version().await.expect_err("refused");
        assert_eq!((e.kind, e.path.as_str()), (ErrorKind::Auth, "/access/ticket"), "{e}");
        assert!(!format!("{e} {e:?} {pve:?}").contains("hunter2"));
    }
    assert_eq!(fake.py("pve.logins"), json!(["wrong"]));
    // After a while it is: the password may have been changed.
    let end = soon() + Duration::from_secs(10);
    while fake.py("len(pve.logins)") == json!(1) {
        assert!(Instant::now() < end, "never tried again");
        tokio::time::sleep(Duration::from_millis(200)).await;
        pve.version().await.expect_err("refused");
    }
}

#[tokio::test]
async fn second_factors_and_users_without_realm_are_explained() {
    let fake = Fake::start();
    fake.py("setattr(pve, 'tfa', True)");
    let e = root(&fake, "secret").version().await.expect_err("second factor");
    assert_eq!(e.kind, ErrorKind::Auth, "{e}");
    assert!(e.message.contains("API token"), "{e}");

    let mut c = fake.config();
    c.auth = Auth::password("root", "secret".into());
    let e = Client::new(c).expect_err("no realm");
    assert!(e.message.contains("root@pam"), "{e}");
}

#[tokio::test]
async fn logging_in_fails_over_too() {
    let fake = Fake::start();
    let dead = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = dead.local_addr().expect("address").port();
    drop(dead);
    let mut c = fake.config();
    c.auth = Auth::password("root@pam", "secret".into());
    c.endpoints
        .insert(0, format!("https://127.0.0.1:{port}").parse().expect("url"));
    Client::new(c)
        .expect("client")
        .version()
        .await
        .expect("second endpoint");
}
