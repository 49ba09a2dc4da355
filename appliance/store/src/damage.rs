//! Segments redb cannot make sense of: what is still readable stays, the rest is forgotten and fetched again, and
//! nothing new is written there.

use std::collections::VecDeque;

use crate::{
    Error,
    core::{Core, Writer},
    locks::Lock,
    pending::Partial,
    tables::{PIECES, Piece},
};

/// Bytes hashed per tick while a suspect segment is gone through.
const LOOK_BYTES: u64 = 64 << 20;
/// Pieces forgotten in one transaction.
const FORGET_MAX: usize = 1024;

/// Suspect segments, and what is left to look at in the first of them.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    segments: VecDeque<u32>,
    left: Option<Vec<([u8; 20], Piece)>>,
}

impl Core {
    /// Notes a segment whose file is damaged. A missing file on a disk that is there counts as damaged too.
    pub fn judged<T>(&self, segment: u32, result: Result<T, Error>) -> Result<T, Error> {
        let result = match result {
            Err(Error::Gone(text)) if self.still_there().is_ok() => Err(Error::Damaged(text)),
            other => other,
        };
        if let Err(err @ Error::Damaged(_)) = &result {
            let mut suspects = self.suspects.held();
            if !suspects.segments.contains(&segment) && suspects.segments.len() < 1024 {
                tracing::error!(segment, %err, "a segment is damaged; what is lost of it is fetched again");
                suspects.segments.push_back(segment);
            }
        }
        result
    }

    /// Nothing new goes to this segment any more.
    pub fn condemn(&self, writer: &mut Writer, segment: u32) {
        writer.unsure.remove(&segment);
        writer.condemned.insert(segment);
        writer.target = writer.target.filter(|no| *no != segment);
        writer.emptying = writer.emptying.filter(|no| *no != segment);
        // Pieces some of whose cells were already there cannot be finished.
        let mut pending = self.pending.held();
        pending
            .partial
            .values_mut()
            .filter(|partial| partial.lies_in(segment))
            .for_each(Partial::forget_spilled);
        let lost: Vec<[u8; 20]> = pending.lying_in(segment);
        let dropped = lost.iter().filter_map(|hash| pending.drop_done(hash));
        let wants: Vec<_> = dropped.flat_map(|done| done.wants).collect();
        drop(pending);
        self.lost
            .held()
            .extend(wants.into_iter().map(|want| (want.infohash, want.piece)));
    }

    /// Goes through some pieces of a suspect segment and forgets those that are lost.
    pub fn tend_suspects(&self) -> Result<(), Error> {
        let (segment, left) = {
            let mut suspects = self.suspects.held();
            let Some(segment) = suspects.segments.front().copied() else {
                return Ok(());
            };
            (segment, suspects.left.take())
        };
        let mut writer = self.writer.held();
        self.condemn(&mut writer, segment);
        let mut left = match left {
            Some(left) => left,
            None => self.pieces_in(segment)?,
        };
        // A file that does not even open is not asked for each piece.
        let opens = !matches!(
            self.segments.get(segment).read(|_| Ok(())),
            Err(Error::Damaged(_) | Error::Gone(_))
        );
        let (mut lost, mut bytes) = (Vec::new(), 0);
        while bytes < LOOK_BYTES && lost.len() < FORGET_MAX {
            let Some((hash, piece)) = left.pop() else { break };
            let intact = opens
                && self
                    .segments
                    .get(segment)
                    .look(|snapshot| crate::segment::intact(snapshot, piece.seat.id, hash, piece.len))
                    .unwrap_or(false);
            bytes += if opens { u64::from(piece.len) } else { 0 };
            if !intact {
                lost.push(hash);
            }
        }
        if !lost.is_empty() {
            self.still_there()?;
            self.forget_held(&lost)?;
        }
        let mut suspects = self.suspects.held();
        if left.is_empty() {
            suspects.segments.pop_front();
        } else {
            suspects.left = Some(left);
        }
        Ok(())
    }

    fn pieces_in(&self, segment: u32) -> Result<Vec<([u8; 20], Piece)>, Error> {
        self.state.read(|txn| {
            let mut found = Vec::new();
            for entry in txn.open_table(PIECES)?.range::<[u8; 20]>(..)? {
                let (hash, raw) = entry?;
                let piece = Piece::decode(raw.value());
                if piece.seat.segment == segment {
                    found.push((hash.value(), piece));
                }
            }
            Ok(found)
        })
    }
}
