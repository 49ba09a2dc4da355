//! Publishing: the network is asked, the record is written down durably, and only then it leaves. So a number is never used
//! for two values, whatever is cut off in between.

use std::time::Duration;

use proto::{
    id::{InfoHash, Target},
    record::{Meaning, Mutable, Verdict, judge},
    record_keeping,
};
use store::{Owner, RecordRow, Store, TargetWork};
use tokio::time::Instant;

use super::{Error, Inner, Published};
use crate::swarm::dht::{Item, Stored};

/// Between two tries while no node takes it.
const AGAIN: Duration = Duration::from_secs(1);
/// The first look takes at most this part of the time that is left.
const LOOK_PART: u32 = 2;

impl Inner {
    pub(super) async fn publish(
        &self,
        item: Mutable,
        cas: Option<i64>,
        deadline: Instant,
    ) -> Result<Published, Error> {
        item.check()
            .map_err(|err| Error::Refused(format!("{err}. Nothing was put.")))?;
        self.must_put()?;
        self.dht()?;
        self.learn(&item, deadline).await?;
        let row = self.write_down(&item, cas).await?;
        let stored = self.put(Item::Mutable(item.clone()), cas, deadline).await?;
        if stored.overtaken {
            // Whoever has a higher number shows it now; if none does, those that took ours keep it.
            self.learn(&item, deadline).await?;
        }
        let row = self.put_done(row, &stored).await?;
        if row.item.seq > item.seq {
            return Err(Error::Overtaken(row.item.seq));
        }
        Ok(Published {
            row,
            stored: stored.stored as u32,
            asked: stored.asked as u32,
        })
    }

    /// Takes in what the network has, so that what is decided next knows numbers that were used elsewhere.
    pub(super) async fn learn(&self, item: &Mutable, deadline: Instant) -> Result<(), Error> {
        let target = item.target();
        let known = self.db.run(move |store| store.record(&target)).await?;
        // Not the number we know: nodes that have another value under it must show that value.
        let seq = known.as_ref().and_then(|row| row.item.seq.checked_sub(1));
        let now = Instant::now();
        let until = now + deadline.saturating_duration_since(now) / LOOK_PART;
        let got = self.ask(target, &item.salt, seq, until).await?;
        self.take_in(target, known, seq, got, Owner::Visited).await?;
        Ok(())
    }

    /// Decides about the number and writes the record, durably, as one deed.
    async fn write_down(&self, item: &Mutable, cas: Option<i64>) -> Result<RecordRow, Error> {
        let _one_at_a_time = self.deciding.lock().await;
        let (item, now) = (item.clone(), self.clock.now_secs());
        let decided = self.db.run(move |store| {
            let target = item.target();
            if let Some(refusal) = forbidden(store, &target, &item)? {
                return Ok(Err(Error::Refused(format!("{refusal} Nothing was put."))));
            }
            let known = store.record(&target)?;
            if let Err(refusal) = decide(known.as_ref(), &item, cas) {
                return Ok(Err(refusal));
            }
            let row = store.put_record(&item, Owner::Me, now)?.row;
            // A power cut from here on: the keeper puts it.
            store.set_due_targets(TargetWork::RecordPut, &[(target, now)])?;
            Ok(Ok(row))
        });
        decided.await?
    }

    /// Puts until a node has taken it or the time is over; at least once.
    pub(super) async fn put(&self, item: Item, cas: Option<i64>, deadline: Instant) -> Result<Stored, Error> {
        let dht = self.dht()?;
        loop {
            self.online(dht, deadline).await;
            let patience = deadline.max(Instant::now() + AGAIN);
            let turn = self.pace.turn(patience).await;
            let stored = dht.put_item(item.clone(), cas).await;
            drop(turn);
            if stored.stored > 0 || stored.overtaken || Instant::now() + AGAIN >= deadline {
                return Ok(stored);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Plans the next put.
    pub(super) async fn put_done(&self, row: RecordRow, stored: &Stored) -> Result<RecordRow, Error> {
        let target = row.item.target();
        let (copies, now, random) = (stored.stored as u32, self.clock.now_secs(), rand::random());
        let written = self.db.run(move |store| {
            let due = match copies {
                0 => record_keeping::next_try(now, random),
                _ => {
                    store.record_put(&target, copies, now)?;
                    record_keeping::next_put(now, random)
                }
            };
            store.set_due_targets(TargetWork::RecordPut, &[(target, due)])?;
            store.record(&target)
        });
        Ok(written.await?.unwrap_or(row))
    }
}

/// Whether this value may stand under this number, given what is known here.
fn decide(known: Option<&RecordRow>, item: &Mutable, cas: Option<i64>) -> Result<(), Error> {
    let known = known.map(|row| (row.item.seq, row.item.value.as_slice()));
    let seq = item.seq;
    match judge(known, item) {
        Verdict::Same => Ok(()),
        Verdict::Older => Err(Error::Overtaken(known.map_or(seq, |(seq, _)| seq))),
        Verdict::Conflict => Err(Error::Refused(format!(
            "number {seq} of this address already stands for another value. Nothing was put. Sign again with a higher number."
        ))),
        Verdict::New | Verdict::Newer => match (cas, known) {
            (Some(cas), Some((seq, _))) if cas != seq => Err(Error::Overtaken(seq)),
            _ => Ok(()),
        },
    }
}

/// Why a record is never put, whoever signed it.
pub(super) fn forbidden(
    store: &Store,
    target: &Target,
    item: &Mutable,
) -> Result<Option<&'static str>, store::Error> {
    if let Meaning::Torrent(ih) = item.meaning()
        && is_private(store, &ih)?
    {
        return Ok(Some(
            "The torrent is private: only its tracker may know of it (BEP 27).",
        ));
    }
    let blocked = store.subscription(target)?.is_some_and(|row| row.blocked);
    Ok(blocked.then_some("This address is blocked here; unblock it first."))
}

fn is_private(store: &Store, ih: &InfoHash) -> Result<bool, store::Error> {
    Ok(store.site(ih)?.is_some_and(|row| row.private))
}
