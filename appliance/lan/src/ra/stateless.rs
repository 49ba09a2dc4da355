//! The port of stateless DHCPv6 on one interface.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr, SocketAddrV6},
};

use proto::dhcp6;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// Longer requests are not read to their end, and then not understood.
const REQUEST_BYTES_MAX: usize = 1500;

pub(super) struct Stateless(UdpSocket);

impl Stateless {
    /// Needs CAP_NET_BIND_SERVICE.
    pub fn open(name: &str, index: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_only_v6(true)?;
        socket.bind_device(Some(name.as_bytes()))?;
        socket.join_multicast_v6(&dhcp6::SERVERS, index)?;
        socket.set_nonblocking(true)?;
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, dhcp6::SERVER_PORT));
        socket.bind(&any.into())?;
        UdpSocket::from_std(socket.into()).map(Self)
    }

    /// Answers the next request of a neighbour.
    pub async fn answer(&self, duid: &[u8], dns: &[Ipv6Addr], search: &[&str]) -> io::Result<()> {
        let mut request = [0; REQUEST_BYTES_MAX];
        let (len, from) = self.0.recv_from(&mut request).await?;
        let SocketAddr::V6(from) = from else { return Ok(()) };
        // Clients speak from their link-local address (RFC 8415 13.1): nobody from outside can be answered.
        if !from.ip().is_unicast_link_local() {
            return Ok(());
        }
        if let Some(reply) = dhcp6::reply(&request[..len], duid, dns, search) {
            let to = SocketAddrV6::new(*from.ip(), from.port(), 0, from.scope_id());
            self.0.send_to(&reply, to).await?;
        }
        Ok(())
    }
}
