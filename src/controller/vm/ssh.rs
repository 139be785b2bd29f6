//! The way into a VM's guest by SSH: whose keys are trusted, and the login.

use super::super::Error;
use super::super::context::Context;
use super::super::run::secret;
use super::act::place;
use super::seen::{NoSsh, Pinned};
use crate::api::{HostKeySource, ProxmoxVM, ProxmoxVMStatus, SshSpec, VmSsh};
use crate::guest::{self, HOST_KEY_FILES, HostKey, SshGuest, SshKey, SshLogin};
use crate::proxmox::Client;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

/// The login of a VM whose host keys are known. The inner error says what of the spec cannot be used.
async fn login(
    ctx: &Context,
    vm: &ProxmoxVM,
    spec: &SshSpec,
    host: String,
    host_keys: Vec<HostKey>,
) -> Result<Result<SshLogin, String>, Error> {
    let key = match &spec.key_secret_ref {
        Some(reference) => {
            let ns = vm.namespace().unwrap_or_default();
            match secret(ctx, &ns, reference).await? {
                Ok(text) => SshKey::Secret(text),
                Err((why, _)) => return Ok(Err(format!("spec.guest.ssh.keySecretRef: {why}"))),
            }
        }
        None => match SshKey::agent() {
            Some(agent) => agent,
            None => {
                let why = "spec.guest.ssh.agent is true and SSH_AUTH_SOCK is not set where mosdat runs; start an ssh-agent there, or give a key with keySecretRef";
                return Ok(Err(why.to_string()));
            }
        },
    };
    Ok(Ok(SshLogin {
        vm: vm.name_any(),
        host,
        port: spec.port,
        user: spec.user.clone(),
        key,
        host_keys,
    }))
}

/// The login of a VM that is ready, for its run; none where commands go by the guest agent.
pub async fn of_run(ctx: &Context, vm: &ProxmoxVM) -> Result<Result<Option<SshLogin>, String>, Error> {
    let Some(spec) = vm.spec.ssh() else {
        return Ok(Ok(None));
    };
    let status = vm.status.clone().unwrap_or_default();
    let known = status.ssh.as_ref().map(|s| keys(&s.host_keys)).transpose();
    let known = match known {
        Ok(Some(known)) if !known.is_empty() => known,
        Ok(_) => {
            return Ok(Err(
                "no host key of its guest is pinned; wait until it is Ready".to_string()
            ));
        }
        Err(why) => return Ok(Err(format!("status.ssh.hostKeys: {why}"))),
    };
    let Some(host) = spec.host.clone().or(status.ip) else {
        return Ok(Err(
            "the guest's address is not known; set spec.guest.ssh.host".to_string()
        ));
    };
    Ok(login(ctx, vm, spec, host, known).await?.map(Some))
}

fn keys(texts: &[String]) -> Result<Vec<HostKey>, String> {
    texts.iter().map(|text| HostKey::parse(text)).collect()
}

/// Logs in, with the keys that are trusted: those declared, those pinned before, those that the agent reads in the guest, or
/// at the first contact any.
pub(super) async fn look(
    ctx: &Context,
    pve: &Client,
    vm: &ProxmoxVM,
    spec: &SshSpec,
    host: String,
    agent: bool,
) -> Result<Result<Pinned, NoSsh>, Error> {
    let not_yet = |why: String| Ok(Err(NoSsh::NotYet(why)));
    let pinned = vm.status.as_ref().and_then(|s| s.ssh.clone());
    let (texts, source) = match pinned {
        _ if !spec.host_keys.is_empty() => (spec.host_keys.clone(), HostKeySource::Declared),
        Some(ssh) => (ssh.host_keys, ssh.source),
        None if agent => (read(pve, vm).await?, HostKeySource::GuestAgent),
        None => (Vec::new(), HostKeySource::FirstContact),
    };
    let trusted = match keys(&texts) {
        Ok(trusted) => trusted,
        Err(why) => return not_yet(format!("a host key cannot be read: {why}")),
    };
    let source = match trusted.is_empty() {
        true => HostKeySource::FirstContact,
        false => source,
    };
    let login = match login(ctx, vm, spec, host, trusted.clone()).await? {
        Ok(login) => login,
        Err(why) => return not_yet(why),
    };
    let met = match SshGuest::new(login) {
        Ok(guest) => guest.meet().await,
        Err(e) => Err(e),
    };
    Ok(match met {
        Ok(met) => {
            let known = if trusted.is_empty() { vec![met] } else { trusted };
            Ok(Pinned {
                host_keys: known.iter().map(HostKey::text).collect(),
                source,
            })
        }
        Err(e @ guest::Error::HostKey { .. }) => Err(NoSsh::HostKey(e.to_string())),
        Err(e) => Err(NoSsh::NotYet(e.to_string())),
    })
}

/// The public keys that stand in the guest's files; none where they cannot be read, as with an agent that may not read files.
async fn read(pve: &Client, vm: &ProxmoxVM) -> Result<Vec<String>, Error> {
    let (node, vmid) = place(vm)?;
    let mut found = Vec::new();
    for file in HOST_KEY_FILES {
        match pve.agent_file_read(&node, vmid, file).await {
            Ok(content) => found.extend(HostKey::parse(&String::from_utf8_lossy(&content)).map(|key| key.text())),
            Err(e) if e.is_transient() => return Err(e.into()),
            Err(e) => tracing::debug!(error = %e, vmid, file, "host key not read"),
        }
    }
    Ok(found)
}

pub(super) fn is_pinned(status: &ProxmoxVMStatus, pinned: &Pinned) -> bool {
    let known = status.ssh.as_ref();
    known.is_some_and(|s| s.host_keys == pinned.host_keys && s.source == pinned.source)
}

pub(super) fn pin(pinned: &Pinned, now: Timestamp) -> VmSsh {
    VmSsh {
        host_keys: pinned.host_keys.clone(),
        source: pinned.source,
        at: Time(now),
    }
}

/// The event of a pinning: whether it is a warning, its reason, its text.
pub(super) fn told(pinned: &Pinned) -> (bool, &'static str, String) {
    let which = pinned.host_keys.iter().filter_map(|text| HostKey::parse(text).ok());
    let which: Vec<String> = which.map(|key| key.fingerprint()).collect();
    let which = which.join(", ");
    match pinned.source {
        HostKeySource::Declared => (
            false,
            "HostKeyPinned",
            format!("{which}, as spec.guest.ssh.hostKeys says"),
        ),
        HostKeySource::GuestAgent => (
            false,
            "HostKeyPinned",
            format!("{which}, read in the guest by its agent"),
        ),
        HostKeySource::FirstContact => (
            true,
            "HostKeyTrustedOnFirstUse",
            format!(
                "{which} was shown by whoever answered first; compare it with the guest's console, or declare it in spec.guest.ssh.hostKeys, to be sure that it is the guest"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::seen::{Observed, Task, Vm};
    use super::super::table::{check, doing, object, present, seen};
    use super::*;
    use crate::api::{GuestSpec, VmAction, VmDisplay, VmPhase};

    const DISPLAY: VmDisplay = VmDisplay {
        width: 1280,
        height: 800,
    };

    fn by_ssh(phase: Option<VmPhase>) -> ProxmoxVM {
        let mut status = doing(VmAction::Start, true, 5);
        status.phase = phase;
        let mut vm = object(status);
        let spec: SshSpec = serde_json::from_value(serde_json::json!({"agent": true, "host": "10.0.0.9"})).unwrap();
        vm.spec.guest = Some(GuestSpec { ssh: Some(spec) });
        vm
    }

    fn booted() -> Observed {
        let mut seen = seen(present(&[], Some(true)), Task::Ok);
        assert!(matches!(seen.vm, Vm::Present { .. }));
        seen.guest.display = Some(Ok(DISPLAY));
        seen
    }

    fn pinned() -> Pinned {
        Pinned {
            host_keys: vec!["ssh-ed25519 AAAA".to_string()],
            source: HostKeySource::FirstContact,
        }
    }

    #[test]
    fn a_vm_is_ready_when_the_login_works_whatever_its_agent_says() {
        let mut seen = booted();
        for agent in [
            None,
            Some(Ok(())),
            Some(Err("No QEMU guest agent configured".to_string())),
        ] {
            seen.guest.agent = agent;
            seen.guest.ssh = Some(Ok(pinned()));
            check(&by_ssh(None), &seen, "ready");
            seen.guest.ssh = Some(Err(NoSsh::NotYet("refused".to_string())));
            check(&by_ssh(None), &seen, "wait Booting WaitingForSsh");
            seen.guest.ssh = Some(Err(NoSsh::HostKey("changed".to_string())));
            check(&by_ssh(None), &seen, "wait Failed HostKeyChanged!");
        }
        // Its address is the agent's to tell, which does not answer.
        seen.guest.ssh = None;
        check(&by_ssh(None), &seen, "wait Failed AgentNotConfigured!");
    }

    #[test]
    fn a_ready_vm_whose_pin_was_removed_is_pinned_anew() {
        let mut seen = booted();
        check(&by_ssh(Some(VmPhase::Ready)), &seen, "wait Ready GuestReachable");
        seen.guest.agent = Some(Ok(()));
        seen.guest.ssh = Some(Ok(pinned()));
        check(&by_ssh(Some(VmPhase::Ready)), &seen, "ready");
    }

    #[test]
    fn a_pin_is_written_once() {
        let mut status = ProxmoxVMStatus::default();
        assert!(!is_pinned(&status, &pinned()));
        status.ssh = Some(pin(&pinned(), Timestamp::UNIX_EPOCH));
        assert!(is_pinned(&status, &pinned()));
        let other = Pinned {
            host_keys: vec!["ssh-ed25519 BBBB".to_string()],
            ..pinned()
        };
        assert!(!is_pinned(&status, &other));
        assert!(told(&pinned()).0, "that nothing proves it is a warning");
    }
}
