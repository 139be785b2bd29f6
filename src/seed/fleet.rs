//! The fleet as resources: a ProxmoxCluster, a ProxmoxVM for each VM, a VisionProvider; and the Secrets that they need.

use super::Remark;
use super::config::{Config, SecretValue, Vlm, Vm};
use super::names::slug;
use crate::api::{
    AdoptSource, ClusterDefaults, ClusterTls, CoordinateConvention, DEFAULT_TOKENS, DeletionPolicy, LocalRef,
    MOST_TOKENS, OpenAiSpec, ProxmoxCluster, ProxmoxClusterSpec, ProxmoxVM, ProxmoxVMSpec, SecretKeyRef,
    VisionProvider, VisionProviderSpec, VmSource,
};
use crate::scenario::{Errors, Fate, Place, Problem, unknown};
use crate::vision::{family, only_points};

/// A Secret that resources refer to. It is no resource here: its values belong in no file.
#[derive(Clone, Debug)]
pub struct Need {
    /// Name of the Secret.
    pub secret: String,
    /// Its keys, and where their values are.
    pub keys: Vec<(String, SecretValue)>,
}

/// The resources of a file without its tests.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The Proxmox API.
    pub cluster: ProxmoxCluster,
    /// The VMs, taken over.
    pub vms: Vec<ProxmoxVM>,
    /// The model, where there is one.
    pub vision: Option<VisionProvider>,
    /// Secrets that these refer to.
    pub needs: Vec<Need>,
    /// What is not as it was.
    pub remarks: Vec<Remark>,
}

impl Config {
    /// Begins the names of what the file declares, so that two files do not overwrite each other.
    pub(super) fn base(&self) -> String {
        slug(&self.app.name, 30)
    }

    /// The VMs of these names, or all.
    ///
    /// # Errors
    /// A name that no VM has.
    pub fn choose(&self, names: &[String]) -> Result<Vec<&Vm>, Errors> {
        if names.is_empty() {
            return Ok(self.vms.iter().collect());
        }
        let all: Vec<&str> = self.vms.iter().map(|v| v.name.as_str()).collect();
        let (mut out, mut wrong) = (Vec::<&Vm>::new(), Vec::new());
        for name in names {
            match self.vms.iter().find(|v| v.name == *name) {
                Some(vm) if out.iter().any(|o| o.name == vm.name) => {}
                Some(vm) => out.push(vm),
                None => wrong.push(self.problem(Place::Whole, unknown("VM", "ones", name, &all))),
            }
        }
        if wrong.is_empty() { Ok(out) } else { Err(Errors(wrong)) }
    }

    pub(super) fn problem(&self, place: Place, message: impl Into<String>) -> Problem {
        Problem {
            origin: self.origin.clone(),
            place,
            message: message.into(),
        }
    }

    fn remark(&self, place: &Place, fate: Fate, message: impl Into<String>) -> Remark {
        Remark {
            origin: self.origin.clone(),
            place: place.clone(),
            fate,
            message: message.into(),
        }
    }
}

/// Makes the resources of these VMs.
///
/// # Errors
/// Nobody knows where Proxmox is, or no model can judge.
pub fn fleet(config: &Config, vms: &[&Vm]) -> Result<Fleet, Errors> {
    let base = config.base();
    let proxmox = &config.proxmox;
    let Some(host) = &proxmox.host else {
        let message = "nobody knows where Proxmox is: give `host` in [proxmox], or set PROXMOX_HOST";
        return Err(Errors(vec![config.problem(Place::Whole, message)]));
    };
    let mut remarks = Vec::new();
    if proxmox.fingerprint.is_none() && !proxmox.insecure {
        let message = "the certificate of Proxmox is checked with the system's authorities, the old tool trusted any; for one that nobody signed give `fingerprint` in [proxmox]";
        remarks.push(config.remark(&Place::Whole, Fate::Changed, message));
    }
    let credentials = format!("{base}-proxmox");
    let cluster = ProxmoxCluster::new(
        &cluster_name(config),
        ProxmoxClusterSpec {
            endpoints: vec![format!("https://{host}:{}", proxmox.port)],
            credentials_secret_ref: LocalRef {
                name: credentials.clone(),
            },
            tls: (proxmox.fingerprint.is_some() || proxmox.insecure).then(|| ClusterTls {
                ca_bundle: None,
                fingerprint: proxmox.fingerprint.clone(),
                insecure_skip_verify: proxmox.insecure.then_some(true),
            }),
            vmid_range: Default::default(),
            defaults: proxmox.node.clone().map(|node| ClusterDefaults {
                node: Some(node),
                ..ClusterDefaults::default()
            }),
            limits: Default::default(),
            orphan_policy: Default::default(),
        },
    );
    let mut needs = vec![Need {
        secret: credentials,
        keys: login(&proxmox.user, &proxmox.password),
    }];
    for vm in vms {
        if vm.snapshot.is_none() {
            let message = format!(
                "VM '{}' is taken as it is: no snapshot is named to roll it back to; give it `snapshot`, or [defaults]",
                vm.name
            );
            remarks.push(config.remark(&vm.place, Fate::Changed, message));
        }
    }
    if let Some(vlm) = &config.vlm
        && vlm.verify_model.is_none()
        && only_points(&vlm.model)
    {
        let message = format!(
            "the model '{}' only points at things and cannot judge: give `verify_model` in [vlm], or set VLM_VERIFY_MODEL",
            vlm.model
        );
        return Err(Errors(vec![config.problem(Place::Whole, message)]));
    }
    let vision = config.vlm.as_ref().map(|vlm| {
        let (provider, more) = vision(&base, vlm);
        needs.extend(more);
        if provider.spec.openai.as_ref().is_some_and(|o| o.coordinates.is_some()) {
            let message = format!(
                "the model '{}' is of no family that mosdat knows; its numbers are taken as 0 to 1000, else change `coordinates` of the VisionProvider",
                vlm.model
            );
            remarks.push(config.remark(&Place::Whole, Fate::Changed, message));
        }
        provider
    });
    Ok(Fleet {
        cluster,
        vms: vms
            .iter()
            .map(|vm| ProxmoxVM::new(&vm.name, taken_over(config, vm)))
            .collect(),
        vision,
        needs,
        remarks,
    })
}

pub(super) fn cluster_name(config: &Config) -> String {
    format!("{}-pve", config.base())
}

pub(super) fn vision_name(config: &Config) -> String {
    format!("{}-vlm", config.base())
}

/// A VM of the fleet, which nobody destroys.
pub(super) fn taken_over(config: &Config, vm: &Vm) -> ProxmoxVMSpec {
    ProxmoxVMSpec {
        cluster_ref: LocalRef {
            name: cluster_name(config),
        },
        source: VmSource {
            clone: None,
            adopt: Some(AdoptSource {
                vmid: vm.vmid,
                snapshot: vm.snapshot.clone(),
            }),
        },
        power: Default::default(),
        hardware: None,
        tags: Vec::new(),
        gpu_profile_ref: None,
        deletion_policy: DeletionPolicy::Stop,
        ttl_seconds: None,
        keyboard_layout: None,
        guest: None,
    }
}

/// The keys of the Secret that a ProxmoxCluster wants; the login is no secret.
fn login(user: &str, password: &SecretValue) -> Vec<(String, SecretValue)> {
    let names = match user.contains('!') {
        true => ["tokenId", "tokenSecret"],
        false => ["username", "password"],
    };
    let values = [SecretValue::Known(user.to_string().into()), password.clone()];
    names.into_iter().map(String::from).zip(values).collect()
}

fn vision(base: &str, vlm: &Vlm) -> (VisionProvider, Option<Need>) {
    let secret = format!("{base}-vlm");
    let need = vlm.api_key.clone().map(|value| Need {
        secret: secret.clone(),
        keys: vec![("apiKey".to_string(), value)],
    });
    let spec = VisionProviderSpec {
        ocr: true,
        openai: Some(OpenAiSpec {
            base_urls: vlm.base_urls.clone(),
            locate_model: vlm.model.clone(),
            judge_model: vlm.verify_model.clone(),
            coordinates: family(&vlm.model)
                .is_none()
                .then_some(CoordinateConvention::Normalised1000),
            budget: None,
            step_budget: None,
            prices: None,
            quorum: 1,
            warm_up_seconds: None,
            api_key_secret_ref: need.as_ref().map(|_| SecretKeyRef {
                name: secret,
                key: "apiKey".into(),
            }),
            // A floor, as it was: what is known to be needed is never less.
            max_tokens: vlm.max_tokens.unwrap_or(0).clamp(DEFAULT_TOKENS, MOST_TOKENS),
            timeout_seconds: 90,
        }),
    };
    (VisionProvider::new(&format!("{base}-vlm"), spec), need)
}
