//! librqbit, fenced in: one session without DHT, LSD, UPnP or foreign trackers, behind a panic boundary.
//!
//! It is given torrents as bytes we made from metadata that `proto::metainfo` has accepted, without announce lists, with
//! the bitfield of what the store holds (so nothing is hashed again), and asked to forget them as soon as they are whole.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use librqbit::{
    AddTorrent, AddTorrentOptions, AddTorrentResponse, ConnectionOptions, ListenerMode, ListenerOptions,
    ManagedTorrent, PeerConnectionOptions, Session, SessionOptions, SessionPersistenceConfig,
    api::TorrentIdOrHash, limits::LimitsConfig,
};
use librqbit_core::{Id20, torrent_metainfo::torrent_from_bytes};
use proto::{guard::Policy, id::InfoHash};
use tokio::io::AsyncSeek;

use super::{Setup, storage::Shelf, walls};
use crate::swarm::{Error, Torrent};

/// Each open reader holds one of librqbit's permits for disk work for its life; with fewer permits than readers all disk
/// work would stop.
const DISK_PERMITS: usize = 512;
/// The lowest upload rate librqbit survives: below one chunk a second its upload task ends for good.
const UPLOAD_BPS_MIN: u32 = 32 << 10;
/// No call into librqbit may take longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A reader's position, which is all that librqbit knows of priority.
pub type Cursor = std::pin::Pin<Box<dyn AsyncSeek + Send + Sync>>;

/// What librqbit is given for one torrent.
pub struct Order<'a> {
    pub torrent: &'a Torrent,
    pub shelf: &'a Arc<Shelf>,
    /// The pieces the store holds, big-endian bits as in BEP 3.
    pub have: Vec<u8>,
    /// `None`: everything.
    pub files: Option<Vec<usize>>,
    pub peers: Vec<SocketAddr>,
    pub peers_max: usize,
}

/// The one session. Whether it gives anything to others is decided when it opens: another word about that needs another
/// session.
pub struct Engine {
    session: Mutex<Arc<Session>>,
    plan: Plan,
    rates: Mutex<(Option<u32>, Option<u32>)>,
    /// Where librqbit looks for bitfields; emptied at start, worth nothing afterwards.
    folder: PathBuf,
    door: Ipv4Addr,
}

/// What every session is opened with.
struct Plan {
    policy: Policy,
    tracker: String,
}

impl Engine {
    /// The setup's folder is emptied: nothing in it outlives the process.
    pub async fn start(setup: &Setup, tracker: &str) -> Result<Engine, Error> {
        let (folder, door) = (setup.folder.clone(), walls::random_door());
        let plan = Plan {
            policy: setup.policy.clone(),
            tracker: tracker.to_owned(),
        };
        let upload = *setup.upload.borrow();
        let session = plan.open(&folder, door, upload).await?;
        Ok(Engine {
            session: Mutex::new(session),
            plan,
            rates: Mutex::default(),
            folder,
            door,
        })
    }

    /// A new session in place of the old one, which must hold no torrent any more.
    pub async fn reopen(&self, upload: bool) -> Result<(), Error> {
        self.stop().await;
        let session = self.plan.open(&self.folder, self.door, upload).await?;
        *lock(&self.session) = session;
        let (up, down) = *lock(&self.rates);
        self.limit(up, down);
        Ok(())
    }

    fn session(&self) -> Arc<Session> {
        lock(&self.session).clone()
    }

    /// Where our listener hands peers over to.
    pub fn listen_addr(&self) -> Option<SocketAddr> {
        self.session().listen_addr()
    }

    /// The loopback address our listener has to hand them over from.
    pub fn door(&self) -> Ipv4Addr {
        self.door
    }

    /// Bytes per second; `None`: unlimited.
    pub fn limit(&self, up: Option<u32>, down: Option<u32>) {
        *lock(&self.rates) = (up, down);
        let floor = |bps: u32| NonZeroU32::new(bps.max(UPLOAD_BPS_MIN));
        let session = self.session();
        session.ratelimits.set_upload_bps(up.and_then(floor));
        session.ratelimits.set_download_bps(down.and_then(floor));
    }

    pub async fn add(&self, order: Order<'_>) -> Result<Arc<ManagedTorrent>, Error> {
        let ih = order.torrent.info.infohash;
        let bits = self.folder.join(format!("{ih}.bitv"));
        tokio::fs::write(&bits, &order.have).await.map_err(|err| {
            Error::Engine(format!(
                "write what is held of {} for the engine: {err}",
                ih.short()
            ))
        })?;
        let options = AddTorrentOptions {
            overwrite: true,
            only_files: order.files,
            initial_peers: Some(order.peers),
            peer_limit: Some(order.peers_max),
            storage_factory: Some(order.shelf.factory()),
            output_folder: Some("/nonexistent".into()),
            ratelimits: LimitsConfig::default(),
            ..AddTorrentOptions::default()
        };
        let bytes = torrent_file(&order.torrent.raw_info);
        let session = self.session();
        let adding = session.add_torrent(AddTorrent::from_bytes(bytes), Some(options));
        match guarded("add a torrent", adding).await? {
            AddTorrentResponse::Added(_, handle) => Ok(handle),
            AddTorrentResponse::AlreadyManaged(..) => {
                Err(Error::Engine(format!("{} is being fetched already", ih.short())))
            }
            AddTorrentResponse::ListOnly(_) => {
                Err(Error::Engine("the engine listed instead of adding".into()))
            }
        }
    }

    pub async fn remove(&self, ih: &InfoHash) -> Result<(), Error> {
        let id = TorrentIdOrHash::Hash(Id20::new(ih.0));
        guarded("remove a torrent", self.session().delete(id, false)).await
    }

    pub async fn select(
        &self,
        handle: &Arc<ManagedTorrent>,
        files: impl IntoIterator<Item = usize>,
    ) -> Result<(), Error> {
        let files = files.into_iter().collect();
        guarded("select files", self.session().update_only_files(handle, &files)).await
    }

    pub async fn cursor(&self, handle: &Arc<ManagedTorrent>, file: usize) -> Result<Cursor, Error> {
        let stream = guarded("open a reader", handle.clone().stream(file)).await?;
        Ok(Box::pin(stream))
    }

    pub async fn stop(&self) {
        let session = self.session();
        let stopping = tokio::time::timeout(Duration::from_secs(4), session.stop());
        if AssertUnwindSafe(stopping).catch_unwind().await.is_err() {
            tracing::warn!("the fetch engine panicked while stopping");
        }
    }
}

impl Plan {
    /// The folder is emptied: nothing in it outlives a session.
    async fn open(&self, folder: &Path, door: Ipv4Addr, upload: bool) -> Result<Arc<Session>, Error> {
        let blocklist = prepare(folder, &walls::ranges(&self.policy, door)).map_err(|err| {
            Error::Engine(format!(
                "prepare the folder {} for fetching: {err}",
                folder.display()
            ))
        })?;
        let tracker = self
            .tracker
            .parse()
            .map_err(|err| Error::Engine(format!("the loopback tracker's address: {err}")))?;
        let options = SessionOptions {
            dht: None,
            disable_local_service_discovery: true,
            fastresume: true,
            persistence: Some(SessionPersistenceConfig::Json {
                folder: Some(folder.to_owned()),
            }),
            listen: Some(ListenerOptions {
                mode: ListenerMode::TcpOnly,
                listen_addr: (Ipv4Addr::LOCALHOST, 0).into(),
                ipv4_only: true,
                ..ListenerOptions::default()
            }),
            connect: Some(ConnectionOptions {
                peer_opts: Some(PeerConnectionOptions {
                    connect_timeout: Some(Duration::from_secs(7)),
                    ..PeerConnectionOptions::default()
                }),
                ..ConnectionOptions::default()
            }),
            disable_upload: !upload,
            runtime_worker_threads: Some(DISK_PERMITS),
            concurrent_init_limit: Some(16),
            blocklist_url: Some(format!("file://{blocklist}")),
            trackers: [tracker].into(),
            client_name_and_version: Some(concat!("Granary/", env!("CARGO_PKG_VERSION")).into()),
            ..SessionOptions::default()
        };
        guarded("start", Session::new_with_opts(folder.join("unused"), options)).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a call into librqbit so that a panic in it is an error of ours, and so that it ends.
async fn guarded<T>(what: &str, call: impl Future<Output = anyhow::Result<T>>) -> Result<T, Error> {
    let bounded = tokio::time::timeout(PATIENCE, AssertUnwindSafe(call).catch_unwind());
    match bounded.await {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(err))) => Err(Error::Engine(format!("fetch engine: {what}: {err:#}"))),
        Ok(Err(_)) => Err(Error::Engine(format!("fetch engine: {what}: it panicked"))),
        Err(_) => Err(Error::Engine(format!(
            "fetch engine: {what}: no answer in {} s",
            PATIENCE.as_secs()
        ))),
    }
}

/// Empties the folder and writes the range list; returns the list's path.
fn prepare(folder: &Path, ranges: &str) -> std::io::Result<String> {
    match std::fs::remove_dir_all(folder) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    std::fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    let path = folder.join("walls.txt");
    std::fs::write(&path, ranges)?;
    let path = path
        .into_os_string()
        .into_string()
        .map_err(|_| std::io::Error::other("the data folder's name is not UTF-8"))?;
    Ok(percent_encoding::utf8_percent_encode(&path, PATH_ESCAPES).to_string())
}

/// What a path may carry as it is in a `file://` URL.
const PATH_ESCAPES: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_');

/// Whether librqbit takes a torrent that we would: else it would be tried in vain for ever. The reason is a sentence.
pub fn refusal(raw_info: &[u8]) -> Option<String> {
    let file = torrent_file(raw_info);
    let read = || match torrent_from_bytes(&file) {
        Ok(torrent) => torrent.info.data.validate().err().map(|err| err.to_string()),
        Err(err) => Some(format!("{err:#}")),
    };
    let refused = std::panic::catch_unwind(read).unwrap_or_else(|_| Some("it panicked".into()));
    refused.map(|reason| {
        format!(
            "the fetch engine does not take it: {reason}. Its author has to make it anew; nothing was stored"
        )
    })
}

/// A `.torrent` with nothing but the info dictionary: announce lists of strangers may point into the home network.
fn torrent_file(raw_info: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw_info.len() + 16);
    out.extend_from_slice(b"d4:info");
    out.extend_from_slice(raw_info);
    out.push(b'e');
    out
}
