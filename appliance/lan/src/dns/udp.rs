//! The UDP door: packets are taken in batches, answered under one lock, and sent in batches, from the address that was
//! asked. What is in memory is answered without a task or an allocation.

use std::{
    cell::RefCell,
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsRawFd,
    sync::Arc,
    time::Duration,
};

use nix::{
    cmsg_space,
    errno::Errno,
    libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo},
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg,
        sendmsg, setsockopt, sockopt,
    },
};
use tokio::{io::Interest, net::UdpSocket};
use tracing::debug;

use super::{
    Shared,
    flight::To,
    state::{Door, From, Outcome},
};

/// Packets per system call. More: fewer calls under load, later answers to the first.
const BATCH: usize = 32;
/// A question has at most a name, one record of options and padding.
const PACKET_MAX: usize = 2048;
/// Room for bursts while the thread does something else.
const BUFFER_BYTES: usize = 1 << 20;

/// After the kernel refused to give packets.
const PAUSE: Duration = Duration::from_millis(10);

/// One socket.
pub(super) struct UdpDoor {
    socket: UdpSocket,
    v6: bool,
}

/// By which of our addresses and interfaces a packet came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Local {
    addr: IpAddr,
    index: u32,
}

/// The way back for an answer that comes later.
pub(super) struct Return {
    door: Arc<UdpDoor>,
    peer: SockaddrStorage,
    local: Local,
}

impl UdpDoor {
    pub fn open(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let v6 = socket.local_addr()?.is_ipv6();
        match v6 {
            true => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
            false => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
        }
        // The kernel gives what its limits allow.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(BUFFER_BYTES);
        Ok(Self {
            socket: UdpSocket::from_std(socket)?,
            v6,
        })
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Answers until the tasks are stopped.
    pub async fn serve(self: Arc<Self>, shared: Arc<Shared>) {
        loop {
            if let Err(err) = self.socket.readable().await {
                debug!(%err, "the socket cannot be waited for");
                return;
            }
            let turn = self.socket.try_io(Interest::READABLE, || self.turn(&shared));
            match turn {
                // More is there: others get their turn before it.
                Ok(()) => tokio::task::yield_now().await,
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                Err(err) => {
                    debug!(%err, "packets could not be taken");
                    // It may last: the thread has other work.
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// One batch. `WouldBlock` also when it was not full: then the socket is empty, and asking it once more is saved.
    fn turn(self: &Arc<Self>, shared: &Arc<Shared>) -> io::Result<()> {
        BATCHES.with_borrow_mut(|(v4, v6)| {
            let batch = if self.v6 { v6 } else { v4 };
            let batch = batch.get_or_insert_with(|| Batch::new(self.v6));
            let count = batch.receive(&self.socket)?;
            batch.answer(self, shared, count);
            batch.send(&self.socket);
            match count == BATCH {
                true => Ok(()),
                false => Err(io::ErrorKind::WouldBlock.into()),
            }
        })
    }
}

thread_local! {
    // Raw pointers in it keep it from moving between threads with a task; between two awaits it need not.
    static BATCHES: RefCell<(Option<Batch>, Option<Batch>)> = const { RefCell::new((None, None)) };
}

struct Batch {
    v6: bool,
    arriving: MultiHeaders<SockaddrStorage>,
    leaving: MultiHeaders<SockaddrStorage>,
    packets: Vec<u8>,
    came: Vec<Came>,
    replies: Vec<Vec<u8>>,
    /// Of the first `ready` replies: to whom, and from where.
    ready: usize,
    peers: Vec<Option<SockaddrStorage>>,
    locals: Vec<Local>,
}

struct Came {
    len: usize,
    peer: SockaddrStorage,
    local: Local,
}

impl Batch {
    fn new(v6: bool) -> Self {
        let space = || match v6 {
            true => cmsg_space!(in6_pktinfo),
            false => cmsg_space!(in_pktinfo),
        };
        Self {
            v6,
            arriving: MultiHeaders::preallocate(BATCH, Some(space())),
            leaving: MultiHeaders::preallocate(BATCH, Some(space())),
            packets: vec![0; BATCH * PACKET_MAX],
            came: Vec::with_capacity(BATCH),
            replies: (0..BATCH).map(|_| Vec::new()).collect(),
            ready: 0,
            peers: Vec::with_capacity(BATCH),
            locals: Vec::with_capacity(BATCH),
        }
    }

    /// Gives how many the kernel had; those without a whole way back are left out of `came`.
    fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let Self {
            arriving,
            packets,
            came,
            ..
        } = self;
        came.clear();
        let mut chunks = packets.chunks_exact_mut(PACKET_MAX);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(chunks.next().unwrap_or_default())]);
        let flags = MsgFlags::MSG_DONTWAIT;
        let packets = recvmmsg(socket.as_raw_fd(), arriving, slices.iter_mut(), flags, None)?;
        let mut count = 0;
        for packet in packets {
            count += 1;
            let local = packet.cmsgs().ok().and_then(|mut all| all.find_map(local_of));
            // Longer than any question: not looked at, but it keeps its place.
            let whole = !packet.flags.contains(MsgFlags::MSG_TRUNC);
            came.push(Came {
                len: if whole && local.is_some() { packet.bytes } else { 0 },
                peer: packet.address.unwrap_or_else(nobody),
                local: local.unwrap_or(Local {
                    addr: Ipv4Addr::UNSPECIFIED.into(),
                    index: 0,
                }),
            });
        }
        Ok(count)
    }

    fn answer(&mut self, door: &Arc<UdpDoor>, shared: &Arc<Shared>, count: usize) {
        self.ready = 0;
        self.peers.clear();
        self.locals.clear();
        let now = shared.now();
        let mut state = shared.lock();
        for (came, packet) in self
            .came
            .iter()
            .take(count)
            .zip(self.packets.chunks_exact(PACKET_MAX))
        {
            let Some(addr) = ip(&came.peer).filter(|_| came.len > 0) else {
                state.counts.dropped += 1;
                continue;
            };
            let from = From {
                addr,
                local: came.local.addr.to_canonical(),
                index: came.local.index,
                door: Door::Udp,
            };
            let back = || {
                To::Udp(Return {
                    door: door.clone(),
                    peer: came.peer,
                    local: came.local,
                })
            };
            let out = &mut self.replies[self.ready];
            let outcome = state.handle(shared, &packet[..came.len], &from, now, out, back);
            if outcome == Outcome::Reply {
                self.ready += 1;
                self.peers.push(Some(came.peer));
                self.locals.push(came.local);
            }
        }
    }

    /// Answers from one address of ours go in one call. What the kernel has no room for is lost, as on any wire.
    fn send(&mut self, socket: &UdpSocket) {
        let mut start = 0;
        while start < self.ready {
            let local = self.locals[start];
            let same = self.locals[start..self.ready]
                .iter()
                .take_while(|one| **one == local);
            let end = start + same.count();
            let sent = self.send_some(socket, start, end, local);
            // The first one could not be sent: the others do not suffer for it.
            start += sent.unwrap_or(0).max(1);
            if sent == Err(Errno::EAGAIN) {
                return;
            }
        }
    }

    fn send_some(
        &mut self,
        socket: &UdpSocket,
        start: usize,
        end: usize,
        local: Local,
    ) -> Result<usize, Errno> {
        let mut replies = self.replies[start..end].iter();
        let slices: [[IoSlice<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSlice::new(replies.next().map_or(&[], Vec::as_slice))]);
        let (v4, v6) = infos(local);
        let message = match self.v6 {
            true => ControlMessage::Ipv6PacketInfo(&v6),
            false => ControlMessage::Ipv4PacketInfo(&v4),
        };
        let sent = sendmmsg(
            socket.as_raw_fd(),
            &mut self.leaving,
            slices[..end - start].iter(),
            &self.peers[start..end],
            [message],
            MsgFlags::MSG_DONTWAIT,
        )?;
        Ok(sent.count())
    }
}

impl Return {
    pub fn send(&self, bytes: &[u8]) {
        let (v4, v6) = infos(self.local);
        let message = match self.door.v6 {
            true => ControlMessage::Ipv6PacketInfo(&v6),
            false => ControlMessage::Ipv4PacketInfo(&v4),
        };
        let sent = sendmsg(
            self.door.socket.as_raw_fd(),
            &[IoSlice::new(bytes)],
            &[message],
            MsgFlags::MSG_DONTWAIT,
            Some(&self.peer),
        );
        if let Err(err) = sent {
            debug!(%err, "an answer could not be sent");
        }
    }
}

fn local_of(message: ControlMessageOwned) -> Option<Local> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            // Of packets that systemd's socket took before we set it up the kernel knows only where they were sent to.
            let own = match info.ipi_spec_dst.s_addr {
                0 => info.ipi_addr.s_addr,
                own => own,
            };
            Some(Local {
                addr: Ipv4Addr::from(own.to_ne_bytes()).into(),
                index: u32::try_from(info.ipi_ifindex).unwrap_or(0),
            })
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(Local {
            addr: Ipv6Addr::from(info.ipi6_addr.s6_addr).into(),
            index: info.ipi6_ifindex,
        }),
        _ => None,
    }
}

/// What the kernel is told about where an answer comes from. For IPv4 the address is enough, and the route decides.
fn infos(local: Local) -> (in_pktinfo, in6_pktinfo) {
    let v4 = match local.addr {
        IpAddr::V4(addr) => u32::from_ne_bytes(addr.octets()),
        IpAddr::V6(_) => 0,
    };
    let v6 = match local.addr {
        IpAddr::V6(addr) => addr.octets(),
        IpAddr::V4(_) => [0; 16],
    };
    let link_local = matches!(local.addr, IpAddr::V6(addr) if addr.is_unicast_link_local());
    (
        in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr { s_addr: v4 },
            ipi_addr: in_addr { s_addr: 0 },
        },
        in6_pktinfo {
            ipi6_addr: in6_addr { s6_addr: v6 },
            ipi6_ifindex: if link_local { local.index } else { 0 },
        },
    )
}

fn ip(peer: &SockaddrStorage) -> Option<IpAddr> {
    if let Some(v4) = peer.as_sockaddr_in() {
        return Some(v4.ip().into());
    }
    peer.as_sockaddr_in6()
        .map(|v6| IpAddr::V6(v6.ip()).to_canonical())
}

fn nobody() -> SockaddrStorage {
    SockaddrStorage::from(std::net::SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))
}
