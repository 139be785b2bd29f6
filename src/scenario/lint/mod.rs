//! What is allowed in a scenario and still likely a mistake: a test that cannot fail, or that fails by chance.
//!
//! The rules are a table ([`rules`]); each looks at a loaded scenario and touches nothing. A remark tells what is wrong
//! and where; its rule tells what to do.

mod checks;
mod comment;
mod labels;
mod script;
mod shells;
mod steps;
mod subject;
mod targets;
mod variables;

pub use comment::allows;

use super::Scenario;
use super::error::{Place, Problem};
use super::model::Step;
use std::fmt;
use subject::Subject;

/// How much a remark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; often right as it is.
    Note,
    /// Likely a mistake.
    Warning,
    /// The scenario does not test what it says.
    Error,
}

impl Severity {
    /// The word in every output; SARIF's levels have the same ones.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that lint looks for.
#[derive(Debug)]
pub struct Rule {
    /// Its name, in kebab-case.
    pub id: &'static str,
    /// How much its remarks matter, at most.
    pub severity: Severity,
    /// What it finds.
    pub about: &'static str,
    /// What to do about it.
    pub hint: &'static str,
    look: fn(&Subject<'_>, &mut Found<'_>),
}

/// Something that a rule found.
#[derive(Clone, Debug)]
pub struct Remark {
    /// The rule.
    pub rule: &'static Rule,
    /// How much it matters here; not more than the rule says.
    pub severity: Severity,
    /// File or object.
    pub origin: String,
    /// Where in it.
    pub place: Place,
    /// Where the step begins that it is about, if it is about one.
    pub step: Option<Place>,
    /// What is wrong.
    pub message: String,
}

impl Remark {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        self.rule.hint
    }
}

/// `FILE:LINE:COLUMN: warning[rule]: message`, as compilers write it.
impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = Problem {
            origin: self.origin.clone(),
            place: self.place.clone(),
            message: format!("{}[{}]: {}", self.severity, self.rule.id, self.message),
        };
        problem.fmt(f)
    }
}

/// What could not be loaded is a remark of this rule.
impl From<Problem> for Remark {
    fn from(problem: Problem) -> Remark {
        let (origin, place) = in_its_file(problem.origin, problem.place);
        Remark {
            rule: &LOAD,
            severity: Severity::Error,
            origin,
            place,
            step: None,
            message: problem.message,
        }
    }
}

/// What came from an imported file stands in that.
fn in_its_file(origin: String, place: Place) -> (String, Place) {
    match place {
        Place::File(file, line, column) => (file.to_string(), Place::Line(line, column)),
        place => (origin, place),
    }
}

impl Remark {
    /// A file of a folder that is left aside by this rule; `problem` says why.
    pub fn left_aside(rule: &'static Rule, problem: Problem) -> Remark {
        Remark {
            rule,
            severity: rule.severity,
            ..Remark::from(problem)
        }
    }
}

/// Collects what one rule finds.
pub(super) struct Found<'r> {
    rule: &'static Rule,
    origin: &'r str,
    remarks: &'r mut Vec<Remark>,
}

impl Found<'_> {
    fn add(&mut self, place: Place, step: &Step, message: String) {
        self.push(self.rule.severity, place, Some(step.place.clone()), message);
    }

    /// Where it matters less than the rule says.
    fn add_as(&mut self, severity: Severity, place: Place, step: &Step, message: String) {
        self.push(severity, place, Some(step.place.clone()), message);
    }

    /// What is about no single step.
    fn add_to_whole(&mut self, place: Place, message: String) {
        self.push(self.rule.severity, place, None, message);
    }

    fn push(&mut self, severity: Severity, place: Place, step: Option<Place>, message: String) {
        let (origin, place) = in_its_file(self.origin.to_string(), place);
        let step = step.map(|step| in_its_file(String::new(), step).1);
        // The message of a routine's step may tell the values that each call gives it.
        let known = |r: &Remark| r.rule.id == self.rule.id && r.place == place && r.origin == origin;
        // A part that is used twice, by an alias, is wrong once.
        if !self.remarks.iter().any(known) {
            self.remarks.push(Remark {
                rule: self.rule,
                severity,
                origin,
                place,
                step,
                message,
            });
        }
    }
}

impl Scenario {
    /// What is likely a mistake, in the order of the places.
    pub fn lint(&self) -> Vec<Remark> {
        let subject = Subject { scenario: self };
        let mut remarks = Vec::new();
        let reads = |rule: &&Rule| !subject.is_for_powershell() || !OF_SH.contains(&rule.id);
        for rule in RULES.iter().filter(reads) {
            let mut found = Found {
                rule,
                origin: &self.origin,
                remarks: &mut remarks,
            };
            (rule.look)(&subject, &mut found);
        }
        // Paths stay in the order of the rules.
        remarks.sort_by(|a, b| match (&a.place, &b.place) {
            (Place::Line(..), Place::Line(..)) => {
                let key = |r: &Remark| (r.origin != self.origin, r.origin.clone(), r.place.clone());
                key(a).cmp(&key(b))
            }
            _ => std::cmp::Ordering::Equal,
        });
        remarks
    }
}

/// All rules, those for what cannot be looked at first.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [&LOAD, &OLD_DIALECT, &OTHER_TOOL].into_iter().chain(RULES)
}

/// The rule of what could not be loaded. It cannot be allowed: there is nothing to look at then.
pub static LOAD: Rule = Rule {
    id: "load",
    severity: Severity::Error,
    about: "a file that cannot be loaded",
    hint: "mend it as the message says; docs/scenario.md has the language",
    look: |_, _| {},
};

/// The rule of files of the predecessor that a folder holds.
pub static OLD_DIALECT: Rule = Rule {
    id: "old-dialect",
    severity: Severity::Note,
    about: "a file of the predecessor's dialect in a folder that is looked at: it is left aside",
    hint: "turn it into this language with `mosdat import`; named by itself, it is an error",
    look: |_, _| {},
};

/// The rule of files of other tools that a folder holds.
pub static OTHER_TOOL: Rule = Rule {
    id: "other-tool",
    severity: Severity::Note,
    about: "a file of another tool in a folder that is looked at, such as a Helm chart's: it is left aside",
    hint: "a scenario has `steps`, a file of routines has `routines`; named by itself, the file is read as one of them",
    look: |_, _| {},
};

/// Rules that read commands of `sh`, and say nothing about PowerShell's.
const OF_SH: &[&str] = &[
    "heredoc",
    "kill-without-check",
    "pipe-hides-exit",
    "pointer-in-shell",
    "sleep",
    "swallowed-exit",
    "unknown-shell-variable",
];

static RULES: &[Rule] = &[
    Rule {
        id: "check-cannot-fail",
        severity: Severity::Error,
        about: "a check that holds whatever the product does, such as a command that ends with `|| true`",
        hint: "ask for something that only a working product shows, or take the check out",
        look: checks::check_cannot_fail,
    },
    Rule {
        id: "no-check",
        severity: Severity::Warning,
        about: "`steps` without any check: no `expect`, no `verify`, no window that is waited for",
        hint: "say with `verify` or `expect` what must be seen when the product works",
        look: checks::no_check,
    },
    Rule {
        id: "nothing-can-fail",
        severity: Severity::Warning,
        about: "`steps` of which every check is soft",
        hint: "take `soft` off the check for which the scenario was written",
        look: checks::nothing_can_fail,
    },
    Rule {
        id: "negative-only",
        severity: Severity::Warning,
        about: "`steps` of which every check asks that something is not there: a blank screen passes",
        hint: "check as well that something is there: a window, a text, a file",
        look: checks::negative_only,
    },
    Rule {
        id: "unchecked-end",
        severity: Severity::Warning,
        about: "a last acting step without `verify`, and no check after it",
        hint: "give the step a `verify`, or let an `expect` follow",
        look: steps::unchecked_end,
    },
    Rule {
        id: "fixed-place",
        severity: Severity::Error,
        about: "a target that is a place (`at`): it is used whatever is shown there; with `reason` a note",
        hint: "name a text or describe the thing; where only a place will do, say why with `reason`",
        look: targets::fixed_place,
    },
    Rule {
        id: "unquoted-label",
        severity: Severity::Warning,
        about: "a target or a question of a word or two that begins as labels do, without quotes, such as `click: Save`: a description, which needs a vision model",
        hint: "quote the text within the string, as `\"'Save'\"`; where a model is meant, say so: `{target: {describe: Save}}`, or a whole question",
        look: labels::unquoted_label,
    },
    Rule {
        id: "short-text",
        severity: Severity::Warning,
        about: "a `text` of one or two letters, easily found elsewhere; where a pointer goes, a note",
        hint: "add `exact`, a relation (`right_of`, `below`, ...) or `nth`, or look for a longer text",
        look: targets::short_text,
    },
    Rule {
        id: "sleep",
        severity: Severity::Warning,
        about: "`sleep` in a shell: too long on one machine, too short on another; in a loop that waits, a note",
        hint: "wait for what is meant: `wait_for` with a condition and a `timeout`",
        look: shells::sleep,
    },
    Rule {
        id: "pointer-in-shell",
        severity: Severity::Warning,
        about: "a program that moves the pointer or presses keys from within the guest, such as xdotool",
        hint: "use `click`, `hover`, `drag`, `scroll`, `type` or `key`: they go the way of a user's input",
        look: shells::pointer_in_shell,
    },
    Rule {
        id: "swallowed-exit",
        severity: Severity::Warning,
        about: "a `shell` step whose failure is never seen (`|| true`, `; true`, `2>/dev/null ||`); outside of `steps` a note",
        hint: "let the command fail; where a code other than 0 is right, say so with `exit`",
        look: shells::swallowed_exit,
    },
    Rule {
        id: "kill-without-check",
        severity: Severity::Warning,
        about: "a `shell` step that ends a process, and no check after it whether it is gone",
        hint: "let `wait_gone: {process: NAME}` follow: a signal is sent at once, and a program ends later or not at all",
        look: shells::kill_without_check,
    },
    Rule {
        id: "pipe-hides-exit",
        severity: Severity::Note,
        about: "a pipe in a `shell` step: a failure before its last command is not seen",
        hint: "run the commands one by one, with a file between them",
        look: shells::pipe_hides_exit,
    },
    Rule {
        id: "unknown-shell-variable",
        severity: Severity::Warning,
        about: "a variable in a shell's text that is no input, variable or captured value, and that the text does not set: it is empty, and a check may hold for that",
        hint: "write the name as it is declared; where the guest has such a variable by itself, say what is to be without it: `${NAME:-}`",
        look: variables::unknown_shell_variable,
    },
    Rule {
        id: "heredoc",
        severity: Severity::Note,
        about: "a here-document in a shell",
        hint: "put the file there with a step of its own (`stage`), not within a command",
        look: shells::heredoc,
    },
    Rule {
        id: "unused-input",
        severity: Severity::Warning,
        about: "an input or a variable that no step uses",
        hint: "use it, as `{{ name }}` or in a shell as `\"$name\"`, or take it out",
        look: steps::unused_input,
    },
    Rule {
        id: "phase-needs-earlier",
        severity: Severity::Warning,
        about: "a phase with which a run cannot begin: it needs a value or a snapshot that an earlier step makes",
        hint: "make what it needs in `setup` or in the phase itself, or begin the phase with the step that makes it",
        look: steps::phase_needs_earlier,
    },
    Rule {
        id: "budget-too-short",
        severity: Severity::Warning,
        about: "a step whose own `timeout` is longer than the scenario's `budget`: it never gets that time",
        hint: "give the scenario a longer `budget`, or the step a shorter `timeout`",
        look: steps::budget_too_short,
    },
    Rule {
        id: "duplicate-label",
        severity: Severity::Warning,
        about: "two steps with the same `label`, which a report does not tell apart",
        hint: "say in each label what only this step does",
        look: steps::duplicate_label,
    },
    Rule {
        id: "app-left-running",
        severity: Severity::Note,
        about: "a `launch`, and no `cleanup`: the next run on this VM begins with the program running",
        hint: "end the program in `cleanup`, which always runs",
        look: steps::app_left_running,
    },
];
