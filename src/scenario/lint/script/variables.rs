//! Variables of a shell's text.

use super::Command;

/// Variables that a shell or a session has by itself.
const USUAL: &[&str] = &[
    "COLUMNS",
    "DESKTOP_SESSION",
    "DISPLAY",
    "EDITOR",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "HOME",
    "HOSTNAME",
    "HOSTTYPE",
    "IFS",
    "LANG",
    "LANGUAGE",
    "LINENO",
    "LINES",
    "LOGNAME",
    "MACHTYPE",
    "MAIL",
    "OLDPWD",
    "OPTARG",
    "OPTIND",
    "OSTYPE",
    "PAGER",
    "PATH",
    "PIPESTATUS",
    "PPID",
    "PS1",
    "PWD",
    "RANDOM",
    "REPLY",
    "SECONDS",
    "SHELL",
    "SHLVL",
    "SSH_AUTH_SOCK",
    "TERM",
    "TMPDIR",
    "TZ",
    "UID",
    "USER",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
];

/// What the names of other such variables begin with.
const FAMILIES: &[&str] = &["XDG_", "DBUS_", "LC_", "BASH", "QT_", "GTK_", "GDK_", "SUDO_"];

/// True for a variable that is there without anybody's doing.
pub(in super::super) fn is_usual(name: &str) -> bool {
    USUAL.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

/// The name that the text begins with, as a variable has it.
pub(super) fn name(text: &[char]) -> String {
    let letter = |c: &&char| c.is_ascii_alphanumeric() || **c == '_';
    let name: String = text.iter().take_while(letter).collect();
    // `$1`, and what is no name at all.
    match name.starts_with(|c: char| c.is_ascii_digit()) {
        true => String::new(),
        false => name,
    }
}

/// The name within `${...}` whose value is taken as it is; `rest` is what stands behind it. None where the text says what is to
/// be if there is no such variable (`${x:-none}`), and for what is no variable's value (`${!x}`).
pub(super) fn expanded(inner: &[char]) -> (Option<String>, String) {
    let text = match inner {
        ['#', rest @ ..] if !rest.is_empty() => rest,
        text => text,
    };
    let found = name(text);
    let rest: String = text[found.len()..].iter().collect();
    let answered = rest.trim_start_matches(':').starts_with(['-', '=', '+', '?']);
    ((!found.is_empty() && !answered).then_some(found), rest)
}

/// The variable that `NAME=VALUE`, `NAME+=VALUE` or `NAME[I]=VALUE` sets.
pub(super) fn assigned(word: &str) -> Option<String> {
    let (left, _) = word.split_once('=')?;
    let left = left.strip_suffix('+').unwrap_or(left);
    let left = left.split_once('[').map_or(left, |(name, _)| name);
    let letters: Vec<char> = left.chars().collect();
    let found = name(&letters);
    (!found.is_empty() && found == left).then_some(found)
}

/// Variables that a command sets by being run; those in front of it aside.
pub(super) fn set_by(command: &Command) -> Vec<String> {
    let arguments = || command.words.iter().skip(1).filter(|w| !w.starts_with('-'));
    let only_names = |words: Vec<&String>| -> Vec<String> {
        let named = words.into_iter().map(|w| assigned(w).unwrap_or_else(|| w.clone()));
        named.collect()
    };
    match command.name() {
        "export" | "local" | "declare" | "typeset" | "readonly" | "read" | "mapfile" | "readarray" => {
            only_names(arguments().collect())
        }
        "for" | "select" => only_names(arguments().take(1).collect()),
        "getopts" => only_names(arguments().skip(1).take(1).collect()),
        // `printf -v NAME`
        "printf" if command.words.get(1).is_some_and(|w| w == "-v") => only_names(arguments().take(1).collect()),
        _ => Vec::new(),
    }
}
