//! Who asks: how much, how lately, by which door. In memory only, bounded.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    time::Duration,
};

use proto::dns::limits::Bucket;

use crate::interfaces::View;

/// Devices remembered. A home has fewer; who makes up addresses pushes out only who asked the longest ago.
const CLIENTS_MAX: usize = 1024;
/// Questions of one device that wait for an upstream at once. The rest of the places is for the others.
const WAITING_MAX: u16 = 128;

/// What is told of a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    pub secs_ago: u64,
    pub queries: u64,
    pub encrypted: bool,
    pub looked_up_wpad: bool,
}

pub(super) struct Client {
    bucket: Bucket,
    last: Duration,
    pub queries: u64,
    pub encrypted: bool,
    pub looked_up_wpad: bool,
    pub bypass: bool,
    /// Many devices may stand behind it (the router), or it is this machine: it has no limit of its own.
    unlimited: bool,
    waiting: u16,
    /// The view of the network by which it was judged.
    judged: u32,
}

pub(super) struct Clients {
    known: HashMap<IpAddr, Client>,
    bypass: HashSet<IpAddr>,
    /// Counts the changes after which everybody is judged anew.
    epoch: u32,
}

impl Clients {
    pub fn new() -> Self {
        Self {
            known: HashMap::new(),
            bypass: HashSet::new(),
            epoch: 0,
        }
    }

    /// The network or the choices changed.
    pub fn judge_anew(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }

    pub fn set_bypass(&mut self, addrs: Vec<IpAddr>) {
        self.bypass = addrs.into_iter().map(|addr| addr.to_canonical()).collect();
        self.judge_anew();
    }

    /// The device that asks, one question richer; `None`: it is not of this LAN, or asks too much.
    pub fn asks(&mut self, addr: IpAddr, view: &View, per_sec: u32, now: Duration) -> Option<&mut Client> {
        let known = self
            .known
            .get(&addr)
            .is_some_and(|client| client.judged == self.epoch);
        if !known {
            self.judge(addr, view, per_sec, now)?;
        }
        let client = self.known.get_mut(&addr)?;
        client.last = now;
        client.queries += 1;
        (client.unlimited || client.bucket.take(per_sec, now)).then_some(client)
    }

    fn judge(&mut self, addr: IpAddr, view: &View, per_sec: u32, now: Duration) -> Option<()> {
        if !view.is_inside(addr) {
            self.known.remove(&addr);
            return None;
        }
        if self.known.len() >= CLIENTS_MAX && !self.known.contains_key(&addr) {
            let oldest = self.known.iter().min_by_key(|(_, client)| client.last);
            let oldest = oldest.map(|(addr, _)| *addr)?;
            self.known.remove(&oldest);
        }
        let client = self.known.entry(addr).or_insert_with(|| Client {
            bucket: Bucket::new(per_sec, now),
            last: now,
            queries: 0,
            encrypted: false,
            looked_up_wpad: false,
            bypass: false,
            unlimited: false,
            waiting: 0,
            judged: 0,
        });
        client.judged = self.epoch;
        client.bypass = self.bypass.contains(&addr);
        client.unlimited =
            view.is_own(addr) || view.gateway.is_some_and(|gateway| addr == IpAddr::V4(gateway));
        Some(())
    }

    /// Takes a place among those that wait.
    pub fn waits(&mut self, addr: IpAddr) -> bool {
        self.known.get_mut(&addr).is_some_and(|client| {
            let room = client.unlimited || client.waiting < WAITING_MAX;
            client.waiting += u16::from(room && client.waiting < u16::MAX);
            room
        })
    }

    pub fn waits_no_more(&mut self, addr: IpAddr) {
        if let Some(client) = self.known.get_mut(&addr) {
            client.waiting = client.waiting.saturating_sub(1);
        }
    }

    pub fn seen(&self, now: Duration) -> Vec<(IpAddr, Seen)> {
        let told = self.known.iter().filter(|(addr, _)| !addr.is_loopback());
        let told = told.map(|(addr, client)| {
            let seen = Seen {
                secs_ago: now.saturating_sub(client.last).as_secs(),
                queries: client.queries,
                encrypted: client.encrypted,
                looked_up_wpad: client.looked_up_wpad,
            };
            (*addr, seen)
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Interface;

    fn home() -> View {
        let lan = Interface {
            name: "eth0".into(),
            up: true,
            v4: vec![("192.168.1.2".parse().expect("an address"), 16)],
            ..Interface::default()
        };
        View {
            all: vec![lan],
            served: vec!["eth0".into()],
            gateway: Some("192.168.1.1".parse().expect("an address")),
        }
    }

    fn addr(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_device_that_asks_too_much_is_alone_with_it() {
        let (mut clients, view) = (Clients::new(), home());
        let mut asked = |who: &str| {
            (0..100)
                .filter(|_| clients.asks(addr(who), &view, 10, Duration::ZERO).is_some())
                .count()
        };
        assert_eq!(asked("192.168.1.7"), 20);
        assert_eq!(asked("192.168.1.8"), 20);
        // The router may ask for the whole home, this machine for itself.
        assert_eq!(asked("192.168.1.1"), 100);
        assert_eq!(asked("127.0.0.1"), 100);
        assert_eq!(asked("203.0.113.5"), 0);
    }

    #[test]
    fn those_remembered_are_bounded_and_judged_anew() {
        let (mut clients, view) = (Clients::new(), home());
        for n in 0..5_000u32 {
            let addr = IpAddr::from((0xc0a8_0000 + n).to_be_bytes());
            assert!(
                clients
                    .asks(addr, &view, 0, Duration::from_millis(n.into()))
                    .is_some()
            );
        }
        assert_eq!(clients.known.len(), CLIENTS_MAX);
        clients.judge_anew();
        assert!(
            clients
                .asks(addr("192.168.19.130"), &View::default(), 0, Duration::ZERO)
                .is_none()
        );
    }

    #[test]
    fn one_device_cannot_take_all_places_of_those_that_wait() {
        let (mut clients, view) = (Clients::new(), home());
        let who = addr("192.168.1.7");
        assert!(!clients.waits(who));
        clients.asks(who, &view, 0, Duration::ZERO);
        assert_eq!(
            (0..1000).filter(|_| clients.waits(who)).count(),
            usize::from(WAITING_MAX)
        );
        clients.waits_no_more(who);
        assert!(clients.waits(who));
    }
}
