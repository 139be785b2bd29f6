//! Starting `mosdat up`, running commands against it, and looking for what is left over.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub const MOSDAT: &str = env!("CARGO_BIN_EXE_mosdat");

/// The repository, where the examples are.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A command whose process dies with the test.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut c = Command::new(program);
    // SAFETY: prctl is async-signal-safe and touches only the new process.
    unsafe {
        c.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    c.current_dir(root());
    c
}

/// Builds the template unless it is there, saying so: the first time takes minutes.
pub fn ensure_template() {
    let status = command(MOSDAT)
        .args(["lab", "template", "build"])
        .status()
        .expect("run mosdat");
    assert!(status.success(), "the template could not be built");
}

/// A running `mosdat up`.
pub struct Up {
    child: Child,
    pub state: PathBuf,
    /// What it printed when it was ready.
    pub told: String,
}

impl Up {
    pub fn start(state: &Path, more: &[&str]) -> Up {
        Up::start_in(state, more, &[])
    }

    /// As [`Up::start`], with more in its environment.
    pub fn start_in(state: &Path, more: &[&str], env: &[(&str, &str)]) -> Up {
        let mut child = command(MOSDAT)
            .arg("up")
            .arg("--state")
            .arg(state)
            .args(more)
            .env("MOSDAT_LOG", "info")
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(
                std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(state.join("up.log"))
                    .expect("log"),
            )
            .spawn()
            .expect("start mosdat up");
        let mut out = BufReader::new(child.stdout.take().expect("stdout"));
        let mut line = String::new();
        let mut seen = String::new();
        while !seen.contains("Ctrl-C ends it") {
            line.clear();
            let n = out.read_line(&mut line).expect("read");
            assert!(n > 0, "mosdat up ended early: {seen}\n{}", log(state));
            seen.push_str(&line);
        }
        // Keep the pipe drained and open.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        Up {
            child,
            state: state.to_path_buf(),
            told: seen,
        }
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.state.join("kubeconfig")
    }

    /// `mosdat run FILES` against this instance.
    pub fn run(&self, files: &[&str]) -> Output {
        command(MOSDAT)
            .arg("run")
            .args(files)
            .arg("--state")
            .arg(&self.state)
            .output()
            .expect("mosdat run")
    }

    /// `mosdat run FILES`, going on in the background.
    pub fn run_in_background(&self, files: &[&str]) -> Child {
        command(MOSDAT)
            .arg("run")
            .args(files)
            .arg("--state")
            .arg(&self.state)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosdat run")
    }

    pub fn kill9(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Asks for the end as Ctrl-C does, and waits for it.
    pub fn stop(mut self) {
        // SAFETY: the child has not been waited for, so its pid is still its own.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGINT) };
        wait_for("mosdat up to end", Duration::from_secs(30), || {
            let ended = self.child.try_wait().expect("wait")?;
            // Ctrl-C is its normal end.
            assert_eq!(ended.code(), Some(0), "{ended}");
            Some(())
        });
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn log(state: &Path) -> String {
    let text = std::fs::read_to_string(state.join("up.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// Polls until `f` answers something.
pub fn wait_for<T>(what: &str, limit: Duration, mut f: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(v) = f() {
            return v;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// kubectl with a kubeconfig; `None` for standard output when it fails.
pub fn kubectl(kubectl: &Path, kubeconfig: &Path, args: &[&str]) -> Output {
    command(kubectl)
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(args)
        .output()
        .expect("kubectl")
}

/// An object as JSON through kubectl.
pub fn get(tool: &Path, kubeconfig: &Path, kind: &str, name: &str) -> Option<Value> {
    let out = kubectl(tool, kubeconfig, &["get", kind, name, "-o", "json"]);
    out.status
        .success()
        .then(|| serde_json::from_slice(&out.stdout).expect("kubectl prints JSON"))
}

/// QEMU processes of this state folder: each works in the folder of its VM.
pub fn machines(state: &Path) -> Vec<u32> {
    let state = state.canonicalize().unwrap_or_else(|_| state.to_path_buf());
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let (Ok(exe), Ok(cwd)) = (
            std::fs::read_link(entry.path().join("exe")),
            std::fs::read_link(entry.path().join("cwd")),
        ) else {
            continue;
        };
        let emulator = exe
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("qemu-system"));
        if emulator && cwd.starts_with(&state) {
            found.push(pid);
        }
    }
    found
}

pub fn text(o: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&o.stdout),
        String::from_utf8_lossy(&o.stderr)
    )
}
