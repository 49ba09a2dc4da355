//! Cells read lately: a run of 16 KiB reads walks through each 64 KiB cell once.

use std::sync::Mutex;

use bytes::Bytes;

use crate::locks::Lock;

/// More: more readers at once keep their place. Less: less memory.
const BYTES_MAX: usize = 4 << 20;

/// (site, piece, cell): a site number and a piece always mean the same bytes, so entries never go stale.
type Key = (u32, u32, u32);

/// Least recently used first; few enough entries that a walk is cheaper than a map.
#[derive(Debug, Default)]
pub(crate) struct CellCache(Mutex<(Vec<(Key, Bytes)>, usize)>);

impl CellCache {
    pub fn get(&self, key: Key) -> Option<Bytes> {
        let mut held = self.0.held();
        let at = held.0.iter().rposition(|(other, _)| *other == key)?;
        let last = held.0.len() - 1;
        // Runs of reads hit the newest entry: then nothing moves.
        if at + 4 < last {
            let entry = held.0.remove(at);
            held.0.push(entry);
            return held.0.last().map(|(_, data)| data.clone());
        }
        Some(held.0[at].1.clone())
    }

    pub fn put(&self, key: Key, data: Bytes) {
        let mut held = self.0.held();
        let (entries, used) = &mut *held;
        if entries.iter().any(|(other, _)| *other == key) {
            return;
        }
        *used += data.len() + 256;
        entries.push((key, data));
        let mut drop_first = 0;
        while *used > BYTES_MAX && drop_first + 1 < entries.len() {
            *used -= entries[drop_first].1.len() + 256;
            drop_first += 1;
        }
        entries.drain(..drop_first);
    }
}
