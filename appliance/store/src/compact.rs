//! Emptying sparse segments: live pieces are copied to other segments, their rows turned, the file unlinked. redb never
//! gives pages back to the disk by itself.

use std::collections::BTreeSet;

use bytes::Bytes;
use redb::ReadableTable;

use crate::{
    Error,
    cells::{Cell, layout},
    commit::Arrival,
    core::{Core, Writer},
    disk::Place,
    locks::Lock,
    placement::weigh,
    segment::{Sha1, get_cells, name_of},
    tables::{DEAD, NAMES, PIECES, Piece, Seat},
};

/// Disk use above live bytes that starts a compaction: in hundredths of the live bytes, and at least this many bytes.
const SLACK_PERCENT: u64 = 6;
const SLACK_BYTES: u64 = 3 << 20;
/// What redb needs for a file beside its values; moving pieces does not win it back.
const FILE_BYTES: u64 = 1 << 20;
/// Bytes moved per tick. More: space comes back sooner. Less: readers notice less.
const MOVE_BYTES: u64 = 16 << 20;
const LOOK_SECS: u64 = 30;

impl Core {
    pub fn compact(&self) -> Result<(), Error> {
        let mut writer = self.writer.held();
        let now = self.now.load(std::sync::atomic::Ordering::Acquire);
        if writer.emptying.is_none() {
            // A segment that was not looked at since a crash may not even be a database yet.
            if !writer.unsure.is_empty() {
                return Ok(());
            }
            if now.saturating_sub(writer.compacted) < LOOK_SECS && writer.compacted != 0 {
                return Ok(());
            }
            writer.compacted = now;
            writer.emptying = self.sparsest(&writer.condemned)?;
        }
        let Some(segment) = writer.emptying else {
            return Ok(());
        };
        writer.target = writer.target.filter(|no| *no != segment);
        if !self.empty_some(&mut writer, segment)? {
            writer.emptying = None;
            // Look for the next one at once: months of deletions are worked off in one go.
            writer.compacted = 0;
        }
        drop(writer);
        self.sweep()
    }

    /// The segment that wastes most, when all together waste too much.
    fn sparsest(&self, condemned: &BTreeSet<u32>) -> Result<Option<u32>, Error> {
        let mut wastes = Vec::new();
        let (mut used, mut live) = (0, 0);
        for (no, bytes, _) in self.segment_rows()? {
            let on_disk = self.disk.used(Place::Content, &name_of(no)).unwrap_or(0);
            used += on_disk;
            live += bytes;
            wastes.push((on_disk.saturating_sub(bytes + FILE_BYTES), no, on_disk));
        }
        if used <= live + (live * SLACK_PERCENT / 100).max(SLACK_BYTES) {
            return Ok(None);
        }
        // A segment that is nearly full of live bytes costs more to move than it gives back.
        let worst = wastes
            .into_iter()
            .filter(|(waste, no, on_disk)| {
                waste * 20 > *on_disk && !condemned.contains(no) && !self.is_strange(*no)
            })
            .max();
        Ok(worst.map(|(_, no, _)| no))
    }

    /// Moves some pieces out. False: none is left.
    fn empty_some(&self, writer: &mut Writer, segment: u32) -> Result<bool, Error> {
        let (moving, rotten) = self.pick(segment)?;
        let done = moving.is_empty() && rotten.is_empty();
        if !rotten.is_empty() {
            self.forget_held(&rotten)?;
        }
        let mut at = 0;
        while at < moving.len() {
            let arrivals: Vec<Arrival> = moving[at..].iter().map(|(_, arrival)| arrival.clone()).collect();
            let (target, count) = self.choose(writer, &arrivals)?;
            let seats = self.noted(self.write_moved(writer, target, &arrivals[..count]))?;
            let turned: Vec<(Seat, Seat, [u8; 20])> = moving[at..at + count]
                .iter()
                .zip(&seats)
                .map(|((old, arrival), new)| (*old, *new, arrival.hash))
                .collect();
            self.turn(&turned)?;
            writer.settled.extend(seats);
            at += count;
        }
        Ok(!done)
    }

    /// Live pieces of the segment up to [`MOVE_BYTES`], with their cells; and those that no longer match their hash.
    #[allow(clippy::type_complexity)]
    fn pick(&self, segment: u32) -> Result<(Vec<(Seat, Arrival)>, Vec<[u8; 20]>), Error> {
        let mut names = Vec::new();
        let db = self.segments.get(segment);
        let read = db.read(|txn| {
            for entry in txn.open_table(NAMES)?.range::<u32>(..)? {
                let (id, name) = entry?;
                names.push((id.value(), name.value()));
            }
            Ok(())
        });
        self.judged(segment, read)?;
        let (mut moving, mut rotten, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (id, (hash, len)) in names {
            let seat = Seat { segment, id };
            if bytes >= MOVE_BYTES {
                break;
            }
            if self.seat_of(&hash)?.is_none_or(|piece| piece.seat != seat) {
                continue;
            }
            let mut cells: Vec<(Cell, Bytes)> = Vec::new();
            let mut sha1 = Sha1::new();
            db.read(|txn| {
                get_cells(txn, id, layout(len), |cell, data| {
                    sha1.update(data);
                    cells.push((cell, Bytes::copy_from_slice(data)));
                })
            })?;
            if sha1.finish() != hash {
                rotten.push(hash);
                continue;
            }
            bytes += u64::from(len);
            let arrival = Arrival {
                hash,
                len,
                cells,
                seat: None,
                written: false,
                wants: Vec::new(),
            };
            moving.push((seat, arrival));
        }
        Ok((moving, rotten))
    }

    /// The rows point to the new seats from one commit on; whichever seat is not pointed to is dead.
    fn turn(&self, turned: &[(Seat, Seat, [u8; 20])]) -> Result<(), Error> {
        self.state_free(|txn| {
            let mut table = txn.open_table(PIECES)?;
            for (old, new, hash) in turned {
                let row = table.get(hash)?.map(|raw| Piece::decode(raw.value()));
                let Some(mut piece) = row.filter(|piece| piece.seat == *old) else {
                    txn.open_table(DEAD)?.insert((new.segment, new.id), 0)?;
                    continue;
                };
                piece.seat = *new;
                table.insert(hash, piece.encode())?;
                weigh(txn, old.segment, -i64::from(piece.len), -1)?;
                weigh(txn, new.segment, i64::from(piece.len), 1)?;
                txn.open_table(DEAD)?.insert((old.segment, old.id), piece.len)?;
            }
            Ok(())
        })
    }
}
