//! What every word of the language takes, in one table: the schema for editors and the reference page are made of it.

use super::super::vocabulary as v;
use super::takes::{Action, Member, Takes, member, must};
use Takes::*;

pub(super) const TOP: &[Member] = &[
    must("name", Literal, "Title for people."),
    member("description", Literal, "What the scenario shows, for people."),
    member(
        "platforms",
        Some(&["linux", "windows"]),
        "Systems that it is written for; a run on another is refused. Without it, any.",
    ),
    member(
        "inputs",
        Inputs,
        "Typed inputs; the caller must give what has no default.",
    ),
    member(
        "variables",
        ValueMap,
        "Values that the scenario makes itself, of its inputs and of each other; callers cannot give them.",
    ),
    member(
        "budget",
        Time,
        "Wall-clock time for set-up and test; a run's own `timeoutSeconds` counts instead.",
    ),
    member(
        "phases",
        Phases,
        "Named parts of `steps`, for the report and for `--from` and `--until`.",
    ),
    member(
        "outputs",
        Texts,
        "Captured values that the run tells at its end, in its status and reports; at most 20.",
    ),
    member("imports", Texts, "Files of routines, relative to this one."),
    member(
        "routines",
        Routines,
        "Steps with a name, inputs and outputs of their own, for `use`.",
    ),
    member(
        "setup",
        Steps,
        "Seeds state before the test; a failure here is an error of the set-up, not of the product.",
    ),
    must("steps", Steps, "The test."),
    member("cleanup", Steps, "Always runs: after failure, time-out and cancel."),
    member(
        "references",
        References,
        "Reference images by name; `mosdat run` and `mosdat bundle` put them in.",
    ),
];

pub(super) const INPUT: &[Member] = &[
    member("type", One(v::INPUT_TYPES), "Type of the value; string without it."),
    member("default", Scalar, "Value where the caller gives none."),
    member(
        "secret",
        Bool,
        "True: it can be typed and be read by a shell, and is shown nowhere.",
    ),
    member("description", Literal, "What it is for."),
];

pub(super) const PHASE: &[Member] = &[
    must("from", Literal, "Id of its first step, one that is not within another."),
    member(
        "until",
        Literal,
        "Id of its last step; without it the one before the next phase, or the last of all.",
    ),
    member("description", Literal, "What it is about."),
];

pub(super) const ROUTINE: &[Member] = &[
    member("description", Literal, "What it does."),
    member(
        "version",
        Int(1, u32::MAX as i64),
        "Number that `use: NAME@VERSION` asks for.",
    ),
    member("inputs", Inputs, "Its inputs, given by `with`."),
    member(
        "outputs",
        Texts,
        "Names that its steps capture and its callers may use.",
    ),
    member("requires", Check, "Must hold before its steps."),
    must("steps", Steps, "What it does."),
    member("ensures", Check, "Must hold after its steps."),
];

pub(super) const OPTIONS: &[Member] = &[
    member(
        "id",
        Literal,
        "Name of the step in events, reports and references; else made from its place and action.",
    ),
    member("label", Text, "What a person reads instead of the action's own words."),
    member("verify", Check, "Must hold after the action."),
    member("verify_not", Check, "Must not hold after the action."),
    member("timeout", Time, "Wall-clock time for the step with all its attempts."),
    member(
        "attempts",
        Int(1, 20),
        "How often the action is tried; before each further attempt `verify` is looked at.",
    ),
    member(
        "soft",
        Bool,
        "True: a failure makes the run softFailed, and the run goes on.",
    ),
    member(
        "when",
        Facts,
        "Inputs or captured values with the values that they must have; else the step is skipped.",
    ),
    member(
        "on_failure",
        Steps,
        "Done when the step fails, to find out more; decides nothing.",
    ),
    member(
        "settle",
        Time,
        "How long at most the screen is waited for to be still after the action; 3s without it.",
    ),
    member(
        "dwell",
        Time,
        "How long the pointer rests on the target before the button goes down; for menus and tool tips that need it.",
    ),
    member(
        "motion",
        One(v::MOTIONS),
        "How the pointer gets there; linear without it.",
    ),
    member(
        "mask",
        Mask,
        "What pictures that are kept from then on do not show: [x, y, width, height], or true for the place of the step's target.",
    ),
    member("with", ValueMap, "Values for the routine's inputs."),
    member(
        "capture",
        Outputs,
        "Outputs of the routine that later steps use: a list, or an object of names and outputs.",
    ),
];

/// What is said of an element of the accessibility tree.
pub(super) const NODE: &[Member] = &[
    member("role", Role, "Role of an element of the accessibility tree."),
    member("name", Fits, "The element's name."),
    member(
        "state",
        States,
        "States of the element; without `showing` and `visible` among them, it must be on the screen.",
    ),
    member("app", Text, "Part of the name of the element's program."),
    member(
        "path",
        Texts,
        "Names or roles of elements that it is in, the outermost first; others may be between them.",
    ),
];

pub(super) const TARGET: &[Member] = &[
    member("role", Role, NODE[0].says),
    member("name", Fits, NODE[1].says),
    member("state", States, NODE[2].says),
    member("app", Text, NODE[3].says),
    member("path", Texts, NODE[4].says),
    member("reference", Literal, "Name of a reference image."),
    member(
        "anywhere",
        Bool,
        "True: the reference counts wherever it is, not only at its place.",
    ),
    member("text", Text, "Text as it is shown."),
    member("describe", Text, "Words for a vision model."),
    member(
        "at",
        Place,
        "A place instead: [x, y], whole numbers in pixels, others as parts of the screen.",
    ),
    member("reason", Text, "Why the place is fixed, for the reader."),
    member("exact", Bool, "True: this text and nothing more."),
    member("nth", Int(1, 1000), "Which of several, from 1, in reading order."),
    member(
        "in",
        Within,
        "Only there: [x, y, width, height] of the screen, or part of a window's title.",
    ),
    member("near", Text, "Near this text."),
    member("left_of", Text, "Left of this text."),
    member("right_of", Text, "Right of this text."),
    member("above", Text, "Above this text."),
    member("below", Text, "Below this text."),
];

pub(super) const CHECKS: &[Member] = &[
    member(
        "see",
        Text,
        "The judge says that it is true. By text recognition: every quoted text is shown.",
    ),
    member("text", Text, "The text is on the screen; with the members of a target."),
    member("reference", Literal, "The screen looks like the reference image."),
    member("shell", Text, "The command ends with `exit` (0), and its output fits."),
    member("process", Text, "Such a process runs."),
    member("window", Text, "A window is shown whose title contains this."),
    member("file", Text, "The file is there, and fits."),
    member(
        "log",
        Text,
        "A line that fits was written to this file of the guest since the run began.",
    ),
    member("clipboard", Fits, "The clipboard holds this text, or fits."),
    member(
        "node",
        Node,
        "An element of the accessibility tree is there, and its text or number fits.",
    ),
    member(
        "port",
        Int(1, 65_535),
        "Something in the guest listens at this TCP port.",
    ),
    member(
        "exited",
        Int(0, 255),
        "The program that was launched last has ended, with this exit code; 128 and its number mean a signal (137: SIGKILL). A program that ends with a code that some step asks for has not crashed.",
    ),
    member("fact", Facts, "An input or captured value is this, or one of a list."),
    member("not", Check, "The condition does not hold."),
    member("any", Checks, "At least one of them holds."),
    member("all", Checks, "Each of them holds."),
];

/// The options of conditions.
pub(super) const CHECK_OPTIONS: &[Member] = &[
    member("exit", Int(0, 255), "Exit code that means success; 0 without it."),
    member("contains", Text, "It contains this."),
    member("equals", Text, "It is this, white space around it aside."),
    member("matches", Text, "It matches this regular expression."),
    member(
        "as",
        Text,
        "User that runs it; without it, the user of the desktop session.",
    ),
    member("env", TextMap, "Variables of its environment."),
    member("exact", Bool, "True: this text and nothing more."),
    member("nth", Int(1, 1000), "Which of several, from 1, in reading order."),
    member(
        "in",
        Within,
        "Only there: [x, y, width, height] of the screen, or part of a window's title.",
    ),
    member("near", Text, "Near this text."),
    member("left_of", Text, "Left of this text."),
    member("right_of", Text, "Right of this text."),
    member("above", Text, "Above this text."),
    member("below", Text, "Below this text."),
    member(
        "anywhere",
        Bool,
        "True: the reference counts wherever it is, not only at its place.",
    ),
];

pub(super) const ACTIONS: &[Action] = &[
    Action {
        name: "launch",
        short: Option::Some(Text),
        says: "Starts a program in the desktop session; its window, exit and crash are watched from then on.",
        members: &[
            must("command", TextOrTexts, "Program and arguments; no shell is between."),
            member("window", Text, "Part of the title of the window to wait for."),
            member("display", One(v::DISPLAYS), "The display that the program gets."),
        ],
    },
    Action {
        name: "click",
        short: Option::Some(Text),
        says: "Clicks a target.",
        members: &[
            must("target", Target, "Where."),
            member("button", One(v::BUTTONS), "With which button; left without it."),
            member("count", Int(1, 3), "How often."),
            member("modifiers", Some(v::HELD), "Keys held meanwhile."),
        ],
    },
    Action {
        name: "hover",
        short: Option::Some(Text),
        says: "Moves the pointer onto a target, whose members it takes.",
        members: TARGET,
    },
    Action {
        name: "drag",
        short: None,
        says: "Drags something to somewhere.",
        members: &[
            must("target", Target, "Where the button is pressed."),
            must("to", Target, "Where it is released."),
            member("button", One(v::BUTTONS), "With which button; left without it."),
        ],
    },
    Action {
        name: "scroll",
        short: Option::Some(One(v::DIRECTIONS)),
        says: "Turns the wheel.",
        members: &[
            must("direction", One(v::DIRECTIONS), "Which way."),
            member("notches", Int(1, 100), "How far; 3 without it."),
            member(
                "target",
                Target,
                "Where the pointer is meanwhile; without it, where it is.",
            ),
        ],
    },
    Action {
        name: "type",
        short: Option::Some(Text),
        says: "Types text.",
        members: &[
            must("text", Text, "What is typed; it may hold a secret."),
            member("into", Target, "Clicked first."),
            member("clear", Bool, "True: empties the field first."),
            member(
                "canary",
                Check,
                "Must hold once a first letter, q, was typed: then it is deleted, and the text is typed.",
            ),
            member(
                "paste",
                Text,
                "Chord that pastes, such as ctrl+v: the text goes by way of the guest's clipboard.",
            ),
            member("then", Text, "Chord pressed afterwards, such as enter."),
        ],
    },
    Action {
        name: "key",
        short: Option::Some(Chords),
        says: "Presses keys.",
        members: &[
            must("keys", Chords, "Chords such as ctrl+s, one after the other."),
            member("times", Int(1, 1000), "How often all of them."),
            member("hold", Time, "How long each is held."),
        ],
    },
    Action {
        name: "wait_for",
        short: Option::Some(Check),
        says: "Waits until a condition holds.",
        members: &[],
    },
    Action {
        name: "wait_gone",
        short: Option::Some(Check),
        says: "Waits until a condition no longer holds.",
        members: &[],
    },
    Action {
        name: "never",
        short: None,
        says: "Watches for a time (`for`) that a condition, which stands beside it, holds at no moment.",
        members: &[
            must("for", Time, "How long."),
            member(
                "gap",
                Time,
                "Longest time between two looks; without it 500ms at the screen, and 5s at what only the \
                 guest knows. The step is an error where that was not kept.",
            ),
        ],
    },
    Action {
        name: "expect",
        short: Option::Some(Check),
        says: "Checks that a condition holds.",
        members: &[],
    },
    Action {
        name: "shell",
        short: Option::Some(Text),
        says: "Runs a command in the guest. Inputs and captured values are variables of its environment.",
        members: &[
            must("command", Text, "Text for sh -c."),
            member("exit", Int(0, 255), "Exit code that means success; 0 without it."),
            member(
                "as",
                Text,
                "User that runs it; without it, the user of the desktop session.",
            ),
            member("env", TextMap, "Further variables; they may hold secrets."),
            member(
                "capture",
                Capture,
                "Name for what it prints, or names with expressions.",
            ),
        ],
    },
    Action {
        name: "stage",
        short: None,
        says: "Puts a file into the guest.",
        members: &[
            must("path", Text, "Absolute, or ~/... in the home of the session's user."),
            member("content", Text, "What is in it."),
            member("base64", Literal, "What is in it, as base64."),
            member("from", Literal, "A file beside the scenario's."),
            member("mode", Literal, "Permissions, such as \"0755\"."),
            member("owner", Text, "Whom it belongs to; without it, the session's user."),
        ],
    },
    Action {
        name: "reboot",
        short: Option::Some(Text),
        says: "Restarts the guest and waits until its desktop is there again; the text says why.",
        members: &[],
    },
    Action {
        name: "install",
        short: Option::Some(Text),
        says: "Installs a package, reads its version back, and fails where the package manager does.",
        members: &[
            must(
                "package",
                Text,
                "A file in the guest; for snap and flatpak also what their stores know.",
            ),
            member(
                "format",
                One(v::FORMATS),
                "Format of the package; else by the end of the file's name.",
            ),
            member(
                "version",
                Text,
                "Version that has to be there afterwards; a packaging revision aside.",
            ),
        ],
    },
    Action {
        name: "uninstall",
        short: Option::Some(Text),
        says: "Removes a package with its settings, and makes sure that it is gone.",
        members: &[
            must("name", Text, "Its name, as its manager lists it."),
            member(
                "format",
                One(v::FORMATS),
                "Format of the package; else whichever manager has it.",
            ),
        ],
    },
    Action {
        name: "snapshot",
        short: Option::Some(Literal),
        says: "Takes a checkpoint of the VM, which `rollback` goes back to. It is removed when the run is over.",
        members: &[
            must("name", Literal, "Its name: a letter, then letters, digits, - and _."),
            member(
                "memory",
                Bool,
                "False: the disks only, and going back starts the guest anew. With a passed-through device Proxmox allows no other. True without it.",
            ),
            member(
                "attempts",
                Int(1, 10),
                "How often the steps after it are tried: where one fails, the VM goes back here, and they are done again. A test that passed only then is softFailed. 1 without it; only for steps that are not within others.",
            ),
        ],
    },
    Action {
        name: "rollback",
        short: Option::Some(Literal),
        says: "Goes back to a snapshot: of this run, or one that the VM had before. The links to desktop and guest are opened anew.",
        members: &[],
    },
    Action {
        name: "power",
        short: Option::Some(One(v::POWERS)),
        says: "Switches the VM: `start` waits for guest and desktop, `shutdown` has the guest end by itself, `stop` pulls the plug. It stays off until the next `power: start` or `rollback`.",
        members: &[],
    },
    Action {
        name: "if",
        short: None,
        says: "One of two ways, by a condition, which stands beside them.",
        members: &[
            member("then", Steps, "Done where it holds."),
            member("else", Steps, "Done where it does not."),
        ],
    },
    Action {
        name: "repeat",
        short: None,
        says: "The same steps again.",
        members: &[
            member("times", Int(1, 1000), "Number of rounds."),
            member(
                "until",
                Check,
                "Ends the rounds; looked at before each and after the last.",
            ),
            member(
                "max",
                Int(1, 1000),
                "Rounds with `until`; without success after them the step has failed.",
            ),
            must("steps", Steps, "What a round does."),
        ],
    },
    Action {
        name: "use",
        short: Option::Some(Literal),
        says: "A routine: NAME, or NAME@VERSION.",
        members: &[],
    },
    Action {
        name: "screenshot",
        short: Option::Some(Text),
        says: "Takes a picture for the reader; the text says what of.",
        members: &[],
    },
    Action {
        name: "note",
        short: Option::Some(Text),
        says: "Words for the reader.",
        members: &[],
    },
];
