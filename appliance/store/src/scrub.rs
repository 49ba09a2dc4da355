//! The slow walk over all stored pieces that finds rot before a reader does.

use std::ops::Bound::{Excluded, Unbounded};

use crate::{
    Error,
    core::Core,
    locks::Lock,
    tables::{PIECES, Piece, SCRUB},
};

/// Bytes per tick. More: rot is found sooner (1 MiB a second is 1 TB in twelve days). Less: less disk and CPU.
const BYTES: i64 = 1 << 20;

/// Where the walk stands in this life.
#[derive(Debug, Default)]
pub(crate) struct Scrub {
    at: Option<[u8; 20]>,
    /// Bytes it may read; a large piece puts it into debt for some ticks.
    credit: i64,
    unsaved: u32,
}

impl Core {
    pub fn scrub(&self) -> Result<(), Error> {
        let mut scrub = self.scrub.held();
        scrub.credit = (scrub.credit + BYTES).min(BYTES);
        while scrub.credit > 0 {
            let from = match scrub.at {
                Some(at) => Some(at),
                None => self
                    .state
                    .read(|txn| Ok(txn.open_table(SCRUB)?.get(())?.map(|at| at.value())))?,
            };
            let next = self.state.read(|txn| {
                let table = txn.open_table(PIECES)?;
                let start = from.map_or(Unbounded, Excluded);
                let entry = table.range::<[u8; 20]>((start, Unbounded))?.next().transpose()?;
                Ok(entry.map(|(hash, raw)| (hash.value(), Piece::decode(raw.value()))))
            })?;
            let Some((hash, piece)) = next else {
                // Round: the next tick starts from the first piece.
                scrub.at = Some([0; 20]);
                scrub.credit = 0;
                break;
            };
            scrub.at = Some(hash);
            scrub.credit -= i64::from(piece.len).max(4096);
            if !self.intact(piece.seat, hash, piece.len)? {
                self.forget_rotten(&[hash])?;
            }
            scrub.unsaved += 1;
        }
        if scrub.unsaved >= 1000 {
            scrub.unsaved = 0;
            let at = scrub.at.unwrap_or([0; 20]);
            self.state_write_soon(|txn| {
                txn.open_table(SCRUB)?.insert((), at)?;
                Ok(())
            })?;
        }
        Ok(())
    }
}
