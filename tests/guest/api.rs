//! A small API that runs the agent's commands on this machine, and loses answers when told to.

pub use super::sshd::me_here;
use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use mosdat::guest::{AgentGuest, Command, System};
use mosdat::proxmox::{Auth, Client, Config, Tls};
use secrecy::SecretString;
use serde_json::json;
use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// What the API knows and how it misbehaves.
#[derive(Default)]
pub struct Api {
    ended: Mutex<HashMap<u32, Option<Output>>>,
    pub started: AtomicU32,
    /// So many starts answer that the agent does not run.
    pub absent: AtomicU32,
    /// So many answers to exec-status are lost on the way, with what they said.
    pub lost: AtomicU32,
    /// So many connections break before exec-status is looked at.
    pub broken: AtomicU32,
    /// So many ends are told without an exit code.
    pub codeless: AtomicU32,
    /// So many milliseconds pass between the start of a command and the answer with its process id.
    pub slow: AtomicU32,
    /// Where the guest's programs are, if not where this machine's are.
    pub path: Mutex<Option<String>>,
    pub arguments: Mutex<Vec<String>>,
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
    let path = api.path.lock().unwrap().clone();
    let mut child = tokio::process::Command::new(&command[0])
        .args(&command[1..])
        .envs(path.map(|path| ("PATH", path)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id().unwrap();
    api.ended.lock().unwrap().insert(pid, None);
    let delay = Duration::from_millis(api.slow.load(Ordering::SeqCst).into());
    tokio::spawn(async move {
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        api.ended.lock().unwrap().insert(pid, Some(output));
    });
    tokio::time::sleep(delay).await;
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
                let mut answer = json!({
                    "exited": 1, "exitcode": output.status.code(), "signal": output.status.signal(),
                    "out-data": String::from_utf8_lossy(&output.stdout), "err-data": String::from_utf8_lossy(&output.stderr),
                });
                ended.remove(&pid);
                if take(&api.codeless) {
                    answer.as_object_mut().unwrap().remove("exitcode");
                }
                answer
            }
        }
    };
    if answer["exited"] == 1 && take(&api.lost) {
        return broken();
    }
    json!({"data": answer}).to_string().into_response()
}

pub async fn guest() -> (AgentGuest, Arc<Api>) {
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
    (AgentGuest::new(client.unwrap(), "lab".into(), 100, System::Linux), api)
}

pub fn script(text: &str) -> Command {
    Command::script(text, Duration::from_secs(20))
}
