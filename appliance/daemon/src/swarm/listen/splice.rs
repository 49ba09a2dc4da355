//! Torrents that are being fetched belong to the engine: its loopback listener gets the peer's handshake and then all
//! bytes, decrypted on the way in and encrypted on the way out when the peer insists.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use proto::peer::{handshake::Handshake, rc4::Rc4};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::wire::Wire;
use crate::swarm::limits::Seat;

/// A connection on which neither side says anything for this long is closed; BEP 3 peers send keep-alives at two minutes.
const IDLE: Duration = Duration::from_secs(150);

/// The engine is on this machine; if it does not answer within this time it is not there.
const CONNECT: Duration = Duration::from_secs(5);

/// Bytes moved at a time. Larger: fewer system calls. Smaller: less memory per connection, twice per connection.
const CHUNK: usize = 16 << 10;

/// Runs until either side closes, falls silent, or the seat is given away.
pub async fn splice(
    mut wire: Wire,
    handshake: Handshake,
    engine: SocketAddr,
    door: Option<IpAddr>,
    seat: &Seat,
) -> io::Result<()> {
    let stream = timeout(CONNECT, engine_stream(engine, door)).await??;
    let (from_engine, mut to_engine) = stream.into_split();
    let mut opening = handshake.encode().to_vec();
    opening.append(&mut wire.early);
    timeout(CONNECT, to_engine.write_all(&opening)).await??;
    let (receive, send) = wire
        .ciphers
        .map_or((None, None), |c| (Some(c.receive), Some(c.send)));
    tokio::select! {
        done = copy(wire.read, to_engine, receive, seat) => done,
        done = copy(from_engine, wire.write, send, seat) => done,
        () = seat.leave().cancelled() => Ok(()),
    }
}

/// Connects to the engine, from the loopback address it lets in.
pub async fn engine_stream(engine: SocketAddr, door: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = match engine {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(door) = door {
        socket.bind(SocketAddr::new(door, 0))?;
    }
    let stream = socket.connect(engine).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut cipher: Option<Rc4>,
    seat: &Seat,
) -> io::Result<()> {
    let mut chunk = vec![0u8; CHUNK];
    loop {
        let n = timeout(IDLE, from.read(&mut chunk)).await??;
        if n == 0 {
            return Ok(());
        }
        // A whole read full of bytes is payload; control messages do not make a peer useful.
        if n > 1024 {
            seat.useful();
        }
        if let Some(cipher) = &mut cipher {
            cipher.apply(&mut chunk[..n]);
        }
        timeout(IDLE, to.write_all(&chunk[..n])).await??;
    }
}
