//! Each wrong text and the exact message that it gets.

use mosdat::scenario::Scenario;

const ACTIONS: &str = "launch, click, hover, drag, scroll, type, key, wait_for, wait_gone, never, expect, shell, stage, reboot, install, uninstall, snapshot, rollback, power, if, repeat, use, \
     screenshot, note";
const ACTING: &str =
    "id, label, verify, verify_not, timeout, attempts, soft, when, on_failure, mask, settle, dwell, motion";
const CHECKS: &str =
    "see, text, reference, shell, process, window, file, log, clipboard, node, port, exited, fact, not, any, all";

/// Errors of a scenario with these steps, whose first line is line 3.
fn steps(steps: &str) -> String {
    of(&format!("name: t\nsteps:\n{steps}\n"))
}

fn of(text: &str) -> String {
    match Scenario::from_str("login.yaml", text) {
        Ok(scenario) => panic!("loaded: {scenario:?}"),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn steps_and_options() {
    let table = [
        (
            "  - clik: the Save button",
            format!("login.yaml:3:5: unknown action 'clik'; did you mean 'click'? Valid actions: {ACTIONS}"),
        ),
        (
            "  - label: x\n    frobnicate: y",
            format!("login.yaml:4:5: unknown action 'frobnicate'. Valid actions: {ACTIONS}"),
        ),
        (
            "  - install: hello",
            "login.yaml:3:14: 'hello' does not end with a known format (.deb, .rpm, .appimage, .snap, .flatpak, .exe, .msi); say it \
             with 'format'"
                .into(),
        ),
        (
            "  - install: setup.exe",
            "login.yaml:3:14: a package of format exe is a file in the guest, with its whole path such as C:\\Users\\Public\\setup.exe \
             (a step 'stage' or 'shell' puts it there), unlike 'setup.exe'"
                .into(),
        ),
        (
            "  - uninstall: Demo App",
            "login.yaml:3:16: 'uninstall' is the name of an installed package as its manager lists it, not 'Demo App' (with \
             'format: exe' or 'format: msi' it is the name of a program of Windows, which may have spaces)"
                .into(),
        ),
        (
            "  - install: {package: hello.deb}",
            "login.yaml:3:24: a package of format deb is a file in the guest, with its whole path (a step 'stage' or \
             'shell' puts it there), unlike 'hello.deb'"
                .into(),
        ),
        (
            "  - click: x\n    timeout: 3s\n    dwell: 2s\n    settle: 1s",
            "login.yaml:5:12: 'dwell' and 'settle' take up the step's time of 3s".into(),
        ),
        (
            "  - power: off",
            "login.yaml:3:12: unknown value of 'power' 'off'. Valid values: start, shutdown, stop".into(),
        ),
        (
            "  - snapshot: 1st",
            "login.yaml:3:15: 'snapshot' is a name as Proxmox takes it (2 to 40 letters, digits, - and _, a letter \
             first, not 'current'), unlike '1st'"
                .into(),
        ),
        (
            "  - expect: {exited: 256}",
            "login.yaml:3:22: 'exited' is 256; it must be from 0 to 255".into(),
        ),
        (
            "  - click: x\n    type: y",
            "login.yaml:4:5: two actions in one step, 'click' and 'type'; a step has exactly one: make two steps"
                .into(),
        ),
        (
            "  - label: x",
            format!("login.yaml:3:5: a step needs an action. Valid actions: {ACTIONS}"),
        ),
        (
            "  - click the button",
            format!("login.yaml:3:5: a step must be an object with one action, not text. Valid actions: {ACTIONS}"),
        ),
        (
            "  - click: x\n    timout: 5s",
            format!(
                "login.yaml:4:5: unknown option of click 'timout'; did you mean 'timeout'? Valid options: {ACTING}"
            ),
        ),
        (
            "  - click: x\n    motion: straight",
            "login.yaml:4:13: unknown value of 'motion' 'straight'. Valid values: instant, linear, bezier, windmouse".into(),
        ),
        (
            "  - expect: x\n    attempts: 2",
            "login.yaml:4:5: expect does not know the option 'attempts'. Valid options: id, label, timeout, soft, when, \
             on_failure, mask"
                .into(),
        ),
        (
            "  - click: x\n    timeout: 5",
            "login.yaml:4:14: 'timeout' has no unit; write 5s".into(),
        ),
        (
            "  - click: x\n    timeout: soon",
            "login.yaml:4:14: 'timeout': 'soon' is not a length of time; write it as 500ms, 30s, 2m or 1m30s".into(),
        ),
        (
            "  - click: x\n    attempts: 0\n    verify: y",
            "login.yaml:4:15: 'attempts' is 0; it must be from 1 to 20".into(),
        ),
        (
            "  - click: x\n    attempts: 2",
            "login.yaml:4:15: 'attempts' of click needs 'verify': without it nothing says that another try is due"
                .into(),
        ),
        (
            "  - click: x\n    id: Not Good",
            "login.yaml:4:9: id 'Not Good' must have at most 63 lower-case letters, digits and inner dashes".into(),
        ),
        (
            "  - click: x\n    id: a\n  - note: y\n    id: a",
            "login.yaml:6:9: id 'a' is taken in line 4; ids are unique in a scenario".into(),
        ),
        (
            "  - click: x\n    soft: yes",
            "login.yaml:4:11: 'soft' must be true or false, not text".into(),
        ),
    ];
    for (text, message) in table {
        assert_eq!(steps(text), message, "{text}");
    }
}

#[test]
fn actions_and_conditions() {
    let table = [
        (
            "  - click: {target: {role: checkbox}}",
            "login.yaml:3:28: unknown role 'checkbox' of the accessibility tree; is 'check box' meant?".to_string(),
        ),
        (
            "  - click: {target: {role: label, state: [showing, not chekked]}}",
            "login.yaml:3:52: unknown state 'chekked'; did you mean 'checked'? Valid states, each also after 'not': active, busy, checkable, checked, \
             collapsed, editable, enabled, expandable, expanded, focusable, focused, indeterminate, invalid-entry, is-default, modal, pressed, read-only, \
             required, selectable, selected, sensitive, showing, visible, visited"
                .into(),
        ),
        (
            "  - click: {target: {state: checked, text: x}}",
            "login.yaml:3:22: 'state' says more about an element of the accessibility tree; it needs 'role' or 'name' beside it".into(),
        ),
        (
            "  - click: {target: {role: link, near: x}}",
            "login.yaml:3:34: 'near' has no meaning for an element of the accessibility tree; it is for a 'text' beside it".into(),
        ),
        (
            "  - {key: enter, mask: true}",
            "login.yaml:3:5: 'mask: true' covers the place of the step's target, which this step does not have; give a region, [x, y, width, height]".into(),
        ),
        (
            "  - {click: {target: {at: [5, 6], reason: no text}}, mask: true}",
            "login.yaml:3:5: 'mask: true' covers the place of the step's target, and 'at' is a point without a size; give a region, [x, y, width, height]".into(),
        ),
        (
            "  - {key: enter, mask: [0, 0, 10]}",
            "login.yaml:3:24: 'mask' is [x, y, width, height], not 3 numbers".into(),
        ),
        (
            "  - expect: {node: {app: x}}",
            "login.yaml:3:21: 'app' says more about an element of the accessibility tree; it needs 'role' or 'name' beside it".into(),
        ),
        (
            "  - expect: {node: {}}",
            "login.yaml:3:20: node needs 'role' or 'name'".into(),
        ),
        (
            "  - expect: {node: {role: label, name: {equal: x}}}",
            "login.yaml:3:41: unknown key of name 'equal'; did you mean 'equals'? Valid keys: contains, equals, matches".into(),
        ),
        (
            "  - click: {target: x, buton: left}",
            "login.yaml:3:24: unknown key of click 'buton'; did you mean 'button'? Valid keys: target, button, count, modifiers".into(),
        ),
        (
            "  - click: {target: {exact: true}}",
            "login.yaml:3:21: a target needs 'text', 'describe', 'role' or 'name', 'reference' or 'at'".into(),
        ),
        (
            "  - hover: {at: [10, 0.5], text: x}",
            "login.yaml:3:17: 'at' is a place by itself; 'text' has no meaning beside it".into(),
        ),
        (
            "  - hover: {at: [10]}",
            "login.yaml:3:17: 'at' must be a list [x, y], not a list".into(),
        ),
        (
            "  - hover: {at: [10, 1.5]}",
            "login.yaml:3:22: a place in 'at' must be a whole number of pixels from 0, or a part of the screen from 0.0 to 1.0, \
             not a number"
                .into(),
        ),
        (
            "  - hover: {text: x, reason: y}",
            "login.yaml:3:30: 'reason' says why a place is fixed by 'at', which this target does not have".into(),
        ),
        (
            "  - click: {target: x, modifiers: [ctrl, ctrl]}",
            "login.yaml:3:42: 'ctrl' stands twice in 'modifiers'".into(),
        ),
        (
            "  - click: {target: x, modifiers: [control]}",
            "login.yaml:3:36: unknown value of a modifier 'control'. Valid values: ctrl, shift, alt, super".into(),
        ),
        (
            "  - drag: {target: x}",
            "login.yaml:3:11: drag needs 'to'".into(),
        ),
        (
            "  - scroll: dwon",
            "login.yaml:3:13: unknown value of 'scroll' 'dwon'; did you mean 'down'? Valid values: up, down, left, right".into(),
        ),
        (
            "  - scroll: {direction: up, notches: 0}",
            "login.yaml:3:38: 'notches' is 0; it must be from 1 to 100".into(),
        ),
        (
            "  - never: an error dialog",
            "login.yaml:3:12: 'never' must be an object with a condition and 'for', such as {see: an error dialog, for: 5s}, \
             not text"
                .into(),
        ),
        (
            "  - never: {text: x}",
            "login.yaml:3:12: 'never' needs 'for': how long to watch, such as for: 5s".into(),
        ),
        (
            "  - {never: {text: x, for: 5s}, timeout: 3s}",
            "login.yaml:3:6: 'never' watches for 5s, longer than the step's 'timeout'".into(),
        ),
        (
            "  - expect: {file: state}",
            "login.yaml:3:20: 'file' must begin with /, with ~/ (the home of the session's user) or with a drive (C:\\), unlike 'state'".into(),
        ),
        (
            "  - hover: {text: x, in: [0, 0, 0.5]}",
            "login.yaml:3:26: 'in' is [x, y, width, height], not 3 numbers".into(),
        ),
        (
            "  - hover: {text: x, in: [0, 0, 0, 5]}",
            "login.yaml:3:26: 'in' is [x, y, width, height]; this region is empty".into(),
        ),
        (
            "  - expect: {clipboard: {}}",
            "login.yaml:3:25: clipboard needs one of contains, equals, matches".into(),
        ),
        (
            "  - expect: {port: 0}",
            "login.yaml:3:20: 'port' is 0; it must be from 1 to 65535".into(),
        ),
        (
            "  - click: {targt: x}",
            "login.yaml:3:13: unknown key of click 'targt'; did you mean 'target'? Valid keys: target, button, count, modifiers".into(),
        ),
        (
            "  - click: {target: x, button: lefft}",
            "login.yaml:3:32: unknown value of 'button' 'lefft'; did you mean 'left'? Valid values: left, middle, right"
                .into(),
        ),
        (
            "  - click: 42",
            "login.yaml:3:12: 'click' must be text, not an integer; write \"42\"".into(),
        ),
        (
            "  - click: ''",
            "login.yaml:3:12: 'click' is empty".into(),
        ),
        (
            "  - type: ''",
            "login.yaml:3:11: 'type' is empty; to empty a field, write clear: true".into(),
        ),
        (
            "  - type: {text: \"a\\eb\"}",
            "login.yaml:3:18: 'text' has the control character U+001B, which no key types; see 'key'".into(),
        ),
        (
            "  - type: {into: x}",
            "login.yaml:3:11: type needs 'text'".into(),
        ),
        (
            "  - type: {text: x, canary: true}",
            "login.yaml:3:29: 'canary' must be text, not a boolean; write \"true\"".into(),
        ),
        (
            "  - launch: a | b",
            "login.yaml:3:13: the command '|' belongs to a shell, and no shell is between; quote it, or launch [sh, -c, \
             \"...\"]"
                .into(),
        ),
        (
            "  - launch: {command: a, display: x12}",
            "login.yaml:3:35: unknown value of 'display' 'x12'; did you mean 'x11'? Valid values: session, x11, xwayland, \
             wayland, wayland-fake, wayland-nodisp, none"
                .into(),
        ),
        (
            "  - expect: {sea: x}",
            format!("login.yaml:3:14: unknown condition 'sea'; did you mean 'see'? Valid conditions: {CHECKS}"),
        ),
        (
            "  - wait_for: {log: /var/log/x}",
            "login.yaml:3:15: 'log' needs 'contains', 'equals' or 'matches' beside it: what the line has to be like".into(),
        ),
        (
            "  - expect: {see: x, text: y}",
            "login.yaml:3:22: two conditions in one, 'see' and 'text'; put both into 'all' or 'any'".into(),
        ),
        (
            "  - expect: {process: x, exit: 1}",
            "login.yaml:3:26: unknown key of condition process 'exit'. Valid keys: process".into(),
        ),
        (
            "  - expect: {shell: x, matches: '('}",
            "login.yaml:3:33: 'matches' is not a regular expression: error: unclosed group".into(),
        ),
        (
            "  - expect: {any: []}",
            "login.yaml:3:19: 'any' is empty".into(),
        ),
        (
            "  - shell: {command: x, exit: 300}",
            "login.yaml:3:31: 'exit' is 300; it must be from 0 to 255".into(),
        ),
    ];
    for (text, message) in table {
        let found = steps(text);
        let mut wanted: Vec<&str> = message.lines().collect();
        wanted.sort();
        let mut lines: Vec<&str> = found.lines().collect();
        lines.sort();
        assert_eq!(lines, wanted, "{text}");
    }
    let key = steps("  - key: ctrl+entr");
    assert!(
        key.starts_with("login.yaml:3:10: unknown key 'entr' in 'ctrl+entr'; did you mean 'enter'?"),
        "{key}"
    );
}

#[test]
fn the_outermost_object_and_inputs() {
    let table = [
        (
            "name: t\nstepz: [{note: x}]",
            "login.yaml:2:1: unknown key of a scenario 'stepz'; did you mean 'steps'? Valid keys: name, description, platforms, \
             inputs, variables, budget, phases, setup, steps, cleanup, outputs, routines, imports, references",
        ),
        (
            "nmae: t\nsteps: [{note: x}]",
            "login.yaml:1:1: unknown key of a scenario 'nmae'; did you mean 'name'? Valid keys: name, description, platforms, \
             inputs, variables, budget, phases, setup, steps, cleanup, outputs, routines, imports, references",
        ),
        ("name: t", "login.yaml:1:1: a scenario needs 'steps'"),
        (
            "name: t\nsteps: []",
            "login.yaml:2:8: 'steps' is empty; a test that does nothing would always pass",
        ),
        (
            "name: t\nsteps: [{note: x}]\nphases: []",
            "login.yaml:3:9: 'phases' must be an object, not a list",
        ),
        (
            "name: t\nplatforms: [windos]\nsteps: [{note: x}]",
            "login.yaml:2:13: unknown value of 'platforms' 'windos'; did you mean 'windows'? Valid values: linux, windows",
        ),
        (
            "name: t\ninputs: {n: {type: integr, default: 1}}\nsteps: [{note: '{{ n }}'}]",
            "login.yaml:2:20: unknown value of 'type' 'integr'; did you mean 'integer'? Valid values: string, integer, number, \
             boolean",
        ),
        (
            "name: t\ninputs: {n: {type: integer, default: one}}\nsteps: [{note: x}]",
            "login.yaml:2:38: the default of 'n' must be an integer, not text",
        ),
        (
            "name: t\ninputs: {PATH: {}}\nsteps: [{note: x}]",
            "login.yaml:2:10: input name 'PATH' must begin with a lower-case letter and have only letters, digits and _: it \
             becomes the name of an environment variable",
        ),
        (
            "name: t\ninputs: {p: {secret: true, default: x}}\nsteps: [{note: x}]",
            "login.yaml:2:37: the secret input 'p' has a default; a secret does not belong in a file",
        ),
        ("", "login.yaml: the file is empty; a scenario needs 'name' and 'steps'"),
        (
            "name: t\nname: u\nsteps: [{note: x}]",
            "login.yaml:2:1: duplicate key 'name'; it is given in line 1 already",
        ),
        (
            "kind: Scenaro\napiVersion: mosdat.dev/v1alpha1\nspec: {}",
            "login.yaml:1:7: 'kind' must be Scenario for a scenario",
        ),
        ("- a", "login.yaml:1:1: a scenario must be an object, not a list"),
        (
            "name: t\nsteps: !x [{note: x}]\n---\nname: b",
            "login.yaml:4:1: more than one document; a file holds one scenario",
        ),
    ];
    for (text, message) in table {
        assert_eq!(of(text), message, "{text}");
    }
    let tab = of("name: t\nsteps:\n\t- note: x\n");
    assert!(tab.starts_with("login.yaml:3:2: not YAML: tabs"), "{tab}");
}

#[test]
fn templates_and_secrets() {
    let with = |step: &str| {
        of(&format!(
            "name: t\ninputs: {{user: {{}}, password: {{secret: true}}}}\nsteps:\n  - {step}\n"
        ))
    };
    let table = [
        (
            "click: 'the {{ usr }} row'",
            "login.yaml:4:12: undefined variable 'usr'; did you mean 'user'? Inputs: password, user",
        ),
        (
            "type: '{{ password|upper }}'",
            "login.yaml:4:11: a template is {{ name }}, the name of an input; 'password|upper' is no name",
        ),
        (
            "note: \"{{ 'a' * 100000000 }}\"",
            "login.yaml:4:11: a template is {{ name }}, the name of an input; ''a' * 100000000' is no name",
        ),
        (
            "shell: 'echo {{ user }}'",
            "login.yaml:4:12: templates do not work in a shell's text: variables arrive as environment variables; write \
             \"$user\" for {{ user }}",
        ),
        (
            "expect: {shell: 'echo {{ 1 }}'}",
            "login.yaml:4:21: templates do not work in a shell's text: variables arrive as environment variables, as \"$user\"",
        ),
        (
            "type: {text: '{{ password }}', paste: ctrl+v}",
            "login.yaml:4:18: a secret would stay in the guest's clipboard, for any program to read; type it without 'paste'",
        ),
        (
            "click: '{{ password }}'",
            "login.yaml:4:12: the secret input 'password' is used in 'click'; a secret may only stand in the text of 'type' \
             and in a shell's environment",
        ),
        (
            "launch: 'app --pw={{ password }}'",
            "login.yaml:4:13: the secret input 'password' is used in 'launch'; a secret may only stand in the text of 'type' \
             and in a shell's environment",
        ),
        (
            "note: '{% for x in y %}{{ x }}{% endfor %}'",
            "login.yaml:4:11: templates are {{ name }}; blocks and comments of templates are not part of the language",
        ),
        (
            "note: x\n    id: '{{ user }}'",
            "login.yaml:5:9: 'id' cannot be a template; write the value itself",
        ),
    ];
    for (step, message) in table {
        assert_eq!(with(step), message, "{step}");
    }
    let broken = with("note: 'a {{ user'");
    assert!(
        broken.starts_with("login.yaml:4:11: not a template: syntax error"),
        "{broken}"
    );
}

#[test]
fn all_errors_of_a_file_at_once_in_order() {
    let text = "name: t\nsteps:\n  - clik: x\n  - click: y\n    timout: 1s\n  - key: ctrl+\ncleanup:\n  - instal: x\n";
    let errors = Scenario::from_str("login.yaml", text).unwrap_err();
    let places: Vec<_> = errors.0.iter().map(|p| format!("{:?}", p.place)).collect();
    assert_eq!(
        places,
        ["Line(3, 5)", "Line(5, 5)", "Line(6, 10)", "Line(8, 5)"],
        "{errors}"
    );
}

/// Steps that somebody has commented out, many of them.
#[test]
fn comments_do_not_count() {
    let comments = "# - note: not now\n".repeat(500);
    let text = format!("{comments}name: t\nsteps:\n- note: a\n{comments}- note: b\n");
    let loaded = Scenario::from_str("t.yaml", &text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(loaded.steps.len(), 2);
}

/// What people write, and what they are told to write instead.
#[test]
fn texts_that_are_not_what_they_look_like() {
    let table = [
        // YAML that is none.
        ("  - type: {{ user }}", "put a template in quotes: \"{{ user }}\""),
        (
            "  - expect: 'Saved' is shown",
            "quotes within a text need others around all of it: \"'Saved' is shown\"",
        ),
        (
            "  - expect: \"Saved\" is shown",
            "around all of it: '\"Saved\" is shown'",
        ),
        ("  - note: x: y", "a text with ': ' in it needs quotes: \"x: y\""),
        ("  - launch: x\n     label: y", "look at the indentation"),
        ("  - key: tab\n  label: y", "look at the indentation"),
        ("\t- key: tab", "indent with spaces"),
        (
            "  - expect: {file: \"C:\\Users\\a.txt\"}",
            "use single quotes: 'C:\\Users\\a.txt'",
        ),
        ("  - note: [a, b\n    label:x", "a space is missing behind 'label:'"),
        // Numbers that are meant as texts.
        (
            "  - type: 0123",
            "login.yaml:3:11: 'type' must be text, not an integer; write \"0123\"",
        ),
        ("  - type: 1.10", "'type' must be text, not a number; write \"1.10\""),
        (
            "  - expect: {shell: ls, contains: 3.10}",
            "'contains' must be text, not a number; write \"3.10\"",
        ),
        // Targets.
        ("  - click: {text: Save}", "write click: {target: {text: Save}}"),
        (
            "  - click: {role: push button, name: \"Save: all\", button: right}",
            "write click: {target: {role: push button, name: \"Save: all\"}, button: right}",
        ),
        (
            "  - scroll: {text: List, direction: down}",
            "write scroll: {target: {text: List}, direction: down}",
        ),
        (
            "  - hover: {target: {text: Save, nth: 2}}",
            "write hover: {text: Save, nth: 2}",
        ),
        (
            "  - drag: {text: A, to: {text: B}}",
            "write drag: {target: {text: A}, to: {text: B}}",
        ),
        // Depth.
        (
            "  - launch:\n    command: x\n    window: y",
            "login.yaml:3:5: 'launch' is empty: 'command' and 'window' must be indented below it, further than 'launch' itself",
        ),
        (
            "  - launch: C:\\Notes\\notes.exe a",
            "single quotes: ['C:\\Notes\\notes.exe', 'a']",
        ),
    ];
    for (text, wanted) in table {
        let said = steps(text);
        assert!(said.contains(wanted), "{text}\n{said}\nwanted: {wanted}");
        assert_eq!(said.lines().count(), 1, "{text}\n{said}");
    }
    let said = steps("  - expect: {text: Saved, rightof: x}");
    assert_eq!(said.matches("'rightof'").count(), 1, "{said}");
}

#[test]
fn what_is_only_for_one_system_asks_for_what_that_has() {
    let of_system = |platform: &str, steps: &str| {
        let text = format!("name: t\nplatforms: [{platform}]\ninputs: {{path: {{type: string}}}}\nsteps:\n{steps}\n");
        Scenario::from_str("t.yaml", &text).map_or_else(|e| e.to_string(), |_| String::new())
    };
    let table = [
        (
            "windows",
            "- launch: C:\\Program Files\\N\\n.exe",
            "['C:\\Program Files\\N\\n.exe']",
        ),
        ("windows", "- launch: [\"C:\\new.exe\"]", "write paths in single quotes"),
        (
            "windows",
            "- launch: {command: x, display: x11}",
            "t.yaml:5:3: a guest with windows (platforms) has not what this step needs",
        ),
        (
            "windows",
            "- stage: {path: ~/x, content: y, mode: \"0755\"}",
            "mode (files have no such permissions there",
        ),
        ("windows", "- install: /tmp/a.deb", "packages of format deb"),
        (
            "windows",
            "- shell: ls",
            "t.yaml:3:10: every shell has a variable 'path'",
        ),
        ("linux", "- install: 'C:\\a.exe'", "packages of format exe"),
        ("linux", "- expect: {file: 'C:\\a.txt'}", "the path C:\\a.txt"),
    ];
    for (platform, steps, wanted) in table {
        let said = of_system(platform, steps);
        assert!(said.contains(wanted), "{steps}\n{said}");
        // A launch line of Windows is refused anywhere.
        if !steps.contains("launch: C:") {
            assert_eq!(
                of_system("linux, windows", steps).is_empty(),
                !steps.contains("launch: [\"C:"),
                "{steps}"
            );
        }
    }
    for right in [
        "- launch: ['C:\\a b\\c.exe']",
        "- launch: \"'C:\\\\a.exe' x\"",
        "- key: tab",
    ] {
        assert_eq!(of_system("windows", right), "");
    }
    assert_eq!(of_system("linux", "- shell: ls"), "");
}
