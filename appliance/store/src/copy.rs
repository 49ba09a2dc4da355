//! The second copy of the rows nothing else could bring back: sites, their info dictionaries, settings. A file of its own
//! beside `state.redb`. It is written after the state in the same deed, so what was acknowledged stands in both, and it
//! is never newer. When it cannot be written, the deed still counts and `tick` brings the copy up to date.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use proto::id::InfoHash;
use redb::{ReadTransaction, ReadableTable, TableDefinition as Table, WriteTransaction};

use crate::{
    Error, UnixSecs,
    core::Core,
    disk::{Disk, Place},
    file::Db,
    locks::Lock,
    sites::find,
    state::{CHECK_BYTES, STATE_FILE, meta, set_aside, set_meta},
    tables::{FORMAT, INFOS, META, SETTINGS, SITES, Site},
};

pub(crate) const COPY_FILE: &str = "state-copy.redb";
/// Infohash → raw info dictionary.
pub(crate) const INFOS_OF: Table<[u8; 20], &[u8]> = Table::new("infos-of-1");
/// Counts the changes of rows that are kept twice: in `meta` of both files. Equal counts: the copy lacks nothing.
pub(crate) const ROWS: &str = "rows";
/// What of `meta` is copied.
const META_KEPT: [&str; 3] = ["content_id", "next_site", "next_segment"];
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
    tried: Mutex<Option<UnixSecs>>,
    checked: Mutex<Option<UnixSecs>>,
}

/// What a deed changed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kept<'a> {
    Sites(&'a [InfoHash]),
    Setting(&'a str),
}

impl Copy {
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            db: Db::new(disk.clone(), Place::State, COPY_FILE.into(), CACHE_BYTES),
            disk,
            turn: Mutex::default(),
            behind: AtomicBool::new(true),
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

    /// Opens the file; a missing or damaged one is made again.
    fn ready(&self) -> Result<(), Error> {
        match self.db.open_writing(false) {
            Ok(()) => return Ok(()),
            Err(Error::Damaged(text)) => self.quarantine(&text)?,
            Err(Error::Gone(_)) => {}
            Err(err) => return Err(err),
        }
        self.set_behind(true);
        self.db.open_writing(true)?;
        self.db.write(|txn| {
            txn.open_table(SITES)?;
            txn.open_table(INFOS_OF)?;
            txn.open_table(SETTINGS)?;
            set_meta(txn, "copy_format", u64::from(FORMAT))
        })?;
        Ok(self.disk.sync_folder(Place::State)?)
    }

    /// Keeps a damaged copy under another name.
    pub fn quarantine(&self, text: &str) -> Result<(), Error> {
        self.db.shut();
        self.set_behind(true);
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

    fn follow<T>(&self, kept: Kept<'_>, done: Result<T, Error>) -> Result<T, Error> {
        match &done {
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
                        Kept::Sites(list) => list.iter().try_for_each(|ih| put_site(copy, state, ih))?,
                        Kept::Setting(key) => put_setting(copy, state, key)?,
                    }
                    put_meta(copy, state, !behind)
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
        self.copy.db.write(|copy| {
            self.state.read(|state| {
                compare_sites(copy, state)?;
                compare_settings(copy, state)?;
                put_meta(copy, state, true)
            })
        })
    }
}

fn counted<T>(
    txn: &WriteTransaction,
    deed: impl Fn(&WriteTransaction) -> Result<T, Error>,
) -> Result<T, Error> {
    let out = deed(txn)?;
    let count = txn.open_table(META)?.get(ROWS)?.map_or(0, |count| count.value());
    set_meta(txn, ROWS, count + 1)?;
    Ok(out)
}

/// What is held is read from the segments again: the copy need not follow it.
fn bare(mut site: Site) -> Vec<u8> {
    (site.row.held, site.held_bytes) = (0, 0);
    site.encode()
}

fn put_site(copy: &WriteTransaction, state: &ReadTransaction, ih: &InfoHash) -> Result<(), Error> {
    let (mut sites, mut infos) = (copy.open_table(SITES)?, copy.open_table(INFOS_OF)?);
    let Some(site) = find(state, ih)? else {
        sites.remove(ih.0)?;
        infos.remove(ih.0)?;
        return Ok(());
    };
    let no = site.no;
    sites.insert(ih.0, bare(site).as_slice())?;
    if infos.get(ih.0)?.is_none()
        && let Some(raw) = state.open_table(INFOS)?.get(no)?
    {
        infos.insert(ih.0, raw.value())?;
    }
    Ok(())
}

fn put_setting(copy: &WriteTransaction, state: &ReadTransaction, key: &str) -> Result<(), Error> {
    let mut settings = copy.open_table(SETTINGS)?;
    match state.open_table(SETTINGS)?.get(key)? {
        Some(value) => settings.insert(key, value.value())?,
        None => settings.remove(key)?,
    };
    Ok(())
}

fn put_meta(copy: &WriteTransaction, state: &ReadTransaction, whole: bool) -> Result<(), Error> {
    for key in META_KEPT {
        if let Some(value) = meta(state, key)? {
            set_meta(copy, key, value)?;
        }
    }
    if whole {
        set_meta(copy, ROWS, meta(state, ROWS)?.unwrap_or(0))?;
    }
    Ok(())
}

fn compare_sites(copy: &WriteTransaction, state: &ReadTransaction) -> Result<(), Error> {
    let table = state.open_table(SITES)?;
    for entry in table.range::<[u8; 20]>(..)? {
        let (key, raw) = entry?;
        let ih = InfoHash(key.value());
        let Ok(site) = Site::decode(ih, raw.value()) else {
            continue;
        };
        let same = {
            let there = copy.open_table(SITES)?;
            let row = there.get(ih.0)?;
            row.is_some_and(|row| row.value() == bare(site))
        };
        if !same || copy.open_table(INFOS_OF)?.get(ih.0)?.is_none() {
            put_site(copy, state, &ih)?;
        }
    }
    copy.open_table(SITES)?
        .retain(|key, _| table.get(key).is_ok_and(|row| row.is_some()))?;
    copy.open_table(INFOS_OF)?
        .retain(|key, _| table.get(key).is_ok_and(|row| row.is_some()))?;
    Ok(())
}

fn compare_settings(copy: &WriteTransaction, state: &ReadTransaction) -> Result<(), Error> {
    let table = state.open_table(SETTINGS)?;
    for entry in table.range::<&str>(..)? {
        let (key, _) = entry?;
        put_setting(copy, state, key.value())?;
    }
    copy.open_table(SETTINGS)?
        .retain(|key, _| table.get(key).is_ok_and(|row| row.is_some()))?;
    Ok(())
}
