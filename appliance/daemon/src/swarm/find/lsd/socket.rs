//! Network interfaces and their multicast sockets.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::Config;

/// More: sockets for bridges of containers nobody meant.
const INTERFACES_MAX: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Interface {
    pub name: String,
    pub index: u32,
}

/// Multicast-capable interfaces that are up, from sysfs.
pub(super) fn interfaces(config: &Config) -> Vec<Interface> {
    const UP: u32 = 0x1;
    const LOOPBACK: u32 = 0x8;
    const MULTICAST: u32 = 0x1000;
    let read = |path: &Path, name: &str| std::fs::read_to_string(path.join(name)).ok();
    let Ok(folder) = std::fs::read_dir("/sys/class/net") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for path in folder.flatten().map(|entry| entry.path()) {
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default()
            .to_owned();
        let flags =
            read(&path, "flags").and_then(|f| u32::from_str_radix(f.trim().strip_prefix("0x")?, 16).ok());
        let index = read(&path, "ifindex").and_then(|i| i.trim().parse().ok());
        let (Some(flags), Some(index)) = (flags, index) else {
            continue;
        };
        let usable = flags & UP != 0 && flags & MULTICAST != 0 && flags & LOOPBACK == 0;
        let meant = if config.interfaces.is_empty() {
            usable
        } else {
            config.interfaces.contains(&name)
        };
        if meant {
            found.push(Interface { name, index });
        }
    }
    found.sort();
    found.truncate(INTERFACES_MAX);
    found
}

/// A socket of one interface on the group's port, shared with other clients on this machine.
pub(super) fn open(interface: &Interface, group: SocketAddr) -> std::io::Result<UdpSocket> {
    let Interface { name, index } = interface;
    let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind_device(Some(name.as_bytes()))?;
    match group {
        SocketAddr::V4(group) => {
            socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, group.port())).into())?;
            socket.join_multicast_v4_n(group.ip(), &InterfaceIndexOrAddress::Index(*index))?;
            // Otherwise packets on loopback carry another interface's address.
            if name == "lo" {
                socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST)?;
            }
            socket.set_multicast_ttl_v4(1)?;
            socket.set_multicast_loop_v4(true)?;
        }
        SocketAddr::V6(group) => {
            socket.set_only_v6(true)?;
            socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, group.port())).into())?;
            socket.join_multicast_v6(group.ip(), *index)?;
            socket.set_multicast_if_v6(*index)?;
            socket.set_multicast_hops_v6(1)?;
            socket.set_multicast_loop_v6(true)?;
        }
    }
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

/// The group as it is written to, with the interface's scope.
pub(super) fn scoped(mut group: SocketAddr, index: u32) -> SocketAddr {
    if let SocketAddr::V6(group) = &mut group {
        group.set_scope_id(index);
    }
    group
}
