//! The guest of the world: commands run on this machine.

use super::Double;
use async_trait::async_trait;
use mosdat::guest::{self, Command, Exit, Guest, Output, System, What, bootstrap, refused};
use secrecy::ExposeSecret;

/// This machine. Only what needs a desktop session is answered by the world.
#[async_trait]
impl Guest for Double {
    async fn exec(&self, command: Command) -> Result<Output, guest::Error> {
        let (down, hangs, keeps, windows, old, later, wayland, path) = {
            let world = self.world.lock().unwrap();
            (
                world.guest_down,
                world.guest_hangs,
                world.keeps,
                world.windows.clone(),
                world.old_windows.clone(),
                world.windows_later.clone(),
                world.wayland,
                world.path.clone(),
            )
        };
        let busy = self.world.lock().unwrap().guest_busy;
        if let Some((_, until)) = busy.filter(|(from, _)| *from <= std::time::Instant::now()) {
            tokio::time::sleep_until(until.into()).await;
        }
        if hangs {
            std::future::pending::<()>().await;
        }
        let breaks = self.world.lock().unwrap().guest_breaks;
        let now = std::time::Instant::now();
        if down || breaks.is_some_and(|(from, until)| (from..until).contains(&now)) {
            return Err(guest::Error::ResultLost { guest: "double".into() });
        }
        if let What::Script(script) = &command.what {
            if script.contains("MOSDAT_LEADER") {
                let user =
                    String::from_utf8(std::process::Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
                let kind = if wayland { "wayland" } else { "x11" };
                return Ok(said(
                    0,
                    &format!(
                        "MOSDAT_USER={}\nMOSDAT_LEADER=double\nDISPLAY=:99\nXDG_SESSION_TYPE={kind}\n",
                        user.trim()
                    ),
                ));
            }
            if command.env.contains_key("QUERY") {
                let tree = self.world.lock().unwrap().tree.clone();
                return Ok(match tree {
                    Some(tree) => said(0, &tree.to_string()),
                    None => said(4, ""),
                });
            }
            if command
                .input
                .as_ref()
                .is_some_and(|i| i.expose_secret().contains("XQueryPointer"))
            {
                let mut world = self.world.lock().unwrap();
                let shown = match world.beneath.len() {
                    0 => return Ok(said(4, "")),
                    1 => world.beneath[0].clone(),
                    _ => world.beneath.remove(0),
                };
                return Ok(said(0, &format!("{}\n{}\n", shown.0, shown.1)));
            }
            if script.contains("xdotool search") && command.env.contains_key("title") {
                let env = |name: &str| command.env[name].expose_secret().to_string();
                let absent: i32 = env("absent").parse().unwrap();
                let now = std::time::Instant::now();
                let come = later.iter().filter(|(at, _)| *at <= now).map(|(_, title)| title);
                let new: Vec<&String> = windows.iter().chain(come).collect();
                let shown: Vec<&String> = match (env("print").as_str(), env("before").as_str()) {
                    // Asked before the launch: what it shows is not there yet.
                    ("which", _) => old.iter().collect(),
                    (_, "") => old.iter().chain(new).collect(),
                    _ => new,
                };
                let found = shown.iter().filter(|w| w.contains(&env("title"))).count();
                let line = match env("print").as_str() {
                    // All of the screen.
                    "where" => "x 0 y 0 w 320 h 240\n",
                    _ => "1:1\n",
                };
                return Ok(said(if found > 0 { 0 } else { absent }, &line.repeat(found)));
            }
        }
        let script = bootstrap(System::Linux, &command);
        let tmp = self.tmp.lock().unwrap().clone().unwrap();
        let mut child = tokio::process::Command::new("/bin/sh")
            .current_dir(&tmp)
            .env("TMPDIR", &tmp)
            .env("EVIDENCE", &*self.evidence.lock().unwrap())
            .envs(path.map(|path| ("PATH", path)))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let pid = child.id().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stdin, script.expose_secret().as_bytes())
            .await
            .unwrap();
        drop(stdin);
        let waiting = child.wait_with_output();
        tokio::pin!(waiting);
        let (output, late) = tokio::select! {
            output = &mut waiting => (output.unwrap(), false),
            () = tokio::time::sleep(command.timeout) => {
                // SAFETY: a plain system call on the group that this very child leads.
                unsafe { libc::kill(-(pid as i32), libc::SIGKILL) };
                (waiting.await.unwrap(), true)
            }
        };
        use std::os::unix::process::ExitStatusExt;
        let exit = match (late, output.status.signal()) {
            (true, _) => Exit::TimedOut,
            (false, Some(signal)) => Exit::Signal(signal),
            (false, None) => Exit::Code(output.status.code().unwrap_or(0)),
        };
        let mut stdout = output.stdout;
        let truncated = keeps.is_some_and(|most| stdout.len() > most);
        stdout.truncate(keeps.unwrap_or(usize::MAX));
        let output = Output {
            exit,
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            truncated,
        };
        refused(&command, &output).map_or(Ok(output), Err)
    }
    async fn read_file(&self, path: &str) -> Result<Vec<u8>, guest::Error> {
        Ok(std::fs::read(path).unwrap())
    }
    async fn write_file(&self, path: &str, content: &[u8]) -> Result<(), guest::Error> {
        std::fs::write(path, content).unwrap();
        Ok(())
    }
}

fn said(code: i32, text: &str) -> Output {
    Output {
        exit: Exit::Code(code),
        stdout: text.into(),
        stderr: String::new(),
        truncated: false,
    }
}
