//! Opening `state.redb`, its format version, and the small values every deed needs.

use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use crate::{
    Error,
    copy::{Copy, ROWS},
    core::Core,
    disk::{Disk, Place},
    file::Db,
    locks::Lock,
    migrate, rebuild,
    tables::{FORMAT, META, check_state, make_state},
};

pub(crate) const STATE_FILE: &str = "state.redb";

/// More: a large store's rows are found with fewer reads. Less: less memory.
const CACHE_BYTES: usize = 6 << 20;

/// A larger file is looked at as a whole in the first tick, so that opening stays quick.
pub(crate) const CHECK_BYTES: u64 = 32 << 20;
/// A file of this name asks for a look at the whole state when it is opened next.
const SUSPECT: &str = "state.suspect";

/// Opens the state and its copy, making, migrating, rebuilding or setting aside the file as needed. The last value says
/// what was wrong and what was done.
pub(crate) fn open(disk: &Arc<dyn Disk>) -> Result<(Db, Copy, Option<String>), Error> {
    let db = Db::new(disk.clone(), Place::State, STATE_FILE.into(), CACHE_BYTES);
    let copy = Copy::new(disk.clone());
    migrate::clean(disk.as_ref())?;
    match prepare(disk, &db, &copy) {
        Ok(()) => Ok((db, copy, None)),
        Err(Error::Damaged(text)) => {
            db.shut();
            let aside = if is_there(disk)? {
                format!(
                    "the old file is kept as {}",
                    set_aside(disk.as_ref(), STATE_FILE)?
                )
            } else {
                "there is no file to keep".into()
            };
            let done = rebuild::run(disk, &copy)?;
            let _ = disk.remove(Place::State, SUSPECT);
            prepare(disk, &db, &copy)?;
            Ok((db, copy, Some(format!("{text}; {aside}; {done}"))))
        }
        Err(err) => Err(err),
    }
}

fn is_there(disk: &Arc<dyn Disk>) -> Result<bool, Error> {
    Ok(disk.list(Place::State)?.iter().any(|name| name == STATE_FILE))
}

/// Whether the file is not older than its copy, and the copy lacks nothing.
fn examine(db: &Db, copy: &Copy) -> Result<(), Error> {
    let seen = db.read(|txn| meta(txn, ROWS))?.unwrap_or(0);
    match copy.rows() {
        // The copy is written second: redb fell back to an older commit, or the file was exchanged.
        Some(copied) if copied > seen => Err(Error::Damaged("the file is older than its copy".into())),
        copied => {
            copy.set_behind(copied != Some(seen) || !copy.has_tables());
            Ok(())
        }
    }
}

impl Core {
    /// Once in a life: the look at a state too large for it while opening.
    pub fn check_large_state(&self) {
        let mut looked = self.state_looked.held();
        if std::mem::replace(&mut *looked, true) {
            return;
        }
        let large = self
            .disk
            .used(Place::State, STATE_FILE)
            .is_ok_and(|bytes| bytes > CHECK_BYTES);
        if large && let Err(err @ Error::Damaged(_)) = self.state.check() {
            let _ = self
                .disk
                .write_file(Place::State, SUSPECT, b"look at state.redb\n");
            tracing::error!(%err, "the store's state is damaged; it is made anew at the next start");
            *self.rotten_state.held() = Some(format!(
                "the store's records are damaged ({err}). They are made anew from their copy and the content when Granary \
                 is started again: restart it soon."
            ));
        }
    }
}

fn prepare(disk: &Arc<dyn Disk>, db: &Db, copy: &Copy) -> Result<(), Error> {
    if is_there(disk)? {
        let suspect = disk.list(Place::State)?.iter().any(|name| name == SUSPECT);
        let look = suspect || disk.used(Place::State, STATE_FILE)? <= CHECK_BYTES;
        let opened = migrate::run(disk, db, copy, look)
            .and_then(|()| Ok(disk.sync_folder(Place::State)?))
            .and_then(|()| examine(db, copy));
        if suspect && opened.is_ok() {
            let _ = disk.remove(Place::State, SUSPECT);
        }
        match opened {
            // What cannot be written now can still be read; `tick` tries again.
            Err(Error::Full(_) | Error::ReadOnly(_) | Error::Denied(_)) => db.read(check_state),
            other => other,
        }
    } else if copy.is_there()? {
        Err(Error::Damaged("the file is missing".into()))
    } else {
        db.open_writing(true)?;
        db.write(make_tables)?;
        Ok(disk.sync_folder(Place::State)?)
    }
}

/// Renames a damaged file so that it is never opened again and never lost.
pub(crate) fn set_aside(disk: &dyn Disk, name: &str) -> Result<String, Error> {
    let taken = disk.list(Place::State)?;
    let free = (1..)
        .map(|n| format!("{name}.damaged-{n}"))
        .find(|name| !taken.contains(name));
    let aside = free.unwrap_or_else(|| format!("{name}.damaged"));
    disk.rename(Place::State, name, &aside)?;
    disk.sync_folder(Place::State)?;
    Ok(aside)
}

/// Makes every table and notes the format of a new file.
pub(crate) fn make_tables(txn: &WriteTransaction) -> Result<(), Error> {
    make_state(txn)?;
    let mut meta = txn.open_table(META)?;
    if meta.get("format")?.is_none() {
        meta.insert("format", u64::from(FORMAT))?;
    }
    Ok(())
}

/// A number from `meta`.
pub(crate) fn meta(txn: &ReadTransaction, key: &str) -> Result<Option<u64>, Error> {
    Ok(txn.open_table(META)?.get(key)?.map(|value| value.value()))
}

pub(crate) fn set_meta(txn: &WriteTransaction, key: &str, value: u64) -> Result<(), Error> {
    txn.open_table(META)?.insert(key, value)?;
    Ok(())
}

/// The next number of a series that starts at 1 and never gives a number twice.
pub(crate) fn next_number(txn: &WriteTransaction, series: &str) -> Result<u32, Error> {
    let mut meta = txn.open_table(META)?;
    let number = meta.get(series)?.map_or(1, |value| value.value());
    meta.insert(series, number + 1)?;
    u32::try_from(number).map_err(|_| Error::Quota(format!("{series} has used all its numbers")))
}
