//! How the guest of a `ProxmoxVM` is reached.

use super::SecretKeyRef;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the guest is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuestSpec {
    /// Commands go by SSH. Without it they go by the QEMU guest agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshSpec>,
}

/// A login by SSH.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.keySecretRef) != self.agent").message("set exactly one of keySecretRef, agent: true"))]
pub struct SshSpec {
    /// Login name: root, or a user whom sudo makes root without a password, as mosdat installs packages and looks into the session of
    /// whoever is logged in at the screen.
    #[serde(default = "root")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z_][A-Za-z0-9_.-]*$"))]
    pub user: String,
    /// TCP port.
    #[serde(default = "port_22")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// Address or name, as seen from where runs are carried out. Without it the address that the guest agent tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9:._%-]+$"))]
    pub host: Option<String>,
    /// Secret with the private key, as ssh-keygen writes it, without a passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_secret_ref: Option<SecretKeyRef>,
    /// Log in with a key of the ssh-agent (`SSH_AUTH_SOCK`) of the process that carries runs out.
    #[serde(default)]
    pub agent: bool,
    /// Public host keys of which the guest must have one, as in `/etc/ssh/ssh_host_*_key.pub`. Without any, those that the guest
    /// agent reads in the guest at the first boot, or else the one that it shows at the first contact.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(
            length(min = 1, max = 2048),
            regex(pattern = r"^(ssh-|ecdsa-)[a-z0-9-]+ [A-Za-z0-9+/]+=*( .*)?$")
        )
    )]
    pub host_keys: Vec<String>,
}

fn root() -> String {
    "root".to_string()
}

fn port_22() -> u16 {
    22
}

/// What the guest's SSH server has to prove itself with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VmSsh {
    /// Public keys of which it must have one.
    pub host_keys: Vec<String>,
    /// Where they are from.
    pub source: HostKeySource,
    /// When they were pinned.
    pub at: Time,
}

/// Where a guest's host keys are known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HostKeySource {
    /// `spec.guest.ssh.hostKeys`.
    Declared,
    /// Read in the guest by its agent.
    GuestAgent,
    /// Shown by whoever answered first; nothing proves that it was the guest.
    FirstContact,
}
