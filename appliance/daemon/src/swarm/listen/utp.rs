//! uTP (BEP 29) by librqbit-utp, on a socket that answers strangers sparingly.

use std::{
    collections::HashMap,
    future::Future,
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use librqbit_dualstack_sockets::{BindOpts, PollSendToVectored, UdpSocket};
use librqbit_utp::{SocketOpts, Transport, UtpSocket, UtpSocketUdp};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::wire::Wire;

/// Receive window per connection. We upload: peers send us requests, 17 bytes each.
const RECEIVE_WINDOW: usize = 64 << 10;

/// Unacknowledged bytes per connection at most: 100 ms at 40 Mbit/s.
const SEND_WINDOW: usize = 512 << 10;

/// Kernel buffer for datagrams that wait for us.
const SOCKET_BUFFER: usize = 1 << 20;

/// A peer that acknowledges nothing for this long is gone.
const SILENCE: Duration = Duration::from_secs(20);

/// Strangers remembered who got one answer to their SYN.
const STRANGERS_MAX: usize = 1024;

/// How long one is remembered: longer than the crate repeats its answer, because the handshake deadline ends it.
const STRANGER_FOR: Duration = Duration::from_secs(30);

/// The crate keeps its environment type private, yet its constructor asks for it: this names it.
trait Parts {
    type Environment;
}
impl<T, E> Parts for UtpSocket<T, E> {
    type Environment = E;
}
type Environment = <UtpSocketUdp as Parts>::Environment;

pub struct Socket {
    inner: Arc<UtpSocket<Sparing, Environment>>,
}

/// The UDP socket on the same address as the TCP listener.
pub fn bind(addr: SocketAddr, connections_max: usize, token: CancellationToken) -> io::Result<Socket> {
    let udp = UdpSocket::bind_udp(
        addr,
        BindOpts {
            request_dualstack: true,
            reuseport: false,
            device: None,
        },
    )
    .map_err(io::Error::other)?;
    // Best effort: the default holds 200 KiB, a few connections' windows.
    let _ = socket2::SockRef::from(udp.socket()).set_recv_buffer_size(SOCKET_BUFFER);
    let size = |n: usize| NonZeroUsize::new(n.max(1));
    let opts = SocketOpts {
        vsock_rx_bufsize_bytes: size(RECEIVE_WINDOW),
        vsock_tx_bufsize_bytes_max: size(SEND_WINDOW),
        max_live_vsocks: size(connections_max),
        remote_inactivity_timeout: Some(SILENCE),
        cancellation_token: token,
        ..SocketOpts::default()
    };
    let inner = UtpSocket::new_with_opts(Sparing::new(udp), Environment::default(), opts)
        .map_err(io::Error::other)?;
    Ok(Socket { inner })
}

impl Socket {
    pub async fn accept(&self) -> io::Result<(SocketAddr, Wire)> {
        let stream = self.inner.accept().await.map_err(io::Error::other)?;
        let peer = stream.remote_addr();
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let (read, write) = stream.split();
        Ok((peer, Wire::new(Box::new(read), Box::new(write))))
    }
}

/// The UDP socket as the crate sees it. Until a stranger has proven that it receives at the address it claims, by naming a
/// number from our answer, it gets one packet per SYN: the crate repeats its answer every 200 ms, and a forged sender
/// address must not make us a reflector.
pub struct Sparing {
    udp: UdpSocket,
    strangers: Mutex<HashMap<(SocketAddr, u16), Stranger>>,
}

/// A connection by the id its SYN carried.
struct Stranger {
    answers_left: u32,
    /// Sequence number of our answer.
    answer: Option<u16>,
    since: Instant,
}

impl Sparing {
    fn new(udp: UdpSocket) -> Self {
        Self {
            udp,
            strangers: Mutex::default(),
        }
    }

    fn strangers(&self) -> MutexGuard<'_, HashMap<(SocketAddr, u16), Stranger>> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the crate may see this packet.
    fn heard(&self, packet: &[u8], from: SocketAddr) -> bool {
        let Some(head) = Head::of(packet) else {
            return false;
        };
        let mut strangers = self.strangers();
        if !head.syn {
            // Packets of the connecting side carry the id of its SYN plus one. An answer has no data and some count it as
            // received, some not yet: they acknowledge its number, or the one before.
            let key = (from, head.id.wrapping_sub(1));
            let acks = [head.ack, head.ack.wrapping_add(1)];
            let proven = |s: &Stranger| s.answer.is_some_and(|answer| acks.contains(&answer));
            if strangers.get(&key).is_some_and(proven) {
                strangers.remove(&key);
            }
            return true;
        }
        if strangers.len() >= STRANGERS_MAX {
            strangers.retain(|_, s| s.since.elapsed() < STRANGER_FOR);
        }
        let known = strangers.contains_key(&(from, head.id));
        if !known && strangers.len() >= STRANGERS_MAX {
            return false;
        }
        let stranger = strangers.entry((from, head.id)).or_insert(Stranger {
            answers_left: 0,
            answer: None,
            since: Instant::now(),
        });
        stranger.answers_left += 1;
        true
    }

    /// Whether this packet may leave.
    fn may_send(&self, packet: &[u8], to: SocketAddr) -> bool {
        let Some(head) = Head::of(packet) else {
            return true;
        };
        let mut strangers = self.strangers();
        let Some(stranger) = strangers.get_mut(&(to, head.id)) else {
            return true;
        };
        if stranger.answers_left == 0 {
            return false;
        }
        stranger.answers_left -= 1;
        stranger.answer = Some(head.seq);
        true
    }
}

/// What of a uTP header matters here (BEP 29).
struct Head {
    syn: bool,
    id: u16,
    seq: u16,
    ack: u16,
}

impl Head {
    fn of(packet: &[u8]) -> Option<Self> {
        let head = packet.first_chunk::<20>()?;
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        Some(Self {
            syn: head[0] >> 4 == 4,
            id: word(2),
            seq: word(16),
            ack: word(18),
        })
    }
}

impl PollSendToVectored for Sparing {
    fn poll_send_to_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        if bufs.first().is_some_and(|head| !self.may_send(head, target)) {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        self.udp.poll_send_to_vectored(cx, bufs, target)
    }
}

impl Transport for Sparing {
    // The trait asks for `Sync` futures, which `async fn` cannot promise.
    #[allow(clippy::manual_async_fn)]
    fn recv_from<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send + Sync + 'a {
        async move {
            loop {
                // An error of one datagram (a port that went away) must not end all connections.
                let Ok((length, from)) = self.udp.recv_from(buf).await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                if self.heard(&buf[..length], from) {
                    return Ok((length, from));
                }
            }
        }
    }

    #[allow(clippy::manual_async_fn)]
    fn send_to<'a>(
        &'a self,
        buf: &'a [u8],
        target: SocketAddr,
    ) -> impl Future<Output = io::Result<usize>> + Send + Sync + 'a {
        async move {
            if !self.may_send(buf, target) {
                return Ok(buf.len());
            }
            self.udp.send_to(buf, target).await
        }
    }

    fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], target: SocketAddr) -> Poll<io::Result<usize>> {
        if !self.may_send(buf, target) {
            return Poll::Ready(Ok(buf.len()));
        }
        self.udp.poll_send_to(cx, buf, target)
    }

    fn bind_addr(&self) -> SocketAddr {
        self.udp.bind_addr()
    }
}

#[cfg(test)]
#[path = "utp_tests.rs"]
mod tests;
