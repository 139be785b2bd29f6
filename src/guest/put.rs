//! Puts files into the guest.

use super::session::failed;
use super::{Command, Error, Exit, Guest, System, windows};
use base64::Engine;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that go with one command: as base64, with the command around them, less than what the agent takes.
const PIECE: usize = 36 * 1024;

/// A file for the guest.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Absolute, or `~/...`: in the home of `owner`.
    pub path: &'a str,
    /// What is in it.
    pub content: &'a [u8],
    /// Permissions, such as 0o755. Windows has none of these: the owner has all of them.
    pub mode: Option<u32>,
    /// Login name of whom it belongs to.
    pub owner: &'a str,
}

// Each piece goes to a file beside the wanted one, which appears with its whole content.
const BEGIN: &str = r#"
umask 022
path=$file
case $path in "~/"*)
  home=$(getent passwd "$owner") || { echo "no user $owner" >&2; exit 3; }
  home=${home#*:*:*:*:*:}; path=${home%%:*}/${path#"~/"} ;;
esac
id "$owner" >/dev/null 2>&1 || { echo "no user $owner" >&2; exit 3; }
[ ! -d "$path" ] || { echo "$path is a folder" >&2; exit 4; }
group=$(id -gn "$owner")
make() {
  [ -d "$1" ] && return 0
  make "$(dirname "$1")" && mkdir "$1" && chown "$owner:$group" "$1"
}
make "$(dirname "$path")" || exit 4
new=$(mktemp "$path.XXXXXX") || exit 4
printf '%s' "$new
$path"
"#;
const PIECE_OF: &str = r#"printf %s "$data" | base64 -d >>"$new""#;
const END: &str = r#"chmod "$mode" "$new" && chown "$owner:$(id -gn "$owner")" "$new" && mv -f "$new" "$file""#;

/// Writes the file with its owner and mode; folders that are missing are made and belong to the owner.
///
/// # Errors
/// The link failed, there is no such user, or the file cannot be written.
pub async fn put(guest: &dyn Guest, file: File<'_>) -> Result<(), Error> {
    let doing = format!("putting {} into the guest", file.path);
    let system = guest.system();
    let run = async |script: &str, env: Vec<(&str, String)>, input: Option<String>| {
        let env = env.into_iter().map(|(name, value)| (name.to_string(), value.into()));
        let mut command = Command::script(script, TIMEOUT).with_env(env);
        command.input = input.map(Into::into);
        let output = guest.exec(command).await?;
        match output.exit {
            Exit::Code(0) => Ok(output.stdout),
            Exit::Code(3) => Err(Error::NoUser {
                user: file.owner.to_string(),
            }),
            _ => Err(failed(&doing, &output)),
        }
    };
    let owner = ("owner", file.owner.to_string());
    let begin = system.script(BEGIN, windows::PUT_BEGIN);
    let names = run(begin, vec![("file", file.path.to_string()), owner.clone()], None).await?;
    let Some((new, path)) = names.split_once('\n') else {
        return Err(Error::Script {
            doing,
            detail: format!("it printed '{names}'"),
        });
    };
    for piece in file.content.chunks(PIECE) {
        let data = base64::engine::general_purpose::STANDARD.encode(piece);
        let to = ("new", new.to_string());
        match system {
            System::Linux => run(PIECE_OF, vec![("data", data), to], None).await?,
            // A variable has 32767 characters at most there.
            System::Windows => run(windows::PUT_PIECE, vec![to], Some(data)).await?,
        };
    }
    let mode = format!("{:o}", file.mode.unwrap_or(0o644));
    let names = vec![
        ("new", new.to_string()),
        ("file", path.to_string()),
        owner,
        ("mode", mode),
    ];
    run(system.script(END, windows::PUT_END), names, None).await?;
    Ok(())
}
