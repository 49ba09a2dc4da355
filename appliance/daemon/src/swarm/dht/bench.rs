//! A net of our nodes in one process, measured: what `granary bench dht` prints. Real sockets on loopback, the same code
//! path as a home's node, only without a store and with the limits per source lifted, since all share one address.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use proto::{
    dht::limits,
    id::InfoHash,
    record::{Mutable, torrent_value},
    secret::SecretKey,
};
use serde::Serialize;
use tokio::{net::UdpSocket, time::Instant};

use super::{Config, Dht, Error, Item};
use crate::tasks::Tasks;

const UP_DEADLINE: Duration = Duration::from_secs(30);
const OP_DEADLINE: Duration = Duration::from_secs(10);

/// Milliseconds unless the name says otherwise; for each kind of operation `<kind>_p50` and `<kind>_p99`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    #[serde(rename = "impl")]
    pub implementation: &'static str,
    pub nodes: usize,
    pub ops: usize,
    /// Nodes that were there when the net formed and then fell silent, in percent.
    pub dead_percent: usize,
    pub testnet_up_s: f64,
    /// `put_imm`, `get_imm`, `put_mut`, `get_mut`, `announce`, `get_peers` (until the first peer is told) and
    /// `get_peers_end` (until the lookup ends).
    #[serde(flatten)]
    pub times: BTreeMap<String, f64>,
    /// CPU of all nodes together per put or get of an item, of both kinds and of each; of an announce or lookup of peers.
    pub cpu_ms_per_op_allnodes: f64,
    pub cpu_ms_per_imm_op: f64,
    pub cpu_ms_per_mut_op: f64,
    pub cpu_ms_per_peers_op: f64,
    #[serde(rename = "rss_per_node_MiB")]
    pub rss_per_node_mib: f64,
    /// Share of lookups that found what was put before.
    pub ok_frac: f64,
    /// Nodes that confirmed an announce or put, on average.
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

/// `ops` puts of each kind, each followed by one lookup from another node.
pub async fn run(count: usize, ops: usize, dead_percent: usize) -> Result<Report, Error> {
    let tasks = Tasks::new();
    let (rss, started) = (rss_mib(), Instant::now());
    let net = Net::start(count + 2, &tasks).await?;
    let testnet_up_s = started.elapsed().as_secs_f64();
    let rss_per_node_mib = (rss_mib() - rss) / (count + 2) as f64;
    let graves = bury(&net, count * dead_percent / 100).await;
    let mut series = Series {
        writer: net.nodes[count].0.clone(),
        reader: net.nodes[count + 1].0.clone(),
        times: BTreeMap::new(),
        found: 0,
        stored: 0,
    };
    let (before, mut cpu) = (cpu_ms(), Vec::new());
    for n in 0..ops {
        series.immutable(n).await;
    }
    cpu.push(cpu_ms());
    let secret = SecretKey::from_seed(rand::random());
    for n in 0..ops {
        series.mutable(&secret, n).await;
    }
    cpu.push(cpu_ms());
    for n in 0..ops {
        series.peers(n).await;
    }
    cpu.push(cpu_ms());
    drop(graves);
    tasks.stop(Duration::from_secs(5)).await;
    let per_op = |from: f64, to: f64, kinds: usize| rounded((to - from) / (2 * kinds * ops).max(1) as f64);
    let all = (3 * ops).max(1) as f64;
    Ok(Report {
        implementation: "granary",
        nodes: count,
        ops,
        dead_percent,
        testnet_up_s: rounded(testnet_up_s),
        cpu_ms_per_op_allnodes: per_op(before, cpu[1], 2),
        cpu_ms_per_imm_op: per_op(before, cpu[0], 1),
        cpu_ms_per_mut_op: per_op(cpu[0], cpu[1], 1),
        cpu_ms_per_peers_op: per_op(cpu[1], cpu[2], 1),
        rss_per_node_mib: rounded(rss_per_node_mib),
        ok_frac: series.found as f64 / all,
        stored_mean: rounded(series.stored as f64 / all),
        times: series.quantiles(),
    })
}

/// One node puts, another one looks for it.
struct Series {
    writer: Dht,
    reader: Dht,
    times: BTreeMap<&'static str, Vec<Duration>>,
    found: usize,
    stored: usize,
}

impl Series {
    async fn immutable(&mut self, n: usize) {
        let text = format!("value {n} {}", std::process::id());
        let item = Item::Immutable(format!("{}:{text}", text.len()).into_bytes());
        self.item(item, ["put_imm", "get_imm"], b"", Instant::now()).await;
    }

    /// Signing belongs to the put.
    async fn mutable(&mut self, secret: &SecretKey, n: usize) {
        let (salt, begun) = (format!("salt {n}"), Instant::now());
        let value = torrent_value(&InfoHash([n as u8; 20]));
        if let Ok(item) = Mutable::sign(secret, salt.as_bytes(), 1, &value) {
            let item = Item::Mutable(item);
            self.item(item, ["put_mut", "get_mut"], salt.as_bytes(), begun)
                .await;
        }
    }

    async fn item(&mut self, item: Item, [put, get]: [&'static str; 2], salt: &[u8], begun: Instant) {
        let target = item.target();
        self.stored += self.writer.put_item(item.clone(), None).await.stored;
        self.took(put, begun);
        let begun = Instant::now();
        let got = self.reader.get_item(target, salt, None).await;
        self.took(get, begun);
        self.found += usize::from(got.item == Some(item));
    }

    async fn peers(&mut self, n: usize) {
        let ih = InfoHash(rand::random());
        let port = 40_000 + (n % 20_000) as u16;
        let begun = Instant::now();
        let announce = tokio::time::timeout(OP_DEADLINE, self.writer.announce(ih, port));
        self.stored += announce.await.unwrap_or(0);
        self.took("announce", begun);

        let begun = Instant::now();
        let mut peers = self.reader.get_peers(ih);
        let mut found = false;
        while let Ok(Some(batch)) = tokio::time::timeout(OP_DEADLINE, peers.recv()).await {
            if !found && batch.iter().any(|peer| peer.port() == port) {
                self.took("get_peers", begun);
                found = true;
            }
        }
        self.took("get_peers_end", begun);
        self.found += usize::from(found);
    }

    fn took(&mut self, kind: &'static str, begun: Instant) {
        self.times.entry(kind).or_default().push(begun.elapsed());
    }

    fn quantiles(self) -> BTreeMap<String, f64> {
        let mut all = BTreeMap::new();
        for (kind, mut times) in self.times {
            for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
                all.insert(format!("{kind}_{name}"), rounded(quantile(&mut times, part)));
            }
        }
        all
    }
}

/// To thousandths: more digits would only pretend.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
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
pub fn cpu_ms() -> f64 {
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
