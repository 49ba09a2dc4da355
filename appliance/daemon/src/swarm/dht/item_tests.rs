//! Items (BEP 44) in nets of our nodes on loopback, with real sockets.

use std::time::Duration;

use proto::{
    id::{InfoHash, Target},
    record::{Mutable, torrent_value},
    secret::SecretKey,
};

use super::{
    Dht, Got, Item,
    bench::{self, Net},
    net_tests::{empty_store, wait_for},
};
use crate::{clock::Clock, tasks::Tasks};

fn secret() -> SecretKey {
    SecretKey::from_seed([0x51; 32])
}

fn record(salt: &[u8], seq: i64, n: u8) -> Mutable {
    Mutable::sign(&secret(), salt, seq, &torrent_value(&InfoHash([n; 20]))).expect("within the rules")
}

async fn get(dht: &Dht, item: &Mutable, seq: Option<i64>) -> Got {
    dht.get_item(item.target(), &item.salt, seq).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_put_on_one_of_24_nodes_is_found_from_every_other() {
    let tasks = Tasks::new();
    let net = Net::start(24, &tasks).await.expect("started");
    for salt in [&b""[..], b"blog"] {
        let item = record(salt, 1, 1);
        let stored = net.nodes[3].0.put_item(Item::Mutable(item.clone()), None).await;
        assert!(
            stored.stored >= 6 && stored.asked >= stored.stored && !stored.overtaken,
            "{stored:?}"
        );
        assert!(stored.refused.is_empty(), "{stored:?}");
        for (dht, _) in &net.nodes {
            let got = get(dht, &item, None).await;
            assert_eq!(got.item, Some(Item::Mutable(item.clone())));
            assert!(got.copies >= 6 && got.answered >= 7, "{got:?}");
            assert_eq!((got.seq_seen, got.other, got.refused), (Some(1), None, 0));
        }
    }
    let value = b"d5:helloli1e5:worldee".to_vec();
    let item = Item::Immutable(value);
    let stored = net.nodes[4].0.put_item(item.clone(), None).await;
    assert!(stored.stored >= 6, "{stored:?}");
    let got = net.nodes[20].0.get_item(item.target(), b"", None).await;
    assert_eq!(got.item, Some(item));
    let nothing = net.nodes[20].0.get_item(Target([9; 20]), b"", None).await;
    assert!(
        nothing.item.is_none() && nothing.copies == 0 && nothing.answered >= 7,
        "{nothing:?}"
    );
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_never_goes_down_and_a_second_value_is_noticed() {
    let tasks = Tasks::new();
    let net = Net::start(12, &tasks).await.expect("started");
    let (writer, reader) = (&net.nodes[3].0, &net.nodes[8].0);
    let (first, second) = (record(b"", 1, 1), record(b"", 2, 2));
    writer.put_item(Item::Mutable(second.clone()), None).await;
    let got = get(reader, &second, Some(2)).await;
    assert_eq!((got.item.is_some(), got.seq_seen), (false, Some(2)), "{got:?}");
    assert!(got.copies >= 5 && !got.older_seen, "{got:?}");
    let got = get(reader, &second, Some(3)).await;
    assert!(
        got.copies == 0 && got.older_seen && !got.closest_have_it,
        "{got:?}"
    );

    let older = reader.put_item(Item::Mutable(first), None).await;
    assert!(
        older.overtaken && older.stored == 0 && older.asked == 0,
        "{older:?}"
    );
    let other = record(b"", 2, 3);
    let refused = reader.put_item(Item::Mutable(other.clone()), None).await;
    assert!(
        refused.overtaken && refused.refused.iter().any(|(code, _)| *code == 302),
        "{refused:?}"
    );

    let third = record(b"", 3, 3);
    let wrong = reader.put_item(Item::Mutable(third.clone()), Some(1)).await;
    assert!(
        wrong.overtaken && wrong.refused.iter().any(|(code, _)| *code == 301),
        "{wrong:?}"
    );
    let right = reader.put_item(Item::Mutable(third.clone()), Some(2)).await;
    assert!(!right.overtaken && right.stored >= 6, "{right:?}");
    let got = get(writer, &third, Some(2)).await;
    assert_eq!(got.item, Some(Item::Mutable(third)));
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_anybody_the_answer_is_nothing_and_comes_soon() {
    let tasks = Tasks::new();
    let alone = Dht::start_with(bench::config(None), None, &tasks)
        .await
        .expect("started");
    let item = record(b"", 1, 1);
    let got = get(&alone, &item, None).await;
    assert!(got.item.is_none() && got.answered == 0 && !got.closest_have_it);
    let stored = alone.put_item(Item::Mutable(item.clone()), None).await;
    assert_eq!((stored.stored, stored.asked), (0, 0));
    let mut forged = item;
    forged.sig[5] ^= 1;
    let stored = alone.put_item(Item::Mutable(forged), None).await;
    assert_eq!(stored.refused[0].0, 206, "refused before it is sent");
    tasks.stop(Duration::from_secs(5)).await;
    let got = alone.get_item(Target([1; 20]), b"", None).await;
    assert_eq!(got, Got::default(), "a node that has ended knows nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_stored_with_us_survives_a_restart_but_not_two_hours() {
    let dir = tempfile::tempdir().expect("a folder");
    let (db, others) = (empty_store(dir.path()), Tasks::new());
    let writer = Dht::start_with(bench::config(None), None, &others)
        .await
        .expect("started");
    let (item, value) = (record(b"n", 3, 1), Item::Immutable(b"d1:vi1ee".to_vec()));

    let tasks = Tasks::new();
    let known = bench::config(Some(writer.local_addrs()[0]));
    let keeper = Dht::start(known, db.clone(), Clock::default(), &tasks)
        .await
        .expect("started");
    wait_for("they know each other", || writer.stats().good_v4 == 1).await;
    for item in [Item::Mutable(item.clone()), value.clone()] {
        assert_eq!(writer.put_item(item, None).await.stored, 1);
    }
    wait_for("it keeps both", || keeper.stats().stored_items == 2).await;
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
    assert!(others.stop(Duration::from_secs(5)).await.is_empty());

    let tasks = Tasks::new();
    let again = Dht::start(bench::config(None), db.clone(), Clock::with_offset(3_600), &tasks)
        .await
        .expect("started");
    let reader = Dht::start_with(bench::config(Some(again.local_addrs()[0])), None, &tasks)
        .await
        .expect("started");
    wait_for("they know each other", || reader.stats().good_v4 == 1).await;
    let got = get(&reader, &item, None).await;
    assert_eq!(got.item, Some(Item::Mutable(item)));
    let got = reader.get_item(value.target(), b"", None).await;
    assert_eq!(got.item, Some(value));
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());

    let tasks = Tasks::new();
    let late = Dht::start(bench::config(None), db, Clock::with_offset(7_260), &tasks)
        .await
        .expect("started");
    assert_eq!(late.stats().stored_items, 0);
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_travel_over_ipv6_as_well() {
    let tasks = Tasks::new();
    let any = std::net::SocketAddr::from(([0u16, 0, 0, 0, 0, 0, 0, 1], 0));
    let config = |first: Option<std::net::SocketAddr>, v4: bool| super::Config {
        listen_v4: bench::config(None).listen_v4.filter(|_| v4),
        listen_v6: Some(any),
        ..bench::config(first)
    };
    let both = Dht::start_with(config(None, true), None, &tasks)
        .await
        .expect("started");
    let [v4, v6] = both.local_addrs()[..] else {
        panic!("this machine has IPv6 on loopback")
    };
    let only_v6 = Dht::start_with(config(Some(v6), false), None, &tasks)
        .await
        .expect("started");
    let only_v4 = Dht::start_with(bench::config(Some(v4)), None, &tasks)
        .await
        .expect("started");
    wait_for("all know somebody", || {
        let stats = both.stats();
        stats.good_v4 == 1 && stats.good_v6 == 1 && only_v4.stats().good_v4 == 1
    })
    .await;
    // The longest value there may be, with the longest salt.
    let value = [&b"996:"[..], &[b'x'; 996]].concat();
    let item = Mutable::sign(&secret(), &[b's'; 64], i64::MAX, &value).expect("within the rules");
    let stored = both.put_item(Item::Mutable(item.clone()), None).await;
    assert_eq!((stored.stored, stored.asked), (2, 2), "one in each network");
    wait_for("both keep it", || {
        only_v6.stats().stored_items == 1 && only_v4.stats().stored_items == 1
    })
    .await;
    let got = get(&both, &item, None).await;
    assert_eq!(
        (got.copies, got.answered, got.closest_have_it),
        (2, 2, true),
        "{got:?}"
    );
    assert_eq!(got.item, Some(Item::Mutable(item)));
    assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
}
