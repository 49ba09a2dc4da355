//! The store: the only crate that names redb. Sync; time is an argument.
//! `DESIGN.md` explains every table and argues every crash case.
//!
//! In reading order: `tables` (what lies on disk), `cells` (how a piece is cut), `disk` and `file` (files below redb),
//! `core` (the shared value and its periodic work), `sites` (rows), `pieces`, `pending` and `reads` (bytes), `direct` (reads
//! around redb), `commit` (what makes them held), `rows` (what the
//! household follows, and who may enter), `copy`, `compare`, `rebuild` and `adopt` (when the state is lost), `recover` (after
//! a crash), `removal`, `compact`, `rot`, `scrub`, `quota`, `ballast`. `leases` is a file of its own, for the lan half.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use proto::{
    id::{InfoHash, Target},
    metainfo::Info,
};

use crate::locks::Lock;

mod adopt;
mod audit;
mod ballast;
mod cache;
mod cells;
mod commit;
mod compact;
mod compare;
mod content;
mod copy;
mod core;
mod damage;
mod direct;
#[doc(hidden)]
pub mod disk;
mod due;
mod error;
mod file;
mod frozen;
mod leases;
mod ledger;
mod locks;
mod migrate;
mod pending;
mod pieces;
mod placement;
mod quota;
mod reads;
mod rebuild;
mod recover;
mod removal;
mod rot;
mod rows;
mod scrub;
mod segment;
mod site_memory;
mod sites;
mod soft;
mod spill;
mod state;
mod tables;

pub use audit::Audit;
pub use error::Error;
pub use leases::{LeaseRow, Leases};
pub use pieces::Pieces;
pub use rows::{
    Account, ApiToken, Conflict, DhtItem, Owner, PutOutcome, RecordRow, Role, Session, Subscription, Version,
    VersionState,
};

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
pub struct Store {
    core: Arc<core::Core>,
}

impl Store {
    /// Opens or makes the store. An absent, full or read-only content disk is no error: what can be read is read, and
    /// `tick` reports the trouble. `Error::InUse`: another store has the folders; `Error::TooNew`: nothing was touched.
    pub fn open(config: Config, now: UnixSecs) -> Result<Store, Error> {
        let disk = disk::Folders::new(&config.state_dir, &config.content_dir);
        Self::open_on(Arc::new(disk), config, now)
    }

    /// The same on any [`disk::Disk`]: how the fault injector gets in.
    #[doc(hidden)]
    pub fn open_on(disk: Arc<dyn disk::Disk>, config: Config, now: UnixSecs) -> Result<Store, Error> {
        Ok(Store {
            core: core::Core::open(disk, config, now)?,
        })
    }
    /// Commits everything pending durably and closes the files. Later calls return `Error::Gone`.
    pub fn close(&self) -> Result<(), Error> {
        self.core.close()
    }
    pub fn on_durable(&self, listener: DurableListener) {
        self.core.listeners.held().push(listener);
    }
    /// Periodic work (call about once a second, from a blocking thread): group commits that are due, retry of a lost or
    /// full disk, a slice of scrub, compaction and eviction.
    pub fn tick(&self, now: UnixSecs) -> Result<TickReport, Error> {
        self.core.tick(now)
    }
    /// Commits all completed pieces durably now.
    pub fn flush(&self) -> Result<(), Error> {
        self.core.commit()
    }

    /// Checks every rule that ties the tables together, and hashes every stored piece. Slow: for tests and doctors.
    pub fn audit(&self) -> Result<Audit, Error> {
        self.core.audit()
    }

    // --- sites ---
    pub fn add_site(
        &self,
        info: &Info,
        raw_info: &[u8],
        trackers: &[String],
        keep: Keep,
        now: UnixSecs,
    ) -> Result<SiteRow, Error> {
        self.core.add_site(info, raw_info, trackers, keep, now)
    }
    pub fn site(&self, ih: &InfoHash) -> Result<Option<SiteRow>, Error> {
        self.core.site(ih)
    }
    /// The raw info dictionary, byte for byte.
    pub fn raw_info(&self, ih: &InfoHash) -> Result<Option<Bytes>, Error> {
        self.core.raw_info(ih)
    }
    /// Rows in infohash order, at most `max`, starting after `after`.
    pub fn sites(&self, after: Option<InfoHash>, max: usize) -> Result<Vec<SiteRow>, Error> {
        self.core.sites(after, max)
    }
    pub fn set_keep(&self, ih: &InfoHash, keep: Keep) -> Result<(), Error> {
        self.core.change(ih, |site| site.row.keep = keep)
    }
    pub fn touch(&self, ih: &InfoHash, now: UnixSecs) -> Result<(), Error> {
        self.core.touch(ih, now)
    }
    pub fn add_traffic(&self, rows: &[(InfoHash, u64, u64)]) -> Result<(), Error> {
        self.core.add_traffic(rows)
    }
    /// Removes the site; bytes shared with other sites stay.
    pub fn remove_site(&self, ih: &InfoHash) -> Result<(), Error> {
        self.core.remove_site(ih)
    }

    // --- pieces ---
    pub fn have(&self, ih: &InfoHash) -> Result<Have, Error> {
        self.core.have(ih)
    }
    /// A handle for reading and writing one site's pieces. Marks pieces that other sites already hold as held here too.
    pub fn pieces(&self, ih: &InfoHash) -> Result<Pieces, Error> {
        Ok(Pieces {
            core: self.core.clone(),
            memory: self.core.memory(ih)?,
        })
    }

    // --- small things other rooms keep ---
    pub fn setting(&self, key: &str) -> Result<Option<Bytes>, Error> {
        self.core.setting(key)
    }
    pub fn set_setting(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        self.core.set_setting(key, value)
    }
    /// Sites whose `kind` of work is due at or before `now`, soonest first.
    pub fn due(&self, kind: DueKind, now: UnixSecs, max: usize) -> Result<Vec<(InfoHash, UnixSecs)>, Error> {
        self.core.due(kind, now, max)
    }
    /// `UnixSecs::MAX` removes the row.
    pub fn set_due(&self, kind: DueKind, rows: &[(InfoHash, UnixSecs)]) -> Result<(), Error> {
        self.core.set_due(kind, rows)
    }
    /// As [`Store::due`].
    pub fn due_targets(
        &self,
        work: TargetWork,
        now: UnixSecs,
        max: usize,
    ) -> Result<Vec<(Target, UnixSecs)>, Error> {
        self.core.due(work, now, max)
    }
    /// As [`Store::set_due`].
    pub fn set_due_targets(&self, work: TargetWork, rows: &[(Target, UnixSecs)]) -> Result<(), Error> {
        self.core.set_due(work, rows)
    }
    pub fn usage(&self) -> Result<Usage, Error> {
        self.core.usage()
    }
}

/// Recurring work per site; a row instead of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueKind {
    DhtAnnounce,
    TrackerAnnounce,
}

/// Recurring work whose rows are no torrents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetWork {
    /// Putting a record to the DHT again; the id is its target.
    RecordPut,
    /// Looking for news of a subscription; the id is its own.
    Refresh,
}

/// What `tick` did and found.
#[derive(Debug, Clone, Default)]
pub struct TickReport {
    /// Pieces found rotten by the scrub; they are no longer held and want to be fetched again.
    pub rotten: Vec<(InfoHash, u32)>,
    /// Visited sites that gave way.
    pub evicted: Vec<InfoHash>,
    /// Why writing is suspended, when it is; or what is still missing after the records were damaged.
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
