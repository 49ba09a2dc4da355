//! The sockets of one interface on the port that all responders of a machine share.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use proto::mdns::{GROUP_V4, GROUP_V6, PORT};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// RFC 6762 11.
const HOP_LIMIT: u32 = 255;

pub(super) fn open_v4(name: &str, index: u32) -> io::Result<UdpSocket> {
    let socket = shared(Domain::IPV4, name)?;
    socket.set_multicast_ttl_v4(HOP_LIMIT)?;
    socket.set_ttl_v4(HOP_LIMIT)?;
    socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(index))?;
    bound(socket, Ipv4Addr::UNSPECIFIED.into())
}

pub(super) fn open_v6(name: &str, index: u32) -> io::Result<UdpSocket> {
    let socket = shared(Domain::IPV6, name)?;
    socket.set_only_v6(true)?;
    socket.set_multicast_hops_v6(HOP_LIMIT)?;
    socket.set_unicast_hops_v6(HOP_LIMIT)?;
    socket.set_multicast_if_v6(index)?;
    socket.join_multicast_v6(&GROUP_V6, index)?;
    bound(socket, Ipv6Addr::UNSPECIFIED.into())
}

/// What we send to the group comes back to this machine too: its other programs look for the box like everybody.
fn shared(domain: Domain, name: &str) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // The route to a group is nobody's default: the interface is said.
    socket.bind_device(Some(name.as_bytes()))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bound(socket: Socket, any: std::net::IpAddr) -> io::Result<UdpSocket> {
    socket.bind(&SocketAddr::new(any, PORT).into())?;
    UdpSocket::from_std(socket.into())
}
