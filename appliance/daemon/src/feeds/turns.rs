//! Whose turn it is: one task asks the store for the next due rows. No row has a timer, and a restart loses nothing but the
//! looks that were under way, which are still due.

use std::{
    collections::HashSet,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use proto::id::Target;
use store::TargetWork;
use tokio::sync::Notify;
use tracing::warn;

use crate::{clock::Clock, db::Db};

/// The store is asked at least this often. Longer: a row that became due waits longer. Shorter: an idle box wakes more often.
const PAUSE: Duration = Duration::from_secs(5);
/// After the store could not be read or written: it says so itself, and this is no reason to turn in circles.
const TROUBLED: Duration = Duration::from_secs(30);

/// What is done when a row's turn has come.
pub trait Work: Send + Sync + 'static {
    /// Returns when the next turn is, Unix seconds; `None`: never.
    fn look(&self, id: Target) -> impl Future<Output = Option<u64>> + Send;
}

/// Wakes the task; cheap to clone.
#[derive(Clone, Default)]
pub struct Turns {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    wake: Notify,
    rows: Mutex<Rows>,
}

#[derive(Default)]
struct Rows {
    busy: HashSet<Target>,
    /// Those that were asked for while they were busy.
    again: HashSet<Target>,
}

impl Turns {
    /// The row is looked at as soon as there is room, whatever is due.
    pub async fn now(&self, db: &Db, id: Target) -> Result<(), store::Error> {
        db.run(move |store| store.set_due_targets(TargetWork::Refresh, &[(id, 0)]))
            .await?;
        {
            let mut rows = self.rows();
            if rows.busy.contains(&id) {
                rows.again.insert(id);
            }
        }
        self.shared.wake.notify_one();
        Ok(())
    }

    /// No turn any more.
    pub async fn never(&self, db: &Db, id: Target) -> Result<(), store::Error> {
        self.rows().again.remove(&id);
        db.run(move |store| store.set_due_targets(TargetWork::Refresh, &[(id, u64::MAX)]))
            .await
    }

    /// Whether a row is being looked at now.
    pub fn busy(&self, id: &Target) -> bool {
        self.rows().busy.contains(id)
    }

    /// Serves due rows, the longest due first, at most `at_once` at a time. Never ends.
    pub async fn serve<W: Work>(&self, work: &W, db: &Db, clock: &Clock, at_once: usize) {
        let mut under_way = FuturesUnordered::new();
        loop {
            match self.due(db, clock, at_once).await {
                Ok(due) => {
                    let room = at_once.saturating_sub(under_way.len());
                    for id in due.into_iter().take(room) {
                        self.rows().busy.insert(id);
                        under_way.push(async move { (id, work.look(id).await) });
                    }
                }
                Err(err) => {
                    warn!(%err, "subscriptions are not looked at for now");
                    tokio::time::sleep(TROUBLED).await;
                }
            }
            let full = under_way.len() >= at_once;
            tokio::select! {
                Some((id, next)) = under_way.next() => self.finish(db, id, next).await,
                () = self.shared.wake.notified(), if !full => {}
                () = tokio::time::sleep(PAUSE), if !full => {}
            }
        }
    }

    /// Due rows that are not being looked at. Those that are come first in the store's list, hence twice as many are asked.
    async fn due(&self, db: &Db, clock: &Clock, at_once: usize) -> Result<Vec<Target>, store::Error> {
        let now = clock.now_secs();
        let rows = db
            .run(move |store| store.due_targets(TargetWork::Refresh, now, 2 * at_once))
            .await?;
        let busy = self.rows();
        let free = rows
            .into_iter()
            .map(|(id, _)| id)
            .filter(|id| !busy.busy.contains(id));
        Ok(free.collect())
    }

    async fn finish(&self, db: &Db, id: Target, next: Option<u64>) {
        let again = {
            let mut rows = self.rows();
            rows.busy.remove(&id);
            rows.again.remove(&id)
        };
        // A row that was removed meanwhile has no next turn, whoever asked for one.
        let next = match next {
            Some(_) if again => 0,
            Some(next) => next,
            None => u64::MAX,
        };
        let noted = db.run(move |store| store.set_due_targets(TargetWork::Refresh, &[(id, next)]));
        if let Err(err) = noted.await {
            warn!(%err, "when to look again is not noted");
            tokio::time::sleep(TROUBLED).await;
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.shared.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
