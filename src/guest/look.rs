//! Looks at the guest's files and ports, without changing anything there.

use super::session::failed;
use super::{Command, Error, Exit, Guest, Output, Session, System, windows};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a file that are looked at.
pub const MOST: usize = 1 << 20;

/// A text of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// False where there is more than was read.
    pub whole: bool,
}

impl Read {
    /// What a script prints that prints at most one byte more than [`MOST`]; its exit code 3 says that nothing is there.
    pub(super) async fn by(guest: &dyn Guest, command: Command, what: &str) -> Result<Option<Read>, Error> {
        let output = guest.exec(command).await?;
        match output.exit {
            Exit::Code(0) => Ok(Some(Read::of(guest.system(), output))),
            Exit::Code(3) => Ok(None),
            _ => Err(failed(what, &output)),
        }
    }

    /// What a script printed that prints at most one byte more than [`MOST`].
    pub(super) fn of(system: System, output: Output) -> Read {
        Read {
            // Before the line ends are changed, which makes it shorter.
            whole: !output.truncated && output.stdout.len() <= MOST,
            text: system.lines(output.stdout),
        }
    }
}

// Exit codes: 3 not there, 4 there and not readable, or in a folder that this user may not look into: to a user without
// rights everything in there is "not there". A link that leads nowhere is followed first.
const FILE: &str = r#"
path=$file
case $path in "~/"*) path=$HOME/${path#"~/"} ;; esac
if [ ! -e "$path" ]; then
  folder=$path; followed=
  while [ ! -e "$folder" ]; do
    # Once: links can lead round in a circle.
    if [ -L "$folder" ] && [ -z "$followed" ]; then followed=1; folder=$(readlink -m -- "$folder")
    else folder=${folder%/*}
    fi
    folder=${folder:-/}
  done
  [ ! -d "$folder" ] || [ -x "$folder" ] || { echo "$(id -un) may not look into $folder" >&2; exit 4; }
  exit 3
fi
[ -f "$path" ] || { echo "$path is no regular file" >&2; exit 4; }
[ -r "$path" ] || { echo "$(id -un) may not read $path" >&2; exit 4; }
head -c "$most" -- "$path" || exit 4
"#;

/// Reads a file as the session's user; `None` where there is none. `~/` is that user's home.
///
/// # Errors
/// The link failed, or the file is there and cannot be read.
pub async fn read_text(guest: &dyn Guest, session: &Session, path: &str) -> Result<Option<Read>, Error> {
    let command = Command::script(guest.system().script(FILE, windows::FILE), TIMEOUT)
        .as_user(&session.user)
        .with_env(session.environment())
        .with_env([
            ("file".to_string(), path.into()),
            ("most".to_string(), (MOST + 1).to_string().into()),
        ]);
    Read::by(guest, command, &format!("reading {path}")).await
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
    let script = guest.system().script(PORT, windows::PORT);
    let command = Command::script(script, TIMEOUT).with_env([("port".to_string(), format!("{port:04X}").into())]);
    let output = guest.exec(command).await?;
    match output.exit {
        Exit::Code(0) => Ok(true),
        Exit::Code(1) => Ok(false),
        _ => Err(failed("looking for a listening port", &output)),
    }
}
