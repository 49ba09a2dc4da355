//! `granary`: flags, logging, signals, exit code. What each command does stands in `cli`, what a running Granary is made of in
//! `daemon.rs`.

mod admin;
mod api;
mod arrangement;
mod blocklists;
mod claim;
mod cli;
mod config;
mod control;
mod daemon;
mod db;
mod fault;
mod feeds;
mod gateway;
mod health;
mod home;
mod journal;
mod links;
mod publish;
mod sharing;
mod sites;
mod swarm;
mod web;

use std::process::ExitCode;

use clap::Parser;
use house::{clock, net, tasks};
use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, util::SubscriberInitExt};

fn main() -> ExitCode {
    // Two TLS users in one process must agree on a provider before either of them starts.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = cli::Cli::parse();
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("granary: {fault}");
            ExitCode::from(fault.exit as u8)
        }
    }
}

/// The fetch engine calls a peer that hangs up an error, and names what a household opens. A filter may say otherwise: the
/// later word about a module counts.
const QUIET: &str = "librqbit=error,librqbit_core=off,librqbit_utp=error";

/// Logs to stderr, so that stdout belongs to the answer of a command.
fn start_logging(filter: &str) -> Result<(), fault::Fault> {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}"))
        .map_err(|err| fault::Fault::usage(format!("--log {filter:?} is not understood: {err}")))?;
    let stamped =
        sd_notify::booted().unwrap_or(false) && !std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // systemd's journal stamps every line itself.
    let lines = match stamped {
        true => lines.without_time().with_filter(filter).boxed(),
        false => lines.with_filter(filter).boxed(),
    };
    let clock = clock::Clock::default();
    let kept = journal::Journal::global().layer(move || clock.now_secs());
    tracing_subscriber::registry().with(lines).with(kept).init();
    Ok(())
}
