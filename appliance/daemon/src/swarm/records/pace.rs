//! How often the network is asked: five lookups a second in the long run, twenty-five at once, so that a household that opens
//! everything at the same time stays a polite neighbour (pkdns' figures).

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

/// Seconds between lookups when many wait.
const PERIOD: Duration = Duration::from_millis(200);
/// Lookups that may start at once after a quiet while.
const BURST: u32 = 25;
/// Under way at once. More: other traffic of the line suffers. Fewer: silent nodes hold up those that wait.
const AT_ONCE: usize = 16;
/// Waiting ones; more are turned away, since their turn would come too late to be of use.
const WAITING_MAX: usize = 512;

pub struct Pace {
    /// When the bucket would be full again: each turn moves it on by a period.
    full_at: Mutex<Option<Instant>>,
    seats: Semaphore,
    waiting: Semaphore,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            full_at: Mutex::new(None),
            seats: Semaphore::new(AT_ONCE),
            waiting: Semaphore::new(WAITING_MAX),
        }
    }
}

impl Pace {
    /// A turn, held while the lookup is under way; `None` when it would come after the deadline.
    pub async fn turn(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        let _waiting = self.waiting.try_acquire().ok()?;
        let seat = tokio::time::timeout_at(deadline, self.seats.acquire());
        let seat = seat.await.ok()?.ok()?;
        let begin = self.reserve(deadline)?;
        tokio::time::sleep_until(begin).await;
        Some(seat)
    }

    fn reserve(&self, deadline: Instant) -> Option<Instant> {
        let now = Instant::now();
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next = full_at.map_or(now, |at| at.max(now)) + PERIOD;
        let begin = now.max(next.checked_sub(PERIOD * BURST).unwrap_or(now));
        (begin <= deadline).then(|| {
            *full_at = Some(next);
            begin
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_five_a_second() {
        let pace = Pace::default();
        let start = Instant::now();
        let far = start + Duration::from_secs(3600);
        let mut begun = Vec::new();
        for _ in 0..50 {
            drop(pace.turn(far).await.expect("a turn"));
            begun.push(start.elapsed());
        }
        assert_eq!(begun[24], Duration::ZERO);
        // A timer fires within a millisecond after its moment.
        let last = begun[49];
        assert!(
            last >= Duration::from_secs(5) && last < Duration::from_millis(5_030),
            "{last:?}"
        );
        tokio::time::sleep(Duration::from_secs(60)).await;
        let again = Instant::now();
        for _ in 0..25 {
            drop(pace.turn(far).await.expect("a turn"));
        }
        assert_eq!(
            again.elapsed(),
            Duration::ZERO,
            "after a quiet while a burst may go again"
        );
        assert!(
            pace.turn(Instant::now()).await.is_none(),
            "its turn would come too late"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_a_bounded_number_is_under_way() {
        let pace = Pace::default();
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(pace.turn(Instant::now()).await.expect("a seat"));
        }
        let soon = Instant::now() + Duration::from_secs(1);
        assert!(pace.turn(soon).await.is_none());
        held.pop();
        assert!(pace.turn(soon + Duration::from_secs(1)).await.is_some());
    }
}
