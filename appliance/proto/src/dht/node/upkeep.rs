//! What time alone brings about. Idle, a node wakes up a few times a minute.

use std::time::Duration;

use super::Node;
use crate::dht::{K, id::Family};

/// Longer: dead nodes stay longer in the table. Shorter: an idle machine sleeps less.
const UPKEEP: Duration = Duration::from_secs(15);
/// Questionable nodes pinged each time, per network: a full table of 150 is gone through in ten minutes.
const PINGS: usize = 4;
const CLEAR: Duration = Duration::from_secs(60);
/// Between attempts to find a first node.
const BOOTSTRAP_MIN: Duration = Duration::from_secs(1);
const BOOTSTRAP_MAX: Duration = Duration::from_secs(300);
/// Far buckets filled while we know few.
const FAR_BUCKETS: usize = 4;

impl Node {
    /// Call when [`Node::next_tick`] is reached; earlier does no harm.
    pub fn tick(&mut self, now: Duration) {
        self.give_up_on_silent(now);
        let due: Vec<_> = self
            .searches
            .iter()
            .filter(|(_, s)| s.due <= now)
            .map(|(n, _)| *n)
            .collect();
        due.into_iter().for_each(|number| self.advance(number, now));
        if now >= self.upkeep_due {
            self.upkeep_due = now + UPKEEP;
            self.upkeep(now);
        }
    }

    /// When [`Node::tick`] has something to do next, if no datagram comes before.
    pub fn next_tick(&self) -> Duration {
        let silent = self.pending.values().map(|pending| pending.gives_up).min();
        let search = self.searches.values().map(|search| search.due).min();
        [silent, search]
            .into_iter()
            .flatten()
            .fold(self.upkeep_due, Duration::min)
    }

    fn give_up_on_silent(&mut self, now: Duration) {
        let over = self.pending.iter().filter(|(_, pending)| pending.gives_up <= now);
        let over: Vec<_> = over.map(|(tid, _)| *tid).collect();
        for pending in over
            .iter()
            .filter_map(|tid| self.pending.remove(tid))
            .collect::<Vec<_>>()
        {
            self.stats.silent += 1;
            if let Some(side) = self.side_mut(Family::of(&pending.to)) {
                side.table.failed(&pending.to);
            }
            self.silence.kept(pending.to, pending.sent, now);
            self.on_no_answer(&pending, now);
        }
    }

    fn upkeep(&mut self, now: Duration) {
        self.server.tokens.rotate(now, &mut self.random);
        if now.saturating_sub(self.cleared) >= CLEAR {
            self.cleared = now;
            self.server.limits.forget(now);
            self.silence.forget(now);
            self.server.peers.expire(now);
            self.server.items.expire(now);
        }
        for family in Family::BOTH {
            if self.bootstrap(family, now) {
                continue;
            }
            self.ping_questionable(family, now);
            let own = self.id(family);
            let stale = self.side_mut(family).and_then(|side| side.table.refresh(now));
            if let (Some(own), Some(bits)) = (own, stale) {
                let target = own.sibling(bits, &mut self.random);
                self.start_search(target, family, None, now);
            }
        }
    }

    fn ping_questionable(&mut self, family: Family, now: Duration) {
        let Some(side) = self.side(family) else { return };
        for contact in side.table.questionable(PINGS, now) {
            self.ping(contact.addr, now);
        }
    }

    /// Looks for ourselves while we know too few nodes; true when it does.
    fn bootstrap(&mut self, family: Family, now: Duration) -> bool {
        let routers = self.routers.iter().any(|addr| Family::of(addr) == family);
        let Some(side) = self.side_mut(family) else {
            return false;
        };
        let known = side.table.usable();
        if known >= K || side.bootstrap_due > now {
            return false;
        }
        if known == 0 && side.remembered.is_empty() && !routers {
            return false;
        }
        side.bootstrap_wait = (side.bootstrap_wait * 2).clamp(BOOTSTRAP_MIN, BOOTSTRAP_MAX);
        side.bootstrap_due = now + side.bootstrap_wait;
        let (due, own) = (side.bootstrap_due, side.table.own());
        self.upkeep_due = self.upkeep_due.min(due);
        self.start_search(own, family, None, now);
        for bits in 0..FAR_BUCKETS.min(known) {
            let target = own.sibling(bits, &mut self.random);
            self.start_search(target, family, None, now);
        }
        true
    }
}
