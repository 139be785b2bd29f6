//! A real sshd for each connection, as inetd would start it: the port is the system's choice, and each server process is
//! known.

// Not every test area needs all of it.
#![allow(dead_code)]

use mosdat::guest::{HostKey, SshGuest, SshKey, SshLogin};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// The server and its keys; everything ends when it is dropped.
pub struct Sshd {
    dir: tempfile::TempDir,
    pub port: u16,
    served: Arc<Mutex<Vec<Child>>>,
    accepting: tokio::task::JoinHandle<()>,
}

fn keygen(file: &Path, more: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519"]).args(more);
    if !more.contains(&"-N") {
        command.args(["-N", ""]);
    }
    let made = command.arg("-f").arg(file).status().expect("ssh-keygen is installed");
    assert!(made.success());
}

pub fn me_here() -> String {
    let id = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(id.stdout).unwrap().trim().to_string()
}

impl Sshd {
    pub async fn start() -> Sshd {
        // Where it locks up whoever has not logged in yet; the service makes it elsewhere.
        std::fs::create_dir_all("/run/sshd").unwrap();
        let dir = tempfile::tempdir().unwrap();
        keygen(&dir.path().join("key"), &[]);
        std::fs::copy(dir.path().join("key.pub"), dir.path().join("authorized")).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served: Arc<Mutex<Vec<Child>>> = Arc::default();
        let (config, log, children) = (dir.path().join("config"), dir.path().join("log"), served.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stream = stream.into_std().unwrap();
                stream.set_nonblocking(false).unwrap();
                let log = std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&log)
                    .unwrap();
                let child = Command::new("/usr/sbin/sshd")
                    .args(["-i", "-e", "-f"])
                    .arg(&config)
                    .stdin(Stdio::from(OwnedFd::from(stream.try_clone().unwrap())))
                    .stdout(Stdio::from(OwnedFd::from(stream)))
                    .stderr(log)
                    .spawn()
                    .expect("openssh-server is installed");
                children.lock().unwrap().push(child);
            }
        });
        let sshd = Sshd {
            dir,
            port,
            served,
            accepting,
        };
        sshd.new_host_key();
        sshd.configure("");
        sshd
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Later connections see another machine.
    pub fn new_host_key(&self) -> HostKey {
        for name in ["host", "host.pub"] {
            let _ = std::fs::remove_file(self.file(name));
        }
        keygen(&self.file("host"), &[]);
        self.host_key()
    }

    pub fn host_key(&self) -> HostKey {
        HostKey::parse(&std::fs::read_to_string(self.file("host.pub")).unwrap()).unwrap()
    }

    /// Makes a key that nobody lets in; its text.
    pub fn other_key(&self, name: &str, more: &[&str]) -> String {
        keygen(&self.file(name), more);
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    /// What later connections meet, besides what is always there.
    pub fn configure(&self, more: &str) {
        let at = self.dir.path().display();
        let text = format!(
            "HostKey {at}/host\nAuthorizedKeysFile {at}/authorized\nPidFile none\nUsePAM no\nStrictModes no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n{more}\n"
        );
        std::fs::write(self.file("config"), text).unwrap();
    }

    pub fn login(&self) -> SshLogin {
        let key = std::fs::read_to_string(self.file("key")).unwrap();
        SshLogin {
            vm: "test".into(),
            host: "127.0.0.1".into(),
            port: self.port,
            user: me_here(),
            key: SshKey::Secret(key.into()),
            host_keys: vec![self.host_key()],
        }
    }

    pub fn guest(&self) -> SshGuest {
        SshGuest::new(self.login()).unwrap()
    }

    pub fn connections(&self) -> usize {
        self.served.lock().unwrap().len()
    }

    /// Sends every server a signal.
    pub fn signal(&self, signal: &str) {
        for child in self.served.lock().unwrap().iter() {
            let _ = Command::new("kill").args([signal, &child.id().to_string()]).status();
        }
    }

    /// Has no server any more; what it began goes on.
    pub fn kill(&self) {
        for child in self.served.lock().unwrap().iter_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.accepting.abort();
        self.kill();
    }
}
