//! Looks at the guest's files, clipboard and ports, without changing anything there.

use super::session::failed;
use super::{Command, Error, Exit, Guest, Session};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a file or of the clipboard that are looked at.
pub const MOST: usize = 1 << 20;

/// A text of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// False where there is more than was read.
    pub whole: bool,
}

// Exit codes: 3 not there, 4 there and not readable.
const FILE: &str = r#"
case $path in "~/"*) path=$HOME/${path#"~/"} ;; esac
[ -e "$path" ] || exit 3
[ -f "$path" ] || { echo "$path is no regular file" >&2; exit 4; }
[ -r "$path" ] || { echo "$(id -un) may not read $path" >&2; exit 4; }
head -c "$most" -- "$path" || exit 4
"#;

/// Reads a file as the session's user; `None` where there is none. `~/` is that user's home.
///
/// # Errors
/// The link failed, or the file is there and cannot be read.
pub async fn read_text(guest: &dyn Guest, session: &Session, path: &str) -> Result<Option<Read>, Error> {
    let command = Command::script(FILE, TIMEOUT)
        .as_user(&session.user)
        .with_env(session.environment())
        .with_env([
            ("path".to_string(), path.into()),
            ("most".to_string(), (MOST + 1).to_string().into()),
        ]);
    let output = guest.exec(command).await?;
    match output.exit {
        Exit::Code(0) => {
            let whole = !output.truncated && output.stdout.len() <= MOST;
            let text = output.stdout;
            Ok(Some(Read { text, whole }))
        }
        Exit::Code(3) => Ok(None),
        _ => Err(failed(&format!("reading {path}"), &output)),
    }
}

// An empty clipboard is an error to xclip and an empty text to us. 4: no tool.
const CLIPBOARD: &str = r#"
if [ -n "$WAYLAND_DISPLAY" ] && command -v wl-paste >/dev/null; then
  wl-paste --no-newline 2>/dev/null || true; exit 0
fi
[ -n "$DISPLAY" ] || { echo "the session has no DISPLAY" >&2; exit 5; }
if command -v xclip >/dev/null; then
  xclip -selection clipboard -o 2>"${TMPDIR:-/tmp}/.mosdat-clip.$$"; code=$?
  words=$(cat "${TMPDIR:-/tmp}/.mosdat-clip.$$"); rm -f "${TMPDIR:-/tmp}/.mosdat-clip.$$"
  case $words in *"t open display"*) echo "$words" >&2; exit 5 ;; esac
  exit 0
elif command -v xsel >/dev/null; then
  xsel --clipboard --output || exit 5
  exit 0
fi
exit 4
"#;

/// The text of the session's clipboard; empty where it holds none.
///
/// # Errors
/// The link failed, or the guest has no program that reads the clipboard, or it does not work.
pub async fn clipboard(guest: &dyn Guest, session: &Session) -> Result<Read, Error> {
    let command = Command::script(CLIPBOARD, TIMEOUT)
        .as_user(&session.user)
        .with_env(session.environment());
    let output = guest.exec(command).await?;
    let (tool, purpose) = ("xclip, xsel or wl-paste", "read the clipboard");
    match output.exit {
        Exit::Code(0) => Ok(Read {
            whole: !output.truncated,
            text: output.stdout,
        }),
        Exit::Code(4) => Err(Error::NoTool {
            tool: tool.into(),
            purpose: purpose.into(),
        }),
        Exit::Code(5) => Err(Error::BrokenTool {
            tool: tool.into(),
            purpose: purpose.into(),
            why: output.stderr.trim().to_string(),
        }),
        _ => Err(failed("reading the clipboard", &output)),
    }
}

// /proc/net/tcp: the local address as hex, state 0A is LISTEN (Linux, Documentation/networking/proc_net_tcp).
const PORT: &str = r#"
for table in /proc/net/tcp /proc/net/tcp6; do
  [ -r "$table" ] || continue
  while read -r _ local _ state _; do
    [ "${local##*:}" = "$port" ] && [ "$state" = 0A ] && exit 0
  done <"$table"
done
exit 1
"#;

/// True where something listens at this TCP port of the guest, on whatever address.
///
/// # Errors
/// The link failed.
pub async fn listens(guest: &dyn Guest, port: u16) -> Result<bool, Error> {
    let command = Command::script(PORT, TIMEOUT).with_env([("port".to_string(), format!("{port:04X}").into())]);
    let output = guest.exec(command).await?;
    match output.exit {
        Exit::Code(0) => Ok(true),
        Exit::Code(1) => Ok(false),
        _ => Err(failed("looking for a listening port", &output)),
    }
}
