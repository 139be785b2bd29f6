//! `mosdat preflight CONFIG`: whether a test could run: file, scenario, Proxmox, machines, vision. It only reads; nothing is
//! written anywhere, no VM is touched.

use super::doctor::{Finding, Format, State, answer};
use super::seed::{Form, read, secret, tell_errors};
use super::{exit, functional};
use crate::controller::{client_config, privileges};
use crate::proxmox::{Client, ErrorKind, VmResource};
use crate::scenario::Fate;
use crate::seed::{self, Config, Machine, Options, SecretValue, Vlm, Vm};
use crate::vision::only_points;
use k8s_openapi::api::core::v1::Secret;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// How long a server has for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of `mosdat preflight`.
#[derive(clap::Args)]
pub struct Args {
    /// A TOML file of the predecessor.
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    /// These VMs only.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    vms: Vec<String>,
    /// Also whether this test could begin.
    #[arg(long, value_name = "NAME")]
    test: Option<String>,
    /// Value of an input of the scenario.
    #[arg(long = "var", value_name = "KEY=VALUE", value_parser = functional::variable, requires = "test")]
    variables: Vec<(String, String)>,
    /// Form of the answer.
    #[arg(long, default_value = "text")]
    format: Format,
}

/// What was found out.
#[derive(Default)]
struct Found(Vec<Finding>);

impl Found {
    fn tell(&mut self, area: &'static str, about: impl Into<String>, state: State, says: impl Into<String>) {
        self.0.push(Finding {
            area,
            about: about.into(),
            state,
            says: says.into(),
        });
    }
}

/// Looks at everything, and tells.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let form = match args.format {
        Format::Json => Form::Json,
        Format::Text => Form::Text,
    };
    let config = match read(&args.config) {
        Ok(config) => config,
        Err(errors) => {
            tell_errors(&errors, form);
            return Ok(exit::INVALID);
        }
    };
    let vms = match config.choose(&args.vms) {
        Ok(vms) => vms,
        Err(errors) => {
            tell_errors(&errors, form);
            return Ok(exit::INVALID);
        }
    };
    let mut found = Found::default();
    file(&config, &vms, &mut found);
    if let Some(test) = &args.test {
        scenario(&config, &vms, test, &args.variables, &mut found);
    }
    let file = found.0.iter().any(|f| f.state == State::Failed);
    let login = proxmox(&config, &vms, &mut found).await;
    vision(&config, &mut found).await;
    // What `functional` would refuse before it starts anything has the code that it would end with.
    let answered = answer(&found.0, args.format)?;
    Ok(match file || !login {
        true => exit::INVALID,
        false => answered,
    })
}

fn file(config: &Config, vms: &[&Vm], found: &mut Found) {
    let count = |fate: Fate| config.remarks.iter().filter(|r| r.fate == fate).count();
    let says = format!(
        "{} VM{}; {} keys mean something else now, {} nothing any more ('mosdat convert' tells which)",
        vms.len(),
        if vms.len() == 1 { "" } else { "s" },
        count(Fate::Changed),
        count(Fate::Dropped),
    );
    found.tell("file", config.origin.clone(), State::Ok, says);
}

fn scenario(config: &Config, vms: &[&Vm], test: &str, given: &[(String, String)], found: &mut Found) {
    let area = "scenario";
    let runs = functional::variables(config, given).and_then(|variables| {
        let options = Options {
            test: test.to_string(),
            variables,
            ..Options::default()
        };
        seed::runs(config, vms, &options, &|_| Machine::Own)
    });
    let runs = match runs {
        Ok(runs) => runs,
        Err(errors) => return found.tell(area, test, State::Failed, errors.to_string()),
    };
    for loaded in &runs.loaded {
        let path = loaded.path.display().to_string();
        let hand: Vec<String> = loaded.by_hand().iter().map(ToString::to_string).collect();
        match (hand.is_empty(), loaded.remarks.is_empty()) {
            (true, true) => found.tell(
                area,
                path,
                State::Ok,
                format!("{} steps", loaded.scenario.total_steps()),
            ),
            (true, false) => found.tell(area, path, State::Ok, "of the old language, carried over whole"),
            (false, _) => {
                let says = format!(
                    "something is left to do by hand ('mosdat import'):\n{}",
                    hand.join("\n")
                );
                found.tell(area, path, State::Failed, says);
            }
        }
    }
    for need in &runs.needs {
        match secret(need) {
            Ok(_) => found.tell(area, "secret inputs", State::Ok, "all have a value"),
            Err(why) => found.tell(
                area,
                "secret inputs",
                State::Warning,
                format!("{why}; or Secret {} has them", need.secret),
            ),
        }
    }
}

/// A client with the file's login.
fn client(fleet: &seed::Fleet, login: &Secret) -> Result<Client, String> {
    let client = client_config(&fleet.cluster, login)?;
    let client = crate::proxmox::Config {
        timeout: PATIENCE,
        ..client
    };
    Client::new(client).map_err(|e| e.to_string())
}

/// Answers with false where what was given lets nobody in.
async fn proxmox(config: &Config, vms: &[&Vm], found: &mut Found) -> bool {
    let area = "Proxmox";
    let fleet = match seed::fleet(config, vms) {
        Ok(fleet) => fleet,
        Err(errors) => {
            found.tell(area, "host", State::Failed, errors.to_string());
            return false;
        }
    };
    let about = fleet.cluster.spec.endpoints.join(", ");
    let login = fleet
        .needs
        .first()
        .ok_or_else(|| "no login".to_string())
        .and_then(secret);
    let client = match login.and_then(|login| client(&fleet, &login)) {
        Ok(client) => client,
        Err(why) => {
            found.tell(area, about, State::Failed, why);
            return false;
        }
    };
    let version = match client.version().await {
        Ok(version) => version.version,
        Err(e) => {
            let hurdle = Hurdle::of(&e);
            found.tell(area, about, State::Failed, advised(&e.to_string(), hurdle));
            return !hurdle.is_given();
        }
    };
    found.tell(area, about, State::Ok, format!("Proxmox VE {version}"));
    // What the ProxmoxCluster will ask for.
    let mut declared = privileges::Declared::default();
    if vms.iter().any(|v| v.snapshot.is_some()) {
        declared.extra.insert("VM.Snapshot.Rollback");
    }
    let login = config.proxmox.user.clone();
    match client.permissions().await {
        Ok(held) => {
            let missing = privileges::missing(&held, &declared, &version);
            match missing.is_empty() {
                true => found.tell(area, login, State::Ok, "has the privileges"),
                false => {
                    let says = privileges::told(&missing, &login, &declared, &version);
                    found.tell(area, login, State::Failed, says);
                }
            }
        }
        Err(e) => found.tell(area, login, State::Failed, e.to_string()),
    }
    match client.cluster_vms().await {
        Ok(all) => {
            for vm in vms {
                let (state, says) = machine(&client, &all, vm).await;
                found.tell("machines", vm.name.clone(), state, says);
            }
        }
        Err(e) => found.tell("machines", "list", State::Failed, e.to_string()),
    }
    true
}

/// Why Proxmox cannot be used.
pub struct Unusable {
    /// What it or the way to it said, with what to do.
    pub why: String,
    /// The exit code that this makes.
    pub exit: u8,
}

/// Asks Proxmox for its version, and tells why it cannot be used. That takes twice [`PATIENCE`] at most: the login of a
/// password is a request of its own. A login that is not whole is told elsewhere.
pub async fn unusable(fleet: &seed::Fleet) -> Option<Unusable> {
    let about = fleet.cluster.spec.endpoints.join(", ");
    let secret = secret(fleet.needs.first()?).ok()?;
    let client = match client(fleet, &secret) {
        Ok(client) => client,
        Err(why) => {
            let exit = exit::INVALID;
            return Some(Unusable { why, exit });
        }
    };
    let (why, hurdle) = match tokio::time::timeout(PATIENCE * 2, client.version()).await {
        Ok(Ok(_)) => return None,
        Ok(Err(e)) => (super::plain(&e.to_string()), Hurdle::of(&e)),
        Err(_) => (format!("no answer within {} s", (PATIENCE * 2).as_secs()), Hurdle::Way),
    };
    let advised = advised(&why, hurdle);
    Some(Unusable {
        why: match why.contains(&about) {
            true => advised,
            false => format!("Proxmox at {about} cannot be used: {advised}"),
        },
        exit: match hurdle.is_given() {
            true => exit::INVALID,
            false => exit::INFRASTRUCTURE,
        },
    })
}

/// What stands between us and Proxmox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hurdle {
    Certificate,
    Login,
    Way,
}

impl Hurdle {
    fn of(e: &crate::proxmox::Error) -> Hurdle {
        match e.kind {
            ErrorKind::Auth => Hurdle::Login,
            // Only what goes wrong before there is an answer tells of certificates.
            ErrorKind::Transport if e.message.contains("certificate") => Hurdle::Certificate,
            _ => Hurdle::Way,
        }
    }

    /// Whether it is in what was given: Proxmox answers, and asking again changes nothing.
    fn is_given(self) -> bool {
        self != Hurdle::Way
    }
}

/// What Proxmox or the way to it said, with what to do about it in the file.
fn advised(why: &str, hurdle: Hurdle) -> String {
    let what = match hurdle {
        Hurdle::Certificate => {
            "give `fingerprint` in [proxmox], the SHA-256 that 'pvenode cert info' prints on the node; `insecure = true` trusts any"
        }
        Hurdle::Login => "look at `user` in [proxmox] and at PROXMOX_PASSWORD",
        Hurdle::Way => "look at `host` and `port` in [proxmox]",
    };
    format!("{why}\n{what}")
}

/// Whether a VM could be taken over.
async fn machine(client: &Client, all: &[VmResource], vm: &Vm) -> (State, String) {
    let Some(there) = all.iter().find(|v| v.vmid == vm.vmid) else {
        return (
            State::Failed,
            format!("Proxmox has no VM {}, or the login may not see it", vm.vmid),
        );
    };
    if there.template {
        return (
            State::Failed,
            format!("VM {} is a template, which does not run", vm.vmid),
        );
    }
    let at = format!("VM {} on {}, {}", vm.vmid, there.node, there.status);
    if let Some(wanted) = &vm.snapshot {
        match client.snapshots(&there.node, vm.vmid).await {
            Ok(list) if list.iter().any(|s| s.name == *wanted) => {}
            Ok(list) => {
                let names: Vec<&str> = list.iter().map(|s| s.name.as_str()).collect();
                let names = if names.is_empty() {
                    "none".into()
                } else {
                    names.join(", ")
                };
                return (
                    State::Failed,
                    format!("{at}: there is no snapshot '{wanted}'; there are: {names}"),
                );
            }
            Err(e) => return (State::Failed, format!("{at}: {e}")),
        }
    }
    let agent = match client.vm_config(&there.node, vm.vmid).await {
        Ok(config) => config
            .get("agent")
            .is_some_and(|a| a.starts_with('1') || a.contains("enabled=1")),
        Err(e) => return (State::Failed, format!("{at}: {e}")),
    };
    if !agent {
        let id = vm.vmid;
        let says = format!("{at}: the guest agent is not enabled: qm set {id} --agent 1, and install it in the guest");
        return (State::Failed, says);
    }
    match &vm.snapshot {
        None => (
            State::Warning,
            format!("{at}; no snapshot is named, so it is used as it is"),
        ),
        Some(name) => (State::Ok, format!("{at}, has the snapshot '{name}'")),
    }
}

async fn vision(config: &Config, found: &mut Found) {
    let area = "vision";
    let Some(vlm) = &config.vlm else {
        let says = "no model; the built-in text recognition looks at the screen";
        return found.tell(area, "model", State::Ok, says);
    };
    let key = match &vlm.api_key {
        None => None,
        Some(SecretValue::Known(key)) => Some(key.clone()),
        Some(SecretValue::File(path)) => match std::fs::read_to_string(path) {
            Ok(text) => Some(text.trim_end().to_string().into()),
            Err(e) => {
                let says = format!("cannot read {}: {}", path.display(), super::plain(&e.to_string()));
                return found.tell(area, "API key", State::Failed, says);
            }
        },
        Some(value) => return found.tell(area, "API key", State::Failed, format!("set {}", value.told())),
    };
    for url in &vlm.base_urls {
        let (state, says) = match models(url, key.as_ref()).await {
            Ok(models) => judge(vlm, &models),
            // The next one is asked then.
            Err(why) if vlm.base_urls.len() > 1 => (State::Warning, why),
            Err(why) => (State::Failed, why),
        };
        found.tell(area, url.clone(), state, says);
    }
    let ours = |f: &&Finding| f.area == area;
    if found.0.iter().filter(ours).all(|f| f.state != State::Ok) && vlm.base_urls.len() > 1 {
        found.tell(area, "servers", State::Failed, "none of them can be used");
    }
}

/// Whether a server has the models.
fn judge(vlm: &Vlm, models: &[String]) -> (State, String) {
    if vlm.verify_model.is_none() && only_points(&vlm.model) {
        let told = format!("{} only points and cannot judge; give `verify_model`", vlm.model);
        return (State::Failed, told);
    }
    let wanted = [Some(&vlm.model), vlm.verify_model.as_ref(), vlm.expected_model.as_ref()];
    let lacking: Vec<&str> = wanted
        .into_iter()
        .flatten()
        .filter(|m| !models.contains(m))
        .map(String::as_str)
        .collect();
    match lacking.is_empty() {
        true => (State::Ok, format!("has {}", vlm.model)),
        false => {
            let list = if models.is_empty() {
                "none".into()
            } else {
                models.join(", ")
            };
            (
                State::Failed,
                format!("does not list {}; it lists: {list}", lacking.join(", ")),
            )
        }
    }
}

/// The models that an OpenAI-compatible server lists.
async fn models(url: &str, key: Option<&SecretString>) -> Result<Vec<String>, String> {
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .map_err(|e| e.to_string())?;
    let mut request = client.get(format!("{}/models", url.trim_end_matches('/')));
    if let Some(key) = key {
        request = request.bearer_auth(key.expose_secret());
    }
    let failed = |e: reqwest::Error| super::plain(&super::told(&anyhow::Error::from(e.without_url())));
    let answer = request.send().await.map_err(failed)?;
    if !answer.status().is_success() {
        return Err(format!("GET /models: {}", answer.status()));
    }
    let list: Value = answer.json().await.map_err(failed)?;
    let names = list["data"].as_array().into_iter().flatten();
    Ok(names.filter_map(|m| m["id"].as_str().map(String::from)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_depends_on_what_went_wrong() {
        for (kind, message, word, given) in [
            (
                ErrorKind::Transport,
                "invalid peer certificate: UnknownIssuer",
                "`fingerprint`",
                true,
            ),
            (ErrorKind::Auth, "Authentication failed!", "PROXMOX_PASSWORD", true),
            (ErrorKind::Transport, "connection refused", "`host`", false),
            (ErrorKind::Other, "proxy: bad certificate of the node", "`host`", false),
        ] {
            let error = crate::proxmox::Error {
                kind,
                // Neither the port nor the host is what went wrong.
                endpoint: "https://certificate:4010".into(),
                method: "GET",
                path: "/version".into(),
                status: None,
                message: message.into(),
                fields: Default::default(),
            };
            let (why, hurdle) = (error.to_string(), Hurdle::of(&error));
            let told = advised(&why, hurdle);
            assert!(told.starts_with(&why) && told.contains(word), "{told}");
            assert_eq!(hurdle.is_given(), given, "{told}");
        }
    }

    #[test]
    fn a_server_has_to_list_every_model() {
        let vlm = Vlm {
            base_urls: vec![],
            model: "a".into(),
            verify_model: Some("b".into()),
            expected_model: None,
            max_tokens: None,
            api_key: None,
        };
        let all = ["a".to_string(), "b".to_string()];
        assert_eq!(judge(&vlm, &all), (State::Ok, "has a".to_string()));
        let (state, says) = judge(&vlm, &all[..1]);
        assert_eq!((state, says.as_str()), (State::Failed, "does not list b; it lists: a"));
        let points = Vlm {
            model: "holo2-4b".into(),
            verify_model: None,
            ..vlm
        };
        let (state, says) = judge(&points, &["holo2-4b".to_string()]);
        assert!(state == State::Failed && says.contains("verify_model"), "{says}");
    }
}
