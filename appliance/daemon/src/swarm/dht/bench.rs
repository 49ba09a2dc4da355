//! A net of our nodes in one process, measured: what `granary bench dht` prints. Real sockets on loopback, the same code
//! path as a home's node, only without a store and with the limits per source lifted, since all share one address.

use std::{net::SocketAddr, time::Duration};

use proto::{dht::limits, id::InfoHash};
use serde::Serialize;
use tokio::{net::UdpSocket, time::Instant};

use super::{Config, Dht, Error};
use crate::tasks::Tasks;

const UP_DEADLINE: Duration = Duration::from_secs(30);
const OP_DEADLINE: Duration = Duration::from_secs(10);

/// Milliseconds unless the name says otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    #[serde(rename = "impl")]
    pub implementation: &'static str,
    pub nodes: usize,
    /// Nodes that were there when the net formed and then fell silent, in percent.
    pub dead_percent: usize,
    pub testnet_up_s: f64,
    pub announce_p50: f64,
    pub announce_p99: f64,
    /// Until the first peer is told.
    pub get_peers_p50: f64,
    pub get_peers_p99: f64,
    /// Until the lookup ends.
    pub get_peers_end_p50: f64,
    pub get_peers_end_p99: f64,
    pub cpu_ms_per_op_allnodes: f64,
    pub rss_per_node_mib: f64,
    /// Share of lookups that found the announced peer.
    pub ok_frac: f64,
    pub stored_mean: f64,
}

/// A net on loopback; it ends with its task groups.
pub struct Net {
    pub nodes: Vec<(Dht, Tasks)>,
}

impl Net {
    /// Starts `count` nodes that bootstrap from the first one, and waits until each knows some others.
    pub async fn start(count: usize, tasks: &Tasks) -> Result<Net, Error> {
        let mut nodes: Vec<(Dht, Tasks)> = Vec::new();
        for _ in 0..count {
            let first = nodes
                .first()
                .and_then(|(dht, _)| dht.local_addrs().first().copied());
            let group = tasks.child();
            let dht = Dht::start_with(config(first), None, &group).await?;
            nodes.push((dht, group));
        }
        let wanted = proto::dht::K.min(count.saturating_sub(1));
        let started = Instant::now();
        for (dht, _) in &nodes {
            while dht.stats().good_v4 < wanted && started.elapsed() < UP_DEADLINE {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(Net { nodes })
    }
}

/// A node on loopback without limits per source.
pub fn config(first: Option<SocketAddr>) -> Config {
    let many = 1_000_000_000;
    Config {
        listen_v4: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        listen_v6: None,
        bootstrap: first.iter().map(ToString::to_string).collect(),
        limits: limits::Config {
            queries_per_source_per_sec: 1_000_000,
            queries_burst: 1_000_000,
            unverified_bytes_per_sec: many,
            bytes_per_sec: many,
        },
        ..Config::default()
    }
}

/// `ops` announces, each followed by one lookup from another node.
pub async fn run(count: usize, ops: usize, dead_percent: usize) -> Result<Report, Error> {
    let tasks = Tasks::new();
    let (rss, started) = (rss_mib(), Instant::now());
    let net = Net::start(count + 2, &tasks).await?;
    let testnet_up_s = started.elapsed().as_secs_f64();
    let rss_per_node_mib = (rss_mib() - rss) / (count + 2) as f64;
    let graves = bury(&net, count * dead_percent / 100).await;
    let (writer, reader) = (&net.nodes[count].0, &net.nodes[count + 1].0);

    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    let (mut found, mut stored, cpu) = (0, 0, cpu_ms());
    for n in 0..ops {
        let ih = InfoHash(rand::random());
        let port = 40_000 + (n % 20_000) as u16;
        let begun = Instant::now();
        stored += tokio::time::timeout(OP_DEADLINE, writer.announce(ih, port))
            .await
            .unwrap_or(0);
        times[0].push(begun.elapsed());

        let begun = Instant::now();
        let mut peers = reader.get_peers(ih);
        let mut first = None;
        while let Ok(Some(batch)) = tokio::time::timeout(OP_DEADLINE, peers.recv()).await {
            if batch.iter().any(|peer| peer.port() == port) {
                first.get_or_insert(begun.elapsed());
            }
        }
        times[1].extend(first);
        times[2].push(begun.elapsed());
        found += usize::from(first.is_some());
    }
    let cpu_ms_per_op_allnodes = (cpu_ms() - cpu) / (2 * ops).max(1) as f64;
    drop(graves);
    tasks.stop(Duration::from_secs(5)).await;
    let [
        [announce_p50, announce_p99],
        [get_peers_p50, get_peers_p99],
        [get_peers_end_p50, get_peers_end_p99],
    ] = times.map(|mut times| [0.5, 0.99].map(|part| quantile(&mut times, part)));
    Ok(Report {
        implementation: "granary",
        nodes: count,
        dead_percent,
        testnet_up_s,
        announce_p50,
        announce_p99,
        get_peers_p50,
        get_peers_p99,
        get_peers_end_p50,
        get_peers_end_p99,
        cpu_ms_per_op_allnodes,
        rss_per_node_mib,
        ok_frac: found as f64 / ops.max(1) as f64,
        stored_mean: stored as f64 / ops.max(1) as f64,
    })
}

/// Stops the first `count` nodes and holds their ports with sockets that never answer.
async fn bury(net: &Net, count: usize) -> Vec<UdpSocket> {
    let mut graves = Vec::new();
    for (dht, tasks) in &net.nodes[..count] {
        let addrs = dht.local_addrs();
        tasks.cancel();
        let begun = Instant::now();
        while begun.elapsed() < OP_DEADLINE {
            match UdpSocket::bind(&addrs[..]).await {
                Ok(grave) => {
                    graves.push(grave);
                    break;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }
    graves
}

fn quantile(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    let at = (times.len().saturating_sub(1) as f64 * part) as usize;
    times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

/// CPU time of this process, from the kernel's books.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold spaces; user and system time are the 12th and 13th words after it.
    let words = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = words
        .skip(11)
        .take(2)
        .filter_map(|word| word.parse::<f64>().ok())
        .sum();
    ticks * 1e3 / rustix::param::clock_ticks_per_second() as f64
}

fn rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}
