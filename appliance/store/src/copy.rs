//! The second copy of the rows nothing else could bring back: sites, their info dictionaries, settings, and the tables of
//! [`TWICE`]. A file of its own beside `state.redb`. It is written after the state in the same deed, so what was
//! acknowledged stands in both, and it is never newer. When it cannot be written, the deed still counts and `tick` brings
//! the copy up to date.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

use proto::id::InfoHash;
use redb::{ReadableTable, TableDefinition as Table, TableHandle, WriteTransaction};

use crate::{
    Error, UnixSecs, compare,
    core::Core,
    disk::{Disk, Place},
    file::Db,
    locks::Lock,
    rows::Touched,
    state::{CHECK_BYTES, STATE_FILE, meta, set_aside, set_meta},
    tables::{FORMAT, META, SETTINGS, SITES, TWICE},
};

pub(crate) const COPY_FILE: &str = "state-copy.redb";
/// Infohash → raw info dictionary.
pub(crate) const INFOS_OF: Table<[u8; 20], &[u8]> = Table::new("infos-of-1");
/// Counts the changes of rows that are kept twice: in `meta` of both files. Equal counts: the copy lacks nothing.
pub(crate) const ROWS: &str = "rows";
/// A copy that cannot be written is tried again this seldom.
const RETRY_SECS: u64 = 30;
/// All checksums of the copy are looked at this seldom: nothing else reads it.
const CHECK_SECS: u64 = 7 * 24 * 3600;
const CACHE_BYTES: usize = 1 << 20;

/// The file, and whether it lacks something.
#[derive(Debug)]
pub(crate) struct Copy {
    pub db: Db,
    disk: Arc<dyn Disk>,
    /// Held from before a deed's commit until its copy is written: the count must not run ahead of the rows.
    pub turn: Mutex<()>,
    behind: AtomicBool,
    /// All tables are there.
    complete: AtomicBool,
    tried: Mutex<Option<UnixSecs>>,
    checked: Mutex<Option<UnixSecs>>,
}

/// What a deed changed.
#[derive(Clone, Copy)]
pub(crate) enum Kept<'a> {
    Sites(&'a [InfoHash]),
    Setting(&'a str),
    /// Rows of [`TWICE`]; none: nothing the copy follows.
    Rows(&'a Touched),
}

/// Held while a deed and its copy are written.
pub(crate) type Turn<'a> = MutexGuard<'a, ()>;

impl Copy {
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            db: Db::new(disk.clone(), Place::State, COPY_FILE.into(), CACHE_BYTES),
            disk,
            turn: Mutex::default(),
            behind: AtomicBool::new(true),
            complete: AtomicBool::new(false),
            tried: Mutex::default(),
            checked: Mutex::default(),
        }
    }

    pub fn is_there(&self) -> Result<bool, Error> {
        Ok(self.disk.list(Place::State)?.iter().any(|name| name == COPY_FILE))
    }

    /// How many changes the copy has seen, when it lacks none of them.
    pub fn rows(&self) -> Option<u64> {
        self.db.read(|txn| meta(txn, ROWS)).ok().flatten()
    }

    pub fn set_behind(&self, behind: bool) {
        self.behind.store(behind, Ordering::Release);
    }

    fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Acquire)
    }

    /// Opens the file; a missing or damaged one is made again, and one without the tables of this release gets them.
    fn ready(&self) -> Result<(), Error> {
        match self.db.open_writing(false) {
            Ok(()) if self.complete.load(Ordering::Acquire) || self.has_tables() => return Ok(()),
            Ok(()) | Err(Error::Gone(_)) => {}
            Err(Error::Damaged(text)) => self.quarantine(&text)?,
            Err(err) => return Err(err),
        }
        self.set_behind(true);
        self.db.open_writing(true)?;
        self.db.write(|txn| {
            txn.open_table(SITES)?;
            txn.open_table(INFOS_OF)?;
            txn.open_table(SETTINGS)?;
            for table in TWICE {
                txn.open_table(table)?;
            }
            set_meta(txn, "copy_format", u64::from(FORMAT))
        })?;
        self.complete.store(true, Ordering::Release);
        Ok(self.disk.sync_folder(Place::State)?)
    }

    /// An older release neither made nor followed the tables that are newer than it.
    pub fn has_tables(&self) -> bool {
        let there = self.db.read(|txn| {
            let names: Vec<String> = txn.list_tables()?.map(|table| table.name().into()).collect();
            Ok(TWICE
                .iter()
                .all(|table| names.iter().any(|name| name == table.name())))
        });
        let there = there.unwrap_or(false);
        self.complete.store(there, Ordering::Release);
        there
    }

    /// Keeps a damaged copy under another name.
    pub fn quarantine(&self, text: &str) -> Result<(), Error> {
        self.db.shut();
        self.set_behind(true);
        self.complete.store(false, Ordering::Release);
        let aside = set_aside(self.disk.as_ref(), COPY_FILE)?;
        tracing::warn!(reason = %text, kept_as = %aside, "the copy of the store's rows is damaged; it is made again");
        Ok(())
    }
}

impl Core {
    /// One durable change of rows that are kept twice. `Ok`: the state has it, and so has the copy if it could be written.
    pub fn state_kept<T>(
        &self,
        kept: Kept<'_>,
        deed: impl Fn(&WriteTransaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _turn = self.copy.turn.held();
        let done = self.state_write(|txn| counted(txn, &deed));
        self.follow(kept, done)
    }

    /// The same for a change that frees space.
    pub fn state_kept_free<T>(
        &self,
        kept: Kept<'_>,
        deed: impl Fn(&WriteTransaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _turn = self.copy.turn.held();
        let done = self.state_free(|txn| counted(txn, &deed));
        self.follow(kept, done)
    }

    pub fn follow<T>(&self, kept: Kept<'_>, done: Result<T, Error>) -> Result<T, Error> {
        match &done {
            Ok(_) if matches!(kept, Kept::Rows(rows) if rows.is_empty()) => {}
            Ok(_) => self.copy_rows(kept),
            // Nothing was changed.
            Err(Error::Unknown(_) | Error::Quota(_)) => {}
            // The commit may have reached the disk.
            Err(_) => self.copy.set_behind(true),
        }
        done
    }

    /// Writes some rows to the copy as they stand in the state. Called with the turn held; never fails the deed.
    pub fn copy_rows(&self, kept: Kept<'_>) {
        let written = self.copy.ready().and_then(|()| {
            let behind = self.copy.is_behind();
            self.copy.db.write(|copy| {
                self.state.read(|state| {
                    match kept {
                        Kept::Sites(list) => list
                            .iter()
                            .try_for_each(|ih| compare::put_site(copy, state, ih))?,
                        Kept::Setting(key) => compare::put_setting(copy, state, key)?,
                        Kept::Rows(rows) => rows
                            .iter()
                            .try_for_each(|(table, key)| compare::put_row(copy, state, *table, key))?,
                    }
                    compare::put_meta(copy, state, !behind)
                })
            })
        });
        if let Err(err) = written {
            tracing::debug!(%err, "the copy of the store's rows is written later");
            self.copy.set_behind(true);
        }
    }

    /// A small state gets its copy at once: from the first change on, both have it.
    pub fn tend_new_copy(&self) {
        let small = self
            .disk
            .used(Place::State, STATE_FILE)
            .is_ok_and(|bytes| bytes <= CHECK_BYTES);
        if small && self.copy.is_behind() && self.writable().is_ok() {
            self.tend_copy();
        }
    }

    /// Brings a copy that lacks something up to date, and looks at its checksums now and then.
    pub fn tend_copy(&self) {
        let now = self.now.load(Ordering::Acquire);
        let early = |last: Option<UnixSecs>, secs| last.is_some_and(|last| now.saturating_sub(last) < secs);
        if !early(*self.copy.checked.held(), CHECK_SECS) {
            *self.copy.checked.held() = Some(now);
            let _turn = self.copy.turn.held();
            if let Err(Error::Damaged(text)) = self.copy.db.check() {
                let _ = self.copy.quarantine(&text);
            }
        }
        if !self.copy.is_behind() || early(*self.copy.tried.held(), RETRY_SECS) {
            return;
        }
        let _turn = self.copy.turn.held();
        let mut done = self.copy.ready().and_then(|()| self.compare());
        if let Err(Error::Damaged(text)) = &done {
            let again = self.copy.quarantine(text).and_then(|()| self.copy.ready());
            done = again.and_then(|()| self.compare());
        }
        match done {
            Ok(()) => {
                *self.copy.tried.held() = None;
                self.copy.set_behind(false);
            }
            Err(err) => {
                *self.copy.tried.held() = Some(now);
                tracing::warn!(%err, "the copy of the store's rows cannot be written; it is tried again");
            }
        }
    }

    /// Makes the copy equal to the state.
    fn compare(&self) -> Result<(), Error> {
        self.copy
            .db
            .write(|copy| self.state.read(|state| compare::all(copy, state)))
    }
}

fn counted<T>(
    txn: &WriteTransaction,
    deed: impl Fn(&WriteTransaction) -> Result<T, Error>,
) -> Result<T, Error> {
    let out = deed(txn)?;
    count_change(txn)?;
    Ok(out)
}

/// Counts a change of rows that are kept twice.
pub(crate) fn count_change(txn: &WriteTransaction) -> Result<(), Error> {
    let count = txn.open_table(META)?.get(ROWS)?.map_or(0, |count| count.value());
    set_meta(txn, ROWS, count + 1)
}
