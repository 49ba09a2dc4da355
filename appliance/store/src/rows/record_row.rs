//! A record and what we know about it, and how it is written.

use proto::{
    id::{InfoHash, Target},
    record::{Mutable, Verdict},
};

use super::encode::{Row, put_infohash, put_item, put_list, put_u32, put_u64, read_item};
use crate::{Error, UnixSecs};

/// How many versions of an address are remembered.
pub(super) const HISTORY_MAX: usize = 50;

/// For whom a record is kept. Only ever raised by [`Store::put_record`]; lowered by [`Store::set_record_owner`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Somebody looked once. Not kept alive; gives way when there are very many.
    Visited,
    /// The household follows it: put again for ever.
    Followed,
    /// The household's own: put first.
    Me,
}

/// One version of an address in its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    pub seq: i64,
    /// `None`: the value was no torrent.
    pub infohash: Option<InfoHash>,
    pub seen: UnixSecs,
}

/// Another value under a sequence number we already had: two worlds saw two things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub item: Mutable,
    pub seen: UnixSecs,
}

/// A mutable record and what we know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    pub item: Mutable,
    pub owner: Owner,
    pub first_seen: UnixSecs,
    /// The torrent of the first record we saw.
    pub first_infohash: Option<InfoHash>,
    /// When the network was last asked, and when it last answered with any record of this address.
    pub last_checked: UnixSecs,
    pub last_heard: UnixSecs,
    /// When `seq` last rose.
    pub last_changed: UnixSecs,
    /// When it was last put, and how many nodes held the newest one at the last look.
    pub last_put: UnixSecs,
    pub last_copies: u32,
    /// Newest first, at most 50, the present one included.
    pub history: Vec<Version>,
    pub conflict: Option<Conflict>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutOutcome {
    pub verdict: Verdict,
    /// As it stands now.
    pub row: RecordRow,
}

/// As it stands on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub row: RecordRow,
    /// SHA-1 of a conflicting value the owner knows of: he is not warned again.
    pub settled: Option<InfoHash>,
}

impl Stored {
    pub fn encode(&self) -> Vec<u8> {
        let row = &self.row;
        let mut out = Vec::with_capacity(256 + row.item.value.len() + 37 * row.history.len());
        put_item(&mut out, &row.item);
        out.push(row.owner as u8);
        put_u64(&mut out, &[row.first_seen, row.last_changed]);
        put_infohash(&mut out, row.first_infohash);
        put_look(&mut out, row);
        let history: Vec<Vec<u8>> = row.history.iter().map(put_version).collect();
        put_list(&mut out, 37, &history);
        out.push(u8::from(row.conflict.is_some()));
        if let Some(conflict) = &row.conflict {
            put_item(&mut out, &conflict.item);
            put_u64(&mut out, &[conflict.seen]);
        }
        put_infohash(&mut out, self.settled);
        out
    }

    pub fn decode(target: &Target, raw: &[u8]) -> Result<Self, Error> {
        read(&mut Row(raw)).ok_or_else(|| Error::Damaged(format!("record {target}")))
    }
}

/// The owner's byte of a row.
fn owner_of(byte: u8) -> Owner {
    match byte {
        0 => Owner::Visited,
        2 => Owner::Me,
        _ => Owner::Followed,
    }
}

fn read(raw: &mut Row) -> Option<Stored> {
    let item = read_item(raw)?;
    let owner = owner_of(raw.byte()?);
    let (first_seen, last_changed) = (raw.u64()?, raw.u64()?);
    let mut row = RecordRow {
        item,
        owner,
        first_seen,
        first_infohash: raw.infohash()?,
        last_checked: 0,
        last_heard: 0,
        last_changed,
        last_put: 0,
        last_copies: 0,
        history: Vec::new(),
        conflict: None,
    };
    read_look(raw, &mut row)?;
    row.history = raw.list(read_version)?;
    if raw.byte()? == 1 {
        row.conflict = Some(Conflict {
            item: read_item(raw)?,
            seen: raw.u64()?,
        });
    }
    let settled = raw.infohash()?;
    Some(Stored { row, settled })
}

fn put_version(version: &Version) -> Vec<u8> {
    let mut out = version.seq.to_le_bytes().to_vec();
    // The torrent is none, or any 20 bytes: a record may hold anything.
    out.push(u8::from(version.infohash.is_some()));
    put_infohash(&mut out, version.infohash);
    put_u64(&mut out, &[version.seen]);
    out
}

fn read_version(raw: &mut Row) -> Option<Version> {
    let seq = i64::from_le_bytes(raw.array()?);
    let is_torrent = raw.byte()? == 1;
    let infohash = InfoHash(raw.array()?);
    Some(Version {
        seq,
        infohash: is_torrent.then_some(infohash),
        seen: raw.u64()?,
    })
}

/// What may be lost of a row: when it was looked for and put.
fn put_look(out: &mut Vec<u8>, row: &RecordRow) {
    put_u64(out, &[row.last_checked, row.last_heard, row.last_put]);
    put_u32(out, row.last_copies);
}

fn read_look(raw: &mut Row, row: &mut RecordRow) -> Option<()> {
    (row.last_checked, row.last_heard, row.last_put) = (raw.u64()?, raw.u64()?, raw.u64()?);
    row.last_copies = raw.u32()?;
    Some(())
}

impl RecordRow {
    pub(super) fn look(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(28);
        put_look(&mut out, self);
        out
    }

    pub(super) fn apply_look(&mut self, look: &[u8]) {
        // A damaged look changes nothing that matters.
        let _ = read_look(&mut Row(look), self);
    }
}
