//! Entry point: parse, set up telemetry and TLS, dispatch; nothing else.

use clap::Parser;
use mosdat::cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::reader_may_leave();
    let args = match cli::Cli::try_parse() {
        Ok(args) => args,
        Err(e) => {
            let _ = e.print();
            // Help and version come this way too. clap's own code for wrong input is 2, which stands for infrastructure.
            return ExitCode::from(if e.use_stderr() {
                cli::exit::INVALID
            } else {
                cli::exit::PASSED
            });
        }
    };
    cli::telemetry(&args);
    // One TLS provider for the whole process, before anything can ask for one. An error means that one is installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(r) => r,
        Err(e) => {
            eprintln!("mosdat: cannot start worker threads: {e}");
            return ExitCode::from(cli::exit::INFRASTRUCTURE);
        }
    };
    let code = match runtime.block_on(cli::dispatch(args)) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("mosdat: {}", cli::told(&e));
            cli::exit::INFRASTRUCTURE
        }
    };
    // A blocking task (a DNS look-up, a file) must not hold the exit up.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    ExitCode::from(code)
}
