//! The runs of one call: for each VM a FunctionalTestRun, and the scenarios that they refer to.

use super::Need;
use super::config::{Config, SecretValue, Vm};
use super::files::{self, Loaded};
use super::fleet::{taken_over, vision_name};
use super::names::slug;
use crate::api::{
    FunctionalTestRun, FunctionalTestRunSpec, LocalRef, RunEvidence, RunScenario, RunVm, Scenario as ScenarioObject,
    SecretKeyRef, SecretVariable, StepRange, VideoSettings,
};
use crate::scenario::{self, Errors, Problem};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What the person asked for besides the file.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--test`.
    pub test: String,
    /// `--var`.
    pub variables: BTreeMap<String, String>,
    /// `--from` and `--until`.
    pub steps: StepRange,
    /// `--timeout`.
    pub timeout_seconds: Option<u32>,
    /// A word that names this call. Its runs have names of their own then, carry their scenarios, and have each a Secret of
    /// their own, so that calls do not meddle with each other's. Without one all names are the same each time.
    pub call: Option<String>,
    /// Keys of the Secret of all runs that are taken from there although there is a call, unless `--var` gives the value.
    pub kept: BTreeSet<String>,
    /// `--record-session` and `--record-fps`.
    pub video: Option<VideoSettings>,
}

/// Where a run gets its VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// From the ProxmoxVM of the fleet, which is rolled back once.
    Standing,
    /// It takes the VM over for itself, rolls it back, and gives it back.
    Own,
}

/// The resources of one call.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// The scenarios, where runs refer to them.
    pub scenarios: Vec<ScenarioObject>,
    /// One run for each VM.
    pub runs: Vec<FunctionalTestRun>,
    /// The Secrets with the values of secret inputs: one for all runs, or those of the runs of a call.
    pub needs: Vec<Need>,
    /// The files that were read.
    pub loaded: Vec<Loaded>,
}

/// Makes the resources of a test on these VMs.
///
/// # Errors
/// A file is not there or wrong, an input has no value, a VM cannot have runs; all at once.
pub fn runs(config: &Config, vms: &[&Vm], options: &Options, machine: &dyn Fn(&Vm) -> Machine) -> Result<Runs, Errors> {
    let mut problems = Vec::new();
    let mut read: Vec<(PathBuf, Option<usize>)> = Vec::new();
    let mut out = Runs::default();
    let mut chosen = Vec::new();
    for vm in vms {
        let path = match files::find(config, vm, &options.test) {
            Ok(path) => path,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let at = match read.iter().find(|(p, _)| *p == path) {
            Some((_, at)) => *at,
            None => {
                let at = match files::load(&path) {
                    Ok(loaded) => {
                        out.loaded.push(loaded);
                        Some(out.loaded.len() - 1)
                    }
                    Err(errors) => {
                        problems.extend(errors.0);
                        None
                    }
                };
                read.push((path, at));
                at
            }
        };
        chosen.extend(at.map(|at| (*vm, at)));
    }
    problems.extend(undeclared(config, &out.loaded, options));
    let names = scenario_names(&options.test, &out.loaded, &chosen);
    let mut specs = Vec::new();
    for loaded in &out.loaded {
        match loaded.scenario.to_spec() {
            Ok(spec) => specs.push(Some(spec)),
            Err(e) => {
                problems.push(whole(loaded, e.to_string()));
                specs.push(None);
            }
        }
    }
    let mut keys: BTreeMap<String, SecretValue> = BTreeMap::new();
    for (vm, at) in &chosen {
        let inputs = match inputs(config, vm, &out.loaded[*at], options) {
            Ok(inputs) => inputs,
            Err(found) => {
                problems.extend(found);
                continue;
            }
        };
        let Some(spec) = &specs[*at] else { continue };
        let name = run_name(&names[*at], vm, options.call.as_deref());
        let scenario = match options.call {
            Some(_) => RunScenario {
                reference: None,
                inline: Some(spec.clone()),
            },
            None => RunScenario {
                reference: Some(LocalRef {
                    name: names[*at].clone(),
                }),
                inline: None,
            },
        };
        let mut own = BTreeMap::new();
        let mut secret_variables = Vec::new();
        for (input, Secret { key, value, given }) in inputs.secret {
            let (secret, keys) = match options.call {
                Some(_) if given || !options.kept.contains(&key) => (own_secret(&name), &mut own),
                _ => (standing_secret(config), &mut keys),
            };
            secret_variables.push(SecretVariable {
                name: input,
                secret_key_ref: SecretKeyRef {
                    name: secret,
                    key: key.clone(),
                },
            });
            keys.insert(key, value);
        }
        if !own.is_empty() {
            out.needs.push(Need {
                secret: own_secret(&name),
                keys: own.into_iter().collect(),
            });
        }
        let spec = spec_of(
            config,
            vm,
            scenario,
            inputs.plain,
            secret_variables,
            options,
            machine(vm),
        );
        out.runs.push(FunctionalTestRun::new(&name, spec));
    }
    if options.call.is_none() {
        let named = names.iter().zip(specs);
        out.scenarios = named.filter_map(|(n, s)| Some(ScenarioObject::new(n, s?))).collect();
        if !keys.is_empty() {
            out.needs.push(Need {
                secret: standing_secret(config),
                keys: keys.into_iter().collect(),
            });
        }
    }
    // A fault of one file is told once, however many VMs have it.
    let mut told = BTreeSet::new();
    problems.retain(|p| told.insert(p.to_string()));
    if problems.is_empty() {
        Ok(out)
    } else {
        Err(Errors(problems))
    }
}

fn whole(loaded: &Loaded, message: String) -> Problem {
    Problem {
        origin: loaded.path.display().to_string(),
        place: scenario::Place::Whole,
        message,
    }
}

/// A value that no scenario of the call takes.
fn undeclared(config: &Config, loaded: &[Loaded], options: &Options) -> Vec<Problem> {
    let known: BTreeSet<&str> = loaded
        .iter()
        .flat_map(|l| l.scenario.inputs.keys().map(String::as_str))
        .collect();
    let known: Vec<&str> = known.into_iter().collect();
    let stray = options.variables.keys().filter(|k| !known.contains(&k.as_str()));
    let problem = |k: &String| {
        let message = format!("--var {k}: {}", scenario::unknown("input", "ones", k, &known));
        config.problem(scenario::Place::Whole, message)
    };
    if loaded.is_empty() {
        Vec::new()
    } else {
        stray.map(problem).collect()
    }
}

/// One name for each file; where there are several files, the VM is part of it.
fn scenario_names(test: &str, loaded: &[Loaded], chosen: &[(&Vm, usize)]) -> Vec<String> {
    let stem = PathBuf::from(test);
    let stem = stem
        .file_stem()
        .map(|s| s.to_string_lossy().into_owned())
        .unwrap_or_default();
    let name = |at: usize| match (loaded.len(), chosen.iter().find(|(_, a)| *a == at)) {
        (0..=1, _) | (_, None) => slug(&stem, 63),
        (_, Some((vm, _))) => format!("{}-{}", slug(&stem, 62 - vm.name.len()), vm.name),
    };
    (0..loaded.len()).map(name).collect()
}

/// The Secret that a person can make for all runs of a file.
pub fn standing_secret(config: &Config) -> String {
    format!("{}-inputs", config.base())
}

fn own_secret(run: &str) -> String {
    format!("{run}-inputs")
}

/// At most 50 characters, as a run's name may have.
fn run_name(scenario: &str, vm: &Vm, call: Option<&str>) -> String {
    let test = scenario.strip_suffix(&format!("-{}", vm.name)).unwrap_or(scenario);
    let end = call.map(|c| format!("-{c}")).unwrap_or_default();
    let most = 49usize.saturating_sub(vm.name.len() + end.len()).max(1);
    format!("{}-{}{end}", slug(test, most), vm.name)
}

/// Values of a run's inputs.
struct Inputs {
    plain: BTreeMap<String, String>,
    /// By input.
    secret: BTreeMap<String, Secret>,
}

/// The value of a secret input.
struct Secret {
    /// Key in the Secret.
    key: String,
    value: SecretValue,
    /// By `--var`.
    given: bool,
}

fn inputs(config: &Config, vm: &Vm, loaded: &Loaded, options: &Options) -> Result<Inputs, Vec<Problem>> {
    let mut out = Inputs {
        plain: BTreeMap::new(),
        secret: BTreeMap::new(),
    };
    let mut problems = Vec::new();
    for (name, input) in &loaded.scenario.inputs {
        let given = options.variables.get(name).cloned();
        if input.secret {
            let by_var = given.is_some();
            let (key, value) = match (given, name.as_str()) {
                (Some(value), _) => (name.clone(), SecretValue::Known(value.into())),
                (None, "test_password") => (name.clone(), config.test_password.clone()),
                (None, "vm_password") if vm.own_password => (format!("{name}.{}", vm.name), vm.password.clone()),
                (None, "vm_password") => (name.clone(), vm.password.clone()),
                (None, _) => {
                    let message = format!("the secret input '{name}' has no value: give --var {name}=VALUE");
                    problems.push(whole(loaded, message));
                    continue;
                }
            };
            let given = by_var;
            out.secret.insert(name.clone(), Secret { key, value, given });
            continue;
        }
        if given.is_none() && ["test_password", "vm_password"].contains(&name.as_str()) {
            let message = format!("the input '{name}' is a password: declare it with `secret: true`");
            problems.push(whole(loaded, message));
            continue;
        }
        let known = || match name.as_str() {
            "app_path" => Some(app_path(config, vm)),
            _ => config.variables.get(name).cloned(),
        };
        match given.or_else(known) {
            Some(path) if name == "app_path" && path.contains("{file}") => {
                let message = format!(
                    "`app_path` of VM '{}' is '{path}': nobody looks for files of packages; give --var app_path=PATH",
                    vm.name
                );
                problems.push(config.problem(vm.place.clone(), message));
            }
            Some(value) => {
                out.plain.insert(name.clone(), value);
            }
            None if input.default.is_some() => {}
            None => problems.push(whole(
                loaded,
                format!("the input '{name}' has no value: give --var {name}=VALUE"),
            )),
        }
    }
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

/// Where the application is on a VM.
pub(super) fn app_path(config: &Config, vm: &Vm) -> String {
    let package = vm.packages.iter().find(|p| p.app_path.is_some());
    let path = package
        .and_then(|p| p.app_path.as_deref())
        .unwrap_or(&config.app.binary);
    let version = package
        .and_then(|p| p.version.as_deref())
        .unwrap_or(&config.app.version);
    path.replace("{app_name}", &config.app.name)
        .replace("{version}", version)
}

fn spec_of(
    config: &Config,
    vm: &Vm,
    scenario: RunScenario,
    variables: BTreeMap<String, String>,
    secret_variables: Vec<SecretVariable>,
    options: &Options,
    machine: Machine,
) -> FunctionalTestRunSpec {
    let some = options.steps.from.is_some() || options.steps.until.is_some();
    FunctionalTestRunSpec {
        vm: match machine {
            Machine::Standing => RunVm {
                reference: Some(LocalRef { name: vm.name.clone() }),
                template: None,
            },
            Machine::Own => RunVm {
                reference: None,
                template: Some(taken_over(config, vm)),
            },
        },
        scenario,
        variables,
        secret_variables,
        steps: some.then(|| options.steps.clone()),
        evidence: options.video.clone().map(|video| RunEvidence { video: Some(video) }),
        vision_ref: config.vlm.as_ref().map(|_| LocalRef {
            name: vision_name(config),
        }),
        timeout_seconds: options.timeout_seconds,
        retries: Default::default(),
        cancel: false,
        ttl_seconds_after_finished: None,
    }
}
