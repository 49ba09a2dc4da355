//! Other implementations in one net with ours: libtorrent (2-byte transaction ids) and bittorrent-dht of npm. The two scripts lie in `tests/interop/`; `tests/setup.sh` installs what they need.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use proto::id::InfoHash;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{Dht, bench, bench::Net, net_tests::find};
use crate::tasks::Tasks;

const DEADLINE: Duration = Duration::from_secs(30);

/// A foreign node, driven by lines; it is killed when dropped.
struct Foreign {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    addr: SocketAddr,
}

impl Foreign {
    async fn libtorrent(known: SocketAddr) -> Self {
        let mut command = Command::new("/usr/bin/python3");
        command.arg("-B").arg(script("dht_libtorrent.py"));
        Self::start(command, known).await
    }

    async fn npm(known: SocketAddr) -> Self {
        let mut command = Command::new("node");
        command
            .arg(script("dht_npm.mjs"))
            .env("NODE_MODULES", npm_modules());
        Self::start(command, known).await
    }

    async fn start(mut command: Command, known: SocketAddr) -> Self {
        command
            .arg(known.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("tests/setup.sh has installed it");
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped")).lines();
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut foreign = Self {
            _child: child,
            stdin,
            stdout,
            addr,
        };
        let ready = foreign.next_line().await;
        foreign
            .addr
            .set_port(ready["ready"].as_u64().expect("a port") as u16);
        foreign
    }

    async fn next_line(&mut self) -> Value {
        let line = timeout(DEADLINE, self.stdout.next_line()).await.expect("in time");
        serde_json::from_str(&line.expect("readable").expect("it runs")).expect("JSON")
    }

    async fn say(&mut self, line: &str) -> Value {
        self.stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .expect("it runs");
        self.next_line().await
    }

    /// Until the node knows `count` others.
    async fn settle(&mut self, count: u64) {
        let settled = async {
            while self.say("nodes").await["nodes"].as_u64().expect("a number") < count {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(DEADLINE, settled).await.expect("it finds others");
    }

    /// Announces and returns the address it should be found at.
    async fn announce(&mut self, ih: InfoHash, port: u16) -> SocketAddr {
        let said = self.say(&format!("announce {ih} {port}")).await;
        let port = said["port"].as_u64().map_or(port, |own| own as u16);
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// Asks until the peer is found.
    async fn finds(&mut self, ih: InfoHash, peer: SocketAddr) {
        let found = async {
            loop {
                let said = self.say(&format!("find {ih}")).await;
                let peers = said["peers"].as_array().expect("a list").clone();
                if peers
                    .iter()
                    .any(|found| found.as_str() == Some(&peer.to_string()))
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(DEADLINE, found)
            .await
            .expect("the foreign node finds the peer");
    }
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interop")).join(name)
}

fn npm_modules() -> PathBuf {
    // Where tests/setup.sh installs them.
    #[allow(clippy::disallowed_methods)]
    let var = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = var("XDG_CACHE_HOME").or_else(|| var("HOME").map(|home| home.join(".cache")));
    cache.expect("a home").join("granary/npm/node_modules")
}

/// Asks until the peer is found: foreign announces take their time.
pub async fn finds(dht: &Dht, ih: InfoHash, peer: SocketAddr) {
    let found = async {
        while !find(dht, ih).await.contains(&peer) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(DEADLINE, found).await.expect("our node finds the peer");
}

pub fn hash(n: u8) -> InfoHash {
    InfoHash([n.wrapping_mul(37); 20])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_one_net_with_libtorrent_and_npm_everyone_finds_everyone() {
    let tasks = Tasks::new();
    let net = Net::start(12, &tasks).await.expect("started");
    let (first, last) = (&net.nodes[0].0, &net.nodes[11].0);
    let known = first.local_addrs()[0];
    let mut libtorrent = Foreign::libtorrent(known).await;
    let mut npm = Foreign::npm(known).await;
    libtorrent.settle(6).await;
    npm.settle(6).await;

    let theirs = libtorrent.announce(hash(1), 0).await;
    let npms = npm.announce(hash(2), 7002).await;
    let stored = last.announce(hash(3), 7003).await;
    assert!(stored >= 6, "{stored} nodes store ours");
    let ours = SocketAddr::from(([127, 0, 0, 1], 7003));
    for dht in [first, last] {
        finds(dht, hash(1), theirs).await;
        finds(dht, hash(2), npms).await;
    }
    libtorrent.finds(hash(3), ours).await;
    libtorrent.finds(hash(2), npms).await;
    npm.finds(hash(3), ours).await;
    npm.finds(hash(1), theirs).await;
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_nodes_keep_our_announces() {
    for n in 0..2 {
        let tasks = Tasks::new();
        let ours = Dht::start_with(bench::config(None), None, &tasks)
            .await
            .expect("started");
        let addr = ours.local_addrs()[0];
        let foreign = if n == 0 {
            Foreign::libtorrent(addr).await
        } else {
            Foreign::npm(addr).await
        };
        ours.ping_node(foreign.addr);
        let ih = hash(10 + n);
        let stored = async {
            while ours.announce(ih, 7_100).await == 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(DEADLINE, stored)
            .await
            .expect("the only other node stores it");
        // Our first node keeps nothing of its own, so this comes from the foreign one.
        let other = Dht::start_with(bench::config(Some(foreign.addr)), None, &tasks)
            .await
            .expect("started");
        finds(&other, ih, SocketAddr::from(([127, 0, 0, 1], 7_100))).await;
        assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
    }
}
