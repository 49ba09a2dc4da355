//! How long to wait for an answer, learned from the answers (the estimator of RFC 6298).

use std::time::Duration;

/// Wait this long before anything is known.
const FIRST: Duration = Duration::from_millis(500);
/// Below this, scheduling noise of a busy machine would look like a dead node.
const FLOOR: Duration = Duration::from_millis(2);
const CEILING: Duration = Duration::from_millis(1_000);
/// After this a node has not answered, whatever the estimate says.
pub const GIVE_UP_MAX: Duration = Duration::from_secs(3);
const GIVE_UP_MIN: Duration = Duration::from_millis(100);

/// Smoothed round-trip time of one network.
#[derive(Debug, Clone, Default)]
pub struct Rtt {
    measured: Option<(Duration, Duration)>,
}

impl Rtt {
    pub fn learn(&mut self, sample: Duration) {
        let sample = sample.min(CEILING);
        self.measured = Some(match self.measured {
            None => (sample, sample / 2),
            Some((mean, deviation)) => (
                mean * 7 / 8 + sample / 8,
                deviation * 3 / 4 + mean.abs_diff(sample) / 4,
            ),
        });
    }

    /// A node that has not answered by now holds nobody up any more; its answer is still welcome.
    pub fn slow(&self) -> Duration {
        self.measured.map_or(FIRST, |(mean, deviation)| {
            (mean + deviation * 4).clamp(FLOOR, CEILING)
        })
    }

    /// A node that has not answered by now counts as silent.
    pub fn give_up(&self) -> Duration {
        (self.slow() * 4).clamp(GIVE_UP_MIN, GIVE_UP_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_follows_the_network_within_bounds() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.slow(), FIRST);
        (0..100).for_each(|_| rtt.learn(Duration::from_micros(200)));
        assert_eq!(rtt.slow(), FLOOR);
        (0..100).for_each(|n| rtt.learn(Duration::from_millis(60 + n % 3 * 30)));
        assert!(rtt.slow() > Duration::from_millis(100) && rtt.slow() < Duration::from_millis(300));
        (0..100).for_each(|_| rtt.learn(Duration::from_secs(60)));
        assert_eq!(rtt.slow(), CEILING);
        assert_eq!(rtt.give_up(), GIVE_UP_MAX);
    }
}
