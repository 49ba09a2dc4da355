//! Subscriptions: what the household follows, and which versions of it are here.

use proto::id::{InfoHash, Target};

use crate::{Error, Store, UnixSecs};

/// What became of one version's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionState {
    /// Larger than the quota: waits for the owner's word.
    Asking,
    /// Being fetched.
    Fetching,
    /// All of it is here.
    Here,
    /// Gave way to newer ones, or was removed.
    Gone,
    /// The owner said no.
    Declined,
}

/// A followed address. Which sequence number and history it has stands in its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Target of key and salt; for a linked domain, SHA-1 of `dl:` and the domain.
    pub id: Target,
    /// As `proto::name::Address` writes it as a host under the top-level name, or as a btpk magnet where no host fits.
    pub address: String,
    /// What the household calls it; empty: the torrent's own name.
    pub title: String,
    /// The name of the last version's torrent.
    pub name: String,
    pub added: UnixSecs,
    pub paused: bool,
    /// Blocked by the owner: not fetched, not served, not put.
    pub blocked: bool,
    /// Ask before a version larger than this is fetched; 0: the house's limit.
    pub quota_bytes: u64,
    /// Versions kept besides the present one and the pinned ones.
    pub keep_versions: u32,
    /// Never removed.
    pub pinned: Vec<InfoHash>,
    /// Newest first, at most 50: what became of each version.
    pub versions: Vec<(InfoHash, VersionState)>,
    /// The newest version that is all here: what readers get while a newer one is fetched.
    pub whole: Option<InfoHash>,
    /// Mirrors and peers from the pasted link.
    pub trackers: Vec<String>,
    pub last_checked: UnixSecs,
    /// When the publisher's record was last heard of.
    pub last_heard: UnixSecs,
    pub last_changed: UnixSecs,
    /// Seconds between looks, as `proto::feed::due` last decided.
    pub interval_secs: u64,
    /// Why the last look found nothing; empty: it did.
    pub trouble: String,
    pub failures: u32,
}

impl Store {
    /// Inserts or replaces, durably.
    pub fn put_subscription(&self, row: &Subscription) -> Result<(), Error> {
        let _ = row;
        todo!()
    }

    /// Reads, changes and writes one row in one deed, durably; `false` when there is none.
    pub fn change_subscription(
        &self,
        id: &Target,
        change: impl Fn(&mut Subscription),
    ) -> Result<bool, Error> {
        let _ = (id, change);
        todo!()
    }

    pub fn subscription(&self, id: &Target) -> Result<Option<Subscription>, Error> {
        let _ = id;
        todo!()
    }

    /// In id order, at most `max`, starting after `after`.
    pub fn subscriptions(&self, after: Option<Target>, max: usize) -> Result<Vec<Subscription>, Error> {
        let _ = (after, max);
        todo!()
    }

    pub fn remove_subscription(&self, id: &Target) -> Result<(), Error> {
        let _ = id;
        todo!()
    }

    /// A name the household gave an address (`proto::name::Address` as a host); empty address: removed.
    pub fn set_petname(&self, name: &str, address: &str) -> Result<(), Error> {
        let _ = (name, address);
        todo!()
    }

    pub fn petname(&self, name: &str) -> Result<Option<String>, Error> {
        let _ = name;
        todo!()
    }

    /// All of them, name and address, in name order.
    pub fn petnames(&self) -> Result<Vec<(String, String)>, Error> {
        todo!()
    }
}
