//! DNS over TCP (RFC 7766) and over TLS (RFC 7858): questions may follow each other without waiting, and are answered as
//! their answers come.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tracing::debug;

use super::{
    Shared,
    flight::To,
    seats::{Seat, Seats},
    state::{Door, From, Outcome},
};

/// A connection on which nothing is asked ends after it. Longer: fewer handshakes. Shorter: fewer idle connections.
const IDLE_TCP: Duration = Duration::from_secs(10);
const IDLE_TLS: Duration = Duration::from_secs(20);
/// Who does not take an answer, or does not finish the handshake, is gone.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);
pub(super) const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// Questions of one connection that wait for upstreams; then nothing more is read.
const WAITING_MAX: usize = 32;
/// A longer question is none.
const QUESTION_MAX: usize = 4096;
/// Answers are sent together up to about so much.
const WRITE_BYTES: usize = 16 << 10;

/// Lets connections in until the tasks are stopped. With `tls`: over TLS.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    seats: Seats,
    shared: Arc<Shared>,
) {
    let tasks = shared.house.tasks.clone();
    loop {
        let Some((stream, peer)) = next(&listener, &shared).await else {
            continue;
        };
        let (tls, shared) = (tls.clone(), shared.clone());
        let seat = seats.take(peer.ip().to_canonical());
        tasks.spawn("dns.connection", async move {
            let served = match tls {
                None => serve_plain(stream, peer, &seat, &shared).await,
                Some(tls) => serve_tls(stream, peer, tls, &seat, &shared).await,
            };
            if let Err(err) = served {
                debug!(%err, "a connection of a device ended early");
            }
        });
    }
}

/// The next connection from inside; others are closed at once.
pub(super) async fn next(listener: &TcpListener, shared: &Shared) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            let inside = shared.lock().is_inside(peer.ip());
            let _ = stream.set_nodelay(true);
            inside.then_some((stream, peer))
        }
        Err(err) => {
            debug!(%err, "a connection was not accepted");
            // Out of descriptors, as a rule: they come back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// Where a connection comes from and arrives.
pub(super) fn from(local: IpAddr, peer: SocketAddr, door: Door, shared: &Shared) -> From {
    let local = local.to_canonical();
    From {
        addr: peer.ip().to_canonical(),
        local,
        index: shared.lock().index_of(local),
        door,
    }
}

async fn serve_plain(
    stream: TcpStream,
    peer: SocketAddr,
    seat: &Seat,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    let door = Door::Stream {
        encrypted: false,
        idle_secs: IDLE_TCP.as_secs() as u8,
    };
    let from = from(stream.local_addr()?.ip(), peer, door, shared);
    serve(stream, from, IDLE_TCP, seat, shared).await
}

async fn serve_tls(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Arc<ServerConfig>,
    seat: &Seat,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    let door = Door::Stream {
        encrypted: true,
        idle_secs: IDLE_TLS.as_secs() as u8,
    };
    let from = from(stream.local_addr()?.ip(), peer, door, shared);
    let handshake = timeout(HANDSHAKE_DEADLINE, TlsAcceptor::from(tls).accept(stream));
    let stream = tokio::select! {
        () = seat.ended.cancelled() => return Ok(()),
        stream = handshake => stream.map_err(|_| io::ErrorKind::TimedOut)??,
    };
    serve(stream, from, IDLE_TLS, seat, shared).await
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    from: From,
    idle: Duration,
    seat: &Seat,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    let mut connection = Connection {
        from,
        stream,
        incoming: Vec::new(),
        outgoing: Vec::new(),
        waiting: 0,
    };
    let (sender, mut receiver) = mpsc::channel(WAITING_MAX);
    loop {
        tokio::select! {
            read = connection.stream.read_buf(&mut connection.incoming), if connection.waiting < WAITING_MAX => {
                if read? == 0 {
                    // Who closed its side may still wait for answers (RFC 7766 §6.2.4).
                    return connection.finish(receiver).await;
                }
                connection.answer(shared, &sender, seat).await?;
            }
            Some(reply) = receiver.recv() => {
                connection.waiting -= 1;
                connection.queue(&reply);
                // What came meanwhile was not looked at while too much waited.
                connection.answer(shared, &sender, seat).await?;
            }
            () = seat.quiet(idle) => return Ok(()),
        }
    }
}

struct Connection<S> {
    stream: S,
    from: From,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    waiting: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Answers every whole question that came, then sends.
    async fn answer(
        &mut self,
        shared: &Arc<Shared>,
        sender: &mpsc::Sender<Vec<u8>>,
        seat: &Seat,
    ) -> io::Result<()> {
        let (mut at, mut reply) = (0, Vec::new());
        while self.waiting < WAITING_MAX {
            let Some((&[l1, l2], rest)) = self.incoming[at..].split_first_chunk::<2>() else {
                break;
            };
            let len = usize::from(u16::from_be_bytes([l1, l2]));
            if len > QUESTION_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let Some(packet) = rest.get(..len) else { break };
            let now = shared.now();
            let to = || To::Stream(sender.clone());
            let outcome = shared
                .lock()
                .handle(shared, packet, &self.from, now, &mut reply, to);
            at += 2 + len;
            seat.used();
            match outcome {
                Outcome::Reply => self.queue(&reply),
                Outcome::Waits => self.waiting += 1,
                // Nothing good comes after it.
                Outcome::Silent => return Err(io::ErrorKind::InvalidData.into()),
            }
            if self.outgoing.len() >= WRITE_BYTES {
                self.send().await?;
            }
        }
        self.incoming.drain(..at);
        if self.incoming.is_empty() {
            self.incoming = Vec::new();
        }
        self.send().await
    }

    fn queue(&mut self, reply: &[u8]) {
        if let Ok(len) = u16::try_from(reply.len()) {
            self.outgoing.extend(len.to_be_bytes());
            self.outgoing.extend_from_slice(reply);
        }
    }

    async fn send(&mut self) -> io::Result<()> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        let outgoing = std::mem::take(&mut self.outgoing);
        let write = async {
            self.stream.write_all(&outgoing).await?;
            self.stream.flush().await
        };
        timeout(WRITE_DEADLINE, write)
            .await
            .map_err(|_| io::ErrorKind::TimedOut)?
    }

    /// The other side sends nothing more: what waits is still answered.
    async fn finish(mut self, mut receiver: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
        while self.waiting > 0 {
            let reply = timeout(IDLE_TCP, receiver.recv()).await;
            let Ok(Some(reply)) = reply else { break };
            self.waiting -= 1;
            self.queue(&reply);
            self.send().await?;
        }
        let _ = timeout(WRITE_DEADLINE, self.stream.shutdown()).await;
        Ok(())
    }
}
