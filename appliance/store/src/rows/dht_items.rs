//! Items others stored with us because we are a node of the DHT: two hours, then gone. Losing them harms nobody.

use bytes::Bytes;
use proto::id::Target;
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::{at_most, deed::each};
use crate::{Error, Store, UnixSecs, tables::DHT_ITEMS};

/// More: more of others' items survive a restart. Less: a smaller state.
const ITEMS_MAX: u64 = 20_000;
/// A value has 1,000 bytes at most, key, salt and signature 160.
const ITEM_BYTES_MAX: usize = 2048;

/// An item others stored with us (we are a DHT node): 2 hours, then gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhtItem {
    pub target: Target,
    /// As `proto::dht` writes it; the store does not look inside.
    pub raw: Bytes,
    pub expires: UnixSecs,
}

impl Store {
    /// Replaces what is kept of these (others') items; `raw` empty: removed. May be lost in a crash. When there are too
    /// many, those that expire soonest give way.
    pub fn set_dht_items(&self, items: &[DhtItem]) -> Result<(), Error> {
        self.core.alive()?;
        for item in items {
            at_most("bytes of an item", item.raw.len(), ITEM_BYTES_MAX)?;
        }
        self.core.state_write_soon(|txn| {
            let mut table = txn.open_table(DHT_ITEMS)?;
            for item in items {
                if item.raw.is_empty() {
                    table.remove(&item.target.0[..])?;
                } else {
                    let value = [&item.expires.to_le_bytes()[..], &item.raw[..]].concat();
                    table.insert(&item.target.0[..], value.as_slice())?;
                }
            }
            let excess = table.len()?.saturating_sub(ITEMS_MAX);
            drop(table);
            if excess > 0 { give_way(txn, excess) } else { Ok(()) }
        })
    }

    /// All that are not expired, at most `max`; expired ones are removed.
    pub fn dht_items(&self, now: UnixSecs, max: usize) -> Result<Vec<DhtItem>, Error> {
        self.core.alive()?;
        let (mut items, mut expired) = (Vec::new(), false);
        self.core.state.read(|txn| {
            each(txn, DHT_ITEMS, None, |key, raw| {
                match read(key, raw) {
                    Some(item) if item.expires > now => items.push(item),
                    _ => expired = true,
                }
                Ok(items.len() < max)
            })
        })?;
        if expired {
            // What cannot be removed now is removed another time.
            let _ = self.core.state_write_soon(|txn| {
                let mut table = txn.open_table(DHT_ITEMS)?;
                Ok(table.retain(|key, raw| read(key, raw).is_some_and(|item| item.expires > now))?)
            });
        }
        items.truncate(max);
        Ok(items)
    }
}

fn read(key: &[u8], raw: &[u8]) -> Option<DhtItem> {
    let (expires, raw) = raw.split_first_chunk::<8>()?;
    Some(DhtItem {
        target: Target(key.try_into().ok()?),
        raw: Bytes::copy_from_slice(raw),
        expires: u64::from_le_bytes(*expires),
    })
}

/// Removes `excess` items and a twentieth more, so that this is seldom.
fn give_way(txn: &WriteTransaction, excess: u64) -> Result<(), Error> {
    let mut table = txn.open_table(DHT_ITEMS)?;
    let mut all = Vec::new();
    for entry in table.range::<&[u8]>(..)? {
        let (key, raw) = entry?;
        let expires = read(key.value(), raw.value()).map_or(0, |item| item.expires);
        all.push((expires, key.value().to_vec()));
    }
    all.sort_unstable();
    for (_, key) in all.into_iter().take((excess + ITEMS_MAX / 20) as usize) {
        table.remove(key.as_slice())?;
    }
    Ok(())
}
