//! Pieces whose bytes no longer match their hash: forgotten by every site, and reported, so that they are fetched again.

use std::collections::HashMap;

use crate::{
    Error,
    core::Core,
    ledger::Sites,
    locks::{Lock, Shared},
    placement::weigh,
    sites,
    tables::{DEAD, NUMBERS, PIECES, Piece},
};
use proto::id::InfoHash;

/// Piece hash → (site number, piece).
type Holders = HashMap<[u8; 20], Vec<(u32, u32)>>;

impl Core {
    /// Forgets rotten pieces in every site that holds them.
    pub fn forget_rotten(&self, hashes: &[[u8; 20]]) -> Result<(), Error> {
        let _writer = self.writer.held();
        // Looked at again under the lock: a piece may have been moved or fetched anew between look and deed.
        let mut rotten = Vec::new();
        for hash in hashes {
            if let Some(piece) = self.seat_of(hash)?
                && !self.intact(piece.seat, *hash, piece.len)?
            {
                rotten.push(*hash);
            }
        }
        if rotten.is_empty() {
            Ok(())
        } else {
            self.forget_held(&rotten)
        }
    }

    /// The same with the writer's lock held.
    pub fn forget_held(&self, hashes: &[[u8; 20]]) -> Result<(), Error> {
        let holders = self.holders_of(hashes)?;
        let forgotten = self.state_free(|txn| {
            let mut sites = Sites::default();
            let mut forgotten: Vec<(InfoHash, u32)> = Vec::new();
            let mut table = txn.open_table(PIECES)?;
            for hash in hashes {
                let Some(piece) = table.remove(hash)?.map(|raw| Piece::decode(raw.value())) else {
                    continue;
                };
                weigh(txn, piece.seat.segment, -i64::from(piece.len), -1)?;
                txn.open_table(DEAD)?
                    .insert((piece.seat.segment, piece.seat.id), piece.len)?;
                for (no, index) in holders.get(hash).into_iter().flatten() {
                    let Some((site, bits)) = sites.get(txn, *no)? else {
                        continue;
                    };
                    if bits.set(*index, false) {
                        site.row.held = bits.count;
                        site.held_bytes = site.held_bytes.saturating_sub(u64::from(piece.len));
                        forgotten.push((site.row.infohash, *index));
                    }
                }
            }
            drop(table);
            sites.store(txn)?;
            Ok(forgotten)
        })?;
        self.changes.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        for (infohash, piece) in &forgotten {
            tracing::warn!(site = %infohash.short(), piece, "a stored piece is rotten and wanted again");
            if let Some(memory) = self.memories.get(infohash) {
                memory.have.alone().set(*piece, false);
                memory.verified.alone().set(*piece, false);
            }
        }
        self.lost.held().extend(forgotten);
        Ok(())
    }

    /// (site number, piece) of every bit that means one of these hashes. The row names one site; only when others share
    /// the piece are all sites searched.
    fn holders_of(&self, hashes: &[[u8; 20]]) -> Result<Holders, Error> {
        let mut wanted: HashMap<[u8; 20], u32> = HashMap::new();
        let mut first = Vec::new();
        self.state.read(|txn| {
            let table = txn.open_table(PIECES)?;
            for hash in hashes {
                if let Some(piece) = table.get(hash)?.map(|raw| Piece::decode(raw.value())) {
                    wanted.insert(*hash, piece.refs);
                    first.push(piece.site);
                }
            }
            Ok(())
        })?;
        first.sort_unstable();
        first.dedup();
        let mut found: Holders = HashMap::new();
        self.state.read(|txn| {
            let numbers = txn.open_table(NUMBERS)?;
            let others = numbers
                .range::<u32>(..)?
                .filter_map(|entry| Some(entry.ok()?.0.value()));
            let rest: Vec<u32> = others.filter(|no| first.binary_search(no).is_err()).collect();
            for no in first.iter().copied().chain(rest) {
                if wanted
                    .iter()
                    .all(|(hash, refs)| found.get(hash).map_or(0, Vec::len) >= *refs as usize)
                {
                    break;
                }
                let Some(ih) = numbers.get(no)?.map(|ih| InfoHash(ih.value())) else {
                    continue;
                };
                let Some(site) = sites::find(txn, &ih)? else {
                    continue;
                };
                let (list, have) = (sites::hashes(txn, &site)?, sites::have(txn, &site)?);
                for (index, hash) in (0..).zip(list.chunks_exact(20)) {
                    if have.has(index)
                        && let Some((hash, _)) = wanted.get_key_value(hash)
                    {
                        found.entry(*hash).or_default().push((no, index));
                    }
                }
            }
            Ok(())
        })?;
        Ok(found)
    }
}
