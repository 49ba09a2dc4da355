//! Bytes that wait in memory: parts of pieces being fetched, and verified pieces before their commit.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::Bytes;
use proto::id::InfoHash;

use crate::{
    cells::{Cell, covering, layout},
    tables::Seat,
};

/// A site's piece that waits for its hash to become durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Want {
    pub site: u32,
    pub infohash: InfoHash,
    pub piece: u32,
}

/// A piece being fetched. Bytes never written are zeros.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    pub len: u32,
    /// Cells in memory.
    pub cells: BTreeMap<u32, Vec<u8>>,
    /// Where cells were spilled to, once some were.
    pub seat: Option<Seat>,
    pub spilled: BTreeSet<u32>,
}

/// A verified piece.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub len: u32,
    /// Cells in memory; the others lie at `seat`.
    pub cells: Vec<(Cell, Bytes)>,
    pub seat: Option<Seat>,
    /// All cells lie durably at `seat`.
    pub written: bool,
    pub wants: Vec<Want>,
}

#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub partial: HashMap<(u32, u32), Partial>,
    pub done: HashMap<[u8; 20], Done>,
    /// Order in which verified pieces came.
    pub order: VecDeque<[u8; 20]>,
    /// Bytes of partial cells and of verified pieces, in memory.
    pub partial_bytes: usize,
    pub done_bytes: usize,
}

impl Pending {
    pub fn bytes(&self) -> usize {
        self.partial_bytes + self.done_bytes
    }

    /// Copies `data` into the cells it touches. False: one of them is spilled and must be loaded first.
    pub fn write(&mut self, key: (u32, u32), len: u32, offset: u32, data: &[u8]) -> Result<(), Cell> {
        let partial = self.partial.entry(key).or_insert_with(|| Partial {
            len,
            ..Partial::default()
        });
        let end = offset + data.len() as u32;
        for cell in covering(len, offset, data.len() as u32) {
            if partial.spilled.contains(&cell.index) && !partial.cells.contains_key(&cell.index) {
                return Err(cell);
            }
            let bytes = partial.cells.entry(cell.index).or_insert_with(|| {
                self.partial_bytes += cell.len as usize;
                vec![0; cell.len as usize]
            });
            let (from, to) = (cell.start.max(offset), (cell.start + cell.len).min(end));
            bytes[(from - cell.start) as usize..(to - cell.start) as usize]
                .copy_from_slice(&data[(from - offset) as usize..(to - offset) as usize]);
        }
        Ok(())
    }

    /// Takes a partial piece out; its cells become the piece's bytes, missing ones zeros unless spilled.
    pub fn finish(&mut self, key: (u32, u32)) -> Option<Done> {
        let mut partial = self.partial.remove(&key)?;
        self.partial_bytes -= partial.memory();
        let mut cells = Vec::with_capacity(partial.cells.len());
        for cell in layout(partial.len) {
            match partial.cells.remove(&cell.index) {
                Some(data) => cells.push((cell, Bytes::from(data))),
                None if partial.spilled.contains(&cell.index) => {}
                None => cells.push((cell, Bytes::from(vec![0; cell.len as usize]))),
            }
        }
        Some(Done {
            len: partial.len,
            cells,
            seat: partial.seat,
            written: false,
            wants: Vec::new(),
        })
    }

    /// Queues a verified piece, or adds its wants to one already queued. Returns the seat of cells nobody needs then.
    pub fn queue(&mut self, hash: [u8; 20], done: Done) -> Option<Seat> {
        if let Some(there) = self.done.get_mut(&hash) {
            there.wants.extend(done.wants);
            return done.seat;
        }
        self.done_bytes += done.memory();
        self.order.push_back(hash);
        self.done.insert(hash, done);
        None
    }

    /// Forgets a verified piece.
    pub fn drop_done(&mut self, hash: &[u8; 20]) -> Option<Done> {
        let done = self.done.remove(hash)?;
        self.done_bytes -= done.memory();
        self.order.retain(|other| other != hash);
        Some(done)
    }

    /// Forgets the partial pieces of a site. Returns where spilled cells lie.
    pub fn drop_site(&mut self, site: u32) -> Vec<Seat> {
        let mut seats = Vec::new();
        let mut freed = 0;
        self.partial.retain(|(no, _), partial| {
            if *no == site {
                seats.extend(partial.seat);
                freed += partial.memory();
            }
            *no != site
        });
        self.partial_bytes -= freed;
        seats
    }

    /// Verified pieces with cells in a segment.
    pub fn lying_in(&self, segment: u32) -> Vec<[u8; 20]> {
        let there = self
            .done
            .iter()
            .filter(|(_, done)| done.seat.is_some_and(|seat| seat.segment == segment));
        there.map(|(hash, _)| *hash).collect()
    }

    /// Everything in the segments that memory refers to.
    pub fn seats(&self) -> impl Iterator<Item = Seat> + '_ {
        let partial = self.partial.values().filter_map(|partial| partial.seat);
        partial.chain(self.done.values().filter_map(|done| done.seat))
    }
}

impl Partial {
    /// Spilled cells are lost: they read as zeros, and the engine's hash check will say so.
    pub fn forget_spilled(&mut self) {
        self.seat = None;
        self.spilled.clear();
    }

    pub fn lies_in(&self, segment: u32) -> bool {
        self.seat.is_some_and(|seat| seat.segment == segment)
    }

    fn memory(&self) -> usize {
        self.cells.values().map(Vec::len).sum()
    }
}

impl Done {
    pub fn memory(&self) -> usize {
        self.cells.iter().map(|(_, data)| data.len()).sum()
    }
}
