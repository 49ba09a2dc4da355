//! A new `state.redb` from its copy, when the old one is damaged or missing. Pieces are not in the copy: `adopt` finds them
//! in the segments.

use std::{collections::BTreeSet, sync::Arc};

use proto::{
    id::{InfoHash, Target},
    metainfo::parse_info,
};
use redb::{ReadTransaction, TableError, TableHandle, WriteTransaction};

use crate::{
    Error, TargetWork,
    copy::{Copy, INFOS_OF, ROWS},
    disk::{Disk, Place},
    due::due_at_once,
    file::Db,
    segment::Sha1,
    sites::store_row,
    state::{STATE_FILE, make_tables, meta, set_meta},
    tables::{FORMAT, HASHES, INFOS, NUMBERS, RECORDS, Rows, SETTINGS, SITES, SUBSCRIPTIONS, Site, TWICE},
};

/// The new file until it is whole: a cut leaves the copy alone or both.
const NEW: &str = "state.redb.rebuilding";
/// Set in `meta` when neither the state nor its copy could be read.
pub(crate) const LOST: &str = "lost";

/// Makes a new state. Returns what to tell the owner. Called when no `state.redb` is there.
pub(crate) fn run(disk: &Arc<dyn Disk>, copy: &Copy) -> Result<String, Error> {
    clean(disk.as_ref())?;
    let db = Db::new(disk.clone(), Place::State, NEW.into(), 4 << 20);
    db.open_writing(true)?;
    let mut brought = None;
    if usable(copy)? {
        let done = db.write(|txn| {
            make_tables(txn)?;
            copy.db.read(|old| bring(txn, old))
        });
        match done {
            Ok(text) => brought = Some(text),
            Err(Error::Damaged(text)) => copy.quarantine(&text)?,
            Err(err) => return Err(err),
        }
    }
    if brought.is_none() {
        db.write(|txn| {
            make_tables(txn)?;
            set_meta(txn, LOST, 1)
        })?;
    }
    db.shut();
    disk.rename(Place::State, NEW, STATE_FILE)?;
    disk.sync_folder(Place::State)?;
    Ok(brought.unwrap_or_else(|| "there is no whole copy to take sites and settings from".into()))
}

pub(crate) fn clean(disk: &dyn Disk) -> Result<(), Error> {
    if disk.list(Place::State)?.iter().any(|name| name == NEW) {
        disk.remove(Place::State, NEW)?;
    }
    Ok(())
}

fn usable(copy: &Copy) -> Result<bool, Error> {
    if !copy.is_there()? {
        return Ok(false);
    }
    let found = copy
        .db
        .check()
        .and_then(|()| copy.db.read(|txn| meta(txn, "copy_format")));
    match found {
        Ok(Some(found)) if found > u64::from(FORMAT) => Err(Error::TooNew {
            found: found as u32,
            known: FORMAT,
            path: crate::copy::COPY_FILE.into(),
        }),
        Ok(_) => Ok(true),
        Err(Error::Damaged(text)) => {
            copy.quarantine(&text)?;
            Ok(false)
        }
        Err(err) => Err(err),
    }
}

/// Copies rows into the new state; what does not match its infohash is left out.
fn bring(txn: &WriteTransaction, old: &ReadTransaction) -> Result<String, Error> {
    let infos = old.open_table(INFOS_OF)?;
    let (mut numbers, mut count) = (BTreeSet::new(), 0);
    let mut next = meta(old, "next_site")?.unwrap_or(1);
    for entry in old.open_table(SITES)?.range::<[u8; 20]>(..)? {
        let (key, raw) = entry?;
        let ih = InfoHash(key.value());
        let Ok(mut site) = Site::decode(ih, raw.value()) else {
            continue;
        };
        let Some(info) = infos.get(ih.0)? else { continue };
        let mut sha1 = Sha1::new();
        sha1.update(info.value());
        if sha1.finish() != ih.0 {
            tracing::error!(site = %ih.short(), "a site's copy does not match its infohash; it is left out");
            continue;
        }
        if !numbers.insert(site.no) {
            site.no = next as u32;
            numbers.insert(site.no);
        }
        next = next.max(u64::from(site.no) + 1);
        if site.hashes_at == u32::MAX {
            let Ok(parsed) = parse_info(info.value()) else {
                continue;
            };
            txn.open_table(HASHES)?
                .insert(site.no, parsed.pieces.concat().as_slice())?;
        }
        txn.open_table(INFOS)?.insert(site.no, info.value())?;
        txn.open_table(NUMBERS)?.insert(site.no, ih.0)?;
        store_row(txn, &site)?;
        count += 1;
    }
    let follows = bring_rows(txn, old, &TWICE)?;
    let mut settings = txn.open_table(SETTINGS)?;
    for entry in old.open_table(SETTINGS)?.range::<&str>(..)? {
        let (key, value) = entry?;
        settings.insert(key.value(), value.value())?;
    }
    set_meta(txn, "next_site", next)?;
    for key in ["content_id", "next_segment", ROWS] {
        if let Some(value) = meta(old, key)? {
            set_meta(txn, key, value)?;
        }
    }
    Ok(format!(
        "{count} sites, {follows} subscriptions and the settings are taken from the copy"
    ))
}

/// Copies whole tables; a table the copy lacks was not there when it was written. Returns how many subscriptions came.
fn bring_rows(txn: &WriteTransaction, old: &ReadTransaction, tables: &[Rows]) -> Result<u64, Error> {
    let mut follows = 0;
    for table in tables {
        let from = match old.open_table(*table) {
            Err(TableError::TableDoesNotExist(_)) => continue,
            other => other?,
        };
        let mut rows = txn.open_table(*table)?;
        for entry in from.range::<&[u8]>(..)? {
            let (key, value) = entry?;
            rows.insert(key.value(), value.value())?;
            follows += u64::from(table.name() == SUBSCRIPTIONS.name());
            // When it is due is not in the copy: at once.
            if let Ok(target) = key.value().try_into().map(Target) {
                if table.name() == SUBSCRIPTIONS.name() {
                    due_at_once(txn, TargetWork::Refresh, target)?;
                } else if table.name() == RECORDS.name() {
                    due_at_once(txn, TargetWork::RecordPut, target)?;
                }
            }
        }
    }
    Ok(follows)
}

/// Makes the tables that an older release did not know. When that release made the whole state anew meanwhile (the other
/// slot was booted), the copy still has their rows.
pub(crate) fn add_tables(db: &Db, copy: &Copy) -> Result<(), Error> {
    let there: Vec<String> =
        db.read(|txn| Ok(txn.list_tables()?.map(|table| table.name().into()).collect()))?;
    let mut missing = TWICE.to_vec();
    missing.retain(|table| !there.iter().any(|name| name == table.name()));
    let from_copy = usable(copy)?;
    db.write(|txn| {
        make_tables(txn)?;
        if from_copy {
            copy.db.read(|old| bring_rows(txn, old, &missing))?;
        }
        Ok(())
    })
}
