//! The shelf librqbit works on: one torrent's pieces in the store, seen as files.
//!
//! librqbit writes 16 KiB chunks as they arrive, reads a full piece back to hash it, and tells us when the hash was right;
//! only then the store is told that the piece is complete. Pad files never reach a storage, so their zeros are written
//! here: to the store a piece is all of its bytes.

use std::{
    collections::HashSet,
    io::Error as IoError,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use librqbit::{
    ManagedTorrentShared, TorrentMetadata,
    storage::{BoxStorageFactory, StorageFactory, StorageFactoryExt, TorrentStorage},
};
use librqbit_core::lengths::ValidPieceIndex;
use proto::{id::InfoHash, metainfo::Info};
use store::Pieces;

use crate::swarm::Torrent;

/// What the shelf tells the one who fetches. Called from blocking sections; must not block.
pub trait Events: Send + Sync {
    /// The piece's hash was right and the store has it.
    fn completed(&self, ih: &InfoHash, piece: u32);
    /// The piece's hash was wrong; it is being fetched again.
    fn spoiled(&self, ih: &InfoHash, piece: u32);
    /// The store refused a write: the fetch has to stop until the cause is gone.
    fn trouble(&self, ih: &InfoHash, error: &store::Error);
}

/// One torrent's pieces, as librqbit sees them.
pub struct Shelf {
    torrent: Arc<Torrent>,
    pieces: Pieces,
    events: Arc<dyn Events>,
    /// Set by the first write: reads before it are librqbit's check of what it was told is there.
    written: AtomicBool,
    /// Pieces read back to their end and not (yet) called complete. A write to one of them means that its hash was wrong.
    checked: Mutex<HashSet<u32>>,
    /// Bytes librqbit wrote: what this torrent really received.
    received: AtomicU64,
}

impl Shelf {
    pub fn new(torrent: Arc<Torrent>, pieces: Pieces, events: Arc<dyn Events>) -> Arc<Self> {
        Arc::new(Self {
            torrent,
            pieces,
            events,
            written: AtomicBool::new(false),
            checked: Mutex::new(HashSet::new()),
            received: AtomicU64::new(0),
        })
    }

    /// Payload bytes received so far, wrong ones included.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The factory librqbit wants; it makes this one shelf whatever torrent it is asked for.
    pub fn factory(self: &Arc<Self>) -> BoxStorageFactory {
        Factory(self.clone()).boxed()
    }

    fn info(&self) -> &Info {
        &self.torrent.info
    }

    fn read(&self, file: usize, offset: u64, mut buf: &mut [u8]) -> anyhow::Result<()> {
        let end = offset
            .checked_add(buf.len() as u64)
            .ok_or_else(|| past_the_end(file))?;
        for span in self.info().span(file, offset..end) {
            let (part, rest) = buf.split_at_mut(span.len as usize);
            self.read_span(span.piece, span.offset, part)?;
            buf = rest;
        }
        if buf.is_empty() {
            Ok(())
        } else {
            Err(past_the_end(file))
        }
    }

    fn read_span(&self, piece: u32, offset: u32, part: &mut [u8]) -> anyhow::Result<()> {
        // A held piece is read the verified way, so that librqbit never uploads a rotten one.
        if self.pieces.readable(piece) {
            return self.read_held(piece, offset, part);
        }
        self.pieces.read_unverified(piece, offset, part)?;
        if self.written.load(Ordering::Relaxed)
            && self.info().piece_len(piece) == Some(offset + part.len() as u32)
        {
            self.lock_checked().insert(piece);
        }
        Ok(())
    }

    fn read_held(&self, piece: u32, mut offset: u32, mut part: &mut [u8]) -> anyhow::Result<()> {
        while !part.is_empty() {
            let bytes = self.pieces.read(piece, offset, part.len() as u32)?;
            let read = bytes.as_ref().map_or(0, |bytes| bytes.len().min(part.len()));
            let Some(bytes) = bytes.filter(|_| read > 0) else {
                anyhow::bail!("piece {piece} is no longer held");
            };
            let (done, rest) = part.split_at_mut(read);
            done.copy_from_slice(&bytes[..read]);
            part = rest;
            offset += read as u32;
        }
        Ok(())
    }

    fn write(&self, file: usize, offset: u64, mut data: &[u8]) -> anyhow::Result<()> {
        self.written.store(true, Ordering::Relaxed);
        self.received.fetch_add(data.len() as u64, Ordering::Relaxed);
        let end = offset
            .checked_add(data.len() as u64)
            .ok_or_else(|| past_the_end(file))?;
        for span in self.info().span(file, offset..end) {
            let (part, rest) = data.split_at(span.len as usize);
            self.write_span(span.piece, span.offset, part)?;
            data = rest;
        }
        if data.is_empty() {
            Ok(())
        } else {
            Err(past_the_end(file))
        }
    }

    fn write_span(&self, piece: u32, offset: u32, part: &[u8]) -> Result<(), store::Error> {
        let spoiled = self.lock_checked().remove(&piece);
        if spoiled {
            self.events.spoiled(&self.info().infohash, piece);
        }
        self.pieces
            .write(piece, offset, part)
            .inspect_err(|err| self.events.trouble(&self.info().infohash, err))
    }

    fn complete(&self, piece: u32) -> Result<(), store::Error> {
        self.lock_checked().remove(&piece);
        self.write_pads(piece)?;
        self.pieces.complete(piece)?;
        self.events.completed(&self.info().infohash, piece);
        Ok(())
    }

    /// The zeros of the pad files that reach into this piece.
    fn write_pads(&self, piece: u32) -> Result<(), store::Error> {
        let zeros = [0u8; 16 << 10];
        for (mut offset, end) in pads(self.info(), piece) {
            while offset < end {
                let len = (end - offset).min(zeros.len() as u32);
                self.pieces.write(piece, offset, &zeros[..len as usize])?;
                offset += len;
            }
        }
        Ok(())
    }

    fn lock_checked(&self) -> std::sync::MutexGuard<'_, HashSet<u32>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ranges of `piece` that belong to pad files, as offsets within the piece.
pub fn pads(info: &Info, piece: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
    let start = u64::from(piece) * u64::from(info.piece_length);
    let end = start + u64::from(info.piece_len(piece).unwrap_or(0));
    // Files are in order of their offsets: the first that reaches into the piece is found by halving.
    let first = info.files.partition_point(|f| f.offset + f.length <= start);
    info.files[first..]
        .iter()
        .take_while(move |f| f.offset < end)
        .filter(|f| f.pad && f.length > 0)
        .map(move |f| {
            let from = f.offset.max(start) - start;
            let to = (f.offset + f.length).min(end) - start;
            (from as u32, to as u32)
        })
}

/// Pieces that consist of pad bytes alone: librqbit never selects them, so their zeros are put without it.
pub fn pad_pieces(info: &Info) -> impl Iterator<Item = u32> + '_ {
    info.files
        .iter()
        .filter(|f| f.pad && f.length >= u64::from(info.piece_length))
        .flat_map(|f| {
            let piece = u64::from(info.piece_length);
            f.offset.div_ceil(piece)..(f.offset + f.length) / piece
        })
        .map(|piece| piece as u32)
}

fn past_the_end(file: usize) -> anyhow::Error {
    IoError::other(format!("past the end of file {file}")).into()
}

struct Factory(Arc<Shelf>);

/// What librqbit holds; all of them are the same shelf.
struct Handle(Arc<Shelf>);

impl StorageFactory for Factory {
    type Storage = Handle;

    fn create(&self, _: &ManagedTorrentShared, _: &TorrentMetadata) -> anyhow::Result<Handle> {
        Ok(Handle(self.0.clone()))
    }

    /// librqbit keeps bitfields only for its file system storage and asks with this. The bitfield is how we tell it what
    /// the store already holds, without a hash check of everything.
    fn is_type_id(&self, type_id: std::any::TypeId) -> bool {
        type_id == std::any::TypeId::of::<librqbit::storage::filesystem::FilesystemStorageFactory>()
    }

    fn clone_box(&self) -> BoxStorageFactory {
        Factory(self.0.clone()).boxed()
    }
}

impl TorrentStorage for Handle {
    fn init(&mut self, _: &ManagedTorrentShared, _: &TorrentMetadata) -> anyhow::Result<()> {
        Ok(())
    }

    fn pread_exact(&self, file_id: usize, offset: u64, buf: &mut [u8]) -> anyhow::Result<()> {
        self.0.read(file_id, offset, buf)
    }

    fn pwrite_all(&self, file_id: usize, offset: u64, buf: &[u8]) -> anyhow::Result<()> {
        self.0.write(file_id, offset, buf)
    }

    fn remove_file(&self, _: usize, _: &Path) -> anyhow::Result<()> {
        Ok(())
    }

    fn remove_directory_if_empty(&self, _: &Path) -> anyhow::Result<()> {
        Ok(())
    }

    fn ensure_file_length(&self, _: usize, _: u64) -> anyhow::Result<()> {
        Ok(())
    }

    fn take(&self) -> anyhow::Result<Box<dyn TorrentStorage>> {
        Ok(Box::new(Handle(self.0.clone())))
    }

    fn on_piece_completed(&self, piece: ValidPieceIndex) -> anyhow::Result<()> {
        // librqbit only logs what is returned here, so the trouble is told the other way.
        if let Err(err) = self.0.complete(piece.get()) {
            self.0.events.trouble(&self.0.info().infohash, &err);
            return Err(err.into());
        }
        Ok(())
    }
}
