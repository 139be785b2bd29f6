//! The command line: one file per command, each with its arguments and a thin `run()`.
//!
//! Every command answers with an exit code from [`exit`]; an `Err` is printed in one line and counts as
//! infrastructure.

mod apply;
mod bundle;
mod check;
mod controller;
mod convert;
mod crds;
mod doctor;
mod files;
mod follow;
mod foresee;
mod functional;
mod help;
mod import;
mod kinds;
mod lab;
mod lint;
mod list_vms;
mod local;
mod machine;
mod missing;
mod nodes;
mod old_flags;
mod preflight;
mod provider;
mod replay;
mod report;
mod run;
mod schema;
mod seed;
mod session;
mod steps;
mod trace;
mod up;
mod validate;
mod visual;
mod vnc;

use clap::{Parser, Subcommand, ValueEnum};

/// Exit codes, the same for every command that gives a verdict.
pub mod exit {
    /// Everything held.
    pub const PASSED: u8 = 0;
    /// The product failed a check.
    pub const FAILED: u8 = 1;
    /// The infrastructure failed; nothing is said about the product.
    pub const INFRASTRUCTURE: u8 = 2;
    /// The input is wrong; no VM ran.
    pub const INVALID: u8 = 3;
}

/// Tests desktop applications where they really run: on virtual machines with a real desktop.
#[derive(Parser)]
#[command(name = "mosdat", version, about)]
pub struct Cli {
    /// What is logged, in the form of `tracing` filters, such as `info,mosdat=debug`.
    #[arg(
        long,
        global = true,
        env = "MOSDAT_LOG",
        // What the client says there it also answers, and that is told in the command's own words.
        default_value = "warn,kube_client::client::builder=off",
        value_name = "FILTER"
    )]
    pub log: String,
    /// Form of the log.
    #[arg(long, global = true, env = "MOSDAT_LOG_FORMAT", default_value = "pretty")]
    pub log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

/// Form of the log on standard error.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything on this machine: Kubernetes API, controller, lab, page.
    Up(up::Args),
    /// Apply manifests or scenario files, follow their runs, and answer with the verdict.
    Run(run::Args),
    /// Tell what is allowed in a scenario and still likely a mistake.
    Lint(lint::Args),
    /// Check scenario files and manifests without touching anything.
    Validate(validate::Args),
    /// Print scenarios with the routines and files that they take from beside them, for `kubectl apply`.
    Bundle(bundle::Args),
    /// Print a scenario of the predecessor in this language, and what became of each part of it.
    Import(import::Args),
    /// Run a test on VMs of the predecessor's TOML file, and answer with the verdict.
    // Its many words must not make every command's arguments as large.
    Functional(Box<functional::Args>),
    /// Print the resources that stand for the predecessor's TOML file, and what became of each key of it.
    Convert(convert::Args),
    /// List the VMs of the predecessor's TOML file.
    ListVms(list_vms::Args),
    /// Look whether a test of the predecessor's TOML file could run; changes nothing.
    Preflight(preflight::Args),
    /// Make report.html and junit.xml anew from the log of a run, and tell the verdict.
    Report(report::Args),
    /// Print the schema of the scenario language, for editors.
    Schema(schema::Args),
    /// Run the controller against a Kubernetes cluster.
    Controller(controller::Args),
    /// The built-in lab: virtual machines on this machine behind a Proxmox-compatible API.
    Lab(lab::Args),
    /// Look at a VNC screen and work with it by hand.
    Vnc(vnc::Args),
    /// Make and check reference images, and put them into manifests.
    Visual(visual::Args),
    /// Look at what a run has left: open it, print it, turn it into another form.
    Trace(trace::Args),
    /// Ask again what a step of a run asked about its picture, or something else.
    Replay(replay::Args),
    /// Print the elements that the programs on a VM's desktop tell, as a scenario names them.
    Nodes(nodes::Args),
    /// Look whether what mosdat needs is there, on this machine and in the cluster; changes nothing.
    Doctor(doctor::Args),
    /// Print the custom resource definitions.
    Crds(crds::CrdsArgs),
    /// Print the RBAC rules that the controller needs.
    Rbac(crds::RbacArgs),
    /// Print the completion script of a shell.
    Completion(help::CompletionArgs),
    /// Print the manual page, or write one for each command.
    Man(help::ManArgs),
}

/// Sets up logging to standard error. A filter that does not parse is named and replaced by `info`.
pub fn telemetry(args: &Cli) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_new(&args.log).unwrap_or_else(|e| {
        eprintln!("mosdat: --log {}: {e}; using 'info'", args.log);
        EnvFilter::new("info")
    });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // A second subscriber in one process (tests) is not an error worth stopping for.
    let _ = match args.log_format {
        LogFormat::Pretty => builder.compact().try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// Carries the command out and returns the process's exit code.
pub async fn dispatch(args: Cli) -> anyhow::Result<u8> {
    match args.command {
        Command::Up(a) => up::run(a).await,
        Command::Run(a) => run::run(a).await,
        Command::Lint(a) => lint::run(a).await,
        Command::Validate(a) => validate::run(a).await,
        Command::Bundle(a) => bundle::run(a),
        Command::Import(a) => import::run(a),
        Command::Functional(a) => functional::run(*a).await,
        Command::Convert(a) => convert::run(a),
        Command::ListVms(a) => list_vms::run(a),
        Command::Preflight(a) => preflight::run(a).await,
        Command::Report(a) => report::run(a),
        Command::Schema(a) => schema::run(a),
        Command::Controller(a) => controller::run(a).await,
        Command::Lab(a) => lab::run(a).await,
        Command::Vnc(a) => vnc::run(a).await,
        Command::Visual(a) => visual::run(a).await,
        Command::Trace(a) => trace::run(a),
        Command::Replay(a) => replay::run(a).await,
        Command::Nodes(a) => nodes::run(a).await,
        Command::Doctor(a) => doctor::run(a).await,
        Command::Crds(a) => crds::crds(a),
        Command::Rbac(a) => crds::rbac(a),
        Command::Completion(a) => help::completion(a),
        Command::Man(a) => help::man(a),
    }
}

/// Who reads the output may leave before its end (`mosdat ... | head`): the command ends then, without a word of panic.
/// It unwinds as with any panic, so that what runs is stopped.
pub fn reader_may_leave() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        if !(text.starts_with("failed printing to std") && text.contains("Broken pipe")) {
            usual(info);
        }
    }));
}

/// An error with its causes, on one line; what a message has told already is not told again.
pub fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(|cause| plain(&cause.to_string())) {
        if !text.ends_with(&cause) {
            text += if text.is_empty() { "" } else { ": " };
            text += &cause;
        }
    }
    text
}

/// A message without the number that the system's errors end with: `(os error 2)` tells a person nothing.
pub fn plain(text: &str) -> String {
    let mut out = text.to_string();
    while let Some(from) = out.find(" (os error ") {
        let Some(to) = out[from..].find(')') else { break };
        out.replace_range(from..=from + to, "");
    }
    out.replace("No such file or directory", "no such file or folder")
}

/// Resolves when the person or the system asks the process to end.
pub(crate) async fn shutdown_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let ctrl_c = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut term) => tokio::select! { _ = ctrl_c => {}, _ = term.recv() => {} },
        Err(_) => {
            let _ = ctrl_c.await;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cause_is_told_once() {
        let inner = anyhow::anyhow!("reset by peer");
        let error = inner
            .context("the link failed: reset by peer")
            .context("127.0.0.1:5900");
        assert_eq!(super::told(&error), "127.0.0.1:5900: the link failed: reset by peer");
    }

    #[test]
    fn numbers_of_the_system_are_left_out() {
        let text = "cannot read a: No such file or directory (os error 2): b (os error 13)";
        assert_eq!(super::plain(text), "cannot read a: no such file or folder: b");
        assert_eq!(super::plain("x (os error "), "x (os error ");
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        super::Cli::command().debug_assert();
    }
}
