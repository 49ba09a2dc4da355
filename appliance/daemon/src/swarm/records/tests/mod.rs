//! The room on a network in memory, in simulated time: real nodes, a real store, no sockets.

mod days;
mod keeping;
mod publishing;

use std::{net::SocketAddr, path::Path, time::Duration};

use proto::{
    id::{InfoHash, Target},
    record::{Mutable, torrent_value},
    secret::SecretKey,
};
use store::{Owner, RecordRow, Store, Subscription};
use tokio::time::Instant;

use super::Records;
use crate::{
    clock::Clock,
    db::Db,
    swarm::dht::{self, Dht, Got, Item, wire::Wire},
    tasks::Tasks,
};

pub const START: u64 = 1_800_000_000;

/// Strangers with their nodes.
pub struct World {
    pub wire: Wire,
    pub nodes: Vec<Stranger>,
}

/// A node without a store: what it holds it forgets after two hours.
pub struct Stranger {
    pub dht: Dht,
    pub addr: SocketAddr,
    tasks: Tasks,
}

impl World {
    pub async fn new(count: usize) -> Self {
        let mut world = World {
            wire: Wire::default(),
            nodes: Vec::new(),
        };
        for _ in 0..count {
            let stranger = world.join().await;
            world.nodes.push(stranger);
        }
        for stranger in &world.nodes {
            settled(&stranger.dht, 8.min(count.saturating_sub(1))).await;
        }
        world
    }

    pub fn config(&self, addr: SocketAddr) -> dht::Config {
        let router = self.nodes.first().map(|first| first.addr.to_string());
        dht::Config {
            listen_v4: Some(addr),
            listen_v6: None,
            bootstrap: router.into_iter().collect(),
            wire: Some(self.wire.clone()),
            ..dht::Config::default()
        }
    }

    pub async fn join(&self) -> Stranger {
        let (addr, tasks) = (self.wire.address(), Tasks::new());
        let dht = Dht::start_with(self.config(addr), None, &tasks).await;
        let dht = dht.expect("a free address");
        Stranger { dht, addr, tasks }
    }

    /// What somebody finds who has nothing to do with anybody here.
    pub async fn third_party(&self, item: &Mutable) -> Option<Mutable> {
        let stranger = self.join().await;
        settled(&stranger.dht, 8.min(self.nodes.len())).await;
        let got = stranger.dht.get_item(item.target(), &item.salt, None).await;
        stranger.leave().await;
        match got.item {
            Some(Item::Mutable(item)) => Some(item),
            _ => None,
        }
    }

    pub async fn put(&self, item: &Mutable) -> usize {
        let stored = self.nodes[0]
            .dht
            .put_item(Item::Mutable(item.clone()), None)
            .await;
        stored.stored
    }

    pub async fn get(&self, item: &Mutable) -> Got {
        self.nodes[1].dht.get_item(item.target(), &item.salt, None).await
    }
}

impl Stranger {
    pub async fn leave(self) {
        assert!(self.tasks.stop(Duration::from_secs(5)).await.is_empty());
    }
}

/// Waits until a node knows others.
pub async fn settled(dht: &Dht, wanted: usize) {
    let until = Instant::now() + Duration::from_secs(600);
    while dht.stats().good_v4 < wanted {
        assert!(Instant::now() < until, "it knows {} nodes", dht.stats().good_v4);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A Granary's records, its store and its node.
pub struct Household {
    pub records: Records,
    pub db: Db,
    pub dht: Dht,
    tasks: Tasks,
}

impl Household {
    /// `addr`: where its node listens; it keeps that over restarts, as a home does.
    pub async fn start(world: &World, dir: &Path, addr: SocketAddr, clock: &Clock) -> Self {
        let (db, tasks) = (shelves(dir, clock), Tasks::new());
        let dht = Dht::start(world.config(addr), db.clone(), clock.clone(), &tasks).await;
        let dht = dht.expect("a free address");
        let records = Records::start(Some(dht.clone()), db.clone(), clock.clone(), &tasks);
        Self {
            records,
            db,
            dht,
            tasks,
        }
    }

    pub async fn stop(self) {
        let alive = self.tasks.stop(Duration::from_secs(5)).await;
        assert!(alive.is_empty(), "still alive: {alive:?}");
        self.db.run(|store| store.close()).await.expect("it closes");
    }

    pub fn row(&self, item: &Mutable) -> RecordRow {
        let row = self.db.store().record(&item.target()).expect("readable");
        row.expect("there is a row")
    }

    /// Follows the address of `item`, as the network knows it now.
    pub async fn follow(&self, item: &Mutable) {
        let looked = self
            .records
            .look(&item.key, &item.salt, Owner::Followed, soon())
            .await;
        assert_eq!(looked.expect("it is found").outcome.row.item, *item);
    }
}

pub fn shelves(dir: &Path, clock: &Clock) -> Db {
    std::fs::create_dir_all(dir.join("content")).expect("writable");
    let config = store::Config {
        state_dir: dir.to_owned(),
        content_dir: dir.join("content"),
        segment_bytes_max: 1 << 30,
        pending_bytes_max: 64 << 20,
        visited_bytes_max: 4 << 30,
        free_floor_bytes: 0,
    };
    Db::new(Store::open(config, clock.now_secs()).expect("it opens"))
}

pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

pub fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

/// A record of publisher `key` that points to a torrent made of `n`.
pub fn record(key: u8, salt: &[u8], seq: i64, n: u8) -> Mutable {
    let value = torrent_value(&InfoHash([n; 20]));
    Mutable::sign(&secret(key), salt, seq, &value).expect("within the rules")
}

/// A subscription with nothing but its id.
pub fn subscription(id: Target) -> Subscription {
    Subscription {
        id,
        address: String::new(),
        title: String::new(),
        name: String::new(),
        added: START,
        paused: false,
        blocked: false,
        quota_bytes: 0,
        keep_versions: 0,
        pinned: Vec::new(),
        versions: Vec::new(),
        whole: None,
        trackers: Vec::new(),
        last_checked: 0,
        last_heard: 0,
        last_changed: 0,
        interval_secs: 0,
        trouble: String::new(),
        failures: 0,
    }
}

pub async fn minutes(count: u64) {
    tokio::time::sleep(Duration::from_secs(60 * count)).await;
}
