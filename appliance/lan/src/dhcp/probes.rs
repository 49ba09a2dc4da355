//! Which addresses were asked for by ARP, and which of them nobody answered for (RFC 2131, 3.1 step 2; RFC 5227).
//!
//! A little ahead of need, so that the second device of a morning does not wait: as many addresses as were given in the last
//! second, at least a few.

use std::{
    collections::{HashMap, VecDeque},
    net::Ipv4Addr,
    time::Duration,
};

use tokio::time::Instant;

/// Sleeping phones take a while; every client waits longer for an offer.
const ANSWER: Duration = Duration::from_millis(350);
/// The second question of each probe, against a lost frame.
const AGAIN: Duration = Duration::from_millis(150);
/// A silence is worth so long.
const QUIET: Duration = Duration::from_secs(30);
const AHEAD_MIN: usize = 4;
const AHEAD_MAX: usize = 2048;
/// Above this many addresses per second somebody measures us: one question each must do.
const CALM: usize = 64;
const RUNNING_MAX: usize = 8192;

pub struct Probes<T> {
    /// Addresses being asked for, with the requests that wait for the outcome.
    running: HashMap<Ipv4Addr, Vec<T>>,
    /// How many of them nobody waits for yet.
    idle: usize,
    deadlines: VecDeque<(Instant, Ipv4Addr)>,
    again: VecDeque<(Instant, Ipv4Addr)>,
    quiet: HashMap<Ipv4Addr, Instant>,
    /// Given in this second and in the one before.
    given: (Instant, usize, usize),
}

impl<T> Probes<T> {
    pub fn new(now: Instant) -> Self {
        Self {
            running: HashMap::new(),
            idle: 0,
            deadlines: VecDeque::new(),
            again: VecDeque::new(),
            quiet: HashMap::new(),
            given: (now, 0, 0),
        }
    }

    /// Nobody answered for `addr` a moment ago. It counts once.
    pub fn take_quiet(&mut self, addr: Ipv4Addr, now: Instant) -> bool {
        let known = self.quiet.remove(&addr).is_some_and(|since| now < since + QUIET);
        if known {
            self.count(now);
        }
        known
    }

    /// Does a request wait for the outcome already? An address that is only looked at ahead of need has none.
    pub fn is_waited_for(&self, addr: Ipv4Addr) -> bool {
        self.running.get(&addr).is_some_and(|waiting| !waiting.is_empty())
    }

    /// `request` waits for the outcome of a probe. Whether the question must be sent; `Err`: too much is asked already.
    pub fn wait(&mut self, addr: Ipv4Addr, request: T, now: Instant) -> Result<bool, ()> {
        if self.running.len() >= RUNNING_MAX {
            return Err(());
        }
        self.count(now);
        let new = self.begin(addr, now);
        if let Some(waiting) = self.running.get_mut(&addr) {
            self.idle -= usize::from(waiting.is_empty());
            waiting.push(request);
        }
        Ok(new)
    }

    fn begin(&mut self, addr: Ipv4Addr, now: Instant) -> bool {
        if self.running.contains_key(&addr) || self.running.len() >= RUNNING_MAX {
            return false;
        }
        self.running.insert(addr, Vec::new());
        self.idle += 1;
        self.deadlines.push_back((now + ANSWER, addr));
        if self.given.1.max(self.given.2) < CALM {
            self.again.push_back((now + AGAIN, addr));
        }
        true
    }

    /// How many further addresses should be looked at now; 0 most of the time.
    pub fn wanted(&self) -> usize {
        let want = self.given.1.max(self.given.2).clamp(AHEAD_MIN, AHEAD_MAX);
        if (self.quiet.len() + self.idle) * 2 > want {
            0
        } else {
            want
        }
    }

    /// Begins to ask for those of `addrs` that nothing is known of. Returns those whose question must be sent.
    pub fn ahead(&mut self, addrs: impl Iterator<Item = Ipv4Addr>, now: Instant) -> Vec<Ipv4Addr> {
        let new = addrs.filter(|addr| !self.quiet.contains_key(addr) && !self.running.contains_key(addr));
        let new: Vec<_> = new.collect();
        new.into_iter().filter(|addr| self.begin(*addr, now)).collect()
    }

    /// Somebody has `addr`. The requests that waited for it, if it was asked for.
    pub fn answered(&mut self, addr: Ipv4Addr) -> Option<Vec<T>> {
        self.quiet.remove(&addr);
        self.end(addr)
    }

    fn end(&mut self, addr: Ipv4Addr) -> Option<Vec<T>> {
        let waiting = self.running.remove(&addr)?;
        self.idle -= usize::from(waiting.is_empty());
        Some(waiting)
    }

    /// Questions to be repeated, and requests whose address nobody has.
    pub fn tick(&mut self, now: Instant) -> (Vec<Ipv4Addr>, Vec<T>) {
        let mut repeat = Vec::new();
        while let Some((_, addr)) = self.again.pop_front_if(|(at, _)| *at <= now) {
            if self.running.contains_key(&addr) {
                repeat.push(addr);
            }
        }
        let mut ready = Vec::new();
        while let Some((_, addr)) = self.deadlines.pop_front_if(|(at, _)| *at <= now) {
            if let Some(waiting) = self.end(addr) {
                if waiting.is_empty() {
                    self.quiet.insert(addr, now);
                }
                ready.extend(waiting);
            }
        }
        if self.quiet.len() > AHEAD_MIN && self.deadlines.is_empty() {
            self.quiet.retain(|_, since| now < *since + QUIET);
        }
        (repeat, ready)
    }

    /// When [`Probes::tick`] has something to do.
    pub fn next(&self) -> Option<Instant> {
        let first = |queue: &VecDeque<(Instant, Ipv4Addr)>| queue.front().map(|(at, _)| *at);
        match (first(&self.again), first(&self.deadlines)) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    fn count(&mut self, now: Instant) {
        let (since, this, _) = self.given;
        let age = now.saturating_duration_since(since);
        if age >= Duration::from_secs(2) {
            self.given = (now, 0, 0);
        } else if age >= Duration::from_secs(1) {
            self.given = (now, 0, this);
        }
        self.given.1 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, last)
    }

    #[test]
    fn a_request_goes_on_when_nobody_answered_and_at_once_when_somebody_did() {
        let start = Instant::now();
        let mut probes = Probes::new(start);
        assert_eq!(probes.wait(addr(1), "one", start), Ok(true));
        assert_eq!(probes.wait(addr(1), "again", start), Ok(false));
        assert_eq!(probes.wait(addr(2), "two", start), Ok(true));
        assert_eq!(probes.answered(addr(2)), Some(vec!["two"]));
        assert_eq!(probes.tick(start + AGAIN), (vec![addr(1)], vec![]));
        assert_eq!(probes.tick(start + ANSWER), (vec![], vec!["one", "again"]));
        assert_eq!(probes.next(), None);
    }

    #[test]
    fn addresses_are_asked_for_ahead_of_need_and_count_once() {
        let start = Instant::now();
        let mut probes: Probes<()> = Probes::new(start);
        assert_eq!(probes.wanted(), AHEAD_MIN);
        let new = probes.ahead((1..=4).map(addr), start);
        assert_eq!((new.len(), probes.wanted()), (4, 0));
        assert!(!probes.take_quiet(addr(1), start), "not yet");
        probes.tick(start + ANSWER);
        assert!(probes.take_quiet(addr(1), start + ANSWER));
        assert!(!probes.take_quiet(addr(1), start + ANSWER));
        assert!(!probes.take_quiet(addr(2), start + QUIET * 2));
    }

    #[test]
    fn a_request_joins_a_question_that_was_sent_ahead_of_need() {
        let start = Instant::now();
        let mut probes = Probes::new(start);
        assert_eq!(probes.ahead([addr(1)].into_iter(), start), [addr(1)]);
        assert!(!probes.is_waited_for(addr(1)));
        assert_eq!(
            probes.wait(addr(1), "one", start + AGAIN),
            Ok(false),
            "it is asked already"
        );
        assert!(probes.is_waited_for(addr(1)));
        assert_eq!(probes.tick(start + ANSWER).1, ["one"]);
    }

    #[test]
    fn the_look_ahead_follows_the_demand() {
        let start = Instant::now();
        let mut probes = Probes::new(start);
        for n in 0..200 {
            assert!(probes.wait(addr(n), n, start).is_ok());
        }
        assert_eq!(probes.wanted(), 200);
        assert!(
            probes.again.len() <= CALM,
            "one question each when there are many"
        );
    }
}
