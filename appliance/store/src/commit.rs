//! The group commit. Order: cells durable in their segment, then the rows of the state durable, then listeners are
//! told. Nothing counts as held before.

use std::collections::BTreeMap;

use bytes::Bytes;
use proto::id::InfoHash;
use redb::{ReadableTable, WriteTransaction};

use crate::{
    Error,
    cells::{Cell, layout},
    core::{Core, Writer},
    disk::Place,
    locks::{Lock, Shared},
    pending::Want,
    segment::{name_of, next_id, put_cells, put_name, settle},
    site_memory::{Bits, SiteMemory},
    sites::{find_in, store_row},
    state::next_number,
    tables::{DEAD, HAVE, NUMBERS, PIECES, Piece, SEGMENTS, Seat, Site},
};

/// A piece on its way into the state.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub hash: [u8; 20],
    pub len: u32,
    pub cells: Vec<(Cell, Bytes)>,
    pub seat: Option<Seat>,
    pub written: bool,
    pub wants: Vec<Want>,
}

impl Core {
    /// Commits all verified pieces durably.
    pub fn commit(&self) -> Result<(), Error> {
        self.writable()?;
        self.noted(self.commit_now())
    }

    /// The same while writing is suspended: used to find out whether it works again.
    pub fn commit_now(&self) -> Result<(), Error> {
        let mut writer = self.writer.held();
        let mut arrivals = self.take_arrivals();
        if arrivals.is_empty() {
            return Ok(());
        }
        self.has_room()?;
        let (now_known, known) = self.split_known(arrivals)?;
        arrivals = now_known;
        self.write_cells(&mut writer, &mut arrivals)?;
        arrivals.extend(known);
        let held = self.record(&mut writer, &arrivals)?;
        self.forget_arrivals(&arrivals);
        self.announce(&held);
        Ok(())
    }

    fn take_arrivals(&self) -> Vec<Arrival> {
        let pending = self.pending.held();
        let each = pending
            .order
            .iter()
            .filter_map(|hash| pending.done.get(hash).map(|done| (hash, done)));
        each.map(|(hash, done)| Arrival {
            hash: *hash,
            len: done.len,
            cells: done.cells.clone(),
            seat: done.seat,
            written: done.written,
            wants: done.wants.clone(),
        })
        .collect()
    }

    /// Those whose bytes the store already has need no cells.
    fn split_known(&self, arrivals: Vec<Arrival>) -> Result<(Vec<Arrival>, Vec<Arrival>), Error> {
        self.state.read(|txn| {
            let table = txn.open_table(PIECES)?;
            let (mut new, mut known) = (Vec::new(), Vec::new());
            for arrival in arrivals {
                let there = table.get(arrival.hash)?.is_some();
                if there || arrival.written {
                    known.push(arrival)
                } else {
                    new.push(arrival)
                }
            }
            Ok((new, known))
        })
    }

    /// Writes cells, durably, to as many segments as they need, and notes their seats.
    fn write_cells(&self, writer: &mut Writer, arrivals: &mut [Arrival]) -> Result<(), Error> {
        let mut at = 0;
        while at < arrivals.len() {
            let (segment, count) = match arrivals[at].seat {
                Some(seat) => (seat.segment, 1),
                None => self.choose(writer, &arrivals[at..])?,
            };
            let batch = &mut arrivals[at..at + count];
            let seats = self.write_batch(writer, segment, batch)?;
            for (arrival, seat) in batch.iter_mut().zip(seats) {
                (arrival.seat, arrival.written) = (Some(seat), true);
            }
            // Memory for these cells is given back only when the state knows them, but a failed state commit must not
            // write them a second time.
            let mut pending = self.pending.held();
            for arrival in batch.iter() {
                if let Some(done) = pending.done.get_mut(&arrival.hash) {
                    (done.seat, done.written) = (arrival.seat, true);
                }
            }
            at += count;
        }
        Ok(())
    }

    fn write_batch(&self, writer: &mut Writer, segment: u32, batch: &[Arrival]) -> Result<Vec<Seat>, Error> {
        let settled = settled_ids(writer, segment);
        let db = self.segments.get(segment);
        let written = db.write(|txn| {
            settle(txn, &settled)?;
            let mut seats = Vec::with_capacity(batch.len());
            for arrival in batch {
                let id = match arrival.seat {
                    Some(seat) => seat.id,
                    None => next_id(txn)?,
                };
                put_cells(txn, id, &arrival.cells)?;
                let first = arrival.wants.first();
                let (site, piece) = first.map_or(([0; 20], 0), |want| (want.infohash.0, want.piece));
                put_name(txn, id, arrival.hash, arrival.len, site, piece)?;
                seats.push(Seat { segment, id });
            }
            Ok(seats)
        });
        match &written {
            Ok(_) => writer.settled.retain(|seat| seat.segment != segment),
            // Whether the commit reached the disk is not known: what is there is looked at again.
            Err(_) => {
                writer.unsure.insert(segment);
            }
        }
        written
    }

    /// Copies of pieces that live elsewhere.
    pub fn write_moved(
        &self,
        writer: &mut Writer,
        segment: u32,
        batch: &[Arrival],
    ) -> Result<Vec<Seat>, Error> {
        self.write_batch(writer, segment, batch)
    }

    /// The segment for the next pieces, and how many of them it takes.
    pub fn choose(&self, writer: &mut Writer, arrivals: &[Arrival]) -> Result<(u32, usize), Error> {
        let rows = self.segment_rows()?;
        let max = self.config.segment_bytes_max;
        let live = |no: u32| rows.iter().find(|row| row.0 == no).map_or(0, |row| row.1);
        let first = arrivals.first().map_or(0, |arrival| u64::from(arrival.len));
        let fits = |no: u32| live(no) == 0 || live(no) + first <= max;
        let usable = |no: u32| writer.emptying != Some(no);
        let target = writer
            .target
            .filter(|no| rows.iter().any(|row| row.0 == *no) && usable(*no) && fits(*no));
        let roomy = || {
            let candidates = rows
                .iter()
                .filter(|row| usable(row.0) && row.1 + first.max(max / 8) <= max);
            candidates.min_by_key(|row| row.1).map(|row| row.0)
        };
        let segment = match target.or_else(roomy) {
            Some(no) => no,
            None => self.new_segment(writer)?,
        };
        writer.target = Some(segment);
        if writer.unsure.contains(&segment) {
            self.look_at(writer, segment)?;
        }
        self.mark(writer, segment)?;
        let mut room = max.saturating_sub(live(segment));
        let mut count = 1;
        room = room.saturating_sub(first);
        for arrival in arrivals.iter().skip(1) {
            if arrival.seat.is_some() || u64::from(arrival.len) > room {
                break;
            }
            room -= u64::from(arrival.len);
            count += 1;
        }
        Ok((segment, count))
    }

    /// (number, live bytes, live pieces) of each segment.
    pub fn segment_rows(&self) -> Result<Vec<(u32, u64, u64)>, Error> {
        self.state.read(|txn| {
            let table = txn.open_table(SEGMENTS)?;
            let rows = table.range::<u32>(..)?.map(|entry| {
                let (no, row) = entry?;
                let (live, pieces, _) = row.value();
                Ok((no.value(), live, pieces))
            });
            rows.collect()
        })
    }

    /// The row is durable before the file exists, so that no file is ever unknown.
    fn new_segment(&self, writer: &mut Writer) -> Result<u32, Error> {
        let no = self.state.write(|txn| {
            let no = next_number(txn, "next_segment")?;
            txn.open_table(SEGMENTS)?.insert(no, (0, 0, 1))?;
            Ok(no)
        })?;
        writer.marked.insert(no);
        // Until the folder is synced too, a cut may take the file away: then it is looked at before it is used.
        writer.unsure.insert(no);
        let db = self.segments.get(no);
        // A file of that name can only be the rest of a lost state: it is kept, out of the way.
        if self
            .disk
            .list(Place::Content)?
            .iter()
            .any(|name| *name == db.name)
        {
            self.disk
                .rename(Place::Content, &db.name, &format!("{}.stray", name_of(no)))?;
        }
        db.open_writing(true)?;
        db.write(crate::recover::make_segment)?;
        self.disk.sync_folder(Place::Content)?;
        writer.unsure.remove(&no);
        Ok(no)
    }

    /// Notes in the state that the segment may hold what the state does not know. Durable before the first such cell.
    fn mark(&self, writer: &mut Writer, segment: u32) -> Result<(), Error> {
        if writer.marked.contains(&segment) {
            return Ok(());
        }
        self.state.write(|txn| set_mark(txn, segment, 1))?;
        writer.marked.insert(segment);
        Ok(())
    }

    /// The state learns of the pieces. Returns what became held.
    pub fn record(
        &self,
        writer: &mut Writer,
        arrivals: &[Arrival],
    ) -> Result<Vec<(u32, InfoHash, u32)>, Error> {
        let recorded = self.state.write(|txn| {
            let mut sites = Sites::default();
            let mut held = Vec::new();
            for arrival in arrivals {
                enter(txn, &mut sites, arrival, &mut held)?;
            }
            sites.store(txn)?;
            Ok(held)
        });
        match &recorded {
            Ok(_) => writer
                .settled
                .extend(arrivals.iter().filter_map(|arrival| arrival.seat)),
            // The commit may have reached the disk: the bitfields in memory are read anew.
            Err(_) => self.reload_memories(),
        }
        recorded
    }

    /// The memory of sites is read again after a commit whose outcome is not known.
    pub fn reload_memories(&self) {
        for memory in self.memories.all() {
            let have = self.state.read(|txn| {
                let site = crate::sites::find(txn, &memory.infohash)?;
                site.map(|site| crate::sites::have(txn, &site)).transpose()
            });
            if let Ok(Some(have)) = have {
                *memory.have.alone() = have;
            }
        }
    }

    /// Takes over pieces that other sites hold. Called with the writer's lock held.
    pub fn adopt_shared(&self, memory: &SiteMemory, pieces: &[u32]) -> Result<(), Error> {
        let want = |piece| Want {
            site: memory.no,
            infohash: memory.infohash,
            piece,
        };
        let arrivals: Vec<Arrival> = pieces
            .iter()
            .filter_map(|piece| {
                let (hash, len) = (memory.hash(*piece)?, memory.piece_len(*piece)?);
                Some(Arrival {
                    hash,
                    len,
                    cells: Vec::new(),
                    seat: None,
                    written: true,
                    wants: vec![want(*piece)],
                })
            })
            .collect();
        let held = self.state.write(|txn| {
            let mut sites = Sites::default();
            let mut held = Vec::new();
            for arrival in &arrivals {
                enter(txn, &mut sites, arrival, &mut held)?;
            }
            sites.store(txn)?;
            Ok(held)
        })?;
        let mut have = memory.have.alone();
        for (_, _, piece) in held {
            have.set(piece, true);
        }
        Ok(())
    }

    fn forget_arrivals(&self, arrivals: &[Arrival]) {
        let mut pending = self.pending.held();
        for arrival in arrivals {
            // A site that came to want it meanwhile keeps it queued for the next commit, which finds its row.
            let more = pending
                .done
                .get(&arrival.hash)
                .is_some_and(|done| done.wants.len() > arrival.wants.len());
            if more {
                if let Some(done) = pending.done.get_mut(&arrival.hash) {
                    done.wants.drain(..arrival.wants.len());
                }
            } else {
                pending.drop_done(&arrival.hash);
            }
        }
        drop(pending);
        self.room.notify_all();
    }

    /// Memory first, so that a piece never seems to be neither pending nor held; then the listeners.
    pub fn announce(&self, held: &[(u32, InfoHash, u32)]) {
        for (_, infohash, piece) in held {
            if let Some(memory) = self.memories.get(infohash) {
                memory.have.alone().set(*piece, true);
            }
        }
        let told: Vec<(InfoHash, u32)> = held
            .iter()
            .map(|(_, infohash, piece)| (*infohash, *piece))
            .collect();
        let listeners = self.listeners.held().clone();
        if !told.is_empty() {
            listeners.iter().for_each(|listener| listener(&told));
        }
    }
}

/// Ids of a segment whose `fresh-1` row has done its duty.
fn settled_ids(writer: &Writer, segment: u32) -> Vec<u32> {
    writer
        .settled
        .iter()
        .filter(|seat| seat.segment == segment)
        .map(|seat| seat.id)
        .collect()
}

pub(crate) fn set_mark(txn: &WriteTransaction, segment: u32, mark: u8) -> Result<(), Error> {
    let mut table = txn.open_table(SEGMENTS)?;
    let row = table.get(segment)?.map(|row| row.value());
    if let Some((live, pieces, _)) = row {
        table.insert(segment, (live, pieces, mark))?;
    }
    Ok(())
}

/// Adds to (or with negative numbers takes from) the live bytes of a segment.
pub(crate) fn weigh(txn: &WriteTransaction, segment: u32, bytes: i64, pieces: i64) -> Result<(), Error> {
    let mut table = txn.open_table(SEGMENTS)?;
    let (live, count, mark) = table.get(segment)?.map_or((0, 0, 1), |row| row.value());
    let live = live.saturating_add_signed(bytes);
    table.insert(segment, (live, count.saturating_add_signed(pieces), mark))?;
    Ok(())
}

/// Rows and bitfields of the sites one transaction touches, written once at its end.
#[derive(Default)]
pub(crate) struct Sites(BTreeMap<u32, Option<(Site, Bits)>>);

impl Sites {
    /// `None`: the site was removed.
    pub fn get(&mut self, txn: &WriteTransaction, no: u32) -> Result<Option<&mut (Site, Bits)>, Error> {
        if let std::collections::btree_map::Entry::Vacant(entry) = self.0.entry(no) {
            entry.insert(load(txn, no)?);
        }
        Ok(self.0.get_mut(&no).and_then(Option::as_mut))
    }

    pub fn store(self, txn: &WriteTransaction) -> Result<(), Error> {
        let mut have = txn.open_table(HAVE)?;
        for (no, found) in self.0 {
            let Some((site, bits)) = found else { continue };
            if site.row.complete() {
                have.remove(no)?;
            } else {
                have.insert(no, bits.bytes.as_slice())?;
            }
            store_row(txn, &site)?;
        }
        Ok(())
    }
}

fn load(txn: &WriteTransaction, no: u32) -> Result<Option<(Site, Bits)>, Error> {
    let infohash = txn.open_table(NUMBERS)?.get(no)?.map(|ih| InfoHash(ih.value()));
    let Some(infohash) = infohash else { return Ok(None) };
    let Some(site) = find_in(txn, &infohash)? else {
        return Ok(None);
    };
    let pieces = site.row.pieces;
    let bits = if site.row.complete() {
        Bits::full(pieces)
    } else {
        let table = txn.open_table(HAVE)?;
        let raw = table.get(no)?;
        raw.map_or_else(|| Bits::empty(pieces), |raw| Bits::from_raw(raw.value(), pieces))
    };
    Ok(Some((site, bits)))
}

/// One piece enters the state. Every count is changed together with the bit it counts, in one transaction, so doing it
/// twice changes nothing the second time.
fn enter(
    txn: &WriteTransaction,
    sites: &mut Sites,
    arrival: &Arrival,
    held: &mut Vec<(u32, InfoHash, u32)>,
) -> Result<(), Error> {
    let mut table = txn.open_table(PIECES)?;
    let there = table.get(arrival.hash)?.map(|raw| Piece::decode(raw.value()));
    // Without cells and without a row there is nothing to hold.
    let Some(seat) = there.map(|piece| piece.seat).or(arrival.seat) else {
        return Ok(());
    };
    let mut piece = there.unwrap_or(Piece {
        seat,
        len: arrival.len,
        refs: 0,
        site: 0,
    });
    let before = piece.refs;
    for want in &arrival.wants {
        let Some((site, bits)) = sites.get(txn, want.site)? else {
            continue;
        };
        if bits.set(want.piece, true) {
            site.row.held = bits.count;
            site.held_bytes += u64::from(arrival.len);
            piece.refs += 1;
            piece.site = want.site;
        }
        held.push((want.site, want.infohash, want.piece));
    }
    if piece.refs > 0 && piece.refs != before {
        table.insert(arrival.hash, piece.encode())?;
    }
    if there.is_none() && piece.refs > 0 {
        weigh(txn, seat.segment, i64::from(arrival.len), 1)?;
    }
    let used = piece.refs > 0 && arrival.seat == Some(piece.seat);
    if let Some(unused) = arrival.seat.filter(|_| !used) {
        txn.open_table(DEAD)?
            .insert((unused.segment, unused.id), arrival.len)?;
    }
    Ok(())
}

/// The cells of whole bytes.
pub(crate) fn cut(data: &Bytes) -> Vec<(Cell, Bytes)> {
    let slice = |cell: Cell| {
        (
            cell,
            data.slice(cell.start as usize..(cell.start + cell.len) as usize),
        )
    };
    layout(data.len() as u32).map(slice).collect()
}
