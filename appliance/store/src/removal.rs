//! Removing sites, and the cells nobody refers to any more. Every step is one transaction and can be taken again.

use std::collections::BTreeMap;

use proto::id::InfoHash;
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use crate::{
    Error,
    copy::Kept,
    core::Core,
    disk::Place,
    due::clear_due,
    locks::Lock,
    placement::{set_mark, weigh},
    segment::{erase, name_of},
    sites::{self, find_in},
    tables::{DEAD, HASHES, HAVE, INFOS, JOBS, NUMBERS, PIECES, Piece, SEGMENTS, SITES, Seat, Site, UNLINKS},
};

/// Pieces per transaction of a removal.
const SLICE: u32 = 4096;
/// Pieces erased from one segment per transaction.
const ERASE_MAX: usize = 256;

impl Core {
    /// The site is unknown as soon as this returns; its bytes follow, also after a crash.
    pub fn remove_site(&self, ih: &InfoHash) -> Result<(), Error> {
        {
            let _writer = self.writer.held();
            let no = self.state_kept_free(Kept::Sites(&[*ih]), |txn| {
                let site = find_in(txn, ih)?.ok_or(Error::Unknown(*ih))?;
                txn.open_table(SITES)?.remove(ih.0)?;
                txn.open_table(NUMBERS)?.remove(site.no)?;
                clear_due(txn, *ih)?;
                txn.open_table(JOBS)?.insert(site.no, job(&site, 0).as_slice())?;
                Ok(site.no)
            })?;
            self.changes.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
            self.memories.remove(ih);
            self.soft.held().remove(ih);
            let spilled = self.pending.held().drop_site(no);
            for seat in spilled {
                self.bury(seat)?;
            }
        }
        self.room.notify_all();
        // The row is gone for good; what is left is repeated by `tick` if it cannot be done now.
        if let Err(err) = self.finish_removals().and_then(|()| self.sweep()) {
            tracing::debug!(%err, site = %ih.short(), "the bytes of a removed site are freed later");
        }
        Ok(())
    }

    /// Goes on with removals until none is left.
    pub fn finish_removals(&self) -> Result<(), Error> {
        while let Some((site, from)) = self.state.read(next_job)? {
            let _writer = self.writer.held();
            let (hashes, have) = self
                .state
                .read(|txn| Ok((sites::hashes(txn, &site)?, sites::have(txn, &site)?)))?;
            let to = from.saturating_add(SLICE).min(site.row.pieces);
            self.state_free(|txn| {
                for piece in (from..to).filter(|piece| have.has(*piece)) {
                    let mut hash = [0; 20];
                    hash.copy_from_slice(&hashes[piece as usize * 20..][..20]);
                    release(txn, hash)?;
                }
                if to < site.row.pieces {
                    txn.open_table(JOBS)?.insert(site.no, job(&site, to).as_slice())?;
                } else {
                    txn.open_table(INFOS)?.remove(site.no)?;
                    txn.open_table(HASHES)?.remove(site.no)?;
                    txn.open_table(HAVE)?.remove(site.no)?;
                    txn.open_table(JOBS)?.remove(site.no)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Notes cells that nothing refers to.
    pub fn bury(&self, seat: Seat) -> Result<(), Error> {
        self.state_free(|txn| {
            txn.open_table(DEAD)?.insert((seat.segment, seat.id), 0)?;
            Ok(())
        })
    }

    /// Frees dead cells: a segment without live pieces is unlinked, in others their pages become free for new pieces.
    pub fn sweep(&self) -> Result<(), Error> {
        self.finish_unlinks()?;
        for (segment, ids) in self.state.read(dead_rows)? {
            let mut writer = self.writer.held();
            if self.unlink_if_empty(&mut writer, segment)? {
                continue;
            }
            // What is being emptied is unlinked soon.
            if writer.emptying == Some(segment) || writer.condemned.contains(&segment) {
                continue;
            }
            for ids in ids.chunks(ERASE_MAX) {
                let db = self.segments.get(segment);
                let erased = db.write(|txn| ids.iter().try_for_each(|id| erase(txn, *id)));
                match self.judged(segment, erased) {
                    Err(Error::Damaged(_)) => {
                        self.condemn(&mut writer, segment);
                        break;
                    }
                    other => self.noted(other)?,
                }
                writer
                    .settled
                    .retain(|seat| seat.segment != segment || !ids.contains(&seat.id));
                self.state_free(|txn| {
                    let mut dead = txn.open_table(DEAD)?;
                    for id in ids {
                        dead.remove((segment, *id))?;
                    }
                    Ok(())
                })?;
            }
        }
        self.finish_unlinks()
    }

    /// A segment all of whose pieces are dead, and that memory does not refer to, goes as a whole.
    fn unlink_if_empty(&self, writer: &mut crate::core::Writer, segment: u32) -> Result<bool, Error> {
        let row = self.segment_rows()?.into_iter().find(|row| row.0 == segment);
        let empty = row.is_none_or(|(_, _, pieces)| pieces == 0);
        let in_use = self.pending.held().seats().any(|seat| seat.segment == segment);
        if !empty || in_use || writer.unsure.contains(&segment) || self.is_strange(segment) {
            return Ok(false);
        }
        self.state_free(|txn| {
            txn.open_table(SEGMENTS)?.remove(segment)?;
            txn.open_table(DEAD)?
                .retain_in((segment, 0)..=(segment, u32::MAX), |_, _| false)?;
            txn.open_table(UNLINKS)?.insert(segment, ())?;
            Ok(())
        })?;
        writer.settled.retain(|seat| seat.segment != segment);
        writer.marked.remove(&segment);
        writer.condemned.remove(&segment);
        writer.target = writer.target.filter(|no| *no != segment);
        writer.emptying = writer.emptying.filter(|no| *no != segment);
        Ok(true)
    }

    /// Unlinks files whose segments the state no longer knows.
    fn finish_unlinks(&self) -> Result<(), Error> {
        let gone: Vec<u32> = self.state.read(|txn| {
            let table = txn.open_table(UNLINKS)?;
            table
                .range::<u32>(..)?
                .map(|entry| Ok(entry?.0.value()))
                .collect()
        })?;
        if gone.is_empty() {
            return Ok(());
        }
        let there = self.disk.list(Place::Content)?;
        for segment in &gone {
            self.segments.get(*segment).shut();
            let name = name_of(*segment);
            if there.contains(&name) {
                self.disk.remove(Place::Content, &name)?;
            }
        }
        self.disk.sync_folder(Place::Content)?;
        self.state_free(|txn| {
            let mut table = txn.open_table(UNLINKS)?;
            gone.iter()
                .try_for_each(|segment| table.remove(segment).map(|_| ()))?;
            Ok(())
        })
    }

    /// After a clean close no segment needs a look at the next start.
    pub fn mark_clean(&self) -> Result<(), Error> {
        let mut writer = self.writer.held();
        let spilled: Vec<Seat> = self.pending.held().seats().collect();
        let marked = std::mem::take(&mut writer.marked);
        for segment in marked {
            let settled: Vec<u32> = writer
                .settled
                .iter()
                .filter(|seat| seat.segment == segment)
                .map(|seat| seat.id)
                .collect();
            let unfinished =
                spilled.iter().any(|seat| seat.segment == segment) || writer.unsure.contains(&segment);
            if !settled.is_empty() {
                self.segments
                    .get(segment)
                    .write(|txn| crate::segment::settle(txn, &settled))?;
            }
            if !unfinished {
                self.state.write(|txn| set_mark(txn, segment, 0))?;
            }
        }
        writer.settled.clear();
        Ok(())
    }
}

/// One reference less; the last one makes the cells dead.
pub(crate) fn release(txn: &WriteTransaction, hash: [u8; 20]) -> Result<(), Error> {
    let mut table = txn.open_table(PIECES)?;
    let found = table.get(hash)?.map(|raw| Piece::decode(raw.value()));
    let Some(mut piece) = found else { return Ok(()) };
    piece.refs = piece.refs.saturating_sub(1);
    if piece.refs > 0 {
        table.insert(hash, piece.encode())?;
        return Ok(());
    }
    table.remove(hash)?;
    drop(table);
    weigh(txn, piece.seat.segment, -i64::from(piece.len), -1)?;
    txn.open_table(DEAD)?
        .insert((piece.seat.segment, piece.seat.id), piece.len)?;
    Ok(())
}

/// Infohash, next piece, site row.
fn job(site: &Site, next: u32) -> Vec<u8> {
    let mut out = site.row.infohash.0.to_vec();
    out.extend_from_slice(&next.to_le_bytes());
    out.extend_from_slice(&site.encode());
    out
}

fn next_job(txn: &ReadTransaction) -> Result<Option<(Site, u32)>, Error> {
    let table = txn.open_table(JOBS)?;
    let Some(entry) = table.range::<u32>(..)?.next() else {
        return Ok(None);
    };
    let (no, raw) = entry?;
    let damaged = || Error::Damaged(format!("removal of site number {}", no.value()));
    let (head, row) = raw.value().split_at_checked(24).ok_or_else(damaged)?;
    let (mut ih, mut next) = ([0; 20], [0; 4]);
    ih.copy_from_slice(&head[..20]);
    next.copy_from_slice(&head[20..]);
    Ok(Some((Site::decode(InfoHash(ih), row)?, u32::from_le_bytes(next))))
}

/// Some dead ids by segment.
fn dead_rows(txn: &ReadTransaction) -> Result<BTreeMap<u32, Vec<u32>>, Error> {
    let mut found: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in txn
        .open_table(DEAD)?
        .range::<(u32, u32)>(..)?
        .take(16 * ERASE_MAX)
    {
        let (segment, id) = entry?.0.value();
        found.entry(segment).or_default().push(id);
    }
    Ok(found)
}
