//! What becomes of each key of the old TOML file: the one table behind reading it, the remarks and docs/migration.md.

use crate::scenario::Fate::{self, Changed, Dropped, Kept};

/// What may stand at a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Whole,
    /// true or false.
    Truth,
    /// A list of texts.
    Texts,
    /// A list of whole numbers.
    Wholes,
    /// Text or a whole number.
    TextOrWhole,
}

impl Kind {
    /// In words for a person.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Whole => "a whole number",
            Kind::Truth => "true or false",
            Kind::Texts => "a list of texts",
            Kind::Wholes => "a list of whole numbers",
            Kind::TextOrWhole => "text or a whole number",
        }
    }
}

/// One key of the file.
#[derive(Debug)]
pub struct Row {
    /// The section, as `vm.package`.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// What may stand there.
    pub kind: Kind,
    /// Whether the section is of no use without it.
    pub required: bool,
    /// What becomes of it.
    pub fate: Fate,
    /// What it is now, or what to do.
    pub now: &'static str,
}

/// All keys, in the order of the manual.
pub fn rows() -> &'static [Row] {
    TABLE
}

/// Sections, and whether there may be several of each.
pub(super) const SECTIONS: &[(&str, bool)] = &[
    ("app", false),
    ("app.exit_codes", false),
    ("build", false),
    ("proxmox", false),
    ("defaults", false),
    ("vm", true),
    ("vm.package", true),
    ("test", true),
    ("vlm", false),
    ("functional", false),
    ("report", false),
    ("report.known_issues", false),
    ("cursor", false),
];

/// The section whose keys may be any.
pub(super) const FREE: &str = "report.known_issues";

const fn row(section: &'static str, key: &'static str, kind: Kind, fate: Fate, now: &'static str) -> Row {
    Row {
        section,
        key,
        kind,
        required: false,
        fate,
        now,
    }
}

const fn must(section: &'static str, key: &'static str, kind: Kind, fate: Fate, now: &'static str) -> Row {
    Row {
        section,
        key,
        kind,
        required: true,
        fate,
        now,
    }
}

use Kind::{Text, TextOrWhole, Texts, Truth, Whole, Wholes};

const MATRIX: &str = "there is no smoke matrix yet";
const INSTALL: &str = "`install` in the scenario's `setup` puts the package in";
const BUILD: &str = "nothing is built; give the scenario a package that is";
const CURSOR: &str = "the pointer always goes a way; `motion` and `dwell` of a step say how";
const PAGE: &str = "`report.html` has its title from the scenario, and there is no release table yet";

const TABLE: &[Row] = &[
    must(
        "app",
        "name",
        Text,
        Kept,
        "the resources are named after it; `{app_name}` in `app_path`",
    ),
    must("app", "version", Text, Kept, "`{version}` in `app_path`"),
    must(
        "app",
        "binary",
        Text,
        Kept,
        "the input `app_path`, where no package of the VM has one",
    ),
    row(
        "app",
        "args",
        Texts,
        Dropped,
        "the scenario's `launch` has the arguments",
    ),
    row(
        "app",
        "process_name",
        Text,
        Dropped,
        "the program that `launch` starts is watched, whatever its name",
    ),
    row("app", "timeout", Whole, Dropped, MATRIX),
    row("app.exit_codes", "pass", Wholes, Dropped, MATRIX),
    row("app.exit_codes", "fail", Wholes, Dropped, MATRIX),
    row("build", "repo_path", Text, Dropped, BUILD),
    row("build", "commands", Texts, Dropped, BUILD),
    row("build", "dist_dir", Text, Dropped, BUILD),
    row("build", "checkout", Truth, Dropped, BUILD),
    row(
        "proxmox",
        "host",
        Text,
        Kept,
        "`endpoints` of the ProxmoxCluster; else `PROXMOX_HOST`",
    ),
    row(
        "proxmox",
        "port",
        TextOrWhole,
        Kept,
        "part of `endpoints`; else `PROXMOX_PORT`, else 8006",
    ),
    row(
        "proxmox",
        "user",
        Text,
        Changed,
        "`username` of the Secret; `USER@REALM!ID` is an API token, whose secret stands where the password does. Else `PROXMOX_USER`, else root@pam",
    ),
    row(
        "proxmox",
        "password",
        Text,
        Changed,
        "`password` of the Secret, which `mosdat functional` makes; better leave it to `PROXMOX_PASSWORD`. It is never printed",
    ),
    row(
        "proxmox",
        "node",
        Text,
        Kept,
        "`defaults.node` of the ProxmoxCluster; a VM is found on whatever node it is. Else `PROXMOX_NODE`",
    ),
    row(
        "proxmox",
        "gpu_pci_address",
        Text,
        Dropped,
        "a GpuProfile lends cards, and `gpuProfileRef` of a ProxmoxVM asks for one",
    ),
    row(
        "proxmox",
        "fingerprint",
        Text,
        Kept,
        "new: SHA-256 of the server's certificate, `AB:CD:...`; the old tool trusted any",
    ),
    row(
        "proxmox",
        "insecure",
        Truth,
        Kept,
        "new: true trusts any certificate, as the old tool did",
    ),
    row(
        "defaults",
        "user",
        Text,
        Dropped,
        "commands go by the guest agent, and run in the session of whoever is logged in at the screen; for a login by SSH declare guest.ssh of a ProxmoxVM",
    ),
    row(
        "defaults",
        "snapshot",
        Text,
        Kept,
        "new: the snapshot that VMs are rolled back to before they are used",
    ),
    must(
        "vm",
        "name",
        Text,
        Kept,
        "the ProxmoxVM's name, and the scenarios' folder",
    ),
    must("vm", "vmid", Whole, Kept, "`source.adopt.vmid`"),
    row(
        "vm",
        "ip",
        Text,
        Changed,
        "`mosdat list-vms` shows it; nothing connects to it: the guest agent answers, and tells the address",
    ),
    row("vm", "desktop", Text, Kept, "`mosdat list-vms` shows it"),
    row("vm", "user", Text, Dropped, "as `user` of `[defaults]`"),
    row(
        "vm",
        "password",
        Text,
        Changed,
        "the secret input `vm_password`, by a Secret; else `MOSDAT_VM_PASSWORD`, else `DEFAULT_VM_PASSWORD`. It is never printed",
    ),
    row(
        "vm",
        "os_type",
        Text,
        Kept,
        "which folder of scenarios; that the guest is Windows its agent tells, by which commands go there",
    ),
    row("vm", "x11", Text, Dropped, "the desktop session is found by itself"),
    row("vm", "temp_dir", Text, Dropped, "the old tool read no such key either"),
    row(
        "vm",
        "snapshot",
        Text,
        Kept,
        "new: `source.adopt.snapshot`; without one the VM is taken as it is",
    ),
    must("vm.package", "format", Text, Kept, "`mosdat list-vms` shows it"),
    row("vm.package", "install", Text, Dropped, INSTALL),
    row(
        "vm.package",
        "uninstall",
        Text,
        Dropped,
        "a VM is rolled back to its snapshot; else `uninstall` in `cleanup`",
    ),
    row(
        "vm.package",
        "app_path",
        Text,
        Kept,
        "the input `app_path`, from the first package that has one",
    ),
    row(
        "vm.package",
        "process_name",
        Text,
        Dropped,
        "as `process_name` of `[app]`",
    ),
    row("vm.package", "file_glob", Text, Dropped, INSTALL),
    row("vm.package", "appid", Text, Dropped, INSTALL),
    row("vm.package", "remote", Text, Dropped, INSTALL),
    row("vm.package", "data_dir", Text, Dropped, INSTALL),
    row(
        "vm.package",
        "version",
        Text,
        Kept,
        "`{version}` in this package's `app_path`",
    ),
    row("test", "name", Text, Dropped, MATRIX),
    row("test", "script", Text, Dropped, MATRIX),
    row("test", "gpu", Truth, Dropped, MATRIX),
    row(
        "vlm",
        "base_url",
        Text,
        Kept,
        "`openai.baseUrls` of the VisionProvider, parted at commas; else `VLM_BASE_URL`",
    ),
    row(
        "vlm",
        "model",
        Text,
        Kept,
        "`locateModel`; else `VLM_MODEL`, else holo2-4b",
    ),
    row(
        "vlm",
        "verify_model",
        Text,
        Kept,
        "`judgeModel`; else `VLM_VERIFY_MODEL`. A model that only points (Holo, UI-TARS and their like) needs one beside it, as before",
    ),
    row(
        "vlm",
        "expected_model",
        Text,
        Changed,
        "`mosdat preflight` fails where the server does not list it; a run asks for its models by name",
    ),
    row(
        "vlm",
        "api_key",
        Text,
        Changed,
        "`apiKeySecretRef`, a Secret which `mosdat functional` makes of the text, of `env:NAME` or of `file:PATH`; else `VLM_API_KEY`, else `OPENAI_API_KEY`. It is never printed",
    ),
    row(
        "vlm",
        "max_tokens_floor",
        TextOrWhole,
        Changed,
        "`maxTokens` of the VisionProvider, where it is more than its 4096; else `VLM_MAX_TOKENS_FLOOR`",
    ),
    row(
        "functional",
        "enabled",
        Truth,
        Dropped,
        "`mosdat functional` always may",
    ),
    row(
        "functional",
        "workspace_url",
        Text,
        Kept,
        "the input `workspace_url`; else `FUNCTIONAL_WORKSPACE_URL`",
    ),
    row(
        "functional",
        "test_user",
        Text,
        Kept,
        "the input `test_user`; else `FUNCTIONAL_TEST_USER`",
    ),
    row(
        "functional",
        "test_password",
        Text,
        Changed,
        "the secret input `test_password`, by a Secret; else `FUNCTIONAL_TEST_PASSWORD`. It is never printed",
    ),
    row(
        "functional",
        "tests_dir",
        Text,
        Kept,
        "where `--test NAME` looks; a relative one is looked for in the file's folder and those above it",
    ),
    row("report", "title", Text, Dropped, PAGE),
    row("report", "critical_tests", Texts, Dropped, PAGE),
    row("report", "critical_description", Text, Dropped, PAGE),
    row(
        "report.known_issues",
        "any key",
        Text,
        Dropped,
        "a known fault is said in the scenario: `soft: true` at its step",
    ),
    row("cursor", "profile", Text, Dropped, CURSOR),
    row("cursor", "duration_ms", Whole, Dropped, CURSOR),
    row("cursor", "hover_dwell_ms", Whole, Dropped, CURSOR),
    row("cursor", "seed", TextOrWhole, Dropped, CURSOR),
];

/// The row of a key.
pub(super) fn find(section: &str, key: &str) -> Option<&'static Row> {
    let key = if section == FREE { "any key" } else { key };
    TABLE.iter().find(|r| r.section == section && r.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_of_a_section_and_there_once() {
        for (i, row) in TABLE.iter().enumerate() {
            assert!(SECTIONS.iter().any(|(s, _)| *s == row.section), "{row:?}");
            let same = |r: &&Row| r.section == row.section && r.key == row.key;
            assert!(!TABLE[..i].iter().any(|r| same(&r)), "{row:?}");
        }
    }
}
