//! Nets of our nodes on loopback, with real sockets.

use std::{net::SocketAddr, path::Path, time::Duration};

use proto::id::InfoHash;
use tokio::net::UdpSocket;

use super::{Config, Dht, bench, bench::Net};
use crate::{clock::Clock, db::Db, tasks::Tasks};

const DEADLINE: Duration = Duration::from_secs(20);

/// Everything a lookup finds.
pub async fn find(dht: &Dht, ih: InfoHash) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    let mut peers = dht.get_peers(ih);
    let all = async {
        while let Some(batch) = peers.recv().await {
            found.extend(batch);
        }
    };
    tokio::time::timeout(DEADLINE, all)
        .await
        .expect("the lookup ends");
    found
}

pub async fn wait_for(what: &str, mut cond: impl FnMut() -> bool) {
    let wait = async {
        while !cond() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait)
        .await
        .unwrap_or_else(|_| panic!("in time: {what}"));
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_announced_on_one_of_24_nodes_is_found_from_every_other() {
    let tasks = Tasks::new();
    let net = Net::start(24, &tasks).await.expect("started");
    let ih = InfoHash([0x5a; 20]);
    let stored = net.nodes[3].0.announce(ih, 7777).await;
    assert!(stored >= 6, "{stored} nodes store it");
    for (at, (dht, _)) in net.nodes.iter().enumerate() {
        if at != 3 {
            assert_eq!(find(dht, ih).await, [local(7777)], "node {at}");
        }
    }
    assert!(
        find(&net.nodes[5].0, InfoHash([1; 20])).await.is_empty(),
        "nobody announced that one"
    );
    let stats = net.nodes[0].0.stats();
    assert!(stats.queries_in.total() > 0 && stats.queries_out.total() > 0 && stats.nodes_v6 == 0);
    assert!(
        tasks.stop(Duration::from_secs(5)).await.is_empty(),
        "every task ends"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_nodes_hold_nobody_up() {
    let report = bench::run(20, 10, 30).await.expect("ran");
    assert_eq!(report.ok_frac, 1.0, "{report:?}");
    assert!(
        report.times.values().all(|ms| *ms < 1_500.0),
        "no job waits for a full timeout: {report:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ipv6_nodes_find_each_other_and_a_missing_ipv6_is_no_obstacle() {
    let tasks = Tasks::new();
    let any = SocketAddr::from(([0u16, 0, 0, 0, 0, 0, 0, 1], 0));
    let both = |first: Option<SocketAddr>| Config {
        listen_v6: Some(any),
        ..bench::config(first)
    };
    let first = Dht::start_with(both(None), None, &tasks).await.expect("started");
    let [v4, v6] = first.local_addrs()[..] else {
        panic!("this machine has IPv6 on loopback")
    };
    let by_v4 = Dht::start_with(both(Some(v4)), None, &tasks)
        .await
        .expect("started");
    let only_v6 = Config {
        listen_v4: None,
        ..both(Some(v6))
    };
    let by_v6 = Dht::start_with(only_v6, None, &tasks).await.expect("started");
    wait_for("both know somebody", || {
        by_v4.stats().good_v4 > 0 && by_v6.stats().good_v6 > 0
    })
    .await;
    let ih = InfoHash([6; 20]);
    assert!(by_v6.announce(ih, 16666).await >= 1);
    let want = SocketAddr::from(([0u16, 0, 0, 0, 0, 0, 0, 1], 16666));
    assert_eq!(find(&first, ih).await, [want]);
    wait_for("IPv6 nodes are learned over IPv4", || by_v4.stats().good_v6 > 0).await;
    assert_eq!(find(&by_v4, ih).await, [want]);

    // An address this machine does not have.
    let elsewhere = Some("[2001:db8::1]:0".parse().expect("address"));
    let without = Config {
        listen_v6: elsewhere,
        ..bench::config(None)
    };
    let without = Dht::start_with(without, None, &tasks)
        .await
        .expect("IPv4 is enough");
    assert_eq!(without.local_addrs().len(), 1);
    let alone = Config {
        listen_v4: None,
        listen_v6: elsewhere,
        ..bench::config(None)
    };
    assert!(Dht::start_with(alone, None, &tasks).await.is_err());
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_named_by_a_peer_is_met_and_a_read_only_node_is_silent() {
    let tasks = Tasks::new();
    let one = Dht::start_with(bench::config(None), None, &tasks)
        .await
        .expect("started");
    let two = Dht::start_with(bench::config(None), None, &tasks)
        .await
        .expect("started");
    one.ping_node(two.local_addrs()[0]);
    wait_for("they know each other", || {
        one.stats().good_v4 == 1 && two.stats().good_v4 == 1
    })
    .await;
    let quiet = Config {
        read_only: true,
        ..bench::config(Some(one.local_addrs()[0]))
    };
    let quiet = Dht::start_with(quiet, None, &tasks).await.expect("started");
    wait_for("it may still ask", || quiet.stats().good_v4 == 2).await;
    assert!(
        one.stats().nodes_v4 == 1 && two.stats().nodes_v4 == 1,
        "who does not answer is not known"
    );

    let client = UdpSocket::bind(local(0)).await.expect("bound");
    let ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
    client.send_to(ping, quiet.local_addrs()[0]).await.expect("sent");
    wait_for("it came in", || quiet.stats().queries_in.ping == 1).await;
    client.send_to(ping, two.local_addrs()[0]).await.expect("sent");
    let mut buffer = [0; 2048];
    let answer = tokio::time::timeout(DEADLINE, client.recv_from(&mut buffer)).await;
    let (length, from) = answer.expect("in time").expect("received");
    assert_eq!(from, two.local_addrs()[0], "only the other one answers");
    let message = proto::dht::krpc::decode(&buffer[..length]).expect("a message");
    assert_eq!(message.tid, b"aa");
    assert_eq!(message.ip, Some(client.local_addr().expect("bound")));
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_from_one_source_is_cut_and_garbage_does_no_harm() {
    let tasks = Tasks::new();
    let config = Config {
        limits: Default::default(),
        ..bench::config(None)
    };
    let dht = Dht::start_with(config, None, &tasks).await.expect("started");
    let client = UdpSocket::bind(local(0)).await.expect("bound");
    let to = dht.local_addrs()[0];
    let junk: [&[u8]; 5] = [b"", b"d", b"\xff\xff", &[b'l'; 1500], b"d1:y1:qe"];
    for datagram in junk {
        client.send_to(datagram, to).await.expect("sent");
    }
    let query =
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe";
    for _ in 0..200 {
        client.send_to(query, to).await.expect("sent");
    }
    wait_for("all have come in", || dht.stats().queries_in.find_node == 200).await;
    let stats = dht.stats();
    assert!(
        stats.ignored >= junk.len() as u64 && stats.dropped_source >= 150,
        "{stats:?}"
    );
    assert!(
        stats.reply_bytes_out <= 8_000 + 8_000 && stats.replies_out <= 50,
        "{stats:?}"
    );
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_an_error_that_names_it() {
    let tasks = Tasks::new();
    let taken = UdpSocket::bind(local(0)).await.expect("bound");
    let addr = taken.local_addr().expect("bound");
    let config = Config {
        listen_v4: Some(addr),
        ..bench::config(None)
    };
    let Err(err) = Dht::start_with(config, None, &tasks).await else {
        panic!("the port is taken")
    };
    assert!(err.to_string().contains(&addr.to_string()), "{err}");
    let none = Config {
        listen_v4: None,
        listen_v6: None,
        ..bench::config(None)
    };
    assert!(matches!(
        Dht::start_with(none, None, &tasks).await,
        Err(super::Error::NoAddress)
    ));
}

pub fn empty_store(dir: &Path) -> Db {
    std::fs::create_dir_all(dir.join("content")).expect("a folder");
    let config = store::Config {
        state_dir: dir.join("state"),
        content_dir: dir.join("content"),
        segment_bytes_max: 64 << 20,
        pending_bytes_max: 16 << 20,
        visited_bytes_max: 1 << 40,
        free_floor_bytes: 0,
    };
    Db::new(store::Store::open(config, 1).expect("an empty store"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn id_and_nodes_survive_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = empty_store(dir.path());
    let clock = Clock::default();
    let id = || {
        let row = db
            .store()
            .setting("dht.nodes")
            .expect("readable")
            .expect("saved at stop");
        let row = proto::bencode::parse(&row).expect("bencoding");
        row.get(b"v4")
            .and_then(|v4| v4.get(b"id"))
            .expect("an id")
            .raw
            .to_vec()
    };
    let others = Tasks::new();
    let other = Dht::start_with(bench::config(None), None, &others)
        .await
        .expect("started");

    let tasks = Tasks::new();
    let known = bench::config(Some(other.local_addrs()[0]));
    let first = Dht::start(known, db.clone(), clock.clone(), &tasks)
        .await
        .expect("started");
    wait_for("it knows the other", || first.stats().good_v4 == 1).await;
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
    let before = id();

    let tasks = Tasks::new();
    let again = Dht::start(bench::config(None), db.clone(), clock.clone(), &tasks)
        .await
        .expect("started");
    wait_for("it remembers the other", || again.stats().good_v4 == 1).await;
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
    assert_eq!(id(), before);
    assert!(others.stop(Duration::from_secs(5)).await.is_empty());
}
