//! Items (BEP 44) in nets of our nodes on loopback, with real sockets.

use std::time::Duration;

use proto::{
    id::{InfoHash, Target},
    record::{Mutable, torrent_value},
    secret::SecretKey,
};

use super::{Dht, Got, Item, bench::Net};
use crate::tasks::Tasks;

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
            assert!(got.copies >= 6 && got.answered >= 8, "{got:?}");
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
        nothing.item.is_none() && nothing.copies == 0 && nothing.answered >= 8,
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
    assert!(
        got.copies >= 6 && got.closest_have_it && !got.older_seen,
        "{got:?}"
    );
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
    let alone = Dht::start_with(super::bench::config(None), None, &tasks)
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
