//! fakepve as a child process, steered by lines of Python.

use mosdat::proxmox::{Auth, Client, Config, Tls};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

pub const TOKEN_ID: &str = "mosdat@pve!test";
pub const TOKEN_SECRET: &str = "00000000-0000-0000-0000-000000000001";

pub struct Fake {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    pub port: u16,
    pub cert_pem: String,
    pub fingerprint: [u8; 32],
    _dir: tempfile::TempDir,
}

fn python() -> String {
    std::env::var("MOSDAT_PYTHON").unwrap_or_else(|_| ".venv/bin/python".to_string())
}

impl Fake {
    pub fn start() -> Fake {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().expect("temporary directory");
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_string(), "localhost".to_string()])
            .expect("certificate");
        let cert_pem = made.cert.pem();
        let fingerprint = Sha256::digest(made.cert.der()).into();
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        std::fs::write(&cert, &cert_pem).expect("write");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("write");
        let mut child = Command::new(python())
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxmox/fake.py"))
            .args([&cert, &key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| {
                panic!(
                    "{}: {e}; make a venv from tests/requirements.txt or set MOSDAT_PYTHON",
                    python()
                )
            });
        let stdin = child.stdin.take().expect("stdin");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("port");
        let port = line
            .trim()
            .parse()
            .expect("fakepve did not start; is fakepve[crypto] installed?");
        Fake {
            child,
            pipes: Mutex::new((stdin, stdout)),
            port,
            cert_pem,
            fingerprint,
            _dir: dir,
        }
    }

    /// Runs Python in the fake; the value of an expression.
    pub fn py(&self, code: &str) -> serde_json::Value {
        let mut pipes = self.pipes.lock().expect("lock");
        writeln!(pipes.0, "{}", serde_json::to_string(code).expect("json")).expect("write");
        pipes.0.flush().expect("flush");
        let mut line = String::new();
        pipes.1.read_line(&mut line).expect("read");
        let mut v: serde_json::Value = serde_json::from_str(&line).expect("json");
        assert!(v.get("error").is_none(), "{code}: {v}");
        v["ok"].take()
    }

    /// How many requests of a method had a path that ends so.
    pub fn count(&self, method: &str, suffix: &str) -> u64 {
        self.py(&format!(
            "sum(1 for r in pve.requests if r[0] == '{method}' and r[1].endswith('{suffix}'))"
        ))
        .as_u64()
        .expect("number")
    }

    /// VMIDs other than the template's.
    pub fn clones(&self) -> Vec<u64> {
        serde_json::from_value(self.py("[v.vmid for v in pve.vms if not v.template]")).expect("list")
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub fn config(&self) -> Config {
        Config {
            endpoints: vec![self.url().parse().expect("url")],
            auth: Auth::Token {
                id: TOKEN_ID.to_string(),
                secret: TOKEN_SECRET.into(),
            },
            tls: Tls::Fingerprint(self.fingerprint),
            timeout: Duration::from_secs(10),
        }
    }

    pub fn client(&self) -> Client {
        Client::new(self.config()).expect("client")
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
