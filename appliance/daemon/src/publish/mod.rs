//! Publish: from a folder to a torrent that our own store holds and seeds. Must not know HTTP, pages, or how peers are found.
//!
//! Two passes over the files: the first one hashes, the second one stores. A torrent's row needs its infohash, and the
//! infohash needs every hash; keeping the bytes of the first pass in memory would bound the size of a site by the RAM.
//! Data first, then the row is complete, then the world is told.
//!
//! Reading order: this file, `collect` (which files belong to it), `given` (torrents that
//! somebody else made), `bundled` (the sites inside the program).

pub mod bundled;
mod collect;
mod given;

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use proto::{
    create::{self, Builder},
    id::InfoHash,
};
use store::{Keep, Store};

use crate::{clock::Clock, db::Db, swarm::Swarm};
use bundled::Bundle;
use collect::{Collected, Content};

/// Bytes per read of a source file.
const READ_BYTES: usize = 256 << 10;

/// Split by what a person can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read {path}: {reason}")]
    Unreadable { path: PathBuf, reason: std::io::Error },
    #[error("{0}. Nothing was seeded.")]
    Refused(String),
    #[error("{0} changed while it was read. Nothing was seeded. Run the command again.")]
    Changed(PathBuf),
    #[error(transparent)]
    Torrent(#[from] create::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Swarm(#[from] crate::swarm::Error),
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Publish {
    db: Db,
    swarm: Swarm,
    clock: Clock,
}

/// Told how many of how many bytes are done; both passes count.
type Told = Arc<dyn Fn(u64, u64) + Send + Sync>;

impl Publish {
    pub fn new(db: Db, swarm: Swarm, clock: Clock) -> Self {
        Self { db, swarm, clock }
    }

    /// Stores and seeds a file or folder of the disk. `name` replaces the folder's own.
    pub async fn folder(
        &self,
        path: &Path,
        name: Option<&str>,
        told: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> Result<InfoHash, Error> {
        let (path, name) = (path.to_path_buf(), name.map(String::from));
        self.seal(Arc::new(told), move || collect::from_disk(&path, name.as_deref()))
            .await
    }

    /// Stores and seeds a site that comes with the program.
    pub async fn bundled(&self, bundle: &'static Bundle) -> Result<InfoHash, Error> {
        self.seal(Arc::new(|_, _| {}), move || Ok(collect::from_bundle(bundle)))
            .await
    }

    /// Stores and seeds what somebody else's torrent describes; its content lies below `folder`, or is `folder` itself.
    pub async fn torrent(&self, folder: &Path, raw: &[u8]) -> Result<InfoHash, Error> {
        let given = proto::metainfo::parse_torrent(raw).map_err(|err| Error::Refused(err.to_string()))?;
        let (folder, now) = (folder.to_path_buf(), self.clock.now_secs());
        let ih = given.info.infohash;
        self.db
            .run(move |store| Ok(given::store_torrent(store, &folder, &given, now)))
            .await??;
        self.swarm.keep(ih).await?;
        Ok(ih)
    }

    /// The same, for a torrent file that is still on disk.
    pub async fn torrent_file(&self, folder: &Path, file: &Path) -> Result<InfoHash, Error> {
        let path = file.to_path_buf();
        let read = self.db.run(move |_| Ok(given::read_torrent(&path)));
        self.torrent(folder, &read.await??).await
    }

    async fn seal(
        &self,
        told: Told,
        collect: impl FnOnce() -> Result<Collected, Error> + Send + 'static,
    ) -> Result<InfoHash, Error> {
        let now = self.clock.now_secs();
        let sealed = self
            .db
            .run(move |store| Ok(collect().and_then(|site| store_site(store, &site, &told, now))));
        let ih = sealed.await??;
        self.swarm.keep(ih).await?;
        Ok(ih)
    }
}

/// Both passes; blocking.
fn store_site(store: &Store, site: &Collected, told: &Told, now: u64) -> Result<InfoHash, Error> {
    let total = site.total() * 2;
    let mut hashing = site.builder()?;
    feed(&mut hashing, site, |_, _| Ok(()), |done| told(done, total))?;
    let made = hashing.finish()?;
    let ih = made.info.infohash;
    store.add_site(&made.info, &made.raw_info, &[], Keep::Kept, now)?;
    let pieces = store.pieces(&ih)?;
    let mut storing = site.builder()?;
    let put = |piece: u32, bytes: &[u8]| {
        if pieces.readable(piece) || pieces.put(piece, Bytes::copy_from_slice(bytes))? {
            return Ok(());
        }
        Err(Error::Changed(site.source.clone()))
    };
    feed(&mut storing, site, put, |done| told(total / 2 + done, total))?;
    store.flush()?;
    Ok(ih)
}

/// Reads every file once and hands the pieces out in order.
fn feed(
    builder: &mut Builder,
    site: &Collected,
    mut piece: impl FnMut(u32, &[u8]) -> Result<(), Error>,
    mut done: impl FnMut(u64),
) -> Result<(), Error> {
    let mut total = 0;
    while let Some((file, length)) = builder.expects() {
        let content = &site.files[file].content;
        let mut buffer = vec![0; READ_BYTES];
        let mut reader = content.open()?;
        let mut left = length;
        while left > 0 {
            let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let got = reader
                .read(&mut buffer[..want])
                .map_err(|reason| content.unreadable(reason))?;
            if got == 0 {
                return Err(Error::Changed(site.source.clone()));
            }
            let mut input = &buffer[..got];
            while let Some(full) = builder.feed(&mut input)? {
                piece(full.index, full.bytes)?;
            }
            left -= got as u64;
            total += got as u64;
            done(total);
        }
    }
    Ok(())
}

impl Content {
    fn open(&self) -> Result<Box<dyn Read>, Error> {
        match self {
            Self::Bytes(bytes) => Ok(Box::new(*bytes)),
            Self::Path(path) => {
                let file = std::fs::File::open(path).map_err(|reason| self.unreadable(reason))?;
                Ok(Box::new(file))
            }
        }
    }

    fn unreadable(&self, reason: std::io::Error) -> Error {
        let path = match self {
            Self::Path(path) => path.clone(),
            Self::Bytes(_) => PathBuf::from("a file inside the program"),
        };
        Error::Unreadable { path, reason }
    }
}
