//! The QEMU process: tied to the life of this one, and supervised.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, mpsc};

use tokio::sync::{oneshot, watch};

use crate::lab::{Error, Result};

/// The directory of a VM, in which its QEMU runs. Sockets in it are reached through `/proc/self/fd`, for their own
/// paths may be longer than the 107 bytes that a socket address holds.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    handle: File,
}

impl RunDir {
    /// Opens a directory.
    pub fn open(path: &Path) -> Result<RunDir> {
        let handle = File::open(path).map_err(Error::io("open", path))?;
        Ok(RunDir {
            path: path.into(),
            handle,
        })
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A short path to a socket in it, valid in this process while `self` lives.
    pub fn socket(&self, name: &str) -> PathBuf {
        format!("/proc/self/fd/{}/{name}", self.handle.as_raw_fd()).into()
    }
}

struct Spawn {
    command: Command,
    answer: oneshot::Sender<std::io::Result<Child>>,
}

/// Starts a child that the kernel kills when this process dies. The kernel sends that signal when the *thread* that
/// forked ends, so all children come from one thread that never does.
async fn spawn_tied(command: Command) -> std::io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Spawn>>> = OnceLock::new();
    let sender = SPAWNER.get_or_init(|| {
        let (tx, rx) = mpsc::channel::<Spawn>();
        std::thread::spawn(move || {
            for Spawn { mut command, answer } in rx {
                let parent = std::process::id();
                // SAFETY: prctl and getppid are async-signal-safe; the closure allocates nothing.
                unsafe {
                    command.pre_exec(move || {
                        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                            return Err(std::io::Error::last_os_error());
                        }
                        // The parent may have died before the request was made.
                        if libc::getppid() as u32 != parent {
                            return Err(std::io::ErrorKind::BrokenPipe.into());
                        }
                        Ok(())
                    });
                }
                if let Err(Ok(mut orphan)) = answer.send(command.spawn()) {
                    let _ = orphan.kill();
                    let _ = orphan.wait();
                }
            }
        });
        Mutex::new(tx)
    });
    let (answer, result) = oneshot::channel();
    let gone = |_| std::io::Error::other("the thread that starts processes has ended");
    sender
        .lock()
        .unwrap_or_else(|e| e.into_inner())
        .send(Spawn { command, answer })
        .map_err(|_| std::io::Error::other("the thread that starts processes has ended"))?;
    result.await.map_err(gone)?
}

/// A running QEMU; it is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Arc<Mutex<Option<Child>>>,
    exit: watch::Receiver<Option<ExitStatus>>,
    pid: u32,
    log: PathBuf,
}

impl Process {
    /// Starts QEMU in a directory; what it says goes to `qemu.log` there, its number to `qemu.pid`.
    pub async fn start(dir: &Path, args: &[String]) -> Result<Process> {
        let program = super::find_program(super::EMULATOR, "qemu-system-x86")?;
        for socket in ["qmp.sock", "agent.sock", "vnc.sock"] {
            let _ = std::fs::remove_file(dir.join(socket));
        }
        let log = dir.join("qemu.log");
        let out = File::create(&log).map_err(Error::io("create", &log))?;
        let err = out.try_clone().map_err(Error::io("open", &log))?;
        let mut command = Command::new(&program);
        command
            .args(args)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        let child = spawn_tied(command).await.map_err(Error::io("start", &program))?;
        let pid = child.id();
        let pidfile = dir.join("qemu.pid");
        let written = std::fs::write(&pidfile, pid.to_string()).map_err(Error::io("write", &pidfile));
        let child = Arc::new(Mutex::new(Some(child)));
        let (tx, exit) = watch::channel(None);
        let shared = child.clone();
        std::thread::spawn(move || {
            // Waits without reaping: as long as the process is not reaped its number cannot be given to another one,
            // so `kill` below, which holds the lock, cannot hit a stranger.
            // SAFETY: siginfo_t is plain data; waitid writes to it and to nothing else.
            unsafe {
                let mut info: libc::siginfo_t = std::mem::zeroed();
                while libc::waitid(libc::P_PID, pid, &mut info, libc::WEXITED | libc::WNOWAIT) != 0
                    && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
                {}
            }
            let ended = shared.lock().unwrap_or_else(|e| e.into_inner()).take();
            let status = ended.and_then(|mut c| c.wait().ok());
            let _ = std::fs::remove_file(pidfile);
            let _ = tx.send(Some(status.unwrap_or_default()));
        });
        // Supervised already: where its number could not be written, dropping this kills it.
        let process = Process { child, exit, pid, log };
        written.map(|()| process)
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The exit status, if it has ended.
    pub fn ended(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Waits for its end.
    pub async fn wait(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(status) => status.unwrap_or_default(),
            Err(_) => ExitStatus::default(),
        }
    }

    /// Kills it at once.
    pub fn kill(&self) {
        if let Some(child) = &mut *self.child.lock().unwrap_or_else(|e| e.into_inner()) {
            let _ = child.kill();
        }
    }

    /// The last lines it wrote.
    pub fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(4)..].join("; ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills a QEMU that an earlier process left in this directory (there should be none: the kernel kills them).
pub fn sweep(dir: &Path) {
    let pidfile = dir.join("qemu.pid");
    let Ok(text) = std::fs::read_to_string(&pidfile) else {
        return;
    };
    if let Ok(pid) = text.trim().parse::<i32>() {
        let link = |name: &str| std::fs::read_link(format!("/proc/{pid}/{name}"));
        let ours = link("cwd").is_ok_and(|cwd| cwd == dir)
            && link("exe").is_ok_and(|exe| exe.to_string_lossy().contains("qemu-system"));
        if ours {
            tracing::warn!(pid, dir = %dir.display(), "killing a QEMU that was left over");
            // SAFETY: a plain system call; the number was just seen to be a QEMU of this directory.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
    let _ = std::fs::remove_file(pidfile);
}
