//! Accepting: seats first, then the handshake under a deadline, then whoever serves that torrent.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::{Arc, PoisonError},
    time::Duration,
};

use proto::{
    guard::{self, Policy},
    id::InfoHash,
    peer::handshake::Handshake,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::TcpListener,
    time::{Instant, timeout},
};
use tracing::{debug, warn};

use super::{
    Door, splice, utp,
    wire::{self, HANDSHAKE_DEADLINE, Wire},
};
use crate::swarm::limits::Seat;

/// Connections the kernel holds for us while we are busy.
const BACKLOG: i32 = 128;

/// After `accept` itself goes wrong (no file descriptors left): long enough for connections to end.
const BREATH: Duration = Duration::from_millis(200);

/// Both families on one socket when the address is `[::]`; an IPv4 socket when the machine has no IPv6.
pub fn bind(addr: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let bound = open(addr).or_else(|err| match addr {
        SocketAddr::V6(v6) if v6.ip().is_unspecified() && no_ipv6(&err) => {
            open(SocketAddr::from(([0, 0, 0, 0], v6.port())))
        }
        _ => Err(err),
    })?;
    let listener = TcpListener::from_std(bound)?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

fn open(addr: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if let SocketAddr::V6(v6) = addr {
        socket.set_only_v6(!v6.ip().is_unspecified())?;
    }
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn no_ipv6(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || err.raw_os_error() == Some(97)
}

pub async fn tcp(door: Arc<Door>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                // Small messages must not wait for the peer's acknowledgement of earlier ones.
                if stream.set_nodelay(true).is_ok() {
                    admit(&door, peer, || Wire::tcp(stream));
                }
            }
            Err(err) => {
                debug!(%err, "accepting a peer");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

pub async fn utp(door: Arc<Door>, socket: utp::Socket) {
    loop {
        match socket.accept().await {
            Ok((peer, wire)) => admit(&door, peer, || wire),
            Err(err) => {
                if door.tasks.token().is_cancelled() {
                    debug!(%err, "uTP ended with the house");
                } else {
                    warn!(%err, "uTP stopped, TCP works");
                }
                return;
            }
        }
    }
}

/// Nothing is read before there is a seat and a place among those in their handshake.
fn admit(door: &Arc<Door>, peer: SocketAddr, wire: impl FnOnce() -> Wire) {
    let Some(seat) = door.limits.seats().admit(peer.ip()) else {
        return;
    };
    let task_door = door.clone();
    let wire = wire();
    // Boxed here and at each step below: a task is as large as its largest step, and idle peers should pay for none.
    door.tasks.spawn(
        "swarm.peer",
        Box::pin(async move {
            if let Err(err) = serve(&task_door, peer, wire, seat).await {
                debug!(%peer, %err, "peer gone");
            }
        }),
    );
}

async fn serve(door: &Door, peer: SocketAddr, mut wire: Wire, seat: Seat) -> io::Result<()> {
    let opened = {
        let _place = door
            .handshakes
            .try_acquire()
            .map_err(|_| io::Error::from(io::ErrorKind::ResourceBusy))?;
        tokio::select! {
            opened = timeout(HANDSHAKE_DEADLINE, Box::pin(wire::answer(&mut wire, &door.keys))) => opened??,
            () = seat.leave().cancelled() => return Ok(()),
        }
    };
    if opened.peer_id == door.peer_id || !seat.join(opened.infohash) {
        return Ok(());
    }
    // Only a public address is somebody from outside.
    if guard::ip_allowed(peer.ip(), &Policy::default()).is_ok() {
        *door.met.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
    Box::pin(route(door, peer, wire, opened, seat)).await
}

async fn route(
    door: &Door,
    peer: SocketAddr,
    wire: Wire,
    handshake: Handshake,
    seat: Seat,
) -> io::Result<()> {
    let infohash = handshake.infohash;
    let engine = door.handover.fetching(&infohash);
    let row = door
        .db
        .run(move |store| store.site(&infohash))
        .await
        .map_err(io::Error::other)?;
    match (row, engine) {
        (Some(row), _) if row.complete() && door.seeder.is_open() => {
            Box::pin(door.seeder.serve(wire, handshake, peer, row, seat)).await
        }
        (_, Some(engine)) => {
            Box::pin(splice::splice(
                wire,
                handshake,
                engine,
                door.handover.door(),
                &seat,
            ))
            .await
        }
        (Some(row), None) if row.held > 0 && door.seeder.is_open() => {
            Box::pin(door.seeder.serve(wire, handshake, peer, row, seat)).await
        }
        _ => unknown(infohash, peer),
    }
}

fn unknown(infohash: InfoHash, peer: SocketAddr) -> io::Result<()> {
    debug!(site = infohash.short(), %peer, "peer wants a torrent we do not have");
    Ok(())
}
