//! Sockets of one interface. Port 67 by UDP; beside it raw ones: frames to clients that have no address yet, ARP, and what
//! other servers say to port 68, whoever else on this machine has that port.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket as StdSocket},
    os::fd::{AsRawFd, OwnedFd},
};

use nix::{ifaddrs::getifaddrs, sys::socket::LinkAddr};
use proto::dhcp::{Answer, CLIENT_PORT, Mac, SERVER_PORT, To, arp_request, udp_frame};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::net::UdpSocket;
use tracing::debug;

pub const EVERYBODY: Mac = [0xff; 6];

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
/// Bursts of a whole home that wakes up after a power cut.
const QUEUE_BYTES: usize = 1 << 20;

/// Which interface, and who we are on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    pub mac: Mac,
    pub own: Ipv4Addr,
    pub prefix: u8,
}

/// Raw sockets. They need `CAP_NET_RAW`.
pub struct Raw {
    /// Sends frames, receives nothing.
    out: StdSocket,
    /// Hears ARP.
    pub arp: UdpSocket,
    /// Hears what is sent to port 68.
    pub ear: UdpSocket,
}

pub struct Wire {
    pub port: Port,
    pub server: UdpSocket,
    /// The same socket for sending: tokio sends nothing on a socket before it has waited for it once.
    out: StdSocket,
    /// Not there in INFORM-only mode.
    pub raw: Option<Raw>,
}

impl Wire {
    pub fn open(port: &Port, raw: bool) -> io::Result<Self> {
        let server = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        server.bind_device(Some(port.name.as_bytes()))?;
        server.set_reuse_address(true)?;
        server.set_broadcast(true)?;
        let _ = server.set_recv_buffer_size(QUEUE_BYTES);
        server.set_nonblocking(true)?;
        server.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, SERVER_PORT)).into())?;
        Ok(Self {
            port: port.clone(),
            out: server.try_clone()?.into(),
            server: UdpSocket::from_std(server.into())?,
            raw: if raw { Some(Raw::open(&port.name)?) } else { None },
        })
    }

    /// Sends an answer where its client hears it. What does not leave is lost like a datagram: the client asks again.
    pub fn say(&self, to_mac: Mac, answer: &Answer) {
        let port = &self.port;
        let from = (port.mac, port.own, SERVER_PORT);
        let sent = match (answer.to, &self.raw) {
            (To::Relay(addr), _) => self.out.send_to(&answer.bytes, (addr, SERVER_PORT)),
            (To::Addr(addr), _) => self.out.send_to(&answer.bytes, (addr, CLIENT_PORT)),
            (To::Frame(addr), Some(raw)) => {
                raw.send(&udp_frame(from, (to_mac, addr, CLIENT_PORT), &answer.bytes))
            }
            (To::Everybody, Some(raw)) => {
                let to = (EVERYBODY, Ipv4Addr::BROADCAST, CLIENT_PORT);
                raw.send(&udp_frame(from, to, &answer.bytes))
            }
            (To::Frame(_) | To::Everybody, None) => self
                .out
                .send_to(&answer.bytes, (Ipv4Addr::BROADCAST, CLIENT_PORT)),
        };
        if let Err(err) = sent {
            debug!(%err, to = ?answer.to, "a DHCP answer did not leave");
        }
    }

    /// Asks everybody who has `addr`.
    pub fn ask_for(&self, addr: Ipv4Addr) {
        if let Some(raw) = &self.raw {
            let _ = raw.send(&arp_request(self.port.mac, self.port.own, addr));
        }
    }
}

impl Raw {
    pub fn open(interface: &str) -> io::Result<Self> {
        let addr = link_addr(interface)?;
        Ok(Self {
            out: packet_socket(&addr, 0, &[])?,
            arp: UdpSocket::from_std(packet_socket(&addr, ETHERTYPE_ARP, &[])?)?,
            ear: UdpSocket::from_std(packet_socket(&addr, ETHERTYPE_IPV4, &to_client_port())?)?,
        })
    }

    pub fn send(&self, frame: &[u8]) -> io::Result<usize> {
        self.out.send(frame)
    }
}

fn link_addr(interface: &str) -> io::Result<LinkAddr> {
    getifaddrs()?
        .filter(|row| row.interface_name == interface)
        .find_map(|row| row.address?.as_link_addr().copied())
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// A packet socket (packet(7)) on one interface. It travels as a UDP socket, because tokio can wait for any descriptor of that
/// type and none of ours needs `unsafe` then; only `recv` and `send` are called on it. The address of `getifaddrs` names no
/// protocol: binding to it keeps the one the socket was made with.
fn packet_socket(addr: &LinkAddr, ethertype: u16, filter: &[SockFilter]) -> io::Result<StdSocket> {
    let protocol = Protocol::from(i32::from(ethertype.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
    if !filter.is_empty() {
        socket.attach_filter(filter)?;
    }
    socket.set_nonblocking(true)?;
    nix::sys::socket::bind(socket.as_raw_fd(), addr)?;
    let socket = StdSocket::from(OwnedFd::from(socket));
    // Between the two calls frames of other interfaces came in.
    let mut drop = [0; 64];
    for _ in 0..1_000 {
        if matches!(socket.recv(&mut drop), Err(err) if err.kind() == io::ErrorKind::WouldBlock) {
            break;
        }
    }
    Ok(socket)
}

/// Unfragmented UDP to port 68, in the language of bpf(4): all other traffic of the house never wakes us.
fn to_client_port() -> [SockFilter; 9] {
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_HALF_X: u16 = 0x48;
    const X_IS_HEADER: u16 = 0xb1;
    const IF_EQUAL: u16 = 0x15;
    const IF_BITS: u16 = 0x45;
    const RETURN: u16 = 0x06;
    [
        SockFilter::new(LOAD_BYTE, 0, 0, 23),
        SockFilter::new(IF_EQUAL, 0, 5, 17),
        SockFilter::new(LOAD_HALF, 0, 0, 20),
        SockFilter::new(IF_BITS, 3, 0, 0x1fff),
        SockFilter::new(X_IS_HEADER, 0, 0, 14),
        SockFilter::new(LOAD_HALF_X, 0, 0, 16),
        SockFilter::new(IF_EQUAL, 1, 0, CLIENT_PORT as u32),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, 0xffff),
    ]
}
