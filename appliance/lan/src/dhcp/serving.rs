//! What one interface hands out: from the settings, the interface and the box's own gateway. No I/O.

use std::{collections::HashSet, net::Ipv4Addr};

use proto::dhcp::{HandOut, Mode, Pool, Route, Serving};

use super::wire::Port;
use crate::settings::{DhcpMode, Settings, parse_mac};

/// Everything besides the settings.
pub struct Around {
    pub gateway: Option<Ipv4Addr>,
    /// What is named as the box instead of the interface's address.
    pub advertise: Option<Ipv4Addr>,
    pub http_port: u16,
}

/// `None`: this mode serves nothing.
pub fn mode(mode: DhcpMode) -> Option<Mode> {
    match mode {
        DhcpMode::Off => None,
        DhcpMode::Inform => Some(Mode::Inform),
        DhcpMode::Lease => Some(Mode::Lease),
    }
}

/// The chosen pool where it fits, else one of our choice; then a text says why.
pub fn pool(settings: &Settings, port: &Port) -> Result<(Pool, Option<String>), String> {
    let ours = Pool::chosen(port.own, port.prefix).ok_or_else(|| {
        format!(
            "the network {}/{} of {} has no room for devices",
            port.own, port.prefix, port.name
        )
    });
    let Some(chosen) = settings.dhcp.pool else {
        return Ok((ours?, None));
    };
    let wanted = Pool {
        first: chosen.first,
        last: chosen.last,
    };
    if let Some(pool) = wanted.inside(port.own, port.prefix) {
        return Ok((pool, None));
    }
    let ours = ours?;
    let text = format!(
        "the pool {} to {} does not fit into the network {}/{} of {}; {} to {} is used",
        chosen.first, chosen.last, port.own, port.prefix, port.name, ours.first, ours.last
    );
    Ok((ours, Some(text)))
}

pub fn serving(settings: &Settings, mode: Mode, port: &Port, around: &Around) -> Serving {
    let dhcp = &settings.dhcp;
    let inside = |addr: &Ipv4Addr| {
        let mask = u32::MAX.checked_shl(32 - u32::from(port.prefix)).unwrap_or(0);
        (addr.to_bits() ^ port.own.to_bits()) & mask == 0
    };
    // A router that devices cannot reach would be worse than none.
    let router = dhcp.router.or(around.gateway).filter(inside);
    let box_addr = around.advertise.unwrap_or(port.own);
    let resolvers = [Some(box_addr), dhcp.second_resolver];
    let beside = [router, dhcp.second_resolver];
    let taken: HashSet<_> = [Some(box_addr), Some(port.own), router, dhcp.second_resolver]
        .into_iter()
        .flatten()
        .chain(dhcp.ntp.iter().copied())
        .chain(dhcp.routes.iter().map(|route| route.gateway))
        .collect();
    Serving {
        mode,
        own: port.own,
        prefix: port.prefix,
        lease_secs: dhcp.lease_secs,
        hand_out: HandOut {
            router,
            resolvers: some_once(resolvers),
            resolvers_beside: some_once(beside),
            domain: settings.names.domain.clone(),
            ntp: dhcp.ntp.iter().take(4).copied().collect(),
            mtu: dhcp.mtu.filter(|mtu| *mtu >= 576),
            routes: dhcp.routes.iter().take(16).filter_map(route).collect(),
            wpad: Some(match around.http_port {
                80 => format!("http://{box_addr}/wpad.dat"),
                port => format!("http://{box_addr}:{port}/wpad.dat"),
            }),
        },
        reserved: dhcp
            .reservations
            .iter()
            .filter_map(|one| Some((parse_mac(&one.mac)?, one.addr)))
            .collect(),
        taken,
        beside: settings
            .devices
            .iter()
            .filter(|device| device.bypass)
            .filter_map(|device| parse_mac(&device.mac))
            .collect(),
        durable: true,
    }
}

fn some_once(addrs: [Option<Ipv4Addr>; 2]) -> Vec<Ipv4Addr> {
    let mut list: Vec<_> = addrs.into_iter().flatten().collect();
    list.dedup();
    list
}

/// `10.0.0.0/8` and a gateway.
fn route(route: &crate::settings::Route) -> Option<Route> {
    let (network, prefix) = route.network.split_once('/')?;
    Some(Route {
        network: network.parse().ok()?,
        prefix: prefix.parse().ok().filter(|prefix| *prefix <= 32)?,
        gateway: route.gateway,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port() -> Port {
        Port {
            name: "eth0".into(),
            mac: [2; 6],
            own: Ipv4Addr::new(192, 168, 1, 2),
            prefix: 24,
        }
    }

    fn around(gateway: [u8; 4], http_port: u16) -> Around {
        Around {
            gateway: Some(gateway.into()),
            advertise: None,
            http_port,
        }
    }

    #[test]
    fn the_box_is_the_first_resolver_and_its_gateway_the_router() {
        let mut settings = Settings::default();
        settings.dhcp.second_resolver = Some(Ipv4Addr::new(192, 168, 1, 1));
        let serving = serving(&settings, Mode::Lease, &port(), &around([192, 168, 1, 1], 80));
        let out = &serving.hand_out;
        assert_eq!(out.router, Some(Ipv4Addr::new(192, 168, 1, 1)));
        assert_eq!(out.resolvers, [port().own, Ipv4Addr::new(192, 168, 1, 1)]);
        assert_eq!(out.resolvers_beside, [Ipv4Addr::new(192, 168, 1, 1)]);
        assert_eq!(out.wpad.as_deref(), Some("http://192.168.1.2/wpad.dat"));
        assert_eq!(out.domain, "home.arpa");
    }

    #[test]
    fn the_port_stands_in_option_252_only_when_it_is_not_80() {
        let serving = serving(
            &Settings::default(),
            Mode::Lease,
            &port(),
            &around([10, 0, 0, 1], 42080),
        );
        assert_eq!(
            serving.hand_out.wpad.as_deref(),
            Some("http://192.168.1.2:42080/wpad.dat")
        );
        assert_eq!(serving.hand_out.router, None, "no device could reach it");
    }

    #[test]
    fn a_pool_of_another_network_gives_way_and_is_told() {
        let mut settings = Settings::default();
        assert_eq!(pool(&settings, &port()).expect("there is one").1, None);
        settings.dhcp.pool = Some(crate::settings::Pool {
            first: Ipv4Addr::new(10, 0, 0, 1),
            last: Ipv4Addr::new(10, 0, 0, 9),
        });
        let (pool, told) = pool(&settings, &port()).expect("there is one");
        assert_eq!(pool.first, Ipv4Addr::new(192, 168, 1, 100));
        assert!(told.expect("it is told").contains("10.0.0.1"));
    }
}
