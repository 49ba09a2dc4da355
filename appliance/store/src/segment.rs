//! Segment files: which are open, and how the cells of a piece are written to and read from one.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use crate::{
    Error,
    cells::{Cell, layout},
    direct::{self, Snapshot},
    disk::{Disk, Place},
    file::Db,
    locks::Lock,
    tables::{CELLS, FRESH, NAMES, NEXT, TAILS, cell_key},
};

/// More: fewer reopens when many sites are read at once. Fewer: less memory (about 1 MiB of cache each).
const OPEN_MAX: usize = 12;
/// Cells are cached by the store itself; redb's cache only has to hold branch pages and the write buffer.
const CACHE_BYTES: usize = 1 << 20;

/// The file name of a segment.
pub(crate) fn name_of(segment: u32) -> String {
    format!("seg-{segment:05}.redb")
}

/// The open segments, least recently used first.
#[derive(Debug)]
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    open: Mutex<Vec<(u32, Arc<Db>)>>,
}

impl Segments {
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            open: Mutex::new(Vec::new()),
        }
    }

    /// The one handle of a segment. A handle in use elsewhere is never dropped from the list, so there is only one.
    pub fn get(&self, segment: u32) -> Arc<Db> {
        let mut open = self.open.held();
        if let Some(at) = open.iter().position(|(no, _)| *no == segment) {
            let entry = open.remove(at);
            open.push(entry);
        } else {
            let db = Db::new(self.disk.clone(), Place::Content, name_of(segment), CACHE_BYTES);
            open.push((segment, Arc::new(db)));
        }
        let found = open[open.len() - 1].1.clone();
        while open.len() > OPEN_MAX {
            let Some(idle) = open.iter().position(|(_, db)| Arc::strong_count(db) == 1) else {
                break;
            };
            let (_, db) = open.remove(idle);
            db.shut();
        }
        found
    }

    /// Closes every file; each is opened again on its next use.
    pub fn shut_all(&self) {
        for (_, db) in self.open.held().iter() {
            db.shut();
        }
    }
}

/// The next free id of the segment.
pub(crate) fn next_id(txn: &WriteTransaction) -> Result<u32, Error> {
    let mut table = txn.open_table(NEXT)?;
    let id = table.get(())?.map_or(1, |id| id.value());
    if id == u32::MAX {
        return Err(Error::Quota("the segment has used all its numbers".into()));
    }
    table.insert((), id + 1)?;
    Ok(id)
}

/// Writes cells of piece `id`.
pub(crate) fn put_cells(txn: &WriteTransaction, id: u32, cells: &[(Cell, Bytes)]) -> Result<(), Error> {
    let mut large = txn.open_table(CELLS)?;
    let mut tails = txn.open_table(TAILS)?;
    for (cell, data) in cells {
        if cell.tail {
            tails.insert(id, data.as_ref())?;
        } else {
            large.insert(cell_key(id, cell.index), data.as_ref())?;
        }
    }
    Ok(())
}

/// Names piece `id` and notes that `state.redb` may not know it yet.
pub(crate) fn put_name(
    txn: &WriteTransaction,
    id: u32,
    hash: [u8; 20],
    len: u32,
    site: [u8; 20],
    piece: u32,
) -> Result<(), Error> {
    txn.open_table(NAMES)?.insert(id, (hash, len))?;
    txn.open_table(FRESH)?.insert(id, (site, piece))?;
    Ok(())
}

/// Removes every trace of piece `id`.
pub(crate) fn erase(txn: &WriteTransaction, id: u32) -> Result<(), Error> {
    txn.open_table(CELLS)?
        .retain_in(cell_key(id, 0)..=cell_key(id, u32::MAX), |_, _| false)?;
    txn.open_table(TAILS)?.remove(id)?;
    txn.open_table(NAMES)?.remove(id)?;
    txn.open_table(FRESH)?.remove(id)?;
    Ok(())
}

/// Notes that `state.redb` durably knows these pieces.
pub(crate) fn settle(txn: &WriteTransaction, ids: &[u32]) -> Result<(), Error> {
    let mut fresh = txn.open_table(FRESH)?;
    for id in ids {
        fresh.remove(id)?;
    }
    Ok(())
}

/// Reads some cells of piece `id`, in order. A missing or short cell ends in `None`.
pub(crate) fn get_cells(
    txn: &ReadTransaction,
    id: u32,
    cells: impl Iterator<Item = Cell>,
    mut each: impl FnMut(Cell, &[u8]),
) -> Result<Option<()>, Error> {
    walk(txn, id, cells, |cell, data| each(cell, data))
}

/// The same, and the snapshot learns where they lie.
pub(crate) fn learn_cells(
    snapshot: &Snapshot,
    id: u32,
    cells: impl Iterator<Item = Cell>,
    mut each: impl FnMut(Cell, &[u8]),
) -> Result<Option<()>, Error> {
    walk(&snapshot.txn, id, cells, |cell, data| {
        snapshot.learn(id, cell.index, data);
        each(cell, data);
    })
}

fn walk(
    txn: &ReadTransaction,
    id: u32,
    cells: impl Iterator<Item = Cell>,
    mut each: impl FnMut(Cell, &[u8]),
) -> Result<Option<()>, Error> {
    // Opening a table is a descent of its own: only those that are needed.
    let (mut large, mut tails) = (None, None);
    for cell in cells {
        direct::forget();
        let found = if cell.tail {
            let table = match &mut tails {
                Some(table) => table,
                none => none.insert(txn.open_table(TAILS)?),
            };
            table.get(id)?
        } else {
            let table = match &mut large {
                Some(table) => table,
                none => none.insert(txn.open_table(CELLS)?),
            };
            table.get(cell_key(id, cell.index))?
        };
        let Some(found) = found else { return Ok(None) };
        let data = found.value();
        if data.len() != cell.len as usize {
            return Ok(None);
        }
        each(cell, data);
    }
    Ok(Some(()))
}

/// Whether all cells of piece `id` hash to `hash`.
pub(crate) fn intact(snapshot: &Snapshot, id: u32, hash: [u8; 20], len: u32) -> Result<bool, Error> {
    let mut sha1 = Sha1::new();
    let whole = learn_cells(snapshot, id, layout(len), |_, data| sha1.update(data))?;
    Ok(whole.is_some() && sha1.finish() == hash)
}

/// SHA-1 over parts.
pub(crate) struct Sha1(aws_lc_rs::digest::Context);

impl Sha1 {
    pub fn new() -> Self {
        Self(aws_lc_rs::digest::Context::new(
            &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        ))
    }

    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    pub fn finish(self) -> [u8; 20] {
        let mut out = [0; 20];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}
