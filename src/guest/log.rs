//! What has been written to a log since a moment.

use super::session::failed;
use super::{Command, Error, Exit, Guest, MOST, Read, Session, System, windows};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);

/// What the logs were like at a moment: when it was (`begin` and the guest's clock, in seconds), and for each a line with
/// its size in bytes, its inode (on Windows: when it was made), a checksum of the end of what was in it, and its path; of one that was not there too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogMarks(String);

// The part before a mark that is looked at again, in bytes, is the same in both scripts.
const SUM: &str = r#"
sum() {
  from=0; [ "$2" -le 256 ] || from=$(($2 - 256))
  tail -c +$((from + 1)) -- "$1" | head -c $(($2 - from)) | cksum | tr ' ' -
}
"#;

// Logs are often root's, as the agent is. Whose home `~/` is, nobody knows before somebody is logged in: those of all
// people and of root are looked at. A directory of users need not list them.
const MARK: &str = r#"
mark() {
  [ -e "$1" ] || { echo "0 - - $1"; return; }
  [ -f "$1" ] && size=$(stat -c %s "$1") && echo "$size $(stat -c %i "$1") $(sum "$1" "$size") $1"
}
echo "begin $(date +%s)"
homes=$({
  getent passwd | while IFS=: read -r _ _ uid _ _ home _; do
    case $uid in 0|????*) [ ! -d "$home" ] || echo "$home" ;; esac
  done
  for home in /home/*; do [ ! -d "$home" ] || echo "$home"; done
} | sort -u)
while IFS= read -r path; do
  case $path in
    "~/"*) printf '%s\n' "$homes" | while IFS= read -r home; do mark "$home/${path#"~/"}"; done ;;
    *) mark "$path" ;;
  esac
done <<END
$paths
END
exit 0
"#;

/// What these files are like now.
///
/// # Errors
/// The link failed.
pub async fn log_marks(guest: &dyn Guest, paths: &[String]) -> Result<LogMarks, Error> {
    let script = match guest.system() {
        System::Linux => format!("{SUM}{MARK}"),
        System::Windows => windows::LOG_MARK.to_string(),
    };
    let command = Command::script(script, TIMEOUT).with_env([("paths".to_string(), paths.join("\n").into())]);
    let output = guest.exec(command).await?;
    match output.exit {
        Exit::Code(0) => Ok(LogMarks(output.stdout)),
        _ => Err(failed("looking at the length of logs", &output)),
    }
}

// Exit codes: 3 not there, 4 there and no file, 6 there, and what in it is new nobody knows. A log that no longer has
// what was in it has been begun anew. One without a mark has a name that only the run found out: it counts if it was
// made since, and has nothing new if it was not touched since.
const SINCE: &str = r#"
path=$file
case $path in "~/"*)
  entry=$(getent passwd "$user") || exit 4
  home=${entry#*:*:*:*:*:}; path=${home%%:*}/${path#"~/"} ;;
esac
[ -e "$path" ] || exit 3
[ -f "$path" ] || { echo "$path is no regular file" >&2; exit 4; }
now=$(stat -c %s "$path") || exit 4
mark=; begin=
while read -r size inode check known; do
  [ "$size" != begin ] || begin=$inode
  [ "$known" = "$path" ] || continue
  mark=0
  [ "$size" -gt 0 ] && [ "$now" -ge "$size" ] && [ "$(stat -c %i "$path")" = "$inode" ] &&
    [ "$(sum "$path" "$size")" = "$check" ] && mark=$size
done <<END
$marks
END
if [ -z "$mark" ]; then
  # Birth (0 where the file system does not tell), and the last change of whatever.
  if [ "$(stat -c %W "$path")" -gt "$begin" ] 2>/dev/null; then mark=0
  elif [ "$(stat -c %Z "$path")" -lt "$begin" ] 2>/dev/null; then mark=$now
  else exit 6
  fi
fi
tail -c +$((mark + 1)) -- "$path" | head -c "$most"
exit 0
"#;

/// What has been written to a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Log {
    /// There is no such file.
    Missing,
    /// This.
    Since(Read),
    /// The file was there, and nobody knows what was in it.
    Unmarked,
}

/// What has been written to the file since. `~/` is the home of the session's user.
///
/// # Errors
/// The link failed, or it is no file.
pub async fn log_since(guest: &dyn Guest, session: &Session, path: &str, marks: &LogMarks) -> Result<Log, Error> {
    let script = match guest.system() {
        System::Linux => format!("{SUM}{SINCE}"),
        System::Windows => windows::LOG_SINCE.to_string(),
    };
    let mut command = Command::script(script, TIMEOUT).with_env([
        ("file".to_string(), path.into()),
        ("user".to_string(), session.user.as_str().into()),
        ("most".to_string(), (MOST + 1).to_string().into()),
    ]);
    match guest.system() {
        System::Linux => command = command.with_env([("marks".to_string(), marks.0.as_str().into())]),
        // A variable has 32767 characters at most there.
        System::Windows => command.input = Some(marks.0.as_str().into()),
    }
    let output = guest.exec(command).await?;
    match output.exit {
        Exit::Code(0) => Ok(Log::Since(Read::of(guest.system(), output))),
        Exit::Code(3) => Ok(Log::Missing),
        Exit::Code(6) => Ok(Log::Unmarked),
        _ => Err(failed(&format!("reading {path}"), &output)),
    }
}
