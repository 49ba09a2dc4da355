//! Looking: what the network says about an address, and what that changes here.

use proto::{
    id::Target,
    key::PublicKey,
    record::{Mutable, Verdict, immutable_target},
    record_keeping::{self, Found, Interest},
};
use store::{Owner, PutOutcome, RecordRow, Store, TargetWork};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{Error, Inner, Looked};
use crate::swarm::dht::{Dht, Got, Item};

impl Inner {
    pub(super) async fn look(
        &self,
        key: &PublicKey,
        salt: &[u8],
        owner: Owner,
        deadline: Instant,
    ) -> Result<Looked, Error> {
        let target = Target(key.target(salt));
        let known = self.db.run(move |store| store.record(&target)).await?;
        let seq = known.as_ref().map(|row| row.item.seq);
        let got = self.ask(target, salt, seq, deadline).await?;
        let taken = self.take_in(target, known, seq, got, owner).await?;
        taken.ok_or(Error::Silent(target))
    }

    pub(super) async fn find(&self, target: Target, salt: &[u8], deadline: Instant) -> Result<Item, Error> {
        let known = self.db.run(move |store| store.record(&target)).await?;
        let got = self.ask(target, salt, None, deadline).await?;
        let found = got.item.filter(|item| belongs(item, &target));
        match (known, found) {
            (Some(row), Some(Item::Mutable(item))) if item.seq > row.item.seq => Ok(Item::Mutable(item)),
            (Some(row), _) => Ok(Item::Mutable(row.item)),
            (None, Some(item)) => Ok(item),
            (None, None) => Err(Error::Silent(target)),
        }
    }

    /// One lookup when its turn has come; `seq` is the number we name. Nothing found in time is an empty answer.
    pub(super) async fn ask(
        &self,
        target: Target,
        salt: &[u8],
        seq: Option<i64>,
        deadline: Instant,
    ) -> Result<Got, Error> {
        let job = |dht: Dht| async move { dht.get_item(target, salt, seq).await };
        self.in_turn(target, job, deadline).await
    }

    /// The same, asking more nodes, and all of them for their values.
    pub(super) async fn survey(&self, target: Target, salt: &[u8], deadline: Instant) -> Result<Got, Error> {
        let job = |dht: Dht| async move { dht.survey_item(target, salt).await };
        self.in_turn(target, job, deadline).await
    }

    async fn in_turn<F: Future<Output = Got>>(
        &self,
        target: Target,
        job: impl FnOnce(Dht) -> F,
        deadline: Instant,
    ) -> Result<Got, Error> {
        let dht = self.dht()?;
        if !self.online(dht, deadline).await {
            return Ok(Got::default());
        }
        let Some(_turn) = self.pace.turn(deadline).await else {
            debug!(site = %target.short(), "too many lookups wait; this one is left out");
            return Ok(Got::default());
        };
        let got = tokio::time::timeout_at(deadline, job(dht.clone())).await;
        Ok(got.unwrap_or_default())
    }

    /// Writes down what was found when `asked` was the number we named. `None`: there is still no record of it.
    pub(super) async fn take_in(
        &self,
        target: Target,
        known: Option<RecordRow>,
        asked: Option<i64>,
        got: Got,
        owner: Owner,
    ) -> Result<Option<Looked>, Error> {
        let (copies, answered) = (got.copies as u32, got.answered as u32);
        let seen = Seen::new(&target, asked, &got);
        let (found, heard) = (seen.found, seen.found.seq.is_some());
        let (now, random) = (self.clock.now_secs(), rand::random());
        let written = self.db.run(move |store| {
            let Some(outcome) = write(store, known, &seen, owner, now)? else {
                return Ok(None);
            };
            store.record_checked(&target, heard, copies, now)?;
            let due = plan(&outcome, &seen, now, random);
            if let Some(due) = due {
                store.set_due_targets(TargetWork::RecordPut, &[(target, due)])?;
            }
            Ok(Some((outcome, due)))
        });
        let Some((mut outcome, due)) = written.await? else {
            return Ok(None);
        };
        if due.is_some_and(|due| due <= now) {
            self.wake.notify_one();
        }
        tell(&target, &outcome);
        let others_keep_it = record_keeping::others_keep_it(outcome.row.item.seq, &found);
        outcome.row.last_checked = now;
        outcome.row.last_copies = copies;
        if heard {
            outcome.row.last_heard = now;
        }
        Ok(Some(Looked {
            outcome,
            copies,
            answered,
            heard,
            others_keep_it,
        }))
    }
}

/// An answer, checked again: what is put for ever must be right, whoever checked it before.
struct Seen {
    items: Vec<Mutable>,
    found: Found,
}

impl Seen {
    fn new(target: &Target, asked: Option<i64>, got: &Got) -> Self {
        let newest = match &got.item {
            Some(Item::Mutable(item)) => Some(item),
            _ => None,
        };
        let right = |item: &&Mutable| item.target() == *target && item.check().is_ok();
        let items: Vec<_> = newest
            .into_iter()
            .chain(&got.other)
            .filter(right)
            .cloned()
            .collect();
        // Nodes that hold nothing above the number we named send no value.
        let named = asked.filter(|_| got.copies > 0);
        let found = Found {
            seq: items.first().map(|item| item.seq).or(named),
            copies: got.copies,
            closest_have_it: got.closest_have_it,
            older_seen: got.older_seen,
        };
        Self { items, found }
    }
}

/// Takes in every item of the answer; the row as it stands afterwards, and the verdict that matters most to the caller.
fn write(
    store: &Store,
    known: Option<RecordRow>,
    seen: &Seen,
    owner: Owner,
    now: u64,
) -> Result<Option<PutOutcome>, store::Error> {
    let mut last: Option<PutOutcome> = None;
    for item in &seen.items {
        let outcome = store.put_record(item, owner, now)?;
        last = Some(match last {
            Some(first) if outcome.verdict != Verdict::Conflict => PutOutcome {
                verdict: first.verdict,
                row: outcome.row,
            },
            _ => outcome,
        });
    }
    if last.is_some() {
        return Ok(last);
    }
    let Some(row) = known else { return Ok(None) };
    if row.owner < owner {
        return store.put_record(&row.item, owner, now).map(Some);
    }
    let verdict = Verdict::Same;
    Ok(Some(PutOutcome { verdict, row }))
}

/// When the record is put next, when that changes.
fn plan(outcome: &PutOutcome, seen: &Seen, now: u64, random: u32) -> Option<u64> {
    let row = &outcome.row;
    let interest = interest(row.owner)?;
    if row.last_put == 0 && matches!(outcome.verdict, Verdict::New | Verdict::Same) {
        // Followed just now, or never put since: the keeper judges the conditions.
        return Some(now);
    }
    record_keeping::replan(interest, row.item.seq, &seen.found, row.last_put, now, random)
}

pub(super) fn interest(owner: Owner) -> Option<Interest> {
    match owner {
        Owner::Visited => None,
        Owner::Followed => Some(Interest::Followed),
        Owner::Me => Some(Interest::Ours),
    }
}

fn belongs(item: &Item, target: &Target) -> bool {
    match item {
        Item::Immutable(value) => immutable_target(value) == *target,
        Item::Mutable(item) => item.target() == *target && item.check().is_ok(),
    }
}

fn tell(target: &Target, outcome: &PutOutcome) {
    let seq = outcome.row.item.seq;
    match outcome.verdict {
        Verdict::Newer => info!(site = %target.short(), seq, "new version of an address"),
        Verdict::Conflict => {
            warn!(site = %target.short(), seq, "two values under one number; the first one stands");
        }
        _ => {}
    }
}
