//! The handle on one site's pieces: writing while they are fetched, reading once they are verified.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Error,
    cells::{Cell, covering},
    commit::cut,
    core::{COMMIT_BYTES, Core},
    locks::Lock,
    pending::{Done, Want},
    segment::{Sha1, get_cells},
    site_memory::SiteMemory,
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

    /// Whether verified bytes of the piece can be read now (durable or still pending).
    pub fn readable(&self, piece: u32) -> bool {
        self.memory.holds(piece)
            || self
                .memory
                .hash(piece)
                .is_some_and(|hash| self.pending_verified(&hash))
    }

    pub(crate) fn pending_verified(&self, hash: &[u8; 20]) -> bool {
        self.core.pending.held().done.contains_key(hash)
    }

    pub(crate) fn check(&self, piece: u32) -> Result<([u8; 20], u32), Error> {
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
}

impl Core {
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
