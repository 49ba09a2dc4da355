//! The group commit. Order: cells durable in their segment, then the rows of the state durable, then listeners are
//! told. Nothing counts as held before.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::{
    Error,
    cells::{Cell, layout},
    core::{Core, Writer},
    ledger::{Sites, enter},
    locks::{Lock, Shared},
    pending::Want,
    segment::{next_id, put_cells, put_name, settle},
    site_memory::SiteMemory,
    tables::{PIECES, Seat},
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
        self.record(&mut writer, &arrivals)?;
        self.forget_arrivals(&arrivals);
        drop(writer);
        self.tell();
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
            let seats = match self.judged(segment, self.write_batch(writer, segment, batch)) {
                Ok(seats) => seats,
                Err(err) => {
                    if matches!(err, Error::Damaged(_)) {
                        self.condemn(writer, segment);
                    }
                    return Err(err);
                }
            };
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

    /// The state learns of the pieces, then memory does. Listeners hear of it from `tell`.
    pub fn record(&self, writer: &mut Writer, arrivals: &[Arrival]) -> Result<(), Error> {
        let recorded = self.state.write(|txn| {
            let mut sites = Sites::default();
            let mut held = Vec::new();
            for arrival in arrivals {
                enter(txn, &mut sites, arrival, &mut held)?;
            }
            sites.store(txn)?;
            Ok(held)
        });
        self.changes.fetch_add(1, Ordering::AcqRel);
        let held = recorded.inspect_err(|_| {
            // The commit may have reached the disk: the bitfields in memory are read anew.
            self.reload_memories();
        })?;
        writer
            .settled
            .extend(arrivals.iter().filter_map(|arrival| arrival.seat));
        // Before memory forgets that they are pending, so that a piece never seems to be neither.
        for (_, infohash, piece) in &held {
            if let Some(memory) = self.memories.get(infohash) {
                memory.have.alone().set(*piece, true);
            }
        }
        self.told
            .held()
            .extend(held.into_iter().map(|(_, infohash, piece)| (infohash, piece)));
        Ok(())
    }

    /// Tells listeners what became held. Never with a lock held: a listener may call the store.
    pub fn tell(&self) {
        let told = std::mem::take(&mut *self.told.held());
        if told.is_empty() {
            return;
        }
        let listeners = self.listeners.held().clone();
        listeners.iter().for_each(|listener| listener(&told));
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
        self.changes.fetch_add(1, Ordering::AcqRel);
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
