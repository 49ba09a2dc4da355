//! Which resolvers the network told this box: the files are read, never ourselves.

use std::{
    fs,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    path::{Path, PathBuf},
    time::SystemTime,
};

use proto::dns::upstream::{
    address::Address,
    learn::{self, Server},
};

use crate::interfaces::View;

/// Larger files are not what they should be.
const FILE_MAX: u64 = 64 * 1024;

/// Where those who manage the network of this box write its resolvers, the best source first.
#[derive(Debug, Clone)]
pub struct Files {
    pub resolved: PathBuf,
    pub networkd: PathBuf,
    pub network_manager: PathBuf,
    pub resolv_conf: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            resolved: "/run/systemd/resolve/resolv.conf".into(),
            networkd: "/run/systemd/netif/state".into(),
            network_manager: "/run/NetworkManager/resolv.conf".into(),
            resolv_conf: "/etc/resolv.conf".into(),
        }
    }
}

impl Files {
    fn paths(&self) -> [&Path; 4] {
        [
            &self.resolved,
            &self.networkd,
            &self.network_manager,
            &self.resolv_conf,
        ]
    }

    /// Changes when one of the files does.
    pub fn stamp(&self) -> [Option<(SystemTime, u64)>; 4] {
        self.paths().map(|path| {
            let facts = fs::metadata(path).ok()?;
            Some((facts.modified().ok()?, facts.len()))
        })
    }

    /// The default gateway is the last resort: nearly every home router answers.
    pub fn servers(&self, view: &View) -> Vec<Address> {
        let [resolved, networkd, network_manager, resolv_conf] = self.paths().map(read);
        let gateway = view.gateway.map(|ip| Server {
            ip: ip.into(),
            zone: None,
        });
        let sources = [
            learn::resolv_conf(&resolved),
            learn::networkd_state(&networkd),
            learn::resolv_conf(&network_manager),
            learn::resolv_conf(&resolv_conf),
            gateway.into_iter().collect(),
        ];
        learn::choose(sources, |ip| view.is_own(ip))
            .iter()
            .filter_map(|server| Some(Address::plain(with_zone(server, view)?)))
            .collect()
    }
}

fn read(path: &Path) -> String {
    let small = fs::metadata(path).is_ok_and(|facts| facts.len() <= FILE_MAX);
    let text = small.then(|| fs::read_to_string(path).ok()).flatten();
    text.unwrap_or_default()
}

/// A link-local address is one only together with its interface.
fn with_zone(server: &Server, view: &View) -> Option<SocketAddr> {
    match server.ip {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            let zone = server.zone.as_deref()?;
            let one = view.all.iter().find(|one| one.name == zone)?;
            Some(SocketAddrV6::new(ip, 53, 0, one.index).into())
        }
        ip => Some(SocketAddr::new(ip, 53)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::interfaces::Interface;

    #[test]
    fn the_best_source_wins_and_the_gateway_is_the_last_resort() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let files = Files {
            resolved: path("resolved"),
            networkd: path("networkd"),
            network_manager: path("nm"),
            resolv_conf: path("resolv.conf"),
        };
        let view = View {
            all: vec![Interface {
                name: "eth0".into(),
                index: 7,
                up: true,
                v4: vec![(Ipv4Addr::new(192, 168, 1, 2), 24)],
                ..Interface::default()
            }],
            served: vec!["eth0".into()],
            gateway: Some(Ipv4Addr::new(192, 168, 1, 1)),
        };
        let found = || {
            let servers = files.servers(&view);
            servers.iter().map(|one| one.addr.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found(), ["192.168.1.1:53"]);
        let before = files.stamp();
        fs::write(path("resolv.conf"), "nameserver 127.0.0.1\nnameserver 9.9.9.9\n").expect("writable");
        assert_ne!(files.stamp(), before);
        assert_eq!(found(), ["9.9.9.9:53"]);
        fs::write(path("networkd"), "DNS=10.0.0.1 fe80::1%eth0 fe80::2%gone\n").expect("writable");
        assert_eq!(found(), ["10.0.0.1:53", "[fe80::1%7]:53"]);
        fs::write(path("resolved"), "nameserver 192.168.1.2\n").expect("writable");
        assert_eq!(found(), ["10.0.0.1:53", "[fe80::1%7]:53"]);
    }
}
