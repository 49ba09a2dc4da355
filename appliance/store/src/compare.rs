//! Rows on their way into the copy: one by one after a deed, or all of them where the copy differs.

use proto::id::InfoHash;
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use crate::{
    Error,
    copy::{INFOS_OF, ROWS},
    sites::find,
    state::{meta, set_meta},
    tables::{INFOS, Rows, SETTINGS, SITES, Site, TWICE},
};

/// What of `meta` is copied.
const META_KEPT: [&str; 3] = ["content_id", "next_site", "next_segment"];

/// Makes the copy equal to the state.
pub(crate) fn all(copy: &WriteTransaction, state: &ReadTransaction) -> Result<(), Error> {
    compare_sites(copy, state)?;
    compare_settings(copy, state)?;
    for table in TWICE {
        compare_rows(copy, state, table)?;
    }
    put_meta(copy, state, true)
}

/// What is held is read from the segments again: the copy need not follow it.
fn bare(mut site: Site) -> Vec<u8> {
    (site.row.held, site.held_bytes) = (0, 0);
    site.encode()
}

pub(crate) fn put_site(copy: &WriteTransaction, state: &ReadTransaction, ih: &InfoHash) -> Result<(), Error> {
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

pub(crate) fn put_setting(copy: &WriteTransaction, state: &ReadTransaction, key: &str) -> Result<(), Error> {
    let mut settings = copy.open_table(SETTINGS)?;
    match state.open_table(SETTINGS)?.get(key)? {
        Some(value) => settings.insert(key, value.value())?,
        None => settings.remove(key)?,
    };
    Ok(())
}

pub(crate) fn put_meta(copy: &WriteTransaction, state: &ReadTransaction, whole: bool) -> Result<(), Error> {
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

pub(crate) fn put_row(
    copy: &WriteTransaction,
    state: &ReadTransaction,
    table: Rows,
    key: &[u8],
) -> Result<(), Error> {
    let mut rows = copy.open_table(table)?;
    match state.open_table(table)?.get(key)? {
        Some(value) => rows.insert(key, value.value())?,
        None => rows.remove(key)?,
    };
    Ok(())
}

fn compare_rows(copy: &WriteTransaction, state: &ReadTransaction, table: Rows) -> Result<(), Error> {
    let (there, mut rows) = (state.open_table(table)?, copy.open_table(table)?);
    for entry in there.range::<&[u8]>(..)? {
        let (key, value) = entry?;
        let same = rows
            .get(key.value())?
            .is_some_and(|old| old.value() == value.value());
        if !same {
            rows.insert(key.value(), value.value())?;
        }
    }
    rows.retain(|key, _| there.get(key).is_ok_and(|row| row.is_some()))?;
    Ok(())
}
