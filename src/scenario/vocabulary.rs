//! The words of the language.

/// An action and the step options that it knows.
pub(super) struct ActionWord {
    pub name: &'static str,
    pub options: &'static [&'static str],
    /// Seconds that a step has where it gives no `timeout`.
    pub seconds: u64,
}

/// Actions of other tools, and what is written here.
pub(super) const OTHERWISE: &[(&str, &str)] = &[
    ("double_click", "write 'click: {target: ..., count: 2}'"),
    ("doubleClick", "write 'click: {target: ..., count: 2}'"),
    ("dblclick", "write 'click: {target: ..., count: 2}'"),
    ("right_click", "write 'click: {target: ..., button: right}'"),
    ("rightClick", "write 'click: {target: ..., button: right}'"),
    (
        "localize",
        "write 'click'; 'mosdat import' turns a whole file of the predecessor into this language",
    ),
    (
        "if_visible",
        "write 'if'; 'mosdat import' turns a whole file of the predecessor into this language",
    ),
    (
        "routine",
        "write 'use'; 'mosdat import' turns a whole file of the predecessor into this language",
    ),
];

const ACTING: &[&str] = &[
    "id",
    "label",
    "verify",
    "verify_not",
    "timeout",
    "attempts",
    "soft",
    "when",
    "on_failure",
    "mask",
];
const MOVING: &[&str] = &[
    "id",
    "label",
    "verify",
    "verify_not",
    "timeout",
    "attempts",
    "soft",
    "when",
    "on_failure",
    "mask",
    "settle",
];
const POINTING: &[&str] = &[
    "id",
    "label",
    "verify",
    "verify_not",
    "timeout",
    "attempts",
    "soft",
    "when",
    "on_failure",
    "mask",
    "settle",
    "dwell",
    "motion",
];
const LAUNCHING: &[&str] = &[
    "id",
    "label",
    "verify",
    "verify_not",
    "timeout",
    "soft",
    "when",
    "on_failure",
    "mask",
];
const CHECKING: &[&str] = &["id", "label", "timeout", "soft", "when", "on_failure", "mask"];
const TELLING: &[&str] = &["id", "label", "when", "mask"];
const CHOOSING: &[&str] = &["id", "label", "timeout", "soft", "when"];
const GROUPING: &[&str] = &["id", "label", "soft", "when", "on_failure"];
const CALLING: &[&str] = &["id", "label", "soft", "when", "on_failure", "with", "capture"];

/// Every option that some action knows.
pub(super) fn all_options() -> Vec<&'static str> {
    let mut all: Vec<&str> = ACTIONS.iter().flat_map(|a| a.options.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

pub(super) const ACTIONS: &[ActionWord] = &[
    ActionWord {
        name: "launch",
        options: LAUNCHING,
        seconds: 60,
    },
    ActionWord {
        name: "click",
        options: POINTING,
        seconds: 30,
    },
    ActionWord {
        name: "hover",
        options: POINTING,
        seconds: 30,
    },
    ActionWord {
        name: "drag",
        options: POINTING,
        seconds: 30,
    },
    ActionWord {
        name: "scroll",
        options: MOVING,
        seconds: 30,
    },
    ActionWord {
        name: "type",
        options: MOVING,
        seconds: 60,
    },
    ActionWord {
        name: "key",
        options: MOVING,
        seconds: 30,
    },
    ActionWord {
        name: "wait_for",
        options: CHECKING,
        seconds: 60,
    },
    ActionWord {
        name: "wait_gone",
        options: CHECKING,
        seconds: 60,
    },
    ActionWord {
        name: "never",
        options: CHECKING,
        seconds: 60,
    },
    ActionWord {
        name: "expect",
        options: CHECKING,
        seconds: 20,
    },
    ActionWord {
        name: "shell",
        options: ACTING,
        seconds: 60,
    },
    ActionWord {
        name: "stage",
        options: LAUNCHING,
        seconds: 60,
    },
    ActionWord {
        name: "reboot",
        options: LAUNCHING,
        seconds: 300,
    },
    ActionWord {
        name: "install",
        options: LAUNCHING,
        seconds: 300,
    },
    ActionWord {
        name: "uninstall",
        options: LAUNCHING,
        seconds: 120,
    },
    ActionWord {
        name: "snapshot",
        options: CHECKING,
        seconds: 300,
    },
    ActionWord {
        name: "rollback",
        options: LAUNCHING,
        seconds: 300,
    },
    ActionWord {
        name: "power",
        options: LAUNCHING,
        seconds: 300,
    },
    ActionWord {
        name: "if",
        options: CHOOSING,
        seconds: 0,
    },
    ActionWord {
        name: "repeat",
        options: GROUPING,
        seconds: 0,
    },
    ActionWord {
        name: "use",
        options: CALLING,
        seconds: 0,
    },
    ActionWord {
        name: "screenshot",
        options: TELLING,
        seconds: 30,
    },
    ActionWord {
        name: "note",
        options: TELLING,
        seconds: 30,
    },
];

pub(super) fn action_names() -> Vec<&'static str> {
    ACTIONS.iter().map(|a| a.name).collect()
}

pub(super) const TOP: &[&str] = &[
    "name",
    "description",
    "platforms",
    "inputs",
    "variables",
    "budget",
    "phases",
    "setup",
    "steps",
    "cleanup",
    "outputs",
    "routines",
    "imports",
    "references",
];
pub(super) const PHASE: &[&str] = &["from", "until", "description"];

pub(super) const LIBRARY: &[&str] = &["name", "description", "routines"];
pub(super) const ROUTINE: &[&str] = &[
    "description",
    "version",
    "inputs",
    "outputs",
    "requires",
    "steps",
    "ensures",
];
pub(super) const REPEAT: &[&str] = &["times", "until", "max", "steps"];
pub(super) const STAGE: &[&str] = &["path", "content", "base64", "from", "mode", "owner"];
pub(super) const SNAPSHOT: &[&str] = &["name", "memory", "attempts"];
// Proxmox's own words; `on` and `off` are booleans to many a YAML reader.
pub(super) const POWERS: &[&str] = &["start", "shutdown", "stop"];
pub(super) const PLATFORMS: &[&str] = &["linux", "windows"];
pub(super) const INSTALL: &[&str] = &["package", "format", "version"];
pub(super) const UNINSTALL: &[&str] = &["name", "format"];
pub(super) const FORMATS: &[&str] = &["deb", "rpm", "appimage", "snap", "flatpak", "exe", "msi"];

pub(super) const INPUT: &[&str] = &["type", "default", "secret", "description"];
pub(super) const INPUT_TYPES: &[&str] = &["string", "integer", "number", "boolean"];

pub(super) const LAUNCH: &[&str] = &["command", "window", "display"];
pub(super) const DISPLAYS: &[&str] = &[
    "session",
    "x11",
    "xwayland",
    "wayland",
    "wayland-fake",
    "wayland-nodisp",
    "none",
];

pub(super) const CLICK: &[&str] = &["target", "button", "count", "modifiers"];
pub(super) const HELD: &[&str] = &["ctrl", "shift", "alt", "super"];
pub(super) const DRAG: &[&str] = &["target", "to", "button"];
pub(super) const SCROLL: &[&str] = &["direction", "notches", "target"];
pub(super) const DIRECTIONS: &[&str] = &["up", "down", "left", "right"];
pub(super) const NEVER: &[&str] = &["for", "gap"];
pub(super) const MOTIONS: &[&str] = &["instant", "linear", "bezier", "windmouse"];
pub(super) const BUTTONS: &[&str] = &["left", "middle", "right"];

pub(super) const TYPE: &[&str] = &["text", "into", "clear", "canary", "paste", "then"];

pub(super) const KEY: &[&str] = &["keys", "times", "hold"];

pub(super) const SHELL: &[&str] = &["command", "exit", "as", "env", "capture"];

pub(super) const TARGET: &[&str] = &[
    "text",
    "describe",
    "role",
    "name",
    "state",
    "app",
    "path",
    "reference",
    "anywhere",
    "at",
    "reason",
    "exact",
    "nth",
    "in",
    "near",
    "left_of",
    "right_of",
    "above",
    "below",
];
/// What a target or a `node` condition says of an element of the accessibility tree.
pub(super) const NODE: &[&str] = &["role", "name", "state", "app", "path"];

/// Members of `references`, and of a sidecar, which is one without the picture.
pub(super) const REFERENCE: &[&str] = &["png", "digest", "areas", "click"];
pub(super) const SIDECAR: &[&str] = &["areas", "click"];
pub(super) const AREA: &[&str] = &["match", "ocr", "exclude", "margin", "similarity", "text"];
pub(super) const AREA_KINDS: &[&str] = &["match", "ocr", "exclude"];

/// A condition and the options that it knows.
pub(super) const CHECKS: &[(&str, &[&str])] = &[
    ("see", &[]),
    (
        "text",
        &["exact", "nth", "in", "near", "left_of", "right_of", "above", "below"],
    ),
    ("reference", &["anywhere"]),
    ("shell", &["exit", "contains", "equals", "matches", "as", "env"]),
    ("process", &[]),
    ("window", &[]),
    ("file", &["contains", "equals", "matches"]),
    ("log", &["contains", "equals", "matches"]),
    ("clipboard", &[]),
    ("node", &["contains", "equals", "matches"]),
    ("port", &[]),
    ("exited", &[]),
    ("fact", &[]),
    ("not", &[]),
    ("any", &[]),
    ("all", &[]),
];
pub(super) const CLIPBOARD: &[&str] = &["contains", "equals", "matches"];

pub(super) fn check_names() -> Vec<&'static str> {
    CHECKS.iter().map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::CustomResourceExt;

    /// One vocabulary: what the loader reads is what the API server stores.
    #[test]
    fn the_schema_has_the_words_of_the_loader() {
        let crd = serde_json::to_value(crate::api::Scenario::crd()).unwrap();
        let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let keys = |v: &serde_json::Value| -> Vec<String> { v.as_object().unwrap().keys().cloned().collect() };
        let sorted = |words: Vec<&str>| {
            let mut words: Vec<String> = words.into_iter().map(String::from).collect();
            words.sort();
            words.dedup();
            words
        };
        let mut top = keys(&spec["properties"]);
        top.sort();
        // Only a file has files beside it.
        let words = TOP.iter().copied().filter(|word| *word != "imports").collect();
        assert_eq!(top, sorted(words));
        for section in ["setup", "steps", "cleanup"] {
            let step = &spec["properties"][section]["items"];
            let mut found = keys(&step["properties"]);
            found.sort();
            let options = ACTIONS.iter().flat_map(|a| a.options.iter().copied());
            assert_eq!(found, sorted(action_names().into_iter().chain(options).collect()));
            let mut one_of: Vec<String> = step["oneOf"]
                .as_array()
                .expect("a step has a oneOf")
                .iter()
                .map(|v| v["required"][0].as_str().unwrap().to_string())
                .collect();
            one_of.sort();
            assert_eq!(one_of, sorted(action_names()));
        }
        let mut input = keys(&spec["properties"]["inputs"]["additionalProperties"]["properties"]);
        input.sort();
        assert_eq!(input, sorted(INPUT.to_vec()));
    }
}
