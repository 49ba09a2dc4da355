//! A new version made of the bytes of older ones: pieces whose bytes are here in other places (moved by a file that grew,
//! cut differently, padded or not) are put together, hashed and stored, so that only the others are downloaded.
//! `proto::dedupe` guesses, the hash decides. Pieces with the same hash need none of this: the store shares them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use proto::{
    dedupe::{Guess, Likeness, OLD_MAX, Source},
    id::InfoHash,
};
use store::{Pieces, Store};

use super::{Error, start::Parts, torrent_from_store};

/// Bytes read between two looks at the rest of the house. More: fewer of them. Less: a stop is noticed sooner.
const STEP_BYTES: u64 = 16 << 20;
/// A file that disappointed this often in a row is not tried any further: it is simply another one. More: more bytes
/// read and hashed for nothing. Less: what stayed behind a long change is downloaded again.
const MISSES_MAX: u8 = 64;
/// How many torrents are remembered as done.
const LATELY_MAX: usize = 256;
/// Rows of sites looked at in one go.
const ROWS_AT_ONCE: usize = 500;

/// What need not be downloaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reused {
    pub pieces: u32,
    pub bytes: u64,
}

/// See [`super::Swarm::reuse`].
pub(super) async fn run(parts: &Parts, new: InfoHash, old: Vec<InfoHash>) -> Result<Reused, Error> {
    parts.reused.note(new);
    let opened = parts.db.run(move |store| Work::open(store, new, old)).await?;
    let Some(mut work) = opened else {
        return Ok(Reused::default());
    };
    while work.next < work.count {
        work = parts
            .db
            .run(move |_| {
                work.step()?;
                Ok(work)
            })
            .await?;
    }
    let done = work.done;
    if done.pieces > 0 {
        parts.db.run(Store::flush).await?;
        tracing::info!(site = %new.short(), pieces = done.pieces, bytes = done.bytes, "bytes of older versions are used again");
    }
    Ok(done)
}

/// Whether torrents of the same name hold anything, and nobody has looked there for this one.
pub(super) async fn is_worth_it(parts: &Parts, new: InfoHash) -> Result<bool, Error> {
    if parts.reused.knows(&new) {
        return Ok(false);
    }
    let found = parts.db.run(move |store| match store.site(&new)? {
        Some(row) => likely(store, new, &row.name, Vec::new()),
        None => Ok(Vec::new()),
    });
    Ok(!found.await?.is_empty())
}

/// Torrents lately put together from others: reading all of it a second time would find nothing new.
#[derive(Debug, Default)]
pub struct Lately(Mutex<VecDeque<InfoHash>>);

impl Lately {
    fn knows(&self, ih: &InfoHash) -> bool {
        self.lock().contains(ih)
    }

    fn note(&self, ih: InfoHash) {
        let mut list = self.lock();
        if list.len() == LATELY_MAX {
            list.pop_front();
        }
        list.push_back(ih);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<InfoHash>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is under way: one piece's bytes at a time, and the tables of the torrents.
struct Work {
    new: Pieces,
    old: Vec<Pieces>,
    likeness: Likeness,
    next: u32,
    count: u32,
    /// (file of the new torrent, which way) → misses in a row.
    misses: HashMap<(u32, usize), u8>,
    done: Reused,
}

impl Work {
    fn open(store: &Store, new: InfoHash, old: Vec<InfoHash>) -> Result<Option<Self>, store::Error> {
        let torrent = torrent_from_store(store, &new)?.ok_or(store::Error::Unknown(new))?;
        let mut handles = Vec::new();
        let mut infos = Vec::new();
        for ih in likely(store, new, &torrent.info.name, old)? {
            // One that is damaged or was removed meanwhile helps nobody.
            if let (Ok(Some(torrent)), Ok(pieces)) = (torrent_from_store(store, &ih), store.pieces(&ih)) {
                infos.push(Arc::new(torrent.info));
                handles.push(pieces);
            }
        }
        let count = torrent.info.piece_count();
        let likeness = Likeness::new(Arc::new(torrent.info), infos);
        if likeness.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            new: store.pieces(&new)?,
            old: handles,
            likeness,
            next: 0,
            count,
            misses: HashMap::new(),
            done: Reused::default(),
        }))
    }

    /// Some pieces further.
    fn step(&mut self) -> Result<(), store::Error> {
        let mut read = 0;
        while self.next < self.count && read < STEP_BYTES {
            let piece = self.next;
            self.next += 1;
            if self.new.readable(piece) {
                continue;
            }
            for (way, guess) in self.likeness.guesses(piece).into_iter().enumerate() {
                let misses = self.misses.get(&(guess.file, way)).copied().unwrap_or(0);
                if misses >= MISSES_MAX {
                    continue;
                }
                let data = self.assemble(&guess);
                read += data.as_ref().map_or(0, |data| data.len() as u64);
                if let Some(data) = data
                    && self.put(piece, data)?
                {
                    self.misses.remove(&(guess.file, way));
                    break;
                }
                self.misses.insert((guess.file, way), misses + 1);
            }
        }
        Ok(())
    }

    fn put(&mut self, piece: u32, data: Vec<u8>) -> Result<bool, store::Error> {
        let bytes = data.len() as u64;
        let right = self.new.put(piece, Bytes::from(data))?;
        if right {
            self.done.pieces += 1;
            self.done.bytes += bytes;
        }
        Ok(right)
    }

    /// The bytes of a guess; `None` when some of them are not held or cannot be read.
    fn assemble(&self, guess: &Guess) -> Option<Vec<u8>> {
        let len: u64 = guess.parts.iter().map(|part| part.1).sum();
        let mut data = Vec::with_capacity(len as usize);
        for (source, len) in &guess.parts {
            match source {
                Some(source) => self.read(source, &mut data)?,
                None => data.resize(data.len() + *len as usize, 0),
            }
        }
        Some(data)
    }

    fn read(&self, source: &Source, data: &mut Vec<u8>) -> Option<()> {
        let pieces = self.old.get(source.torrent)?;
        let piece_length = self.likeness.piece_length(source.torrent)?;
        let mut at = source.range.start;
        while at < source.range.end {
            let (piece, offset) = ((at / piece_length) as u32, at % piece_length);
            let len = (piece_length - offset).min(source.range.end - at);
            let bytes = pieces.read(piece, offset as u32, len as u32).ok()??;
            if bytes.len() as u64 != len {
                return None;
            }
            data.extend_from_slice(&bytes);
            at += len;
        }
        Some(())
    }
}

/// The given torrents, then others of the same name, of which anything is held.
fn likely(
    store: &Store,
    new: InfoHash,
    name: &str,
    mut old: Vec<InfoHash>,
) -> Result<Vec<InfoHash>, store::Error> {
    old.retain(|ih| *ih != new);
    let mut after = None;
    while old.len() < OLD_MAX {
        let rows = store.sites(after, ROWS_AT_ONCE)?;
        let same = rows.iter().filter(|row| row.name == name && row.held > 0);
        for row in same {
            if row.infohash != new && !old.contains(&row.infohash) {
                old.push(row.infohash);
            }
        }
        match rows.last() {
            Some(last) if rows.len() == ROWS_AT_ONCE => after = Some(last.infohash),
            _ => break,
        }
    }
    old.truncate(OLD_MAX);
    Ok(old)
}
