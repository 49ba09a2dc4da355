//! A small shared memory of what was just read from the store: peers ask for 16 KiB at a time, in runs, and several ask
//! for the same pieces. Bounded in bytes; one read per extent however many peers wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use proto::id::InfoHash;
use store::Pieces;
use tokio::sync::OnceCell;

use super::lock;
use crate::db::Db;

/// Bytes read in one go: a hop to a blocking thread and a walk of the store are paid once per 16 blocks.
pub const EXTENT: u32 = 256 << 10;

/// Extents read in one hop at most. Larger: fewer hops, larger bursts on a slow disk.
const BATCH_MAX: usize = 4;

/// Which part of which piece: `index` counts extents within the piece.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    pub infohash: InfoHash,
    pub piece: u32,
    pub index: u32,
}

/// `None` inside: the store does not hold it (any more).
type Slot = Arc<OnceCell<Option<Bytes>>>;

/// Cheap to clone.
#[derive(Clone)]
pub struct Extents {
    db: Db,
    table: Arc<Mutex<Table>>,
}

struct Table {
    slots: HashMap<Key, (Slot, u64)>,
    clock: u64,
    max: usize,
}

impl Extents {
    /// At most `bytes_max` bytes, at least two extents.
    pub fn new(db: Db, bytes_max: usize) -> Self {
        Self {
            db,
            table: Arc::new(Mutex::new(Table {
                slots: HashMap::new(),
                clock: 0,
                max: (bytes_max / EXTENT as usize).max(2),
            })),
        }
    }

    /// What is in memory now. `Some(None)`: the store said it does not hold it.
    pub fn peek(&self, key: &Key) -> Option<Option<Bytes>> {
        let mut table = lock(&self.table);
        table.clock += 1;
        let clock = table.clock;
        let (slot, used) = table.slots.get_mut(key)?;
        *used = clock;
        slot.get().cloned()
    }

    /// Reads the first of `wanted` (keys with whole lengths), unless another peer does already, and the others in the same
    /// hop to a blocking thread: hops cost more than reading does.
    pub async fn load(&self, pieces: Pieces, wanted: Vec<(Key, u32)>) -> Result<Option<Bytes>, store::Error> {
        let Some((key, _)) = wanted.first().copied() else {
            return Ok(None);
        };
        let slot = lock(&self.table).slot(key);
        let read = slot.get_or_try_init(|| async {
            let (first, more) = self.db.run(move |_| read_all(&pieces, &wanted)).await?;
            let mut table = lock(&self.table);
            for (key, bytes) in more {
                // Somebody else's read of the same bytes may have come first.
                let _ = table.slot(key).set(Some(bytes));
            }
            Ok(first)
        });
        match read.await {
            Ok(Some(bytes)) => Ok(Some(bytes.clone())),
            missing => {
                // Not remembered: it may be fetched again any moment.
                lock(&self.table).slots.remove(&key);
                missing.cloned()
            }
        }
    }

    /// How many extents one peer of `peers` may have read in one go without pushing out what others still need.
    pub fn batch(&self, peers: usize) -> usize {
        (lock(&self.table).max / (2 * peers.max(1))).clamp(1, BATCH_MAX)
    }
}

type Read = (Option<Bytes>, Vec<(Key, Bytes)>);

/// Trouble with the later ones is met again when they are the first.
fn read_all(pieces: &Pieces, wanted: &[(Key, u32)]) -> Result<Read, store::Error> {
    let read = |key: &Key, length: u32| pieces.read(key.piece, key.index * EXTENT, length);
    let Some(((key, length), rest)) = wanted.split_first() else {
        return Ok((None, Vec::new()));
    };
    let first = read(key, *length)?;
    let more = rest
        .iter()
        .map_while(|(key, length)| Some((*key, read(key, *length).ok().flatten()?)))
        .collect();
    Ok((first, more))
}

impl Table {
    fn slot(&mut self, key: Key) -> Slot {
        self.clock += 1;
        let clock = self.clock;
        if !self.slots.contains_key(&key) && self.slots.len() >= self.max {
            // A walk over at most a few dozen entries, once per 256 KiB.
            if let Some(oldest) = self
                .slots
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(k, _)| *k)
            {
                self.slots.remove(&oldest);
            }
        }
        let (slot, used) = self.slots.entry(key).or_default();
        *used = clock;
        slot.clone()
    }
}
