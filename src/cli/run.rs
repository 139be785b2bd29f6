//! `mosdat run FILE...`: apply, follow, answer with the verdict.

use super::apply::{self, ApplyError, Body};
use super::session::{ClusterArgs, Session};
use super::{check, exit, follow, foresee, local, missing, shutdown_signal};
use kube::ResourceExt;
use kube::api::DynamicObject;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Manifests, scenario files, or folders of them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Namespace for objects that name none.
    #[arg(long, short = 'n')]
    namespace: Option<String>,
    /// Folder of `mosdat up`; if none runs there, everything is started for this call.
    #[arg(long, default_value = ".mosdat", env = "MOSDAT_STATE")]
    state: PathBuf,
    /// ProxmoxCluster for stand-alone scenario files.
    #[arg(long, default_value = local::LAB)]
    on_cluster: String,
    /// Template to clone for stand-alone scenario files.
    #[arg(long, default_value = "desktop")]
    template: String,
    /// Value of an input, for all runs in the files. Those of secret inputs come by a run's `secretVariables`.
    #[arg(long = "var", value_name = "KEY=VALUE", value_parser = super::functional::variable)]
    variables: Vec<(String, String)>,
    /// Begin with this step or phase of the test; set-up and cleanup run all the same.
    #[arg(long, value_name = "STEP")]
    from: Option<String>,
    /// End with this step or phase of the test.
    #[arg(long, value_name = "STEP")]
    until: Option<String>,
    /// Make a video of each session, with at most so many pictures a second: `video.webm` beside the report.
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "10", value_parser = clap::value_parser!(u32).range(1..=30))]
    video: Option<u32>,
}

impl Args {
    /// The problem with the name of the flag that it is about, where it is about one.
    fn with_flag(&self, problem: &str) -> String {
        let steps = [("from", &self.from), ("until", &self.until)];
        for (member, _) in steps.iter().filter(|(_, given)| given.is_some()) {
            if let Some((place, rest)) = problem.split_once(&format!(": {member}: ")) {
                return format!("{place}: --{member}: {rest}");
            }
        }
        for (name, _) in &self.variables {
            if let Some((place, rest)) = problem.split_once(&format!(": unknown input '{name}'")) {
                return format!("{place}: --var: unknown input '{name}'{rest}");
            }
        }
        problem.to_string()
    }
}

pub async fn run(args: Args) -> anyhow::Result<u8> {
    let apply::Read {
        documents,
        mut problems,
        ..
    } = apply::read(&args.files, false);
    // Refused before anything is touched, and all at once. What is not judged here has to have a name all the same.
    problems.extend(check::problems(&documents).await?);
    problems.extend(documents.iter().filter_map(|d| match &d.body {
        Body::Object(o) if apply::is_nameless(o) => Some(format!("{}: metadata.name is missing", d.place)),
        _ => None,
    }));
    if problems.is_empty() && !check::has_run(&documents) {
        problems
            .push("no FunctionalTestRun and no stand-alone scenario in these files, so there is nothing to run".into());
    }
    if !problems.is_empty() {
        problems.iter().for_each(|p| eprintln!("{p}"));
        return Ok(exit::INVALID);
    }
    let mut objects: Vec<(String, DynamicObject)> = Vec::new();
    for d in documents {
        let mut object = match d.body {
            Body::Object(o) => *o,
            Body::Routines => continue,
            Body::Scenario(s) => apply::run_of(*s, &args.on_cluster, &args.template)?,
        };
        if is_run(&object) {
            for (key, step) in [("from", &args.from), ("until", &args.until)] {
                let Some(step) = step else { continue };
                // What has another form is refused by the API server, in its words.
                if object.data["spec"].is_object() && !object.data["spec"]["steps"].is_array() {
                    object.data["spec"]["steps"][key] = step.as_str().into();
                }
            }
            for (key, value) in &args.variables {
                if object.data["spec"].is_object() && !object.data["spec"]["variables"].is_array() {
                    object.data["spec"]["variables"][key] = value.as_str().into();
                }
            }
            // What has another form has been refused above.
            if let Some(most) = args.video {
                object.data["spec"]["evidence"]["video"]["maxPicturesPerSecond"] = most.into();
            }
        }
        objects.push((d.place, object));
    }
    // What runs refer to comes before the runs, whatever the order in the files.
    objects.sort_by_key(|(_, o)| is_run(o));
    let problems = foresee::problems(&objects, args.namespace.as_deref());
    if !problems.is_empty() {
        problems.iter().for_each(|p| eprintln!("{}", args.with_flag(p)));
        return Ok(exit::INVALID);
    }

    let mut session = Session::open(&args.cluster, &args.state).await?;
    let (client, afterwards) = (session.client.clone(), session.afterwards());
    let namespace = args.namespace.unwrap_or_else(|| session.namespace.clone());
    let missing = missing::missing(&client, &namespace, &objects).await;
    if !missing.is_empty() {
        missing.iter().for_each(|p| eprintln!("{p}"));
        session.close().await;
        return Ok(exit::INVALID);
    }
    let answer = tokio::select! {
        r = apply_and_follow(&client, &namespace, &objects) => r,
        () = shutdown_signal() => {
            eprintln!("mosdat: interrupted; {afterwards}");
            Ok(exit::INFRASTRUCTURE)
        }
        error = session.broken() => Err(error),
    };
    session.close().await;
    answer
}

fn is_run(o: &DynamicObject) -> bool {
    apply::kind_of(o) == "FunctionalTestRun"
}

async fn apply_and_follow(
    client: &kube::Client,
    namespace: &str,
    objects: &[(String, DynamicObject)],
) -> anyhow::Result<u8> {
    let mut runs = Vec::new();
    for (place, object) in objects {
        match apply::apply(client, namespace, object).await {
            Ok(stored) => {
                let kind = apply::kind_of(object).to_lowercase();
                println!("{kind}/{} applied", stored.name_any());
                if is_run(object) {
                    runs.push((stored.namespace().unwrap_or_default(), stored.name_any()));
                }
            }
            Err(ApplyError::Invalid(message)) => {
                eprintln!("{place}: {message}");
                return Ok(exit::INVALID);
            }
            Err(ApplyError::Other(e)) => return Err(e.context(format!("{place}: {}", object.name_any()))),
        }
    }
    let done = follow::follow(client, &runs).await?;
    if !done.is_empty() {
        print!("\n{}", follow::table(&done));
    }
    Ok(follow::exit_code(
        done.iter().map(|r| r.status.as_ref().and_then(|s| s.result)),
    ))
}
