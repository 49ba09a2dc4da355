//! mainline 8.0.1 (Rust) beside our node: it finds peers, and it cannot carry the records this program is about.

use std::{net::SocketAddr, time::Duration};

use proto::{
    dht::krpc,
    id::{InfoHash, Target},
    record::{Meaning, Mutable, torrent_value},
    secret::SecretKey,
};
use tokio::{net::UdpSocket, time::timeout};

use super::{
    Dht, Item,
    bench::{self, Net},
    foreign_tests::{finds, hash},
};
use crate::tasks::Tasks;

const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(deprecated)] // The blocking calls are what works without another runtime.
async fn mainline_and_we_find_each_others_peers() {
    let tasks = Tasks::new();
    let testnet = mainline::Testnet::builder(6).build().expect("a net on loopback");
    let router: SocketAddr = testnet.bootstrap[0].parse().expect("an address");
    let ours = Dht::start_with(bench::config(Some(router)), None, &tasks)
        .await
        .expect("started");
    let target = |ih: InfoHash| mainline::Id::from_bytes(ih.0).expect("20 bytes");

    let announced = hash(20);
    let (done, wait) = tokio::sync::oneshot::channel();
    let node = testnet.nodes[4].clone();
    std::thread::spawn(move || done.send(node.announce_peer(target(announced), Some(7020)).is_ok()));
    assert!(
        timeout(DEADLINE, wait).await.expect("in time").expect("it ran"),
        "mainline announces"
    );
    finds(&ours, announced, SocketAddr::from(([127, 0, 0, 1], 7020))).await;

    let stored = async {
        while ours.announce(hash(21), 7021).await < 4 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(DEADLINE, stored)
        .await
        .expect("mainline nodes store ours");
    let (done, wait) = tokio::sync::oneshot::channel();
    let node = testnet.nodes[2].clone();
    std::thread::spawn(move || {
        let peers: Vec<_> = node.get_peers(target(hash(21))).flatten().collect();
        done.send(peers)
    });
    let peers = timeout(DEADLINE, wait).await.expect("in time").expect("it ran");
    assert!(
        peers.contains(&"127.0.0.1:7021".parse().expect("address")),
        "{peers:?}"
    );
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
}

/// Why this program has a DHT node of its own and does not build on mainline 8.0.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(deprecated)] // The blocking calls are what works without another runtime.
async fn mainline_neither_stores_nor_finds_nor_publishes_the_dictionary_of_a_torrent_record() {
    let tasks = Tasks::new();
    let testnet = mainline::Testnet::builder(6).build().expect("a net on loopback");
    let router: SocketAddr = testnet.bootstrap[0].parse().expect("an address");
    let guest = Dht::start_with(bench::config(Some(router)), None, &tasks)
        .await
        .expect("started");
    let (dictionary, text) = (signed(1, &torrent_value(&hash(1))), signed(2, b"5:hello"));
    let stored = async {
        while guest.put_item(Item::Mutable(text.clone()), None).await.stored < 4 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(DEADLINE, stored).await.expect("byte strings are stored");
    let stored = guest.put_item(Item::Mutable(dictionary.clone()), None).await;
    assert!(stored.asked >= 4 && stored.stored == 0, "{stored:?}");

    let net = Net::start(12, &tasks).await.expect("started");
    let ours = &net.nodes[3].0;
    for item in [&dictionary, &text] {
        let stored = ours.put_item(Item::Mutable(item.clone()), None).await;
        assert!(stored.stored >= 6, "{stored:?}");
    }
    let known = net.nodes[0].0.local_addrs()[0].to_string();
    let mut builder = mainline::Dht::builder();
    builder.bootstrap(&[known]).bind_address([127, 0, 0, 1].into());
    let keys = [text.key.0, dictionary.key.0];
    let published = mainline::SigningKey::from_bytes(&[23; 32]);
    let (done, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let node = builder.build().expect("a node on loopback");
        let found = keys.map(|key| {
            node.get_mutable(&key, None, None)
                .next()
                .map(|item| item.value().to_vec())
        });
        let item = mainline::MutableItem::new(published, &torrent_value(&hash(3)), 1, None);
        done.send((found, node.put_mutable(item, None).is_ok()))
    });
    let (found, put) = timeout(DEADLINE, wait).await.expect("in time").expect("it ran");
    assert_eq!(found, [Some(b"hello".to_vec()), None]);
    assert!(put, "it does publish something");
    let theirs = SecretKey::from_seed([23; 32]).public();
    let got = ours.get_item(Target(theirs.target(b"")), b"", None).await;
    let Some(Item::Mutable(item)) = got.item else {
        panic!("it is found: {got:?}")
    };
    assert_eq!(
        item.value,
        [b"29:", &torrent_value(&hash(3))[..]].concat(),
        "a string, not a dictionary"
    );
    assert_eq!(item.meaning(), Meaning::Other);
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mainline_answers_transaction_ids_of_four_bytes_only_and_we_all() {
    let tasks = Tasks::new();
    let testnet = mainline::Testnet::builder(2).build().expect("a net on loopback");
    let theirs: SocketAddr = testnet.bootstrap[0].parse().expect("an address");
    let ours = Dht::start_with(bench::config(None), None, &tasks)
        .await
        .expect("started");
    let ours = ours.local_addrs()[0];
    let client = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let ping = |tid: &str| {
        let head = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t";
        format!("{head}{}:{tid}1:y1:qe", tid.len())
    };
    for tid in ["aa", "abcd", "abcdefgh"] {
        client.send_to(ping(tid).as_bytes(), ours).await.expect("sent");
        assert_eq!(reply_of(&client, ours).await, tid.as_bytes());
    }
    // The odd ones first: had they been answered, those answers would come before the one to the third.
    for tid in ["aa", "abcdefgh", "abcd"] {
        client.send_to(ping(tid).as_bytes(), theirs).await.expect("sent");
    }
    assert_eq!(reply_of(&client, theirs).await, b"abcd");
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
}

/// The transaction id of the next reply of `node`; what it asks meanwhile is ignored.
async fn reply_of(client: &UdpSocket, node: SocketAddr) -> Vec<u8> {
    let mut buffer = [0; 2048];
    loop {
        let datagram = timeout(DEADLINE, client.recv_from(&mut buffer)).await;
        let (length, from) = datagram.expect("in time").expect("received");
        let message = krpc::decode(&buffer[..length]).expect("a message");
        if from == node && matches!(message.body, krpc::Body::Reply(_)) {
            return message.tid.to_vec();
        }
    }
}

fn signed(seed: u8, value: &[u8]) -> Mutable {
    Mutable::sign(&SecretKey::from_seed([seed; 32]), b"", 1, value).expect("within the rules")
}
