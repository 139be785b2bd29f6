//! The values of the file.

use super::Remark;
use crate::scenario::Place;
use secrecy::SecretString;
use std::collections::BTreeMap;
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

impl SecretValue {
    /// Where the value has to come from, for a person.
    pub fn told(&self) -> String {
        match self {
            SecretValue::Known(_) => "given".to_string(),
            SecretValue::Env(names) => names.join(" or "),
            SecretValue::File(path) => path.display().to_string(),
        }
    }
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
    /// Tokens that an answer may have at least.
    pub max_tokens: Option<u32>,
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
