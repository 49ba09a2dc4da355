//! Reading verified bytes: directly from the file where that is known to be right, else cell by cell through redb.

use bytes::{Bytes, BytesMut};

use crate::{
    Error,
    cells::{Cell, covering},
    core::Core,
    locks::{Lock, Shared},
    pieces::Pieces,
    segment::learn_cells,
    tables::{PIECES, Piece, Seat},
};

/// Reads of at least this many bytes wait for the disk on their own; smaller ones fetch their whole cell through redb.
const DIRECT_MIN: u32 = 64 << 10;

impl Pieces {
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
        self.seek(piece, &hash)?;
        if let Some(found) = self.direct(piece, (offset, count), false) {
            return Ok(Some(found));
        }
        // Not in the system's memory: small reads take their whole cell, the next ones are likely to lie in it.
        if count >= DIRECT_MIN
            && let Some(found) = self.direct(piece, (offset, count), true)
        {
            return Ok(Some(found));
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

    /// The same, when the bytes are in the system's memory and nothing has to be waited for or hashed. `None`: [`read`] it.
    ///
    /// [`read`]: Pieces::read
    pub fn read_now(&self, piece: u32, offset: u32, len: u32) -> Option<Bytes> {
        let (_, whole) = self.check(piece).ok()?;
        self.direct(piece, (offset, len.min(whole.saturating_sub(offset))), false)
    }

    /// Looks up where a verified piece lies, unless that is known.
    fn seek(&self, piece: u32, hash: &[u8; 20]) -> Result<(), Error> {
        if self.memory.seats.get(piece).is_none()
            && self.memory.verified.shared().has(piece)
            && let Some(row) = self.core.seat_of(hash)?
        {
            self.memory.seats.keep(piece, row.seat);
        }
        Ok(())
    }

    fn direct(&self, piece: u32, (offset, count): (u32, u32), wait: bool) -> Option<Bytes> {
        let whole = self.memory.piece_len(piece)?;
        if count == 0 || !self.memory.holds(piece) || !self.memory.verified.shared().has(piece) {
            return None;
        }
        // Ids are never used twice, so an old seat gives the right bytes or none.
        let seat = self.memory.seats.get(piece)?;
        let db = self.core.segments.get(seat.segment);
        db.glance(|snapshot| snapshot.read(seat.id, whole, (offset, count), wait, &self.core.buffers))
    }

    /// One cell: from the cache, from memory before its commit, from its segment.
    pub(crate) fn cell(&self, piece: u32, hash: [u8; 20], cell: Cell) -> Result<Option<Bytes>, Error> {
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
        let known = self.memory.seats.get(piece);
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
                self.memory.seats.keep(piece, seat);
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
            self.found(piece, row.seat);
            return Ok(true);
        }
        // A compaction may have moved it between the two steps: then the second look is at the new place.
        let moved = self.core.seat_of(&hash)?.filter(|now| now.seat != row.seat);
        if let Some(now) = moved
            && self.core.intact(now.seat, hash, len)?
        {
            self.found(piece, now.seat);
            return Ok(true);
        }
        self.core.forget_rotten(&[hash])?;
        Ok(false)
    }

    fn found(&self, piece: u32, seat: Seat) {
        self.memory.seats.keep(piece, seat);
        self.memory.verified.alone().set(piece, true);
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
        self.segments.get(seat.segment).look(|snapshot| {
            learn_cells(snapshot, seat.id, std::iter::once(cell), |_, data| {
                found = Some(Bytes::copy_from_slice(data))
            })
        })?;
        Ok(found)
    }

    pub(crate) fn intact(&self, seat: Seat, hash: [u8; 20], len: u32) -> Result<bool, Error> {
        let db = self.segments.get(seat.segment);
        let read = db.look(|snapshot| crate::segment::intact(snapshot, seat.id, hash, len));
        self.judged(seat.segment, read)
    }
}
