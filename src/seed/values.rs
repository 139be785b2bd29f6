//! Taking the values out of the file, and what is wrong with each by itself.

use super::config::{App, Config, Package, Proxmox, SecretValue, Vlm, Vm};
use super::names::slug;
use super::reader::{MISSING, Reader, Section};
use super::tree::Value;
use crate::scenario::{Fate, Place, unknown};
use std::collections::BTreeMap;

/// Names of runs are made from it, and they may have 50 letters.
const LONGEST_NAME: usize = 30;

impl Reader<'_> {
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

    pub(super) fn config(&mut self, root: &Section<'_>) -> Option<Config> {
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
            if parts.len() != 32 || !parts.iter().all(byte) {
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
            if slug(&name, LONGEST_NAME) != name {
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
        let max_tokens = self
            .text(section, "max_tokens_floor", &["VLM_MAX_TOKENS_FLOOR"])
            .and_then(|text| {
                let number = text.trim().parse().ok();
                if number.is_none() {
                    let place = section.map_or(Place::Whole, |s| s.place_of("max_tokens_floor"));
                    self.wrong(&place, format!("'{text}' is no number of tokens"));
                }
                number
            });
        Some(Vlm {
            base_urls,
            model: self
                .text(section, "model", &["VLM_MODEL"])
                .unwrap_or_else(|| "holo2-4b".into()),
            verify_model: self.text(section, "verify_model", &["VLM_VERIFY_MODEL"]),
            expected_model: self.text(section, "expected_model", &[]),
            max_tokens,
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
