//! A served lab with a state folder of its own, and two ways to talk to it: the product's client and plain HTTP.

use crate::template::template;
use mosdat::lab::{Lab, Options, Serving};
use mosdat::proxmox::{Auth, Client, CloneParams, Config, Error, Tls, Upid, parse_fingerprint};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

pub const NODE: &str = "lab";
pub const TEMPLATE: u32 = 9000;
/// Generous: other work may have the processors.
pub const DEADLINE: Duration = Duration::from_secs(150);

pub struct Rig {
    pub lab: Serving,
    pub client: Client,
    pub http: reqwest::Client,
    pub state: tempfile::TempDir,
}

/// An answer of the API as it came.
#[derive(Debug)]
pub struct Raw {
    pub status: u16,
    pub content_type: Option<String>,
    pub text: String,
    pub body: Value,
}

impl Raw {
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default().trim_end()
    }
}

impl Rig {
    /// A lab that resumes clones from the template's RAM.
    pub async fn new() -> Rig {
        template().await;
        let state = tempfile::tempdir().expect("a folder");
        Rig::open(Options::in_state(state.path()), state).await
    }

    pub async fn open(options: Options, state: tempfile::TempDir) -> Rig {
        // Fails when another test of this process was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let lab = Lab::open(options)
            .expect("the lab opens")
            .serve()
            .await
            .expect("the lab serves");
        let client = Client::new(Config {
            endpoints: vec![lab.url.parse().expect("a URL")],
            auth: Auth::Token {
                id: lab.token_id.clone(),
                secret: lab.token_secret.clone(),
            },
            tls: Tls::Fingerprint(parse_fingerprint(&lab.fingerprint).expect("a fingerprint")),
            timeout: Duration::from_secs(60),
        })
        .expect("a client");
        let http = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .http1_only()
            .timeout(Duration::from_secs(60))
            .build()
            .expect("an HTTP client");
        Rig {
            lab,
            client,
            http,
            state,
        }
    }

    /// Stops the lab and hands the state folder over, for the next one.
    pub async fn close(self) -> tempfile::TempDir {
        self.lab.shutdown().await;
        self.state
    }

    pub fn token(&self) -> String {
        format!(
            "PVEAPIToken={}={}",
            self.lab.token_id,
            self.lab.token_secret.expose_secret()
        )
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/api2/json{path}", self.lab.url))
    }

    /// A call with the token. `form` is the body of POST and PUT, and the query of the others.
    pub async fn call(&self, method: Method, path: &str, form: &[(&str, &str)]) -> Raw {
        let text: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = match method {
            Method::POST | Method::PUT => self
                .request(method, path)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(text),
            m => self.request(m, &format!("{path}?{text}")),
        };
        raw(request.header("authorization", self.token())).await
    }

    /// A call that must succeed; its data.
    pub async fn data(&self, method: Method, path: &str, form: &[(&str, &str)]) -> Value {
        let answer = self.call(method.clone(), path, form).await;
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
        answer.body["data"].clone()
    }

    /// Starts a task by a raw call and waits for its end.
    pub async fn task(&self, method: Method, path: &str, form: &[(&str, &str)]) -> Result<(), Error> {
        let upid = self.data(method, path, form).await;
        let upid = Upid::parse(upid.as_str().expect("a UPID")).expect("a UPID");
        self.wait(&upid).await
    }

    pub async fn wait(&self, upid: &Upid) -> Result<(), Error> {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        self.client.wait_task(upid, deadline).await
    }

    pub async fn clone_to(&self, newid: u32) {
        let params = CloneParams {
            newid,
            name: Some(format!("vm-{newid}")),
            ..CloneParams::default()
        };
        let upid = self.client.clone_vm(NODE, TEMPLATE, &params).await.expect("clone");
        self.wait(&upid).await.expect("the clone is made");
    }

    pub async fn start(&self, vmid: u32) -> Result<(), Error> {
        let upid = self.client.start(NODE, vmid).await.expect("start");
        self.wait(&upid).await
    }

    pub async fn stop(&self, vmid: u32) {
        let upid = self.client.stop(NODE, vmid).await.expect("stop");
        self.wait(&upid).await.expect("stops");
    }

    pub async fn delete(&self, vmid: u32) {
        let upid = self.client.delete(NODE, vmid).await.expect("delete");
        self.wait(&upid).await.expect("is deleted");
    }

    pub async fn until_agent(&self, vmid: u32) {
        let end = Instant::now() + DEADLINE;
        while let Err(e) = self.client.agent_ping(NODE, vmid).await {
            assert!(Instant::now() < end, "no agent: {e}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Runs a shell command in the guest; exit code and output.
    pub async fn shell(&self, vmid: u32, script: &str) -> (i32, String) {
        let command = ["/bin/sh", "-c", script].map(String::from);
        let pid = self.client.agent_exec(NODE, vmid, &command, None).await.expect("exec");
        let end = Instant::now() + DEADLINE;
        loop {
            let s = self
                .client
                .agent_exec_status(NODE, vmid, pid)
                .await
                .expect("exec-status");
            if s.exited {
                return (s.exitcode.unwrap_or(-1), s.out_data + &s.err_data);
            }
            assert!(Instant::now() < end, "{script} still runs");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn vm_dir(&self, vmid: u32) -> std::path::PathBuf {
        vm_dir(self.state.path(), vmid)
    }
}

pub fn vm_dir(state: &Path, vmid: u32) -> std::path::PathBuf {
    state.join("vms").join(vmid.to_string())
}

pub fn vm(vmid: u32, rest: &str) -> String {
    format!("/nodes/{NODE}/qemu/{vmid}{rest}")
}

pub async fn raw(request: reqwest::RequestBuilder) -> Raw {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let content_type = answer
        .headers()
        .get("content-type")
        .map(|v| v.to_str().expect("text").to_string());
    let text = answer.text().await.expect("a body");
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Raw {
        status,
        content_type,
        text,
        body,
    }
}
