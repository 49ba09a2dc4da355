//! The handle on one site's pieces: writing while they are fetched, reading once they are verified.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::{
    Error,
    cells::{Cell, covering},
    commit::cut,
    core::{COMMIT_BYTES, Core},
    locks::{Lock, Shared},
    pending::{Done, Want},
    segment::{Sha1, get_cells},
    site_memory::{SEATS, SiteMemory},
    tables::{PIECES, Piece, Seat},
};

/// Pieces being fetched at once, over all sites.
const PARTIALS_MAX: usize = 16_384;

/// Reads and writes pieces of one site. Cheap to clone.
#[derive(Clone)]
pub struct Pieces {
    pub(crate) core: Arc<Core>,
    pub(crate) memory: Arc<SiteMemory>,
}

impl Pieces {
    /// Unverified bytes of a piece that is being fetched. Blocks while `pending_bytes_max` is used up and a commit runs.
    pub fn write(&self, piece: u32, offset: u32, data: &[u8]) -> Result<(), Error> {
        let (_, len) = self.check(piece)?;
        if u64::from(offset) + data.len() as u64 > u64::from(len) {
            return Err(Error::Io(format!("piece {piece}: bytes past its end")));
        }
        if self.readable(piece) {
            return Ok(());
        }
        self.core.writable()?;
        self.core.make_space()?;
        let key = (self.memory.no, piece);
        // Each round either copies or loads one spilled cell back; a write touches few cells.
        for _ in 0..data.len() / 4096 + 8 {
            let spilled = {
                let mut pending = self.core.pending.held();
                if !pending.partial.contains_key(&key) && pending.partial.len() >= PARTIALS_MAX {
                    return Err(Error::Quota(format!(
                        "{PARTIALS_MAX} pieces are being fetched at once"
                    )));
                }
                match pending.write(key, len, offset, data) {
                    Ok(()) => return Ok(()),
                    Err(cell) => cell,
                }
            };
            self.core.unspill(key, spilled)?;
        }
        Err(Error::Io(format!(
            "piece {piece}: its cells are moved away as fast as they are loaded"
        )))
    }

    /// What is there, verified or not; holes read as zeros. Only for the hash check of the engine that wrote them.
    pub fn read_unverified(&self, piece: u32, offset: u32, buf: &mut [u8]) -> Result<(), Error> {
        let (hash, len) = self.check(piece)?;
        if u64::from(offset) + buf.len() as u64 > u64::from(len) {
            return Err(Error::Io(format!("piece {piece}: bytes past its end")));
        }
        buf.fill(0);
        let end = offset + buf.len() as u32;
        let mut put = |cell: Cell, data: &[u8]| {
            let (from, to) = (cell.start.max(offset), (cell.start + cell.len).min(end));
            buf[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&data[(from - cell.start) as usize..(to - cell.start) as usize]);
        };
        // Pending first: a commit that ends in between moves bytes from there to the segment, never back.
        let spilled = {
            let pending = self.core.pending.held();
            let Some(partial) = pending.partial.get(&(self.memory.no, piece)) else {
                drop(pending);
                return self.read_whole(piece, hash, len, offset, end - offset, put);
            };
            let mut spilled = Vec::new();
            for cell in covering(len, offset, end - offset) {
                match partial.cells.get(&cell.index) {
                    Some(data) => put(cell, data),
                    None if partial.spilled.contains(&cell.index) => spilled.push(cell),
                    None => {}
                }
            }
            partial.seat.map(|seat| (seat, spilled))
        };
        match spilled {
            Some((seat, cells)) if !cells.is_empty() => {
                let db = self.core.segments.get(seat.segment);
                db.read(|txn| get_cells(txn, seat.id, cells.into_iter(), put))
                    .map(|_| ())
            }
            _ => Ok(()),
        }
    }

    fn read_whole(
        &self,
        piece: u32,
        hash: [u8; 20],
        len: u32,
        offset: u32,
        count: u32,
        mut put: impl FnMut(Cell, &[u8]),
    ) -> Result<(), Error> {
        for cell in covering(len, offset, count) {
            if let Some(data) = self.cell(piece, hash, cell)? {
                put(cell, &data);
            }
        }
        Ok(())
    }

    /// The engine has checked the hash of all bytes of this piece: queue it for the next group commit.
    pub fn complete(&self, piece: u32) -> Result<(), Error> {
        let (hash, _) = self.check(piece)?;
        let finished = {
            let mut pending = self.core.pending.held();
            match pending.finish((self.memory.no, piece)) {
                Some(mut done) if !self.memory.holds(piece) => {
                    done.wants.push(self.want(piece));
                    let unused = pending.queue(hash, done);
                    Some((unused, pending.done_bytes))
                }
                Some(done) => Some((done.seat, pending.done_bytes)),
                None => None,
            }
        };
        match finished {
            Some((unused, waiting)) => {
                if let Some(seat) = unused {
                    self.core.bury(seat)?;
                }
                self.core.commit_when_full(waiting);
                Ok(())
            }
            None if self.readable(piece) => Ok(()),
            None => Err(Error::Io(format!(
                "piece {piece} is called complete, but nothing of it was written"
            ))),
        }
    }

    /// Checks the hash of `data` itself, then queues the whole piece. False: wrong hash, nothing stored.
    pub fn put(&self, piece: u32, data: Bytes) -> Result<bool, Error> {
        let (hash, len) = self.check(piece)?;
        if data.len() != len as usize {
            return Ok(false);
        }
        let mut sha1 = Sha1::new();
        sha1.update(&data);
        if sha1.finish() != hash {
            return Ok(false);
        }
        if self.memory.holds(piece) {
            return Ok(true);
        }
        self.core.writable()?;
        self.core.make_space()?;
        let wants = vec![self.want(piece)];
        let done = Done {
            len,
            cells: cut(&data),
            seat: None,
            written: false,
            wants,
        };
        let waiting = {
            let mut pending = self.core.pending.held();
            pending.queue(hash, done);
            pending.done_bytes
        };
        self.core.commit_when_full(waiting);
        Ok(true)
    }

    /// Verified bytes only. `Ok(None)`: not held (yet). A piece is hashed on its first read since boot; a rotten one is
    /// forgotten and reads as `None`. Bytes past the end of the piece are left out.
    pub fn read(&self, piece: u32, offset: u32, len: u32) -> Result<Option<Bytes>, Error> {
        let (hash, whole) = self.check(piece)?;
        let count = len.min(whole.saturating_sub(offset));
        if !self.pending_verified(&hash) {
            if !self.memory.holds(piece) {
                return Ok(None);
            }
            if !self.memory.verified.shared().has(piece) && !self.verify(piece, hash, whole)? {
                return Ok(None);
            }
        }
        let mut out = BytesMut::new();
        for cell in covering(whole, offset, count) {
            let Some(data) = self.cell(piece, hash, cell)? else {
                return Ok(None);
            };
            let from = offset.saturating_sub(cell.start);
            let to = (offset + count - cell.start).min(cell.len);
            if to - from == count {
                return Ok(Some(data.slice(from as usize..to as usize)));
            }
            if out.capacity() == 0 {
                out.reserve(count as usize);
            }
            out.extend_from_slice(&data[from as usize..to as usize]);
        }
        Ok(Some(out.freeze()))
    }

    /// Whether verified bytes of the piece can be read now (durable or still pending).
    pub fn readable(&self, piece: u32) -> bool {
        self.memory.holds(piece)
            || self
                .memory
                .hash(piece)
                .is_some_and(|hash| self.pending_verified(&hash))
    }

    fn pending_verified(&self, hash: &[u8; 20]) -> bool {
        self.core.pending.held().done.contains_key(hash)
    }

    fn check(&self, piece: u32) -> Result<([u8; 20], u32), Error> {
        self.core.alive()?;
        if self.memory.is_gone() {
            return Err(Error::Unknown(self.memory.infohash));
        }
        let (hash, len) = (self.memory.hash(piece), self.memory.piece_len(piece));
        hash.zip(len)
            .ok_or_else(|| Error::Io(format!("the site has no piece {piece}")))
    }

    fn want(&self, piece: u32) -> Want {
        Want {
            site: self.memory.no,
            infohash: self.memory.infohash,
            piece,
        }
    }

    /// One cell: from the cache, from memory before its commit, from its segment.
    fn cell(&self, piece: u32, hash: [u8; 20], cell: Cell) -> Result<Option<Bytes>, Error> {
        let key = (self.memory.no, piece, cell.index);
        if let Some(data) = self.core.cache.get(key) {
            return Ok(Some(data));
        }
        let waiting = {
            let pending = self.core.pending.held();
            pending.done.get(&hash).map(|done| {
                let found = done.cells.iter().find(|(other, _)| other.index == cell.index);
                (found.map(|(_, data)| data.clone()), done.seat)
            })
        };
        let found = match waiting {
            Some((Some(data), _)) => return Ok(Some(data)),
            Some((None, Some(seat))) => self.core.load_cell(seat, cell)?,
            Some((None, None)) => None,
            None => self.stored_cell(piece, hash, cell)?,
        };
        if let (Some(data), true) = (&found, self.memory.verified.shared().has(piece)) {
            self.core.cache.put(key, data.clone());
        }
        Ok(found)
    }

    /// From where the piece was seen last, which saves a look into the state. Ids are never used twice, so an old seat
    /// gives the right bytes or none; then the state is asked, until it names the same seat again.
    fn stored_cell(&self, piece: u32, hash: [u8; 20], cell: Cell) -> Result<Option<Bytes>, Error> {
        let place = piece as usize % SEATS;
        let known = self.memory.seats.held()[place]
            .filter(|(at, _)| *at == piece)
            .map(|(_, seat)| seat);
        let mut tried = None;
        let mut next = known;
        for _ in 0..4 {
            let seat = match next.take() {
                Some(seat) => seat,
                None => match self.core.seat_of(&hash)? {
                    Some(row) => row.seat,
                    None => return Ok(None),
                },
            };
            if tried == Some(seat) {
                return self.core.load_cell(seat, cell);
            }
            if let Ok(Some(data)) = self.core.try_cell(seat, cell) {
                self.memory.seats.held()[place] = Some((piece, seat));
                return Ok(Some(data));
            }
            tried = Some(seat);
        }
        Ok(None)
    }

    /// Hashes a piece that was not hashed since boot. False: it is rotten and forgotten, or not there.
    fn verify(&self, piece: u32, hash: [u8; 20], len: u32) -> Result<bool, Error> {
        let Some(row) = self.core.seat_of(&hash)? else {
            return Ok(false);
        };
        if self.core.intact(row.seat, hash, len)? {
            self.memory.verified.alone().set(piece, true);
            return Ok(true);
        }
        // A compaction may have moved it between the two steps: then the second look is at the new place.
        let moved = self.core.seat_of(&hash)?.filter(|now| now.seat != row.seat);
        if let Some(now) = moved
            && self.core.intact(now.seat, hash, len)?
        {
            self.memory.verified.alone().set(piece, true);
            return Ok(true);
        }
        self.core.forget_rotten(&[hash])?;
        Ok(false)
    }
}

impl Core {
    /// The row of a piece.
    pub(crate) fn seat_of(&self, hash: &[u8; 20]) -> Result<Option<Piece>, Error> {
        self.state.read(|txn| {
            Ok(txn
                .open_table(PIECES)?
                .get(hash)?
                .map(|raw| Piece::decode(raw.value())))
        })
    }

    pub(crate) fn load_cell(&self, seat: Seat, cell: Cell) -> Result<Option<Bytes>, Error> {
        self.judged(seat.segment, self.try_cell(seat, cell))
    }

    /// The same without suspecting the segment: the seat may be an old one.
    fn try_cell(&self, seat: Seat, cell: Cell) -> Result<Option<Bytes>, Error> {
        let mut found = None;
        self.segments.get(seat.segment).read(|txn| {
            get_cells(txn, seat.id, std::iter::once(cell), |_, data| {
                found = Some(Bytes::copy_from_slice(data))
            })
        })?;
        Ok(found)
    }

    pub(crate) fn intact(&self, seat: Seat, hash: [u8; 20], len: u32) -> Result<bool, Error> {
        let db = self.segments.get(seat.segment);
        let read = db.read(|txn| crate::segment::intact(txn, seat.id, hash, len));
        self.judged(seat.segment, read)
    }

    /// Commits in the calling thread when enough waits; others go on meanwhile.
    fn commit_when_full(&self, waiting: usize) {
        let enough = COMMIT_BYTES.min(self.config.pending_bytes_max / 2).max(1);
        if waiting >= enough
            && let Err(err) = self.commit()
        {
            // The piece stays queued and readable; `tick` reports why nothing is written.
            tracing::debug!(%err, "a group commit is put off");
        }
    }
}
