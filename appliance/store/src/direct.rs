//! Reads around redb, straight from a segment's file into the buffer that is given away: redb zeroes a page, reads it and
//! lends it, so that each byte is touched three times before it is ours.
//!
//! Where a cell lies is learned by watching redb read it (`note`, `locate`) and used only within the snapshot it was found
//! in: redb never changes a page that a live snapshot can reach. A commit ends the snapshot, and all is learned anew.

use std::{
    cell::Cell as Local,
    collections::HashMap,
    fs::File,
    io::IoSliceMut,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use redb::ReadTransaction;
use rustix::io::{ReadWriteFlags, preadv2};

use crate::{cells::covering, locks::Lock};

/// More: more of a large segment is read directly. Less: less memory (about 40 bytes each). This many are 1 GiB.
const SPOTS_MAX: usize = 16_384;
/// Cells joined in one system call; between two neighbours lies the head of a page.
const JOINED_MAX: usize = 17;
const HEAD_MAX: usize = 64;
/// Buffers of this size are kept for the next read: fresh memory costs as much as the copy into it.
const BUFFER: usize = 256 << 10;
/// More: more readers at once find one. Less: less memory.
const BUFFERS_MAX: usize = 6;

thread_local! {
    /// The last read of this thread: address of its buffer, length, place in the file.
    static SEEN: Local<(usize, usize, u64)> = const { Local::new((0, 0, 0)) };
}

/// A backend has read `out` from `offset` of its file, unchanged.
pub(crate) fn note(offset: u64, out: &[u8]) {
    SEEN.set((out.as_ptr() as usize, out.len(), offset));
}

/// What was read before does not count.
pub(crate) fn forget() {
    SEEN.set((0, 0, 0));
}

/// Where `data` lies in the file, if it is part of the last read since [`forget`]. The caller still borrows `data` from
/// the buffer of that read, or from one that lived beside it: two live buffers have no address in common.
fn locate(data: &[u8]) -> Option<u64> {
    let (address, len, offset) = SEEN.get();
    let inside = (data.as_ptr() as usize).checked_sub(address)?;
    (inside + data.len() <= len).then(|| offset + inside as u64)
}

/// A snapshot of one segment and where its cells lie.
pub(crate) struct Snapshot {
    pub txn: ReadTransaction,
    file: Option<Arc<File>>,
    /// By piece id and cell.
    spots: Mutex<HashMap<(u32, u32), u64>>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("file", &self.file).finish()
    }
}

impl Snapshot {
    /// Without a `file` nothing is learned and nothing is read directly.
    pub fn new(txn: ReadTransaction, file: Option<Arc<File>>) -> Self {
        Self {
            txn,
            file,
            spots: Mutex::default(),
        }
    }

    /// Remembers where `data`, the cell redb just gave, lies.
    pub fn learn(&self, id: u32, cell: u32, data: &[u8]) {
        if let (Some(_), Some(at)) = (&self.file, locate(data)) {
            let mut spots = self.spots.held();
            if spots.len() >= SPOTS_MAX {
                spots.clear();
            }
            spots.insert((id, cell), at);
        }
    }

    /// Part of a piece of `len` bytes. `None`: not all cells are known, or (not `wait`) not all bytes are in the system's
    /// memory, or there was trouble; redb is asked then.
    pub fn read(
        &self,
        id: u32,
        len: u32,
        (offset, count): (u32, u32),
        wait: bool,
        spare: &Arc<Buffers>,
    ) -> Option<Bytes> {
        let file = self.file.as_ref()?;
        let parts = {
            let spots = self.spots.held();
            covering(len, offset, count)
                .map(|cell| {
                    let from = offset.saturating_sub(cell.start);
                    let to = (offset + count - cell.start).min(cell.len);
                    let at = spots.get(&(id, cell.index))?;
                    Some((at + u64::from(from), (to - from) as usize))
                })
                .collect::<Option<Vec<(u64, usize)>>>()?
        };
        let mut buffer = spare.take(count as usize);
        let (mut rest, mut next) = (&mut buffer.data[..count as usize], &parts[..]);
        while !next.is_empty() {
            let joined = neighbours(next);
            let bytes = next[..joined].iter().map(|(_, len)| len).sum();
            let (now, later) = rest.split_at_mut(bytes);
            fill(file, &next[..joined], now, wait)?;
            (rest, next) = (later, &next[joined..]);
        }
        rest.is_empty().then(|| Bytes::from_owner(buffer))
    }
}

/// How many of the first parts lie so close together that one call reads them.
fn neighbours(parts: &[(u64, usize)]) -> usize {
    let close = parts.windows(2).take_while(|pair| {
        let gap = pair[1].0.checked_sub(pair[0].0 + pair[0].1 as u64);
        gap.is_some_and(|gap| gap <= HEAD_MAX as u64)
    });
    (close.count() + 1).min(JOINED_MAX)
}

/// Reads neighbours; what lies between them is thrown away.
fn fill(file: &File, parts: &[(u64, usize)], mut out: &mut [u8], wait: bool) -> Option<()> {
    let mut heads = [[0u8; HEAD_MAX]; JOINED_MAX];
    let mut slices = Vec::with_capacity(2 * parts.len());
    let (start, mut at) = (parts.first()?.0, parts.first()?.0);
    let mut total = 0;
    for ((place, len), head) in parts.iter().zip(&mut heads) {
        let gap = (place - at) as usize;
        if gap > 0 {
            slices.push(IoSliceMut::new(&mut head[..gap]));
        }
        let (now, later) = std::mem::take(&mut out).split_at_mut(*len);
        slices.push(IoSliceMut::new(now));
        out = later;
        at = place + *len as u64;
        total += gap + len;
    }
    let flags = if wait {
        ReadWriteFlags::empty()
    } else {
        ReadWriteFlags::NOWAIT
    };
    // A short read is as good as none: it is tried again, the slow way.
    (preadv2(file, &mut slices, start, flags) == Ok(total)).then_some(())
}

/// Buffers that wait for the next read.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    fn take(self: &Arc<Self>, len: usize) -> Lent {
        let fits = (BUFFER / 4..=BUFFER).contains(&len);
        let kept = if fits { self.0.held().pop() } else { None };
        let size = if fits { BUFFER } else { len };
        Lent {
            data: kept.unwrap_or_else(|| vec![0; size]),
            len,
            home: fits.then(|| self.clone()),
        }
    }
}

/// A buffer that goes back when the last one who reads it is done.
struct Lent {
    data: Vec<u8>,
    len: usize,
    home: Option<Arc<Buffers>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.data[..self.len]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            let mut kept = home.0.held();
            if kept.len() < BUFFERS_MAX {
                kept.push(std::mem::take(&mut self.data));
            }
        }
    }
}
