//! Asks the home's router to let peers in: NAT-PMP (RFC 6886) first, then UPnP IGD. Renews while we run, removes at the end,
//! and says in a sentence what became of it.
//!
//! librqbit-upnp is not used: it neither removes a mapping nor tells the outside address, reads answers without a bound, and
//! follows a `Location` to wherever any machine of the network says.

mod natpmp;
mod upnp;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, PoisonError},
    time::Duration,
};

use proto::guard::{self, Policy};
use tokio::time::{sleep, timeout};
use tracing::info;

use super::{Outside, Room};

/// Where routers are looked for; tests give their own.
#[derive(Debug, Clone)]
pub struct Config {
    /// The NAT-PMP server; `None`: port 5351 of the default gateway.
    pub gateway: Option<SocketAddr>,
    /// Where UPnP devices are searched.
    pub ssdp: SocketAddr,
    /// Further UDP ports to open besides the listener's TCP and UDP port: the DHT's, when it differs.
    pub udp_ports: Vec<u16>,
    /// How long a mapping lasts unless renewed. Longer: a crash leaves the door open longer. Shorter: more packets.
    pub lease: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            gateway: None,
            ssdp: SocketAddr::from(([239, 255, 255, 250], 1900)),
            udp_ports: Vec::new(),
            lease: Duration::from_secs(3600),
        }
    }
}

/// One door in the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Door {
    pub tcp: bool,
    pub port: u16,
}

/// A router that opened our doors.
enum Router {
    NatPmp(SocketAddr),
    Upnp(upnp::Device),
}

/// What a router granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Granted {
    pub external: Option<Ipv4Addr>,
    /// The outside port of the first door.
    pub port: u16,
}

/// After a renewal or a search that found nobody.
const RETRY: Duration = Duration::from_secs(20 * 60);

/// For removing our mappings at the end.
const REMOVE_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn start(room: &Arc<Room>) {
    let Some(config) = room.config.portmap.clone() else {
        return;
    };
    let token = room.tasks.token();
    let room = room.clone();
    room.tasks.clone().spawn_graceful("find.portmap", async move {
        let mut router = None;
        tokio::select! {
            () = token.cancelled() => {}
            () = hold_open(&room, &config, &mut router) => {}
        }
        if let Some((router, doors)) = router {
            let _ = timeout(REMOVE_WITHIN, router.close(&doors)).await;
        }
    });
}

/// Opens and renews for ever; `held` is what has to be closed at the end.
async fn hold_open(room: &Room, config: &Config, held: &mut Option<(Router, Vec<Door>)>) {
    loop {
        room.reachable().await;
        let port = room.own_port();
        let doors = doors(port, &config.udp_ports);
        let mut pause = RETRY;
        let outside = match open(&doors, config, &room.config.policy, held.take()).await {
            Some((router, granted)) => {
                let outside = opened(port, &router, &granted);
                *held = Some((router, doors));
                pause = config.lease / 2;
                outside
            }
            None => Outside {
                words: format!(
                    "no router answered; peers outside reach us only if port {port} is forwarded by hand, finding and \
                     fetching work all the same"
                ),
                ..Outside::default()
            },
        };
        if let Some((dht, ip)) = room.dht.as_ref().zip(outside.ip) {
            dht.external(ip).await;
        }
        learn(room, outside);
        sleep(pause).await;
    }
}

fn learn(room: &Room, outside: Outside) {
    let mut known = room.outside.lock().unwrap_or_else(PoisonError::into_inner);
    if known.words != outside.words {
        info!(reason = %outside.words, "port mapping");
    }
    *known = outside;
}

/// TCP first: its outside port is the one that is announced.
fn doors(port: u16, udp_ports: &[u16]) -> Vec<Door> {
    let mut doors = vec![Door { tcp: true, port }, Door { tcp: false, port }];
    doors.extend(
        udp_ports
            .iter()
            .filter(|p| **p != port && **p != 0)
            .map(|p| Door { tcp: false, port: *p }),
    );
    doors
}

/// The router that worked before is asked first.
async fn open(
    doors: &[Door],
    config: &Config,
    policy: &Policy,
    before: Option<(Router, Vec<Door>)>,
) -> Option<(Router, Granted)> {
    if let Some((Router::Upnp(device), _)) = before
        && let Some(granted) = device.open(doors, config.lease).await
    {
        return Some((Router::Upnp(device), granted));
    }
    let gateway = config
        .gateway
        .or_else(|| Some(SocketAddr::new(default_gateway()?.into(), natpmp::PORT)));
    if let Some(gateway) = gateway
        && let Some(granted) = natpmp::open(gateway, doors, config.lease).await
    {
        return Some((Router::NatPmp(gateway), granted));
    }
    for device in upnp::discover(config.ssdp, policy).await {
        if let Some(granted) = device.open(doors, config.lease).await {
            return Some((Router::Upnp(device), granted));
        }
    }
    None
}

impl Router {
    async fn close(&self, doors: &[Door]) {
        match self {
            Self::NatPmp(gateway) => natpmp::close(*gateway, doors).await,
            Self::Upnp(device) => device.close(doors).await,
        }
    }
}

fn opened(port: u16, router: &Router, granted: &Granted) -> Outside {
    let by = match router {
        Router::NatPmp(_) => "NAT-PMP",
        Router::Upnp(_) => "UPnP",
    };
    let mut words = format!("the router opened port {} ({by})", granted.port);
    let ip = granted.external.map(IpAddr::V4);
    // A router behind another router opens a door to a corridor.
    if let Some(ip) = ip.filter(|ip| guard::ip_allowed(*ip, &Policy::default()).is_err()) {
        words.push_str(&format!(
            ", but its own address {ip} is not a public one: the provider or a second router stands in front of it, and \
             peers outside cannot dial in"
        ));
    }
    Outside {
        ip,
        port: Some(granted.port).filter(|outside| *outside != port),
        words,
    }
}

/// The IPv4 default gateway, from the kernel's routing table.
fn default_gateway() -> Option<Ipv4Addr> {
    gateway_of(&std::fs::read_to_string("/proc/net/route").ok()?)
}

/// `/proc/net/route`: interface, destination, gateway, flags…; addresses are hexadecimal in the machine's byte order.
fn gateway_of(table: &str) -> Option<Ipv4Addr> {
    const GATEWAY: u32 = 0x2;
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let mut hex = || u32::from_str_radix(fields.next()?, 16).ok();
        let (destination, gateway, flags) = (hex()?, hex()?, hex()?);
        (destination == 0 && flags & GATEWAY != 0).then(|| Ipv4Addr::from(gateway.to_ne_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_gateway_is_read_from_the_routing_table() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n\
                     eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
        if cfg!(target_endian = "little") {
            assert_eq!(gateway_of(table), Some(Ipv4Addr::new(192, 168, 1, 1)));
        }
        assert_eq!(gateway_of("Iface\n"), None);
        assert_eq!(gateway_of("Iface\neth0 zz\n\neth0\n"), None);
    }

    #[test]
    fn the_sentence_says_when_a_second_router_is_in_front() {
        let gateway = Router::NatPmp(([127, 0, 0, 1], 5351).into());
        let far = |ip: [u8; 4], port| {
            opened(
                6881,
                &gateway,
                &Granted {
                    external: Some(ip.into()),
                    port,
                },
            )
        };
        assert_eq!(
            far([9, 9, 9, 9], 6881).words,
            "the router opened port 6881 (NAT-PMP)"
        );
        assert_eq!(
            (far([9, 9, 9, 9], 6881).port, far([9, 9, 9, 9], 7000).port),
            (None, Some(7000))
        );
        assert!(far([100, 64, 0, 1], 6881).words.contains("cannot dial in"));
    }
}
