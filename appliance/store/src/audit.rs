//! Checks every rule that ties the tables together. Reads everything: for tests and `granary doctor`.

use std::collections::{HashMap, HashSet};

use crate::{
    Error,
    core::Core,
    locks::Lock,
    rows, sites,
    tables::{DEAD, NAMES, PIECES, Piece, SEGMENTS, Seat},
};

/// What the audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Pieces whose bytes were hashed.
    pub pieces: u64,
    /// One line per broken rule.
    pub faults: Vec<String>,
    /// Pieces in segments that nothing refers to and no row calls dead.
    pub orphans: u64,
}

impl Core {
    pub fn audit(&self) -> Result<Audit, Error> {
        let mut audit = Audit::default();
        let mut refs: HashMap<[u8; 20], u32> = HashMap::new();
        let mut all = Vec::new();
        self.each_site(None, |site| {
            all.push(site);
            true
        })?;
        for site in all {
            let (hashes, have) = self
                .state
                .read(|txn| Ok((sites::hashes(txn, &site)?, sites::have(txn, &site)?)))?;
            if have.count != site.row.held {
                audit.faults.push(format!(
                    "{}: {} bits, {} held",
                    site.row.infohash, have.count, site.row.held
                ));
            }
            for (index, hash) in (0..)
                .zip(hashes.chunks_exact(20))
                .filter(|(index, _)| have.has(*index))
            {
                let mut key = [0; 20];
                key.copy_from_slice(hash);
                *refs.entry(key).or_default() += 1;
                if self.seat_of(&key)?.is_none() {
                    audit.faults.push(format!(
                        "{}: piece {index} is held without a row",
                        site.row.infohash
                    ));
                }
            }
        }
        let seats = self.audit_pieces(&refs, &mut audit)?;
        self.audit_segments(&seats, &mut audit)?;
        audit.faults.append(&mut self.state.read(rows::faults)?);
        Ok(audit)
    }

    /// Every row has the references the bitfields say, and intact bytes.
    fn audit_pieces(
        &self,
        refs: &HashMap<[u8; 20], u32>,
        audit: &mut Audit,
    ) -> Result<HashMap<Seat, u32>, Error> {
        let rows = self.state.read(|txn| {
            let table = txn.open_table(PIECES)?;
            let rows = table.range::<[u8; 20]>(..)?.map(|entry| {
                let (hash, raw) = entry?;
                Ok((hash.value(), Piece::decode(raw.value())))
            });
            rows.collect::<Result<Vec<_>, Error>>()
        })?;
        let mut seats = HashMap::new();
        for (hash, piece) in rows {
            audit.pieces += 1;
            let counted = refs.get(&hash).copied().unwrap_or(0);
            // A removal under way still holds references that no site row counts.
            if counted > piece.refs || (counted < piece.refs && !self.removing()?) {
                audit.faults.push(format!(
                    "{:?}: {} references, {counted} bits",
                    piece.seat, piece.refs
                ));
            }
            if seats.insert(piece.seat, piece.len).is_some() {
                audit
                    .faults
                    .push(format!("{:?}: two pieces in one seat", piece.seat));
            }
            if !self.intact(piece.seat, hash, piece.len)? {
                audit
                    .faults
                    .push(format!("{:?}: the bytes do not match the hash", piece.seat));
            }
        }
        Ok(seats)
    }

    fn removing(&self) -> Result<bool, Error> {
        self.state.read(|txn| {
            Ok(txn
                .open_table(crate::tables::JOBS)?
                .range::<u32>(..)?
                .next()
                .is_some())
        })
    }

    /// Live bytes add up, dead cells are not live, nothing lies about unknown.
    fn audit_segments(&self, seats: &HashMap<Seat, u32>, audit: &mut Audit) -> Result<(), Error> {
        let (segments, dead) = self.state.read(|txn| {
            let dead = txn.open_table(DEAD)?;
            let dead = dead.range::<(u32, u32)>(..)?.map(|entry| {
                let (segment, id) = entry?.0.value();
                Ok(Seat { segment, id })
            });
            let segments = txn.open_table(SEGMENTS)?;
            let segments = segments.range::<u32>(..)?.map(|entry| {
                let (no, row) = entry?;
                Ok((no.value(), row.value()))
            });
            let dead = dead.collect::<Result<HashSet<Seat>, Error>>()?;
            Ok((segments.collect::<Result<Vec<_>, Error>>()?, dead))
        })?;
        for seat in seats.keys().filter(|seat| dead.contains(seat)) {
            audit.faults.push(format!("{seat:?} is live and dead"));
        }
        let mine: HashSet<Seat> = self.pending.held().seats().collect();
        for (no, (live, pieces, _)) in segments {
            let there: Vec<u64> = seats
                .iter()
                .filter(|(seat, _)| seat.segment == no)
                .map(|(_, len)| u64::from(*len))
                .collect();
            if (there.iter().sum::<u64>(), there.len() as u64) != (live, pieces) {
                audit.faults.push(format!(
                    "segment {no}: {live} bytes in {pieces} pieces, found {there:?}"
                ));
            }
            let ids = self.segments.get(no).read(|txn| {
                let table = txn.open_table(NAMES)?;
                table
                    .range::<u32>(..)?
                    .map(|entry| Ok(entry?.0.value()))
                    .collect::<Result<Vec<u32>, Error>>()
            });
            for id in ids.unwrap_or_default() {
                let seat = Seat { segment: no, id };
                if !seats.contains_key(&seat) && !dead.contains(&seat) && !mine.contains(&seat) {
                    audit.orphans += 1;
                }
            }
        }
        Ok(())
    }
}
