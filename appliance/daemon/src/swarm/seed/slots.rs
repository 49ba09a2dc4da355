//! Who may download: fair choking without a timer. A free slot is given at once; when all are taken, a waiting peer asks
//! again from time to time, and whoever had a slot longest gives it up. We are a seed: there is nothing to get back, so
//! fairness is turns, not trade.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::lock;

/// A turn lasts at least this long when others wait. Longer: fewer interrupted transfers. Shorter: newcomers wait less.
const TURN: Duration = Duration::from_secs(30);

/// A peer that has a slot and takes nothing for this long gives it to a waiting one (anti-snubbing, seen from a seed).
const SNUB: Duration = Duration::from_secs(10);

/// How often a waiting peer asks.
pub const ASK: Duration = Duration::from_secs(5);

/// Told when the slot was taken away.
#[derive(Default)]
pub struct Turn {
    over: AtomicBool,
    pub changed: Notify,
}

impl Turn {
    /// True once after the slot was taken away.
    pub fn take_over(&self) -> bool {
        self.over.swap(false, Ordering::Relaxed)
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Slots {
    table: Arc<Mutex<Table>>,
}

struct Table {
    max: usize,
    holders: HashMap<u64, Holder>,
}

struct Holder {
    since: Instant,
    active: Instant,
    turn: Arc<Turn>,
}

impl Slots {
    pub fn new(max: usize) -> Self {
        Self {
            table: Arc::new(Mutex::new(Table {
                max: max.max(1),
                holders: HashMap::new(),
            })),
        }
    }

    /// Whether peer `id` may download now. When all slots are taken, somebody's turn may end for it.
    pub fn ask(&self, id: u64, turn: &Arc<Turn>) -> bool {
        let now = Instant::now();
        let mut table = lock(&self.table);
        if table.holders.contains_key(&id) {
            return true;
        }
        if table.holders.len() >= table.max && !table.end_a_turn(now) {
            return false;
        }
        table.holders.insert(
            id,
            Holder {
                since: now,
                active: now,
                turn: turn.clone(),
            },
        );
        true
    }

    /// Peer `id` took bytes.
    pub fn active(&self, id: u64) {
        if let Some(holder) = lock(&self.table).holders.get_mut(&id) {
            holder.active = Instant::now();
        }
    }

    /// Peers that may download now.
    pub fn taken(&self) -> usize {
        lock(&self.table).holders.len()
    }

    pub fn release(&self, id: u64) {
        lock(&self.table).holders.remove(&id);
    }
}

impl Table {
    fn end_a_turn(&mut self, now: Instant) -> bool {
        let over = |holder: &Holder| now - holder.since >= TURN || now - holder.active >= SNUB;
        let longest = self
            .holders
            .iter()
            .filter(|(_, holder)| over(holder))
            .min_by_key(|(_, holder)| (now - holder.active < SNUB, holder.since))
            .map(|(id, _)| *id);
        let Some(holder) = longest.and_then(|id| self.holders.remove(&id)) else {
            return false;
        };
        holder.turn.over.store(true, Ordering::Relaxed);
        holder.turn.changed.notify_one();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_end_only_when_somebody_waits() {
        let slots = Slots::new(2);
        let turns: Vec<_> = (0..4).map(|_| Arc::new(Turn::default())).collect();
        assert!(slots.ask(0, &turns[0]) && slots.ask(1, &turns[1]));
        assert!(!slots.ask(2, &turns[2]), "no slot is free");
        tokio::time::advance(Duration::from_secs(9)).await;
        slots.active(0);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(slots.ask(2, &turns[2]), "peer 1 takes nothing");
        assert!(turns[1].take_over() && !turns[1].take_over() && !turns[0].take_over());
        for _ in 0..5 {
            tokio::time::advance(Duration::from_secs(5)).await;
            slots.active(0);
            slots.active(2);
        }
        assert!(slots.ask(3, &turns[3]), "peer 0 had the longest turn");
        assert!(turns[0].take_over());
        slots.release(3);
        assert!(slots.ask(0, &turns[0]));
    }
}
