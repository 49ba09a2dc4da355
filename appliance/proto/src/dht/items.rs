//! The items others store with us (BEP 44): checked, bounded per source and in all, forgotten after two hours unless put
//! again. A value stays the bytes it came in.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use super::{
    id::Id,
    item::Item,
    krpc::{Code, Put},
    limits::source_of,
};
use crate::{
    bencode,
    key::PublicKey,
    record::{self, Mutable, Verdict, judge},
};

/// An item nobody puts again is forgotten after this (BEP 44).
pub const EXPIRY: Duration = Duration::from_secs(2 * 3600);
/// What an item costs besides its value, bytes.
const OVERHEAD: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Larger: more memory and disk strangers can fill.
    pub items_max: usize,
    /// Values and what is kept with them.
    pub bytes_max: usize,
    /// One source is an IPv4 address or an IPv6 /64. Smaller: many publishers behind one address push each other out.
    pub per_source_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            items_max: 4_096,
            bytes_max: 2 << 20,
            per_source_max: 128,
        }
    }
}

/// An item on its way to or from the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub target: Id,
    /// Empty: it is gone.
    pub raw: Vec<u8>,
    pub expires: Duration,
}

struct Kept {
    item: Item,
    source: Option<IpAddr>,
    expires: Duration,
    /// Rises with every put: the lowest is the one not put for longest.
    order: u64,
    saved: bool,
}

/// All items, of both networks.
pub struct Items {
    config: Config,
    kept: BTreeMap<Id, Kept>,
    /// By source, oldest put first; what was loaded from the disk has no source.
    sources: BTreeMap<Option<IpAddr>, BTreeSet<(u64, Id)>>,
    bytes: usize,
    next: u64,
    /// Differ from what is on the disk.
    changed: BTreeSet<Id>,
}

impl Items {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            kept: BTreeMap::new(),
            sources: BTreeMap::new(),
            bytes: 0,
            next: 0,
            changed: BTreeSet::new(),
        }
    }

    /// Stores what `from` puts, or says what is wrong with it. The token and the order of keys are checked before. Cheap
    /// rules come first; a signature we have checked already is not checked again.
    pub fn put(&mut self, put: &Put<'_>, from: IpAddr, now: Duration) -> Result<(), (Code, &'static str)> {
        let item = read(put);
        let target = Id::from(item.target());
        let known = self.kept.get(&target).filter(|kept| kept.expires > now);
        let known = known.map(|kept| &kept.item);
        if known != Some(&item) {
            let refused = |err: record::Error| (err.code(), text(err));
            if let Item::Mutable(item) = &item {
                item.rules().map_err(refused)?;
                if let Some(Item::Mutable(known)) = known {
                    overtaken(known, item, put.cas)?;
                }
            }
            item.check().map_err(refused)?;
        } else if let (Some(cas), Some(seq)) = (put.cas, item.seq())
            && cas != seq
        {
            return Err(MISMATCH);
        }
        // Who puts another's item again does not become its source: they could then push it out with their own.
        let source = self.kept.get(&target).map(|kept| kept.source);
        let source = source.unwrap_or_else(|| Some(source_of(from)));
        self.keep(target, item, source, now + EXPIRY);
        Ok(())
    }

    pub fn get(&self, target: &Id, now: Duration) -> Option<Item> {
        self.find(target, now).cloned()
    }

    pub fn find(&self, target: &Id, now: Duration) -> Option<&Item> {
        let kept = self.kept.get(target).filter(|kept| kept.expires > now)?;
        Some(&kept.item)
    }

    /// We put a newer one ourselves: others must not get the old one from us. Does nothing when we hold none.
    pub fn renew(&mut self, item: &Item, now: Duration) {
        let target = Id::from(item.target());
        if let Some(kept) = self.kept.get(&target)
            && kept.item.seq() < item.seq()
        {
            let source = kept.source;
            self.keep(target, item.clone(), source, now + EXPIRY);
        }
    }

    pub fn len(&self) -> usize {
        self.kept.len()
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Values and what is kept with them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets what is older than two hours. Call every few minutes.
    pub fn expire(&mut self, now: Duration) {
        let over = self.kept.iter().filter(|(_, kept)| kept.expires <= now);
        let over: Vec<_> = over.map(|(target, _)| *target).collect();
        over.iter().for_each(|target| self.forget(target));
    }

    /// What has changed since the last call, at most `max` of it: to be written to the disk.
    pub fn take_changed(&mut self, max: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        while let Some(target) = (rows.len() < max).then(|| self.changed.pop_first()).flatten() {
            let kept = self.kept.get_mut(&target);
            rows.push(Row {
                target,
                expires: kept.as_ref().map_or(Duration::ZERO, |kept| kept.expires),
                raw: kept.map_or_else(Vec::new, |kept| {
                    kept.saved = true;
                    write(&kept.item)
                }),
            });
        }
        rows
    }

    /// Takes up what was on the disk. It was checked when it came; a row that cannot be read is skipped.
    pub fn restore(&mut self, rows: impl IntoIterator<Item = Row>) {
        for row in rows {
            let item = read_row(&row.raw).filter(|item| Id::from(item.target()) == row.target);
            let Some(item) = item.filter(|_| !self.kept.contains_key(&row.target)) else {
                continue;
            };
            if self.len() < self.config.items_max && self.bytes + size(&item) <= self.config.bytes_max {
                self.keep(row.target, item, None, row.expires);
                self.changed.remove(&row.target);
                if let Some(kept) = self.kept.get_mut(&row.target) {
                    kept.saved = true;
                }
            }
        }
    }

    fn keep(&mut self, target: Id, item: Item, source: Option<IpAddr>, expires: Duration) {
        let saved = self.kept.get(&target).is_some_and(|kept| kept.saved);
        self.remove(&target);
        let own = self.sources.get(&source);
        if source.is_some() && own.is_some_and(|own| own.len() >= self.config.per_source_max) {
            self.make_way(source);
        }
        while self.kept.len() >= self.config.items_max || self.bytes + size(&item) > self.config.bytes_max {
            // Whoever has most of them gives way, so that one who floods us pushes out their own.
            let largest = self.sources.iter().max_by_key(|(_, own)| own.len());
            let Some(largest) = largest.map(|(source, _)| *source) else {
                return;
            };
            self.make_way(largest);
        }
        self.next += 1;
        self.bytes += size(&item);
        self.sources
            .entry(source)
            .or_default()
            .insert((self.next, target));
        self.changed.insert(target);
        self.kept.insert(
            target,
            Kept {
                item,
                source,
                expires,
                order: self.next,
                saved,
            },
        );
    }

    /// The item of this source that was not put for longest goes.
    fn make_way(&mut self, source: Option<IpAddr>) {
        let oldest = self.sources.get(&source).and_then(|own| own.first());
        if let Some((_, target)) = oldest.copied() {
            self.forget(&target);
        }
    }

    fn forget(&mut self, target: &Id) {
        match self.remove(target) {
            Some(kept) if kept.saved => self.changed.insert(*target),
            _ => self.changed.remove(target),
        };
    }

    fn remove(&mut self, target: &Id) -> Option<Kept> {
        let kept = self.kept.remove(target)?;
        self.bytes -= size(&kept.item);
        if let Some(own) = self.sources.get_mut(&kept.source) {
            own.remove(&(kept.order, *target));
            if own.is_empty() {
                self.sources.remove(&kept.source);
            }
        }
        Some(kept)
    }
}

const MISMATCH: (Code, &str) = (
    Code::CasMismatch,
    "the CAS hash mismatched, re-read value and try again",
);

/// Whether an item we hold forbids the new one.
fn overtaken(known: &Mutable, item: &Mutable, cas: Option<i64>) -> Result<(), (Code, &'static str)> {
    if cas.is_some_and(|cas| cas != known.seq) {
        return Err(MISMATCH);
    }
    match judge(Some((known.seq, &known.value)), item) {
        Verdict::New | Verdict::Newer | Verdict::Same => Ok(()),
        Verdict::Older => Err((Code::SeqTooLow, "sequence number less than current.")),
        Verdict::Conflict => Err((Code::SeqTooLow, "another value has this sequence number")),
    }
}

fn text(err: record::Error) -> &'static str {
    match err {
        record::Error::ValueTooBig => "message (v field) too big.",
        record::Error::SaltTooBig => "salt (salt field) too big.",
        record::Error::Signature => "invalid signature",
        record::Error::Seq => "the sequence number is below 0",
        record::Error::Bencoding | record::Error::Target | record::Error::Shape => "invalid bencoding",
    }
}

fn read(put: &Put<'_>) -> Item {
    match put.signed {
        None => Item::Immutable(put.v.to_vec()),
        Some(signed) => Item::Mutable(Mutable {
            key: PublicKey(*signed.key),
            salt: signed.salt.to_vec(),
            seq: signed.seq,
            value: put.v.to_vec(),
            sig: *signed.sig,
        }),
    }
}

fn size(item: &Item) -> usize {
    item.value().len() + OVERHEAD
}

/// A record as [`Mutable::encode`] writes it; an immutable value wrapped as `d1:v…e`.
fn write(item: &Item) -> Vec<u8> {
    match item {
        Item::Mutable(item) => item.encode(),
        Item::Immutable(value) => [b"d1:v", &value[..], b"e"].concat(),
    }
}

fn read_row(raw: &[u8]) -> Option<Item> {
    if let Some(item) = Mutable::read(raw) {
        item.rules().ok()?;
        return Some(Item::Mutable(item));
    }
    let [value] = bencode::scan::scan(raw).ok()?.fields(["v"]).ok()??;
    let value = value?.raw();
    record::check_value(value).ok()?;
    Some(Item::Immutable(value.to_vec()))
}

#[cfg(test)]
#[path = "items_tests.rs"]
mod tests;
