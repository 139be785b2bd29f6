//! The desktop session: who is logged in, and the environment that a program needs to appear there.

use super::{App, Command, Error, Exit, Guest, Output, System, windows};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Programs that lead a session, the surest first. No name is longer than the 15 characters that `comm` holds.
const LEADERS: &str = "gnome-shell plasmashell xfce4-session cinnamon mate-session lxqt-session kwin_wayland kwin_x11 \
                       labwc weston sway openbox xfwm4 metacity marco";
const TIMEOUT: Duration = Duration::from_secs(20);

/// A user's session on the desktop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Login name.
    pub user: String,
    /// Program that leads the session.
    pub leader: String,
    /// DISPLAY, XAUTHORITY, WAYLAND_DISPLAY, DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR, XDG_SESSION_TYPE as far as
    /// the session has them.
    pub env: BTreeMap<String, String>,
    /// What the guest says of itself: `system`, `kernel`, `memory`, as far as it tells.
    pub machine: BTreeMap<String, String>,
}

impl Session {
    /// What a person wants to know of where a test ran. Nothing of it is secret.
    pub fn facts(&self) -> BTreeMap<String, String> {
        let kind = match self.is_wayland() {
            _ if self.leader == windows::LEADER => "Windows",
            true => "Wayland",
            false => "X11",
        };
        let mut facts = self.machine.clone();
        facts.insert("user".to_string(), self.user.clone());
        facts.insert("session".to_string(), format!("{}, {kind}", self.leader));
        for (name, variable) in [("desktop", "XDG_CURRENT_DESKTOP"), ("language", "LANG")] {
            if let Some(value) = self.env.get(variable) {
                facts.insert(name.to_string(), value.clone());
            }
        }
        facts
    }

    /// True where windows may be there that the X server does not know. Compositors set WAYLAND_DISPLAY for their
    /// clients only, so that their own environment does not always tell.
    pub fn is_wayland(&self) -> bool {
        ["kwin_wayland", "labwc", "weston", "sway"].contains(&self.leader.as_str())
            || self.env.contains_key("WAYLAND_DISPLAY")
            || self.env.get("XDG_SESSION_TYPE").is_some_and(|kind| kind == "wayland")
    }

    /// The environment for commands.
    pub fn environment(&self) -> impl Iterator<Item = (String, SecretString)> {
        let env = self.env.iter();
        env.map(|(name, value)| (name.clone(), SecretString::from(value.as_str())))
    }
}

// No program is started per process: on an emulated CPU that took twelve seconds.
// The environment is the leader's own, not guessed: where XAUTHORITY lies differs from one desktop to the next.
const DISCOVER: &str = r#"
# Not echo: in some shells it makes of what it prints something else (\n), or ends there (\c).
say() { printf '%s\n' "$1"; }
best=; rank=999
for d in /proc/[0-9]*; do
  read -r comm 2>/dev/null <"$d/comm" || continue
  n=0
  for name in $leaders; do
    n=$((n + 1))
    if [ "$comm" = "$name" ]; then
      [ "$n" -lt "$rank" ] || break
      # One that has ended, and that nobody has asked how, leads nothing.
      read -r line 2>/dev/null <"$d/stat" || break
      case "${line##*) }" in Z*|X*) break ;; esac
      uid=$(stat -c %u "$d" 2>/dev/null) || break
      # Users of the system, such as a greeter's, have smaller numbers.
      [ "$uid" -ge 1000 ] && [ "$uid" -ne 65534 ] && { rank=$n; best=$d; leader=$name; }
      break
    fi
  done
done
[ -n "$best" ] || exit 3
user=$(stat -c %U "$best") || exit 3
say "MOSDAT_USER=$user"
say "MOSDAT_LEADER=$leader"
env=$(tr '\0' '\n' <"$best/environ") || exit 3
# What a compositor opened for its clients (its socket, the X server for old programs) it tells them only, and only those
# that it starts after that.
told() {
  for child in $(cat "$best"/task/*/children 2>/dev/null); do
    more=$(tr '\0' '\n' 2>/dev/null <"/proc/$child/environ")
    more=$(say "$more" | grep -E "^$1=" && say "$more" | grep -E "^($2)=")
    [ -n "$more" ] && { say "$more"; return; }
  done
}
say "$env" | grep -q '^DISPLAY=' || env=$(say "$env"; told DISPLAY "$(say "$env" | grep -q '^XAUTHORITY=' || say XAUTHORITY)")
case "$leader $env" in
  *WAYLAND_DISPLAY=*) ;;
  kwin_wayland*|labwc*|weston*|sway*|*XDG_SESSION_TYPE=wayland*) env=$(say "$env"; told WAYLAND_DISPLAY -) ;;
esac
say "$env" | grep -E '^(DISPLAY|XAUTHORITY|WAYLAND_DISPLAY|DBUS_SESSION_BUS_ADDRESS|XDG_RUNTIME_DIR|XDG_SESSION_TYPE|XDG_CURRENT_DESKTOP|LANG)='
# It has started nobody yet.
case "$leader $env" in
  *WAYLAND_DISPLAY=*) ;;
  kwin_wayland*|labwc*|weston*|sway*|*XDG_SESSION_TYPE=wayland*)
     runtime=$(say "$env" | sed -n 's/^XDG_RUNTIME_DIR=//p' | tail -n 1)
     for s in "${runtime:-/run/user/$(id -u "$user")}"/wayland-[0-9]*; do
       [ -S "$s" ] && { say "WAYLAND_DISPLAY=${s##*/}"; break; }
     done ;;
esac
case "$env" in
  *XAUTHORITY=*) ;;
  *) home=$(getent passwd "$user"); home=${home#*:*:*:*:*:}; home=${home%%:*}
     [ -e "$home/.Xauthority" ] && say "XAUTHORITY=$home/.Xauthority" ;;
esac
(. /etc/os-release && say "MOSDAT_ABOUT_system=$PRETTY_NAME") 2>/dev/null
say "MOSDAT_ABOUT_kernel=$(uname -srm)"
while read -r name size unit; do
  [ "$name" = MemTotal: ] && { say "MOSDAT_ABOUT_memory=$((size / 1024)) MiB"; break; }
done </proc/meminfo 2>/dev/null
exit 0
"#;

/// Finds the session, and waits for it up to `max`.
///
/// # Errors
/// [`Error::NoSession`], or the link failed.
pub async fn discover(guest: &dyn Guest, max: Duration) -> Result<Session, Error> {
    let until = Instant::now() + max;
    loop {
        let script = guest.system().script(DISCOVER, windows::DISCOVER);
        let command = Command::script(script, TIMEOUT).with_env([("leaders".to_string(), LEADERS.into())]);
        let output = guest.exec(command).await?;
        match output.exit {
            Exit::Code(0) => {
                if let Some(session) = parse(&output.stdout) {
                    return Ok(session);
                }
            }
            Exit::Code(3) => {}
            _ => return Err(failed("looking for the desktop session", &output)),
        }
        if Instant::now() >= until {
            // Windows that cannot tell says why.
            if guest.system() == System::Windows && !output.stderr.trim().is_empty() {
                return Err(failed("looking for the desktop session", &output));
            }
            return Err(Error::NoSession {
                waited: max,
                looked_for: guest.system().script(LEADERS, windows::LEADER).to_string(),
            });
        }
        sleep(Duration::from_millis(500)).await;
    }
}

fn parse(text: &str) -> Option<Session> {
    let mut env: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    let user = env.remove("MOSDAT_USER")?;
    let leader = env.remove("MOSDAT_LEADER")?;
    let mut machine = BTreeMap::new();
    env.retain(|name, value| match name.strip_prefix("MOSDAT_ABOUT_") {
        Some(about) => {
            machine.insert(about.to_string(), value.clone());
            false
        }
        None => true,
    });
    // A session that cannot be drawn on is not ready yet.
    let drawn = ["DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR"];
    (leader == windows::LEADER || drawn.iter().any(|name| env.contains_key(*name))).then_some(Session {
        user,
        leader,
        env,
        machine,
    })
}

pub(super) fn failed(doing: &str, output: &Output) -> Error {
    let tail = output.stderr.trim();
    Error::Script {
        doing: doing.to_string(),
        detail: format!("{}{}{tail}", output.exit, if tail.is_empty() { "" } else { ": " }),
    }
}

// Reads without starting a program per process: on an emulated CPU each costs milliseconds.
const PROCESS: &str = r#"
short=$(printf %.15s "$name")
for d in /proc/[0-9]*; do
  read -r comm 2>/dev/null <"$d/comm" || continue
  [ "$comm" = "$short" ] || continue
  read -r line 2>/dev/null <"$d/stat" || continue
  case "${line##*) }" in Z*|X*) continue ;; esac
  if [ "$short" != "$name" ]; then
    case " $(tr '\0' ' ' <"$d/cmdline" 2>/dev/null)" in *[/\ ]"$name"\ *) ;; *) continue ;; esac
  fi
  exit 0
done
exit 1
"#;

/// True where a process of this name runs (`comm`; longer names by their command line; on Windows with or without `.exe`).
///
/// # Errors
/// The link failed.
pub async fn process_runs(guest: &dyn Guest, name: &str) -> Result<bool, Error> {
    let script = guest.system().script(PROCESS, windows::PROCESS);
    let command = Command::script(script, TIMEOUT).with_env([("name".to_string(), name.into())]);
    let output = guest.exec(command).await?;
    match output.exit {
        Exit::Code(0) => Ok(true),
        Exit::Code(1) => Ok(false),
        _ => Err(failed("looking for a process", &output)),
    }
}

// Prints where the windows are or which they are, if that is asked for, and errors. `xdotool search` ends with 1 also
// when it reached no display. A server gives numbers of windows again: the process makes them certain. Titles fit
// whatever the case of their letters, as xdotool has it.
const WINDOW: &str = r#"
which() { echo "$1:$(xdotool getwindowpid "$1" 2>/dev/null)"; }
look() {
if [ -z "$DISPLAY" ]; then
  [ $absent = 5 ] && return 6
  echo "the session has no DISPLAY" >&2; return 7
fi
if command -v xdotool >/dev/null; then
  ids=$(xdotool search --onlyvisible --name "$pattern" 2>/dev/null)
  if [ -n "$before" ]; then
    new=
    for id in $ids; do case " $before " in *" $(which "$id") "*) ;; *) new="$new $id" ;; esac; done
    ids=$new
  fi
  if [ -n "$ids" ]; then
    [ "$print" != which ] || for id in $ids; do which "$id"; done
    # One that goes meanwhile has no place.
    [ "$print" != where ] || for id in $ids; do
      xdotool getwindowgeometry --shell "$id" 2>/dev/null |
        sed -n 's/^X=/x /p; s/^Y=/y /p; s/^WIDTH=/w /p; s/^HEIGHT=/h /p' | tr '\n' ' '
      echo
    done
    return 0
  fi
  xdotool getdisplaygeometry >/dev/null || return 7
  return $absent
elif command -v wmctrl >/dev/null; then
  list=$(wmctrl -lpG) || return 7
  # Number, desktop, process, place, host: what comes behind them is the title.
  found=$(printf '%s\n' "$list" | while read -r id _ pid x y w h _ name; do
    printf '%s\n' "$name" | grep -qiF -- "$title" || continue
    case " $before " in *" $id:$pid "*) ;; *) echo "$id:$pid x $x y $y w $w h $h" ;; esac
  done)
  [ -n "$found" ] || return $absent
  [ -z "$print" ] || printf '%s\n' "$found"
  return 0
fi
return 4
}
n=0
while :; do
  look; code=$?
  [ $code = $absent ] || exit $code
  n=$((n + 1)); [ $n -lt $looks ] || exit $code
  # Nobody waits for the window of a program that has ended.
  [ -z "$ended" ] || [ ! -e "$ended" ] || exit $code
  sleep 0.2
done
"#;

/// What is known about a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It is there.
    Shown,
    /// It is not there, at present.
    NotShown,
    /// It is not among the windows of X clients, and the session has others, which nobody can list. An X client's
    /// window may still come.
    Unknown,
    /// The session has no X server: waiting does not help.
    Never,
}

/// Whether a visible window's title contains `title`, whatever the case of its letters.
///
/// # Errors
/// The link failed, or the guest has no program that lists windows, or it does not work.
pub async fn has_window(guest: &dyn Guest, session: &Session, title: &str) -> Result<Sight, Error> {
    Ok(look_for(guest, session, title, Asked::Once).await?.0)
}

/// Windows that were there at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows(String);

impl Windows {
    /// True where there was none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The windows whose title contains `title`, as far as they can be listed.
///
/// # Errors
/// As [`has_window`].
pub async fn windows_now(guest: &dyn Guest, session: &Session, title: &str) -> Result<Windows, Error> {
    let (_, printed) = look_for(guest, session, title, Asked::Which).await?;
    let which = printed.lines().filter_map(|line| line.split_whitespace().next());
    Ok(Windows(which.collect::<Vec<_>>().join(" ")))
}

/// As [`has_window`], for the window of a program that was just started, others than those that were there `before`: looks
/// for up to two seconds within the guest, where a look costs far less than a question from outside.
///
/// # Errors
/// As [`has_window`].
pub async fn awaits_window(
    guest: &dyn Guest,
    session: &Session,
    title: &str,
    app: &App,
    before: &Windows,
) -> Result<Sight, Error> {
    Ok(look_for(guest, session, title, Asked::Of(app, before)).await?.0)
}

/// Where the visible windows are whose title contains `title`: left edge, top edge, width and height, in pixels of the
/// screen. Parts of them may be outside of it, or behind others.
///
/// # Errors
/// As [`has_window`].
pub async fn window_places(guest: &dyn Guest, session: &Session, title: &str) -> Result<(Sight, Vec<[i64; 4]>), Error> {
    let (sight, printed) = look_for(guest, session, title, Asked::Where).await?;
    Ok((sight, printed.lines().filter_map(place).collect()))
}

/// How windows are looked for.
#[derive(Clone, Copy)]
enum Asked<'a> {
    /// Whether there is one.
    Once,
    /// Which they are.
    Which,
    /// Where they are.
    Where,
    /// Again for a while, unless this program ends; those that were there before do not count.
    Of(&'a App, &'a Windows),
}

/// Looks at a window that is waited for, 0.2 s apart.
const LOOKS: &str = "10";

/// `x 10 y 20 w 300 h 200`
fn place(line: &str) -> Option<[i64; 4]> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let of = |name: &str| {
        words
            .iter()
            .position(|w| *w == name)
            .and_then(|i| words.get(i + 1)?.parse().ok())
    };
    Some([of("x")?, of("y")?, of("w")?, of("h")?])
}

/// The sight, and what the script printed.
async fn look_for(
    guest: &dyn Guest,
    session: &Session,
    title: &str,
    asked: Asked<'_>,
) -> Result<(Sight, String), Error> {
    let (print, looks, ended, before) = match asked {
        Asked::Once => ("", "1", String::new(), ""),
        Asked::Which => ("which", "1", String::new(), ""),
        Asked::Where => ("where", "1", String::new(), ""),
        Asked::Of(app, before) => ("", LOOKS, app.exit_file(), before.0.as_str()),
    };
    let absent = if session.is_wayland() { "5" } else { "1" };
    let command = Command::script(guest.system().script(WINDOW, windows::WINDOW), TIMEOUT)
        .as_user(&session.user)
        .with_env(session.environment())
        .with_env([
            ("title".to_string(), title.into()),
            ("pattern".to_string(), regex::escape(title).into()),
            ("absent".to_string(), absent.into()),
            ("print".to_string(), print.into()),
            ("looks".to_string(), looks.into()),
            ("ended".to_string(), ended.into()),
            ("before".to_string(), before.into()),
        ]);
    let output = guest.exec(command).await?;
    let purpose = || "find windows by their title".to_string();
    match output.exit {
        Exit::Code(0) => Ok((Sight::Shown, output.stdout)),
        Exit::Code(1) => Ok((Sight::NotShown, String::new())),
        Exit::Code(4) => Err(Error::NoTool {
            tool: "xdotool or wmctrl".into(),
            purpose: purpose(),
        }),
        Exit::Code(5) => Ok((Sight::Unknown, String::new())),
        Exit::Code(6) => Ok((Sight::Never, String::new())),
        Exit::Code(7) => Err(Error::BrokenTool {
            tool: "xdotool or wmctrl".into(),
            purpose: purpose(),
            why: output.stderr.trim().to_string(),
        }),
        _ => Err(failed("looking for a window", &output)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, chown};

    /// Processes as `/proc` has them: number, name, environment, children.
    fn processes(all: &[(u32, &str, &str, &str)]) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        std::fs::write(proc.path().join("meminfo"), "MemTotal: 2048000 kB\n").unwrap();
        for (pid, comm, environ, children) in all {
            let dir = proc.path().join(pid.to_string());
            let task = dir.join("task").join(pid.to_string());
            std::fs::create_dir_all(&task).unwrap();
            for (file, text) in [("comm", *comm), ("stat", "1 (x) S 1"), ("environ", *environ)] {
                std::fs::write(
                    dir.join(file),
                    format!("{text}{}", if file == "environ" { "" } else { "\n" }),
                )
                .unwrap();
            }
            std::fs::write(task.join("children"), children).unwrap();
            // Users of the system lead no session.
            if std::fs::metadata(&dir).unwrap().uid() < 1000 {
                chown(&dir, Some(4321), None).unwrap();
            }
        }
        proc
    }

    fn discovered(proc: &tempfile::TempDir) -> Session {
        let script = DISCOVER.replace("/proc/", &format!("{}/", proc.path().display()));
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .env("leaders", LEADERS)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        parse(&text).unwrap_or_else(|| panic!("{text}"))
    }

    /// `echo` of dash, and of others, understands these.
    #[test]
    fn a_backslash_in_the_environment_stays_one() {
        let own = "A=1\0LANG=C\\c.UTF-8\0XDG_RUNTIME_DIR=/run\\nuser\\0101\0XDG_SESSION_TYPE=x11\0";
        let told = "DISPLAY=:7\0XAUTHORITY=/home\\c/x\0";
        let session = discovered(&processes(&[(7, "xfce4-session", own, "8 \n"), (8, "panel", told, "")]));
        let of = |name: &str| session.env.get(name).map(String::as_str);
        assert_eq!(session.leader, "xfce4-session");
        assert_eq!(of("LANG"), Some("C\\c.UTF-8"));
        assert_eq!(of("XDG_RUNTIME_DIR"), Some("/run\\nuser\\0101"));
        assert_eq!((of("DISPLAY"), of("XAUTHORITY")), (Some(":7"), Some("/home\\c/x")));
        assert_eq!(session.machine.get("memory").map(String::as_str), Some("2000 MiB"));
    }
}
