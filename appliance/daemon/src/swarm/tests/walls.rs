//! With the strict policy of a real home: the engine's wall is closed, and still the right peers get in.

use proto::{guard::Policy, metainfo::parse_torrent};
use store::Keep;

use super::{super::fetch::relay, *};

/// A home as it is delivered, but for its doors.
async fn strict(dir: &Path) -> Home {
    let config = SwarmConfig {
        policy: Policy::default(),
        ..SwarmConfig::loopback(dir)
    };
    Home::open_with(dir, config).await
}

/// Keeps the seed's torrent, which is known from its file.
async fn keep(home: &Home, seed: &Seed) -> u32 {
    let file = std::fs::read(&seed.torrent.file).expect("the torrent file");
    let torrent = parse_torrent(&file).expect("a good torrent");
    let count = torrent.info.piece_count();
    home.swarm
        .adopt(torrent.raw_info.into(), torrent.trackers, Keep::Kept)
        .await
        .expect("adopted");
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_that_dials_us_is_handed_to_the_engine_through_its_one_open_door() {
    let seed = Seed::start(Program::Libtorrent, 3 << 20);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = strict(dir.path()).await;
    let count = keep(&home, &seed).await;
    let role = Role {
        dir: seed.dir(),
        peer: home.swarm.status().listen_bt,
        ..Role::default()
    };
    let dialler = Client::start(Program::Libtorrent, &seed.torrent, &role);
    eventually("all pieces", || home.held(&seed.infohash()) == count).await;
    drop(dialler);
    home.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_is_joined_to_the_engine_though_the_wall_is_closed() {
    let seed = Seed::start(Program::Libtorrent, 3 << 20);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = strict(dir.path()).await;
    let (ih, count) = (seed.infohash(), keep(&home, &seed).await);
    let fetch = home.swarm.parts.fetch.clone();
    eventually("the engine to have it", || fetch.handover(&ih).is_some()).await;
    let engine = fetch.handover(&ih).expect("just seen");
    let joined = relay::keep_joined(ih, seed.client.addr, engine, fetch.door());
    home.tasks.spawn("test.neighbour", joined);
    eventually("all pieces", || home.held(&ih) == count).await;
    home.close().await;
}
