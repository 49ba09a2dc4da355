//! The loopback tracker: librqbit takes peers at run time only from trackers, so we are its one tracker (BEP 3, 7, 23).
//!
//! A request waits until there are peers to hand out, so a peer found now is tried now. The path carries a random word:
//! other programs on this machine learn nothing here.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use proto::id::InfoHash;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
};
use tracing::debug;

use crate::tasks::Tasks;

/// Addresses remembered per torrent. More: a poisoned swarm costs memory. Fewer: rare good peers are forgotten.
const PEERS_MAX: usize = 512;
/// Peers in one answer.
const HAND_OUT_MAX: usize = 100;
/// How long a request waits for new peers.
const HOLD: Duration = Duration::from_secs(20);
/// librqbit makes one connection per torrent at most.
const CONNECTIONS_MAX: usize = 64;

/// Peers of the torrents being fetched. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tracker {
    pools: Arc<Mutex<HashMap<InfoHash, Arc<Pool>>>>,
}

/// One torrent's peers.
#[derive(Default)]
struct Pool {
    inner: Mutex<Peers>,
    news: Notify,
}

#[derive(Default)]
struct Peers {
    fresh: VecDeque<SocketAddr>,
    known: HashSet<SocketAddr>,
    banned: HashSet<SocketAddr>,
}

impl Tracker {
    /// Starts the tracker; returns it and the URL to give to librqbit.
    pub async fn start(tasks: &Tasks) -> std::io::Result<(Tracker, String)> {
        let tracker = Tracker::default();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let word = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 16]>());
        let path: Arc<str> = format!("/{word}/announce").into();
        let url = format!("http://{}{path}", listener.local_addr()?);
        let (this, group) = (tracker.clone(), tasks.clone());
        tasks.spawn("swarm.fetch.tracker", this.accept(listener, path, group));
        Ok((tracker, url))
    }

    /// From now on peers of `ih` are remembered.
    pub fn open(&self, ih: InfoHash) {
        self.pools().entry(ih).or_default();
    }

    /// Forgets the torrent and its peers.
    pub fn close(&self, ih: &InfoHash) {
        self.pools().remove(ih);
    }

    /// Adds peers; those already known are not handed out again. Returns how many are new.
    pub fn add(&self, ih: &InfoHash, peers: impl IntoIterator<Item = SocketAddr>) -> usize {
        let Some(pool) = self.pools().get(ih).cloned() else {
            return 0;
        };
        let new = lock(&pool.inner).add(peers);
        if new > 0 {
            pool.news.notify_one();
        }
        new
    }

    /// Never hands out this address again.
    pub fn ban(&self, ih: &InfoHash, peer: SocketAddr) {
        if let Some(pool) = self.pools().get(ih) {
            lock(&pool.inner).ban(peer);
        }
    }

    /// How many peers are known.
    pub fn known(&self, ih: &InfoHash) -> usize {
        self.pools()
            .get(ih)
            .map_or(0, |pool| lock(&pool.inner).known.len())
    }

    /// All that are not banned are handed out once more: librqbit was given the torrent anew.
    pub fn renew(&self, ih: &InfoHash) {
        if let Some(pool) = self.pools().get(ih) {
            let mut peers = lock(&pool.inner);
            peers.fresh = peers.known.iter().copied().collect();
            pool.news.notify_one();
        }
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<InfoHash, Arc<Pool>>> {
        lock(&self.pools)
    }

    async fn accept(self, listener: TcpListener, path: Arc<str>, tasks: Tasks) {
        let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Ok(seat) = seats.clone().try_acquire_owned() else {
                continue;
            };
            let (this, path) = (self.clone(), path.clone());
            tasks.spawn("swarm.fetch.tracker.connection", async move {
                this.serve(stream, path).await;
                drop(seat);
            });
        }
    }

    async fn serve(self, stream: TcpStream, path: Arc<str>) {
        let service = service_fn(move |request| {
            let (this, path) = (self.clone(), path.clone());
            async move { Ok::<_, Infallible>(this.answer(&path, &request).await) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(120))
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(err) = served {
            debug!(%err, "loopback tracker: connection ended");
        }
    }

    async fn answer(&self, path: &str, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let uri = request.uri();
        let ih = uri.query().and_then(info_hash);
        let (true, Some(ih)) = (uri.path() == path, ih) else {
            let mut refused = Response::new(Full::default());
            *refused.status_mut() = StatusCode::NOT_FOUND;
            return refused;
        };
        let pool = self.pools().get(&ih).cloned();
        let peers = match pool {
            Some(pool) => pool.wait().await,
            None => Vec::new(),
        };
        Response::new(Full::new(encode(&peers).into()))
    }
}

impl Pool {
    async fn wait(&self) -> Vec<SocketAddr> {
        let deadline = tokio::time::Instant::now() + HOLD;
        loop {
            let peers = lock(&self.inner).take();
            let waiting = tokio::time::timeout_at(deadline, self.news.notified());
            if !peers.is_empty() || waiting.await.is_err() {
                return peers;
            }
        }
    }
}

impl Peers {
    fn add(&mut self, peers: impl IntoIterator<Item = SocketAddr>) -> usize {
        let before = self.known.len();
        for peer in peers {
            if self.known.len() >= PEERS_MAX {
                break;
            }
            if peer.port() != 0 && !self.banned.contains(&peer) && self.known.insert(peer) {
                self.fresh.push_back(peer);
            }
        }
        self.known.len() - before
    }

    fn ban(&mut self, peer: SocketAddr) {
        self.known.remove(&peer);
        self.fresh.retain(|other| *other != peer);
        if self.banned.len() < PEERS_MAX {
            self.banned.insert(peer);
        }
    }

    fn take(&mut self) -> Vec<SocketAddr> {
        let count = self.fresh.len().min(HAND_OUT_MAX);
        self.fresh.drain(..count).collect()
    }
}

/// The `info_hash` of an announce's query: 20 bytes, percent-encoded.
fn info_hash(query: &str) -> Option<InfoHash> {
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("info_hash="))?;
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(value).collect();
    bytes.try_into().ok().map(InfoHash)
}

/// A compact answer: asked again after one second at the earliest.
fn encode(peers: &[SocketAddr]) -> Vec<u8> {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for peer in peers {
        match peer {
            SocketAddr::V4(addr) => {
                v4.extend_from_slice(&addr.ip().octets());
                v4.extend_from_slice(&addr.port().to_be_bytes());
            }
            SocketAddr::V6(addr) => {
                v6.extend_from_slice(&addr.ip().octets());
                v6.extend_from_slice(&addr.port().to_be_bytes());
            }
        }
    }
    let mut out = format!("d8:intervali1e12:min intervali1e5:peers{}:", v4.len()).into_bytes();
    out.extend_from_slice(&v4);
    out.extend_from_slice(format!("6:peers6{}:", v6.len()).as_bytes());
    out.extend_from_slice(&v6);
    out.push(b'e');
    out
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_peer_is_handed_out_once_and_a_banned_one_never() {
        let mut peers = Peers::default();
        assert_eq!(peers.add([addr(1), addr(2), addr(1), addr(0)]), 2);
        peers.ban(addr(2));
        assert_eq!(peers.take(), [addr(1)]);
        assert_eq!(peers.add([addr(1), addr(2)]), 0);
        assert!(peers.take().is_empty());
    }

    #[test]
    fn peers_beyond_the_bound_are_not_remembered() {
        let mut peers = Peers::default();
        assert_eq!(peers.add((1..=2000).map(addr)), PEERS_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_request_is_answered_when_a_peer_is_found() {
        let tracker = Tracker::default();
        let ih = InfoHash([7; 20]);
        tracker.open(ih);
        let pool = tracker.pools().get(&ih).cloned().expect("just opened");
        let (got, ()) = tokio::join!(pool.wait(), async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            tracker.add(&ih, [addr(5)]);
        });
        assert_eq!(got, [addr(5)]);
        assert!(pool.wait().await.is_empty(), "nothing new: empty after the hold");
    }

    #[test]
    fn answers_are_compact_and_in_key_order() {
        let v6: SocketAddr = "[::1]:258".parse().expect("an address");
        let text = encode(&[addr(0x6162), v6]);
        let start = b"d8:intervali1e12:min intervali1e5:peers6:\x7f\0\0\x01ab6:peers618:";
        assert!(text.starts_with(start));
        assert!(text.ends_with(b"\x01\x01\x02e"));
    }

    #[test]
    fn the_infohash_is_found_in_a_query() {
        let query = format!("a=b&info_hash={}&port=1", "%61b".repeat(10));
        assert_eq!(info_hash(&query), Some(InfoHash(*b"abababababababababab")));
        assert_eq!(info_hash("info_hash=short"), None);
    }
}
