//! The keeper: the one task that puts records again. A record is a row with a time, not a timer.

use std::{collections::BTreeSet, sync::atomic::Ordering, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use proto::{
    id::Target,
    record_keeping::{self, Interest},
};
use store::{Owner, RecordRow, TargetWork};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{Error, Inner, Records, knows_nodes, look::interest, publish::forbidden};
use crate::swarm::dht::Item;

/// Between two records: what is put after a start must not crowd the line.
const PERIOD: Duration = Duration::from_secs(1);
/// Under way at once. More: memory and packets. Fewer: silent nodes hold up the others.
const AT_ONCE: usize = 8;
/// The longest rest: a clock that jumps is noticed within it.
const REST_MAX: Duration = Duration::from_secs(60);
/// While no node is known.
const OFFLINE_REST: Duration = Duration::from_secs(1);
/// Nobody waits for the keeper; a lookup that takes longer is given up.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(60);
/// Records read in one go at the start.
const ROWS_AT_ONCE: usize = 500;

pub async fn run(records: Records) {
    let inner = &*records.inner;
    while let Err(err) = inner.line_up().await {
        warn!(%err, "records are not put yet");
        tokio::time::sleep(REST_MAX).await;
    }
    let mut under_way = FuturesUnordered::new();
    let mut busy = BTreeSet::new();
    let mut next = Instant::now();
    loop {
        let room = under_way.len() < AT_ONCE;
        tokio::select! {
            target = inner.next_due(next, &busy), if room => {
                next = Instant::now() + PERIOD;
                busy.insert(target);
                under_way.push(async move {
                    inner.keep(target).await;
                    target
                });
            }
            Some(target) = under_way.next(), if !under_way.is_empty() => {
                busy.remove(&target);
            }
        }
    }
}

impl Inner {
    /// Gives every record that is kept alive its turn after a start, the household's own first.
    async fn line_up(&self) -> Result<(), Error> {
        let ours = self.targets(Owner::Me).await?;
        let mut followed = self.targets(Owner::Followed).await?;
        let first: BTreeSet<Target> = ours.iter().copied().collect();
        followed.retain(|target| !first.contains(target));
        let turns = record_keeping::turns(&ours, &followed, self.clock.now_secs());
        let written = self
            .db
            .run(move |store| store.set_due_targets(TargetWork::RecordPut, &turns));
        Ok(written.await?)
    }

    async fn targets(&self, owner: Owner) -> Result<Vec<Target>, Error> {
        let mut targets: Vec<Target> = Vec::new();
        loop {
            let after = targets.last().copied();
            let rows = self
                .db
                .run(move |store| store.records(owner, after, ROWS_AT_ONCE))
                .await?;
            targets.extend(rows.iter().map(|row| row.item.target()));
            if rows.len() < ROWS_AT_ONCE {
                return Ok(targets);
            }
        }
    }

    /// Waits for the next record that is due and not under way.
    async fn next_due(&self, not_before: Instant, busy: &BTreeSet<Target>) -> Target {
        tokio::time::sleep_until(not_before).await;
        loop {
            let rest = match self.soonest(busy).await {
                Some((target, 0)) => return target,
                Some((_, secs)) => REST_MAX.min(Duration::from_secs(secs)),
                None => REST_MAX,
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// A record and the seconds until it is due. `None`: there is none, or upload is off.
    async fn soonest(&self, busy: &BTreeSet<Target>) -> Option<(Target, u64)> {
        let dht = self.dht.as_ref()?;
        if !self.putting.load(Ordering::Relaxed) {
            return None;
        }
        while !knows_nodes(dht) {
            tokio::time::sleep(OFFLINE_REST).await;
        }
        let rows = self
            .db
            .run(|store| store.due_targets(TargetWork::RecordPut, u64::MAX - 1, AT_ONCE + 1))
            .await;
        let rows = rows
            .inspect_err(|err| warn!(%err, "which records are due cannot be read"))
            .ok()?;
        let now = self.clock.now_secs();
        rows.into_iter()
            .find(|(target, _)| !busy.contains(target))
            .map(|(target, due)| (target, due.saturating_sub(now)))
    }

    async fn keep(&self, target: Target) {
        if let Err(err) = self.keep_one(target).await {
            warn!(site = %target.short(), %err, "a record is not put now");
            self.replan(
                target,
                record_keeping::next_try(self.clock.now_secs(), rand::random()),
            )
            .await;
        }
    }

    async fn keep_one(&self, target: Target) -> Result<(), Error> {
        let Some((row, interest)) = self.wanted(target).await? else {
            return Ok(());
        };
        // First, so that whatever happens the row is not due at once again.
        let later = record_keeping::next_try(self.clock.now_secs(), rand::random());
        self.replan(target, later).await;
        let deadline = Instant::now() + LOOKUP_DEADLINE;
        // After a start every record is put once, whoever else has it: nodes may have gone while we were.
        let put_since_start = row.last_put >= self.started;
        let row = if interest == Interest::Followed && put_since_start {
            match self.unless_others_do(row, deadline).await? {
                Some(row) => row,
                None => return Ok(()),
            }
        } else {
            row
        };
        let Some(turn) = self.pace.turn(deadline).await else {
            return Ok(());
        };
        let put = self.dht()?.put_item(Item::Mutable(row.item.clone()), None);
        let stored = tokio::time::timeout_at(deadline, put).await.unwrap_or_default();
        drop(turn);
        debug!(site = %target.short(), count = stored.stored, "record put");
        if stored.overtaken {
            self.learn(&row.item, deadline).await?;
        }
        self.put_done(row, &stored).await?;
        Ok(())
    }

    /// The record, when it is to be put; else its row is taken from the list or put off.
    async fn wanted(&self, target: Target) -> Result<Option<(RecordRow, Interest)>, Error> {
        let later = record_keeping::next_put(self.clock.now_secs(), rand::random());
        let wanted = self.db.run(move |store| {
            let put_off = |due| store.set_due_targets(TargetWork::RecordPut, &[(target, due)]);
            let row = store.record(&target)?;
            let wanted = row.and_then(|row| interest(row.owner).map(|interest| (row, interest)));
            let Some((row, interest)) = wanted else {
                put_off(u64::MAX)?;
                return Ok(None);
            };
            if forbidden(store, &target, &row.item)?.is_some() {
                put_off(later)?;
                return Ok(None);
            }
            Ok(Some((row, interest)))
        });
        Ok(wanted.await?)
    }

    /// Looks, asking for values, so that other values under our number are seen too. `None`: enough others keep it, and it is
    /// due in an hour.
    async fn unless_others_do(&self, row: RecordRow, deadline: Instant) -> Result<Option<RecordRow>, Error> {
        let (target, owner) = (row.item.target(), row.owner);
        let got = self.survey(target, &row.item.salt, deadline).await?;
        let looked = self.take_in(target, Some(row), None, got, owner).await?;
        Ok(looked
            .filter(|looked| !looked.others_keep_it)
            .map(|looked| looked.outcome.row))
    }

    async fn replan(&self, target: Target, due: u64) {
        let written = self
            .db
            .run(move |store| store.set_due_targets(TargetWork::RecordPut, &[(target, due)]));
        if let Err(err) = written.await {
            warn!(site = %target.short(), %err, "when a record is due cannot be written");
        }
    }
}
