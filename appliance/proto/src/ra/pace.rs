//! When an advertisement is due (RFC 4861 6.2.4 and 6.2.6). Times are milliseconds of any clock that only goes forward;
//! `random` is any number, so that boxes started together do not speak together.

/// Longest time between two advertisements. Shorter: devices hear sooner of an address that changed, and more radio time goes
/// by. It bounds how long an unplugged box is remembered, see [`LIFETIME_SECS`](super::LIFETIME_SECS).
pub const INTERVAL_MAX_MS: u64 = 200_000;
const INTERVAL_MIN_MS: u64 = 150_000;
/// The first three come faster (MAX_INITIAL_RTR_ADVERTISEMENTS, MAX_INITIAL_RTR_ADVERT_INTERVAL).
const INITIAL: u8 = 3;
const INITIAL_INTERVAL_MS: u64 = 16_000;
/// MAX_RA_DELAY_TIME
const DELAY_MAX_MS: u64 = 500;
/// MIN_DELAY_BETWEEN_RAS: however many devices ask, no more is sent.
const BETWEEN_MIN_MS: u64 = 3_000;

#[derive(Debug, Clone)]
pub struct Pace {
    initial: u8,
    last: Option<u64>,
    due: u64,
}

impl Pace {
    /// The first one is due at once.
    pub fn start(now: u64) -> Self {
        Self {
            initial: INITIAL,
            last: None,
            due: now,
        }
    }

    pub fn due(&self) -> u64 {
        self.due
    }

    pub fn sent(&mut self, now: u64, random: u32) {
        self.last = Some(now);
        self.initial = self.initial.saturating_sub(1);
        let interval = INTERVAL_MIN_MS + u64::from(random) % (INTERVAL_MAX_MS - INTERVAL_MIN_MS);
        self.due = now
            + if self.initial > 0 {
                interval.min(INITIAL_INTERVAL_MS)
            } else {
                interval
            };
    }

    /// A device asked: the answer goes to all, soon, but never sooner than three seconds after the last one.
    pub fn asked(&mut self, now: u64, random: u32) {
        let soon = now + u64::from(random) % DELAY_MAX_MS;
        let allowed = self.last.map_or(0, |last| last + BETWEEN_MIN_MS);
        self.due = self.due.min(soon.max(allowed));
    }

    /// What we say has changed: the first few come faster again.
    pub fn changed(&mut self, now: u64) {
        self.initial = INITIAL;
        self.asked(now, 0);
    }
}
