//! Records (BEP 44, 46): the newest one of each address, and what came before.

use bytes::Bytes;
use proto::{
    id::{InfoHash, Target},
    record::{Mutable, Verdict},
};

use crate::{Error, Store, UnixSecs};

/// For whom a record is kept. Only ever raised by [`Store::put_record`]; lowered by [`Store::set_record_owner`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Somebody looked once. Not kept alive; gives way when there are very many.
    Visited,
    /// The household follows it: put again for ever.
    Followed,
    /// The household's own: put first.
    Me,
}

/// One version of an address in its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    pub seq: i64,
    /// `None`: the value was no torrent.
    pub infohash: Option<InfoHash>,
    pub seen: UnixSecs,
}

/// Another value under a sequence number we already had: two worlds saw two things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub item: Mutable,
    pub seen: UnixSecs,
}

/// A mutable record and what we know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    pub item: Mutable,
    pub owner: Owner,
    pub first_seen: UnixSecs,
    /// The torrent of the first record we saw.
    pub first_infohash: Option<InfoHash>,
    /// When the network was last asked, and when it last answered with any record of this address.
    pub last_checked: UnixSecs,
    pub last_heard: UnixSecs,
    /// When `seq` last rose.
    pub last_changed: UnixSecs,
    /// When it was last put, and how many nodes held the newest one at the last look.
    pub last_put: UnixSecs,
    pub last_copies: u32,
    /// Newest first, at most 50, the present one included.
    pub history: Vec<Version>,
    pub conflict: Option<Conflict>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutOutcome {
    pub verdict: Verdict,
    /// As it stands now.
    pub row: RecordRow,
}

/// An item others stored with us (we are a DHT node): 2 hours, then gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhtItem {
    pub target: Target,
    /// As `proto::dht` writes it; the store does not look inside.
    pub raw: Bytes,
    pub expires: UnixSecs,
}

impl Store {
    pub fn record(&self, target: &Target) -> Result<Option<RecordRow>, Error> {
        let _ = target;
        todo!()
    }

    /// Takes in a *checked* item. Durable before it returns; never down in `seq` (`proto::record::judge` decides), also
    /// across power cuts. A conflict keeps the first and notes the other one. `owner` raises the row's owner.
    pub fn put_record(&self, item: &Mutable, owner: Owner, now: UnixSecs) -> Result<PutOutcome, Error> {
        let _ = (item, owner, now);
        todo!()
    }

    /// What a look at the network found. `heard`: some node answered with a record. May be lost in a crash.
    pub fn record_checked(
        &self,
        target: &Target,
        heard: bool,
        copies: u32,
        now: UnixSecs,
    ) -> Result<(), Error> {
        let _ = (target, heard, copies, now);
        todo!()
    }

    /// It was put to the DHT just now. May be lost in a crash.
    pub fn record_put(&self, target: &Target, copies: u32, now: UnixSecs) -> Result<(), Error> {
        let _ = (target, copies, now);
        todo!()
    }

    /// The owner has read the warning; the other value is forgotten.
    pub fn settle_conflict(&self, target: &Target) -> Result<(), Error> {
        let _ = target;
        todo!()
    }

    pub fn set_record_owner(&self, target: &Target, owner: Owner) -> Result<(), Error> {
        let _ = (target, owner);
        todo!()
    }

    /// Rows in target order, at most `max`, starting after `after`, whose owner is at least `owner`.
    pub fn records(&self, owner: Owner, after: Option<Target>, max: usize) -> Result<Vec<RecordRow>, Error> {
        let _ = (owner, after, max);
        todo!()
    }

    /// Replaces what is kept of these (others') items; `raw` empty: removed. May be lost in a crash.
    pub fn set_dht_items(&self, items: &[DhtItem]) -> Result<(), Error> {
        let _ = items;
        todo!()
    }

    /// All that are not expired, at most `max`; expired ones are removed.
    pub fn dht_items(&self, now: UnixSecs, max: usize) -> Result<Vec<DhtItem>, Error> {
        let _ = (now, max);
        todo!()
    }
}
