//! Addresses against a real store, with the network off: what is answered at once, and what is refused.

use std::time::Duration;

use proto::{
    bencode::Value,
    id::{InfoHash, Target},
    metainfo::parse_info,
    name::Address,
    record::{Mutable, torrent_value},
    secret::SecretKey,
};
use store::{Keep, Owner, Store, Subscription};
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::{links, swarm::SwarmConfig};

const OLD: InfoHash = InfoHash([1; 20]);
const NEW: InfoHash = InfoHash([2; 20]);

struct Home {
    sites: Sites,
    db: Db,
    tasks: Tasks,
    now: u64,
    _dir: TempDir,
}

impl Home {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::default();
        let now = clock.now_secs();
        let config = store::Config {
            state_dir: dir.path().to_owned(),
            content_dir: dir.path().to_owned(),
            segment_bytes_max: 1 << 30,
            pending_bytes_max: 8 << 20,
            visited_bytes_max: 1 << 30,
            free_floor_bytes: 0,
        };
        let db = Db::new(Store::open(config, now).unwrap());
        let tasks = Tasks::new();
        let config = SwarmConfig::loopback(dir.path());
        let swarm = Swarm::start(config, db.clone(), clock.clone(), &tasks)
            .await
            .unwrap();
        let dead = links::Config {
            upstream: vec!["127.0.0.1:1".parse().unwrap()],
            ..links::Config::default()
        };
        let links = Links::new(&dead).unwrap();
        let sites = Sites::new(swarm, links, db.clone(), clock, &tasks);
        Self {
            sites,
            db,
            tasks,
            now,
            _dir: dir,
        }
    }

    /// A record of our key, seen so many seconds ago.
    fn record(&self, salt: &[u8], seq: i64, value: &[u8], ago: u64) -> Address {
        let item = Mutable::sign(&SecretKey::from_seed([5; 32]), salt, seq, value).unwrap();
        let (key, target) = (item.key, item.target());
        let store = self.db.store();
        store.put_record(&item, Owner::Visited, self.now - ago).unwrap();
        store.record_checked(&target, true, 8, self.now - ago).unwrap();
        Address::Key {
            key,
            salt: salt.to_vec(),
        }
    }

    fn follow(&self, id: Target, change: impl FnOnce(&mut Subscription)) {
        let mut row = Subscription {
            id,
            address: String::new(),
            title: String::new(),
            name: String::new(),
            added: self.now,
            paused: false,
            blocked: false,
            quota_bytes: 0,
            keep_versions: 3,
            pinned: Vec::new(),
            versions: Vec::new(),
            whole: None,
            trackers: Vec::new(),
            last_checked: 0,
            last_heard: 0,
            last_changed: 0,
            interval_secs: 900,
            trouble: String::new(),
            failures: 0,
        };
        change(&mut row);
        self.db.store().put_subscription(&row).unwrap();
    }

    async fn current(&self, address: &Address) -> Result<Current, Error> {
        let deadline = Instant::now() + Duration::from_secs(3);
        self.sites.current(address, false, deadline).await
    }

    async fn close(self) {
        self.tasks.stop(Duration::from_secs(5)).await;
        self.db.run(|store| store.close()).await.unwrap();
    }
}

fn target(address: &Address) -> Target {
    match address {
        Address::Key { key, salt } => Target(key.target(salt)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_known_record_is_answered_at_once_and_an_old_one_says_so() {
    let home = Home::open().await;
    let fresh = home.record(b"fresh", 1, &torrent_value(&OLD), 30);
    let stale = home.record(b"stale", 1, &torrent_value(&NEW), 10_000);
    let (a, b) = (
        home.current(&fresh).await.unwrap(),
        home.current(&stale).await.unwrap(),
    );
    assert_eq!((a.infohash, a.stale, a.newer), (OLD, false, None));
    assert_eq!((b.infohash, b.stale), (NEW, true));
    assert!((10_000..10_060).contains(&b.age_secs), "{}", b.age_secs);
    let deadline = Instant::now();
    let local = home.sites.current(&stale, true, deadline).await.unwrap();
    assert_eq!(local.infohash, NEW);
    let unknown = Address::Key {
        key: proto::key::PublicKey([9; 32]),
        salt: vec![],
    };
    let nothing = home.sites.current(&unknown, true, deadline).await;
    assert!(matches!(nothing, Err(Error::NoRecord(_))), "{nothing:?}");
    // The network is off in this home.
    let off = home.current(&unknown).await;
    assert!(
        matches!(off, Err(Error::Unavailable(_) | Error::NoRecord(_))),
        "{off:?}"
    );
    home.close().await;
}

#[tokio::test]
async fn readers_of_what_is_followed_get_the_newest_whole_version() {
    let home = Home::open().await;
    home.record(b"", 1, &torrent_value(&OLD), 5_000);
    let address = home.record(b"", 2, &torrent_value(&NEW), 10);
    assert_eq!(home.current(&address).await.unwrap().infohash, NEW);
    home.follow(target(&address), |row| row.whole = Some(OLD));
    let current = home.current(&address).await.unwrap();
    assert_eq!((current.infohash, current.newer), (OLD, Some(NEW)));
    let versions = home.sites.versions(&current).await.unwrap();
    let told: Vec<_> = versions.iter().map(|one| (one.seq, one.infohash)).collect();
    assert_eq!(told, [(Some(2), Some(NEW)), (Some(1), Some(OLD))]);
    home.follow(target(&address), |row| row.blocked = true);
    assert!(matches!(home.current(&address).await, Err(Error::Blocked)));
    home.close().await;
}

#[tokio::test]
async fn what_is_no_site_is_told_apart_and_what_is_held_stays_readable() {
    let home = Home::open().await;
    let other = home.record(b"", 1, b"i7e", 10);
    let refused = home.current(&other).await;
    assert!(matches!(refused, Err(Error::NotASite(_))), "{refused:?}");
    home.follow(target(&other), |row| row.whole = Some(OLD));
    assert_eq!(home.current(&other).await.unwrap().infohash, OLD);
    let item = home.current(&Address::Item([3; 20])).await;
    assert!(matches!(item, Err(Error::NotASite(_))));
    let deadline = Instant::now() + Duration::from_secs(5);
    let signed = home.sites.item(target(&other), true, deadline).await.unwrap();
    assert!(matches!(signed, Item::Mutable(row) if row.item.value == b"i7e"));
    home.close().await;
}

#[tokio::test]
async fn names_and_silent_domains_lead_to_what_the_household_holds() {
    let home = Home::open().await;
    let address = home.record(b"", 1, &torrent_value(&NEW), 10);
    let host = address.host(proto::name::TLD).unwrap();
    home.db.store().set_petname("alice", &host).unwrap();
    let alice = home.current(&Address::Petname("alice".into())).await.unwrap();
    assert_eq!((alice.infohash, alice.address), (NEW, address));
    let nobody = home.current(&Address::Petname("bob".into())).await;
    assert!(matches!(nobody, Err(Error::Unknown(_))));
    let domain = Address::Domain("silent.example".into());
    let silent = home.current(&domain).await;
    assert!(matches!(silent, Err(Error::Unresolved(_))), "{silent:?}");
    home.follow(domain_id("silent.example"), |row| row.whole = Some(OLD));
    let held = home.current(&domain).await.unwrap();
    assert_eq!((held.infohash, held.stale), (OLD, true));
    home.close().await;
}

#[tokio::test]
async fn a_torrent_here_opens_by_its_longer_infohash() {
    let home = Home::open().await;
    let leaf = Value::dict([("length", Value::Int(5)), ("pieces root", Value::bytes([7; 32]))]);
    let raw = Value::dict([
        ("file tree", Value::dict([("a", Value::dict([("", leaf)]))])),
        ("length", Value::Int(5)),
        ("meta version", Value::Int(2)),
        ("name", Value::text("a")),
        ("piece length", Value::Int(16_384)),
        ("pieces", Value::bytes([8; 20])),
    ])
    .encode();
    let info = parse_info(&raw).unwrap();
    let v2 = Address::TorrentV2(info.infohash_v2.unwrap());
    assert!(matches!(home.current(&v2).await, Err(Error::Unknown(_))));
    let store = home.db.store();
    store.add_site(&info, &raw, &[], Keep::Visited, home.now).unwrap();
    // The index is made anew when there are more sites than before, at most every ten seconds.
    home.sites.v2.forget().await;
    assert_eq!(home.current(&v2).await.unwrap().infohash, info.infohash);
    assert_eq!(home.sites.held(&info.infohash), Held::Part(0));
    home.close().await;
}
