//! The wall clock. Waiting is `tokio::time`'s; the date comes only from here, so that tests and boards without a battery
//! clock can be given another one.

use chrono::{DateTime, Datelike, Local, TimeZone, Timelike};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// Cheap to clone; all clones show the same time.
#[derive(Clone, Default)]
pub struct Clock {
    offset_secs: Arc<AtomicI64>,
    /// The date of a moment of `tokio::time`, which then drives this clock.
    simulated: Option<(u64, tokio::time::Instant)>,
}

impl Clock {
    /// A clock that runs `offset_secs` ahead of (or, negative, behind) the system's.
    pub fn with_offset(offset_secs: i64) -> Self {
        Self {
            offset_secs: Arc::new(AtomicI64::new(offset_secs)),
            simulated: None,
        }
    }

    /// For tests: shows `start` now and goes on with `tokio::time`, also while that is paused: a week then takes a moment.
    pub fn simulated(start: u64) -> Self {
        Self {
            simulated: Some((start, tokio::time::Instant::now())),
            ..Self::default()
        }
    }

    /// Seconds since the Unix epoch; 0 when the system clock stands before it.
    pub fn now_secs(&self) -> u64 {
        if let Some((start, since)) = self.simulated {
            return start + since.elapsed().as_secs();
        }
        // The one place that may ask the system for the date.
        #[allow(clippy::disallowed_methods)]
        let system = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        system.saturating_add_signed(self.offset_secs.load(Ordering::Relaxed))
    }

    /// The minute of the household's week, 0 = Monday 00:00, and the seconds until the next one begins. The time zone is
    /// the system's.
    pub fn minute_of_week(&self) -> (u16, u64) {
        minute_of(&self.local())
    }

    /// Year and month (1 to 12) of the household's calendar.
    pub fn month(&self) -> (i32, u32) {
        let now = self.local();
        (now.year(), now.month())
    }

    fn local(&self) -> DateTime<Local> {
        let utc = i64::try_from(self.now_secs())
            .ok()
            .and_then(|secs| DateTime::from_timestamp(secs, 0))
            .unwrap_or_default();
        utc.with_timezone(&Local)
    }
}

fn minute_of<Z: TimeZone>(now: &DateTime<Z>) -> (u16, u64) {
    let minute = (now.weekday().num_days_from_monday() * 24 + now.hour()) * 60 + now.minute();
    (minute as u16, u64::from(60 - now.second().min(59)))
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::*;

    #[test]
    fn the_week_begins_on_monday_at_midnight_of_the_household() {
        let kathmandu = FixedOffset::east_opt(20_700).expect("an offset of less than a day");
        let at = |secs| {
            let utc = DateTime::from_timestamp(secs, 0).expect("a date");
            minute_of(&utc.with_timezone(&kathmandu))
        };
        // Sunday, 4 January 1970, 18:15 UTC is Monday 00:00 there.
        assert_eq!(at(324_900), (0, 60));
        assert_eq!(at(324_899), (10_079, 1));
        assert_eq!(at(324_900 + 25 * 3600 + 610), (1_510, 50));
    }
}
