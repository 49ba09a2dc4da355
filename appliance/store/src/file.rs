//! One redb file that survives its own errors: redb refuses everything after an I/O error, so the file is closed and
//! opened again before the next use.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, RwLock},
};

use redb::{Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};

use crate::{
    Error,
    direct::{self, Snapshot},
    disk::{Disk, Place},
    frozen::Frozen,
    locks::{Lock, Shared},
};

/// A redb file by name. The lock is held shared while it is used and alone while it is opened or closed, so that no two
/// handles of one file ever live at the same time.
#[derive(Debug)]
pub(crate) struct Db {
    disk: Arc<dyn Disk>,
    place: Place,
    pub name: String,
    cache_bytes: usize,
    slot: RwLock<Slot>,
    /// Used only while `slot` is held, so that it never outlives the handle it belongs to.
    beside: Mutex<Beside>,
}

/// What reads of an open segment share until the next commit.
#[derive(Debug, Default)]
struct Beside {
    file: Option<Arc<File>>,
    snapshot: Option<Arc<Snapshot>>,
}

#[derive(Debug)]
enum Slot {
    Shut,
    /// Opened without the right to write; redb's own writes stay in memory.
    Reading(Database),
    Writing(Database),
}

impl Slot {
    fn serves(&self, writable: bool) -> Option<&Database> {
        match self {
            Slot::Writing(db) => Some(db),
            Slot::Reading(db) if !writable => Some(db),
            _ => None,
        }
    }
}

impl Db {
    pub fn new(disk: Arc<dyn Disk>, place: Place, name: String, cache_bytes: usize) -> Self {
        Self {
            disk,
            place,
            name,
            cache_bytes,
            slot: RwLock::new(Slot::Shut),
            beside: Mutex::default(),
        }
    }

    /// Opens for writing, making the file when `create` and it is missing.
    pub fn open_writing(&self, create: bool) -> Result<(), Error> {
        let mut slot = self.slot.alone();
        if slot.serves(true).is_none() {
            *self.beside.held() = Beside::default();
            close(&mut slot);
            *slot = self.open(create, true).map_err(|err| err.at(&self.name))?;
        }
        Ok(())
    }

    fn open(&self, create: bool, writable: bool) -> Result<Slot, Error> {
        let backend = self.disk.open(self.place, &self.name, create, writable)?;
        let mut builder = Database::builder();
        builder.set_cache_size(self.cache_bytes);
        if !create && backend.len()? == 0 {
            return Err(Error::Damaged("the file is empty".into()));
        }
        // A damaged file can trip an assertion inside redb; that must not take the house down.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            if writable {
                builder.create_with_backend(Boxed(backend)).map(Slot::Writing)
            } else {
                builder
                    .create_with_backend(Frozen::new(backend)?)
                    .map(Slot::Reading)
            }
        }));
        let slot = opened.map_err(|_| Error::Damaged("redb cannot make sense of the file".into()))??;
        if self.place == Place::Content {
            self.beside.held().file = self.disk.beside(self.place, &self.name).map(Arc::new);
        }
        Ok(slot)
    }

    /// Closes the file; the next use opens it again.
    pub fn shut(&self) {
        let mut slot = self.slot.alone();
        *self.beside.held() = Beside::default();
        close(&mut slot);
    }

    /// Looks at every checksum of the file; nobody else can use it meanwhile. redb looks at none of them when it reads.
    pub fn check(&self) -> Result<(), Error> {
        self.open_writing(false)?;
        let mut slot = self.slot.alone();
        self.beside.held().snapshot = None;
        let Slot::Writing(db) = &mut *slot else {
            return Ok(());
        };
        let checked = catch_unwind(AssertUnwindSafe(|| db.check_integrity()));
        let checked = checked.map_err(|_| Error::Damaged("redb cannot make sense of the file".into()));
        match checked.and_then(|done| Ok(done?)) {
            Ok(true) => Ok(()),
            Ok(false) => {
                tracing::debug!(file = %self.name, "redb put the free lists of a file right");
                Ok(())
            }
            Err(err) => {
                drop(slot);
                self.shut();
                Err(err.at(&self.name))
            }
        }
    }

    fn with<T>(&self, writable: bool, deed: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, Error> {
        let mut deed = Some(deed);
        for _ in 0..2 {
            let slot = self.slot.shared();
            if let Some(db) = slot.serves(writable) {
                let Some(deed) = deed.take() else { break };
                let result = catch_unwind(AssertUnwindSafe(|| deed(db)))
                    .unwrap_or_else(|_| Err(Error::Damaged("redb cannot make sense of the file".into())));
                drop(slot);
                if result.as_ref().is_err_and(Error::latches) {
                    self.shut();
                }
                return result.map_err(|err| err.at(&self.name));
            }
            drop(slot);
            if writable {
                self.open_writing(false)?;
            } else {
                self.open_reading()?;
            }
        }
        Err(Error::Io(format!("{}: closed while it was opened", self.name)))
    }

    fn open_reading(&self) -> Result<(), Error> {
        let mut slot = self.slot.alone();
        if matches!(*slot, Slot::Shut) {
            *slot = self.open(false, false).map_err(|err| err.at(&self.name))?;
        }
        Ok(())
    }

    /// Runs `deed` on a snapshot.
    pub fn read<T>(&self, deed: impl FnOnce(&ReadTransaction) -> Result<T, Error>) -> Result<T, Error> {
        self.with(false, |db| deed(&db.begin_read()?))
    }

    /// Runs `deed` on the snapshot that all reads since the last commit share: cheaper, and it knows where cells lie.
    pub fn look<T>(&self, deed: impl FnOnce(&Snapshot) -> Result<T, Error>) -> Result<T, Error> {
        self.with(false, |db| {
            let shared = {
                // Made under the lock: a commit that ends meanwhile throws it away again.
                let mut beside = self.beside.held();
                match &beside.snapshot {
                    Some(snapshot) => snapshot.clone(),
                    None => {
                        let snapshot = Arc::new(Snapshot::new(db.begin_read()?, beside.file.clone()));
                        beside.snapshot.insert(snapshot).clone()
                    }
                }
            };
            deed(&shared)
        })
    }

    /// Like [`Db::look`], when that needs no waiting: the file is open and the snapshot is there.
    pub fn glance<T>(&self, deed: impl FnOnce(&Snapshot) -> Option<T>) -> Option<T> {
        let slot = self.slot.try_read().ok()?;
        slot.serves(false)?;
        let snapshot = self.beside.held().snapshot.clone()?;
        deed(&snapshot)
    }

    /// Runs `deed` in one transaction. When this returns `Ok`, its changes survive a power cut: two-phase commit, and
    /// the allocator's state beside it, so that the next open needs no repair. `Err`: nothing of it is visible.
    pub fn write<T>(&self, deed: impl FnOnce(&WriteTransaction) -> Result<T, Error>) -> Result<T, Error> {
        self.commit(Durability::Immediate, true, deed)
    }

    /// Like [`Db::write`], but may be undone by a crash until the next durable commit of this file.
    pub fn write_soon<T>(
        &self,
        deed: impl FnOnce(&WriteTransaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.commit(Durability::None, false, deed)
    }

    /// Like [`Db::write`], for a small file that is written to often: without the allocator's state, so that a commit is
    /// cheaper and the first open after a crash reads the whole file.
    pub fn write_lean<T>(
        &self,
        deed: impl FnOnce(&WriteTransaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.commit(Durability::Immediate, false, deed)
    }

    fn commit<T>(
        &self,
        durability: Durability,
        quick_repair: bool,
        deed: impl FnOnce(&WriteTransaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.with(true, |db| {
            let mut txn = db.begin_write()?;
            txn.set_durability(durability)
                .map_err(|err| Error::Damaged(err.to_string()))?;
            if matches!(durability, Durability::Immediate) {
                txn.set_two_phase_commit(true);
                txn.set_quick_repair(quick_repair);
            }
            let out = deed(&txn)?;
            let committed = txn.commit();
            // What is read from now on is the new state, and the old one's pages may be used again.
            self.beside.held().snapshot = None;
            committed?;
            Ok(out)
        })
    }
}

/// Closing commits redb's allocator state and may fail or, on a damaged file, panic; neither matters any more.
fn close(slot: &mut Slot) {
    let old = std::mem::replace(slot, Slot::Shut);
    let _ = catch_unwind(AssertUnwindSafe(|| drop(old)));
}

/// redb wants the backend by value.
#[derive(Debug)]
struct Boxed(Box<dyn redb::StorageBackend>);

impl redb::StorageBackend for Boxed {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, out)?;
        direct::note(offset, out);
        Ok(())
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.0.write(offset, data)
    }
    fn close(&self) -> std::io::Result<()> {
        self.0.close()
    }
}
