//! `granary run | web | lan`: flags over file over defaults, then the daemon until a signal ends it.

use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::demo;
use crate::{
    api::Addresses,
    config::{self, Config},
    daemon::Daemon,
    fault::{Exit, Fault},
    health,
};

/// Which processes of the house this one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    All,
    Web,
    Lan,
}

#[derive(clap::Args)]
pub struct Args {
    /// The data folder [default: ~/.local/share/granary]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A TOML file; flags override it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where browsers reach sites and the PAC file directly (repeatable; port 0: any)
    #[arg(long, value_name = "ADDR")]
    listen_http: Vec<SocketAddr>,
    /// Where browsers reach the proxy (repeatable)
    #[arg(long, value_name = "ADDR")]
    listen_proxy: Vec<SocketAddr>,
    /// A further address for the household's pages (repeatable)
    #[arg(long, value_name = "ADDR")]
    listen_admin: Vec<SocketAddr>,
    /// The control socket [default: DATA/control.sock]
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    /// The address that the PAC file names as the box
    #[arg(long, value_name = "ADDR")]
    advertise: Option<Ipv4Addr>,
    #[command(flatten)]
    network: super::network::Flags,
    #[command(flatten)]
    lan: super::lan::Flags,
    /// Run our clock ahead of the system's; needs --data with a fresh folder
    #[arg(long, value_name = "SECS", allow_negative_numbers = true)]
    clock_offset: Option<i64>,
    /// Written when everything listens: JSON with the addresses
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
    /// Written at start, removed at the end
    #[arg(long, value_name = "PATH")]
    pidfile: Option<PathBuf>,
    /// Also seed the starter site that comes with the program
    #[arg(long)]
    starter: bool,
    /// Also start `granary demo`, ask its peer, and print what to paste
    #[arg(long)]
    demo: bool,
    #[command(flatten)]
    later: Later,
}

/// Flags of services that this release does not have: refused with a reason instead of "unknown".
#[derive(clap::Args)]
struct Later {
    #[arg(long, hide = true, value_name = "ADDR")]
    listen_https: Vec<String>,
}

pub fn run(args: Args, part: Part) -> Result<(), Fault> {
    args.later.refuse()?;
    if part == Part::Lan {
        return super::lan::run(args);
    }
    let config = args.config()?;
    crate::start_logging(&config.log)?;
    allow_clock_offset(&args, &config.data)?;
    let lan = match part {
        Part::All => Some(args.lan_beside(&config)?),
        _ => args.lan.refuse().map(|()| None)?,
    };
    super::wait(serve(args, config, lan))
}

async fn serve(args: Args, config: Config, lan: Option<lan::Config>) -> Result<(), Fault> {
    let listen = |kind| signal(kind).map_err(|err| Fault::refused(format!("listen for signals: {err}")));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hangup = listen(SignalKind::hangup())?;

    let mut config = config;
    let demo = if args.demo {
        Some(demo::start().await?)
    } else {
        None
    };
    config.peers.extend(demo.iter().map(|peer| peer.addr));
    let daemon = Daemon::start(config, args.starter, lan).await?;
    if let Err(fault) = announce(&args, &daemon) {
        daemon.stop().await;
        return Err(fault);
    }
    welcome(&daemon, demo.as_ref());
    health::say_ready();
    let mut claim = daemon.handles().claim.shown();
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => reload(&args, &daemon).await,
            Ok(()) = claim.changed() => {
                if let Err(fault) = write_ready(&args, &daemon) {
                    tracing::warn!(reason = %fault, "the ready file still shows an old PIN");
                }
            }
        }
    }
    info!("stopping");
    health::say_stopping();
    args.withdraw();
    daemon.stop().await;
    drop(demo);
    info!("stopped");
    Ok(())
}

/// The lines a newcomer pastes.
fn welcome(daemon: &Daemon, demo: Option<&demo::Peer>) {
    let addresses = &daemon.handles().addresses;
    let (Some(proxy), Some(pac), Some(admin)) = (addresses.proxy, &addresses.pac_url, &addresses.admin_url)
    else {
        return;
    };
    let Some(starter) = &addresses.starter else { return };
    println!("\nGranary runs; Ctrl-C stops it. Paste one of these:\n");
    println!("  curl -x http://{proxy} http://{starter}-ih.btlink/");
    println!("  {pac}    as \"automatic proxy configuration URL\" of the browser");
    println!("  {admin}    the household's page");
    if let Some(pin) = daemon.handles().claim.pin() {
        println!(
            "  {admin}claim    to become its owner, with the PIN {}",
            super::grouped(&pin)
        );
    }
    if let Some(peer) = demo {
        println!(
            "\nAn independent peer on {} seeds a sample site that is not here yet:\n",
            peer.addr
        );
        println!("  curl -x http://{proxy} http://{}-ih.btlink/", peer.infohash);
    }
    println!();
}

/// Tells scripts that everything listens. The ready file appears with its whole content or not at all.
fn announce(args: &Args, daemon: &Daemon) -> Result<(), Fault> {
    if let Some(path) = &args.pidfile {
        write_whole(path, &format!("{}\n", std::process::id()))?;
    }
    write_ready(args, daemon)
}

/// Where everything listens, and the PIN while the box waits for an owner: whoever reads this file holds the box.
fn write_ready(args: &Args, daemon: &Daemon) -> Result<(), Fault> {
    let Some(path) = &args.ready_file else {
        return Ok(());
    };
    let handles = daemon.handles();
    let addresses = Addresses {
        claim_pin: handles.claim.pin(),
        ..handles.addresses.as_ref().clone()
    };
    write_whole(path, &format!("{}\n", addresses.to_json()))
}

/// Mode 0600: the ready file holds the PIN.
fn write_whole(path: &Path, text: &str) -> Result<(), Fault> {
    let part = path.with_extension("part");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(&part)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&part, path))
        .map_err(|err| Fault::new(Exit::Denied, format!("write {}: {err}", path.display())))
}

/// SIGHUP: limits of the file take effect at once; what needs a restart is said.
async fn reload(args: &Args, daemon: &Daemon) {
    health::say_reloading();
    match args.config() {
        Ok(config) => daemon.reload(&config),
        Err(fault) => tracing::error!(reason = %fault, "config not reloaded, the old one stays"),
    }
    health::say_ready();
}

impl Args {
    /// Flags over file over defaults, checked whole.
    fn config(&self) -> Result<Config, Fault> {
        let mut config = Config {
            data: match &self.data {
                Some(dir) => dir.clone(),
                None => super::default_data()?,
            },
            ..Config::default()
        };
        if let Some(path) = &self.config {
            let text = fs::read_to_string(path).map_err(|err| {
                Fault::usage(format!("read {}: {err}. Nothing was started.", path.display()))
            })?;
            config = config::parse(&text, &config)
                .map_err(|faults| all_faults(&path.display().to_string(), &faults))?;
        }
        for (given, to) in [
            (&self.listen_http, &mut config.http),
            (&self.listen_proxy, &mut config.proxy),
        ] {
            if !given.is_empty() {
                to.clone_from(given);
            }
        }
        config.http.extend(&self.listen_admin);
        config.advertise = self.advertise.or(config.advertise);
        config.control = self.control.clone().or(config.control);
        config.lan_control = self.lan.lan_control.clone().or(config.lan_control);
        config.clock_offset_secs = self.clock_offset.unwrap_or(0);
        self.network.apply(&mut config);
        let faults = config.faults();
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(all_faults("the command line", &faults))
        }
    }
}

impl Args {
    /// What the LAN half is started with: flags over defaults. Its file is the settings, which the household changes.
    pub fn lan_config(&self) -> Result<lan::Config, Fault> {
        let state = match &self.data {
            Some(dir) => dir.clone(),
            None => super::default_data()?,
        };
        fs::create_dir_all(&state).map_err(|err| {
            Fault::new(
                Exit::Denied,
                format!(
                    "make the folder {}: {err}. Nothing was started. Choose another one with --data DIR.",
                    state.display()
                ),
            )
        })?;
        let or = |given: &[SocketAddr], default: &[SocketAddr]| match given {
            [] => default.to_vec(),
            given => given.to_vec(),
        };
        let http_port = self.listen_http.first().map_or(80, SocketAddr::port);
        Ok(lan::Config {
            settings: self.config.clone(),
            control: self
                .lan
                .lan_control
                .clone()
                .or_else(|| self.control.clone())
                .unwrap_or_else(|| state.join("lan.sock")),
            dns: or(
                &self.lan.listen_dns,
                &[([0, 0, 0, 0], 53).into(), ([0u16; 8], 53).into()],
            ),
            dot: or(&self.lan.listen_dot, &[]),
            doh: or(&self.lan.listen_doh, &[]),
            advertise: self.advertise,
            interfaces: self.network.interface.iter().cloned().collect(),
            upstreams: self
                .network
                .upstream_dns
                .iter()
                .map(ToString::to_string)
                .collect(),
            dhcp: self.lan.mode()?,
            http_port,
            state,
        })
    }

    /// The same for `granary run`: its settings in a file of its own, names on an unprivileged port of this machine.
    fn lan_beside(&self, config: &Config) -> Result<lan::Config, Fault> {
        let mut lan = lan::Config {
            settings: None,
            control: config.lan_socket(),
            advertise: config.advertise,
            ..self.lan_config()?
        };
        if self.lan.listen_dns.is_empty() {
            lan.dns = vec![SocketAddr::from(([127, 0, 0, 1], 42053))];
        }
        // Asked on loopback alone, we are this machine's matter: no network hears of us.
        if lan.interfaces.is_empty() && lan.dns.iter().all(|addr| addr.ip().is_loopback()) {
            lan.interfaces = vec!["lo".into()];
        }
        Ok(lan)
    }

    pub fn log(&self) -> &str {
        self.network.log.as_deref().unwrap_or("info")
    }

    /// Tells scripts where the LAN half listens.
    pub fn announce_lan(&self, status: &lan::api::Status) -> Result<(), Fault> {
        if let Some(path) = &self.pidfile {
            write_whole(path, &format!("{}\n", std::process::id()))?;
        }
        let Some(path) = &self.ready_file else {
            return Ok(());
        };
        let listen = &status.listen;
        let ready = serde_json::json!({
            "pid": status.pid,
            "dns": listen.dns.first(),
            "dot": listen.dot.first(),
            "doh": listen.doh.first(),
        });
        write_whole(path, &format!("{ready}\n"))
    }

    /// The files that [`Args::announce_lan`] wrote are gone.
    pub fn withdraw(&self) {
        for path in [&self.pidfile, &self.ready_file].into_iter().flatten() {
            let _ = fs::remove_file(path);
        }
    }
}

impl Later {
    fn refuse(&self) -> Result<(), Fault> {
        let given = [(!self.listen_https.is_empty(), "--listen-https", "HTTPS")];
        match given.into_iter().find(|(given, ..)| *given) {
            None => Ok(()),
            Some((_, flag, service)) => Err(Fault::usage(format!(
                "{flag}: this release has no {service} service yet. Nothing was started. Leave the flag out."
            ))),
        }
    }
}

fn all_faults(place: &str, faults: &[String]) -> Fault {
    let mut text = format!(
        "{place} has {} fault(s). Nothing was started. Correct:",
        faults.len()
    );
    for fault in faults {
        text += "\n  ";
        text += fault;
    }
    Fault::usage(text)
}

/// A wrong date would be written into every row, so it is only allowed where nothing real can be: a folder named on the
/// command line that is empty or has known no other clock.
fn allow_clock_offset(args: &Args, data: &Path) -> Result<(), Fault> {
    if args.clock_offset.is_none_or(|secs| secs == 0) {
        return Ok(());
    }
    let mark = data.join("clock-offset");
    let fresh = fs::read_dir(data).map_or(true, |mut entries| entries.next().is_none());
    if args.data.is_none() || !(fresh || mark.exists()) {
        return Err(Fault::usage(
            "--clock-offset is for trials: give a fresh folder with --data DIR. Nothing was started.",
        ));
    }
    fs::create_dir_all(data)
        .and_then(|()| fs::write(&mark, "dates in this folder are not real\n"))
        .map_err(|err| Fault::new(Exit::Denied, format!("write {}: {err}", mark.display())))
}
