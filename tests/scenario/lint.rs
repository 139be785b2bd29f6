//! Each rule with texts that it has a remark about, and texts that it has not.

use mosdat::scenario::{Remark, Scenario, Severity, rules};

/// A rule, how much its remark matters, the line of the remark, a text that is wrong and one that is right.
type Case = (&'static str, Severity, usize, &'static str, &'static str);

const NOTE: Severity = Severity::Note;
const WARNING: Severity = Severity::Warning;
const ERROR: Severity = Severity::Error;

/// Steps stand below `steps:`, which is line 2; a text with `steps:` is a whole scenario from line 2 on.
const CASES: &[Case] = &[
    // What is checked.
    (
        "check-cannot-fail",
        ERROR,
        3,
        "- expect: {shell: grep -q x ~/f || true}",
        "- expect: {shell: grep -q x ~/f}",
    ),
    (
        "check-cannot-fail",
        ERROR,
        5,
        "- key: f5\n  verify:\n    shell: 'true'",
        "- key: f5\n  verify: {shell: 'test -f x || exit 1; true'}",
    ),
    (
        "check-cannot-fail",
        ERROR,
        3,
        "- expect: {shell: 'cat f; exit 0', matches: '.*'}",
        "- expect: {shell: 'cat f; exit 0', matches: '^a*$'}",
    ),
    (
        "check-cannot-fail",
        ERROR,
        3,
        "- wait_for: {clipboard: {matches: 'x?'}}",
        "- wait_for: {clipboard: {matches: 'x+'}}",
    ),
    (
        "check-cannot-fail",
        ERROR,
        3,
        "- expect: {any: [{text: Saved}, {not: {text: Saved}}]}",
        "- expect: {any: [{text: Saved}, {not: {text: Save, exact: true}}]}",
    ),
    (
        "check-cannot-fail",
        ERROR,
        3,
        "- expect: {all: [{text: Saved}, {shell: ':'}]}",
        "- expect: {all: [{text: Saved}, {shell: 'false'}]}",
    ),
    (
        "check-cannot-fail",
        ERROR,
        3,
        "- never: {shell: 'false', for: 2s}",
        "- never: {shell: pgrep crashed, for: 2s}",
    ),
    (
        "check-cannot-fail",
        ERROR,
        3,
        "- expect: {shell: 'exit 3', exit: 3}",
        "- expect: {shell: 'cat f || true', contains: x}",
    ),
    (
        "no-check",
        WARNING,
        2,
        "- click: \"'Save'\"",
        "- launch: {command: app, window: App}",
    ),
    ("no-check", WARNING, 2, "- note: x\n- shell: ls", "- shell: test -f x"),
    (
        "nothing-can-fail",
        WARNING,
        2,
        "- expect: {text: Saved}\n  soft: true\n- key: f5\n  verify: {text: New}\n  soft: true",
        "- expect: {text: Saved}\n  soft: true\n- key: f5\n  verify: {text: New}",
    ),
    (
        "negative-only",
        WARNING,
        2,
        "- key: f5\n  verify_not: {text: Error}\n- wait_gone: {process: app}\n- never: {window: Crash, for: 2s}",
        "- key: f5\n  verify_not: {text: Error}\n  verify: {text: Ready}",
    ),
    (
        "negative-only",
        WARNING,
        2,
        "- expect: {any: [{text: Saved}, {not: {text: Error}}]}",
        "- launch: {command: app, window: App}\n- expect: {not: {text: Error}}",
    ),
    (
        "negative-only",
        WARNING,
        2,
        "- expect: {not: {any: [{text: a b}, {text: c d}]}}",
        "- expect: {not: {not: {text: a b}}}",
    ),
    // Variables of shells.
    (
        "unknown-shell-variable",
        WARNING,
        4,
        "inputs: {user: {type: string}}\nsteps:\n- expect: {shell: 'grep -q \"user=$usr\" f'}\n- shell: test \"$user\"",
        "inputs: {user: {type: string}}\nsteps:\n- expect: {shell: 'u=1; grep -q \"$user$u$HOME\" f'}",
    ),
    (
        "unknown-shell-variable",
        WARNING,
        4,
        "- shell: {command: whoami, capture: who}\n- shell: test \"$whoo\" = a",
        "- shell: {command: test $X = $who, env: {X: a}}\n- shell: {command: whoami, capture: who}\n- shell: 'test ${OTHER:-} = a'",
    ),
    // The order of steps.
    (
        "unchecked-end",
        WARNING,
        4,
        "- expect: {text: Ready}\n- click: \"'Save'\"\n- note: done",
        "- expect: {text: Ready}\n- click: \"'Save'\"\n- shell: grep -q x ~/f",
    ),
    (
        "unchecked-end",
        WARNING,
        4,
        "- expect: {text: Ready}\n- key: ctrl+s",
        "- expect: {text: Ready}\n- key: ctrl+s\n  verify: {text: Saved}\n- shell: cp log out",
    ),
    (
        "app-left-running",
        NOTE,
        4,
        "- label: x\n  launch: {command: app, window: App}",
        "steps:\n- launch: {command: app, window: App}\ncleanup:\n- key: alt+f4",
    ),
    (
        "duplicate-label",
        WARNING,
        5,
        "- {label: save, key: ctrl+s}\n- key: ctrl+s\n- {label: save, key: ctrl+s}",
        "- {label: save, key: ctrl+s}\n- key: tab\n- key: tab\n- {label: save again, key: ctrl+s}",
    ),
    (
        "unused-input",
        WARNING,
        4,
        "inputs:\n  a: {type: string}\n  user: {type: string}\nsteps: [{type: '{{ a }}'}, {shell: 'echo $users user'}]",
        "inputs:\n  user: {type: string}\nsteps: [{shell: 'echo \"${user}\"'}]",
    ),
    (
        "unused-input",
        WARNING,
        4,
        "variables:\n  a: x\n  b: '{{ a }}'\nsteps: [{type: '{{ a }}'}]",
        "variables:\n  a: x\n  b: '{{ a }}'\nsteps: [{type: '{{ b }}'}]",
    ),
    (
        "phase-needs-earlier",
        WARNING,
        3,
        "phases:\n  one: {from: a}\nsteps:\n- shell: {command: date, capture: now}\n- {id: a, note: '{{ now }}'}",
        "phases:\n  one: {from: a}\nsteps:\n- note: x\n- {id: a, shell: {command: date, capture: now}}\n- note: '{{ now }}'",
    ),
    (
        "phase-needs-earlier",
        WARNING,
        3,
        "phases:\n  one: {from: a}\nsteps:\n- snapshot: ready\n- {id: a, repeat: {times: 1, steps: [{rollback: ready}]}}",
        "phases:\n  one: {from: a}\nsetup: [{snapshot: ready}]\nsteps:\n- note: x\n- {id: a, rollback: ready}",
    ),
    (
        "budget-too-short",
        WARNING,
        4,
        "budget: 10s\nsteps:\n- {expect: {text: Ready}, timeout: 20s}",
        "budget: 10s\nsteps:\n- {expect: {text: Ready}}\n- {expect: {text: Ready}, timeout: 10s}",
    ),
    // What is looked for.
    (
        "fixed-place",
        ERROR,
        4,
        "- drag:\n    target: {at: [0.5, 0.1]}\n    to: {at: [1, 2], reason: any place will do}",
        "- drag: {target: {text: Title}, to: {text: Edge}}",
    ),
    (
        "fixed-place",
        NOTE,
        3,
        "- click: {target: {at: [3, 4], reason: the canvas is one picture}}",
        "- click: {target: {describe: the red circle}}",
    ),
    (
        "unquoted-label",
        WARNING,
        3,
        "- click: Save",
        "- click: \"'Save'\"\n- click: the gear icon\n- click: hamburger\n- click: {target: {describe: Save}}",
    ),
    (
        "unquoted-label",
        WARNING,
        4,
        "- key: f5\n  verify: Settings Saved",
        "- key: f5\n  verify: the settings were saved\n- expect: {text: Settings Saved}",
    ),
    (
        "short-text",
        WARNING,
        3,
        "- expect: {not: {text: OK}}",
        "- expect: {all: [{text: OK, exact: true}, {text: '42', right_of: Total}, {text: '保存'}, {text: Yes}]}",
    ),
    (
        "short-text",
        NOTE,
        3,
        "- click: {target: {text: x}}",
        "- click: {target: {text: x, nth: 2}}",
    ),
    (
        "short-text",
        WARNING,
        4,
        "- click: {target: {text: OK}}\n  verify: {text: OK}",
        "- click: {target: {text: Add}}\n  verify: {text: Yes}",
    ),
    // Commands in the guest.
    (
        "sleep",
        WARNING,
        3,
        "- shell: app & sleep 5",
        "- shell: {command: 'echo sleep 5 # sleep'}",
    ),
    (
        "sleep",
        WARNING,
        4,
        "- expect:\n    shell: sh -c 'sleep 1; pgrep app'",
        "- wait_for: {process: app}",
    ),
    (
        "sleep",
        NOTE,
        3,
        "- shell: until pgrep app; do sleep 1; done",
        "- launch: [xterm, -e, sh, -c, sleep 600]",
    ),
    (
        "pointer-in-shell",
        WARNING,
        3,
        "- shell: DISPLAY=:0 xdotool mousemove 3 4 click 1",
        "- shell: id=$(xdotool search --name App); echo $id",
    ),
    (
        "pointer-in-shell",
        WARNING,
        3,
        "- shell: {command: sudo -u bob wtype hello}",
        "- shell: command -v wtype",
    ),
    (
        "swallowed-exit",
        WARNING,
        3,
        "- shell: cp a b || true",
        "- shell: cp a b || exit 1",
    ),
    (
        "swallowed-exit",
        WARNING,
        3,
        "- shell: cp a b; true",
        "- shell: cp a b && touch c",
    ),
    (
        "swallowed-exit",
        WARNING,
        3,
        "- shell: cp a b 2>/dev/null || cp c b",
        "- shell: command -v app >/dev/null 2>&1 || make app",
    ),
    (
        "swallowed-exit",
        WARNING,
        3,
        "- shell: app --selftest || echo it failed",
        "- shell: \"app --selftest || { echo it failed; exit 1; }\"",
    ),
    (
        "swallowed-exit",
        NOTE,
        2,
        "setup: [{shell: pkill app || true}]\nsteps: [{note: x}]",
        "setup: [{shell: rm -f x}]\nsteps: [{note: x}]",
    ),
    (
        "kill-without-check",
        WARNING,
        3,
        "- shell: pkill -9 app\n- expect: {text: Ready}",
        "- shell: pkill -9 app\n- note: x\n- wait_gone: {process: app}",
    ),
    (
        "kill-without-check",
        WARNING,
        3,
        "- shell: kill $(cat pid)",
        "- shell: kill -0 $(cat pid)",
    ),
    (
        "kill-without-check",
        WARNING,
        3,
        "- shell: killall app\ncleanup: [{expect: {process: app}}]",
        "- shell: killall app; while pgrep app; do :; done",
    ),
    (
        "pipe-hides-exit",
        NOTE,
        3,
        "- shell: app --selftest | tee log",
        "- shell: ps -e | grep -q app",
    ),
    (
        "heredoc",
        NOTE,
        3,
        "- shell: |\n    cat > f <<EOF\n    sleep\n    EOF",
        "- shell: cat <<< \"$x\" > f; echo $((1 << 2)) '<<EOF'",
    ),
];

fn scenario(text: &str) -> String {
    match text.contains("steps:") {
        true => format!("name: t\n{text}\n"),
        false => format!("name: t\nsteps:\n{text}\n"),
    }
}

fn remarks(text: &str) -> Vec<Remark> {
    let scenario = Scenario::from_str("t.yaml", text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    scenario.lint()
}

#[test]
fn each_rule_tells_what_is_wrong_and_nothing_else() {
    for (rule, severity, line, bad, good) in CASES {
        let (bad, good) = (scenario(bad), scenario(good));
        let of_rule =
            |text: &str| -> Vec<Remark> { remarks(text).into_iter().filter(|r| r.rule.id == *rule).collect() };
        let found = of_rule(&bad);
        let place = format!("t.yaml:{line}:");
        let is_meant = |r: &&Remark| r.severity == *severity && r.to_string().starts_with(&place);
        assert_eq!(found.iter().filter(is_meant).count(), 1, "{rule}: {found:#?}\n{bad}");
        assert!(found.iter().all(|r| r.severity <= r.rule.severity), "{found:#?}");
        let found = of_rule(&good);
        assert!(found.is_empty(), "{rule}: {found:#?}\n{good}");
    }
}

#[test]
fn every_rule_is_tried() {
    let tried = |id: &str| CASES.iter().any(|(rule, ..)| *rule == id);
    // What cannot be loaded is tried by the command.
    let untried: Vec<&str> = rules()
        .map(|r| r.id)
        .filter(|id| !["load", "old-dialect", "other-tool"].contains(id) && !tried(id))
        .collect();
    assert!(untried.is_empty(), "{untried:?}");
    let ids: Vec<&str> = rules().map(|r| r.id).collect();
    assert!(CASES.iter().all(|(rule, ..)| ids.contains(rule)), "{ids:?}");
    for (i, id) in ids.iter().enumerate() {
        assert!(!ids[..i].contains(id), "{id} is there twice");
        assert!(id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{id}");
    }
}

#[test]
fn a_template_is_no_text_to_judge() {
    let text = "name: t\ninputs: {a: {type: string}}\nsteps:\n- expect: {text: '{{ a }}'}\n\
        - expect: {shell: 'cat f; true', matches: '{{ a }}'}\n- expect: {clipboard: {matches: '{{ a }}'}}\n";
    assert!(remarks(text).is_empty(), "{:#?}", remarks(text));
}

#[test]
fn remarks_stand_in_the_order_of_their_places() {
    let text = "name: t\ninputs:\n  a: {type: string}\nsteps:\n- shell: sleep 5; cp a b || true\n- click: {target: {at: [1, 2]}}\n";
    let lines: Vec<String> = remarks(text)
        .iter()
        .map(|r| r.to_string().split(": ").next().unwrap_or_default().to_string())
        .collect();
    assert_eq!(
        lines,
        ["t.yaml:3:3", "t.yaml:4:1", "t.yaml:5:3", "t.yaml:5:3", "t.yaml:6:20"]
    );
}

/// An object of the API has paths instead of lines.
#[test]
fn what_comes_through_the_api_has_remarks_too() {
    let text = "name: t\nsteps:\n- expect: {text: Ready}\n- click: {target: {at: [1, 2]}}\n";
    let spec = Scenario::from_str("t.yaml", text).unwrap().to_spec().unwrap();
    let remarks = Scenario::from_spec(&spec, "scenario/t").unwrap().lint();
    let told: Vec<String> = remarks.iter().map(ToString::to_string).collect();
    assert_eq!(remarks.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("scenario/t: spec.steps[1]: warning[unchecked-end]: "),
        "{told:?}"
    );
    assert!(
        told[1].starts_with("scenario/t: spec.steps[1].click.target.at: error[fixed-place]: "),
        "{told:?}"
    );
}

#[test]
fn commands_of_powershell_are_not_read_as_those_of_sh() {
    let rules = |platforms: &str| -> Vec<&str> {
        let text = format!(
            "name: t\nplatforms: {platforms}\nsteps:\n- shell: sleep 5\n- shell: Get-Item x | Measure\n\
             - shell: demo || true\n- expect: {{shell: 'echo x; exit 0'}}\n- expect: OK\n\
             cleanup:\n- shell: kill -Name demo\n"
        );
        let remarks = Scenario::from_str("t.yaml", &text).unwrap().lint();
        remarks.iter().map(|remark| remark.rule.id).collect()
    };
    let of_sh = [
        "sleep",
        "kill-without-check",
        "pipe-hides-exit",
        "swallowed-exit",
        "check-cannot-fail",
    ];
    for platforms in ["[linux]", "[linux, windows]"] {
        let found = rules(platforms);
        assert!(of_sh.iter().all(|id| found.contains(id)), "{platforms}: {found:?}");
    }
    let found = rules("[windows]");
    assert!(!of_sh.iter().any(|id| found.contains(id)), "{found:?}");
}
