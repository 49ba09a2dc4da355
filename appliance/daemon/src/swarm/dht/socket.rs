//! The UDP sockets, one per network.

use std::{
    io,
    net::{SocketAddr, UdpSocket as StdSocket},
    time::Duration,
};

use proto::dht::id::Family;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tracing::warn;

use super::Error;

/// Kernel buffer: a burst of replies must survive a busy moment. Larger only costs memory while it is full.
const BUFFER_BYTES: usize = 256 * 1024;
/// Longer datagrams are cut, and what is cut is no bencoding.
pub const DATAGRAM_MAX: usize = 2_048;

const WRITABLE_DEADLINE: Duration = Duration::from_secs(1);

/// At least one of them is open.
pub struct Sockets {
    v4: Option<Link>,
    v6: Option<Link>,
}

/// What carries datagrams.
pub enum Link {
    Udp(UdpSocket),
    #[cfg(test)]
    Wire(super::wire::End),
}

impl Link {
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Link::Udp(socket) => socket.local_addr(),
            #[cfg(test)]
            Link::Wire(end) => end.local_addr(),
        }
    }

    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self {
            Link::Udp(socket) => socket.try_recv_from(buffer),
            #[cfg(test)]
            Link::Wire(end) => end.try_recv_from(buffer),
        }
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        match self {
            Link::Udp(socket) => socket.try_send_to(datagram, to),
            #[cfg(test)]
            Link::Wire(end) => end.try_send_to(datagram, to),
        }
    }

    /// An error shows again, and is handled, when the socket is read or written.
    async fn readable(&self) {
        match self {
            Link::Udp(socket) => drop(socket.readable().await),
            #[cfg(test)]
            Link::Wire(end) => end.readable().await,
        }
    }

    async fn writable(&self) {
        match self {
            Link::Udp(socket) => drop(socket.writable().await),
            #[cfg(test)]
            Link::Wire(_) => {}
        }
    }
}

impl Sockets {
    /// IPv6 is optional: a home without it only gets a warning.
    pub fn open(v4: Option<SocketAddr>, v6: Option<SocketAddr>) -> Result<Self, Error> {
        let listen = |addr| {
            open(addr)
                .map(Link::Udp)
                .map_err(|reason| Error::Listen { addr, reason })
        };
        let v4 = v4.map(listen).transpose()?;
        let v6 = match v6.map(listen).transpose() {
            Ok(socket) => socket,
            Err(err) if v4.is_none() => return Err(err),
            Err(err) => {
                warn!(%err, "no IPv6 for the DHT; going on with IPv4");
                None
            }
        };
        if v4.is_none() && v6.is_none() {
            return Err(Error::NoAddress);
        }
        Ok(Self { v4, v6 })
    }

    /// One end of a network in memory.
    #[cfg(test)]
    pub fn on_wire(wire: &super::wire::Wire, addr: SocketAddr) -> Result<Self, Error> {
        let end = wire.open(addr).map_err(|reason| Error::Listen { addr, reason })?;
        Ok(Self {
            v4: Some(Link::Wire(end)),
            v6: None,
        })
    }

    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        [&self.v4, &self.v6]
            .into_iter()
            .flatten()
            .filter_map(|socket| socket.local_addr().ok())
            .collect()
    }

    pub fn get(&self, family: Family) -> Option<&Link> {
        match family {
            Family::V4 => self.v4.as_ref(),
            Family::V6 => self.v6.as_ref(),
        }
    }

    /// Waits until the runtime knows that the sockets can send; before, it would drop the first datagrams.
    pub async fn writable(&self) {
        for socket in [&self.v4, &self.v6].into_iter().flatten() {
            let _ = tokio::time::timeout(WRITABLE_DEADLINE, socket.writable()).await;
        }
    }

    /// Waits until a datagram is there; for ever without such a socket.
    pub async fn readable(&self, family: Family) {
        match self.get(family) {
            Some(socket) => socket.readable().await,
            None => std::future::pending().await,
        }
    }

    /// Sends or forgets: like any datagram it may be lost, and the lookup copes with that.
    pub fn send(&self, to: SocketAddr, datagram: &[u8]) {
        if let Some(socket) = self.get(Family::of(&to))
            && let Err(err) = socket.try_send_to(datagram, to)
        {
            tracing::trace!(addr = %to, %err, "datagram not sent");
        }
    }
}

fn open(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        // The two networks have nothing in common (BEP 32), and IPv4 has a socket of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // Smaller than wished is no reason not to start.
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    socket.bind(&addr.into())?;
    UdpSocket::from_std(StdSocket::from(socket))
}

/// Whether a node bound to `addr` can only reach this machine.
pub fn is_loopback(addr: Option<SocketAddr>) -> bool {
    addr.is_some_and(|addr| addr.ip().is_loopback())
}
