//! What must hold of rows: for [`Store::audit`](crate::Store::audit).

use proto::id::Target;
use redb::ReadTransaction;

use super::{
    access::read_account,
    deed::each,
    passes::{Book, Pass},
    record_row::{Owner, Stored},
    subscription_row::Subscription,
};
use crate::{
    Error,
    tables::{ACCOUNTS, DUE, DUE_OF, RECORDS, SUBSCRIPTIONS, VISITED_RECORDS},
};

/// One line per broken rule: every row can be read, a record stands where its owner says and in one place, its history
/// falls from its number, and times of recurring work agree in both directions.
pub(crate) fn faults(txn: &ReadTransaction) -> Result<Vec<String>, Error> {
    let mut faults = Vec::new();
    records(txn, &mut faults)?;
    let mut readable = |read: Result<(), Error>| {
        if let Err(err) = read {
            faults.push(err.to_string());
        }
    };
    each(txn, SUBSCRIPTIONS, None, |key, raw| {
        readable(target(key).and_then(|id| Subscription::decode(id, raw)).map(drop));
        Ok(true)
    })?;
    each(txn, ACCOUNTS, None, |key, raw| {
        readable(read_account(key, raw).map(drop));
        Ok(true)
    })?;
    for book in [Book::Sessions, Book::ApiTokens] {
        each(txn, book.table(), None, |key, raw| {
            readable(Pass::decode(key, raw).map(drop));
            Ok(true)
        })?;
    }
    due(txn, &mut faults)?;
    Ok(faults)
}

fn target(key: &[u8]) -> Result<Target, Error> {
    let key = key.try_into().map(Target);
    key.map_err(|_| Error::Damaged("a key that is no target".into()))
}

fn records(txn: &ReadTransaction, faults: &mut Vec<String>) -> Result<(), Error> {
    for (table, other, visited) in [
        (RECORDS, VISITED_RECORDS, false),
        (VISITED_RECORDS, RECORDS, true),
    ] {
        let other = txn.open_table(other)?;
        each(txn, table, None, |key, raw| {
            let row = match target(key).and_then(|target| Stored::decode(&target, raw)) {
                Ok(stored) => stored.row,
                Err(err) => {
                    faults.push(err.to_string());
                    return Ok(true);
                }
            };
            let falls = row.history.windows(2).all(|pair| pair[0].seq > pair[1].seq);
            let newest = row.history.first().map(|version| version.seq) == Some(row.item.seq);
            let place = (row.owner == Owner::Visited) == visited && other.get(key)?.is_none();
            if !falls || !newest || !place || row.item.target().0[..] != *key {
                faults.push(format!("record {}: a rule is broken", row.item.target()));
            }
            Ok(true)
        })?;
    }
    Ok(())
}

fn due(txn: &ReadTransaction, faults: &mut Vec<String>) -> Result<(), Error> {
    let (due, due_of) = (txn.open_table(DUE)?, txn.open_table(DUE_OF)?);
    let mut count = 0;
    for entry in due.range::<[u8; 29]>(..)? {
        let key = entry?.0.value();
        let (mut of, mut when) = ([0; 21], [0; 8]);
        of[0] = key[0];
        when.copy_from_slice(&key[1..9]);
        of[1..].copy_from_slice(&key[9..]);
        count += 1;
        if due_of.get(of)?.map(|when| when.value()) != Some(u64::from_be_bytes(when)) {
            faults.push("recurring work is due at a time its own row does not know".into());
        }
    }
    if due_of.range::<[u8; 21]>(..)?.count() != count {
        faults.push("recurring work that is never due".into());
    }
    Ok(())
}
