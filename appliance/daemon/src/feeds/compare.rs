//! What changed between two versions: by their lists of files, and by bytes where those leave a doubt.

use proto::{
    feed::changes::{Changes, between},
    id::InfoHash,
    metainfo::Info,
};
use store::{Pieces, Store};

use super::{Error, Parts};
use crate::swarm;

/// Changes listed. More: a page nobody reads.
const CHANGES_MAX: usize = 500;
/// Bytes of each version read to settle doubts. More: fewer doubts, and a disk that is busy longer for one page.
const DOUBT_BYTES_MAX: u64 = 32 << 20;

impl Parts {
    pub async fn compare(&self, old: InfoHash, new: InfoHash) -> Result<Changes, Error> {
        let found = self.db.run(move |store| {
            let (Some(was), Some(is)) = (
                swarm::torrent_from_store(store, &old)?,
                swarm::torrent_from_store(store, &new)?,
            ) else {
                return Ok(None);
            };
            let mut changes = between(&was.info, &is.info, CHANGES_MAX);
            settle(store, &was.info, &is.info, &mut changes)?;
            Ok(Some(changes))
        });
        found.await?.ok_or_else(|| {
            Error::Refused(
                "the list of files of one of these versions is not here, so they cannot be compared".into(),
            )
        })
    }
}

/// Reads the files that may have changed, as far as both versions are here and the bound allows.
fn settle(store: &Store, was: &Info, is: &Info, changes: &mut Changes) -> Result<(), store::Error> {
    let (before, after) = (store.pieces(&was.infohash)?, store.pieces(&is.infohash)?);
    let mut left = DOUBT_BYTES_MAX;
    let mut doubts = Vec::new();
    for (path, length) in std::mem::take(&mut changes.perhaps) {
        let words: Vec<&str> = path.split('/').collect();
        let same = match (was.file_at(&words), is.file_at(&words)) {
            (Some(a), Some(b)) if length <= left => {
                left -= length;
                same_bytes((&before, was, a), (&after, is, b), length)?
            }
            _ => None,
        };
        match same {
            Some(true) => {}
            Some(false) => changes.changed.push((path, length, length)),
            None => doubts.push((path, length)),
        }
    }
    changes.perhaps = doubts;
    changes.changed.sort();
    Ok(())
}

/// `None`: not all of both is here.
fn same_bytes(
    old: (&Pieces, &Info, usize),
    new: (&Pieces, &Info, usize),
    length: u64,
) -> Result<Option<bool>, store::Error> {
    let mut at = 0;
    while at < length {
        let (Some(a), Some(b)) = (part(old, at)?, part(new, at)?) else {
            return Ok(None);
        };
        let both = a.len().min(b.len());
        if a[..both] != b[..both] {
            return Ok(Some(false));
        }
        at += both as u64;
    }
    Ok(Some(true))
}

/// Bytes of a file from `at` to the end of the piece or of the file; `None`: not here.
fn part(of: (&Pieces, &Info, usize), at: u64) -> Result<Option<bytes::Bytes>, store::Error> {
    let (pieces, info, file) = of;
    let Some(span) = info.span(file, at..u64::MAX).next() else {
        return Ok(None);
    };
    if !pieces.readable(span.piece) {
        return Ok(None);
    }
    let read = pieces.read(span.piece, span.offset, span.len)?;
    Ok(read.filter(|bytes| !bytes.is_empty()))
}
