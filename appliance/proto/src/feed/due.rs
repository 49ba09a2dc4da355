//! When to look again: 15 minutes for what just changed, up to 6 hours for what is quiet, never two at one time.
//!
//! No feed has a timer: a look ends with the time of the next one, which the caller writes down.

/// The shortest time between two looks that found a record, seconds.
pub const INTERVAL_MIN: u64 = 15 * 60;

/// The longest time between two looks, seconds; also after any number of failures.
pub const INTERVAL_MAX: u64 = 6 * 3600;

/// Looks for a record that was never seen come after so many seconds, the first failure first: whoever pastes an address
/// waits for it, and records travel slowly.
pub const FIRST_LOOKS: [u64; 4] = [60, 2 * 60, 5 * 60, 15 * 60];

/// A feed is looked at about this many times between two of its versions.
const LOOKS_PER_GAP: u64 = 8;

/// So many of the latest gaps between versions count; older habits of a publisher do not.
const GAPS_MAX: usize = 8;

/// What the decision is made of. Times are Unix seconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Past<'a> {
    /// When each known version was first seen, newest first; empty: no record was ever found.
    pub seen: &'a [u64],
    /// The household's own: a new version made elsewhere with the same key should appear soon.
    pub ours: bool,
    /// Looks in a row that found nothing.
    pub failures: u32,
}

/// Seconds until the next look, before jitter; always within 60 to [`INTERVAL_MAX`].
pub fn interval(past: &Past<'_>, now: u64) -> u64 {
    let Some(newest) = past.seen.first() else {
        return first_look(past.failures);
    };
    let base = if past.ours {
        INTERVAL_MIN
    } else {
        (pace(past.seen, now.saturating_sub(*newest)) / LOOKS_PER_GAP).clamp(INTERVAL_MIN, INTERVAL_MAX)
    };
    doubled(base, past.failures)
}

/// When to look next: now and the interval, 20 % more or less. `random`: evenly distributed over all of `u64`.
pub fn next(past: &Past<'_>, now: u64, random: u64) -> u64 {
    now.saturating_add(jitter(interval(past, now), random))
}

/// `secs` made 20 % shorter to 20 % longer, evenly.
pub fn jitter(secs: u64, random: u64) -> u64 {
    let span = secs / 5 * 2;
    // The high bits of the product: an even share of the span without a division's bias.
    let share = (u128::from(random) * u128::from(span + 1)) >> 64;
    secs - secs / 5 + share as u64
}

fn first_look(failures: u32) -> u64 {
    let turn = (failures as usize).saturating_sub(1);
    match FIRST_LOOKS.get(turn) {
        Some(secs) => *secs,
        None => doubled(INTERVAL_MIN, failures - FIRST_LOOKS.len() as u32),
    }
}

/// Back-off: twice as long for each failure.
fn doubled(secs: u64, failures: u32) -> u64 {
    secs.saturating_mul(1 << failures.min(16)).min(INTERVAL_MAX)
}

/// How many seconds lie between versions, as far as one can tell now: the mean of the latest gaps. The time since the
/// newest version is a gap too once it is longer than that, so that a feed that fell silent is asked ever less.
fn pace(seen: &[u64], quiet: u64) -> u64 {
    let gaps: Vec<u64> = seen
        .windows(2)
        .take(GAPS_MAX)
        .map(|pair| pair[0].saturating_sub(pair[1]))
        .collect();
    let sum = gaps.iter().fold(0u64, |sum, gap| sum.saturating_add(*gap));
    let mean = sum / (gaps.len() as u64).max(1);
    mean.max(quiet)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 86_400;
    const NOW: u64 = 1_800_000_000;

    fn every(gap: u64, versions: u64) -> Vec<u64> {
        (0..versions).map(|n| NOW - n * gap).collect()
    }

    fn seen(seen: &[u64]) -> Past<'_> {
        Past {
            seen,
            ..Past::default()
        }
    }

    #[test]
    fn a_feed_that_was_never_seen_is_looked_for_soon_and_then_ever_less() {
        let after = |failures| {
            let past = Past {
                failures,
                ..Past::default()
            };
            interval(&past, NOW)
        };
        let looks: Vec<u64> = (0..12).map(after).collect();
        assert_eq!(looks[..6], [60, 60, 120, 300, 900, 1800]);
        assert!(looks.windows(2).all(|pair| pair[0] <= pair[1]), "{looks:?}");
        assert_eq!(looks[11], INTERVAL_MAX);
        assert_eq!(after(u32::MAX), INTERVAL_MAX);
    }

    #[test]
    fn what_just_changed_is_looked_at_every_quarter_of_an_hour() {
        assert_eq!(interval(&seen(&[NOW]), NOW), INTERVAL_MIN);
        assert_eq!(interval(&seen(&every(600, 9)), NOW), INTERVAL_MIN);
    }

    #[test]
    fn a_daily_feed_is_looked_at_every_three_hours_and_a_weekly_one_every_six() {
        assert_eq!(interval(&seen(&every(DAY, 5)), NOW), 3 * 3600);
        assert_eq!(interval(&seen(&every(7 * DAY, 3)), NOW), INTERVAL_MAX);
    }

    #[test]
    fn a_busy_feed_that_falls_silent_is_looked_at_ever_less() {
        let past = every(3600, 9);
        let after = |quiet: u64| interval(&seen(&past), NOW + quiet);
        assert_eq!(after(0), INTERVAL_MIN);
        assert_eq!(after(16 * 3600), 2 * 3600);
        assert_eq!(after(30 * DAY), INTERVAL_MAX);
    }

    #[test]
    fn our_own_stays_quick_however_quiet_it_is() {
        let past = Past {
            seen: &[NOW - 90 * DAY],
            ours: true,
            failures: 0,
        };
        assert_eq!(interval(&past, NOW), INTERVAL_MIN);
    }

    #[test]
    fn failures_double_the_time_and_never_pass_six_hours() {
        let after = |failures| {
            let past = Past {
                seen: &[NOW],
                ours: false,
                failures,
            };
            interval(&past, NOW)
        };
        assert_eq!(after(1), 2 * INTERVAL_MIN);
        assert_eq!(after(3), 8 * INTERVAL_MIN);
        assert_eq!(after(40), INTERVAL_MAX);
    }

    #[test]
    fn five_hundred_feeds_that_began_together_do_not_stay_together() {
        // A small generator of its own: the spread must not depend on a particular one.
        let mut state = 7u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state ^ (state >> 29)
        };
        let quiet = [NOW - 300 * DAY];
        let mut due = vec![NOW; 500];
        for _ in 0..4 {
            for at in &mut due {
                *at = next(&seen(&quiet), *at, random());
            }
        }
        due.sort_unstable();
        let crowd = (0..due.len()).map(|i| due[i..].iter().take_while(|at| **at < due[i] + 60).count());
        assert!(
            crowd.max().is_some_and(|most| most < 25),
            "a minute holds too many"
        );
    }

    proptest! {
        #[test]
        fn no_past_leads_out_of_the_bounds(
            mut times in proptest::collection::vec(any::<u64>(), 0..60),
            ours in any::<bool>(),
            failures in any::<u32>(),
            now in any::<u64>(),
            random in any::<u64>(),
            sorted in any::<bool>(),
        ) {
            if sorted {
                times.sort_unstable_by(|a, b| b.cmp(a));
            }
            let past = Past { seen: &times, ours, failures };
            let secs = interval(&past, now);
            prop_assert!((60..=INTERVAL_MAX).contains(&secs));
            let at = next(&past, now, random);
            prop_assert!(at >= now.saturating_add(secs - secs / 5));
            prop_assert!(at <= now.saturating_add(secs + secs / 5));
        }

        #[test]
        fn more_failures_never_mean_sooner(failures in 0u32..40, seen_once in any::<bool>()) {
            let times = [NOW];
            let of = |failures| Past { seen: if seen_once { &times } else { &[] }, ours: false, failures };
            prop_assert!(interval(&of(failures), NOW) <= interval(&of(failures + 1), NOW));
        }
    }
}
