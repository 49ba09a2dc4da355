//! What was given this month and ever. Pure: time and totals are arguments.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Bytes that may be missing after a power cut: half a percent of the month's budget, within these bounds.
const STEP: (u64, u64) = (128 << 10, 32 << 20);
/// An earlier year is that of a board whose clock is not set yet.
const YEAR_MIN: i32 = 2025;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Year and month (1 to 12) that `month_bytes` belongs to.
    month: (i32, u32),
    pub month_bytes: u64,
    pub total_bytes: u64,
    /// The swarm's count since the start, at the last look.
    #[serde(skip)]
    seen: u64,
    #[serde(skip)]
    unwritten: u64,
    #[serde(skip)]
    rate: Rate,
}

/// How fast it goes.
#[derive(Debug, Clone, Default, PartialEq)]
struct Rate {
    began: Option<Instant>,
    /// Since then.
    bytes: u64,
    bytes_per_sec: u64,
}

impl Account {
    /// As the store kept it; what is damaged begins anew.
    pub fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    pub fn write(&mut self) -> Vec<u8> {
        self.unwritten = 0;
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Another month begins at zero. A clock that is not set yet begins none.
    pub fn turn(&mut self, month: (i32, u32)) {
        if month != self.month && month.0 >= YEAR_MIN {
            let first = self.month == (0, 0);
            self.month = month;
            if !first {
                self.month_bytes = 0;
                self.unwritten = self.unwritten.max(1);
            }
        }
    }

    /// `uploaded`: all bytes since the start.
    pub fn count(&mut self, uploaded: u64, now: Instant) {
        let news = uploaded.saturating_sub(self.seen);
        self.seen = uploaded;
        self.month_bytes += news;
        self.total_bytes += news;
        self.unwritten += news;
        self.rate.bytes += news;
        let began = *self.rate.began.get_or_insert(now);
        let micros = now.duration_since(began).as_micros() as u64;
        if micros >= 10_000 {
            let rate = self.rate.bytes.saturating_mul(1_000_000) / micros;
            // It comes in bursts: a moment without any is no end.
            self.rate.bytes_per_sec = rate.max(self.rate.bytes_per_sec / 4 * 3);
            (self.rate.began, self.rate.bytes) = (Some(now), 0);
        }
    }

    pub fn unwritten(&self) -> u64 {
        self.unwritten
    }

    /// Until half of `step` may have been given.
    pub fn pause(&self, step: u64) -> Duration {
        match self.rate.bytes_per_sec {
            0 => Duration::MAX,
            rate => Duration::from_secs_f64(step as f64 / 2.0 / rate as f64),
        }
    }

    /// `budget` 0: there is none.
    pub fn used_up(&self, budget: u64) -> bool {
        budget > 0 && self.month_bytes >= budget
    }

    pub fn next_month(&self) -> &'static str {
        const NAMES: [&str; 12] = [
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
            "January",
        ];
        NAMES[(self.month.1.max(1) as usize - 1) % 12]
    }
}

/// After so many bytes the account is written down.
pub fn step(budget: u64) -> u64 {
    match budget {
        0 => STEP.1,
        budget => (budget / 200).clamp(STEP.0, STEP.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_and_its_count_with_it() {
        let mut account = Account::default();
        account.turn((2026, 11));
        account.count(700, Instant::now());
        account.count(1000, Instant::now());
        assert_eq!((account.month_bytes, account.total_bytes), (1000, 1000));
        assert!(account.used_up(1000) && !account.used_up(1001) && !account.used_up(0));
        assert_eq!(account.next_month(), "December");
        let mut account = Account::read(&account.write());
        account.turn((2026, 12));
        account.count(5, Instant::now());
        assert_eq!((account.month_bytes, account.total_bytes), (5, 1005));
        assert_eq!(account.next_month(), "January");
    }

    #[test]
    fn a_clock_that_is_not_set_neither_ends_a_month_nor_begins_one() {
        let mut account = Account::default();
        account.turn((2026, 11));
        account.count(1000, Instant::now());
        let mut account = Account::read(&account.write());
        account.turn((1970, 1));
        account.count(50, Instant::now());
        account.turn((2026, 11));
        assert_eq!(account.month_bytes, 1050);
    }

    #[test]
    fn what_may_be_missing_after_a_power_cut_is_less_than_a_percent_of_the_budget() {
        for budget in [50u64 << 20, 10_000_000_000, 5_000_000_000_000] {
            assert!(step(budget) + step(budget) / 2 <= budget / 100, "{budget}");
        }
        let mut account = Account::default();
        assert_eq!(account.pause(step(0)), Duration::MAX);
        account.rate.bytes_per_sec = 1 << 20;
        assert_eq!(account.pause(1 << 20), Duration::from_millis(500));
    }

    #[test]
    fn looks_stay_close_while_it_goes_in_bursts_and_when_somebody_else_looks_too() {
        let mut account = Account::default();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        for (millis, uploaded) in [(0, 0), (20, 80_000), (21, 80_000), (40, 80_000), (60, 240_000)] {
            account.count(uploaded, at(millis));
        }
        let pause = account.pause(128 << 10);
        assert!(pause < Duration::from_millis(20), "{pause:?}");
        for look in 1..60 {
            account.count(240_000, at(60 + look * 100));
        }
        assert!(account.pause(128 << 10) > Duration::from_secs(10));
    }

    #[test]
    fn a_damaged_row_begins_anew() {
        for bytes in [&b""[..], b"{", b"{\"month\":7}", b"\xff"] {
            assert_eq!(Account::read(bytes), Account::default());
        }
    }
}
