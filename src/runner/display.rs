//! The display that a launched program gets: the session's own, or one that is half broken.

use super::failure::Failure;
use crate::api::FailureClass;
use crate::guest::Session;
use crate::scenario::Display;
use std::collections::BTreeMap;

/// A compositor's socket that nobody listens at.
const NOWHERE: &str = "wayland-nonexistent";

/// The session as the program sees it.
///
/// # Errors
/// The session has no such display: the VM is not one for this test.
pub(super) fn seen(session: &Session, display: Display) -> Result<Session, Failure> {
    let mut seen = session.clone();
    let lacks = |what: &str| {
        let (user, leader, name) = (&session.user, &session.leader, display.as_str());
        let message = format!(
            "display {name} needs {what}, which the session of {user} (led by {leader}) has not; use a template whose desktop has it"
        );
        Failure::error(FailureClass::Guest, "NoSuchDisplay", message)
    };
    let has = |name: &str| session.env.contains_key(name);
    let x = match display {
        Display::Session | Display::Wayland | Display::None => Ok(()),
        Display::Xwayland if !session.is_wayland() => Err(lacks("a Wayland compositor")),
        _ if has("DISPLAY") => Ok(()),
        _ => Err(lacks("an X server (DISPLAY)")),
    };
    x?;
    let env = &mut seen.env;
    let no_compositor = |env: &mut BTreeMap<String, String>| match session.is_wayland() {
        // A program without the variable tries `wayland-0`, which is what the compositor's socket is called mostly.
        true => env.insert("WAYLAND_DISPLAY".into(), String::new()),
        false => env.remove("WAYLAND_DISPLAY"),
    };
    let kind = |env: &mut BTreeMap<String, String>, name: &str| env.insert("XDG_SESSION_TYPE".into(), name.into());
    match display {
        Display::Session => {}
        Display::X11 | Display::Xwayland => {
            kind(env, "x11");
            no_compositor(env);
        }
        Display::Wayland => {
            if !has("WAYLAND_DISPLAY") {
                return Err(lacks("a Wayland compositor (WAYLAND_DISPLAY)"));
            }
            kind(env, "wayland");
            // With an X server at hand it would not show that the program does without.
            env.remove("DISPLAY");
            env.remove("XAUTHORITY");
        }
        Display::WaylandFake => {
            kind(env, "wayland");
            env.insert("WAYLAND_DISPLAY".into(), NOWHERE.into());
        }
        Display::WaylandNodisp => {
            kind(env, "wayland");
            env.remove("WAYLAND_DISPLAY");
        }
        Display::None => {
            for name in ["DISPLAY", "XAUTHORITY", "XDG_SESSION_TYPE"] {
                env.remove(name);
            }
            no_compositor(env);
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(leader: &str, env: &[(&str, &str)]) -> Session {
        let env = env.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect();
        Session {
            user: "tester".into(),
            leader: leader.into(),
            env,
            machine: Default::default(),
        }
    }

    /// What the program finds: X display, Wayland display, kind of session.
    fn told(session: &Session, display: Display) -> Result<[Option<String>; 3], String> {
        let seen = seen(session, display).map_err(|f| f.message)?;
        Ok(["DISPLAY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE"].map(|name| seen.env.get(name).cloned()))
    }

    /// No word: the variable is not there.
    fn some(words: [&str; 3]) -> Result<[Option<String>; 3], String> {
        let word = |w: &str| match w {
            "" => None,
            EMPTY => Some(String::new()),
            w => Some(w.to_string()),
        };
        Ok(words.map(word))
    }

    /// The variable is there, with nothing in it.
    const EMPTY: &str = "(empty)";

    #[test]
    fn profiles_of_a_wayland_session() {
        let env = [
            ("DISPLAY", ":0"),
            ("WAYLAND_DISPLAY", "wayland-0"),
            ("XDG_SESSION_TYPE", "wayland"),
        ];
        let s = session("gnome-shell", &env);
        for (display, want) in [
            (Display::Session, [":0", "wayland-0", "wayland"]),
            (Display::X11, [":0", EMPTY, "x11"]),
            (Display::Xwayland, [":0", EMPTY, "x11"]),
            (Display::Wayland, ["", "wayland-0", "wayland"]),
            (Display::WaylandFake, [":0", NOWHERE, "wayland"]),
            (Display::WaylandNodisp, [":0", "", "wayland"]),
            (Display::None, ["", EMPTY, ""]),
        ] {
            assert_eq!(told(&s, display), some(want), "{display:?}");
        }
    }

    #[test]
    fn profiles_of_an_x_session() {
        let s = session("openbox", &[("DISPLAY", ":0"), ("XAUTHORITY", "/x")]);
        assert_eq!(told(&s, Display::WaylandFake), some([":0", NOWHERE, "wayland"]));
        assert_eq!(told(&s, Display::X11), some([":0", "", "x11"]));
        assert_eq!(told(&s, Display::None), some(["", "", ""]));
        for (display, word) in [
            (
                Display::Wayland,
                "display wayland needs a Wayland compositor (WAYLAND_DISPLAY)",
            ),
            (Display::Xwayland, "display xwayland needs a Wayland compositor"),
        ] {
            let why = told(&s, display).unwrap_err();
            assert!(why.starts_with(word) && why.contains("led by openbox"), "{why}");
        }
        let bare = session("weston", &[("WAYLAND_DISPLAY", "wayland-1")]);
        assert!(told(&bare, Display::X11).unwrap_err().contains("needs an X server"));
    }
}
