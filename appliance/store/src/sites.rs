//! Deeds on site rows: add, read, list, change, and the recurring work of each site.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use proto::{id::InfoHash, metainfo::Info};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use crate::{
    Error, Keep, SiteRow, UnixSecs,
    copy::Kept,
    core::Core,
    locks::{Lock, Shared},
    site_memory::{Bits, Seats, SiteMemory},
    state::next_number,
    tables::{HASHES, HAVE, INFOS, NUMBERS, PIECES, Piece, SITES, Site},
};

/// More: more trackers per site survive a restart. Fewer: smaller rows.
const TRACKERS_MAX: usize = 64;
const TRACKER_BYTES_MAX: usize = 1024;

pub(crate) fn find(txn: &ReadTransaction, ih: &InfoHash) -> Result<Option<Site>, Error> {
    let table = txn.open_table(SITES)?;
    let found = table.get(ih.0)?;
    found.map(|raw| Site::decode(*ih, raw.value())).transpose()
}

pub(crate) fn find_in(txn: &WriteTransaction, ih: &InfoHash) -> Result<Option<Site>, Error> {
    let table = txn.open_table(SITES)?;
    let found = table.get(ih.0)?;
    found.map(|raw| Site::decode(*ih, raw.value())).transpose()
}

pub(crate) fn store_row(txn: &WriteTransaction, site: &Site) -> Result<(), Error> {
    txn.open_table(SITES)?
        .insert(site.row.infohash.0, site.encode().as_slice())?;
    Ok(())
}

/// The piece hashes of a site, 20 bytes each.
pub(crate) fn hashes(txn: &ReadTransaction, site: &Site) -> Result<Bytes, Error> {
    let len = site.row.pieces as usize * 20;
    let found = if site.hashes_at == u32::MAX {
        txn.open_table(HASHES)?
            .get(site.no)?
            .map(|raw| Bytes::copy_from_slice(raw.value()))
    } else {
        let start = site.hashes_at as usize;
        let table = txn.open_table(INFOS)?;
        let raw = table.get(site.no)?;
        raw.and_then(|raw| raw.value().get(start..start + len).map(Bytes::copy_from_slice))
    };
    found
        .filter(|found| found.len() == len)
        .ok_or_else(|| Error::Damaged(format!("hashes of {}", site.row.infohash)))
}

/// The bitfield of a site: only incomplete ones have a row.
pub(crate) fn have(txn: &ReadTransaction, site: &Site) -> Result<Bits, Error> {
    if site.row.complete() {
        return Ok(Bits::full(site.row.pieces));
    }
    let table = txn.open_table(HAVE)?;
    let raw = table.get(site.no)?;
    Ok(raw.map_or_else(
        || Bits::empty(site.row.pieces),
        |raw| Bits::from_raw(raw.value(), site.row.pieces),
    ))
}

impl Core {
    pub fn add_site(
        &self,
        info: &Info,
        raw_info: &[u8],
        trackers: &[String],
        keep: Keep,
        now: UnixSecs,
    ) -> Result<SiteRow, Error> {
        self.alive()?;
        if let Some(there) = self.site(&info.infohash)? {
            return self.add_again(there, trackers, keep, now);
        }
        let hashes: Vec<u8> = info.pieces.concat();
        let hashes_at = position(raw_info, &hashes);
        let row = SiteRow {
            infohash: info.infohash,
            name: info.name.clone(),
            keep,
            private: info.private,
            total: info.total,
            piece_length: info.piece_length,
            pieces: info.pieces.len() as u32,
            held: 0,
            added: now,
            used: now,
            uploaded: 0,
            downloaded: 0,
            trackers: bounded(trackers.iter()),
        };
        self.state_kept(Kept::Sites(&[info.infohash]), |txn| {
            let no = next_number(txn, "next_site")?;
            txn.open_table(INFOS)?.insert(no, raw_info)?;
            if hashes_at.is_none() {
                txn.open_table(HASHES)?.insert(no, hashes.as_slice())?;
            }
            txn.open_table(NUMBERS)?.insert(no, info.infohash.0)?;
            store_row(
                txn,
                &Site {
                    no,
                    hashes_at: hashes_at.unwrap_or(u32::MAX),
                    held_bytes: 0,
                    row: row.clone(),
                },
            )
        })?;
        self.memory(&info.infohash)?;
        self.search_again();
        Ok(self.site(&info.infohash)?.unwrap_or(row))
    }

    /// A site that is here already: more trackers, and a visit never takes back a keep.
    fn add_again(
        &self,
        row: SiteRow,
        trackers: &[String],
        keep: Keep,
        now: UnixSecs,
    ) -> Result<SiteRow, Error> {
        let trackers = bounded(row.trackers.iter().chain(trackers));
        let keep = if row.keep == Keep::Kept { Keep::Kept } else { keep };
        if trackers != row.trackers || keep != row.keep {
            self.change(&row.infohash, |site| {
                site.row.trackers = trackers.clone();
                site.row.keep = keep;
            })?;
        }
        self.touch(&row.infohash, now)?;
        self.site(&row.infohash)?.ok_or(Error::Unknown(row.infohash))
    }

    /// Changes one row.
    pub fn change(&self, ih: &InfoHash, deed: impl Fn(&mut Site)) -> Result<(), Error> {
        self.state_kept(Kept::Sites(&[*ih]), |txn| {
            let mut site = find_in(txn, ih)?.ok_or(Error::Unknown(*ih))?;
            deed(&mut site);
            store_row(txn, &site)
        })
    }

    pub fn site(&self, ih: &InfoHash) -> Result<Option<SiteRow>, Error> {
        self.alive()?;
        let found = self.state.read(|txn| find(txn, ih))?;
        Ok(found.map(|site| self.fresh_row(site.row)))
    }

    pub fn raw_info(&self, ih: &InfoHash) -> Result<Option<Bytes>, Error> {
        self.alive()?;
        self.state.read(|txn| {
            let Some(site) = find(txn, ih)? else {
                return Ok(None);
            };
            let found = txn
                .open_table(INFOS)?
                .get(site.no)?
                .map(|raw| Bytes::copy_from_slice(raw.value()));
            Ok(found)
        })
    }

    pub fn sites(&self, after: Option<InfoHash>, max: usize) -> Result<Vec<SiteRow>, Error> {
        self.alive()?;
        let mut rows = Vec::new();
        self.each_site(after, |site| {
            rows.push(self.fresh_row(site.row));
            rows.len() < max
        })?;
        rows.truncate(max);
        Ok(rows)
    }

    /// Walks the rows in infohash order until `deed` says no. A damaged row is logged and skipped.
    pub fn each_site(
        &self,
        after: Option<InfoHash>,
        mut deed: impl FnMut(Site) -> bool,
    ) -> Result<(), Error> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.state.read(|txn| {
            let table = txn.open_table(SITES)?;
            let start = after.map_or(Unbounded, |ih| Excluded(ih.0));
            for entry in table.range::<[u8; 20]>((start, Unbounded))? {
                let (key, raw) = entry?;
                match Site::decode(InfoHash(key.value()), raw.value()) {
                    Ok(site) => {
                        if !deed(site) {
                            break;
                        }
                    }
                    Err(err) => tracing::warn!(%err, "a site row is skipped"),
                }
            }
            Ok(())
        })
    }

    /// The site's memory, loaded when needed. Pieces other sites hold become held here on loading.
    pub fn memory(&self, ih: &InfoHash) -> Result<Arc<SiteMemory>, Error> {
        self.alive()?;
        if let Some(there) = self.memories.get(ih) {
            return Ok(there);
        }
        let before = self.changes.load(Ordering::Acquire);
        let (site, hashes, bits) = self.state.read(|txn| {
            let site = find(txn, ih)?.ok_or(Error::Unknown(*ih))?;
            Ok((site.clone(), hashes(txn, &site)?, have(txn, &site)?))
        })?;
        let complete = site.row.complete();
        let memory = self.memories.put(Arc::new(SiteMemory {
            no: site.no,
            infohash: *ih,
            piece_length: site.row.piece_length,
            pieces: site.row.pieces,
            total: site.row.total,
            hashes,
            have: bits.into(),
            verified: Bits::empty(site.row.pieces).into(),
            seats: Seats::default(),
            gone: false.into(),
        }));
        if complete && self.changes.load(Ordering::Acquire) == before {
            return Ok(memory);
        }
        // A commit may have changed the bitfield between reading and keeping it, and pieces may be shared: alone now.
        let _writer = self.writer.held();
        let now = self.state.read(|txn| {
            let Some(site) = find(txn, ih)? else {
                return Ok(None);
            };
            let bits = have(txn, &site)?;
            let shared = shared_pieces(txn, &site, &memory.hashes, &bits)?;
            Ok(Some((bits, shared)))
        })?;
        let Some((bits, shared)) = now else {
            self.memories.remove(ih);
            return Err(Error::Unknown(*ih));
        };
        *memory.have.alone() = bits;
        // Not fatal: the pieces are merely fetched again if this cannot be written now.
        if !shared.is_empty()
            && let Err(err) = self.adopt_shared(&memory, &shared)
        {
            tracing::warn!(%err, site = %ih.short(), "pieces another site holds are not taken over now");
        }
        Ok(memory)
    }

    pub fn have(&self, ih: &InfoHash) -> Result<crate::Have, Error> {
        let memory = self.memory(ih)?;
        let bits = memory.have.shared().clone();
        Ok(crate::Have {
            bits: bits.bytes,
            count: bits.count,
        })
    }
}

/// Pieces the site lacks and the store has.
fn shared_pieces(txn: &ReadTransaction, site: &Site, hashes: &Bytes, have: &Bits) -> Result<Vec<u32>, Error> {
    if site.row.complete() {
        return Ok(Vec::new());
    }
    let table = txn.open_table(PIECES)?;
    let mut shared = Vec::new();
    for (piece, hash) in (0..).zip(hashes.chunks_exact(20)) {
        let mut key = [0; 20];
        key.copy_from_slice(hash);
        if !have.has(piece)
            && table
                .get(key)?
                .is_some_and(|raw| Piece::decode(raw.value()).refs > 0)
        {
            shared.push(piece);
        }
    }
    Ok(shared)
}

pub(crate) fn bounded<'a>(trackers: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for tracker in trackers.filter(|tracker| tracker.len() <= TRACKER_BYTES_MAX) {
        if kept.len() < TRACKERS_MAX && !kept.contains(tracker) {
            kept.push(tracker.clone());
        }
    }
    kept
}

/// Where `needle` stands within `hay`.
fn position(hay: &[u8], needle: &[u8]) -> Option<u32> {
    let first = needle.get(..20)?;
    let at = hay.windows(20).position(|window| window == first)?;
    (hay.get(at..at + needle.len())? == needle).then_some(at as u32)
}
