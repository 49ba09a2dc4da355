//! The command line. Flags are defined once, here and in the commands' files; help, man page and completions are made from
//! them. Commands do their work through the same rooms as the running Granary, or ask it on its control socket.
//!
//! Must not know: how any room does its work. Reading order: this file, `start` (run, web, lan), `network` (flags), `reach` (which Granary a
//! command talks to), then one file per command.

mod bench;
mod blocklist;
mod check_record;
mod check_torrent;
mod convert;
mod demo;
mod dhcp_decide;
mod dns_decide;
mod doctor;
mod fetch;
mod follow;
mod get;
mod keep;
mod key_file;
mod keygen;
mod lan;
mod manual;
mod network;
mod openapi;
mod pac;
mod pasted;
mod probe;
mod progress;
mod put;
mod reach;
mod reset_owner;
mod resolve;
mod seed;
mod start;
mod status;

use std::{future::Future, path::PathBuf};

use clap::{Parser, Subcommand};

use crate::fault::Fault;

/// Opens and keeps the BitTorrent web for every device of a home.
#[derive(Parser)]
#[command(
    name = "granary",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
#[command(
    after_help = "Exit codes: 0 done; 1 the work was refused or did not succeed; 2 usage; 3 the data folder is in use; \
    4 damaged or too new data; 5 no permission or port taken."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything in one process, on unprivileged ports
    Run(start::Args),
    /// The web part alone: swarm, sites, gateway and proxy
    Web(start::Args),
    /// The LAN part alone: DNS, DHCP, router advertisements, mDNS
    Lan(lan::Args),
    /// Fetch a site, or one file of it, into a folder
    Fetch(fetch::Args),
    /// Make a torrent of a file or folder and seed it
    Seed(seed::Args),
    /// Show what the running Granary does
    Status(status::Args),
    /// Keep a site: fetch all of it and seed it until it is forgotten
    Keep(keep::Args),
    /// Forget a site and free its space
    Forget(keep::ForgetArgs),
    /// Make a key for an address that can change what it points to
    Keygen(keygen::Args),
    /// Point an address to a torrent, or put another item to the DHT
    Put(put::Args),
    /// Show what the DHT holds under an address, as it is
    Get(get::Args),
    /// Show what an address means now
    Resolve(resolve::Args),
    /// Follow a site that changes: keep it fresh, and its publisher's record alive
    Follow(follow::FollowArgs),
    /// Stop following a site
    Unfollow(follow::UnfollowArgs),
    /// List what is followed
    Feeds(follow::FeedsArgs),
    /// Show what an address opens before anything of it is downloaded
    Preview(follow::PreviewArgs),
    /// Look for what could keep Granary from working
    Doctor(doctor::Args),
    /// Start a second, independent peer that seeds a sample site
    Demo(demo::Args),
    /// Read a torrent file and say whether it is acceptable
    CheckTorrent(check_torrent::Args),
    /// Read a record file and say whether it is acceptable
    CheckRecord(check_record::Args),
    /// Say what the DHCP service would answer to a packet
    DhcpDecide(dhcp_decide::Args),
    /// Spell a key or an infohash in other ways
    Convert(convert::Args),
    /// Print the public key of a seed
    ExtractPubkey(convert::ExtractArgs),
    /// Measure a part of Granary on this machine
    Bench(bench::Args),
    /// The owner's password is forgotten: set up the box again; everything else stays
    ResetOwner(reset_owner::Args),
    /// Compile block lists, or ask whether a name is on one
    Blocklist(blocklist::Args),
    /// Print the proxy auto-config file
    Pac(pac::Args),
    /// Show what the resolver does with one DNS packet
    DnsDecide(dns_decide::Args),
    /// Print the JSON API as an OpenAPI document
    Openapi(openapi::Args),
    /// Print the man page
    Man,
    /// Print shell completions
    Completions(manual::CompletionArgs),
}

impl Cli {
    pub fn run(self) -> Result<(), Fault> {
        match self.command {
            Command::Run(args) => start::run(args, start::Part::All),
            Command::Web(args) => start::run(args, start::Part::Web),
            Command::Lan(args) => lan::command(args),
            Command::Fetch(args) => fetch::run(args),
            Command::Seed(args) => seed::run(args),
            Command::Status(args) => status::run(args),
            Command::Keep(args) => keep::run(args),
            Command::Forget(args) => keep::forget(args),
            Command::Keygen(args) => keygen::run(args),
            Command::Put(args) => put::run(args),
            Command::Get(args) => get::run(args),
            Command::Resolve(args) => resolve::run(args),
            Command::Follow(args) => follow::follow(args),
            Command::Unfollow(args) => follow::unfollow(args),
            Command::Feeds(args) => follow::feeds(args),
            Command::Preview(args) => follow::preview(args),
            Command::Doctor(args) => doctor::run(args),
            Command::Demo(args) => demo::run(args),
            Command::CheckTorrent(args) => check_torrent::run(args),
            Command::CheckRecord(args) => check_record::run(args),
            Command::DhcpDecide(args) => dhcp_decide::run(args),
            Command::Convert(args) => convert::run(args),
            Command::ExtractPubkey(args) => convert::extract(args),
            Command::Bench(args) => bench::run(args),
            Command::ResetOwner(args) => reset_owner::run(args),
            Command::Blocklist(args) => blocklist::run(args),
            Command::Pac(args) => pac::run(args),
            Command::DnsDecide(args) => dns_decide::run(args),
            Command::Openapi(args) => openapi::run(args),
            Command::Man => manual::man(),
            Command::Completions(args) => manual::completions(args),
        }
    }
}

/// Where a command finds its Granary.
#[derive(clap::Args, Clone, Default)]
pub struct Place {
    /// The data folder [default: ~/.local/share/granary]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The control socket of a running Granary [default: DATA/control.sock]
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

/// A PIN as people read it: two groups of four digits.
fn grouped(pin: &str) -> String {
    match pin.split_at_checked(4) {
        Some((one, other)) => format!("{one} {other}"),
        None => pin.into(),
    }
}

/// The runtime every command waits in.
fn wait<T>(work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("granary")
        .build()
        .map_err(|err| Fault::refused(format!("start the runtime: {err}")))?;
    let result = runtime.block_on(work);
    // A blocking store call that is still running must not be cut off, but neither may it keep us for ever.
    runtime.shutdown_timeout(std::time::Duration::from_secs(10));
    result
}

/// `~/.local/share/granary`, as the XDG base directory specification says.
fn default_data() -> Result<PathBuf, Fault> {
    // The one place that asks the environment where a person's files lie.
    #[allow(clippy::disallowed_methods)]
    let from = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    from("XDG_DATA_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("granary"))
        .ok_or_else(|| {
            Fault::usage("neither HOME nor XDG_DATA_HOME is set: give the data folder with --data DIR")
        })
}
