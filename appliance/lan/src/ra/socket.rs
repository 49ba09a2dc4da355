//! The raw ICMPv6 socket of one interface: hop limit 255 both ways (RFC 4861 6.1), nothing but solicitations and
//! advertisements comes up from the kernel.

use std::{
    io::{self, IoSliceMut},
    net::{Ipv6Addr, SocketAddrV6},
    os::fd::AsRawFd,
};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt};
use proto::ra::{ADVERTISEMENT, ALL_ROUTERS, SOLICITATION};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::{io::Interest, net::UdpSocket};

/// Who is farther away than this link cannot make a packet arrive with it.
const HOP_LIMIT: u8 = 255;

pub(super) struct Icmp {
    /// It travels as a UDP socket, because tokio can wait for any descriptor of that type.
    socket: UdpSocket,
    index: u32,
}

impl Icmp {
    /// Needs CAP_NET_RAW, and IPv6 on the interface.
    pub fn open(name: &str, index: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.attach_filter(&only_routers_and_who_asks_them())?;
        socket.bind_device(Some(name.as_bytes()))?;
        socket.set_unicast_hops_v6(HOP_LIMIT.into())?;
        socket.set_multicast_hops_v6(HOP_LIMIT.into())?;
        socket.set_multicast_if_v6(index)?;
        socket.set_multicast_loop_v6(false)?;
        socket.join_multicast_v6(&ALL_ROUTERS, index)?;
        setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self { socket, index })
    }

    /// The next packet that came from this link, and from whom.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Ipv6Addr)> {
        loop {
            let read = || read(&self.socket, buffer);
            let (len, from, hops) = self.socket.async_io(Interest::READABLE, read).await?;
            if hops == i32::from(HOP_LIMIT) {
                return Ok((len, from));
            }
        }
    }

    pub async fn send(&self, to: Ipv6Addr, packet: &[u8]) -> io::Result<()> {
        let to = SocketAddrV6::new(to, 0, 0, self.index);
        self.socket.send_to(packet, to).await.map(drop)
    }
}

fn read(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Ipv6Addr, i32)> {
    let mut parts = [IoSliceMut::new(buffer)];
    let mut control = nix::cmsg_space!(i32);
    let message = recvmsg::<SockaddrIn6>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut control),
        MsgFlags::empty(),
    )?;
    let mut hops = 0;
    for one in message.cmsgs()? {
        if let ControlMessageOwned::Ipv6HopLimit(limit) = one {
            hops = limit;
        }
    }
    let from = message.address.map_or(Ipv6Addr::UNSPECIFIED, |from| from.ip());
    Ok((message.bytes, from, hops))
}

/// A classic BPF program on the first byte, the type: else each neighbour solicitation of the LAN would wake us.
fn only_routers_and_who_asks_them() -> [SockFilter; 5] {
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    [
        SockFilter::new(LOAD_BYTE, 0, 0, 0),
        SockFilter::new(JUMP_IF_EQUAL, 2, 0, SOLICITATION.into()),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, ADVERTISEMENT.into()),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
}
