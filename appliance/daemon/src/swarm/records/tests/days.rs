//! The promise of this room: the publisher is gone, and its address lives on because a household follows it.

use std::path::PathBuf;

use harness::foreign::{Client, Program, Role, Torrent};
use tokio::sync::oneshot;

use super::*;
use crate::swarm::{
    Swarm, SwarmConfig,
    tests::{Home, SOON, Seed, eventually, hints},
};

/// A whole swarm whose DHT is the network in memory; peers reach it over TCP on loopback.
struct Box_ {
    swarm: Swarm,
    db: Db,
    tasks: Tasks,
}

impl Box_ {
    async fn start(world: &World, dir: &Path, addr: SocketAddr, clock: &Clock) -> Self {
        let (db, tasks) = (shelves(dir, clock), Tasks::new());
        let config = SwarmConfig {
            listen_dht: vec![addr],
            dht_bootstrap: world.config(addr).bootstrap,
            dht_wire: Some(world.wire.clone()),
            ..SwarmConfig::loopback(dir)
        };
        let swarm = Swarm::start(config, db.clone(), clock.clone(), &tasks).await;
        Self {
            swarm: swarm.expect("it starts"),
            db,
            tasks,
        }
    }

    async fn stop(self) {
        let alive = self.tasks.stop(Duration::from_secs(5)).await;
        assert!(alive.is_empty(), "still alive: {alive:?}");
        self.db.run(|store| store.close()).await.expect("it closes");
    }
}

/// The publisher's site as it lies in the household's store after it was fetched from the publisher, who then goes.
struct Fetched {
    torrent: Torrent,
    infohash: InfoHash,
    big: Vec<u8>,
    _files: tempfile::TempDir,
}

fn fetch(dir: PathBuf) -> Fetched {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let seed = Seed::site(Program::Libtorrent);
        let home = Home::open(&dir, &[seed.client.addr]).await;
        let (ih, from) = (seed.infohash(), hints(&[seed.client.addr]));
        home.swarm
            .open(ih, &from, Instant::now() + SOON)
            .await
            .expect("it opens");
        home.swarm.keep(ih).await.expect("kept");
        let complete = || {
            home.db
                .store()
                .site(&ih)
                .expect("readable")
                .is_some_and(|row| row.complete())
        };
        eventually("the whole site", complete).await;
        let files = tempfile::tempdir().expect("a folder");
        let torrent = Torrent {
            file: files.path().join("it.torrent"),
            ..seed.torrent.clone()
        };
        std::fs::copy(&seed.torrent.file, &torrent.file).expect("copied");
        home.close().await;
        Fetched {
            torrent,
            infohash: ih,
            big: std::fs::read(seed.dir().join("site/big.bin")).expect("the seed's own file"),
            _files: files,
        }
    })
}

/// Runs what blocks beside the simulated world.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, wait) = oneshot::channel();
    std::thread::spawn(move || done.send(work()));
    wait.await.expect("it does not panic")
}

/// Hours pass; every fourth one a stranger leaves for good and another one joins.
async fn hours(world: &mut World, count: u64) {
    for hour in 0..count {
        minutes(60).await;
        if hour % 4 == 3 {
            // Not the first one: newcomers know its address.
            world.nodes.remove(1).leave().await;
            let joined = world.join().await;
            world.nodes.push(joined);
        }
    }
}

/// Whom a passer-by finds in the DHT.
async fn peers(world: &World, ih: InfoHash) -> Vec<SocketAddr> {
    let stranger = world.join().await;
    settled(&stranger.dht, 8).await;
    let mut found = Vec::new();
    let mut batches = stranger.dht.get_peers(ih);
    while let Some(batch) = batches.recv().await {
        found.extend(batch);
    }
    stranger.leave().await;
    found
}

#[tokio::test(start_paused = true)]
async fn the_publisher_is_gone_for_seven_days_and_a_third_party_gets_record_and_site_from_us() {
    tokio::time::resume();
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().to_owned();
    let site = beside(move || fetch(path)).await;
    tokio::time::pause();

    let mut world = World::new(16).await;
    let (clock, addr) = (Clock::simulated(START), world.wire.address());
    let value = torrent_value(&site.infohash);
    let item = Mutable::sign(&secret(1), b"blog", 3, &value).expect("signed");
    let nobodys = record(2, b"", 1, 2);
    let publisher = world.join().await;
    settled(&publisher.dht, 8).await;
    for item in [&item, &nobodys] {
        let stored = publisher.dht.put_item(Item::Mutable(item.clone()), None).await;
        assert!(stored.stored >= 6, "{stored:?}");
    }
    let mut home = Box_::start(&world, dir.path(), addr, &clock).await;
    let records = home.swarm.records();
    let looked = records.look(&item.key, &item.salt, Owner::Followed, soon()).await;
    assert_eq!(looked.expect("found").outcome.row.item, item);
    publisher.leave().await;

    minutes(90).await;
    assert_eq!(
        peers(&world, site.infohash).await.len(),
        1,
        "our announce is there"
    );
    let begun = clock.now_secs();
    for day in 1..=7 {
        hours(&mut world, 24).await;
        assert_eq!(world.third_party(&item).await, Some(item.clone()), "day {day}");
        assert_eq!(
            world.third_party(&nobodys).await,
            None,
            "nodes forget what nobody puts"
        );
        if day == 2 {
            home.stop().await;
            minutes(10).await;
            home = Box_::start(&world, dir.path(), addr, &clock).await;
        }
        if day == 5 {
            // Five hours without power: longer than any node remembers.
            home.stop().await;
            hours(&mut world, 5).await;
            assert_eq!(world.third_party(&item).await, None, "it lives by our puts alone");
            home = Box_::start(&world, dir.path(), addr, &clock).await;
            minutes(5).await;
            assert_eq!(world.third_party(&item).await, Some(item.clone()));
        }
    }
    assert!(clock.now_secs() - begun >= 7 * 86_400);

    // Whoever resolves it also finds us as a peer, and gets the site.
    let port = home.swarm.status().listen_bt.expect("it listens").port();
    let us = SocketAddr::new(addr.ip(), port);
    assert_eq!(
        peers(&world, site.infohash).await,
        [us],
        "we are the only one who has it"
    );
    tokio::time::resume();
    let files = tempfile::tempdir().expect("a folder");
    let role = Role {
        dir: files.path().to_owned(),
        peer: Some(SocketAddr::from(([127, 0, 0, 1], port))),
        ..Role::default()
    };
    let (torrent, big) = (site.torrent.clone(), site.big.clone());
    beside(move || {
        let client = Client::start(Program::Libtorrent, &torrent, &role);
        client.wait_file("site/big.bin", &big, SOON);
    })
    .await;
    home.stop().await;
}
