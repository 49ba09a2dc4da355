//! A store, a DHT that writes down what it is asked, and trackers that follow a script.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use proto::{guard::Policy, id::InfoHash, metainfo::parse_info};
use store::{Keep, Store};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    sync::mpsc,
    time::{Instant, timeout},
};

use crate::{
    clock::Clock,
    db::Db,
    swarm::find::{Config, Finder, Nodes},
    tasks::Tasks,
};

/// Everything one home has; stops when dropped.
pub struct World {
    pub tasks: Tasks,
    pub db: Db,
    pub nodes: Arc<FakeDht>,
    _dir: tempfile::TempDir,
}

#[derive(Default)]
pub struct FakeDht {
    pub asked: Mutex<Vec<InfoHash>>,
    pub told: Mutex<Vec<(InfoHash, u16, Instant)>>,
    /// What every lookup finds.
    pub peers: Mutex<Vec<SocketAddr>>,
    pub external: Mutex<Option<std::net::IpAddr>>,
}

impl Nodes for FakeDht {
    fn get_peers(&self, ih: InfoHash) -> mpsc::Receiver<Vec<SocketAddr>> {
        self.asked.lock().expect("asked").push(ih);
        let (sender, receiver) = mpsc::channel(1);
        let _ = sender.try_send(self.peers.lock().expect("peers").clone());
        receiver
    }

    fn announce(&self, ih: InfoHash, port: u16) -> BoxFuture<'_, usize> {
        self.told.lock().expect("told").push((ih, port, Instant::now()));
        Box::pin(async { 8 })
    }

    fn external(&self, ip: std::net::IpAddr) -> BoxFuture<'_, ()> {
        *self.external.lock().expect("external") = Some(ip);
        Box::pin(async {})
    }
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(dir.path().join("content")).expect("a folder");
        let config = store::Config {
            state_dir: dir.path().join("state"),
            content_dir: dir.path().join("content"),
            segment_bytes_max: 64 << 20,
            pending_bytes_max: 16 << 20,
            visited_bytes_max: 1 << 40,
            free_floor_bytes: 0,
        };
        Self {
            tasks: Tasks::new(),
            db: Db::new(Store::open(config, 1).expect("an empty store")),
            nodes: Arc::default(),
            _dir: dir,
        }
    }

    pub fn finder(&self, config: Config) -> Finder {
        let nodes = self.nodes.clone() as Arc<dyn Nodes>;
        Finder::start_with(
            config,
            Some(nodes),
            self.db.clone(),
            Clock::default(),
            &self.tasks,
        )
    }

    /// A one-piece torrent, its bytes stored unless it is to be incomplete.
    pub fn site(&self, name: &str, private: bool, complete: bool, trackers: &[String]) -> InfoHash {
        let data = Bytes::from(format!("{name:>100}"));
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &data);
        let head = format!(
            "d6:lengthi100e4:name{}:{name}12:piece lengthi16384e6:pieces20:",
            name.len()
        );
        let tail: &[u8] = if private { b"7:privatei1ee" } else { b"e" };
        let raw = [head.as_bytes(), hash.as_ref(), tail].concat();
        let info = parse_info(&raw).expect("a good torrent");
        let store = self.db.store();
        store
            .add_site(&info, &raw, trackers, Keep::Kept, 1)
            .expect("a row");
        if complete {
            assert!(
                store
                    .pieces(&info.infohash)
                    .expect("pieces")
                    .put(0, data)
                    .expect("stored")
            );
            store.flush().expect("flushed");
        }
        info.infohash
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

/// Loopback is the Internet of these tests.
pub fn config() -> Config {
    Config {
        policy: loopback(),
        announces_per_sec: 1000,
        ..Config::default()
    }
}

pub fn loopback() -> Policy {
    Policy {
        allow_loopback: true,
        ..Policy::default()
    }
}

pub fn peer(n: u8) -> SocketAddr {
    SocketAddr::from(([127, 9, 9, n], 6000 + u16::from(n)))
}

pub fn hash(n: u8) -> InfoHash {
    InfoHash([n; 20])
}

/// The next batch of a search.
pub async fn batch(found: &mut mpsc::Receiver<Vec<SocketAddr>>) -> Vec<SocketAddr> {
    let batch = timeout(Duration::from_secs(20), found.recv())
        .await
        .expect("peers in time");
    batch.expect("the search goes on")
}

/// Polls until `cond` holds; panics with `what` when it never does.
pub async fn wait_for(what: &str, mut cond: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !cond() {
        assert!(Instant::now() < end, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What a scripted server was sent, heads of requests or datagrams.
pub type Seen = Arc<Mutex<Vec<String>>>;

/// An HTTP server that answers each request head with the bytes `script` makes of it.
pub async fn http_server(
    tasks: &Tasks,
    at: &str,
    script: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind((at, 0)).await.expect("a port");
    let addr = listener.local_addr().expect("bound");
    let seen = Seen::default();
    let log = seen.clone();
    tasks.spawn("test.http", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
                match timeout(Duration::from_secs(5), stream.read_u8()).await {
                    Ok(Ok(byte)) => head.push(byte),
                    _ => break,
                }
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            log.lock().expect("log").push(head.clone());
            // SOAP calls have a body; the answers do not depend on it.
            let length = head
                .lines()
                .find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            let _ = stream.read_exact(&mut body).await;
            log.lock()
                .expect("log")
                .last_mut()
                .expect("pushed")
                .push_str(&String::from_utf8_lossy(&body));
            let _ = stream.write_all(&script(&head)).await;
        }
    });
    (addr, seen)
}

/// A 200 answer.
pub fn ok(body: &[u8]) -> Vec<u8> {
    [
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(),
        body,
    ]
    .concat()
}

pub fn redirect(place: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

/// A UDP server that answers each datagram with what `script` makes of it and of how many came before.
pub async fn udp_server(
    tasks: &Tasks,
    script: impl Fn(usize, &[u8], SocketAddr) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let addr = socket.local_addr().expect("bound");
    tasks.spawn("test.udp", async move {
        let mut buf = [0; 2048];
        let mut count = 0;
        while let Ok((len, from)) = socket.recv_from(&mut buf).await {
            if let Some(answer) = script(count, &buf[..len], from) {
                let _ = socket.send_to(&answer, from).await;
            }
            count += 1;
        }
    });
    addr
}
