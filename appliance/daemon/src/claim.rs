//! Who may become the owner of a box that has none: a one-time PIN, shown only where the holder of the box sees it, for
//! half an hour after the start and for ten wrong tries. Also opened again by whoever may use the control socket.
//!
//! Must not know: pages, accounts, where the PIN is shown.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use subtle::ConstantTimeEq;
use tokio::{sync::watch, time::Instant};

use crate::tasks::Tasks;

/// Longer: a slow start costs no second one. Shorter: strangers in the house have less time.
pub const WINDOW: Duration = Duration::from_secs(30 * 60);
/// With 10^8 PINs, so many tries find one in a hundred millionth times this many windows.
pub const TRIES_MAX: u32 = 10;
const DIGITS: usize = 8;

/// How things stand with the ownership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// There is an owner, and no claim is open.
    Owned,
    /// The PIN is waited for.
    Open,
    /// There is no owner, and the time or the tries are used up: a restart opens another window.
    Shut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("no claim is open")]
    Shut,
    #[error("this is not the PIN; {left} tries are left")]
    Wrong { left: u32 },
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Claim(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    shown: watch::Sender<Option<String>>,
}

struct State {
    owned: bool,
    open: Option<Open>,
}

struct Open {
    pin: String,
    until: Instant,
    left: u32,
    /// Somebody gave the right PIN and is becoming the owner just now.
    taken: bool,
}

/// The right PIN was given. Dropped without [`Ticket::done`]: the claim stays open.
pub struct Ticket(Option<Claim>);

impl Claim {
    pub fn new(owned: bool) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(State { owned, open: None }),
            shown: watch::Sender::new(None),
        }))
    }

    /// Opens a window with a new PIN, also on a box that has an owner; shuts by itself. Returns the PIN.
    pub fn open(&self, tasks: &Tasks) -> String {
        let pin = format!("{:0DIGITS$}", rand::random_range(0..10_u32.pow(DIGITS as u32)));
        let until = Instant::now() + WINDOW;
        self.lock().open = Some(Open {
            pin: pin.clone(),
            until,
            left: TRIES_MAX,
            taken: false,
        });
        self.tell();
        let claim = self.clone();
        tasks.spawn("claim.window", async move {
            tokio::time::sleep_until(until).await;
            claim.tell();
        });
        pin
    }

    pub fn stand(&self) -> Stand {
        let state = self.lock();
        match (state.live().is_some(), state.owned) {
            (true, _) => Stand::Open,
            (false, true) => Stand::Owned,
            (false, false) => Stand::Shut,
        }
    }

    pub fn owned(&self) -> bool {
        self.lock().owned
    }

    /// The PIN, while it opens anything.
    pub fn pin(&self) -> Option<String> {
        self.lock().live().map(|open| open.pin.clone())
    }

    /// The same, for whoever has to show it and take it away again.
    pub fn shown(&self) -> watch::Receiver<Option<String>> {
        self.0.shown.subscribe()
    }

    /// Spaces and dashes are not looked at: people write PINs in groups.
    pub fn redeem(&self, pin: &str) -> Result<Ticket, Refused> {
        let digits: String = pin.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        let tried = {
            let mut state = self.lock();
            let open = state.open.as_mut().filter(|open| open.live() && !open.taken);
            let open = open.ok_or(Refused::Shut)?;
            let right: bool = digits.as_bytes().ct_eq(open.pin.as_bytes()).into();
            if right {
                open.taken = true;
                Ok(Ticket(Some(self.clone())))
            } else {
                open.left -= 1;
                Err(Refused::Wrong { left: open.left })
            }
        };
        self.tell();
        tried
    }

    /// Keeps what is shown in step with what is so.
    fn tell(&self) {
        let pin = self.pin();
        self.0.shown.send_if_modified(|shown| {
            let changed = *shown != pin;
            shown.clone_from(&pin);
            changed
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn live(&self) -> Option<&Open> {
        self.open.as_ref().filter(|open| open.live())
    }
}

impl Open {
    fn live(&self) -> bool {
        self.left > 0 && Instant::now() < self.until
    }
}

impl Ticket {
    /// The owner is written: the PIN is used up.
    pub fn done(mut self) {
        if let Some(claim) = self.0.take() {
            let mut state = claim.lock();
            state.owned = true;
            state.open = None;
            drop(state);
            claim.tell();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(claim) = self.0.take()
            && let Some(open) = &mut claim.lock().open
        {
            open.taken = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(pin: &str) -> String {
        format!("{:08}", (pin.parse::<u32>().unwrap() + 1) % 100_000_000)
    }

    #[tokio::test(start_paused = true)]
    async fn ten_wrong_tries_shut_the_window() {
        let (claim, tasks) = (Claim::new(false), Tasks::new());
        assert_eq!(claim.stand(), Stand::Shut);
        let pin = claim.open(&tasks);
        assert_eq!((pin.len(), claim.stand()), (8, Stand::Open));
        for left in (0..10).rev() {
            assert_eq!(claim.redeem(&wrong(&pin)).err(), Some(Refused::Wrong { left }));
        }
        for _ in 0..10_000 {
            assert_eq!(claim.redeem(&pin).err(), Some(Refused::Shut));
        }
        assert_eq!((claim.stand(), claim.pin()), (Stand::Shut, None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_window_is_half_an_hour() {
        let (claim, tasks) = (Claim::new(false), Tasks::new());
        let pin = claim.open(&tasks);
        let mut shown = claim.shown();
        tokio::time::sleep(WINDOW - Duration::from_secs(1)).await;
        drop(claim.redeem(&pin).expect("a second before the end"));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(claim.redeem(&pin).err(), Some(Refused::Shut));
        shown.changed().await.unwrap();
        assert_eq!(*shown.borrow(), None, "nobody shows it any more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pin_makes_one_owner() {
        let (claim, tasks) = (Claim::new(false), Tasks::new());
        let pin = claim.open(&tasks);
        let grouped = format!(" {} - {} ", &pin[..4], &pin[4..]);
        let first = claim.redeem(&grouped).expect("the right one");
        assert_eq!(claim.redeem(&pin).err(), Some(Refused::Shut), "one at a time");
        drop(first);
        claim.redeem(&pin).expect("the first one gave up").done();
        assert_eq!((claim.stand(), claim.pin()), (Stand::Owned, None));
        assert_eq!(claim.redeem(&pin).err(), Some(Refused::Shut));
        let again = claim.open(&tasks);
        assert_ne!(again, pin);
        assert!(claim.owned() && claim.stand() == Stand::Open);
    }
}
