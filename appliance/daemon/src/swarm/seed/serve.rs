//! From requests to bytes: extents from memory or the store, rates, and pieces that turn out to be damaged.

use std::{collections::VecDeque, io, time::Duration};

use bytes::Bytes;
use proto::peer::message::{self, Block};
use tokio::time::Instant;
use tracing::warn;

use super::{
    extents::{EXTENT, Key},
    peer::Peer,
};

/// Bytes that wait for the kernel, at most one extent more: enough for one large write while the next extent is read.
const OUTBOX_FULL: usize = 256 << 10;

/// Bytes read at once for requests that follow each other, when nothing has to be waited for.
const RUN: u32 = 256 << 10;

/// How many requests ahead are looked at for what to read next.
const AHEAD: usize = 96;

/// Bytes of a piece from `begin` on.
pub(super) struct Run {
    piece: u32,
    begin: u32,
    bytes: Bytes,
}

impl Run {
    fn part(&self, block: &Block) -> Option<Bytes> {
        let start = block.begin.checked_sub(self.begin)?;
        (self.piece == block.piece).then(|| slice(&self.bytes, start, block.length))?
    }
}

impl Peer {
    /// Moves requests to the outbox as far as bytes, rates and room allow. Returns how long a rate makes us wait.
    pub(super) fn refill(&mut self) -> io::Result<Option<Duration>> {
        while self.outbox.bytes() < OUTBOX_FULL {
            let Some(block) = self.requests.front().copied() else {
                if self.loading.is_none() && self.outbox.is_empty() {
                    self.near.clear();
                    self.run = None;
                }
                return Ok(None);
            };
            let Some(parts) = self.parts(&block).or_else(|| self.run_at_once(&block)) else {
                self.run = None;
                self.read_ahead();
                return Ok(None);
            };
            let rate = self
                .inner
                .limits
                .take(&self.room.row.infohash, u64::from(block.length));
            if let Err(wait) = rate {
                return Ok(Some(wait));
            }
            self.requests.pop_front();
            self.send(&block, parts);
        }
        // As long as the system has it all in memory, there is nothing to read ahead.
        if self.run.is_none() {
            self.read_ahead();
        }
        Ok(None)
    }

    fn send(&mut self, block: &Block, parts: [Bytes; 2]) {
        let head = message::piece_head(block.piece, block.begin, block.length as usize);
        self.outbox.push(Bytes::copy_from_slice(&head));
        parts.into_iter().for_each(|part| self.outbox.push(part));
        self.uploaded += u64::from(block.length);
        self.inner.traffic.sent(u64::from(block.length));
        let now = Instant::now();
        // The tables of slots and seats are told once a second, not once a block.
        if now - self.served >= Duration::from_secs(1) || self.uploaded == u64::from(block.length) {
            self.served = now;
            self.inner.slots.active(self.id);
            self.seat.useful();
        }
    }

    /// The block's bytes, when they are in memory; it may lie across two extents.
    fn parts(&mut self, block: &Block) -> Option<[Bytes; 2]> {
        if let Some(part) = self.run.as_ref().and_then(|run| run.part(block)) {
            return Some([part, Bytes::new()]);
        }
        let first = block.begin / EXTENT;
        let last = (block.begin + block.length - 1) / EXTENT;
        let start = block.begin % EXTENT;
        let head = self.extent(block.piece, first)?;
        if first == last {
            return Some([slice(&head, start, block.length)?, Bytes::new()]);
        }
        let tail = self.extent(block.piece, last)?;
        let in_head = EXTENT - start;
        Some([
            slice(&head, start, in_head)?,
            slice(&tail, 0, block.length - in_head)?,
        ])
    }

    /// Reads the requests that follow each other from `block` on, when their bytes are in the system's memory: that is
    /// quicker than to wake another thread, and nothing more is read than was asked for.
    fn run_at_once(&mut self, block: &Block) -> Option<[Bytes; 2]> {
        let mut end = block.begin + block.length;
        for next in self.requests.iter().skip(1) {
            let follows = next.piece == block.piece && next.begin == end;
            if !follows || end + next.length - block.begin > RUN {
                break;
            }
            end += next.length;
        }
        let bytes = self
            .room
            .pieces
            .read_now(block.piece, block.begin, end - block.begin)?;
        let run = Run {
            piece: block.piece,
            begin: block.begin,
            bytes,
        };
        let part = run.part(block)?;
        self.run = Some(run);
        Some([part, Bytes::new()])
    }

    fn extent(&mut self, piece: u32, index: u32) -> Option<Bytes> {
        let key = self.key(piece, index);
        if let Some((_, bytes)) = self.near.iter().find(|(near, _)| *near == key) {
            return Some(bytes.clone());
        }
        let bytes = self.inner.extents.peek(&key)?.filter(|b| !b.is_empty())?;
        self.keep_near(key, bytes.clone());
        Some(bytes)
    }

    fn key(&self, piece: u32, index: u32) -> Key {
        Key {
            infohash: self.room.row.infohash,
            piece,
            index,
        }
    }

    fn keep_near(&mut self, key: Key, bytes: Bytes) {
        if self.near.len() >= 2 {
            self.near.pop_front();
        }
        self.near.push_back((key, bytes));
    }

    /// Starts reading the first extents among the next requests that are not in memory.
    fn read_ahead(&mut self) {
        if self.loading.is_some() {
            return;
        }
        let batch = self.inner.extents.batch(self.inner.slots.taken());
        let mut wanted: Vec<(Key, u32)> = Vec::new();
        let mut seen = None;
        for block in self.requests.iter().take(AHEAD) {
            let last = (block.begin + block.length - 1) / EXTENT;
            for index in block.begin / EXTENT..=last {
                let key = self.key(block.piece, index);
                if seen == Some(key) || wanted.iter().any(|(other, _)| *other == key) {
                    continue;
                }
                seen = Some(key);
                let here = self.near.iter().any(|(near, _)| *near == key);
                if !here && self.inner.extents.peek(&key).is_none() {
                    wanted.push((key, self.room.extent_len(block.piece, index)));
                }
            }
            if wanted.len() >= batch {
                break;
            }
        }
        let Some((key, length)) = wanted.first().copied() else {
            return;
        };
        // What the system has in memory by now needs no other thread; from here on it is read when it is asked for.
        let begin = key.index * EXTENT;
        if let Some(bytes) = self.room.pieces.read_now(key.piece, begin, length) {
            self.run = Some(Run {
                piece: key.piece,
                begin,
                bytes,
            });
            return;
        }
        let (extents, pieces) = (self.inner.extents.clone(), self.room.pieces.clone());
        self.loading = Some(Box::pin(async move { (key, extents.load(pieces, wanted).await) }));
    }

    pub(super) fn loaded(&mut self, key: Key, loaded: Result<Option<Bytes>, store::Error>) -> io::Result<()> {
        self.loading = None;
        let expected = self.room.extent_len(key.piece, key.index) as usize;
        match loaded {
            Ok(Some(bytes)) if bytes.len() == expected => {
                // Read ahead stays in the shared memory; what is needed now also stays with the peer.
                let needed = self
                    .requests
                    .front()
                    .is_some_and(|block| block.piece == key.piece);
                if needed {
                    self.keep_near(key, bytes);
                }
                Ok(())
            }
            Ok(_) => {
                self.lost(key.piece);
                if self.handshake.fast() {
                    Ok(())
                } else {
                    Err(io::Error::other("a piece is damaged"))
                }
            }
            // The disk is gone or busy dying; the peer finds others.
            Err(err) => Err(io::Error::other(err)),
        }
    }

    /// The store does not hold a piece we promised.
    fn lost(&mut self, piece: u32) {
        let infohash = self.room.row.infohash;
        warn!(
            site = infohash.short(),
            piece, "a stored piece is damaged, it is not served"
        );
        self.inner.handover.damaged(&infohash, piece);
        // Asking for it again and again is no way to use a disk.
        self.nuisance += 20;
        let (lost, rest): (VecDeque<Block>, VecDeque<Block>) = std::mem::take(&mut self.requests)
            .into_iter()
            .partition(|block| block.piece == piece);
        self.requests = rest;
        lost.into_iter().for_each(|block| self.refuse(block));
    }
}

/// `None` when the extent is shorter than the store promised.
fn slice(bytes: &Bytes, start: u32, length: u32) -> Option<Bytes> {
    let end = start.checked_add(length)? as usize;
    (end <= bytes.len()).then(|| bytes.slice(start as usize..end))
}
