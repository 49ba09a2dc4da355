//! Which bytes of a new version we already hold.

use std::ops::Range;

use crate::metainfo::Info;

/// A place in another torrent's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Which of the given old torrents.
    pub torrent: usize,
    /// Bytes counted over the whole torrent.
    pub range: Range<u64>,
}

/// How a piece of the new torrent may be put together from old ones; its hash decides whether it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    pub piece: u32,
    /// In order; together exactly the piece. `None`: zeros (padding).
    pub parts: Vec<(Option<Source>, u64)>,
}

/// Guesses for pieces that are `missing`: same hash anywhere in the old ones, else the same file (by pieces root, by
/// per-file hash, by path and length, by path) at the same place within it.
pub fn guesses(new: &Info, missing: impl Fn(u32) -> bool, old: &[&Info]) -> Vec<Guess> {
    let _ = (new, &missing, old);
    todo!()
}
