//! What changed between two versions of a site.

use crate::metainfo::Info;

/// Paths joined with `/`, sorted, at most `max` in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub added: Vec<(String, u64)>,
    pub removed: Vec<(String, u64)>,
    /// Path, old length, new length.
    pub changed: Vec<(String, u64, u64)>,
    /// More than `max` changes: the rest is not listed.
    pub more: usize,
}

/// Compares file by file: by pieces root or per-file hash where both have one, else by length and piece hashes.
pub fn between(old: &Info, new: &Info, max: usize) -> Changes {
    let _ = (old, new, max);
    todo!()
}
