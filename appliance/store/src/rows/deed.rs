//! One transaction on rows, and reading them. What of a transaction the copy must follow is noted here, so that no deed can
//! forget it.

use std::{
    cell::RefCell,
    ops::Bound::{Excluded, Unbounded},
};

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableHandle, WriteTransaction};

use crate::{
    Error,
    copy::{Kept, Turn, count_change},
    core::Core,
    locks::Lock,
    tables::{Rows, TWICE},
};

/// Rows by table and key.
pub(crate) type Touched = Vec<(Rows, Vec<u8>)>;

/// A transaction and what it changed of [`TWICE`].
pub(crate) struct Deed<'a> {
    pub txn: &'a WriteTransaction,
    touched: Touched,
}

impl Deed<'_> {
    pub fn get(&self, table: Rows, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self
            .txn
            .open_table(table)?
            .get(key)?
            .map(|raw| raw.value().to_vec()))
    }

    pub fn put(&mut self, table: Rows, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.txn.open_table(table)?.insert(key, value)?;
        self.touch(table, key);
        Ok(())
    }

    /// Inserts or replaces where a table may have `max` rows of `what`.
    pub fn put_within(
        &mut self,
        table: Rows,
        key: &[u8],
        value: &[u8],
        max: u64,
        what: &str,
    ) -> Result<(), Error> {
        let there = self.txn.open_table(table)?;
        if there.len()? >= max && there.get(key)?.is_none() {
            return Err(Error::Quota(format!(
                "there are {max} {what} already; remove one first"
            )));
        }
        drop(there);
        self.put(table, key, value)
    }

    pub fn remove(&mut self, table: Rows, key: &[u8]) -> Result<bool, Error> {
        let there = self.txn.open_table(table)?.remove(key)?.is_some();
        if there {
            self.touch(table, key);
        }
        Ok(there)
    }

    fn touch(&mut self, table: Rows, key: &[u8]) {
        if TWICE.iter().any(|twice| twice.name() == table.name()) {
            self.touched.push((table, key.to_vec()));
        }
    }
}

impl Core {
    /// One durable change of rows, and of those that are kept twice a second time in the copy.
    pub fn change_rows<T>(&self, deed: impl Fn(&mut Deed<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.change_rows_in(&self.copy.turn.held(), deed)
    }

    /// The same for a caller who read before what it now writes, and let nobody in between.
    pub fn change_rows_in<T>(
        &self,
        _turn: &Turn<'_>,
        deed: impl Fn(&mut Deed<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let touched = RefCell::default();
        let done = self.state_write(|txn| run(txn, &touched, &deed));
        self.follow(Kept::Rows(&touched.into_inner()), done)
    }

    /// The same for a change that frees space: on a full disk it goes through.
    pub fn free_rows<T>(&self, deed: impl Fn(&mut Deed<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let _turn = self.copy.turn.held();
        let touched = RefCell::default();
        let done = self.state_free(|txn| run(txn, &touched, &deed));
        self.follow(Kept::Rows(&touched.into_inner()), done)
    }

    pub fn row(&self, table: Rows, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.alive()?;
        self.state.read(|txn| get(txn, table, key))
    }
}

fn run<T>(
    txn: &WriteTransaction,
    touched: &RefCell<Touched>,
    deed: &impl Fn(&mut Deed<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut done = Deed {
        txn,
        touched: Vec::new(),
    };
    let out = deed(&mut done)?;
    if !done.touched.is_empty() {
        count_change(txn)?;
    }
    *touched.borrow_mut() = done.touched;
    Ok(out)
}

pub(crate) fn get(txn: &ReadTransaction, table: Rows, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    Ok(txn.open_table(table)?.get(key)?.map(|raw| raw.value().to_vec()))
}

/// Walks rows in key order from behind `after` until `deed` says no.
pub(crate) fn each(
    txn: &ReadTransaction,
    table: Rows,
    after: Option<&[u8]>,
    mut deed: impl FnMut(&[u8], &[u8]) -> Result<bool, Error>,
) -> Result<(), Error> {
    let rows = txn.open_table(table)?;
    let start = after.map_or(Unbounded, Excluded);
    for entry in rows.range::<&[u8]>((start, Unbounded))? {
        let (key, raw) = entry?;
        if !deed(key.value(), raw.value())? {
            break;
        }
    }
    Ok(())
}
