//! `mosdat functional CONFIG --vms A,B --test NAME`: the predecessor's command. Its TOML file becomes resources, which are
//! applied and followed as `mosdat run` does it; each VM has a run of its own.

use super::apply::{self, ApplyError, Body, Document};
use super::old_flags::OldFlags;
use super::seed::{Form, imported, object, read, secret, tell, tell_errors, value};
use super::session::{ClusterArgs, Session};
use super::{check, exit, follow, missing, preflight, shutdown_signal};
use crate::api::{FunctionalTestRun, ProxmoxVM, RunResult, StepRange, VideoSettings};
use crate::scenario::{Errors, Fate, Place, Problem};
use crate::seed::{self, Config, Machine, Need, Options, Vm};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Arguments of `mosdat functional`.
#[derive(clap::Args)]
pub struct Args {
    /// A TOML file of the predecessor.
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    /// The VMs, by their names in the file; each has a run of its own.
    #[arg(long, value_name = "LIST", required = true, value_delimiter = ',')]
    vms: Vec<String>,
    /// The test: a name that is looked for in `tests_dir`, or the path of a file.
    #[arg(long, value_name = "NAME", default_value = "rocketchat-smoke")]
    test: String,
    /// Model that finds things on the screen, instead of the file's.
    #[arg(long)]
    model: Option<String>,
    /// Model that judges, instead of the file's.
    #[arg(long, value_name = "MODEL")]
    verify_model: Option<String>,
    /// Value of an input of the scenario.
    #[arg(long = "var", value_name = "KEY=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
    /// Begin with this step or phase of the test (--from-phase is the same); set-up and cleanup run all the same.
    #[arg(long, value_name = "STEP", alias = "from-phase")]
    from: Option<String>,
    /// End with this step or phase of the test (--until-phase is the same).
    #[arg(long, value_name = "STEP", alias = "until-phase")]
    until: Option<String>,
    /// Seconds that each run may take, instead of the scenario's budget or else 1800; 0 is a whole day, the most there is.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=DAY))]
    timeout: Option<u32>,
    /// Make a video of each session: `video.webm` beside the report.
    #[arg(long)]
    record_session: bool,
    /// Most pictures a second of the video.
    #[arg(long, value_name = "N", default_value_t = 10, requires = "record_session", value_parser = clap::value_parser!(u32).range(1..=30))]
    record_fps: u32,
    /// How many runs go on at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Namespace of the resources.
    #[arg(long, short = 'n')]
    namespace: Option<String>,
    /// Folder of `mosdat up`; if none runs there, a control plane is started for this call.
    #[arg(long, default_value = ".mosdat", env = "MOSDAT_STATE")]
    state: PathBuf,
    /// Leave out the line about what means something else now in the file and in an old scenario.
    #[arg(long, conflicts_with = "verbose")]
    quiet: bool,
    /// Tell each thing in the file and in an old scenario that means something else now.
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    old: OldFlags,
}

const DAY: i64 = 86_400;

/// `KEY=VALUE`.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_string(), value.to_string())),
        _ => Err("it is KEY=VALUE".to_string()),
    }
}

/// The values of `--var`; each input once.
pub(super) fn variables(config: &Config, given: &[(String, String)]) -> Result<BTreeMap<String, String>, Errors> {
    let mut out = BTreeMap::new();
    for (key, value) in given {
        if out.insert(key.clone(), value.clone()).is_some() {
            return Err(one(config, format!("--var {key} is given twice")));
        }
    }
    Ok(out)
}

fn one(config: &Config, message: String) -> Errors {
    Errors(vec![Problem {
        origin: config.origin.clone(),
        place: Place::Whole,
        message,
    }])
}

/// The file with what the command line says instead.
fn with_models(mut config: Config, model: Option<String>, judge: Option<String>) -> Result<Config, Errors> {
    if model.is_none() && judge.is_none() {
        return Ok(config);
    }
    let Some(vlm) = &mut config.vlm else {
        let message = "--model and --verify-model need a server: give `base_url` in [vlm], or set VLM_BASE_URL";
        return Err(one(&config, message.to_string()));
    };
    vlm.model = model.unwrap_or_else(|| vlm.model.clone());
    vlm.verify_model = judge.or_else(|| vlm.verify_model.take());
    Ok(config)
}

/// Runs the test, and answers with the verdict.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    if args.old.tell() {
        return Ok(exit::INVALID);
    }
    let config =
        read(&args.config).and_then(|config| with_models(config, args.model.clone(), args.verify_model.clone()));
    let prepared = config.and_then(|config| prepare(&args, config));
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(errors) => {
            tell_errors(&errors, Form::Text);
            return Ok(exit::INVALID);
        }
    };
    let left = prepared.runs.loaded.iter().any(|l| !l.by_hand().is_empty());
    let shown = |r: &&seed::Remark| args.verbose || (left && r.fate == Fate::ByHand);
    let remarks: Vec<seed::Remark> = prepared.remarks.iter().filter(shown).cloned().collect();
    tell(&remarks, Form::Text, true);
    if !args.quiet && !args.verbose {
        summary(&prepared.remarks).iter().for_each(|line| eprintln!("{line}"));
    }
    if left {
        eprintln!(
            "the old scenario is not carried over whole: 'mosdat import FILE > NEW.yaml', say the rest by hand, then give --test NEW.yaml"
        );
        return Ok(exit::INVALID);
    }
    let problems = check::problems(&documents(&prepared.objects(&prepared.runs)?)).await?;
    if !problems.is_empty() {
        problems.iter().for_each(|p| eprintln!("{p}"));
        return Ok(exit::INVALID);
    }
    // The controller would go on trying, as it has to; a person is told at once. One on a cluster that was named may be
    // reached from there alone.
    if !args.cluster.named()
        && let Some(unusable) = preflight::unusable(&prepared.fleet).await
    {
        eprintln!("{}", unusable.why);
        return Ok(unusable.exit);
    }
    let mut session = Session::open_with(&args.cluster, &args.state, false).await?;
    let (client, afterwards) = (session.client.clone(), session.afterwards());
    let namespace = args.namespace.clone().unwrap_or_else(|| session.namespace.clone());
    let answer = tokio::select! {
        r = carry_out(&args, &client, &namespace, &prepared) => r,
        () = shutdown_signal() => {
            eprintln!("mosdat: interrupted; {afterwards}");
            Ok(exit::INFRASTRUCTURE)
        }
        error = session.broken() => Err(error),
    };
    session.close().await;
    answer
}

/// What became of the files' parts, in a line for each file; nothing where all is kept.
fn summary(remarks: &[seed::Remark]) -> Vec<String> {
    let mut files: Vec<&str> = Vec::new();
    for remark in remarks {
        if !files.contains(&remark.origin.as_str()) {
            files.push(&remark.origin);
        }
    }
    let line = |file: &&str| {
        let count = |fate: Fate| {
            let of_file = remarks.iter().filter(|r| r.origin == *file);
            of_file.filter(|r| r.fate == fate).count()
        };
        let (changed, dropped) = (count(Fate::Changed), count(Fate::Dropped));
        (changed + dropped > 0).then(|| {
            format!(
                "{file}: not all in it means what it did: {changed} changed, {dropped} dropped (--verbose tells which)"
            )
        })
    };
    files.iter().filter_map(line).collect()
}

/// What the call is about, as far as the file and the scenarios tell.
struct Prepared {
    config: Config,
    names: Vec<String>,
    options: Options,
    fleet: seed::Fleet,
    runs: seed::Runs,
    remarks: Vec<seed::Remark>,
}

fn prepare(args: &Args, config: Config) -> Result<Prepared, Errors> {
    let options = Options {
        test: args.test.clone(),
        variables: variables(&config, &args.variables)?,
        steps: StepRange {
            from: args.from.clone(),
            until: args.until.clone(),
        },
        video: args.record_session.then_some(VideoSettings {
            max_pictures_per_second: args.record_fps,
        }),
        timeout_seconds: args
            .timeout
            .map(|seconds| if seconds == 0 { DAY as u32 } else { seconds }),
        call: Some(format!("{:05x}", rand::random::<u32>() & 0xf_ffff)),
        kept: BTreeSet::new(),
    };
    let vms = config.choose(&args.vms)?;
    let fleet = seed::fleet(&config, &vms)?;
    let runs = seed::runs(&config, &vms, &options, &|_| Machine::Own)?;
    let mut remarks = config.remarks.clone();
    remarks.extend(fleet.remarks.clone());
    remarks.extend(imported(&runs.loaded));
    Ok(Prepared {
        names: args.vms.clone(),
        config,
        options,
        fleet,
        runs,
        remarks,
    })
}

impl Prepared {
    /// The runs with what is known of the control plane.
    fn runs_on(&self, machine: &dyn Fn(&Vm) -> Machine, kept: BTreeSet<String>) -> Result<seed::Runs, Errors> {
        let vms = self.config.choose(&self.names)?;
        let options = Options {
            kept,
            ..self.options.clone()
        };
        seed::runs(&self.config, &vms, &options, machine)
    }

    /// What is applied besides Secrets, in the order in which it is.
    fn objects(&self, runs: &seed::Runs) -> anyhow::Result<Vec<DynamicObject>> {
        let mut out = vec![object(&self.fleet.cluster)?];
        if let Some(vision) = &self.fleet.vision {
            out.push(object(vision)?);
        }
        for run in &runs.runs {
            out.push(object(run)?);
        }
        Ok(out)
    }
}

pub(super) fn documents(objects: &[DynamicObject]) -> Vec<Document> {
    let document = |o: &DynamicObject| Document {
        place: place(o),
        body: Body::Object(Box::new(o.clone())),
    };
    objects.iter().map(document).collect()
}

/// What an object of ours is called where something is wrong with it.
fn place(o: &DynamicObject) -> String {
    format!("{} {}", apply::kind_of(o), o.name_any())
}

async fn carry_out(args: &Args, client: &Client, namespace: &str, prepared: &Prepared) -> anyhow::Result<u8> {
    let standing = match standing(client, namespace, prepared).await? {
        Ok(standing) => standing,
        Err(wrong) => {
            eprintln!("{wrong}");
            return Ok(exit::INVALID);
        }
    };
    let machine = |vm: &Vm| match standing.contains(&vm.name) {
        true => Machine::Standing,
        false => Machine::Own,
    };
    let kept = kept(args, client, namespace, prepared).await;
    let made = match prepared.runs_on(&machine, kept) {
        Ok(made) => made,
        Err(errors) => {
            tell_errors(&errors, Form::Text);
            return Ok(exit::INVALID);
        }
    };
    let (mut secrets, mut wrong) = (Vec::new(), Vec::new());
    for need in &prepared.fleet.needs {
        match find_or_make(args, client, namespace, need).await {
            Ok(made) => secrets.extend(made),
            Err(text) => wrong.push(text),
        }
    }
    let mut inputs = Vec::new();
    for need in &made.needs {
        match secret(need) {
            Ok(secret) => inputs.push((place_of_secret(&secret), object(&secret)?)),
            Err(why) => wrong.push(format!(
                "{why}; or make Secret {namespace}/{} with the value on a cluster that you name (docs/migration.md)",
                seed::standing_secret(&prepared.config)
            )),
        }
    }
    let mut objects: Vec<(String, DynamicObject)> = Vec::new();
    for secret in &secrets {
        objects.push((place_of_secret(secret), object(secret)?));
    }
    objects.extend(inputs.clone());
    objects.extend(prepared.objects(&made)?.into_iter().map(|o| (place(&o), o)));
    if wrong.is_empty() {
        wrong = missing::missing(client, namespace, &objects).await;
    }
    if !wrong.is_empty() {
        wrong.iter().for_each(|p| eprintln!("{p}"));
        return Ok(exit::INVALID);
    }
    objects.retain(|(_, o)| !inputs.iter().any(|(_, i)| i == o));
    let is_run = |o: &DynamicObject| apply::kind_of(o) == "FunctionalTestRun";
    let (runs, rest): (Vec<_>, Vec<_>) = objects.into_iter().partition(|(_, o)| is_run(o));
    for (place, object) in &rest {
        match apply::apply(client, namespace, object).await {
            Ok(stored) => println!(
                "{}/{} applied",
                apply::kind_of(object).to_lowercase(),
                stored.name_any()
            ),
            Err(ApplyError::Invalid(message)) => {
                eprintln!("{place}: {message}");
                return Ok(exit::INVALID);
            }
            Err(ApplyError::Other(e)) => return Err(e.context(place.clone())),
        }
    }
    let runs: Vec<Job> = runs
        .into_iter()
        .map(|(place, run)| Job {
            inputs: made_for(&inputs, &run),
            place,
            run,
        })
        .collect();
    let width = runs.iter().map(|job| job.run.name_any().len()).max().unwrap_or(0);
    let order: Vec<String> = runs.iter().map(|job| job.run.name_any()).collect();
    let mut ended: Vec<Ended> = futures::stream::iter(&runs)
        .map(|job| one_run(client, namespace, job, width))
        .buffer_unordered(args.parallel.into())
        .collect()
        .await;
    let position = |e: &Ended| order.iter().position(|n| *n == e.name);
    ended.sort_by_key(position);
    let done: Vec<FunctionalTestRun> = ended.iter().filter_map(|e| e.run.clone()).collect();
    if !done.is_empty() {
        print!("\n{}", follow::table(&done));
    }
    Ok(follow::exit_code(ended.iter().map(|e| e.result)))
}

/// How a run of this call ended, if it did.
struct Ended {
    name: String,
    run: Option<FunctionalTestRun>,
    result: Option<RunResult>,
}

/// A run, and the Secret of its inputs where it has one of its own.
struct Job {
    place: String,
    run: DynamicObject,
    inputs: Option<DynamicObject>,
}

/// The Secret among these that a run refers to.
fn made_for(inputs: &[(String, DynamicObject)], run: &DynamicObject) -> Option<DynamicObject> {
    let wanted = run.data.pointer("/spec/secretVariables").and_then(Value::as_array)?;
    let named = |o: &DynamicObject| {
        let name = o.name_any();
        wanted
            .iter()
            .any(|v| v.pointer("/secretKeyRef/name").and_then(Value::as_str) == Some(&name))
    };
    inputs.iter().map(|(_, o)| o).find(|o| named(o)).cloned()
}

/// The Secret goes when the run goes.
async fn belongs_to(client: &Client, namespace: &str, secret: &str, run: &DynamicObject) -> Result<(), kube::Error> {
    let types = run.types.clone().unwrap_or_default();
    let owner = json!([{
        "apiVersion": types.api_version, "kind": types.kind, "name": run.name_any(), "uid": run.uid(),
    }]);
    let patch = Patch::Merge(json!({"metadata": {"ownerReferences": owner}}));
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    api.patch(secret, &PatchParams::default(), &patch).await.map(|_| ())
}

/// One run from its beginning to its end. What goes wrong with it does not end the others.
async fn one_run(client: &Client, namespace: &str, job: &Job, width: usize) -> Ended {
    let place = &job.place;
    let ended = |run: Option<FunctionalTestRun>, result| Ended {
        name: job.run.name_any(),
        run,
        result,
    };
    let failed = |place: &str, error: ApplyError| match error {
        ApplyError::Invalid(message) => {
            eprintln!("{place}: {message}");
            ended(None, Some(RunResult::Invalid))
        }
        ApplyError::Other(e) => {
            eprintln!("{place}: {}", super::told(&e));
            ended(None, None)
        }
    };
    if let Some(inputs) = &job.inputs
        && let Err(e) = apply::apply(client, namespace, inputs).await
    {
        return failed(&format!("Secret {}", inputs.name_any()), e);
    }
    let stored = match apply::apply(client, namespace, &job.run).await {
        Ok(stored) => stored,
        Err(e) => return failed(place, e),
    };
    if let Some(inputs) = &job.inputs
        && let Err(e) = belongs_to(client, namespace, &inputs.name_any(), &stored).await
    {
        eprintln!("Secret {} stays when its run is deleted: {e}", inputs.name_any());
    }
    println!("functionaltestrun/{} applied", stored.name_any());
    let key = (stored.namespace().unwrap_or_default(), stored.name_any());
    match follow::follow_in(client, &[key], width).await {
        Ok(mut done) => {
            let run = done.pop();
            let result = run.as_ref().and_then(|r| r.status.as_ref()?.result);
            ended(run, result)
        }
        Err(e) => {
            eprintln!("{place}: {}", super::told(&e));
            ended(None, None)
        }
    }
}

/// The VMs that a ProxmoxVM of their name has already, as after `mosdat convert | kubectl apply`: runs use that one, since a
/// machine of their own would wait for it for ever.
async fn standing(
    client: &Client,
    namespace: &str,
    prepared: &Prepared,
) -> anyhow::Result<Result<Vec<String>, String>> {
    let api: Api<ProxmoxVM> = Api::namespaced(client.clone(), namespace);
    let mut out = Vec::new();
    for vm in prepared.config.choose(&prepared.names)? {
        let Some(there) = api.get_opt(&vm.name).await? else {
            continue;
        };
        let vmid = there.spec.source.adopt.as_ref().map(|a| a.vmid);
        if vmid != Some(vm.vmid) || there.spec.cluster_ref.name != prepared.fleet.cluster.name_any() {
            return Ok(Err(format!(
                "ProxmoxVM {namespace}/{} is another machine than VM {} of {}: give it another name, or use another namespace (-n)",
                vm.name, vm.vmid, prepared.config.origin
            )));
        }
        println!(
            "proxmoxvm/{} is there: the run uses it as it is, without a rollback",
            vm.name
        );
        out.push(vm.name.clone());
    }
    Ok(Ok(out))
}

fn place_of_secret(secret: &Secret) -> String {
    format!("Secret {}", secret.name_any())
}

/// Keys of secret inputs that are taken from the Secret which somebody made for this file: on a cluster that the person
/// named all that it has; else those whose value is not to be had here.
async fn kept(args: &Args, client: &Client, namespace: &str, prepared: &Prepared) -> BTreeSet<String> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    // Who may not read it leaves it to the controller, as `mosdat run` does.
    let there = match api.get_opt(&seed::standing_secret(&prepared.config)).await {
        Ok(there) => Some(there.and_then(|s| s.data).unwrap_or_default()),
        Err(_) => None,
    };
    let wanted = prepared.runs.needs.iter().flat_map(|n| &n.keys);
    let kept = wanted.filter(|(key, wanted)| {
        let here = value(key, wanted).is_ok();
        match &there {
            Some(there) => there.contains_key(key) && (args.cluster.named() || !here),
            None => !here,
        }
    });
    kept.map(|(key, _)| key.clone()).collect()
}

/// The Secret to apply. On a cluster that the person named, what is there is somebody's, and stays as it is.
async fn find_or_make(args: &Args, client: &Client, namespace: &str, need: &Need) -> Result<Option<Secret>, String> {
    let made = secret(need);
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let there = match api.get_opt(&need.secret).await {
        Ok(there) => there.and_then(|s| s.data).unwrap_or_default(),
        // Who may not read it leaves it to the controller, as `mosdat run` does.
        Err(_) if made.is_err() => return Ok(None),
        Err(e) => return Err(format!("Secret {namespace}/{} cannot be looked up: {e}", need.secret)),
    };
    let whole = need.keys.iter().all(|(key, _)| there.contains_key(key));
    match made {
        _ if whole && args.cluster.named() => Ok(None),
        Err(_) if whole => Ok(None),
        Err(why) => Err(format!("Secret {namespace}/{} cannot be made: {why}", need.secret)),
        Ok(mut made) => {
            if args.cluster.named() {
                made.data.get_or_insert_default().extend(there);
            }
            Ok(Some(made))
        }
    }
}
