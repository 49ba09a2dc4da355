//! Looks at the network, one per target however many ask; each goes on behind when its askers have gone, and how it ended
//! is remembered for a while.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use proto::id::Target;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::tasks::Tasks;

/// Targets remembered. More: more memory. Fewer: a page full of dead links asks the network again.
const SLOTS_MAX: usize = 512;
/// Looks at once. More: strangers' links cost more packets. Fewer: a page with many links waits.
const RUNNING_MAX: usize = 64;
/// How long a look goes on.
const LOOK_FOR: Duration = Duration::from_secs(30);
/// How long a failure that nobody has heard of is news: longer than a page waits before it looks again.
const NEWS: Duration = Duration::from_secs(10);
/// After a look behind a stale record failed, the next one waits so long.
const AGAIN: Duration = Duration::from_secs(30);

/// How a look ended without finding anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Nobody has it, or nobody answered.
    Silent,
    /// What was found breaks a rule.
    Refused(String),
    /// The store, or no DHT.
    Unavailable(String),
}

/// Why there is no outcome now.
#[derive(Debug, PartialEq, Eq)]
pub enum NotFound {
    /// Still looking when the wait ended.
    Looking,
    /// Too many looks under way.
    Busy,
    Failed(Failure),
}

type Outcome<T> = Option<Result<T, Failure>>;

struct Slot<T> {
    outcome: watch::Receiver<Outcome<T>>,
    ended: Arc<OnceLock<Instant>>,
    /// Somebody has heard of its failure.
    told: bool,
}

impl<T> Slot<T> {
    /// A look whose task was cancelled before it told an outcome is no longer under way.
    fn running(&self) -> bool {
        self.outcome.borrow().is_none() && self.outcome.has_changed().is_ok()
    }

    fn ended_within(&self, span: Duration) -> bool {
        self.ended.get().is_some_and(|ended| ended.elapsed() < span)
    }
}

/// Somebody who asks for the newest on purpose has the network asked no sooner after the last time.
const ON_PURPOSE: Duration = Duration::from_secs(3);

/// Cheap to clone.
#[derive(Clone)]
pub struct Looks<T> {
    slots: Arc<Mutex<HashMap<Target, Slot<T>>>>,
    tasks: Tasks,
}

impl<T: Clone + Send + Sync + 'static> Looks<T> {
    pub fn new(tasks: Tasks) -> Self {
        Self {
            slots: Arc::default(),
            tasks,
        }
    }

    /// What a look found within the last `span`.
    pub fn found(&self, target: &Target, span: Duration) -> Option<T> {
        let slots = lock(&self.slots);
        let slot = slots.get(target).filter(|slot| slot.ended_within(span))?;
        slot.outcome.borrow().as_ref()?.as_ref().ok().cloned()
    }

    /// Begins a look unless one is under way or one ended a moment ago; waits for nothing.
    pub fn behind<F>(&self, target: Target, look: impl FnOnce(Instant) -> F)
    where
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let mut slots = lock(&self.slots);
        let settled = |slot: &Slot<T>| slot.running() || slot.ended_within(AGAIN);
        if !slots.get(&target).is_some_and(settled) {
            // At the bound this one is left for the next reader.
            let _ = self.begin(&mut slots, target, look);
        }
    }

    /// Looks for somebody who asks for the newest on purpose: waits for the look, unless one ended a moment ago.
    pub async fn again<F>(&self, target: Target, until: Instant, look: impl FnOnce(Instant) -> F)
    where
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let ended = |slot: &Slot<T>| slot.ended_within(ON_PURPOSE);
        if !lock(&self.slots).get(&target).is_some_and(ended) {
            // Whatever came of it stands in the store.
            let _ = self.wait(target, until, look).await;
        }
    }

    /// Joins a look or begins one, and waits until `until`. A failure that ended between two askings is told once, so that
    /// a page that refreshes itself does not begin anew for ever.
    pub async fn wait<F>(
        &self,
        target: Target,
        until: Instant,
        look: impl FnOnce(Instant) -> F,
    ) -> Result<T, NotFound>
    where
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let mut outcome = {
            let mut slots = lock(&self.slots);
            if let Some(failure) = slots.get_mut(&target).and_then(news) {
                return Err(NotFound::Failed(failure));
            }
            match slots.get(&target).filter(|slot| slot.running()) {
                Some(slot) => slot.outcome.clone(),
                None => self.begin(&mut slots, target, look).ok_or(NotFound::Busy)?,
            }
        };
        match timeout_at(until, outcome.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => match outcome.as_ref() {
                Some(Ok(found)) => Ok(found.clone()),
                Some(Err(failure)) => {
                    if let Some(slot) = lock(&self.slots).get_mut(&target) {
                        slot.told = true;
                    }
                    Err(NotFound::Failed(failure.clone()))
                }
                None => Err(NotFound::Looking),
            },
            _ => Err(NotFound::Looking),
        }
    }

    fn begin<F>(
        &self,
        slots: &mut HashMap<Target, Slot<T>>,
        target: Target,
        look: impl FnOnce(Instant) -> F,
    ) -> Option<watch::Receiver<Outcome<T>>>
    where
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        if slots.values().filter(|slot| slot.running()).count() >= RUNNING_MAX {
            return None;
        }
        if slots.len() >= SLOTS_MAX {
            let oldest = slots
                .iter()
                .filter_map(|(target, slot)| Some((slot.ended.get()?, target)))
                .min_by_key(|(ended, _)| **ended)
                .map(|(_, target)| *target);
            slots.remove(&oldest?);
        }
        let (report, outcome) = watch::channel(None);
        let ended = Arc::new(OnceLock::new());
        let slot = Slot {
            outcome: outcome.clone(),
            ended: ended.clone(),
            told: false,
        };
        slots.insert(target, slot);
        let deadline = Instant::now() + LOOK_FOR;
        let looking = look(deadline);
        self.tasks.spawn("sites.look", async move {
            // The deadline is the look's to keep; the grace only guards against one that does not.
            let found = timeout_at(deadline + Duration::from_secs(1), looking).await;
            let _ = ended.set(Instant::now());
            report.send_replace(Some(found.unwrap_or(Err(Failure::Silent))));
        });
        Some(outcome)
    }
}

/// A fresh failure that nobody has heard of yet; heard now.
fn news<T>(slot: &mut Slot<T>) -> Option<Failure> {
    if slot.told || !slot.ended_within(NEWS) {
        return None;
    }
    let failure = slot.outcome.borrow().as_ref()?.as_ref().err().cloned()?;
    slot.told = true;
    Some(failure)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{advance, sleep};

    use super::*;

    const TARGET: Target = Target([7; 20]);

    fn soon(secs: u64) -> Instant {
        Instant::now() + Duration::from_secs(secs)
    }

    /// A look that takes three seconds and counts how often it was begun.
    fn slow(
        count: &Arc<AtomicUsize>,
        end: Result<u8, Failure>,
    ) -> impl FnOnce(Instant) -> std::pin::Pin<Box<dyn Future<Output = Result<u8, Failure>> + Send>> + use<>
    {
        let count = count.clone();
        move |_| {
            Box::pin(async move {
                count.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_secs(3)).await;
                end
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_askers_make_one_look_that_outlives_the_impatient() {
        let (looks, count) = (Looks::new(Tasks::new()), Arc::default());
        let early = looks.wait(TARGET, soon(1), slow(&count, Ok(9))).await;
        assert_eq!(early, Err(NotFound::Looking));
        let (a, b) = tokio::join!(
            looks.wait(TARGET, soon(20), slow(&count, Ok(1))),
            looks.wait(TARGET, soon(20), slow(&count, Ok(2))),
        );
        assert_eq!((a, b), (Ok(9), Ok(9)));
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert_eq!(looks.found(&TARGET, Duration::from_secs(60)), Some(9));
        advance(Duration::from_secs(61)).await;
        assert_eq!(looks.found(&TARGET, Duration::from_secs(60)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_between_two_askings_is_told_once() {
        let (looks, count) = (Looks::new(Tasks::new()), Arc::default());
        let silent = || slow(&count, Err(Failure::Silent));
        assert_eq!(
            looks.wait(TARGET, soon(2), silent()).await,
            Err(NotFound::Looking)
        );
        sleep(Duration::from_secs(2)).await;
        let told = looks.wait(TARGET, soon(2), silent()).await;
        assert_eq!(told, Err(NotFound::Failed(Failure::Silent)));
        assert_eq!(count.load(Ordering::Relaxed), 1);
        // Asked again, it looks again.
        assert_eq!(
            looks.wait(TARGET, soon(9), silent()).await,
            Err(NotFound::Failed(Failure::Silent))
        );
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_behind_is_not_repeated_at_once() {
        let (looks, count) = (Looks::new(Tasks::new()), Arc::default());
        for _ in 0..5 {
            looks.behind(TARGET, slow(&count, Err(Failure::Silent)));
            sleep(Duration::from_secs(4)).await;
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
        sleep(Duration::from_secs(20)).await;
        looks.behind(TARGET, slow(&count, Ok(1)));
        sleep(Duration::from_secs(4)).await;
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn looks_and_memory_are_bounded() {
        let (looks, count) = (Looks::new(Tasks::new()), Arc::default());
        let target = |n: usize| {
            Target(
                [[n as u8, (n >> 8) as u8].repeat(10)]
                    .concat()
                    .try_into()
                    .unwrap(),
            )
        };
        for n in 0..RUNNING_MAX {
            looks.behind(target(n), slow(&count, Ok(1)));
        }
        let one_more = looks
            .wait(target(RUNNING_MAX), soon(1), slow(&count, Ok(1)))
            .await;
        assert_eq!(one_more, Err(NotFound::Busy));
        for n in 0..SLOTS_MAX * 2 {
            looks.behind(target(n), slow(&count, Ok(1)));
            sleep(Duration::from_millis(100)).await;
        }
        assert!(lock(&looks.slots).len() <= SLOTS_MAX);
    }
}
