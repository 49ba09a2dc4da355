//! Which server is asked, how long it is waited for, and when it counts as down. Time is an argument.
//!
//! The quickest server that is up is asked; when it is slower than usual, the next one too, and the first answer wins. A
//! server that stays silent several times in a row is down: it is then asked beside the others, so that nobody waits for it,
//! again and again until it answers.

use std::time::{Duration, Instant};

/// Before anything is known of a server.
const HEDGE_FIRST: Duration = Duration::from_millis(150);
const HEDGE_MIN: Duration = Duration::from_millis(15);
const HEDGE_MAX: Duration = Duration::from_millis(400);
/// After this an attempt is over.
const PATIENCE_MIN: Duration = Duration::from_millis(400);
const PATIENCE_MAX: Duration = Duration::from_secs(2);
const PATIENCE_FIRST: Duration = Duration::from_secs(1);
/// Silences in a row after which a server is down.
const SILENCES_MAX: u32 = 3;
/// A server that is down is asked again after this, doubled each time.
const PROBE_FIRST: Duration = Duration::from_millis(250);
const PROBE_MAX: Duration = Duration::from_secs(2);
/// One question in so many goes to another server first, so that its time is known.
const EXPLORE: u32 = 32;

/// One server.
#[derive(Debug, Clone, Default)]
pub struct Health {
    measured: Option<(Duration, Duration)>,
    silences: u32,
    down: Option<Down>,
    /// It was silent, but not yet often enough: asked beside the others too, because they may now be quicker for ever.
    recheck_at: Option<Instant>,
    pub queries: u64,
    pub failures: u64,
}

#[derive(Debug, Clone)]
struct Down {
    probe_at: Instant,
    wait: Duration,
}

impl Health {
    pub fn is_up(&self) -> bool {
        self.down.is_none()
    }

    /// Smoothed time to an answer.
    pub fn mean(&self) -> Option<Duration> {
        self.measured.map(|(mean, _)| mean)
    }

    /// Longer than it usually takes: another server is worth asking.
    pub fn hedge(&self) -> Duration {
        self.measured.map_or(HEDGE_FIRST, |(mean, deviation)| {
            (mean + deviation * 4).clamp(HEDGE_MIN, HEDGE_MAX)
        })
    }

    /// An attempt without an answer is over after this.
    pub fn patience(&self) -> Duration {
        self.measured.map_or(PATIENCE_FIRST, |(mean, deviation)| {
            ((mean + deviation * 4) * 4).clamp(PATIENCE_MIN, PATIENCE_MAX)
        })
    }

    /// The estimator of RFC 6298. Whoever answers is up.
    pub fn answered(&mut self, took: Duration) {
        let took = took.min(PATIENCE_MAX);
        self.silences = 0;
        self.down = None;
        self.recheck_at = None;
        self.measured = Some(match self.measured {
            None => (took, took / 2),
            Some((mean, deviation)) => (
                mean * 7 / 8 + took / 8,
                deviation * 3 / 4 + mean.abs_diff(took) / 4,
            ),
        });
    }

    /// Another server was quicker, although this one was asked first and had its time.
    pub fn outrun(&mut self, after: Duration, now: Instant) {
        if let Some((mean, _)) = &mut self.measured {
            *mean = (*mean).max(*mean * 7 / 8 + after.min(PATIENCE_MAX) / 8);
        }
        self.silent(1, now);
    }

    /// No answer within its patience, or the kernel says that nobody is there (`sure`).
    pub fn failed(&mut self, sure: bool, now: Instant) {
        self.failures += 1;
        self.silent(if sure { SILENCES_MAX } else { 1 }, now);
    }

    fn silent(&mut self, weight: u32, now: Instant) {
        self.silences = self.silences.saturating_add(weight);
        match &mut self.down {
            Some(down) if now >= down.probe_at => {
                down.wait = (down.wait * 2).min(PROBE_MAX);
                down.probe_at = now + down.wait;
            }
            Some(_) => {}
            None if self.silences >= SILENCES_MAX => {
                self.down = Some(Down {
                    probe_at: now + PROBE_FIRST,
                    wait: PROBE_FIRST,
                });
                self.recheck_at = None;
            }
            None => self.recheck_at = Some(now + PROBE_FIRST),
        }
    }

    /// Is it time to ask this server, which is down or may be, beside the others? Says yes once per wait.
    pub fn take_probe(&mut self, now: Instant) -> bool {
        if self.recheck_at.is_some_and(|at| now >= at) {
            self.recheck_at = None;
            return true;
        }
        match &mut self.down {
            Some(down) if now >= down.probe_at => {
                down.wait = (down.wait * 2).min(PROBE_MAX);
                down.probe_at = now + down.wait;
                true
            }
            _ => false,
        }
    }
}

/// Servers in the order in which they are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    order: [u8; PLAN_MAX],
    length: u8,
    /// Everybody is down: all are asked at once, and nobody is waited for long.
    pub desperate: bool,
}

/// Servers of one plan.
pub const PLAN_MAX: usize = 8;

impl Plan {
    pub fn order(&self) -> impl ExactSizeIterator<Item = usize> {
        self.order[..usize::from(self.length)]
            .iter()
            .map(|at| usize::from(*at))
    }

    /// `servers`: for each whether it is up and its mean time. `dice`: any random number.
    pub fn new(servers: impl Iterator<Item = (bool, Option<Duration>)>, dice: u32) -> Self {
        let mut plan = Self::default();
        let mut times = [Duration::ZERO; PLAN_MAX];
        let mut everybody = Self::default();
        for (at, (up, mean)) in servers.take(PLAN_MAX).enumerate() {
            everybody.push(at as u8);
            if up {
                // Unknown ones stand where they stand in the list: behind nobody who is known to be slower.
                times[at] = mean.unwrap_or(HEDGE_FIRST);
                plan.push(at as u8);
            }
        }
        if plan.length == 0 {
            everybody.desperate = true;
            return everybody;
        }
        let order = &mut plan.order[..usize::from(plan.length)];
        order.sort_by_key(|at| times[usize::from(*at)]);
        if order.len() > 1 && dice.is_multiple_of(EXPLORE) {
            let other = 1 + (dice / EXPLORE) as usize % (order.len() - 1);
            order.swap(0, other);
        }
        plan
    }

    fn push(&mut self, at: u8) {
        self.order[usize::from(self.length)] = at;
        self.length += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn order(servers: &[Health], dice: u32) -> Vec<usize> {
        Plan::new(servers.iter().map(|one| (one.is_up(), one.mean())), dice)
            .order()
            .collect()
    }

    fn measured(millis: u64) -> Health {
        let mut health = Health::default();
        (0..20).for_each(|_| health.answered(MS(millis)));
        health
    }

    #[test]
    fn the_quickest_server_is_asked_first_and_others_are_tried_now_and_then() {
        let servers = [measured(40), measured(10), measured(20)];
        assert_eq!(order(&servers, 1), [1, 2, 0]);
        assert_eq!(order(&servers, 0), [2, 1, 0]);
        assert_eq!(order(&servers, EXPLORE), [0, 2, 1]);
        assert_eq!(order(&[Health::default(), Health::default()], 1), [0, 1]);
    }

    #[test]
    fn waits_follow_the_server_within_bounds() {
        assert_eq!(Health::default().hedge(), HEDGE_FIRST);
        assert!(measured(1).hedge() == HEDGE_MIN && measured(1).patience() == PATIENCE_MIN);
        assert!(measured(60).hedge() >= MS(60) && measured(60).hedge() < MS(100));
        assert!(measured(9_000).hedge() == HEDGE_MAX && measured(9_000).patience() == PATIENCE_MAX);
    }

    #[test]
    fn a_silent_server_goes_down_is_probed_and_comes_back_with_its_first_answer() {
        let now = Instant::now();
        let (mut dead, good) = (measured(10), measured(50));
        dead.failed(false, now);
        dead.outrun(MS(60), now);
        assert!(dead.is_up());
        dead.failed(false, now);
        assert!(!dead.is_up());
        assert_eq!(order(&[dead.clone(), good], 1), [1]);

        assert!(!dead.take_probe(now + MS(249)));
        let mut at = now;
        for wait in [250, 500, 1000, 2000, 2000, 2000] {
            at += MS(wait);
            assert!(dead.take_probe(at), "after {wait}");
            assert!(!dead.take_probe(at));
        }
        dead.answered(MS(10));
        assert!(dead.is_up() && !dead.take_probe(at + MS(60_000)));
    }

    #[test]
    fn a_server_that_was_silent_once_is_looked_at_again() {
        let now = Instant::now();
        let mut health = measured(10);
        health.outrun(MS(60), now);
        assert!(health.is_up() && !health.take_probe(now + MS(249)));
        assert!(health.take_probe(now + MS(250)) && !health.take_probe(now + MS(9_000)));
        health.outrun(MS(60), now);
        health.answered(MS(10));
        assert!(!health.take_probe(now + MS(9_000)));
    }

    #[test]
    fn a_closed_port_is_believed_at_once() {
        let mut health = measured(10);
        health.failed(true, Instant::now());
        assert!(!health.is_up());
    }

    #[test]
    fn when_everybody_is_down_everybody_is_asked() {
        let now = Instant::now();
        let mut servers = [measured(10), measured(20)];
        servers.iter_mut().for_each(|one| one.failed(true, now));
        let plan = Plan::new(servers.iter().map(|one| (one.is_up(), one.mean())), 1);
        assert!(plan.desperate && plan.order().eq([0, 1]));
        assert_eq!(Plan::new(std::iter::empty(), 1).order().len(), 0);
    }
}
