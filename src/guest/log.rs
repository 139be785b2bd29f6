//! What has been written to a log since a moment.

use super::session::failed;
use super::{Command, Error, Exit, Guest, MOST, Read, Session};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);

/// How long the logs were at a moment: one line for each, its size in bytes and its path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogMarks(String);

// Logs are often root's, as the agent is. Whose home `~/` is, nobody knows before somebody is logged in: all are looked at.
const MARK: &str = r#"
size() { [ ! -f "$1" ] || echo "$(stat -c %s "$1") $1"; }
while IFS= read -r path; do
  case $path in
    "~/"*) for home in /home/* /root; do size "$home/${path#"~/"}"; done ;;
    *) size "$path" ;;
  esac
done <<END
$paths
END
exit 0
"#;

/// How long these files are now. Those that are not there are empty.
///
/// # Errors
/// The link failed.
pub async fn log_marks(guest: &dyn Guest, paths: &[String]) -> Result<LogMarks, Error> {
    let command = Command::script(MARK, TIMEOUT).with_env([("paths".to_string(), paths.join("\n").into())]);
    let output = guest.exec(command).await?;
    match output.exit {
        Exit::Code(0) => Ok(LogMarks(output.stdout)),
        _ => Err(failed("looking at the length of logs", &output)),
    }
}

// Exit codes: 3 not there, 4 there and no file. A log that is shorter than before has been begun anew.
const SINCE: &str = r#"
case $path in "~/"*)
  entry=$(getent passwd "$user") || exit 4
  home=${entry#*:*:*:*:*:}; path=${home%%:*}/${path#"~/"} ;;
esac
[ -e "$path" ] || exit 3
[ -f "$path" ] || { echo "$path is no regular file" >&2; exit 4; }
from=0
while read -r size known; do
  [ "$known" != "$path" ] || from=$size
done <<END
$marks
END
[ "$(stat -c %s "$path")" -ge "$from" ] || from=0
tail -c +$((from + 1)) -- "$path" | head -c "$most"
exit 0
"#;

/// What has been written to the file since; `None` where there is none. `~/` is the home of the session's user.
///
/// # Errors
/// The link failed, or it is no file.
pub async fn log_since(
    guest: &dyn Guest,
    session: &Session,
    path: &str,
    marks: &LogMarks,
) -> Result<Option<Read>, Error> {
    let command = Command::script(SINCE, TIMEOUT).with_env([
        ("path".to_string(), path.into()),
        ("user".to_string(), session.user.as_str().into()),
        ("marks".to_string(), marks.0.as_str().into()),
        ("most".to_string(), (MOST + 1).to_string().into()),
    ]);
    Read::by(guest, command, &format!("reading {path}")).await
}
