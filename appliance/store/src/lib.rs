//! The store: the only crate that names redb. Sync; time is an argument.
//! `DESIGN.md` explains every table and argues every crash case.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use proto::{id::InfoHash, metainfo::Info};

/// Seconds since the Unix epoch, given by the caller.
pub type UnixSecs = u64;

/// What the household decided about a site's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Kept until the owner removes it; seeded for ever.
    Kept,
    /// Fetched because someone visited; least recently used ones give way when space runs low.
    Visited,
}

/// What differs per call site can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the disk is full: {0}")]
    Full(String),
    #[error("the disk is read-only: {0}")]
    ReadOnly(String),
    #[error("the content disk is not there: {0}")]
    Gone(String),
    #[error("damaged: {0}")]
    Damaged(String),
    #[error("made by a newer Granary (version {found}, this one knows {known}): {path}")]
    TooNew { found: u32, known: u32, path: String },
    #[error("in use by another Granary: {0}")]
    InUse(String),
    #[error("no permission: {0}")]
    Denied(String),
    #[error("unknown site {0}")]
    Unknown(InfoHash),
    #[error("over the quota: {0}")]
    Quota(String),
    #[error("{0}")]
    Io(String),
}

/// Where things lie and how large they may grow.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of `state.redb`.
    pub state_dir: PathBuf,
    /// Folder of the segment files; may be on another, removable disk.
    pub content_dir: PathBuf,
    /// Larger: fewer files. Smaller: less work to compact or repair one.
    pub segment_bytes_max: u64,
    /// Verified and unverified bytes that may wait in memory before writers are made to wait.
    pub pending_bytes_max: usize,
    /// Visited sites may use this much; kept ones are only bounded by the disk.
    pub visited_bytes_max: u64,
    /// Never use the last bytes of the disk: below this, only deletions go through.
    pub free_floor_bytes: u64,
}

/// One site (torrent) as a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteRow {
    pub infohash: InfoHash,
    pub name: String,
    pub keep: Keep,
    pub private: bool,
    pub total: u64,
    pub piece_length: u32,
    pub pieces: u32,
    /// Pieces durably held.
    pub held: u32,
    pub added: UnixSecs,
    pub used: UnixSecs,
    pub uploaded: u64,
    pub downloaded: u64,
    /// Tracker URLs, tiers flattened in order, bounded.
    pub trackers: Vec<String>,
}

impl SiteRow {
    pub fn complete(&self) -> bool {
        self.held == self.pieces
    }
}

/// Which pieces of a site are durably held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Have {
    pub bits: Vec<u8>,
    pub count: u32,
}

impl Have {
    /// Whether `piece` is held; bits are big-endian within a byte, as in BEP 3's bitfield.
    pub fn has(&self, piece: u32) -> bool {
        self.bits
            .get(piece as usize / 8)
            .is_some_and(|b| b & (0x80 >> (piece % 8)) != 0)
    }
}

/// Told after each durable commit which pieces are now held for ever.
pub type DurableListener = Arc<dyn Fn(&[(InfoHash, u32)]) + Send + Sync>;

/// Cheap to clone; all clones are one store.
#[derive(Clone)]
pub struct Store {}

impl Store {
    pub fn open(_config: Config, _now: UnixSecs) -> Result<Store, Error> {
        todo!()
    }
    /// Commits everything pending durably and closes the files. Later calls return `Error::Gone`.
    pub fn close(&self) -> Result<(), Error> {
        todo!()
    }
    pub fn on_durable(&self, _listener: DurableListener) {
        todo!()
    }
    /// Periodic work (call about once a second, from a blocking thread): group commits that are due, retry of a lost or
    /// full disk, a slice of scrub, compaction and eviction.
    pub fn tick(&self, _now: UnixSecs) -> Result<TickReport, Error> {
        todo!()
    }
    /// Commits all completed pieces durably now.
    pub fn flush(&self) -> Result<(), Error> {
        todo!()
    }

    // --- sites ---
    pub fn add_site(
        &self,
        _info: &Info,
        _raw_info: &[u8],
        _trackers: &[String],
        _keep: Keep,
        _now: UnixSecs,
    ) -> Result<SiteRow, Error> {
        todo!()
    }
    pub fn site(&self, _ih: &InfoHash) -> Result<Option<SiteRow>, Error> {
        todo!()
    }
    /// The raw info dictionary, byte for byte.
    pub fn raw_info(&self, _ih: &InfoHash) -> Result<Option<Bytes>, Error> {
        todo!()
    }
    /// Rows in infohash order, at most `max`, starting after `after`.
    pub fn sites(&self, _after: Option<InfoHash>, _max: usize) -> Result<Vec<SiteRow>, Error> {
        todo!()
    }
    pub fn set_keep(&self, _ih: &InfoHash, _keep: Keep) -> Result<(), Error> {
        todo!()
    }
    pub fn touch(&self, _ih: &InfoHash, _now: UnixSecs) -> Result<(), Error> {
        todo!()
    }
    pub fn add_traffic(&self, _rows: &[(InfoHash, u64, u64)]) -> Result<(), Error> {
        todo!()
    }
    /// Removes the site; bytes shared with other sites stay.
    pub fn remove_site(&self, _ih: &InfoHash) -> Result<(), Error> {
        todo!()
    }

    // --- pieces ---
    pub fn have(&self, _ih: &InfoHash) -> Result<Have, Error> {
        todo!()
    }
    /// A handle for reading and writing one site's pieces. Marks pieces that other sites already hold as held here too.
    pub fn pieces(&self, _ih: &InfoHash) -> Result<Pieces, Error> {
        todo!()
    }

    // --- small things other rooms keep ---
    pub fn setting(&self, _key: &str) -> Result<Option<Bytes>, Error> {
        todo!()
    }
    pub fn set_setting(&self, _key: &str, _value: &[u8]) -> Result<(), Error> {
        todo!()
    }
    /// Sites whose `kind` of work is due at or before `now`, soonest first.
    pub fn due(
        &self,
        _kind: DueKind,
        _now: UnixSecs,
        _max: usize,
    ) -> Result<Vec<(InfoHash, UnixSecs)>, Error> {
        todo!()
    }
    pub fn set_due(&self, _kind: DueKind, _rows: &[(InfoHash, UnixSecs)]) -> Result<(), Error> {
        todo!()
    }
    pub fn usage(&self) -> Result<Usage, Error> {
        todo!()
    }
}

/// Recurring work per site; a row instead of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueKind {
    DhtAnnounce,
    TrackerAnnounce,
}

/// What `tick` did and found.
#[derive(Debug, Clone, Default)]
pub struct TickReport {
    /// Pieces found rotten by the scrub; they are no longer held and want to be fetched again.
    pub rotten: Vec<(InfoHash, u32)>,
    /// Visited sites that gave way.
    pub evicted: Vec<InfoHash>,
    /// Why writing is suspended, when it is.
    pub trouble: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Usage {
    pub live_bytes: u64,
    pub disk_bytes: u64,
    pub kept_bytes: u64,
    pub visited_bytes: u64,
    pub free_bytes: u64,
    pub sites: u64,
    pub pieces: u64,
}

/// Reads and writes pieces of one site. Cheap to clone.
#[derive(Clone)]
pub struct Pieces {}

impl Pieces {
    /// Unverified bytes of a piece that is being fetched. Blocks while `pending_bytes_max` is used up and a commit runs.
    pub fn write(&self, _piece: u32, _offset: u32, _data: &[u8]) -> Result<(), Error> {
        todo!()
    }
    /// What is there, verified or not; holes read as zeros. Only for the hash check of the engine that wrote them.
    pub fn read_unverified(&self, _piece: u32, _offset: u32, _buf: &mut [u8]) -> Result<(), Error> {
        todo!()
    }
    /// The engine has checked the hash of all bytes of this piece: queue it for the next group commit.
    pub fn complete(&self, _piece: u32) -> Result<(), Error> {
        todo!()
    }
    /// Checks the hash of `data` itself, then queues the whole piece. False: wrong hash, nothing stored.
    pub fn put(&self, _piece: u32, _data: Bytes) -> Result<bool, Error> {
        todo!()
    }
    /// Verified bytes only. `Ok(None)`: not held (yet). A piece is hashed on its first read since boot; a rotten one is
    /// forgotten and reads as `None`.
    pub fn read(&self, _piece: u32, _offset: u32, _len: u32) -> Result<Option<Bytes>, Error> {
        todo!()
    }
    /// Whether verified bytes of the piece can be read now (durable or still pending).
    pub fn readable(&self, _piece: u32) -> bool {
        todo!()
    }
}
