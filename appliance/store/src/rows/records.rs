//! Records (BEP 44, 46): the newest one of each address, and what came before. The seq of a row never goes down.

use proto::{
    id::{InfoHash, Target},
    key::SALT_MAX,
    record::{Meaning, Mutable, VALUE_MAX, Verdict, immutable_target, judge},
};
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};

use super::{
    at_most,
    deed::{Deed, each, get},
    encode::put_bytes,
    looks::{Kind, drop_look, look_key},
    record_row::{Conflict, HISTORY_MAX, Owner, PutOutcome, RecordRow, Stored, Version},
};
use crate::{
    Error, Store, TargetWork, UnixSecs,
    core::Core,
    due::{clear_target, due_at_once},
    tables::{LOOKS, RECORDS, Rows, VISITED_RECORDS},
};

/// Records of the household and of those it follows: more than subscriptions, as a publisher may have many addresses.
const RECORDS_MAX: u64 = 10_000;
/// Records somebody looked at once.
const VISITED_MAX: u64 = 10_000;

impl Store {
    pub fn record(&self, target: &Target) -> Result<Option<RecordRow>, Error> {
        self.core.alive()?;
        let stored = self.core.state.read(|txn| stored(txn, target))?;
        Ok(stored.map(|stored| self.core.fresh_record(stored.row)))
    }

    /// Takes in a *checked* item. Durable before it returns; never down in `seq` (`proto::record::judge` decides), also
    /// across power cuts. A conflict keeps the first and notes the other one. `owner` raises the row's owner; a row that
    /// becomes followed or ours is due for [`TargetWork::RecordPut`] at once.
    pub fn put_record(&self, item: &Mutable, owner: Owner, now: UnixSecs) -> Result<PutOutcome, Error> {
        at_most("bytes of a salt", item.salt.len(), SALT_MAX)?;
        at_most("bytes of a value", item.value.len(), VALUE_MAX)?;
        let target = item.target();
        // Most answers of the network bring nothing new, and a seq only rises: no write for those.
        if let Some(row) = self.record(&target)? {
            let verdict = judge(Some((row.item.seq, &row.item.value)), item);
            if matches!(verdict, Verdict::Same | Verdict::Older) && owner <= row.owner {
                return Ok(PutOutcome { verdict, row });
            }
        }
        let mut outcome = self
            .core
            .change_rows(|deed| take_in(deed, &target, item, owner, now))?;
        outcome.row = self.core.fresh_record(outcome.row);
        Ok(outcome)
    }

    /// What a look at the network found. `heard`: some node answered with a record. May be lost in a crash.
    pub fn record_checked(
        &self,
        target: &Target,
        heard: bool,
        copies: u32,
        now: UnixSecs,
    ) -> Result<(), Error> {
        self.core.look_at_record(target, |row| {
            (row.last_checked, row.last_copies) = (now, copies);
            if heard {
                row.last_heard = now;
            }
        })
    }

    /// It was put to the DHT just now. May be lost in a crash.
    pub fn record_put(&self, target: &Target, copies: u32, now: UnixSecs) -> Result<(), Error> {
        self.core
            .look_at_record(target, |row| (row.last_put, row.last_copies) = (now, copies))
    }

    /// The owner has read the warning; the other value is forgotten, and seen again it is no news.
    pub fn settle_conflict(&self, target: &Target) -> Result<(), Error> {
        self.core.change_rows(|deed| {
            let Some(mut stored) = stored_in(deed, target)? else {
                return Ok(());
            };
            let Some(conflict) = stored.row.conflict.take() else {
                return Ok(());
            };
            stored.settled = Some(mark(&conflict.item));
            put_stored(deed, target, &stored)
        })
    }

    /// Raises or lowers; nothing when there is no such record. A lowered one is no longer put again.
    pub fn set_record_owner(&self, target: &Target, owner: Owner) -> Result<(), Error> {
        self.core.change_rows(|deed| {
            let Some(mut stored) = stored_in(deed, target)? else {
                return Ok(());
            };
            stored.row.owner = owner;
            put_stored(deed, target, &stored)
        })
    }

    /// Rows in target order, at most `max`, starting after `after`, whose owner is at least `owner`.
    pub fn records(&self, owner: Owner, after: Option<Target>, max: usize) -> Result<Vec<RecordRow>, Error> {
        self.core.alive()?;
        let mut rows = self.core.state.read(|txn| {
            let mut rows = some_records(txn, RECORDS, owner, after, max)?;
            if owner == Owner::Visited {
                rows.append(&mut some_records(txn, VISITED_RECORDS, owner, after, max)?);
            }
            Ok(rows)
        })?;
        rows.sort_unstable_by_key(|row| row.0);
        rows.truncate(max);
        let rows = rows.into_iter().map(|row| self.core.fresh_record(row.1));
        Ok(rows.collect())
    }
}

impl Core {
    fn fresh_record(&self, mut row: RecordRow) -> RecordRow {
        if let Some(look) = self.fresh_look(Kind::Record, &row.item.target().0) {
            row.apply_look(&look);
        }
        row
    }

    fn look_at_record(&self, target: &Target, deed: impl FnOnce(&mut RecordRow)) -> Result<(), Error> {
        self.change_look(Kind::Record, &target.0, |look| {
            let Some(mut stored) = self.state.read(|txn| stored(txn, target))? else {
                return Ok(None);
            };
            if let Some(look) = look {
                stored.row.apply_look(&look);
            }
            deed(&mut stored.row);
            Ok(Some(stored.row.look()))
        })
    }
}

/// The record with the look on disk.
fn stored(txn: &ReadTransaction, target: &Target) -> Result<Option<Stored>, Error> {
    for table in [RECORDS, VISITED_RECORDS] {
        if let Some(raw) = get(txn, table, &target.0)? {
            let mut stored = Stored::decode(target, &raw)?;
            if let Some(look) = get(txn, LOOKS, &look_key(Kind::Record, &target.0))? {
                stored.row.apply_look(&look);
            }
            return Ok(Some(stored));
        }
    }
    Ok(None)
}

fn stored_in(deed: &Deed<'_>, target: &Target) -> Result<Option<Stored>, Error> {
    for table in [RECORDS, VISITED_RECORDS] {
        if let Some(raw) = deed.get(table, &target.0)? {
            let mut stored = Stored::decode(target, &raw)?;
            if let Some(look) = deed.get(LOOKS, &look_key(Kind::Record, &target.0))? {
                stored.row.apply_look(&look);
            }
            return Ok(Some(stored));
        }
    }
    Ok(None)
}

/// Rows of one table; a damaged one is logged and skipped.
fn some_records(
    txn: &ReadTransaction,
    table: Rows,
    owner: Owner,
    after: Option<Target>,
    max: usize,
) -> Result<Vec<(Target, RecordRow)>, Error> {
    let mut rows = Vec::new();
    let looks = txn.open_table(LOOKS)?;
    each(
        txn,
        table,
        after.as_ref().map(|after| &after.0[..]),
        |key, raw| {
            if rows.len() >= max {
                return Ok(false);
            }
            let Ok(target) = key.try_into().map(Target) else {
                return Ok(true);
            };
            match Stored::decode(&target, raw) {
                Ok(mut stored) if stored.row.owner >= owner => {
                    if let Some(look) = looks.get(look_key(Kind::Record, key).as_slice())? {
                        stored.row.apply_look(look.value());
                    }
                    rows.push((target, stored.row));
                }
                Ok(_) => {}
                Err(err) => tracing::warn!(%err, "a record is skipped"),
            }
            Ok(true)
        },
    )?;
    Ok(rows)
}

/// The decision and its row, in one transaction.
fn take_in(
    deed: &mut Deed<'_>,
    target: &Target,
    item: &Mutable,
    owner: Owner,
    now: UnixSecs,
) -> Result<PutOutcome, Error> {
    let known = stored_in(deed, target)?;
    let verdict = judge(
        known
            .as_ref()
            .map(|known| (known.row.item.seq, &known.row.item.value[..])),
        item,
    );
    let before = known.clone();
    let mut stored = known.unwrap_or_else(|| first(item, owner, now));
    stored.row.owner = stored.row.owner.max(owner);
    match verdict {
        Verdict::Newer => renew(&mut stored.row, item, now),
        Verdict::Conflict => note_conflict(&mut stored, item, now),
        Verdict::New | Verdict::Same | Verdict::Older => {}
    }
    if before.as_ref() != Some(&stored) {
        put_stored(deed, target, &stored)?;
    }
    Ok(PutOutcome {
        verdict,
        row: stored.row,
    })
}

fn torrent_of(item: &Mutable) -> Option<InfoHash> {
    match item.meaning() {
        Meaning::Torrent(ih) => Some(ih),
        Meaning::Packet(_) | Meaning::Other => None,
    }
}

fn first(item: &Mutable, owner: Owner, now: UnixSecs) -> Stored {
    let infohash = torrent_of(item);
    let row = RecordRow {
        item: item.clone(),
        owner,
        first_seen: now,
        first_infohash: infohash,
        last_checked: 0,
        last_heard: 0,
        last_changed: now,
        last_put: 0,
        last_copies: 0,
        history: vec![Version {
            seq: item.seq,
            infohash,
            seen: now,
        }],
        conflict: None,
    };
    Stored { row, settled: None }
}

fn renew(row: &mut RecordRow, item: &Mutable, now: UnixSecs) {
    row.item = item.clone();
    row.last_changed = now;
    let version = Version {
        seq: item.seq,
        infohash: torrent_of(item),
        seen: now,
    };
    row.history.insert(0, version);
    row.history.truncate(HISTORY_MAX);
}

/// The first other value of this seq is the one the owner is shown.
fn note_conflict(stored: &mut Stored, item: &Mutable, now: UnixSecs) {
    let shown = stored.row.conflict.as_ref().map(|conflict| conflict.item.seq);
    if shown != Some(item.seq) && stored.settled != Some(mark(item)) {
        stored.row.conflict = Some(Conflict {
            item: item.clone(),
            seen: now,
        });
    }
}

/// Tells a value under its seq from others.
fn mark(item: &Mutable) -> InfoHash {
    let mut bytes = item.seq.to_le_bytes().to_vec();
    put_bytes(&mut bytes, &item.value);
    InfoHash(immutable_target(&bytes).0)
}

/// Writes a record where its owner says, and keeps its recurring work in step.
fn put_stored(deed: &mut Deed<'_>, target: &Target, stored: &Stored) -> Result<(), Error> {
    let key = &target.0[..];
    if stored.row.owner == Owner::Visited {
        deed.remove(RECORDS, key)?;
        clear_target(deed.txn, TargetWork::RecordPut, *target)?;
        deed.put(VISITED_RECORDS, key, &stored.encode())?;
        give_way(deed, key)
    } else {
        if deed.get(RECORDS, key)?.is_none() {
            deed.remove(VISITED_RECORDS, key)?;
            due_at_once(deed.txn, TargetWork::RecordPut, *target)?;
        }
        let what = "addresses that are followed or your own";
        deed.put_within(RECORDS, key, &stored.encode(), RECORDS_MAX, what)
    }
}

/// Too many visited records: those looked for longest ago go, a twentieth at a time; never the one just written.
fn give_way(deed: &mut Deed<'_>, new: &[u8]) -> Result<(), Error> {
    let mut all = Vec::new();
    {
        let table = deed.txn.open_table(VISITED_RECORDS)?;
        if table.len()? <= VISITED_MAX {
            return Ok(());
        }
        let looks = deed.txn.open_table(LOOKS)?;
        for entry in table.range::<&[u8]>(..)? {
            let (key, raw) = entry?;
            let key = key.value();
            let Ok(target) = key.try_into().map(Target) else {
                continue;
            };
            let used = Stored::decode(&target, raw.value()).map_or(0, |mut stored| {
                if let Ok(Some(look)) = looks.get(look_key(Kind::Record, key).as_slice()) {
                    stored.row.apply_look(look.value());
                }
                let row = &stored.row;
                row.last_changed.max(row.last_checked)
            });
            if key != new {
                all.push((used, key.to_vec()));
            }
        }
    }
    all.sort_unstable();
    for (_, key) in all.into_iter().take((VISITED_MAX / 20) as usize) {
        deed.remove(VISITED_RECORDS, &key)?;
        drop_look(deed, Kind::Record, &key)?;
    }
    Ok(())
}
