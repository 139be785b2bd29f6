//! What a person would look at first in a guest where something has gone wrong.

use super::cores::{Died, cores};
use super::{Command, Exit, Guest, Session, windows};
use std::time::Duration;

/// It must not keep a run that has failed already.
const LIMIT: Duration = Duration::from_secs(12);
/// Begins a part of what the script prints; no program prints it.
const MARK: &str = "@@mosdat@@ ";

// Nothing is cut here: half a secret is found by no mask. Every tool may be missing; what is there tells what it can. Newest processes last.
const SCRIPT: &str = r#"
export LC_ALL=C.UTF-8
part() { printf '%s%s\n' "$mark" "$*"; }
part processes
if command -v ps >/dev/null; then ps -eo pid,ppid,user,stat,etime,rss,args --sort=start_time | grep -v '\]$' | tail -n 40
else for d in /proc/[0-9]*; do
    line=$(tr '\0' ' ' <"$d/cmdline" 2>/dev/null); [ -n "$line" ] && printf '%s %s\n' "${d#/proc/}" "$line"
  done | sort -n | tail -n 40
fi
part windows
if [ -n "$DISPLAY" ] && command -v xdotool >/dev/null; then
  for id in $(timeout 3 xdotool search --onlyvisible --name . 2>/dev/null | head -n 40); do
    printf '%s %s\n' "$id" "$(timeout 1 xdotool getwindowname "$id" 2>/dev/null)"
  done | sort -u
elif [ -n "$DISPLAY" ] && command -v wmctrl >/dev/null; then timeout 3 wmctrl -lp
fi
part log
if command -v journalctl >/dev/null && journalctl -n 1 -q >/dev/null 2>&1; then timeout 4 journalctl -q --no-pager -n 40 -o short-iso
elif [ -r /var/log/syslog ]; then tail -n 40 /var/log/syslog
else dmesg 2>/dev/null | tail -n 25
fi
part disks
df -h 2>/dev/null | grep -v -e tmpfs -e devtmpfs | head -n 12
exit 0
"#;

/// Processes, windows, the end of the system's log, disks, and the cores of these processes, each with its title; empty
/// where the guest does not answer. What is asked changes nothing.
pub async fn diagnose(guest: &dyn Guest, session: Option<&Session>, died: &[Died]) -> Vec<(String, String)> {
    let script = guest.system().script(SCRIPT, windows::DIAGNOSE);
    let mut command = Command::script(script, LIMIT).with_env([("mark".to_string(), MARK.into())]);
    if let Some(session) = session {
        command = command.with_env(session.environment());
    }
    let answer = tokio::time::timeout(LIMIT + Duration::from_secs(2), guest.exec(command)).await;
    let mut told = match answer {
        Ok(Ok(output)) if output.exit == Exit::Code(0) || output.exit == Exit::TimedOut => parts(&output.stdout),
        _ => return Vec::new(),
    };
    told.extend(cores(guest, died).await);
    told
}

fn parts(text: &str) -> Vec<(String, String)> {
    let parts = text.split(MARK).skip(1);
    let parts = parts.filter_map(|part| part.split_once('\n'));
    parts
        .map(|(title, text)| (title.trim().to_string(), text.trim_end().to_string()))
        .filter(|(_, text)| !text.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_with_something_in_them() {
        let text = format!("noise\n{MARK}processes\n1 init\n2 sh\n{MARK}windows\n{MARK}core of process 7\n#0 main\n");
        assert_eq!(
            parts(&text),
            [
                ("processes".to_string(), "1 init\n2 sh".to_string()),
                ("core of process 7".to_string(), "#0 main".to_string()),
            ]
        );
    }
}
