//! Opening `state.redb`, its format version, and the small values every deed needs.

use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use crate::{
    Error,
    disk::{Disk, Place},
    file::Db,
    migrate,
    tables::{
        DEAD, DUE, DUE_OF, FORMAT, HASHES, HAVE, INFOS, JOBS, META, NUMBERS, PIECES, SCRUB, SEGMENTS,
        SETTINGS, SITES, UNLINKS,
    },
};

pub(crate) const STATE_FILE: &str = "state.redb";

/// More: a large store's rows are found with fewer reads. Less: less memory.
const CACHE_BYTES: usize = 6 << 20;

/// Opens the state, making, migrating or setting aside the file as needed. The second value says whether a damaged
/// file was set aside.
pub(crate) fn open(disk: &Arc<dyn Disk>) -> Result<(Db, Option<String>), Error> {
    let db = Db::new(disk.clone(), Place::State, STATE_FILE.into(), CACHE_BYTES);
    migrate::clean(disk.as_ref())?;
    match prepare(disk, &db) {
        Ok(()) => Ok((db, None)),
        Err(Error::Damaged(text)) => {
            db.shut();
            let aside = set_aside(disk.as_ref(), STATE_FILE)?;
            prepare(disk, &db)?;
            Ok((db, Some(format!("{text}; the old file is kept as {aside}"))))
        }
        Err(err) => Err(err),
    }
}

fn prepare(disk: &Arc<dyn Disk>, db: &Db) -> Result<(), Error> {
    let there = disk.list(Place::State)?.iter().any(|name| name == STATE_FILE);
    if there {
        match migrate::run(disk, db) {
            Ok(()) => Ok(disk.sync_folder(Place::State)?),
            // What cannot be written now can still be read; `tick` tries again.
            Err(Error::Full(_) | Error::ReadOnly(_) | Error::Denied(_)) => db.read(check_tables),
            other => other,
        }
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

/// Makes every table, so that readers never meet a missing one.
pub(crate) fn make_tables(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(SITES)?;
    txn.open_table(NUMBERS)?;
    txn.open_table(INFOS)?;
    txn.open_table(HASHES)?;
    txn.open_table(HAVE)?;
    txn.open_table(PIECES)?;
    txn.open_table(SEGMENTS)?;
    txn.open_table(DEAD)?;
    txn.open_table(JOBS)?;
    txn.open_table(UNLINKS)?;
    txn.open_table(SETTINGS)?;
    txn.open_table(DUE)?;
    txn.open_table(DUE_OF)?;
    txn.open_table(SCRUB)?;
    let mut meta = txn.open_table(META)?;
    if meta.get("format")?.is_none() {
        meta.insert("format", u64::from(FORMAT))?;
    }
    Ok(())
}

/// Whether every table is there, without writing.
pub(crate) fn check_tables(txn: &ReadTransaction) -> Result<(), Error> {
    txn.open_table(SITES)?;
    txn.open_table(NUMBERS)?;
    txn.open_table(INFOS)?;
    txn.open_table(HASHES)?;
    txn.open_table(HAVE)?;
    txn.open_table(PIECES)?;
    txn.open_table(SEGMENTS)?;
    txn.open_table(DEAD)?;
    txn.open_table(JOBS)?;
    txn.open_table(UNLINKS)?;
    txn.open_table(SETTINGS)?;
    txn.open_table(DUE)?;
    txn.open_table(DUE_OF)?;
    txn.open_table(SCRUB)?;
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
