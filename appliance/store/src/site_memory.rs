//! What is kept in memory of the sites in use: piece hashes, which are held, which were hashed since boot.

use std::sync::{
    Arc, Mutex, RwLock,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use proto::id::InfoHash;

use crate::{
    locks::{Lock, Shared},
    tables::Seat,
};

/// More: fewer reloads when many sites are read in turn. Less: less memory.
const MEMORY_MAX: usize = 8 << 20;

/// More: more pieces read at once without a look into the state. Less: less memory per site.
const SEATS: usize = 4096;

/// One site in use.
#[derive(Debug)]
pub(crate) struct SiteMemory {
    pub no: u32,
    pub infohash: InfoHash,
    pub piece_length: u32,
    pub pieces: u32,
    pub total: u64,
    /// 20 bytes each.
    pub hashes: Bytes,
    pub have: RwLock<Bits>,
    /// Hashed by ourselves since this memory was made.
    pub verified: RwLock<Bits>,
    pub seats: Seats,
    /// The site was removed.
    pub gone: AtomicBool,
}

impl SiteMemory {
    pub fn hash(&self, piece: u32) -> Option<[u8; 20]> {
        let start = piece as usize * 20;
        self.hashes.get(start..start + 20)?.try_into().ok()
    }

    pub fn piece_len(&self, piece: u32) -> Option<u32> {
        let start = u64::from(piece) * u64::from(self.piece_length);
        let left = self.total.checked_sub(start).filter(|left| *left > 0)?;
        (piece < self.pieces).then(|| left.min(u64::from(self.piece_length)) as u32)
    }

    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    fn memory(&self) -> usize {
        self.hashes.len() + self.pieces as usize / 4 + (self.pieces as usize).min(SEATS) * 16 + 256
    }
}

/// Where pieces were seen last, by their number modulo [`SEATS`]; as long as the highest of them.
#[derive(Debug, Default)]
pub(crate) struct Seats(Mutex<Vec<Option<(u32, Seat)>>>);

impl Seats {
    pub fn get(&self, piece: u32) -> Option<Seat> {
        let known = self.0.held().get(piece as usize % SEATS).copied().flatten();
        known.filter(|(at, _)| *at == piece).map(|(_, seat)| seat)
    }

    pub fn keep(&self, piece: u32, seat: Seat) {
        let mut known = self.0.held();
        let place = piece as usize % SEATS;
        if known.len() <= place {
            known.resize(place + 1, None);
        }
        known[place] = Some((piece, seat));
    }
}

/// A bitfield as in BEP 3: the first piece is the highest bit of the first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bits {
    pub bytes: Vec<u8>,
    pub count: u32,
}

impl Bits {
    pub fn empty(pieces: u32) -> Self {
        Self {
            bytes: vec![0; (pieces as usize).div_ceil(8)],
            count: 0,
        }
    }

    pub fn full(pieces: u32) -> Self {
        let mut bytes = vec![0xFF; (pieces as usize).div_ceil(8)];
        if let (Some(last), 1..) = (bytes.last_mut(), pieces % 8) {
            *last = !(0xFF >> (pieces % 8));
        }
        Self { bytes, count: pieces }
    }

    /// From a stored bitfield; a wrong length is made right, so that a damaged row cannot panic.
    pub fn from_raw(raw: &[u8], pieces: u32) -> Self {
        let mut bits = Self::full(pieces);
        for (i, byte) in bits.bytes.iter_mut().enumerate() {
            *byte &= raw.get(i).copied().unwrap_or(0);
        }
        bits.count = bits.bytes.iter().map(|byte| byte.count_ones()).sum();
        bits
    }

    pub fn has(&self, piece: u32) -> bool {
        self.bytes
            .get(piece as usize / 8)
            .is_some_and(|byte| byte & (0x80 >> (piece % 8)) != 0)
    }

    /// True when this changed something.
    pub fn set(&mut self, piece: u32, on: bool) -> bool {
        if self.has(piece) == on {
            return false;
        }
        if let Some(byte) = self.bytes.get_mut(piece as usize / 8) {
            *byte ^= 0x80 >> (piece % 8);
            self.count = if on { self.count + 1 } else { self.count - 1 };
        }
        true
    }
}

/// The sites in use, least recently used first.
#[derive(Debug, Default)]
pub(crate) struct SiteMemories(Mutex<Vec<Arc<SiteMemory>>>);

impl SiteMemories {
    pub fn get(&self, infohash: &InfoHash) -> Option<Arc<SiteMemory>> {
        let mut list = self.0.held();
        let at = list.iter().position(|memory| memory.infohash == *infohash)?;
        let found = list.remove(at);
        list.push(found.clone());
        Some(found)
    }

    /// Puts a loaded site in, unless another thread was faster. Sites with handles outside stay, whatever the bound, so
    /// that all handles of a site share one bitfield.
    pub fn put(&self, memory: Arc<SiteMemory>) -> Arc<SiteMemory> {
        let mut list = self.0.held();
        if let Some(there) = list.iter().find(|other| other.infohash == memory.infohash) {
            return there.clone();
        }
        list.push(memory.clone());
        let mut used: usize = list.iter().map(|memory| memory.memory()).sum();
        while used > MEMORY_MAX {
            let Some(idle) = list.iter().position(|memory| Arc::strong_count(memory) == 1) else {
                break;
            };
            used -= list.remove(idle).memory();
        }
        memory
    }

    pub fn remove(&self, infohash: &InfoHash) {
        let mut list = self.0.held();
        if let Some(at) = list.iter().position(|memory| memory.infohash == *infohash) {
            list.remove(at).gone.store(true, Ordering::Release);
        }
    }

    /// Those in memory with this site number.
    pub fn by_number(&self, no: u32) -> Option<Arc<SiteMemory>> {
        self.0.held().iter().find(|memory| memory.no == no).cloned()
    }

    pub fn all(&self) -> Vec<Arc<SiteMemory>> {
        self.0.held().clone()
    }
}

impl SiteMemory {
    /// Whether the piece is durably held.
    pub fn holds(&self, piece: u32) -> bool {
        self.have.shared().has(piece)
    }
}
