//! How often passwords may be tried. Pure: time is an argument.
//!
//! Each address has a leaking bucket; beyond it three buckets bound what the whole box verifies in an hour: one for
//! addresses that somebody logged in from before, one for addresses without a wrong try in the last hour, one for the
//! rest. So two hundred machines that guess cannot keep the owner out, and none of it sums up to a thousand an hour.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

use serde::{Deserialize, Serialize};
use store::UnixSecs;

/// Thousandths of a try.
const TRY: u64 = 1_000;
const HOUR: u64 = 3_600;
/// An address is known for so long after a login.
const KNOWN_SECS: u64 = 90 * 86_400;
/// More: more memory and larger writes under attack. Fewer: addresses are forgotten sooner.
const ADDRESSES_MAX: usize = 512;

/// So many at once, then so many an hour.
#[derive(Clone, Copy)]
struct Rate {
    burst: u64,
    per_hour: u64,
}

/// At most ten in any minute.
const ADDRESS: Rate = Rate {
    burst: 5,
    per_hour: 300,
};
/// Per class of [`Class`]; the bursts and hours of all three stay below a thousand together.
const CLASSES: [Rate; 3] = [
    Rate {
        burst: 60,
        per_hour: 60,
    },
    Rate {
        burst: 300,
        per_hour: 200,
    },
    Rate {
        burst: 150,
        per_hour: 150,
    },
];

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Bucket {
    level: u64,
    at: UnixSecs,
}

impl Bucket {
    /// Leaks. A clock that was set back must not keep a bucket full for years.
    fn settle(&mut self, rate: Rate, now: UnixSecs) {
        let leaked = now.saturating_sub(self.at).saturating_mul(rate.per_hour * TRY) / HOUR;
        if leaked > 0 || now < self.at {
            self.level = self.level.saturating_sub(leaked);
            self.at = now;
        }
    }

    /// Seconds until there is room for one more.
    fn wait(&self, rate: Rate) -> u64 {
        let over = (self.level + TRY).saturating_sub(rate.burst * TRY);
        (over * HOUR).div_ceil(rate.per_hour * TRY)
    }
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Address {
    bucket: Bucket,
    /// The last try that was not (yet) right; 0: none.
    failed: UnixSecs,
    /// The last login; 0: none.
    good: UnixSecs,
}

/// What is kept over a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Throttle {
    addresses: HashMap<IpAddr, Address>,
    classes: [Bucket; 3],
}

/// A try that was let through.
#[derive(Debug, Clone, Copy)]
pub struct Admitted {
    address: IpAddr,
    class: usize,
    before: UnixSecs,
}

impl Throttle {
    /// Counts a try before it is verified. `Err`: seconds to wait.
    pub fn admit(&mut self, from: IpAddr, now: UnixSecs) -> Result<Admitted, u64> {
        let address = network(from);
        self.make_room(&address);
        let row = self.addresses.entry(address).or_default();
        row.bucket.settle(ADDRESS, now);
        let wait = row.bucket.wait(ADDRESS);
        if wait > 0 {
            return Err(wait);
        }
        let known = row.good > 0 && now.saturating_sub(row.good) < KNOWN_SECS;
        let fresh = row.failed == 0 || now.saturating_sub(row.failed) > HOUR;
        let may = [known, fresh, true];
        let mut shortest = u64::MAX;
        for (class, rate) in CLASSES.into_iter().enumerate() {
            let bucket = &mut self.classes[class];
            bucket.settle(rate, now);
            if !may[class] {
                continue;
            }
            let wait = bucket.wait(rate);
            if wait > 0 {
                shortest = shortest.min(wait);
                continue;
            }
            bucket.level += TRY;
            row.bucket.level += TRY;
            let before = std::mem::replace(&mut row.failed, now.max(1));
            return Ok(Admitted {
                address,
                class,
                before,
            });
        }
        Err(shortest)
    }

    /// The password was right: the try costs nothing, and the address is known from now on.
    pub fn succeeded(&mut self, admitted: Admitted, now: UnixSecs) {
        self.give_back(admitted);
        if let Some(row) = self.addresses.get_mut(&admitted.address) {
            row.failed = 0;
            row.good = now.max(1);
        }
    }

    /// Nothing was verified.
    pub fn give_back(&mut self, admitted: Admitted) {
        let class = &mut self.classes[admitted.class];
        class.level = class.level.saturating_sub(TRY);
        if let Some(row) = self.addresses.get_mut(&admitted.address) {
            row.bucket.level = row.bucket.level.saturating_sub(TRY);
            row.failed = admitted.before;
        }
    }

    /// Forgets the address that was not heard of for longest; those somebody logged in from come last.
    fn make_room(&mut self, wanted: &IpAddr) {
        if self.addresses.len() < ADDRESSES_MAX || self.addresses.contains_key(wanted) {
            return;
        }
        let oldest = self
            .addresses
            .iter()
            .min_by_key(|(_, row)| (row.good, row.bucket.at));
        if let Some(oldest) = oldest.map(|(address, _)| *address) {
            self.addresses.remove(&oldest);
        }
    }
}

/// What one device can choose freely counts as one address: a /64 of IPv6, except link-local ones, which all devices of a
/// link share.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_unicast_link_local() => {
            let bits = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(bits))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: u32) -> IpAddr {
        IpAddr::from((0x7f00_0000 + n).to_be_bytes())
    }

    #[test]
    fn one_address_gets_ten_tries_a_minute() {
        let mut throttle = Throttle::default();
        let begin = 1_000_000;
        let admitted = |throttle: &mut Throttle, from: u64, to: u64| {
            (from..to)
                .filter(|tenth| throttle.admit(device(1), begin + tenth / 10).is_ok())
                .count()
        };
        assert!(admitted(&mut throttle, 0, 600) <= 10);
        let wait = throttle.admit(device(1), begin + 60).unwrap_err();
        assert!((1..=12).contains(&wait), "{wait}");
        assert!(throttle.admit(device(1), begin + 60 + wait).is_ok());
    }

    #[test]
    fn ten_thousand_tries_from_two_hundred_addresses_stay_below_a_thousand_an_hour() {
        // As fast as possible, and evenly over the hour.
        for spread in [0, 3_600] {
            let mut throttle = Throttle::default();
            let owner = device(9_999);
            let admitted = throttle.admit(owner, 999_000).unwrap();
            throttle.succeeded(admitted, 999_000);
            let tries = 10_000;
            let verified = (0..tries)
                .filter(|i| {
                    let now = 1_000_000 + spread * i / tries;
                    throttle.admit(device((i % 200) as u32), now).is_ok()
                })
                .count();
            assert!(verified < 1_000, "{verified}");
            assert!(
                throttle.admit(owner, 1_000_000 + spread).is_ok(),
                "a known device"
            );
            assert!(
                throttle.admit(device(5_000), 1_000_000 + spread).is_ok(),
                "a device never seen"
            );
        }
    }

    #[test]
    fn what_was_counted_survives_a_restart_and_a_clock_set_back_heals() {
        let mut throttle = Throttle::default();
        while throttle.admit(device(1), 1_000_000).is_ok() {}
        let kept = serde_json::to_vec(&throttle).unwrap();
        let mut again: Throttle = serde_json::from_slice(&kept).unwrap();
        assert!(again.admit(device(1), 1_000_001).is_err());
        assert!(again.admit(device(1), 1_000).is_err(), "back in time");
        assert!(again.admit(device(1), 1_012).is_ok(), "not for years");
    }

    #[test]
    fn right_passwords_cost_nothing() {
        let mut throttle = Throttle::default();
        for _ in 0..100 {
            let admitted = throttle.admit(device(1), 1_000_000).unwrap();
            throttle.succeeded(admitted, 1_000_000);
        }
    }

    #[test]
    fn memory_is_bounded_and_one_prefix_is_one_device() {
        let mut throttle = Throttle::default();
        for n in 0..5_000 {
            let _ = throttle.admit(device(n), 1_000_000 + u64::from(n));
        }
        assert_eq!(throttle.addresses.len(), ADDRESSES_MAX);
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let other: IpAddr = "2001:db8::ffff:2".parse().unwrap();
        assert_eq!(network(one), network(other));
        let link: IpAddr = "fe80::1".parse().unwrap();
        assert_eq!(network(link), link);
        assert_eq!(network("::ffff:127.0.0.1".parse().unwrap()), device(1));
    }
}
