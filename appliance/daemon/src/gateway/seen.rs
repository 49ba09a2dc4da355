//! By which ways each device of the home reached us: for the page that shows whether a device finds the sites. In memory
//! alone.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

/// Devices remembered; the one that was silent longest gives way. More: memory. Fewer: a busy home's page has gaps.
const DEVICES_MAX: usize = 1024;

/// A way to a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It fetched the script that tells which proxy to use.
    Pac,
    /// It asked the proxy.
    Proxy,
    /// It asked one of our names directly: its resolver knows us.
    Host,
}

/// When a device last came by each way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ways {
    pub pac: Option<Instant>,
    pub proxy: Option<Instant>,
    pub host: Option<Instant>,
}

impl Ways {
    fn last(&self) -> Option<Instant> {
        self.pac.max(self.proxy).max(self.host)
    }
}

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<HashMap<IpAddr, Ways>>>);

impl Seen {
    pub fn note(&self, device: IpAddr, way: Way) {
        let device = device.to_canonical();
        let mut devices = self.devices();
        if devices.len() >= DEVICES_MAX
            && !devices.contains_key(&device)
            && let Some(oldest) = devices
                .iter()
                .min_by_key(|(_, ways)| ways.last())
                .map(|(addr, _)| *addr)
        {
            devices.remove(&oldest);
        }
        let ways = devices.entry(device).or_default();
        let when = match way {
            Way::Pac => &mut ways.pac,
            Way::Proxy => &mut ways.proxy,
            Way::Host => &mut ways.host,
        };
        *when = Some(Instant::now());
    }

    pub fn ways(&self, device: IpAddr) -> Ways {
        let device = device.to_canonical();
        self.devices().get(&device).copied().unwrap_or_default()
    }

    /// All of them, in the order of their addresses.
    pub fn list(&self) -> Vec<(IpAddr, Ways)> {
        let mut list: Vec<_> = self.devices().iter().map(|(addr, ways)| (*addr, *ways)).collect();
        list.sort_unstable_by_key(|(addr, _)| *addr);
        list
    }

    fn devices(&self) -> MutexGuard<'_, HashMap<IpAddr, Ways>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_device_that_was_silent_longest_is_forgotten() {
        let seen = Seen::default();
        let device = |n: u32| IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + n));
        for n in 0..1024 {
            seen.note(device(n), Way::Pac);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        seen.note(device(0), Way::Proxy);
        seen.note("::ffff:10.0.8.0".parse().expect("an address"), Way::Host);
        assert_eq!(seen.list().len(), 1024);
        assert_eq!(seen.ways(device(1)), Ways::default());
        assert!(seen.ways(device(0)).pac.is_some() && seen.ways(device(0)).proxy.is_some());
        assert!(seen.ways(device(2048)).host.is_some());
    }
}
