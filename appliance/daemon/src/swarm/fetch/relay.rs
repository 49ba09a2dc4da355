//! Neighbours on the home network. The wall around librqbit (`walls`) closes private addresses, because any peer can name
//! one by PEX; those that local discovery heard or a person named are dialled by us and joined to librqbit's door.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use proto::{
    id::InfoHash,
    peer::{handshake::Handshake, rc4::Rc4},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{sleep, timeout},
};
use tracing::debug;

use crate::swarm::{
    listen::{engine_stream, wire},
    metadata,
};

/// Neighbours joined to one torrent at once; a home has few.
pub const NEIGHBOURS_MAX: usize = 16;
/// Silence longer than BEP 3's keep-alive interval ends a connection.
const IDLE: Duration = Duration::from_secs(150);
const STEP: Duration = Duration::from_secs(10);
const CHUNK: usize = 16 << 10;

/// Keeps `peer` joined to the engine, with growing pauses between attempts. Never ends by itself.
pub async fn keep_joined(ih: InfoHash, peer: SocketAddr, engine: SocketAddr, door: IpAddr) {
    let mut pause = Duration::from_secs(5);
    loop {
        if let Err(err) = join(ih, peer, engine, door).await {
            debug!(site = %ih.short(), %peer, %err, "a neighbour was not joined, or has left");
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(120));
    }
}

/// Dials `peer`, lets it answer, then shows the engine the peer's handshake as if it had come in by our door.
async fn join(ih: InfoHash, peer: SocketAddr, engine: SocketAddr, door: IpAddr) -> io::Result<()> {
    // Only what librqbit speaks is offered: no fast extension (BEP 6).
    let mut reserved = [0u8; 8];
    reserved[5] = 0x10;
    let ours = Handshake {
        reserved,
        infohash: ih,
        peer_id: wire::peer_id(),
    };
    let (wire, theirs) = match metadata::dial(peer, &ours, false).await {
        Err(err) if err.kind() == io::ErrorKind::ConnectionRefused => return Err(err),
        Err(_) => metadata::dial(peer, &ours, true).await?,
        opened => opened?,
    };
    if theirs.infohash != ih {
        return Err(io::Error::other("answers for another torrent"));
    }
    let stream = timeout(STEP, engine_stream(engine, Some(door))).await??;
    let (mut from_engine, mut to_engine) = stream.into_split();
    let mut opening = theirs.encode().to_vec();
    opening.extend_from_slice(&wire.early);
    timeout(STEP, to_engine.write_all(&opening)).await??;
    // The neighbour has had its handshake from us; the engine's stays here.
    let mut hello = [0u8; proto::peer::handshake::LEN];
    timeout(STEP, from_engine.read_exact(&mut hello)).await??;
    let ciphers = wire.ciphers.map(|ciphers| (ciphers.receive, ciphers.send));
    let (receive, send) = ciphers.unzip();
    tokio::select! {
        done = copy(wire.read, to_engine, receive) => done,
        done = copy(from_engine, wire.write, send) => done,
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut cipher: Option<Rc4>,
) -> io::Result<()> {
    let mut chunk = vec![0u8; CHUNK];
    loop {
        let n = timeout(IDLE, from.read(&mut chunk)).await??;
        if n == 0 {
            return Ok(());
        }
        if let Some(cipher) = &mut cipher {
            cipher.apply(&mut chunk[..n]);
        }
        timeout(IDLE, to.write_all(&chunk[..n])).await??;
    }
}
