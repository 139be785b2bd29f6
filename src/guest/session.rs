//! The desktop session: who is logged in, and the environment that a program needs to appear there.

use super::{Command, Error, Exit, Guest, Output};
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
}

impl Session {
    /// The environment for commands.
    pub fn environment(&self) -> impl Iterator<Item = (String, SecretString)> {
        let env = self.env.iter();
        env.map(|(name, value)| (name.clone(), SecretString::from(value.as_str())))
    }
}

// No program is started per process: on an emulated CPU that took twelve seconds.
// The environment is the leader's own, not guessed: where XAUTHORITY lies differs from one desktop to the next.
const DISCOVER: &str = r#"
best=; rank=999
for d in /proc/[0-9]*; do
  read -r comm 2>/dev/null <"$d/comm" || continue
  n=0
  for name in $leaders; do
    n=$((n + 1))
    if [ "$comm" = "$name" ]; then
      [ "$n" -lt "$rank" ] || break
      uid=$(stat -c %u "$d" 2>/dev/null) || break
      # Users of the system, such as a greeter's, have smaller numbers.
      [ "$uid" -ge 1000 ] && [ "$uid" -ne 65534 ] && { rank=$n; best=$d; leader=$name; }
      break
    fi
  done
done
[ -n "$best" ] || exit 3
user=$(stat -c %U "$best") || exit 3
echo "MOSDAT_USER=$user"
echo "MOSDAT_LEADER=$leader"
env=$(tr '\0' '\n' <"$best/environ") || exit 3
echo "$env" | grep -E '^(DISPLAY|XAUTHORITY|WAYLAND_DISPLAY|DBUS_SESSION_BUS_ADDRESS|XDG_RUNTIME_DIR|XDG_SESSION_TYPE|XDG_CURRENT_DESKTOP|LANG)='
case "$env" in
  *XAUTHORITY=*) ;;
  *) home=$(getent passwd "$user"); home=${home#*:*:*:*:*:}; home=${home%%:*}
     [ -e "$home/.Xauthority" ] && echo "XAUTHORITY=$home/.Xauthority" ;;
esac
exit 0
"#;

/// Finds the session, and waits for it up to `max`.
///
/// # Errors
/// [`Error::NoSession`], or the link failed.
pub async fn discover(guest: &dyn Guest, max: Duration) -> Result<Session, Error> {
    let until = Instant::now() + max;
    loop {
        let command = Command::script(DISCOVER, TIMEOUT).with_env([("leaders".to_string(), LEADERS.into())]);
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
            return Err(Error::NoSession {
                waited: max,
                looked_for: LEADERS.to_string(),
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
    // A session that cannot be drawn on is not ready yet.
    (env.contains_key("DISPLAY") || env.contains_key("WAYLAND_DISPLAY") || env.contains_key("XDG_RUNTIME_DIR"))
        .then_some(Session { user, leader, env })
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

/// True where a process of this name runs (`comm`; longer names by their command line).
///
/// # Errors
/// The link failed.
pub async fn process_runs(guest: &dyn Guest, name: &str) -> Result<bool, Error> {
    let command = Command::script(PROCESS, TIMEOUT).with_env([("name".to_string(), name.into())]);
    let output = guest.exec(command).await?;
    match output.exit {
        Exit::Code(0) => Ok(true),
        Exit::Code(1) => Ok(false),
        _ => Err(failed("looking for a process", &output)),
    }
}

const WINDOW: &str = r#"
if command -v xdotool >/dev/null; then
  ids=$(xdotool search --onlyvisible --name "$pattern" 2>/dev/null)
  [ -n "$ids" ]; exit $?
elif command -v wmctrl >/dev/null; then
  wmctrl -l | grep -F -q -- "$title"; exit $?
fi
exit 4
"#;

/// True where a visible window's title contains `title`.
///
/// # Errors
/// The link failed, or the guest has no program that lists windows.
pub async fn has_window(guest: &dyn Guest, session: &Session, title: &str) -> Result<bool, Error> {
    let command = Command::script(WINDOW, TIMEOUT)
        .as_user(&session.user)
        .with_env(session.environment())
        .with_env([
            ("title".to_string(), title.into()),
            ("pattern".to_string(), regex::escape(title).into()),
        ]);
    let output = guest.exec(command).await?;
    match output.exit {
        Exit::Code(0) => Ok(true),
        Exit::Code(1) => Ok(false),
        Exit::Code(4) => Err(Error::NoTool {
            tool: "xdotool or wmctrl".into(),
            purpose: "find windows by their title".into(),
        }),
        _ => Err(failed("looking for a window", &output)),
    }
}
