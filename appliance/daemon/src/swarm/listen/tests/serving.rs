use proto::peer::{extension, mse, pex::Pex};

use super::*;
use crate::swarm::{limits::Rates, metadata, seed};

#[tokio::test]
async fn a_plain_leecher_gets_every_byte_and_leaves_no_trace() {
    let house = House::new(Plan::default());
    let mut leech = house.leech().await;
    assert_eq!(leech.hear().await, Some(Heard::HaveAll));
    leech.unchoked().await;
    assert!(leech.download(&house.sample.info).await == house.sample.content);
    drop(leech);
    house.is_empty().await;
    assert_eq!(house.listener.seeder().uploaded(), house.sample.info.total);
    house.listener.seeder().flush().await;
    let row = house
        .db
        .store()
        .site(&house.infohash())
        .expect("readable")
        .expect("there");
    assert_eq!(row.uploaded, house.sample.info.total);
    house.tasks.cancel();
    assert!(house.tasks.stop(SOON).await.is_empty());
}

#[tokio::test]
async fn encrypted_leechers_are_served_whatever_payload_they_insist_on() {
    let house = House::new(Plan::default());
    for policy in [mse::Policy::OnlyRc4, mse::Policy::PreferPlaintext] {
        let mut wire = house.tcp().await;
        let mut output = Vec::new();
        let first = hello(house.infohash(), true).encode();
        let mut initiator =
            mse::Initiator::new(house.infohash(), &first, wire::secrets(), policy, &mut output)
                .expect("start");
        loop {
            wire.send(std::mem::take(&mut output)).await.expect("sent");
            if let mse::Step::Done(done) = initiator.step(&mut wire.early, &mut output).expect("valid") {
                wire.adopt(*done);
                break;
            }
            if output.is_empty() {
                timeout(SOON, wire.fill(mse::INPUT_MAX))
                    .await
                    .expect("in time")
                    .expect("open");
            }
        }
        // We prefer plaintext payload whenever the peer allows it: RC4 costs more than all the rest.
        assert_eq!(wire.ciphers.is_some(), policy == mse::Policy::OnlyRc4);
        let mut leech = house.greeted(wire).await;
        leech.unchoked().await;
        assert!(leech.download(&house.sample.info).await == house.sample.content);
    }
}

#[tokio::test]
async fn a_peer_without_the_fast_extension_gets_a_bitfield() {
    let house = House::new(Plan::default());
    let wire = house.tcp().await;
    let mut leech = house.greet(wire, false).await;
    // 17 pieces: the spare bits are zero.
    assert_eq!(leech.hear().await, Some(Heard::Bitfield(vec![0xff, 0xff, 0x80])));
    leech.unchoked().await;
    assert!(leech.download(&house.sample.info).await == house.sample.content);
}

#[tokio::test]
async fn peers_are_told_who_we_are_and_what_we_have() {
    let house = House::new(Plan::default());
    let mut leech = house.leech().await;
    let payload = leech
        .expect(|heard| match heard {
            Heard::Extended(0, payload) => Some(payload.clone()),
            _ => None,
        })
        .await;
    let ours = extension::Handshake::decode(&payload).expect("canonical");
    assert!(ours.upload_only && ours.version.is_some_and(|v| v.starts_with("Granary ")));
    assert_eq!(ours.metadata_size, Some(house.sample.raw.len() as u64));
    assert_eq!(ours.yourip, Some(Ipv4Addr::LOCALHOST.into()));
    assert_eq!(ours.port, Some(house.addr().port()));
    assert!(ours.reqq >= Some(250) && ours.ut_pex.is_some());
    let port = leech
        .expect(|heard| match heard {
            Heard::Port(port) => Some(*port),
            _ => None,
        })
        .await;
    assert_eq!(port, 4321);
    leech.say(Message::Port(9999)).await;
    until("the DHT to hear of the node", || {
        *house.ears.dht.lock().expect("test") == [SocketAddr::from((Ipv4Addr::LOCALHOST, 9999))]
    })
    .await;
}

#[tokio::test]
async fn what_is_missing_is_refused_and_the_rest_is_served() {
    let house = House::new(Plan {
        held: 3,
        ..Plan::default()
    });
    let mut leech = house.leech().await;
    assert_eq!(leech.hear().await, Some(Heard::Bitfield(vec![0xe0, 0, 0])));
    leech.unchoked().await;
    let block = |piece| Block {
        piece,
        begin: 5,
        length: 100,
    };
    for piece in [3, 2] {
        leech.say(Message::Request(block(piece))).await;
    }
    assert_eq!(leech.hear().await, Some(Heard::Reject(block(3))));
    let start = 2 * (64 << 10) + 5;
    let data = house.sample.content[start..start + 100].to_vec();
    assert_eq!(leech.hear().await, Some(Heard::Piece(2, 5, data)));
}

#[tokio::test]
async fn blocks_of_any_shape_come_out_right() {
    let house = House::new(Plan {
        length: 3 << 20,
        piece_length: 1 << 20,
        ..Plan::default()
    });
    let mut leech = house.leech().await;
    leech.unchoked().await;
    let extent = 256 << 10;
    for (begin, length) in [
        (0, 1),
        (extent - 1, 2),
        (extent - 70_000, 128 << 10),
        ((1 << 20) - 1, 1),
        (77, 131_072),
    ] {
        let block = Block {
            piece: 1,
            begin,
            length,
        };
        leech.say(Message::Request(block)).await;
        let start = (1 << 20) + begin as usize;
        let want = house.sample.content[start..start + length as usize].to_vec();
        assert!(leech.hear_piece().await == (1, begin, want), "{block:?}");
    }
}

impl Leech {
    async fn hear_piece(&mut self) -> (u32, u32, Vec<u8>) {
        self.expect(|heard| match heard {
            Heard::Piece(piece, begin, data) => Some((*piece, *begin, data.clone())),
            _ => None,
        })
        .await
    }
}

#[tokio::test]
async fn metadata_is_served_and_fetched() {
    // 49 blocks.
    let house = House::new(Plan {
        padding: 800_000,
        ..Plan::default()
    });
    let (sender, peers) = tokio::sync::mpsc::channel(4);
    let dead = SocketAddr::from((Ipv4Addr::LOCALHOST, harness::process::free_port()));
    sender.send(vec![dead, house.addr()]).await.expect("room");
    let deadline = tokio::time::Instant::now() + SOON;
    let raw = metadata::fetch(house.infohash(), peers, deadline)
        .await
        .expect("metadata");
    assert!(raw == house.sample.raw);
    drop(sender);
    house.is_empty().await;
}

/// Says who it is, and returns once the house has heard it.
async fn introduce(house: &House, leech: &mut Leech, port: u16) {
    let payload = extension::Handshake {
        ut_pex: Some(7),
        port: Some(port),
        ..extension::Handshake::default()
    }
    .encode();
    leech
        .say(Message::Extended {
            id: 0,
            payload: &payload,
        })
        .await;
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    until("the house to hear the introduction", || {
        house.ears.announced.lock().expect("test").contains(&addr)
    })
    .await;
}

#[tokio::test]
async fn peers_of_one_torrent_hear_of_each_other() {
    let house = House::new(Plan::default());
    let (mut a, mut b) = (house.leech().await, house.leech().await);
    introduce(&house, &mut a, 1111).await;
    introduce(&house, &mut b, 2222).await;
    let payload = a
        .expect(|heard| match heard {
            Heard::Extended(7, payload) => Some(payload.clone()),
            _ => None,
        })
        .await;
    let pex = Pex::decode(&payload).expect("canonical");
    assert_eq!(pex.added, [(SocketAddr::from((Ipv4Addr::LOCALHOST, 2222)), 0)]);
}

#[tokio::test]
async fn a_private_torrent_tells_nobody_of_anybody() {
    let house = House::new(Plan {
        private: true,
        ..Plan::default()
    });
    let mut leech = house.leech().await;
    let payload = leech
        .expect(|heard| match heard {
            Heard::Extended(0, payload) => Some(payload.clone()),
            Heard::Port(_) => panic!("a DHT port for a private torrent"),
            _ => None,
        })
        .await;
    assert_eq!(
        extension::Handshake::decode(&payload).expect("canonical").ut_pex,
        None
    );
    leech.unchoked().await;
    assert!(leech.download(&house.sample.info).await == house.sample.content);
}

#[tokio::test]
async fn a_waiting_peer_gets_the_slot_of_one_that_takes_nothing() {
    let house = House::new(Plan {
        config: Config {
            seed: seed::Config {
                upload_slots: 1,
                ..seed::Config::default()
            },
            ..Plan::default().config
        },
        ..Plan::default()
    });
    let (mut idle, mut waiting) = (house.leech().await, house.leech().await);
    idle.unchoked().await;
    waiting.unchoked().await;
    idle.expect(|heard| (*heard == Heard::Choke).then_some(())).await;
    assert!(waiting.download(&house.sample.info).await == house.sample.content);
    // A request that crosses the choke is refused, not forgotten.
    let block = Block {
        piece: 0,
        begin: 0,
        length: 16384,
    };
    idle.say(Message::Request(block)).await;
    idle.expect(|heard| (*heard == Heard::Reject(block)).then_some(()))
        .await;
}

#[tokio::test]
async fn the_upload_rate_is_kept() {
    let rate = 512 << 10;
    let house = House::new(Plan {
        settings: Settings {
            rates: Rates { up: rate, down: 0 },
            ..Plan::default().settings
        },
        length: 2 << 20,
        ..Plan::default()
    });
    let mut leech = house.leech().await;
    leech.unchoked().await;
    let start = std::time::Instant::now();
    leech.download(&house.sample.info).await;
    let took = start.elapsed().as_secs_f64();
    // 4 s less the first burst; a busy machine may make it longer, never shorter.
    assert!((3.6..8.0).contains(&took), "{took} s for 2 MiB at 512 KiB/s");
}

#[tokio::test]
async fn a_removed_site_ends_its_connections_at_the_next_request() {
    let house = House::new(Plan::default());
    let mut leech = house.leech().await;
    leech.unchoked().await;
    house.db.store().remove_site(&house.infohash()).expect("removed");
    leech
        .say(Message::Request(Block {
            piece: 1,
            begin: 0,
            length: 16384,
        }))
        .await;
    loop {
        match leech.hear().await {
            None | Some(Heard::Reject(_)) => break,
            Some(Heard::Piece(..)) => panic!("served a removed site"),
            Some(_) => {}
        }
    }
}

#[tokio::test]
async fn counts_are_kept_before_anything_is_read() {
    let house = House::new(Plan {
        settings: Settings {
            caps: Caps {
                global: 10,
                per_torrent: 2,
                per_source: 3,
            },
            ..Settings::default()
        },
        ..Plan::default()
    });
    let (_a, _b) = (house.leech().await, house.leech().await);
    // The torrent is full: the third is closed after its handshake, without an answer.
    let mut third = house.tcp().await;
    third
        .send(hello(house.infohash(), true).encode().to_vec())
        .await
        .expect("sent");
    assert!(timeout(SOON, third.handshake()).await.expect("in time").is_err());
    until("the third to be gone", || house.limits.seats().taken() == 2).await;
    // The source is full: the fourth is closed before it says a word.
    let _silent = house.tcp().await;
    until("the silent one to have a seat", || {
        house.limits.seats().taken() == 3
    })
    .await;
    let mut fourth = house.tcp().await;
    assert!(timeout(SOON, fourth.fill(1)).await.expect("in time").is_err());
}
