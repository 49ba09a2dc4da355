//! What the kernel says of the network: interfaces, addresses, who is on-link, the default gateway. Kept fresh by netlink:
//! any message on the wire of changes wakes us, then all is read anew, so that no message has to be understood.

use std::{
    collections::BTreeMap,
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use house::tasks::Tasks;
use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink};
use tokio::{net::UdpSocket, sync::watch};
use tracing::warn;

/// Changes come in bursts; reading once after the burst is enough.
const SETTLE: Duration = Duration::from_millis(50);
/// Without netlink, and against lost messages, everything is read so often.
const EVERY: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    pub index: u32,
    /// It exists, is up and has a carrier.
    pub up: bool,
    pub loopback: bool,
    pub point_to_point: bool,
    pub mac: Option<[u8; 6]>,
    /// With prefix lengths.
    pub v4: Vec<(Ipv4Addr, u8)>,
    pub v6: Vec<(Ipv6Addr, u8)>,
}

impl Interface {
    /// The first address that is not link-local.
    pub fn v4_addr(&self) -> Option<(Ipv4Addr, u8)> {
        self.v4.iter().copied().find(|(addr, _)| !addr.is_link_local())
    }

    /// A unique local address if there is one, else a global one.
    pub fn v6_addr(&self) -> Option<Ipv6Addr> {
        let global = || {
            self.v6
                .iter()
                .map(|(addr, _)| *addr)
                .filter(|addr| !addr.is_unicast_link_local())
        };
        global()
            .find(Ipv6Addr::is_unique_local)
            .or_else(|| global().next())
    }

    pub fn link_local(&self) -> Option<Ipv6Addr> {
        self.v6
            .iter()
            .map(|(addr, _)| *addr)
            .find(Ipv6Addr::is_unicast_link_local)
    }

    /// Is `addr` a neighbour on this interface, or the interface itself?
    pub fn is_on_link(&self, addr: IpAddr) -> bool {
        match addr.to_canonical() {
            IpAddr::V4(addr) => self.v4.iter().any(|(own, len)| {
                prefix(own.to_bits().into(), 32, *len) == prefix(addr.to_bits().into(), 32, *len)
            }),
            IpAddr::V6(addr) => {
                addr.is_unicast_link_local()
                    || self.v6.iter().any(|(own, len)| {
                        prefix(own.to_bits(), 128, *len) == prefix(addr.to_bits(), 128, *len)
                    })
            }
        }
    }
}

fn prefix(bits: u128, width: u8, len: u8) -> u128 {
    bits.checked_shr(u32::from(width.saturating_sub(len)))
        .unwrap_or(0)
}

/// All interfaces at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    pub all: Vec<Interface>,
    /// Names of those whose devices are served; loopback and point-to-point links never are, unless named.
    pub served: Vec<String>,
    pub gateway: Option<Ipv4Addr>,
}

impl View {
    pub fn served(&self) -> impl Iterator<Item = &Interface> {
        self.all
            .iter()
            .filter(|one| one.up && self.served.contains(&one.name))
    }

    pub fn by_index(&self, index: u32) -> Option<&Interface> {
        self.all.iter().find(|one| one.index == index)
    }

    /// May this source be answered: this machine itself, or a neighbour on a served interface. Whether it has a carrier does
    /// not matter: when the cable is back, its first questions arrive before the kernel's news of it.
    pub fn is_inside(&self, addr: IpAddr) -> bool {
        let addr = addr.to_canonical();
        let mut served = self.all.iter().filter(|one| self.served.contains(&one.name));
        addr.is_loopback() || served.any(|one| one.is_on_link(addr)) || self.is_own(addr)
    }

    pub fn is_own(&self, addr: IpAddr) -> bool {
        match addr.to_canonical() {
            IpAddr::V4(addr) => {
                addr.is_loopback()
                    || self
                        .all
                        .iter()
                        .any(|one| one.v4.iter().any(|(own, _)| *own == addr))
            }
            IpAddr::V6(addr) => {
                addr.is_loopback()
                    || self
                        .all
                        .iter()
                        .any(|one| one.v6.iter().any(|(own, _)| *own == addr))
            }
        }
    }
}

/// Cheap to clone; shows the newest view, and wakes who waits for a change.
#[derive(Clone)]
pub struct Interfaces(watch::Receiver<Arc<View>>);

impl Interfaces {
    /// Reads once, then keeps watching. `only`: serve these interfaces; empty: every Ethernet-like one.
    pub fn start(only: &[String], tasks: &Tasks) -> Self {
        let only = only.to_vec();
        let (sender, receiver) = watch::channel(Arc::new(read(&only)));
        tasks.spawn("interfaces", async move {
            let wire = changes();
            if wire.is_none() {
                warn!(
                    secs = EVERY.as_secs(),
                    "the kernel does not tell changes of the network; it is asked every so often"
                );
            }
            loop {
                let _ = tokio::time::timeout(EVERY, next_change(wire.as_ref())).await;
                tokio::time::sleep(SETTLE).await;
                let new = read(&only);
                sender.send_if_modified(|old| {
                    let changed = **old != new;
                    if changed {
                        *old = Arc::new(new);
                    }
                    changed
                });
            }
        });
        Self(receiver)
    }

    /// For tests and for commands that look once: a view that does not change.
    pub fn fixed(view: View) -> Self {
        Self(watch::channel(Arc::new(view)).1)
    }

    pub fn now(&self) -> Arc<View> {
        self.0.borrow().clone()
    }

    /// Waits for a change. Pends for ever on a fixed view.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// One look at the kernel's tables.
pub fn read(only: &[String]) -> View {
    let mut all: BTreeMap<String, Interface> = BTreeMap::new();
    match getifaddrs() {
        Ok(rows) => {
            for row in rows {
                let one = all.entry(row.interface_name.clone()).or_default();
                one.name.clone_from(&row.interface_name);
                one.up = row
                    .flags
                    .contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING);
                one.loopback = row.flags.contains(InterfaceFlags::IFF_LOOPBACK);
                one.point_to_point = row.flags.contains(InterfaceFlags::IFF_POINTOPOINT);
                let Some(addr) = row.address else { continue };
                if let Some(link) = addr.as_link_addr() {
                    one.index = u32::try_from(link.ifindex()).unwrap_or(0);
                    one.mac = link.addr().filter(|mac| *mac != [0; 6]);
                } else if let Some(v4) = addr.as_sockaddr_in() {
                    let len = row
                        .netmask
                        .and_then(|mask| mask.as_sockaddr_in().map(|mask| mask.ip().to_bits().count_ones()));
                    one.v4.push((v4.ip(), len.unwrap_or(32) as u8));
                } else if let Some(v6) = addr.as_sockaddr_in6() {
                    let len = row.netmask.and_then(|mask| {
                        mask.as_sockaddr_in6()
                            .map(|mask| mask.ip().to_bits().count_ones())
                    });
                    one.v6.push((v6.ip(), len.unwrap_or(128) as u8));
                }
            }
        }
        Err(err) => warn!(%err, "interfaces could not be read"),
    }
    let all: Vec<_> = all.into_values().collect();
    let served = all
        .iter()
        .filter(|one| match only {
            [] => !one.loopback && !one.point_to_point,
            only => only.contains(&one.name),
        })
        .map(|one| one.name.clone())
        .collect();
    View {
        all,
        served,
        gateway: gateway(&fs::read_to_string("/proc/net/route").unwrap_or_default()),
    }
}

/// The default gateway of the lowest metric in the text of `/proc/net/route`.
fn gateway(table: &str) -> Option<Ipv4Addr> {
    let rows = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, destination, gateway, _, _, _, metric, mask, ..] = fields[..] else {
            return None;
        };
        let gateway = u32::from_str_radix(gateway, 16).ok().filter(|bits| *bits != 0)?;
        let metric: u32 = metric.parse().ok()?;
        // The kernel prints addresses as they lie in memory.
        (destination == "00000000" && mask == "00000000")
            .then_some((metric, Ipv4Addr::from(gateway.to_ne_bytes())))
    });
    rows.min().map(|(_, addr)| addr)
}

/// A netlink socket that hears of links, addresses and routes (rtnetlink(7)). It travels as a UDP socket, because tokio can
/// wait for any descriptor of that type and none of ours needs `unsafe` then; only `recv` is ever called on it.
fn changes() -> Option<UdpSocket> {
    // RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR
    const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // Protocol 0 is NETLINK_ROUTE.
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None).ok()?;
    rustix::net::bind(&socket, &netlink::SocketAddrNetlink::new(0, GROUPS)).ok()?;
    UdpSocket::from_std(std::net::UdpSocket::from(socket)).ok()
}

async fn next_change(wire: Option<&UdpSocket>) {
    let Some(wire) = wire else {
        return std::future::pending().await;
    };
    let mut drop = [0; 8192];
    // Also an overflow (ENOBUFS) is a reason to read anew.
    let _ = wire.recv(&mut drop).await;
    while !matches!(wire.try_recv(&mut drop), Err(err) if err.kind() == io::ErrorKind::WouldBlock) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_read_from_the_kernels_table() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            wlan0\t00000000\t0102A8C0\t0003\t0\t0\t50\t00000000\t0\t0\t0\n\
            eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
        if cfg!(target_endian = "little") {
            assert_eq!(gateway(table), Some(Ipv4Addr::new(192, 168, 2, 1)));
        }
        assert_eq!(gateway(""), None);
        assert_eq!(gateway("x\nno\ttable"), None);
    }

    #[test]
    fn only_neighbours_on_served_interfaces_are_inside() {
        let lan = Interface {
            name: "eth0".into(),
            index: 2,
            up: true,
            v4: vec![(Ipv4Addr::new(192, 168, 1, 2), 24)],
            ..Interface::default()
        };
        let wan = Interface {
            name: "ppp0".into(),
            index: 3,
            up: true,
            v4: vec![(Ipv4Addr::new(203, 0, 113, 9), 32)],
            ..Interface::default()
        };
        let view = View {
            all: vec![lan, wan],
            served: vec!["eth0".into()],
            gateway: None,
        };
        let inside = |text: &str| view.is_inside(text.parse().expect("an address"));
        assert!(
            inside("192.168.1.77")
                && inside("127.0.0.1")
                && inside("::1")
                && inside("::ffff:192.168.1.9")
                && inside("203.0.113.9")
        );
        assert!(
            !inside("192.168.2.1") && !inside("203.0.113.8") && !inside("8.8.8.8") && !inside("2001:db8::1")
        );
    }

    #[test]
    fn neighbours_stay_inside_while_the_cable_is_pulled() {
        let view = View {
            all: vec![Interface {
                name: "eth0".into(),
                up: false,
                v4: vec![(Ipv4Addr::new(192, 168, 1, 2), 24)],
                ..Interface::default()
            }],
            served: vec!["eth0".into()],
            gateway: None,
        };
        assert!(view.is_inside(IpAddr::V4(Ipv4Addr::new(192, 168, 1, 77))));
        assert!(!view.is_inside(IpAddr::V4(Ipv4Addr::new(192, 168, 2, 77))));
        assert_eq!(view.served().count(), 0);
    }

    #[test]
    fn this_machine_has_a_loopback_interface_that_is_not_served() {
        let view = read(&[]);
        let lo = view.all.iter().find(|one| one.loopback).expect("lo exists");
        assert!(!view.served.contains(&lo.name));
        assert!(view.is_own(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
}
