//! The values of the file, and everything that is wrong with it.

use super::Remark;
use super::table::{self, FREE, Kind, Row, SECTIONS};
use super::tree::{self, Entry, Node, Value};
use crate::scenario::{Errors, Fate, Place, Problem, unknown};
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Where a secret's value is.
#[derive(Clone, Debug)]
pub enum SecretValue {
    /// Here.
    Known(SecretString),
    /// In an environment variable, which was not set when the file was read.
    Env(Vec<String>),
    /// In a file.
    File(PathBuf),
}

/// The application under test.
#[derive(Clone, Debug)]
pub struct App {
    /// Name; resources are named after it.
    pub name: String,
    /// Version.
    pub version: String,
    /// Path in the guest.
    pub binary: String,
}

/// The Proxmox API.
#[derive(Clone, Debug)]
pub struct Proxmox {
    /// Host, where one is known.
    pub host: Option<String>,
    /// Port.
    pub port: u16,
    /// `USER@REALM`, or an API token's `USER@REALM!ID`.
    pub user: String,
    /// Password, or the token's secret.
    pub password: SecretValue,
    /// Node for new VMs.
    pub node: Option<String>,
    /// SHA-256 of the certificate.
    pub fingerprint: Option<String>,
    /// Whether any certificate is trusted.
    pub insecure: bool,
}

/// A package of a VM.
#[derive(Clone, Debug)]
pub struct Package {
    /// `deb`, `rpm`, ...
    pub format: String,
    /// Where it puts the application.
    pub app_path: Option<String>,
    /// Version, where it is not the application's.
    pub version: Option<String>,
}

/// A VM of the fleet.
#[derive(Clone, Debug)]
pub struct Vm {
    /// Where its name stands.
    pub place: Place,
    /// Name.
    pub name: String,
    /// VMID.
    pub vmid: u32,
    /// Address, as it was written.
    pub ip: Option<String>,
    /// Words for people.
    pub desktop: Option<String>,
    /// Whether it is a Windows machine.
    pub windows: bool,
    /// Snapshot to roll back to.
    pub snapshot: Option<String>,
    /// What `vm_password` is.
    pub password: SecretValue,
    /// Whether the file gives this VM a password of its own.
    pub own_password: bool,
    /// Packages that are tested on it.
    pub packages: Vec<Package>,
}

/// The vision model.
#[derive(Clone, Debug)]
pub struct Vlm {
    /// Base URLs in the order of failing over.
    pub base_urls: Vec<String>,
    /// Model that locates.
    pub model: String,
    /// Model that judges.
    pub verify_model: Option<String>,
    /// Model that the server has to list.
    pub expected_model: Option<String>,
    /// The key, where one was named.
    pub api_key: Option<SecretValue>,
}

/// A file of the predecessor.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file.
    pub origin: String,
    /// `[app]`.
    pub app: App,
    /// `[proxmox]`.
    pub proxmox: Proxmox,
    /// `[[vm]]`.
    pub vms: Vec<Vm>,
    /// `[vlm]`, where a URL is known.
    pub vlm: Option<Vlm>,
    /// `tests_dir` of `[functional]`.
    pub tests_dir: PathBuf,
    /// Values of inputs that the file gives: `workspace_url`, `test_user`.
    pub variables: BTreeMap<String, String>,
    /// What `test_password` is.
    pub test_password: SecretValue,
    /// What became of the keys, in their order.
    pub remarks: Vec<Remark>,
}

/// Reads the text of a file. `env` answers what an environment variable is.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn read(origin: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Errors> {
    let (entries, problems) = tree::parse(origin, text);
    let mut reader = Reader {
        origin,
        env,
        problems,
        remarks: Vec::new(),
        seen: BTreeSet::new(),
    };
    // A text that is no TOML may have lost what else would be missed, and the section that a key belongs to.
    let whole = reader.problems.is_empty();
    let sections = !reader.problems.iter().any(|p| p.message.contains("table"));
    let faults = reader.problems.len();
    let root = Section {
        place: Place::Line(1, 1),
        entries: &entries,
    };
    reader.check(&root, "");
    let config = reader.config(&root);
    let mut problems = reader.problems;
    if !sections {
        problems.truncate(faults);
    }
    if !whole {
        problems.retain(|p| !p.message.contains(MISSING));
    }
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    match (config, problems.is_empty()) {
        (Some(mut config), true) => {
            reader.remarks.sort_by(|a, b| a.place.cmp(&b.place));
            config.remarks = reader.remarks;
            Ok(config)
        }
        (None, true) => Err(Errors(vec![Problem {
            origin: origin.to_string(),
            place: Place::Whole,
            message: "cannot be read".to_string(),
        }])),
        (_, false) => Err(Errors(problems)),
    }
}

/// Names of runs are made from it, and they may have 50 letters.
const LONGEST_NAME: usize = 30;

const MISSING: &str = " is missing; ";

/// A section and where it begins.
struct Section<'t> {
    place: Place,
    entries: &'t [Entry],
}

impl<'t> Section<'t> {
    fn get(&self, key: &str) -> Option<&'t Entry> {
        self.entries.iter().find(|e| e.key == key)
    }

    fn text(&self, key: &str) -> Option<String> {
        match &self.get(key)?.node.value {
            Value::Text(text) => Some(text.clone()),
            Value::Whole(Some(n)) => Some(n.to_string()),
            _ => None,
        }
    }

    fn truth(&self, key: &str) -> bool {
        matches!(self.get(key).map(|e| &e.node.value), Some(Value::Truth(true)))
    }

    fn section(&self, key: &str) -> Option<Section<'t>> {
        let entry = self.get(key)?;
        match &entry.node.value {
            Value::Table(entries) => Some(Section {
                place: entry.place.clone(),
                entries,
            }),
            _ => None,
        }
    }

    fn sections(&self, key: &str) -> Vec<Section<'t>> {
        match self.get(key).map(|e| &e.node.value) {
            Some(Value::List(list)) => list.iter().filter_map(inside).collect(),
            _ => Vec::new(),
        }
    }

    /// Where a value stands, or the section where it does not.
    fn place_of(&self, key: &str) -> Place {
        self.get(key)
            .map_or_else(|| self.place.clone(), |e| e.node.place.clone())
    }
}

fn inside(node: &Node) -> Option<Section<'_>> {
    match &node.value {
        Value::Table(entries) => Some(Section {
            place: node.place.clone(),
            entries,
        }),
        _ => None,
    }
}

struct Reader<'a> {
    origin: &'a str,
    env: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<Problem>,
    remarks: Vec<Remark>,
    /// Rows that were told.
    seen: BTreeSet<(&'static str, &'static str)>,
}

impl Reader<'_> {
    fn wrong(&mut self, place: &Place, message: impl Into<String>) {
        self.problems.push(Problem {
            origin: self.origin.to_string(),
            place: place.clone(),
            message: message.into(),
        });
    }

    /// Every key is known and of its kind; what a row says of it is told.
    fn check(&mut self, section: &Section<'_>, name: &str) {
        for entry in section.entries {
            let path = match name {
                "" => entry.key.clone(),
                _ => format!("{name}.{}", entry.key),
            };
            if let Some((known, several)) = SECTIONS.iter().find(|(s, _)| *s == path) {
                self.check_section(entry, known, *several);
            } else if let Some(row) = table::find(name, &entry.key) {
                self.check_value(entry, row);
            } else {
                let valid = valid_in(name);
                let what = match name {
                    "" => "section".to_string(),
                    _ => format!("key of [{name}]"),
                };
                let plural = if name.is_empty() { "sections" } else { "keys" };
                self.wrong(&entry.place, unknown(&what, plural, &entry.key, &valid));
            }
        }
        for row in table::rows().iter().filter(|r| r.required && r.section == name) {
            if section.get(row.key).is_none() {
                let message = format!("`{}` of [{name}]{MISSING}it is {}", row.key, row.kind.words());
                self.wrong(&section.place, message);
            }
        }
    }

    fn check_section(&mut self, entry: &Entry, name: &'static str, several: bool) {
        match (&entry.node.value, several) {
            (Value::Table(entries), false) => {
                let place = entry.place.clone();
                self.check(&Section { place, entries }, name);
            }
            (Value::List(list), true) => {
                for node in list {
                    match inside(node) {
                        Some(section) => self.check(&section, name),
                        None => self.wrong(
                            &node.place,
                            format!("[[{name}]] is a section, not {}", node.value.kind()),
                        ),
                    }
                }
            }
            (Value::Table(_), true) => self.wrong(&entry.place, format!("there may be several: write [[{name}]]")),
            (Value::List(_), false) => self.wrong(&entry.place, format!("there is one: write [{name}]")),
            (other, _) => self.wrong(
                &entry.node.place,
                format!("`{name}` is a section, not {}", other.kind()),
            ),
        }
    }

    fn check_value(&mut self, entry: &Entry, row: &'static Row) {
        let good = match (&entry.node.value, row.kind) {
            (Value::Text(_), Kind::Text | Kind::TextOrWhole) => true,
            (Value::Whole(Some(_)), Kind::Whole | Kind::TextOrWhole) => true,
            (Value::Truth(_), Kind::Truth) => true,
            (Value::List(list), Kind::Texts) => list.iter().all(|n| matches!(n.value, Value::Text(_))),
            (Value::List(list), Kind::Wholes) => list.iter().all(|n| matches!(n.value, Value::Whole(Some(_)))),
            _ => false,
        };
        if !good {
            let message = format!(
                "`{}` must be {}, not {}",
                entry.key,
                row.kind.words(),
                entry.node.value.kind()
            );
            return self.wrong(&entry.node.place, message);
        }
        // Thirty packages need not say thirty times what one does.
        if !self.seen.insert((row.section, row.key)) {
            return;
        }
        let path = match row.section {
            FREE => FREE.to_string(),
            section => format!("{section}.{}", row.key),
        };
        self.remark(&entry.place, row.fate, format!("`{path}`: {}", row.now));
    }

    fn remark(&mut self, place: &Place, fate: Fate, message: String) {
        self.remarks.push(Remark {
            origin: self.origin.to_string(),
            place: place.clone(),
            fate,
            message,
        });
    }

    fn env(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|n| (self.env)(n)).filter(|v| !v.is_empty())
    }

    /// A key's text, else the environment's.
    fn text(&self, section: Option<&Section<'_>>, key: &str, names: &[&str]) -> Option<String> {
        section
            .and_then(|s| s.text(key))
            .filter(|t| !t.is_empty())
            .or_else(|| self.env(names))
    }

    fn secret(&self, section: Option<&Section<'_>>, key: &str, names: &[&str]) -> SecretValue {
        match self.text(section, key, names) {
            Some(value) => SecretValue::Known(value.into()),
            None => SecretValue::Env(names.iter().map(ToString::to_string).collect()),
        }
    }

    fn config(&mut self, root: &Section<'_>) -> Option<Config> {
        let app = root.section("app");
        if app.is_none() && root.get("app").is_none() {
            self.wrong(
                &root.place,
                format!("the section [app]{MISSING}it has name, version and binary"),
            );
        }
        let proxmox = self.proxmox(root.section("proxmox").as_ref());
        let vms = self.vms(root);
        let functional = root.section("functional");
        let mut variables = BTreeMap::new();
        for (key, name) in [
            ("workspace_url", "FUNCTIONAL_WORKSPACE_URL"),
            ("test_user", "FUNCTIONAL_TEST_USER"),
        ] {
            if let Some(value) = self.text(functional.as_ref(), key, &[name]) {
                variables.insert(key.to_string(), value);
            }
        }
        let tests_dir = self.text(functional.as_ref(), "tests_dir", &[]);
        let app = app?;
        Some(Config {
            origin: self.origin.to_string(),
            app: App {
                name: app.text("name")?,
                version: app.text("version")?,
                binary: app.text("binary")?,
            },
            proxmox: proxmox?,
            vms,
            vlm: self.vlm(root.section("vlm").as_ref()),
            tests_dir: tests_dir.unwrap_or_else(|| "shared/scenarios/functional".into()).into(),
            variables,
            test_password: self.secret(functional.as_ref(), "test_password", &["FUNCTIONAL_TEST_PASSWORD"]),
            remarks: Vec::new(),
        })
    }

    fn proxmox(&mut self, section: Option<&Section<'_>>) -> Option<Proxmox> {
        let at = |key: &str| section.map_or(Place::Whole, |s| s.place_of(key));
        let port = self
            .text(section, "port", &["PROXMOX_PORT"])
            .unwrap_or_else(|| "8006".into());
        let number = port.parse::<u16>().ok().filter(|p| *p > 0);
        if number.is_none() {
            self.wrong(
                &at("port"),
                format!("'{port}' is no port: it is a number from 1 to 65535"),
            );
        }
        let fingerprint = section.and_then(|s| s.text("fingerprint"));
        let insecure = section.is_some_and(|s| s.truth("insecure"));
        if let Some(text) = &fingerprint {
            let parts: Vec<&str> = text.split(':').collect();
            let byte = |p: &&str| p.len() == 2 && p.chars().all(|c| c.is_ascii_hexdigit());
            if parts.len() != 32 || !parts.iter().all(|p| byte(&p)) {
                let message = "a fingerprint is the SHA-256 of the certificate, 32 bytes as AB:CD:...";
                self.wrong(&at("fingerprint"), message);
            }
            if insecure {
                self.wrong(&at("insecure"), "set one of fingerprint and insecure, not both");
            }
        }
        let host = self.text(section, "host", &["PROXMOX_HOST"]);
        if let Some(host) = &host
            && !(host.starts_with('[') && host.ends_with(']')
                || host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)))
        {
            let message = format!("'{host}' is no host: give its name or address alone, the port in `port`");
            self.wrong(&at("host"), message);
        }
        let user = self.text(section, "user", &["PROXMOX_USER"]);
        let user = user.unwrap_or_else(|| "root@pam".into());
        if !user.contains('@') {
            let message =
                format!("'{user}' is no login of Proxmox: it is USER@REALM, or USER@REALM!ID of an API token");
            self.wrong(&at("user"), message);
        }
        Some(Proxmox {
            host,
            port: number?,
            user,
            password: self.secret(section, "password", &["PROXMOX_PASSWORD"]),
            node: self.text(section, "node", &["PROXMOX_NODE"]),
            fingerprint,
            insecure,
        })
    }

    fn vms(&mut self, root: &Section<'_>) -> Vec<Vm> {
        let default = root.section("defaults");
        if let Some(section) = &default {
            self.snapshot(section);
        }
        let mut out: Vec<Vm> = Vec::new();
        for section in root.sections("vm") {
            self.snapshot(&section);
            let (Some(name), Some(Value::Whole(Some(vmid)))) =
                (section.text("name"), section.get("vmid").map(|e| &e.node.value))
            else {
                continue;
            };
            let place = section.place_of("name");
            if super::names::slug(&name, LONGEST_NAME) != name {
                let message = format!(
                    "the VM's name '{name}' must be lower-case letters, digits and '-', at most {LONGEST_NAME}"
                );
                self.wrong(&place, message);
            }
            let Some(vmid) = u32::try_from(*vmid).ok().filter(|v| (100..=999_999_999).contains(v)) else {
                self.wrong(&section.place_of("vmid"), format!("a VMID is 100 or more, not {vmid}"));
                continue;
            };
            if out.iter().any(|v| v.name == name) {
                self.wrong(&place, format!("there is another VM of the name '{name}'"));
            }
            if let Some(other) = out.iter().find(|v| v.vmid == vmid) {
                let message = format!("VM '{}' has the VMID {vmid}, too", other.name);
                self.wrong(&section.place_of("vmid"), message);
            }
            let system = section.text("os_type").unwrap_or_else(|| "linux".into());
            if !["linux", "windows"].contains(&system.as_str()) {
                let message = unknown("os_type", "ones", &system, &["linux", "windows"]);
                self.wrong(&section.place_of("os_type"), message);
            }
            let snapshot = section.text("snapshot").or_else(|| default.as_ref()?.text("snapshot"));
            let names = ["MOSDAT_VM_PASSWORD", "DEFAULT_VM_PASSWORD"];
            out.push(Vm {
                place,
                name,
                vmid,
                ip: section.text("ip"),
                desktop: section.text("desktop").filter(|d| !d.is_empty()),
                windows: system == "windows",
                snapshot,
                password: self.secret(Some(&section), "password", &names),
                own_password: section.text("password").is_some_and(|p| !p.is_empty()),
                packages: section.sections("package").iter().filter_map(package).collect(),
            });
        }
        if root.get("vm").is_none() {
            self.wrong(
                &root.place,
                format!("a section [[vm]]{MISSING}each VM of the fleet has one"),
            );
        }
        out
    }

    fn snapshot(&mut self, section: &Section<'_>) {
        let Some(name) = section.text("snapshot") else { return };
        let inner = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let good = (2..=40).contains(&name.len()) && name.chars().all(inner);
        if !(good && name.starts_with(|c: char| c.is_ascii_alphabetic())) {
            let message =
                format!("'{name}' is no name of a snapshot: 2 to 40 letters, digits, '-' and '_', a letter first");
            self.wrong(&section.place_of("snapshot"), message);
        }
    }

    fn vlm(&mut self, section: Option<&Section<'_>>) -> Option<Vlm> {
        let urls = self.text(section, "base_url", &["VLM_BASE_URL"]);
        let Some(urls) = urls else {
            if let Some(section) = section {
                let message = "[vlm] without a `base_url`, and VLM_BASE_URL is not set: no model is asked, the built-in text recognition looks at the screen";
                self.remark(&section.place, Fate::Changed, message.to_string());
            }
            return None;
        };
        let base_urls: Vec<String> = urls
            .split(',')
            .map(|u| u.trim().to_string())
            .filter(|u| !u.is_empty())
            .collect();
        for url in &base_urls {
            if !url::Url::parse(url).is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host()) {
                let place = section.map_or(Place::Whole, |s| s.place_of("base_url"));
                self.wrong(
                    &place,
                    format!("'{url}' is no address of a server: it is as http://HOST:PORT/v1"),
                );
            }
        }
        let names = ["VLM_API_KEY", "OPENAI_API_KEY"];
        let api_key = self.text(section, "api_key", &names).map(|text| {
            if let Some(name) = text.strip_prefix("env:") {
                match self.env(&[name]) {
                    Some(value) => SecretValue::Known(value.into()),
                    None => SecretValue::Env(vec![name.to_string()]),
                }
            } else if let Some(path) = text.strip_prefix("file:") {
                SecretValue::File(path.into())
            } else {
                SecretValue::Known(text.into())
            }
        });
        Some(Vlm {
            base_urls,
            model: self
                .text(section, "model", &["VLM_MODEL"])
                .unwrap_or_else(|| "holo2-4b".into()),
            verify_model: self.text(section, "verify_model", &["VLM_VERIFY_MODEL"]),
            expected_model: self.text(section, "expected_model", &[]),
            api_key,
        })
    }
}

fn package(section: &Section<'_>) -> Option<Package> {
    Some(Package {
        format: section.text("format")?,
        app_path: section.text("app_path"),
        version: section.text("version"),
    })
}

/// What may stand in a section: its keys, and the sections in it.
fn valid_in(section: &str) -> Vec<&'static str> {
    let keys = table::rows().iter().filter(|r| r.section == section).map(|r| r.key);
    let inner = SECTIONS.iter().filter_map(|(s, _)| match (section, s.split_once('.')) {
        ("", None) => Some(*s),
        (_, Some((outer, inner))) if outer == section => Some(inner),
        _ => None,
    });
    keys.chain(inner).collect()
}
