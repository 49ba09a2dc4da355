//! Foreign leechers against our seeder, on loopback: byte for byte, or it does not count.

use harness::foreign::{Client, Program, Role, Torrent};
use proto::bencode::Value;

use super::*;

const DEADLINE: Duration = Duration::from_secs(120);

/// A torrent file for others, with a tracker when they cannot be told a peer.
fn torrent_file(house: &House, dir: &TempDir, tracker: &str) -> Torrent {
    let mut entries = vec![("info", Value::Raw(house.sample.raw.clone()))];
    if !tracker.is_empty() {
        entries.push(("announce", Value::text(tracker)));
    }
    let file = dir.path().join("it.torrent");
    std::fs::write(&file, Value::dict(entries).encode()).expect("the temporary folder is writable");
    Torrent {
        file,
        infohash: house.infohash().to_string(),
    }
}

/// Starts the client on a blocking thread and waits until it has everything.
async fn leech(house: &House, program: Program, tracker: &str, encryption: &str, utp: bool) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let torrent = torrent_file(house, &dir, tracker);
    let role = Role {
        dir: dir.path().join("content"),
        peer: Some(house.addr()),
        encryption: encryption.into(),
        utp,
        ..Role::default()
    };
    let want = house.sample.content.clone();
    #[allow(clippy::disallowed_methods)]
    let done = tokio::task::spawn_blocking(move || {
        let client = Client::start(program, &torrent, &role);
        client.wait_file("sample.bin", &want, DEADLINE);
        drop(dir);
    });
    done.await
        .unwrap_or_else(|err| panic!("{program:?} {encryption:?} utp={utp}: {err}"));
}

fn house() -> House {
    House::new(Plan {
        length: (8 << 20) + 333,
        piece_length: 256 << 10,
        ..Plan::default()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libtorrent_gets_every_byte_over_tcp_and_utp_plain_and_encrypted() {
    let house = house();
    for utp in [false, true] {
        for encryption in ["", "plain", "forced"] {
            leech(&house, Program::Libtorrent, "", encryption, utp).await;
        }
    }
    house.is_empty().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webtorrent_gets_every_byte() {
    leech(&house(), Program::Webtorrent, "", "", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aria2_gets_every_byte() {
    let house = house();
    let tracker = harness::tracker::Tracker::start();
    tracker.add(&house.infohash().to_string(), house.addr());
    leech(&house, Program::Aria2, &tracker.url(), "", false).await;
}
/// Both prefer encrypted connections, and transmission does not dial 127.0.0.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transmission_and_qbittorrent_get_every_byte() {
    let Some(own) = harness::tracker::own_addr() else {
        panic!("this machine has no address besides loopback: give it one");
    };
    let house = House::new(Plan {
        length: (8 << 20) + 333,
        piece_length: 256 << 10,
        config: Config {
            addr: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            ..Plan::default().config
        },
        ..Plan::default()
    });
    let tracker = harness::tracker::Tracker::start();
    let addr = SocketAddr::from((own, house.addr().port()));
    tracker.add(&house.infohash().to_string(), addr);
    for program in [Program::Transmission, Program::Qbittorrent] {
        leech(&house, program, &tracker.url(), "", false).await;
    }
}
