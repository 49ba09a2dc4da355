//! Subscriptions: what the household follows, and which versions of it are here.

use proto::id::Target;
use redb::ReadTransaction;

use super::{
    at_most, clipped,
    deed::{Deed, each, get},
    looks::{Kind, drop_look, look_key},
    subscription_row::Subscription,
};
use crate::{
    Error, Store, TargetWork,
    core::Core,
    due::{clear_target, due_at_once},
    locks::Lock,
    sites::bounded,
    tables::{LOOKS, SUBSCRIPTIONS},
};

const SUBSCRIPTIONS_MAX: u64 = 5_000;
const ADDRESS_BYTES_MAX: usize = 1024;
const TITLE_BYTES_MAX: usize = 256;
const PINNED_MAX: usize = 50;
const VERSIONS_MAX: usize = 50;

impl Store {
    /// Inserts or replaces, durably. A new one is due for [`TargetWork::Refresh`] at once. What others wrote (`name`,
    /// `trouble`, `trackers`) is cut to its bounds, and of `versions` the first 50 are kept.
    pub fn put_subscription(&self, row: &Subscription) -> Result<(), Error> {
        let row = within(row.clone())?;
        let turn = self.core.copy.turn.held();
        self.core.change_rows_in(&turn, |deed| put(deed, &row))?;
        self.core.forget_look(Kind::Subscription, &row.id.0);
        Ok(())
    }

    /// Reads, changes and writes one row in one deed; `false` when there is none. Durable, unless only `last_checked`,
    /// `last_heard`, `interval_secs`, `trouble` or `failures` change: those are written every five minutes and may be
    /// lost in a crash.
    pub fn change_subscription(
        &self,
        id: &Target,
        change: impl Fn(&mut Subscription),
    ) -> Result<bool, Error> {
        self.core.alive()?;
        let turn = self.core.copy.turn.held();
        let Some(old) = self.subscription(id)? else {
            return Ok(false);
        };
        let mut row = old.clone();
        change(&mut row);
        row.id = *id;
        let row = within(row)?;
        if row.same_but_look(&old) {
            if row != old {
                self.core.set_look(Kind::Subscription, &id.0, row.look());
            }
            return Ok(true);
        }
        self.core.change_rows_in(&turn, |deed| put(deed, &row))?;
        self.core.forget_look(Kind::Subscription, &id.0);
        Ok(true)
    }

    pub fn subscription(&self, id: &Target) -> Result<Option<Subscription>, Error> {
        self.core.alive()?;
        let found = self.core.state.read(|txn| {
            let Some(raw) = get(txn, SUBSCRIPTIONS, &id.0)? else {
                return Ok(None);
            };
            read(txn, *id, &raw).map(Some)
        })?;
        Ok(found.map(|row| self.core.fresh_subscription(row)))
    }

    /// In id order, at most `max`, starting after `after`.
    pub fn subscriptions(&self, after: Option<Target>, max: usize) -> Result<Vec<Subscription>, Error> {
        self.core.alive()?;
        let mut rows = Vec::new();
        self.core.state.read(|txn| {
            let after = after.as_ref().map(|after| &after.0[..]);
            each(txn, SUBSCRIPTIONS, after, |key, raw| {
                if rows.len() >= max {
                    return Ok(false);
                }
                let Ok(id) = key.try_into().map(Target) else {
                    return Ok(true);
                };
                match read(txn, id, raw) {
                    Ok(row) => rows.push(row),
                    Err(err) => tracing::warn!(%err, "a subscription is skipped"),
                }
                Ok(true)
            })
        })?;
        let rows = rows.into_iter().map(|row| self.core.fresh_subscription(row));
        Ok(rows.collect())
    }

    pub fn remove_subscription(&self, id: &Target) -> Result<(), Error> {
        self.core.free_rows(|deed| {
            deed.remove(SUBSCRIPTIONS, &id.0)?;
            drop_look(deed, Kind::Subscription, &id.0)?;
            clear_target(deed.txn, TargetWork::Refresh, *id)
        })?;
        self.core.forget_look(Kind::Subscription, &id.0);
        Ok(())
    }
}

impl Core {
    fn fresh_subscription(&self, mut row: Subscription) -> Subscription {
        if let Some(look) = self.fresh_look(Kind::Subscription, &row.id.0) {
            row.apply_look(&look);
        }
        row
    }
}

/// The row with the look on disk.
fn read(txn: &ReadTransaction, id: Target, raw: &[u8]) -> Result<Subscription, Error> {
    let mut row = Subscription::decode(id, raw)?;
    if let Some(look) = get(txn, LOOKS, &look_key(Kind::Subscription, &id.0))? {
        row.apply_look(&look);
    }
    Ok(row)
}

fn put(deed: &mut Deed<'_>, row: &Subscription) -> Result<(), Error> {
    let (key, value) = (&row.id.0[..], row.encode());
    if deed.get(SUBSCRIPTIONS, key)?.is_none() {
        due_at_once(deed.txn, TargetWork::Refresh, row.id)?;
    }
    deed.put_within(SUBSCRIPTIONS, key, &value, SUBSCRIPTIONS_MAX, "subscriptions")?;
    drop_look(deed, Kind::Subscription, key)
}

fn within(mut row: Subscription) -> Result<Subscription, Error> {
    at_most("bytes of an address", row.address.len(), ADDRESS_BYTES_MAX)?;
    at_most("bytes of a title", row.title.len(), TITLE_BYTES_MAX)?;
    at_most("pinned versions", row.pinned.len(), PINNED_MAX)?;
    row.name = clipped(&row.name, TITLE_BYTES_MAX);
    row.trouble = clipped(&row.trouble, 2 * TITLE_BYTES_MAX);
    row.trackers = bounded(row.trackers.iter());
    row.versions.truncate(VERSIONS_MAX);
    Ok(row)
}
