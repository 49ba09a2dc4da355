//! Publishing: never two values under one number, never below what stands, and the store before the world.

use proto::record::immutable_target;

use super::*;
use crate::swarm::records::Error;

#[tokio::test(start_paused = true)]
async fn what_is_published_is_found_by_everybody_and_kept_alive() {
    let world = World::new(12).await;
    let (clock, dir) = (Clock::simulated(START), tempfile::tempdir().expect("a folder"));
    let home = Household::start(&world, dir.path(), world.wire.address(), &clock).await;
    for item in [record(1, b"", 1, 1), record(1, b"n", 1, 2), record(1, b"n", 2, 3)] {
        let published = home.records.publish(item.clone(), None, soon()).await;
        let published = published.expect("it is taken");
        assert!(
            published.stored >= 6 && published.asked >= published.stored,
            "{published:?}"
        );
        assert_eq!(published.row.owner, Owner::Me);
        assert_eq!(world.third_party(&item).await, Some(item));
    }
    minutes(24 * 60).await;
    let last = record(1, b"n", 2, 3);
    assert_eq!(world.third_party(&last).await, Some(last));
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_number_has_one_value_also_after_a_restart() {
    let world = World::new(12).await;
    let (clock, dir) = (Clock::simulated(START), tempfile::tempdir().expect("a folder"));
    let home = Household::start(&world, dir.path(), world.wire.address(), &clock).await;
    let (first, second) = (record(1, b"", 5, 1), record(1, b"", 5, 2));
    home.records
        .publish(first.clone(), None, soon())
        .await
        .expect("taken");
    let refused = home.records.publish(second.clone(), None, soon()).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    let addr = home.dht.local_addrs()[0];
    home.stop().await;
    let home = Household::start(&world, dir.path(), addr, &clock).await;
    let refused = home.records.publish(second.clone(), None, soon()).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    assert_eq!(home.row(&first).item, first);
    assert_eq!(
        home.row(&first).conflict,
        None,
        "a refused one is no warning: nobody ever saw it"
    );
    let got = world.get(&first).await;
    assert_eq!((got.item, got.other), (Some(Item::Mutable(first.clone())), None));
    // The same again is no second value, and a lower number is below what stands.
    assert!(home.records.publish(first, None, soon()).await.is_ok());
    let below = home.records.publish(record(1, b"", 4, 9), None, soon()).await;
    assert!(matches!(below, Err(Error::Overtaken(5))), "{below:?}");
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_number_used_on_another_machine_is_not_used_again() {
    let world = World::new(12).await;
    let (clock, dir) = (Clock::simulated(START), tempfile::tempdir().expect("a folder"));
    let home = Household::start(&world, dir.path(), world.wire.address(), &clock).await;
    let elsewhere = record(1, b"", 7, 1);
    world.put(&elsewhere).await;
    // This store is empty: only the network knows.
    let same = home.records.publish(record(1, b"", 7, 2), None, soon()).await;
    assert!(matches!(same, Err(Error::Refused(_))), "{same:?}");
    let below = home.records.publish(record(1, b"", 6, 2), None, soon()).await;
    assert!(matches!(below, Err(Error::Overtaken(7))), "{below:?}");
    let cas = home.records.publish(record(1, b"", 8, 2), Some(6), soon()).await;
    assert!(matches!(cas, Err(Error::Overtaken(7))), "{cas:?}");
    assert_eq!(world.third_party(&elsewhere).await, Some(elsewhere));
    let next = record(1, b"", 8, 2);
    home.records
        .publish(next.clone(), Some(7), soon())
        .await
        .expect("taken");
    assert_eq!(world.third_party(&next).await, Some(next));
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_network_it_is_stored_and_put_when_there_is_one() {
    let mut world = World::new(0).await;
    let (clock, dir) = (Clock::simulated(START), tempfile::tempdir().expect("a folder"));
    let home = Household::start(&world, dir.path(), world.wire.address(), &clock).await;
    let item = record(1, b"", 1, 1);
    let begun = Instant::now();
    let published = home
        .records
        .publish(item.clone(), None, soon())
        .await
        .expect("stored");
    assert_eq!((published.stored, published.row.item), (0, item.clone()));
    assert!(
        begun.elapsed() < Duration::from_secs(65),
        "it ends at its deadline"
    );
    for _ in 0..12 {
        let stranger = world.join().await;
        world.nodes.push(stranger);
    }
    home.dht.ping_node(world.nodes[0].addr);
    minutes(15).await;
    assert_eq!(world.third_party(&item).await, Some(item));
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_breaks_a_rule_goes_nowhere() {
    let world = World::new(8).await;
    let (clock, dir) = (Clock::simulated(START), tempfile::tempdir().expect("a folder"));
    let home = Household::start(&world, dir.path(), world.wire.address(), &clock).await;
    let mut forged = record(1, b"", 1, 1);
    forged.sig[7] ^= 1;
    let negative = Mutable {
        seq: -1,
        ..record(1, b"", 1, 1)
    };
    let mut long = record(1, b"", 1, 1);
    long.value = [&b"998:"[..], &[b'x'; 998]].concat();
    let salted = Mutable {
        salt: vec![b's'; 65],
        ..record(1, b"", 1, 1)
    };
    for item in [forged, negative, long, salted] {
        let refused = home.records.publish(item.clone(), None, soon()).await;
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
        assert_eq!(home.records.known(&item.target()).await.expect("readable"), None);
    }
    for value in [&b"hello"[..], b"d1:b0:1:a0:e", b"i01e"] {
        assert!(home.records.put_item(value.to_vec(), soon()).await.is_err());
    }
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_item_without_a_key_is_found_by_its_hash() {
    let world = World::new(12).await;
    let (clock, dir) = (Clock::simulated(START), tempfile::tempdir().expect("a folder"));
    let home = Household::start(&world, dir.path(), world.wire.address(), &clock).await;
    let value = b"12:Hello World!".to_vec();
    let (target, stored) = home.records.put_item(value.clone(), soon()).await.expect("taken");
    assert!(stored >= 6 && target == immutable_target(&value));
    let other = tempfile::tempdir().expect("a folder");
    let other = Household::start(&world, other.path(), world.wire.address(), &clock).await;
    assert_eq!(other.records.item(target, soon()).await.expect("found"), value);
    let record = record(1, b"", 3, 3);
    world.put(&record).await;
    let found = other.records.find(record.target(), b"", soon()).await;
    assert_eq!(found.expect("found"), Item::Mutable(record));
    let nothing = other.records.item(Target([9; 20]), soon()).await;
    assert!(matches!(nothing, Err(Error::Silent(_))), "{nothing:?}");
    home.stop().await;
    other.stop().await;
}
