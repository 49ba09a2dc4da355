//! The compiled file: opening, checking, look-up.

use super::{
    super::name::{labels, upwards},
    hash::{sip13, word},
};

/// Key of the hash.
pub type Key = [u8; 16];

const MAGIC: [u8; 8] = *b"\x89GRBLK\r\n";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 64;
const WORD: usize = 8;
/// Names in wire form have no more labels (RFC 1035 §2.3.4).
const LABELS_MAX: u32 = 127;
/// Guesses before the search falls back to halving. Hashes are spread evenly, so four or five do; only a file that was
/// forged needs more.
const GUESSES_MAX: u32 = 12;

/// Why a file is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("it is not a compiled block list")]
    Foreign,
    #[error("it was made by another release")]
    Version,
    #[error("it is cut short or too long")]
    Length,
    #[error("its bytes have changed since it was made")]
    Checksum,
}

/// What the list says about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    No,
    Blocked,
    /// Blocked by a line, but another one makes an exception.
    Excepted,
}

/// A compiled list over bytes that may be a mapped file.
pub struct List<B> {
    bytes: B,
    key: Key,
    labels_max: usize,
    blocked: usize,
    excepted: usize,
}

impl<B: AsRef<[u8]>> List<B> {
    /// Checks everything, once. The look-ups rely on nothing but the lengths, so bytes that change later give wrong answers
    /// and nothing worse.
    pub fn open(bytes: B) -> Result<Self, Damage> {
        let all = bytes.as_ref();
        let header = all.get(..HEADER_BYTES).ok_or(match all.starts_with(&MAGIC) {
            true => Damage::Length,
            false => Damage::Foreign,
        })?;
        if !header.starts_with(&MAGIC) {
            return Err(Damage::Foreign);
        }
        let field = |at: usize| word(&header[at..at + WORD]);
        if field(8) as u32 != VERSION {
            return Err(Damage::Version);
        }
        if field(56) != sip13(&[0; 16], &header[..56]) {
            return Err(Damage::Checksum);
        }
        let tables = &all[HEADER_BYTES..];
        let (blocked, excepted) = (field(32), field(40));
        let words = blocked.checked_add(excepted).ok_or(Damage::Length)?;
        if words.checked_mul(WORD as u64) != Some(tables.len() as u64) {
            return Err(Damage::Length);
        }
        let mut key = Key::default();
        key.copy_from_slice(&header[16..32]);
        if field(48) != sip13(&key, tables) {
            return Err(Damage::Checksum);
        }
        Ok(Self {
            labels_max: ((field(8) >> 32) as u32).min(LABELS_MAX) as usize,
            key,
            // Both fit: they count words that are there.
            blocked: blocked as usize,
            excepted: excepted as usize,
            bytes,
        })
    }

    /// Names that are blocked, each counted once.
    pub fn blocked(&self) -> u64 {
        self.blocked as u64
    }

    /// Exceptions.
    pub fn excepted(&self) -> u64 {
        self.excepted as u64
    }

    /// `name`: wire form, lower case. Allocates nothing; the cost grows with the labels of the name, up to those of the
    /// longest listed one.
    pub fn look_up(&self, name: &[u8]) -> Listed {
        if self.longest_blocked(name).is_none() {
            return Listed::No;
        }
        match self.longest_excepted(name) {
            Some(_) => Listed::Excepted,
            None => Listed::Blocked,
        }
    }

    /// The length of the longest blocked name that `name` is or lies below.
    pub(super) fn longest_blocked(&self, name: &[u8]) -> Option<usize> {
        self.longest(name, HEADER_BYTES, self.blocked)
    }

    pub(super) fn longest_excepted(&self, name: &[u8]) -> Option<usize> {
        self.longest(name, HEADER_BYTES + self.blocked * WORD, self.excepted)
    }

    fn longest(&self, name: &[u8], start: usize, words: usize) -> Option<usize> {
        let table = self.bytes.as_ref().get(start..start + words * WORD)?;
        if table.is_empty() {
            return None;
        }
        let deeper = labels(name).count().saturating_sub(self.labels_max);
        upwards(name)
            .skip(deeper)
            // The root is never listed.
            .take_while(|above| above.len() > 1)
            .find(|above| {
                let hash = sip13(&self.key, above);
                // An entry without "everything below" counts for the name itself alone.
                find(table, hash & !1).is_some_and(|entry| entry & 1 == 1 || above.len() == name.len())
            })
            .map(<[u8]>::len)
    }
}

/// A word of a table.
pub(super) fn entry(hash: u64, below: bool) -> u64 {
    hash & !1 | u64::from(below)
}

/// The entry of `table` that is `key`, its lowest bit aside.
///
/// Hashes are spread evenly, so the place of one can be guessed from its value, and a miss says how far away it is.
fn find(table: &[u8], key: u64) -> Option<u64> {
    let words = table.len() / WORD;
    let at = |index: usize| word(&table[index * WORD..]);
    // How many entries a distance between hashes stands for.
    let entries = |distance: u64| ((u128::from(distance) * words as u128) >> 64) as usize;
    let (mut low, mut high) = (0, words);
    let mut guess = entries(key);
    for round in 0.. {
        if low >= high {
            return None;
        }
        guess = match round < GUESSES_MAX {
            true => guess.clamp(low, high - 1),
            false => low + (high - low) / 2,
        };
        let entry = at(guess);
        if entry & !1 == key {
            return Some(entry);
        }
        if entry < key {
            low = guess + 1;
            guess += entries(key - entry).max(1);
        } else {
            high = guess;
            guess = guess.saturating_sub(entries(entry - key).max(1));
        }
    }
    None
}

/// Header and tables as one file. Both tables are sorted.
pub(super) fn write(key: &Key, labels_max: u32, blocked: &[u64], excepted: &[u64]) -> Vec<u8> {
    let words = blocked.len() + excepted.len();
    let mut file = Vec::with_capacity(HEADER_BYTES + words * WORD);
    file.extend(MAGIC);
    file.extend(VERSION.to_le_bytes());
    file.extend(labels_max.to_le_bytes());
    file.extend(key);
    file.extend((blocked.len() as u64).to_le_bytes());
    file.extend((excepted.len() as u64).to_le_bytes());
    file.resize(HEADER_BYTES, 0);
    for word in blocked.iter().chain(excepted) {
        file.extend(word.to_le_bytes());
    }
    let tables = sip13(key, &file[HEADER_BYTES..]);
    file[48..56].copy_from_slice(&tables.to_le_bytes());
    let header = sip13(&[0; 16], &file[..56]);
    file[56..64].copy_from_slice(&header.to_le_bytes());
    file
}
