//! The accessibility tree of the guest's session, as AT-SPI tells it; in Windows UI Automation, by the same words.

use super::session::failed;
use super::{Command, Error, Exit, Guest, Session, System, windows};
use serde::Deserialize;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);
const WORKER: &str = include_str!("nodes.py");
const PURPOSE: &str = "read the accessibility tree";

/// An element of the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Node {
    /// Its role, as the toolkit names it.
    pub role: String,
    /// Its name; may be empty.
    pub name: String,
    /// Its states, by AT-SPI's names.
    pub states: Vec<String>,
    /// Left edge, top edge, width, height, in pixels of the screen; none where it has no place.
    pub place: Option<[i64; 4]>,
    /// Roles and names of the elements that it is in, from its window on.
    pub path: Vec<(String, String)>,
    /// Its program's process.
    pub pid: u32,
    /// Its program's name.
    pub app: String,
    /// Its text or its number; of a password none.
    pub value: Option<String>,
    /// False where the text is longer than what is read.
    pub whole: bool,
}

/// What was read of the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Tree {
    /// Elements that fit, depth first.
    pub nodes: Vec<Node>,
    /// Programs that did not answer, and what went wrong.
    pub unreadable: Vec<String>,
    /// How many elements were looked at.
    pub seen: usize,
    /// True where there are more than are looked at.
    pub cut: bool,
}

/// Which elements to tell; what is empty says nothing.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Query {
    /// One of these roles.
    pub roles: Vec<String>,
    /// Part of its name, upper and lower case alike.
    pub name: String,
    /// Part of its program's name, likewise.
    pub app: String,
    /// Also what closed menus hold.
    pub hidden: bool,
}

/// A Python program within the session; it ends with 4 where the guest lacks something that it needs.
fn python(session: &Session, program: &str) -> Command {
    let script = "command -v python3 >/dev/null || { echo 'no python3'; exit 4; } >&2; exec python3 -";
    let mut command = Command::script(script, TIMEOUT)
        .as_user(&session.user)
        .with_env(session.environment());
    command.input = Some(program.into());
    command
}

/// Reads the tree of the session's programs.
///
/// # Errors
/// The link failed, the guest lacks what reads the tree, or the session has no accessibility bus.
pub async fn nodes(guest: &dyn Guest, session: &Session, query: &Query) -> Result<Tree, Error> {
    let words = serde_json::to_string(query).unwrap_or_default();
    let system = guest.system();
    let command = match system {
        System::Linux => python(session, WORKER).with_env([("QUERY".to_string(), words.into())]),
        System::Windows => Command {
            input: Some(words.into()),
            ..Command::script(windows::NODES, TIMEOUT).as_user(&session.user)
        },
    };
    let output = guest.exec(command).await?;
    let why = || output.stderr.trim().to_string();
    match output.exit {
        Exit::Code(0) => {
            serde_json::from_str(output.stdout.trim()).map_err(|error| failed(&format!("{PURPOSE} ({error})"), &output))
        }
        Exit::Code(4) if system == System::Windows => Err(Error::NoTool {
            tool: format!("UI Automation (a part of .NET Framework; {})", why()),
            purpose: PURPOSE.into(),
        }),
        Exit::Code(4) => Err(Error::NoTool {
            tool: format!(
                "python3 with gi and Atspi (Debian: python3-gi, gir1.2-atspi-2.0; {})",
                why()
            ),
            purpose: PURPOSE.into(),
        }),
        Exit::Code(5) => Err(Error::BrokenTool {
            tool: "the accessibility bus (Debian: at-spi2-core)".into(),
            purpose: PURPOSE.into(),
            why: why(),
        }),
        _ => Err(failed(PURPOSE, &output)),
    }
}

const BENEATH: &str = include_str!("beneath.py");

/// Process and title of the window under the mouse pointer; `None` where that cannot be told.
///
/// # Errors
/// The link failed.
pub async fn beneath_pointer(guest: &dyn Guest, session: &Session) -> Result<Option<(u32, String)>, Error> {
    let command = match guest.system() {
        System::Linux => python(session, BENEATH),
        System::Windows => Command::script(windows::BENEATH, TIMEOUT).as_user(&session.user),
    };
    let output = guest.exec(command).await?;
    match output.exit {
        Exit::Code(0) => {
            let (pid, title) = output.stdout.split_once('\n').unwrap_or((output.stdout.as_str(), ""));
            Ok(pid.trim().parse().ok().map(|pid| (pid, title.trim().to_string())))
        }
        // 1: the window went meanwhile, which ends an X client.
        Exit::Code(1 | 4) => Ok(None),
        _ => Err(failed("looking at the window under the pointer", &output)),
    }
}
