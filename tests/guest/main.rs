//! The agent's guest over a small API that runs the commands on this machine, and loses answers when told to.

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use mosdat::guest::{AgentGuest, Command, Error, Exit, Guest, What, process_runs};
use mosdat::proxmox::{Auth, Client, Config, Tls};
use secrecy::SecretString;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::os::unix::process::ExitStatusExt;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// What the API knows and how it misbehaves.
#[derive(Default)]
struct Api {
    ended: Mutex<HashMap<u32, Option<Output>>>,
    started: AtomicU32,
    /// So many starts answer that the agent does not run.
    absent: AtomicU32,
    /// So many answers to exec-status are lost on the way, with what they said.
    lost: AtomicU32,
    /// So many connections break before exec-status is looked at.
    broken: AtomicU32,
    arguments: Mutex<Vec<String>>,
}

fn take(counter: &AtomicU32) -> bool {
    counter
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
        .is_ok()
}

/// An answer that breaks off.
fn broken() -> Response {
    let pieces = futures::stream::iter([Ok("{"), Err(std::io::Error::other("lost"))]);
    Body::from_stream(pieces).into_response()
}

async fn exec(State(api): State<Arc<Api>>, body: String) -> Response {
    if take(&api.absent) {
        let message = json!({"data": null, "message": "QEMU guest agent is not running\n"}).to_string();
        return (StatusCode::INTERNAL_SERVER_ERROR, message).into_response();
    }
    api.started.fetch_add(1, Ordering::SeqCst);
    let form: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let all = |name: &str| {
        form.iter()
            .filter(|(k, _)| k == name)
            .map(|(_, v)| v.clone())
            .collect::<Vec<_>>()
    };
    let (command, input) = (all("command"), all("input-data").join(""));
    api.arguments.lock().unwrap().extend(command.clone());
    let mut child = tokio::process::Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id().unwrap();
    api.ended.lock().unwrap().insert(pid, None);
    tokio::spawn(async move {
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        api.ended.lock().unwrap().insert(pid, Some(output));
    });
    json!({"data": {"pid": pid}}).to_string().into_response()
}

async fn status(State(api): State<Arc<Api>>, Query(query): Query<HashMap<String, String>>) -> Response {
    if take(&api.broken) {
        return broken();
    }
    let pid: u32 = query["pid"].parse().unwrap();
    let answer = {
        let mut ended = api.ended.lock().unwrap();
        match ended.get(&pid) {
            None => {
                let message = format!("Agent error: PID {pid} does not exist\n");
                let body = json!({"data": null, "message": message}).to_string();
                return (StatusCode::INTERNAL_SERVER_ERROR, body).into_response();
            }
            Some(None) => json!({"exited": 0}),
            Some(Some(output)) => {
                let answer = json!({
                    "exited": 1, "exitcode": output.status.code(), "signal": output.status.signal(),
                    "out-data": String::from_utf8_lossy(&output.stdout), "err-data": String::from_utf8_lossy(&output.stderr),
                });
                ended.remove(&pid);
                answer
            }
        }
    };
    if answer["exited"] == 1 && take(&api.lost) {
        return broken();
    }
    json!({"data": answer}).to_string().into_response()
}

async fn guest() -> (AgentGuest, Arc<Api>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let api = Arc::new(Api::default());
    let router = Router::new()
        .route("/api2/json/nodes/lab/qemu/100/agent/exec", post(exec))
        .route("/api2/json/nodes/lab/qemu/100/agent/exec-status", get(status))
        .with_state(api.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = Client::new(Config {
        endpoints: vec![url.parse().unwrap()],
        auth: Auth::Token {
            id: "a@pve!b".into(),
            secret: SecretString::from("s"),
        },
        tls: Tls::SystemRoots,
        timeout: Duration::from_secs(5),
    });
    (AgentGuest::new(client.unwrap(), "lab".into(), 100), api)
}

fn script(text: &str) -> Command {
    Command::script(text, Duration::from_secs(20))
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_signals_outputs_and_environment() {
    let (guest, api) = guest().await;
    let output = guest.exec(script("echo out; echo err >&2; exit 7")).await.unwrap();
    assert_eq!(
        (output.exit, output.stdout.as_str(), output.stderr.as_str()),
        (Exit::Code(7), "out\n", "err\n")
    );
    assert_eq!(
        guest.exec(script("kill -TERM $$")).await.unwrap().exit,
        Exit::Signal(15)
    );
    let secret = script("printf %s \"$pw\"").with_env([("pw".to_string(), SecretString::from("it's $HOME"))]);
    assert_eq!(guest.exec(secret).await.unwrap().stdout, "it's $HOME");
    let argv = Command {
        what: What::Argv(vec!["cat".into()]),
        input: Some("a\nb".into()),
        ..script("")
    };
    assert_eq!(guest.exec(argv).await.unwrap().stdout, "a\nb\n");
    assert_eq!(
        api.arguments.lock().unwrap().join(" "),
        "/bin/sh /bin/sh /bin/sh /bin/sh",
        "values are in no argument"
    );
}

fn me_here() -> String {
    String::from_utf8(std::process::Command::new("id").arg("-un").output().unwrap().stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_as_its_user_in_that_users_home() {
    let (guest, _) = guest().await;
    let me = me_here();
    let output = guest
        .exec(script("echo \"$USER\"; [ \"$PWD\" = \"$HOME\" ]").as_user(me.trim()))
        .await
        .unwrap();
    assert_eq!((output.exit, output.stdout), (Exit::Code(0), me));
    // Variables of the command do not get in the way of what starts it.
    let env = ["u", "gid", "home", "PATH"].map(|name| (name.to_string(), SecretString::from("/nowhere")));
    let odd = guest
        .exec(
            script("echo \"$u$gid$home$PATH\"")
                .as_user(me_here().trim())
                .with_env(env),
        )
        .await
        .unwrap();
    assert_eq!(odd.stdout, "/nowhere/nowhere/nowhere/nowhere\n", "{odd:?}");
    let nobody = guest.exec(script("true").as_user("no-such-user")).await.unwrap();
    assert!(nobody.stderr.contains("no user no-such-user"), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_up_for_the_whole_group() {
    let (guest, _) = guest().await;
    let begun = Instant::now();
    let command = Command::script("echo begun; sleep 300 & sleep 300", Duration::from_millis(600));
    let output = guest.exec(command).await.unwrap();
    assert_eq!((output.exit, output.stdout.as_str()), (Exit::TimedOut, "begun\n"));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_link_is_an_error_and_never_an_exit_code() {
    let (guest, api) = guest().await;
    // A link that is away for a moment is waited for, and the command is not started twice.
    api.broken.store(2, Ordering::SeqCst);
    assert_eq!(guest.exec(script("exit 4")).await.unwrap().exit, Exit::Code(4));
    api.absent.store(2, Ordering::SeqCst);
    assert_eq!(guest.exec(script("exit 5")).await.unwrap().exit, Exit::Code(5));
    assert_eq!(api.started.load(Ordering::SeqCst), 2);
    // The one answer that told the end was lost.
    api.lost.store(1, Ordering::SeqCst);
    let error = guest.exec(script("exit 0")).await.unwrap_err();
    assert!(matches!(error, Error::ResultLost { .. }), "{error}");
    assert_eq!(api.started.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_by_name() {
    let (guest, _) = guest().await;
    let dir = tempfile::tempdir().unwrap();
    let short = format!("mdt{}", std::process::id());
    let long = format!("mosdat-long-name-{}", std::process::id());
    let env: BTreeMap<&str, &str> = BTreeMap::new();
    for name in [&short, &long] {
        assert!(!process_runs(&guest, name).await.unwrap(), "{name}");
        let path = dir.path().join(name);
        std::fs::copy("/bin/sleep", &path).unwrap();
        let mut child = std::process::Command::new(&path).arg("30").envs(&env).spawn().unwrap();
        let found = process_runs(&guest, name).await;
        let stranger = process_runs(&guest, &name[..name.len() - 1]).await;
        child.kill().unwrap();
        // Not waited for yet: a zombie does not run.
        let deadline = Instant::now() + Duration::from_secs(5);
        while process_runs(&guest, name).await.unwrap() {
            assert!(Instant::now() < deadline, "{name} is dead and still found");
        }
        child.wait().unwrap();
        assert!(found.unwrap(), "{name}");
        assert!(!stranger.unwrap(), "part of a name is no name");
    }
}
