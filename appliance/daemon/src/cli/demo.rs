//! `granary demo`: a second, independent peer with its own folder and ports, so that everything can be tried on one machine
//! without the Internet. It finds nobody and is found by nobody who is not told its address.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use rustix::process::{Pid, getppid};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

use crate::{config::Config, daemon::Daemon, fault::Fault, publish::bundled};

#[derive(clap::Args)]
pub struct Args {
    /// Its data folder [default: a temporary one that is removed at the end]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where it listens for peers
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen_bt: SocketAddr,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// End when this process, our parent, is gone
    #[arg(long, hide = true, value_name = "PID")]
    parent: Option<u32>,
}

pub fn run(args: Args) -> Result<(), Fault> {
    crate::start_logging("warn")?;
    let temporary = args.data.is_none();
    let data = args
        .data
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("granary-demo-{}", std::process::id())));
    let result = super::wait(serve(args, data.clone()));
    if temporary {
        let _ = std::fs::remove_dir_all(&data);
    }
    result
}

async fn serve(args: Args, data: PathBuf) -> Result<(), Fault> {
    let stop = |kind| signal(kind).map_err(|err| Fault::refused(format!("listen for signals: {err}")));
    let (mut terminate, mut interrupt) = (stop(SignalKind::terminate())?, stop(SignalKind::interrupt())?);
    let daemon = Daemon::alone(Config {
        data,
        bt: args.listen_bt,
        dht: Vec::new(),
        dht_bootstrap: Vec::new(),
        lsd: false,
        upnp: false,
        ..Config::default()
    })
    .await?;
    let seeded = daemon.handles().publish.bundled(&bundled::DEMO).await;
    let ih = match seeded {
        Ok(ih) => ih,
        Err(err) => {
            daemon.stop().await;
            return Err(Fault::refused(format!("seed the sample site: {err}")));
        }
    };
    let peer = daemon.handles().addresses.bt;
    let peer = peer.ok_or_else(|| Fault::refused("the demo peer has no port"))?;
    if args.json {
        println!(
            "{}",
            serde_json::json!({ "infohash": ih.to_string(), "peer": peer })
        );
    } else {
        println!("A peer on {peer} seeds a sample site.");
        println!(
            "Start Granary with --peer {peer}, then open http://{ih}-ih.btlink/ through its proxy, or run"
        );
        println!("  granary fetch {ih} --peer {peer} -o DIR");
    }
    let orphaned = async {
        let parent = args.parent.map(|pid| pid as i32);
        while parent.is_none() || getppid().map(Pid::as_raw_nonzero).map(i32::from) == parent {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = orphaned => {}
    }
    daemon.stop().await;
    Ok(())
}

/// The demo peer as a process of its own, for `granary run --demo`; it ends with us, however we end, because it looks after its
/// parent every second.
pub struct Peer {
    pub infohash: String,
    pub addr: SocketAddr,
    _child: Child,
}

pub async fn start() -> Result<Peer, Fault> {
    let refused = |what: &str| Fault::refused(format!("start the demo peer: {what}"));
    let program = std::env::current_exe().map_err(|err| refused(&err.to_string()))?;
    let mut child = Command::new(program)
        .args(["demo", "--json", "--parent", &std::process::id().to_string()])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|err| refused(&err.to_string()))?;
    let out = child.stdout.take().ok_or_else(|| refused("it has no output"))?;
    let mut line = String::new();
    let mut out = BufReader::new(out.take(4096));
    // A line that does not come in time is a line that says nothing.
    let _ = tokio::time::timeout(Duration::from_secs(60), out.read_line(&mut line)).await;
    let said: serde_json::Value =
        serde_json::from_str(&line).map_err(|_| refused("it did not say its address"))?;
    let addr = said["peer"].as_str().and_then(|addr| addr.parse().ok());
    Ok(Peer {
        infohash: said["infohash"].as_str().unwrap_or_default().into(),
        addr: addr.ok_or_else(|| refused("it did not say its address"))?,
        _child: child,
    })
}
