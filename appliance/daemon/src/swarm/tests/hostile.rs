//! Peers that lie.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// A peer that claims to have everything and answers every request with rubbish. Counts the blocks it gave.
async fn liar(pieces: usize, tasks: &Tasks) -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let addr = listener.local_addr().expect("bound");
    let given = Arc::new(AtomicU32::new(0));
    let (counter, group) = (given.clone(), tasks.clone());
    tasks.spawn("test.liar", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let counter = counter.clone();
            group.spawn("test.liar.connection", async move {
                // It ends when the other side has had enough.
                let _ = lie(stream, pieces, &counter).await;
            });
        }
    });
    (addr, given)
}

async fn lie(mut stream: TcpStream, pieces: usize, given: &AtomicU32) -> std::io::Result<()> {
    let mut hello = [0u8; 68];
    stream.read_exact(&mut hello).await?;
    hello[20..28].fill(0);
    hello[48..].copy_from_slice(b"-LI0001-abcdefghijkl");
    stream.write_all(&hello).await?;
    let bits = pieces.div_ceil(8);
    let mut bitfield = vec![0xff; bits];
    bitfield[bits - 1] = 0xffu8 << ((8 - pieces % 8) % 8);
    stream.write_all(&(bits as u32 + 1).to_be_bytes()).await?;
    stream.write_all(&[5]).await?;
    stream.write_all(&bitfield).await?;
    stream.write_all(&[0, 0, 0, 1, 1]).await?;
    loop {
        let len = stream.read_u32().await? as usize;
        let mut message = vec![0u8; len.min(1 << 20)];
        stream.read_exact(&mut message).await?;
        if message.first() == Some(&6) && len == 13 {
            let size = u32::from_be_bytes([message[9], message[10], message[11], message[12]]);
            stream.write_all(&(size + 9).to_be_bytes()).await?;
            stream.write_all(&[7]).await?;
            stream.write_all(&message[1..9]).await?;
            stream.write_all(&vec![0x55; size as usize]).await?;
            given.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_data_never_reaches_a_reader_and_the_liar_is_dropped() {
    let seed = Seed::start(Program::Libtorrent, 8 << 20);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::open(dir.path(), &[]).await;
    let (liar, given) = liar(32, &home.tasks).await;
    let (ih, hints) = (seed.infohash(), hints(&[seed.client.addr, liar]));
    let got = home.read(ih, &hints, 0, seed.content.len(), SOON).await;
    assert!(got == seed.content, "other bytes");
    let given = given.load(Ordering::Relaxed);
    assert!(given > 0, "the liar was never asked: this proves nothing");
    // It is closed at its first wrong piece; what was under way then may still arrive, and nothing after that.
    assert!(given < 3 * 16 + 128, "the liar was asked for {given} blocks");
    home.close().await;
}
