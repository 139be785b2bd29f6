//! What becomes of each construct of the old dialect: the one table behind the remarks and docs/migration.md.
//!
//! Where the language learns a word that takes one of these (`snapshot`, `node`, ...), its row changes here, and the
//! function that reads the construct.

use std::fmt;

/// What became of something in an old file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It says the same, by this or another name.
    Kept,
    /// It is there, and means something else in some way.
    Changed,
    /// It is left out, and nothing is missing.
    Dropped,
    /// It is left out, and its author has to act.
    ByHand,
}

impl Fate {
    /// The word in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Kept => "kept",
            Fate::Changed => "changed",
            Fate::Dropped => "dropped",
            Fate::ByHand => "by hand",
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where in the old files a construct stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// The outermost object of a scenario.
    Top,
    /// A step.
    Step,
    /// Any text.
    Text,
    /// A file of a routine.
    Routine,
}

impl Area {
    /// The heading of its rows in the manual.
    pub fn as_str(self) -> &'static str {
        match self {
            Area::Top => "A scenario",
            Area::Step => "Steps",
            Area::Text => "Texts",
            Area::Routine => "Files of routines",
        }
    }
}

/// One construct of the old dialect.
#[derive(Debug)]
pub struct Construct {
    /// Where it stands.
    pub area: Area,
    /// Its key, or words for it.
    pub old: &'static str,
    /// What usually becomes of it.
    pub fate: Fate,
    /// What it is now, or what to do.
    pub now: &'static str,
}

impl Construct {
    /// Keys as code, and words as they are.
    pub fn shown(&self) -> String {
        let code = |part: &str| part.starts_with('{') || part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        match self.old.split(", ").all(code) {
            true => format!("`{}`", self.old.replace(", ", "`, `")),
            false => self.old.to_string(),
        }
    }
}

/// All constructs, in the order of the manual.
pub fn constructs() -> &'static [Construct] {
    TABLE
}

/// The row of a construct.
pub(super) fn row(area: Area, old: &str) -> &'static Construct {
    let found = TABLE.iter().find(|c| c.area == area && c.old == old);
    found.unwrap_or(&TABLE[0])
}

const fn top(old: &'static str, fate: Fate, now: &'static str) -> Construct {
    Construct {
        area: Area::Top,
        old,
        fate,
        now,
    }
}

const fn step(old: &'static str, fate: Fate, now: &'static str) -> Construct {
    Construct {
        area: Area::Step,
        old,
        fate,
        now,
    }
}

const fn text(old: &'static str, fate: Fate, now: &'static str) -> Construct {
    Construct {
        area: Area::Text,
        old,
        fate,
        now,
    }
}

const fn routine(old: &'static str, fate: Fate, now: &'static str) -> Construct {
    Construct {
        area: Area::Routine,
        old,
        fate,
        now,
    }
}

use Fate::{ByHand, Changed, Dropped, Kept};

static TABLE: &[Construct] = &[
    top(
        "any other key",
        Dropped,
        "no word of the old language; the old runner took it and did nothing with it",
    ),
    top("name", Kept, "`name`; without one, the file's name"),
    top("description", Kept, "`description`"),
    top(
        "kind",
        Dropped,
        "there is one kind of scenario; the two questions of a bug confirmation become its last checks",
    ),
    top("app", Changed, "a comment: it told people which application is meant"),
    top(
        "vars",
        Changed,
        "`inputs`, with the value as `default`; a list or an object becomes JSON text",
    ),
    top(
        "steps",
        Kept,
        "`steps`; commands that stand before everything else become `setup`",
    ),
    top(
        "cleanup",
        Changed,
        "`cleanup`: the old runner never ran it, now it always runs",
    ),
    top(
        "imports",
        Dropped,
        "nothing declares them: the result holds the routines that it uses",
    ),
    top(
        "phases",
        Changed,
        "`phases`, whose first steps have ids: `--from PHASE`, `--until PHASE`",
    ),
    top(
        "checkpoints",
        Changed,
        "`snapshot` steps take them, and the run's end removes them; those of the test itself have `attempts: 2`: after a failure it goes back to the newest, once, and is softFailed if it passes then",
    ),
    top(
        "report_config_snapshots",
        Dropped,
        "to see a file when a step fails, give the step `on_failure: [{shell: cat FILE}]`",
    ),
    top("issue", Changed, "part of `description`"),
    top(
        "expected_env",
        ByHand,
        "the environment is the run's: choose the VM and the package in the run",
    ),
    top("precondition_check", Changed, "an `expect` after the steps"),
    top(
        "bug_signal",
        Changed,
        "an `expect` with `not` as the last step: the run fails where the bug shows, and passes where it does not",
    ),
    step(
        "any other key",
        ByHand,
        "no word of this kind of step in the old language; say what was meant in the new one",
    ),
    step(
        "shell",
        Changed,
        "`shell`: a code other than 0 now fails the step (say which is right with `exit`)",
    ),
    step(
        "launch",
        Changed,
        "`launch`: no shell is between, and the program is watched from then on: its crash fails the run",
    ),
    step(
        "launch_window",
        Changed,
        "`window` of `launch`: part of the window's title, no longer the name of the process",
    ),
    step("launch_timeout", Kept, "`timeout`"),
    step(
        "localize",
        Kept,
        "`click`: the quoted part is looked for as text, the whole is the description for a model",
    ),
    step("click", Kept, "`button`"),
    step("hover", Kept, "`hover`"),
    step(
        "x, y",
        Changed,
        "`at`, with the words as `reason`; better name what is there",
    ),
    step("then_type, type", Kept, "`type`; after a click on its field `into`"),
    step("then_key, key", Kept, "`key`; after typing `then`"),
    step("then_key_pre, key_pre", Kept, "a `key` step before the text"),
    step("verify", Kept, "`verify`; a step of its own is an `expect`"),
    step(
        "verify_not",
        Changed,
        "`verify_not`, which counts without `verify`, too; alone in a step it is a `never`",
    ),
    step(
        "verify_click",
        Changed,
        "`verify` of the click, which is then a step of its own",
    ),
    step(
        "verify_input",
        Changed,
        "`verify` of the `type` step; the key after it is a step of its own",
    ),
    step(
        "verify_timeout",
        Changed,
        "part of `timeout`, which is for the whole step",
    ),
    step(
        "verify_consistent",
        Dropped,
        "a verdict is asked once; a moment that nobody can judge is an error, not a no",
    ),
    step(
        "verify_click_diff",
        Dropped,
        "there is no comparison before and after a click; say with `verify` what the click shows",
    ),
    step("verify_click_diff_prompt", Dropped, "as `verify_click_diff`"),
    step("verify_click_diff_crop", Dropped, "as `verify_click_diff`"),
    step("accept_any", Kept, "`any` of several conditions"),
    step(
        "retries",
        Changed,
        "`attempts`, where a click is tried again; else part of `timeout`",
    ),
    step(
        "wait",
        Changed,
        "time for the next step, which waits for what it needs; where that looks at nothing, a note",
    ),
    step(
        "focus",
        Changed,
        "`wait_for` with `window`: it must be there; nothing is raised",
    ),
    step(
        "canary, canary_verify, canary_char",
        Changed,
        "the letter is typed, looked for with `verify` and deleted again, each in a step of its own",
    ),
    step(
        "precheck_click",
        Dropped,
        "what is found is proved on the newest picture; several places that fit are an error",
    ),
    step(
        "localize_consistent",
        Dropped,
        "several places that fit are an error, which lists them",
    ),
    step(
        "must_pass",
        Changed,
        "`false` is `soft: true`; the old runner dropped it",
    ),
    step("label", Kept, "`label`"),
    step("motion", Kept, "`motion` of the click, which is then a step of its own"),
    step(
        "dwell_ms",
        Kept,
        "`dwell` of the click, which is then a step of its own",
    ),
    step(
        "on_failure_agent",
        ByHand,
        "no agent goes on where a step fails; mend the step, and say what to look at in `on_failure`",
    ),
    step(
        "if_visible",
        Changed,
        "`if` with `see` and `then`; that nobody could tell is now an error",
    ),
    step("then", Kept, "`then` of `if`"),
    step("then_steps", Changed, "`then` of `if`; the old loader refused it"),
    step(
        "popup_sweep",
        Dropped,
        "it did nothing; for a dialog that may come, write `if`",
    ),
    step(
        "checkpoint",
        Changed,
        "`snapshot`; where `checkpoints` were not enabled it is left out, as it did nothing",
    ),
    step(
        "atspi",
        Changed,
        "a `click` with the pointer on the element of that `role` and `name`; what asks for an action instead of a click is left to you",
    ),
    step(
        "atspi with localize",
        Changed,
        "a `click` on the element of that `role` and `name`, else on what the words of `localize` describe",
    ),
    step(
        "verify_atspi",
        Changed,
        "`expect` with `node`; unless `name_substr` says otherwise, the name is a part of the element's",
    ),
    step(
        "wait_for",
        Changed,
        "`wait_for` with `node`; `interval` is left out, a step looks as often as it can",
    ),
    step("import", Changed, "`use` of a routine, which the result holds"),
    step("routine", Changed, "`use`, with `with`; the result holds the routine"),
    text(
        "{{ name }}",
        Kept,
        "`{{ name }}`; in a shell's text the variable of its environment, `\"${name}\"`",
    ),
    text("{name}", Changed, "`{{ name }}`"),
    text(
        "a filter, an expression, a block",
        Changed,
        "computed once, with the values of `vars`: this language computes nothing in texts",
    ),
    text(
        "a name that `vars` does not have",
        Changed,
        "an input without a default; what `--var` gave is given by the run's `variables`",
    ),
    text(
        "workspace_url, test_user, app_path",
        Changed,
        "inputs that the run's `variables` give",
    ),
    text(
        "test_password, vm_password",
        Changed,
        "secret inputs, which the run's `secretVariables` give",
    ),
    text(
        "a variable with password, token or secret in its name",
        Changed,
        "a secret input; its value is not taken over, as a secret does not belong in a file",
    ),
    text("timestamp", Changed, "what `date` prints in `setup`, captured"),
    text(
        "a variable with a template in its value",
        Changed,
        "one of `variables`, which a caller cannot give; where it needs `timestamp`, its value stands where it is used",
    ),
    text("a comment above a step", Kept, "`label`; a longer one stays a comment"),
    text("the tag !import", Changed, "`use` of a routine, as `import`"),
    text(
        "what lint warns of",
        ByHand,
        "`# lint: allow RULE` stands there; mend it, then take the comment out",
    ),
    text(
        "what does not load",
        ByHand,
        "a step that this language cannot take is left out",
    ),
    text(
        "bash in a shell",
        Changed,
        "`bash` with a here-document: the shell is `sh`",
    ),
    routine("any other key", Dropped, "no word of the old language"),
    routine("name", Kept, "its name below `routines`"),
    routine("description", Kept, "`description`"),
    routine("tags", Dropped, "there is no search by tags"),
    routine(
        "schema_version",
        Dropped,
        "a routine's own `version` is what `use: NAME@VERSION` asks for",
    ),
    routine(
        "inputs",
        Changed,
        "`inputs`, whose types now hold; a list becomes JSON text",
    ),
    routine("preconditions", Kept, "`requires`"),
    routine("postconditions", Kept, "`ensures`"),
    routine("steps", Kept, "`steps`"),
    routine(
        "fallbacks",
        ByHand,
        "choose with `when` at the steps, or with `if` by what is seen",
    ),
    routine(
        "on_failure",
        ByHand,
        "the old runner never ran it; give it to the steps that use the routine",
    ),
    routine("a fragment", Changed, "a routine without inputs of its own"),
];
