//! Records of mutable addresses (BEP 44, 46): looked up, checked, kept, and put again for as long as the household follows
//! them, without their keys. What is newest never goes down; two values under one number are a warning.

use proto::{id::Target, key::PublicKey, record::Mutable};
use store::{Owner, PutOutcome, RecordRow};
use tokio::time::Instant;

use super::dht::Dht;
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
}

/// What a person sees after publishing.
#[derive(Debug, Clone)]
pub struct Published {
    pub row: RecordRow,
    pub stored: u32,
    pub asked: u32,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Records {
    dht: Option<Dht>,
    db: Db,
    clock: Clock,
}

impl Records {
    /// Starts putting: all records of the household and of what it follows at a bounded rate, ours first, then hourly.
    pub fn start(dht: Option<Dht>, db: Db, clock: Clock, tasks: &Tasks) -> Self {
        let _ = tasks;
        Self { dht, db, clock }
    }

    /// What the store has. No network.
    pub async fn known(&self, target: &Target) -> Result<Option<RecordRow>, Error> {
        let _ = (target, &self.dht, &self.clock, &self.db);
        todo!()
    }

    /// Asks the network, telling it the number we know; takes in what is newer. Waits its turn when many look at once.
    pub async fn look(
        &self,
        key: &PublicKey,
        salt: &[u8],
        owner: Owner,
        deadline: Instant,
    ) -> Result<Looked, Error> {
        let _ = (key, salt, owner, deadline);
        todo!()
    }

    /// A record signed elsewhere becomes ours: checked, stored, put until the deadline, and kept alive from now on.
    pub async fn publish(
        &self,
        item: Mutable,
        cas: Option<i64>,
        deadline: Instant,
    ) -> Result<Published, Error> {
        let _ = (item, cas, deadline);
        todo!()
    }

    /// An immutable item: its bencoded value.
    pub async fn item(&self, target: Target, deadline: Instant) -> Result<Vec<u8>, Error> {
        let _ = (target, deadline);
        todo!()
    }

    /// Puts an immutable item; how many nodes took it.
    pub async fn put_item(&self, value: Vec<u8>, deadline: Instant) -> Result<(Target, u32), Error> {
        let _ = (value, deadline);
        todo!()
    }
}
