//! How much one device may ask.

use std::time::Duration;

/// A bucket of tokens: each question takes one, time brings them back. A household never empties it.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    /// In thousandths of a token.
    tokens: u64,
    filled: Duration,
}

impl Bucket {
    /// A full one.
    pub fn new(per_sec: u32, now: Duration) -> Self {
        Self {
            tokens: burst(per_sec),
            filled: now,
        }
    }

    /// Takes a token, if there is one. `per_sec` 0: there always is.
    pub fn take(&mut self, per_sec: u32, now: Duration) -> bool {
        if per_sec == 0 {
            return true;
        }
        let millis = now.saturating_sub(self.filled).as_millis() as u64;
        if millis > 0 {
            let brought = millis.saturating_mul(u64::from(per_sec));
            self.tokens = self.tokens.saturating_add(brought).min(burst(per_sec));
            self.filled = now;
        }
        let left = self.tokens.checked_sub(1000);
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }
}

/// A page with many hosts asks for all of them at once: two seconds' worth.
fn burst(per_sec: u32) -> u64 {
    u64::from(per_sec) * 2000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_may_burst_and_then_gets_its_rate() {
        let mut bucket = Bucket::new(10, Duration::ZERO);
        let taken = (0..100).filter(|_| bucket.take(10, Duration::ZERO)).count();
        assert_eq!(taken, 20);
        let second = Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| bucket.take(10, second)).count(), 10);
        // Time that runs backwards brings nothing and breaks nothing.
        assert!(!bucket.take(10, Duration::ZERO));
        assert!(bucket.take(0, Duration::ZERO));
        assert!(Bucket::new(u32::MAX, Duration::ZERO).take(u32::MAX, Duration::MAX));
    }
}
