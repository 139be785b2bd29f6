//! What becomes of each flag of the old `functional`: the one table behind the command line and docs/migration.md.

/// What becomes of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is there, by this or another name.
    Kept,
    /// It is taken, a remark tells why nothing comes of it.
    Dropped,
    /// It is refused: leaving it out would change what is tested.
    Refused,
}

/// One flag.
#[derive(Debug)]
pub struct Flag {
    /// Its name, without dashes.
    pub name: &'static str,
    /// Whether a value follows it.
    pub value: bool,
    /// What becomes of it.
    pub then: Then,
    /// What it is now, or what to do.
    pub now: &'static str,
}

/// All flags, in the order of the manual.
pub fn flags() -> &'static [Flag] {
    TABLE
}

const fn kept(name: &'static str, now: &'static str) -> Flag {
    flag(name, true, Then::Kept, now)
}

const fn flag(name: &'static str, value: bool, then: Then, now: &'static str) -> Flag {
    Flag { name, value, then, now }
}

const ALWAYS: &str = "always: the run's folder has the pictures of every step, and `report.html` shows them";
const STEPS: &str =
    "`--from` and `--until`, by names of phases or ids of steps, not numbers; set-up and cleanup run all the same";
const INJECT: &str = "`stage` in the scenario's `setup` puts the file there";
const AUTHOR: &str =
    "no recorder yet; `mosdat vnc shot` takes a picture, `mosdat visual --capture` makes a reference of it";
const SAYS: &str = "what the scenario says: `verify` at the step";
const MODEL: &str =
    "nothing to switch: `mosdat preflight` asks which models there are, a run begins with the first step";

const TABLE: &[Flag] = &[
    kept("vms", "as it was; `--parallel N` says how many at once"),
    kept(
        "test",
        "as it was, or the path of a file; an old scenario is imported on the way",
    ),
    kept("model", "as it was: `locateModel` of the VisionProvider"),
    kept("verify-model", "as it was: `judgeModel` of the VisionProvider"),
    kept("var", "as it was; the value of a secret input goes by way of a Secret"),
    kept(
        "timeout",
        "as it was, but for each run: `spec.timeoutSeconds`, else the scenario's `budget`, else 1800; 0 is a whole day, the most there is",
    ),
    flag("from-step", true, Then::Refused, STEPS),
    flag("until-step", true, Then::Refused, STEPS),
    kept("from-phase", "as it was, and the same as `--from PHASE`"),
    kept("until-phase", "as it was, and the same as `--until PHASE`"),
    flag(
        "cursor-instant",
        false,
        Then::Dropped,
        "nothing to switch: the pointer always goes a way",
    ),
    flag("save-screenshots", false, Then::Dropped, ALWAYS),
    flag("screenshots", true, Then::Dropped, ALWAYS),
    flag(
        "popup-sweep",
        false,
        Then::Dropped,
        "it did nothing; `if` with `see`, where a dialog may come",
    ),
    flag(
        "skip-health-probe",
        false,
        Then::Dropped,
        "nothing to switch: a VM is used once its guest and its desktop answer, and what fails there is an error, not a failure of the product",
    ),
    flag("no-checkpoints", false, Then::Refused, "`when` at the `snapshot` steps"),
    flag("skip-warmup", false, Then::Dropped, MODEL),
    flag(
        "skip-workspace-check",
        false,
        Then::Dropped,
        "nothing contacts the product's server; check it with `setup: [{shell: curl -fsS \"$workspace_url\"}]`",
    ),
    flag("skip-model-check", false, Then::Dropped, MODEL),
    flag(
        "no-cache",
        false,
        Then::Dropped,
        "nothing to switch: no answer is kept for another run",
    ),
    flag("click-verify", true, Then::Dropped, SAYS),
    flag("canary", true, Then::Dropped, SAYS),
    flag(
        "config-snapshots",
        false,
        Then::Dropped,
        "`on_failure: [{shell: cat FILE}]` at the step",
    ),
    flag("inject-config", true, Then::Refused, INJECT),
    flag("inject-servers", true, Then::Refused, INJECT),
    flag("inject-app-name", true, Then::Refused, INJECT),
    flag("inject-install-path", true, Then::Refused, INJECT),
    flag("inject-migrations-version", true, Then::Refused, INJECT),
    flag(
        "no-record-session",
        false,
        Then::Dropped,
        "nothing to switch off: there is a video only where one is asked for",
    ),
    flag(
        "record-session",
        false,
        Then::Kept,
        "as it was: `video.webm` beside `report.html`; `spec.evidence.video` of the run, `mosdat run --video`",
    ),
    kept(
        "record-fps",
        "as it was, at most 30: `maxPicturesPerSecond`; while nothing changes on the screen, no picture is added",
    ),
    flag(
        "record-gif",
        false,
        Then::Dropped,
        "`ffmpeg -i video.webm film.gif` makes one",
    ),
    flag(
        "record-keep-raw",
        false,
        Then::Dropped,
        "nothing raw is written; `screenshots/` has the pictures of the steps, with every pixel",
    ),
    flag(
        "record-window-state",
        false,
        Then::Dropped,
        "the report has the windows where something failed; `on_failure: [{shell: wmctrl -lp}]` asks for more",
    ),
    flag("record", false, Then::Refused, AUTHOR),
    flag("output", true, Then::Refused, AUTHOR),
];
