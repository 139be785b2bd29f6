//! A command on a channel of its own.

use crate::guest::Exit;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};

/// Bytes of each output that are kept, as much as the QEMU guest agent keeps.
const MOST_OUTPUT: usize = 16 << 20;

/// A process that was begun: its id, and the moment that it began, in ticks of the guest's clock since it was started (22nd
/// field of proc(5) stat). A later process with the same id is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: u32,
    pub(super) since: String,
}

/// A channel with a command, and what has come of it.
pub(super) struct Running {
    read: ChannelReadHalf,
    pub(super) write: ChannelWriteHalf<Msg>,
    pub(super) out: Kept,
    pub(super) err: Kept,
    /// How it ended; the inner error is a signal that the server does not name.
    exit: Option<Result<Exit, String>>,
    /// Whether the server takes the command.
    pub(super) accepted: Option<bool>,
    /// Whether there will be no more output.
    whole: bool,
}

/// The beginning of an output.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) bytes: Vec<u8>,
    pub(super) truncated: bool,
}

impl Kept {
    fn take(&mut self, data: &[u8]) {
        let room = MOST_OUTPUT - self.bytes.len();
        self.bytes.extend_from_slice(&data[..data.len().min(room)]);
        self.truncated |= data.len() > room;
    }

    /// Forgets everything up to the end of the line that begins with `mark`, and gives the rest of that line, once it is
    /// there in full. What stands before it is a login shell's.
    pub(super) fn after_line(&mut self, mark: &str) -> Option<String> {
        let at = self.bytes.windows(mark.len()).position(|w| w == mark.as_bytes())?;
        let rest = &self.bytes[at + mark.len()..];
        let end = rest.iter().position(|b| *b == b'\n')?;
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.bytes.drain(..at + mark.len() + end + 1);
        Some(line)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Running {
    pub(super) fn new(channel: russh::Channel<Msg>) -> Running {
        let (read, write) = channel.split();
        Running {
            read,
            write,
            out: Kept::default(),
            err: Kept::default(),
            exit: None,
            accepted: None,
            whole: false,
        }
    }

    /// Waits for what comes next; false where nothing comes any more. Nothing is lost where the caller stops waiting.
    pub(super) async fn next(&mut self) -> bool {
        match self.read.wait().await {
            Some(ChannelMsg::Data { data }) => self.out.take(&data),
            // 1: standard error (RFC 4254, section 5.2).
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => self.err.take(&data),
            Some(ChannelMsg::ExitStatus { exit_status }) => {
                self.exit = Some(Ok(Exit::Code(exit_status.cast_signed())));
            }
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                self.exit = Some(number(&signal_name).map(Exit::Signal));
            }
            Some(ChannelMsg::Success) => self.accepted = Some(true),
            Some(ChannelMsg::Failure) => self.accepted = Some(false),
            Some(ChannelMsg::Eof) => self.whole = true,
            Some(ChannelMsg::Close) => {
                self.whole = true;
                return false;
            }
            Some(_) => {}
            None => return false,
        }
        true
    }

    /// How it ended, where that and all of its output is known.
    pub(super) fn ended(&self) -> Option<&Result<Exit, String>> {
        self.exit.as_ref().filter(|_| self.whole)
    }
}

/// The number of a signal on Linux (signal(7)). OpenSSH calls those that RFC 4254, section 6.10, does not name
/// `SIG@openssh.com`, all of them.
fn number(signal: &Sig) -> Result<i32, String> {
    Ok(match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        Sig::Custom(name) if name == "USR2" => 12,
        Sig::Custom(name) => return Err(name.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> Kept {
        let mut kept = Kept::default();
        kept.take(text.as_bytes());
        kept
    }

    #[test]
    fn what_a_login_shell_says_is_no_output() {
        let mut out = kept("Welcome!\n@1@ 7 99");
        assert_eq!(out.after_line("@1@ "), None, "half a line is none");
        out.take(b"\nout\n");
        assert_eq!(out.after_line("@1@ ").as_deref(), Some("7 99"));
        assert_eq!(out.text(), "out\n");
        assert_eq!(out.after_line("@1@ "), None);
    }

    #[test]
    fn output_has_a_limit() {
        let mut out = kept(&"x".repeat(MOST_OUTPUT - 1));
        assert!(!out.truncated);
        out.take(b"yz");
        assert_eq!((out.bytes.len(), out.truncated), (MOST_OUTPUT, true));
        assert!(out.bytes.ends_with(b"y"));
    }

    #[test]
    fn signals_that_are_not_named() {
        assert_eq!(number(&Sig::Custom("USR2".into())), Ok(12));
        assert_eq!(number(&Sig::SEGV), Ok(11));
        assert_eq!(
            number(&Sig::Custom("SIG@openssh.com".into())),
            Err("SIG@openssh.com".into())
        );
    }
}
