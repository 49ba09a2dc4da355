//! The rows one transaction changes together: a bit in a site's bitfield, the count it stands for, the piece's row and
//! the live bytes of its segment.

use std::collections::BTreeMap;

use proto::id::InfoHash;
use redb::{ReadableTable, WriteTransaction};

use crate::{
    Error,
    commit::Arrival,
    placement::weigh,
    site_memory::Bits,
    sites::{find_in, store_row},
    tables::{DEAD, HAVE, NUMBERS, PIECES, Piece, Site},
};

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
pub(crate) fn enter(
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
