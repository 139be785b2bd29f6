//! The clipboard of the guest's session.

use super::look::Read;
use super::session::failed;
use super::{Command, Error, Exit, Guest, Output, Session, System, windows};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);

// An empty clipboard, or one that holds no text, is an error to wl-paste and xclip and an empty text to us; any other
// error is one. What they complain comes by the variable, what they print by descriptor 3. 4: no tool.
const CLIPBOARD: &str = r#"
ended() {
  [ "$1" = 0 ] && exit 0
  case $2 in *"Nothing is copied"*|*"No selection"*|*"target STRING not available"*) exit 0 ;; esac
  echo "$3 ended with $1: $2" >&2; exit 5
}
if [ -n "$WAYLAND_DISPLAY" ] && command -v wl-paste >/dev/null; then
  { words=$(wl-paste --no-newline 2>&1 >&3 3>&-); ended $? "$words" wl-paste; } 3>&1
fi
[ -n "$DISPLAY" ] || { echo "the session has no DISPLAY" >&2; exit 5; }
if command -v xclip >/dev/null; then
  { words=$(xclip -selection clipboard -o 2>&1 >&3 3>&-); ended $? "$words" xclip; } 3>&1
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
    let command = Command::script(guest.system().script(CLIPBOARD, windows::CLIPBOARD), TIMEOUT)
        .as_user(&session.user)
        .with_env(session.environment());
    let output = guest.exec(command).await?;
    match output.exit {
        Exit::Code(0) => Ok(Read {
            whole: !output.truncated,
            text: output.stdout,
        }),
        _ => Err(trouble(guest.system(), "wl-paste", "read", &output)),
    }
}

// The programs stay to hand the text out; what they would print goes nowhere, so that nobody waits for its end. 4: no
// tool. 6: the text is not there afterwards.
const PUT: &str = r#"
if [ -n "$WAYLAND_DISPLAY" ] && command -v wl-copy >/dev/null; then
  printf %s "$text" | wl-copy >/dev/null 2>&1 || { echo "wl-copy ended with $?" >&2; exit 5; }
  read_back() { wl-paste --no-newline 2>/dev/null; }
elif [ -z "$DISPLAY" ]; then
  echo "the session has no DISPLAY" >&2; exit 5
elif command -v xclip >/dev/null; then
  printf %s "$text" | xclip -selection clipboard -i >/dev/null 2>&1 || { echo "xclip ended with $?" >&2; exit 5; }
  read_back() { xclip -selection clipboard -o 2>/dev/null; }
elif command -v xsel >/dev/null; then
  printf %s "$text" | xsel --clipboard --input >/dev/null 2>&1 || { echo "xsel ended with $?" >&2; exit 5; }
  read_back() { xsel --clipboard --output 2>/dev/null; }
else
  exit 4
fi
for _ in 1 2 3 4 5 6 7 8 9 10; do
  [ "$(read_back; echo .)" = "$text." ] && exit 0
  sleep 0.2
done
exit 6
"#;

/// The command that puts a text into the clipboard, without user and session.
pub fn clipboard_command(system: System, text: &str) -> Command {
    match system {
        System::Linux => Command::script(PUT, TIMEOUT).with_env([("text".to_string(), text.into())]),
        System::Windows => Command {
            input: Some(text.into()),
            ..Command::script(windows::PUT_CLIPBOARD, TIMEOUT)
        },
    }
}

/// Puts a text into the session's clipboard, and reads it back.
///
/// # Errors
/// The link failed, the guest has no program that writes the clipboard, it does not work, or another text is there
/// afterwards.
pub async fn put_clipboard(guest: &dyn Guest, session: &Session, text: &str) -> Result<(), Error> {
    let command = clipboard_command(guest.system(), text)
        .as_user(&session.user)
        .with_env(session.environment());
    let output = guest.exec(command).await?;
    match output.exit {
        Exit::Code(0) => Ok(()),
        Exit::Code(6) => Err(Error::BrokenTool {
            tool: "the clipboard".to_string(),
            purpose: "paste".to_string(),
            why: "it does not hold the text that was put into it; does a clipboard manager change it?".to_string(),
        }),
        _ => Err(trouble(guest.system(), "wl-copy", "write", &output)),
    }
}

fn trouble(system: System, wayland: &str, verb: &str, output: &Output) -> Error {
    let tool = match system {
        System::Linux => format!("xclip, xsel or {wayland}"),
        System::Windows => "the clipboard of Windows".to_string(),
    };
    let purpose = format!("{verb} the clipboard");
    match output.exit {
        Exit::Code(4) => Error::NoTool { tool, purpose },
        Exit::Code(5) => Error::BrokenTool {
            tool,
            purpose,
            why: output.stderr.trim().to_string(),
        },
        _ => failed(&purpose, output),
    }
}
