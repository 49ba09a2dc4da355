use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// An engine that answers the handshake and then echoes.
async fn engine(tasks: &Tasks) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("bound");
    tasks.spawn("test.engine", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0u8; 68];
            if stream.read_exact(&mut head).await.is_err() {
                continue;
            }
            stream.write_all(&head).await.expect("sent");
            let (mut read, mut write) = stream.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
        }
    });
    addr
}

async fn echoes(house: &House, mut wire: Wire) {
    let answer = timeout(SOON, wire.handshake())
        .await
        .expect("in time")
        .expect("the engine's");
    assert_eq!(answer.infohash, house.infohash());
    let text = harness::sample::bytes(3, 100_000);
    for chunk in text.chunks(10_000) {
        wire.send(chunk.to_vec()).await.expect("sent");
        while wire.early.len() < chunk.len() {
            timeout(SOON, wire.fill(1 << 20))
                .await
                .expect("in time")
                .expect("open");
        }
        assert!(wire.early == chunk);
        wire.early.clear();
    }
}

#[tokio::test]
async fn peers_of_a_torrent_that_is_fetched_talk_to_the_engine() {
    let house = House::new(Plan {
        held: 2,
        ..Plan::default()
    });
    let addr = engine(&house.tasks).await;
    *house.ears.engine.lock().expect("test") = Some((house.infohash(), addr));
    let mut plain = house.tcp().await;
    let first = hello(house.infohash(), true).encode();
    plain.send(first.to_vec()).await.expect("sent");
    echoes(&house, plain).await;
    let mut sealed = house.tcp().await;
    wire::encrypt(&mut sealed, house.infohash(), &first)
        .await
        .expect("encrypted");
    echoes(&house, sealed).await;
    house.is_empty().await;
}

#[tokio::test]
async fn an_engine_that_is_not_there_costs_the_peer_its_connection_and_nobody_else() {
    let house = House::new(Plan {
        held: 2,
        ..Plan::default()
    });
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, harness::process::free_port()));
    *house.ears.engine.lock().expect("test") = Some((house.infohash(), nobody));
    let mut wire = house.tcp().await;
    wire.send(hello(house.infohash(), true).encode().to_vec())
        .await
        .expect("sent");
    assert!(timeout(SOON, wire.handshake()).await.expect("in time").is_err());
    house.is_empty().await;
    *house.ears.engine.lock().expect("test") = None;
    house.leech().await;
}

#[tokio::test]
async fn unknown_torrents_are_closed_without_an_answer() {
    let house = House::new(Plan::default());
    let stranger = InfoHash([9; 20]);
    let mut plain = house.tcp().await;
    plain
        .send(hello(stranger, true).encode().to_vec())
        .await
        .expect("sent");
    assert!(timeout(SOON, plain.fill(1)).await.expect("in time").is_err());
    let mut sealed = house.tcp().await;
    let first = hello(stranger, true).encode();
    let opened = timeout(SOON, wire::encrypt(&mut sealed, stranger, &first)).await;
    assert!(opened.expect("in time").is_err());
    house.is_empty().await;
}
