//! `granary lan`: the LAN half alone, until a signal ends it. One thread: small, and quick to start.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use lan::settings::DhcpMode;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::{probe, start};
use crate::{
    clock::Clock,
    fault::{Exit, Fault},
    health::{self, Health},
    net,
    tasks::Tasks,
};

/// Goodbyes on the LAN are said within it.
const STOP_DEADLINE: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
// `start` has an `Args` too, and clap names groups after structs.
#[group(id = "lan_or_instead")]
pub struct Args {
    #[command(flatten)]
    start: start::Args,
    #[command(subcommand)]
    instead: Option<Instead>,
}

#[derive(clap::Subcommand)]
enum Instead {
    /// Ask which DHCP servers answer on a network, and what they hand out
    Probe(probe::Args),
}

/// Starts the LAN half, or does what stands after the word.
pub fn command(args: Args) -> Result<(), Fault> {
    match args.instead {
        Some(Instead::Probe(args)) => probe::run(args),
        None => start::run(args.start, start::Part::Lan),
    }
}

/// Flags of the LAN half, for `granary lan` and `granary run`.
#[derive(clap::Args, Clone, Default)]
// Clap names a group after its struct, and `network` has a struct of that name too.
#[group(id = "lan")]
pub struct Flags {
    /// Where devices ask for names, UDP and TCP (repeatable)
    #[arg(long, value_name = "ADDR")]
    pub listen_dns: Vec<SocketAddr>,
    /// Where devices ask for names over TLS (repeatable)
    #[arg(long, value_name = "ADDR")]
    pub listen_dot: Vec<SocketAddr>,
    /// Where devices ask for names over HTTPS (repeatable)
    #[arg(long, value_name = "ADDR")]
    pub listen_doh: Vec<SocketAddr>,
    /// DHCP: off, inform (answer nothing but DHCPINFORM) or lease (be the home's server)
    #[arg(long, value_name = "MODE")]
    pub dhcp: Option<String>,
    /// The control socket of the LAN half [default: DATA/lan.sock]
    #[arg(long, value_name = "SOCKET")]
    pub lan_control: Option<PathBuf>,
}

impl Flags {
    /// `granary web` opens nothing of the LAN half: a flag that would do nothing is a mistake.
    pub fn refuse(&self) -> Result<(), Fault> {
        let given = [
            (!self.listen_dns.is_empty(), "--listen-dns"),
            (!self.listen_dot.is_empty(), "--listen-dot"),
            (!self.listen_doh.is_empty(), "--listen-doh"),
            (self.dhcp.is_some(), "--dhcp"),
        ];
        match given.into_iter().find(|(given, _)| *given) {
            None => Ok(()),
            Some((_, flag)) => Err(Fault::usage(format!(
                "{flag} is for `granary lan` and `granary run`. Nothing was started. Leave it out here."
            ))),
        }
    }

    pub fn mode(&self) -> Result<Option<DhcpMode>, Fault> {
        match self.dhcp.as_deref() {
            None => Ok(None),
            Some("off") => Ok(Some(DhcpMode::Off)),
            Some("inform") => Ok(Some(DhcpMode::Inform)),
            Some("lease") => Ok(Some(DhcpMode::Lease)),
            Some(other) => Err(Fault::usage(format!(
                "--dhcp {other:?} is not understood. Nothing was started. Use off, inform or lease."
            ))),
        }
    }
}

/// Runs until SIGTERM or SIGINT; SIGHUP reloads the settings.
pub fn run(args: start::Args) -> Result<(), Fault> {
    let config = args.lan_config()?;
    crate::start_logging(args.log())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|err| Fault::refused(format!("start the runtime: {err}")))?;
    runtime.block_on(serve(args, config))
}

async fn serve(args: start::Args, config: lan::Config) -> Result<(), Fault> {
    let listen = |kind| signal(kind).map_err(|err| Fault::refused(format!("listen for signals: {err}")));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let tasks = Tasks::new();
    let lan = lan::Lan::start(
        config,
        net::inherited(),
        Clock::default(),
        Health::default(),
        &tasks,
    )
    .await?;
    args.announce_lan(&lan.status())?;
    health::say_ready();
    lan.settle();
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                health::say_reloading();
                lan.reload();
                health::say_ready();
            }
        }
    }
    info!("stopping");
    health::say_stopping();
    args.withdraw();
    lan.stop(STOP_DEADLINE).await;
    tasks.stop(STOP_DEADLINE).await;
    info!("stopped");
    Ok(())
}

impl From<lan::Error> for Fault {
    fn from(err: lan::Error) -> Self {
        match err {
            lan::Error::Listen(err) => err.into(),
            err @ lan::Error::InUse(_) => Self::new(
                Exit::InUse,
                format!("{err}. Nothing was started. Choose another one with --lan-control SOCKET."),
            ),
            err @ lan::Error::Control { .. } => Self::new(
                Exit::Denied,
                format!("{err}. Nothing was started. Choose another one with --lan-control SOCKET."),
            ),
        }
    }
}
