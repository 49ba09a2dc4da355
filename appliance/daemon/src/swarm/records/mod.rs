//! Records of mutable addresses (BEP 44, 46): looked up, checked, kept, and put again for as long as the household follows
//! them, without their keys. What is newest never goes down; two values under one number are a warning.
//!
//! With upload off the room only asks: nothing is put, neither by schedule nor by [`Records::publish`], which says so before
//! it stores anything. Records of private torrents and of blocked subscriptions are never put. Must not know: sites, pages,
//! secret keys. Reading order: this file (what other rooms see), `look`, `publish`, `keeper` (putting again), `pace` (how
//! often the network is asked), `bench`. The rules stand in `proto::record` and `proto::record_keeping`.

pub mod bench;
mod keeper;
mod look;
mod pace;
mod publish;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use proto::{
    id::Target,
    key::PublicKey,
    record::{self, Mutable},
};
use store::{Owner, PutOutcome, RecordRow};
use tokio::{
    sync::{Mutex, Notify},
    time::Instant,
};

use self::pace::Pace;
use super::dht::{Dht, Item};
use crate::{clock::Clock, db::Db, tasks::Tasks};

/// Split by what a caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody has a record, or nobody answered. Try later.
    #[error("no record of {0} was found")]
    Silent(Target),
    #[error("{0}")]
    Refused(String),
    /// The network or the store has a higher number: sign again above it.
    #[error("the network already has sequence number {0}")]
    Overtaken(i64),
    /// This Granary runs without the DHT.
    #[error("the DHT is off")]
    Off,
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// A look at the network.
#[derive(Debug, Clone)]
pub struct Looked {
    pub outcome: PutOutcome,
    /// Nodes that hold the newest number.
    pub copies: u32,
    pub answered: u32,
    /// Some node answered with a record of this address, now.
    pub heard: bool,
    /// BEP 44's three conditions for not putting it again hold.
    pub others_keep_it: bool,
}

/// What a person sees after publishing.
#[derive(Debug, Clone)]
pub struct Published {
    pub row: RecordRow,
    /// Nodes that took it; 0: it is stored here and put again later.
    pub stored: u32,
    pub asked: u32,
}

/// A new node needs a moment until it knows others; whoever asks meanwhile waits so long.
const ONLINE_WAIT: Duration = Duration::from_secs(10);
const ONLINE_POLL: Duration = Duration::from_millis(50);

/// Cheap to clone.
#[derive(Clone)]
pub struct Records {
    inner: Arc<Inner>,
}

struct Inner {
    dht: Option<Dht>,
    db: Db,
    clock: Clock,
    pace: Pace,
    /// False: with upload off we only ask.
    putting: AtomicBool,
    /// Something is due earlier than the keeper thinks.
    wake: Notify,
    /// One publishing at a time decides about a number and writes it.
    deciding: Mutex<()>,
    /// What was last put before this moment has not been put since the start.
    started: u64,
}

impl Records {
    /// Starts putting: all records of the household and of what it follows at a bounded rate, ours first, then hourly.
    pub fn start(dht: Option<Dht>, db: Db, clock: Clock, tasks: &Tasks) -> Self {
        let started = clock.now_secs();
        let inner = Inner {
            dht,
            db,
            clock,
            pace: Pace::default(),
            putting: AtomicBool::new(true),
            wake: Notify::new(),
            deciding: Mutex::new(()),
            started,
        };
        let records = Self {
            inner: Arc::new(inner),
        };
        if records.inner.dht.is_some() {
            tasks.spawn("records.keep", keeper::run(records.clone()));
        }
        records
    }

    /// Whether we put, or, with upload off, only ask. Takes effect with the next record.
    pub fn set_putting(&self, putting: bool) {
        self.inner.putting.store(putting, Ordering::Relaxed);
        self.inner.wake.notify_one();
    }

    /// What the store has. No network.
    pub async fn known(&self, target: &Target) -> Result<Option<RecordRow>, Error> {
        let target = *target;
        Ok(self.inner.db.run(move |store| store.record(&target)).await?)
    }

    /// Asks the network, telling it the number we know; takes in what is newer. Waits its turn when many look at once. When
    /// nobody answers for a record we know, `heard` is false; for one we do not know, that is `Silent`.
    pub async fn look(
        &self,
        key: &PublicKey,
        salt: &[u8],
        owner: Owner,
        deadline: Instant,
    ) -> Result<Looked, Error> {
        self.inner.look(key, salt, owner, deadline).await
    }

    /// A record signed elsewhere becomes ours: checked, stored, put until the deadline, and kept alive from now on. The network
    /// is asked first, so that a number used elsewhere is not used again. `cas`: refused unless this is the number that stands.
    pub async fn publish(
        &self,
        item: Mutable,
        cas: Option<i64>,
        deadline: Instant,
    ) -> Result<Published, Error> {
        self.inner.publish(item, cas, deadline).await
    }

    /// Whatever is stored under a target: an immutable item, or a record whose key is not known. A record that is newer in
    /// the store comes from there.
    pub async fn find(&self, target: Target, salt: &[u8], deadline: Instant) -> Result<Item, Error> {
        self.inner.find(target, salt, deadline).await
    }

    /// An immutable item: its bencoded value.
    pub async fn item(&self, target: Target, deadline: Instant) -> Result<Vec<u8>, Error> {
        match self.find(target, b"", deadline).await? {
            Item::Immutable(value) => Ok(value),
            Item::Mutable(_) => Err(Error::Silent(target)),
        }
    }

    /// Puts an immutable item; how many nodes took it. Nobody here puts it again.
    pub async fn put_item(&self, value: Vec<u8>, deadline: Instant) -> Result<(Target, u32), Error> {
        record::check_value(&value).map_err(|err| Error::Refused(format!("{err}. Nothing was put.")))?;
        self.inner.must_put()?;
        let target = record::immutable_target(&value);
        let stored = self.inner.put(Item::Immutable(value), None, deadline).await?;
        Ok((target, stored.stored as u32))
    }
}

impl Inner {
    fn dht(&self) -> Result<&Dht, Error> {
        self.dht.as_ref().ok_or(Error::Off)
    }

    fn must_put(&self) -> Result<(), Error> {
        if self.putting.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(Error::Refused(
            "upload is off, so this Granary only reads the DHT. Nothing was put. Switch sharing on and try again.".into(),
        ))
    }

    /// Waits a moment for the first nodes; false when there are none yet.
    async fn online(&self, dht: &Dht, deadline: Instant) -> bool {
        let until = deadline.min(Instant::now() + ONLINE_WAIT);
        while !knows_nodes(dht) {
            if Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(ONLINE_POLL).await;
        }
        true
    }
}

fn knows_nodes(dht: &Dht) -> bool {
    let stats = dht.stats();
    stats.good_v4 + stats.good_v6 > 0
}
