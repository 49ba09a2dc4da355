//! Keeping memory below its bound: verified pieces are committed, cells of unfinished ones are spilled to a segment and
//! loaded back when more of them arrives.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::{
    Error,
    cells::{Cell, layout},
    core::Core,
    locks::Lock,
    segment::{put_cells, put_name},
    tables::Seat,
};

/// A writer waits this long for memory before it is told that the store is too busy.
const ROOM_WAIT: Duration = Duration::from_secs(20);

impl Core {
    /// Brings memory below its bound: commits what is verified, then spills what is not.
    pub fn make_space(&self) -> Result<(), Error> {
        let max = self.config.pending_bytes_max;
        let deadline = Instant::now() + ROOM_WAIT;
        loop {
            let (bytes, done) = {
                let pending = self.pending.held();
                (pending.bytes(), pending.done_bytes)
            };
            if bytes <= max {
                return Ok(());
            }
            if done > max / 4 {
                self.commit()?;
            } else if !self.spill(bytes - max / 2)? {
                let pending = self.pending.held();
                if pending.bytes() > max {
                    let _ = self.room.wait_timeout(pending, Duration::from_millis(100));
                }
            }
            if Instant::now() > deadline {
                return Err(Error::Quota(format!(
                    "{max} bytes wait in memory and the disk is too slow"
                )));
            }
        }
    }

    /// Moves cells of unfinished pieces to a segment until `bytes` are free. False: there was nothing to move.
    fn spill(&self, bytes: usize) -> Result<bool, Error> {
        let mut writer = self.writer.held();
        self.has_room()?;
        let Some((key, hash)) = self.largest_partial() else {
            return Ok(false);
        };
        let (seat, len, mut cells) = {
            let pending = self.pending.held();
            let Some(partial) = pending.partial.get(&key) else {
                return Ok(true);
            };
            let cells: Vec<(Cell, Bytes)> = layout(partial.len)
                .filter_map(|cell| Some((cell, Bytes::copy_from_slice(partial.cells.get(&cell.index)?))))
                .collect();
            (partial.seat, partial.len, cells)
        };
        let mut moved = 0;
        cells.retain(|(cell, _)| {
            moved += cell.len as usize;
            moved <= bytes.max(1 << 20)
        });
        let segment = match seat {
            Some(seat) => seat.segment,
            None => self.choose(&mut writer, &[])?.0,
        };
        let infohash = self
            .memories
            .by_number(key.0)
            .map_or([0; 20], |memory| memory.infohash.0);
        let written = self.segments.get(segment).write(|txn| {
            let id = match seat {
                Some(seat) => seat.id,
                None => crate::segment::next_id(txn)?,
            };
            put_cells(txn, id, &cells)?;
            put_name(txn, id, hash, len, infohash, key.1)?;
            Ok(Seat { segment, id })
        });
        let seat = self.noted(written)?;
        self.mark_spilled(key, seat, cells)
    }

    /// Only cells that did not change while they were written leave memory.
    fn mark_spilled(&self, key: (u32, u32), seat: Seat, cells: Vec<(Cell, Bytes)>) -> Result<bool, Error> {
        let mut pending = self.pending.held();
        let mut freed = 0;
        let there = match pending.partial.get_mut(&key) {
            Some(partial) => {
                partial.seat = Some(seat);
                for (cell, data) in cells {
                    if partial.cells.get(&cell.index).is_some_and(|now| *now == data) {
                        partial.cells.remove(&cell.index);
                        partial.spilled.insert(cell.index);
                        freed += cell.len as usize;
                    }
                }
                true
            }
            None => false,
        };
        pending.partial_bytes -= freed;
        drop(pending);
        self.room.notify_all();
        // The piece was finished or dropped meanwhile: nobody needs these cells.
        if !there {
            self.bury(seat)?;
        }
        Ok(true)
    }

    fn largest_partial(&self) -> Option<((u32, u32), [u8; 20])> {
        let key = {
            let pending = self.pending.held();
            let full = pending
                .partial
                .iter()
                .filter(|(_, partial)| !partial.cells.is_empty());
            full.max_by_key(|(_, partial)| partial.cells.len())
                .map(|(key, _)| *key)
        }?;
        Some((key, self.memories.by_number(key.0)?.hash(key.1)?))
    }

    /// Loads one spilled cell back, because more of it is about to be written.
    pub fn unspill(&self, key: (u32, u32), cell: Cell) -> Result<(), Error> {
        let seat = self
            .pending
            .held()
            .partial
            .get(&key)
            .and_then(|partial| partial.seat);
        let Some(seat) = seat else { return Ok(()) };
        let data = self
            .load_cell(seat, cell)?
            .map_or_else(|| vec![0; cell.len as usize], Vec::from);
        let mut pending = self.pending.held();
        let mut grown = 0;
        if let Some(partial) = pending.partial.get_mut(&key) {
            partial.cells.entry(cell.index).or_insert_with(|| {
                grown = cell.len as usize;
                data
            });
        }
        pending.partial_bytes += grown;
        Ok(())
    }
}
