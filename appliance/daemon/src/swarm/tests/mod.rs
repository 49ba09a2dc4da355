//! The whole swarm on loopback: a foreign seed, our swarm, our store.

mod fetching;
mod hostile;
mod trouble;
mod walls;

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant as StdInstant},
};

use harness::foreign::{Client, Program, Role, Torrent as TorrentFile, make_torrent};
use proto::id::InfoHash;
use store::Store;
use tempfile::TempDir;
use tokio::time::Instant;

use super::{
    Hints, Swarm, SwarmConfig,
    limits::{self, Rates},
};
use crate::{clock::Clock, db::Db, sites::Sites, tasks::Tasks};

/// Longer than anything takes on a busy machine.
pub const SOON: Duration = Duration::from_secs(60);

/// A foreign client that has a file, or a folder, and gives it away.
pub struct Seed {
    pub client: Client,
    pub torrent: TorrentFile,
    pub content: Vec<u8>,
    folder: TempDir,
}

impl Seed {
    /// One file of `len` bytes.
    pub fn start(program: Program, len: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let content = harness::sample::bytes(11, len);
        let file = folder.path().join("content/big.bin");
        std::fs::create_dir_all(folder.path().join("content")).expect("writable");
        std::fs::write(&file, &content).expect("writable");
        Self::of(program, folder, &file, content)
    }

    /// A small site: several files, sub-folders, and pad files between them.
    pub fn site(program: Program) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let site = folder.path().join("content/site");
        harness::sample::site(&site, 5, (1 << 20) + 77);
        Self::of(program, folder, &site, Vec::new())
    }

    fn of(program: Program, folder: TempDir, path: &Path, content: Vec<u8>) -> Self {
        let torrent = make_torrent(path, &folder.path().join("it.torrent"), "", 256 << 10);
        let role = Role {
            dir: folder.path().join("content"),
            ..Role::default()
        };
        let client = Client::start(program, &torrent, &role);
        Self {
            client,
            torrent,
            content,
            folder,
        }
    }

    /// The folder its content lies in.
    pub fn dir(&self) -> std::path::PathBuf {
        self.folder.path().join("content")
    }

    pub fn infohash(&self) -> InfoHash {
        InfoHash::from_hex(&self.torrent.infohash).expect("40 digits")
    }
}

/// A Granary without doors for browsers.
pub struct Home {
    pub db: Db,
    pub swarm: Swarm,
    pub sites: Sites,
    pub tasks: Tasks,
}

impl Home {
    pub async fn open(dir: &Path, peers: &[SocketAddr]) -> Self {
        Self::open_at(dir, peers, 0).await
    }

    /// With a line of `down` bytes per second; 0: as fast as it goes. Foreign clients do not limit themselves on loopback.
    pub async fn open_at(dir: &Path, peers: &[SocketAddr], down: u64) -> Self {
        let config = SwarmConfig {
            peers: peers.to_vec(),
            limits: limits::Settings {
                rates: Rates { up: 0, down },
                ..limits::Settings::default()
            },
            ..SwarmConfig::loopback(dir)
        };
        Self::open_with(dir, config).await
    }

    pub async fn open_with(dir: &Path, config: SwarmConfig) -> Self {
        std::fs::create_dir_all(dir.join("content")).expect("writable");
        let shelves = store::Config {
            state_dir: dir.to_owned(),
            content_dir: dir.join("content"),
            segment_bytes_max: 1 << 30,
            pending_bytes_max: 64 << 20,
            visited_bytes_max: 4 << 30,
            free_floor_bytes: 0,
        };
        let clock = Clock::default();
        let store = Store::open(shelves, clock.now_secs()).expect("a new store");
        let (db, tasks) = (Db::new(store), Tasks::new());
        let swarm = Swarm::start(config, db.clone(), clock.clone(), &tasks)
            .await
            .expect("it starts");
        let sites = Sites::new(
            swarm.clone(),
            crate::links::Links::new(&crate::links::Config::default()).expect("the system's resolver"),
            db.clone(),
            clock,
            &tasks,
        );
        Self {
            db,
            swarm,
            sites,
            tasks,
        }
    }

    /// Stops within five seconds, with nothing left alive.
    pub async fn close(self) {
        let alive = self.tasks.stop(Duration::from_secs(5)).await;
        assert!(alive.is_empty(), "still alive: {alive:?}");
        self.db
            .run(|store| store.close())
            .await
            .expect("the store closes");
    }

    pub fn held(&self, ih: &InfoHash) -> u32 {
        self.db.store().have(ih).map_or(0, |have| have.count)
    }

    /// Reads `len` bytes of file 0 from `offset` on.
    pub async fn read(
        &self,
        ih: InfoHash,
        hints: &Hints,
        offset: u64,
        len: usize,
        wait: Duration,
    ) -> Vec<u8> {
        let deadline = Instant::now() + wait;
        let site = self
            .sites
            .open(ih, hints, false, deadline)
            .await
            .expect("it opens");
        let mut out = Vec::with_capacity(len);
        while out.len() < len {
            let at = offset + out.len() as u64;
            let part = self.sites.read(&site, 0, at, len - out.len(), deadline).await;
            out.extend_from_slice(&part.unwrap_or_else(|err| panic!("byte {at}: {err}")));
        }
        out
    }
}

pub fn hints(peers: &[SocketAddr]) -> Hints {
    Hints {
        peers: peers.to_vec(),
        ..Hints::default()
    }
}

/// Looks until `cond` holds.
pub async fn eventually(what: &str, mut cond: impl FnMut() -> bool) {
    let start = StdInstant::now();
    while !cond() {
        assert!(start.elapsed() < SOON, "waited for {what} in vain");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
