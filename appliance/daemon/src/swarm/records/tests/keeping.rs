//! What is put again, when, and what never is.

use proto::{metainfo::parse_info, record::Verdict};
use store::Keep;

use super::*;
use crate::swarm::records::Error;

#[tokio::test(start_paused = true)]
async fn after_a_start_everything_is_put_once_a_second_ours_first() {
    let world = World::new(12).await;
    let (clock, dir) = (Clock::simulated(START), tempfile::tempdir().expect("a folder"));
    let items: Vec<_> = (0..12).map(|n| record(n, b"", 1, n)).collect();
    let db = shelves(dir.path(), &clock);
    for (n, item) in items.iter().enumerate() {
        let owner = match n % 3 {
            0 => Owner::Me,
            1 => Owner::Followed,
            _ => Owner::Visited,
        };
        db.store()
            .put_record(item, owner, START - 100_000)
            .expect("stored");
    }
    db.run(|store| store.close()).await.expect("it closes");
    drop(db);

    let home = Household::start(&world, dir.path(), world.wire.address(), &clock).await;
    minutes(2).await;
    let puts = |owner| {
        let rows = items.iter().map(|item| home.row(item));
        let mut times: Vec<u64> = rows
            .filter(|row| row.owner == owner)
            .map(|row| row.last_put)
            .collect();
        times.sort_unstable();
        times
    };
    let (ours, followed) = (puts(Owner::Me), puts(Owner::Followed));
    assert_eq!(puts(Owner::Visited), [0; 4], "visited records are not put");
    assert!(
        ours[0] > 0 && ours[3] <= followed[0],
        "ours first: {ours:?}, {followed:?}"
    );
    let all = [ours, followed].concat();
    assert!(
        all[7] - all[0] >= 6 && all[7] - all[0] < 20,
        "about one a second: {all:?}"
    );
    for (n, item) in items.iter().enumerate() {
        let found = world.third_party(item).await;
        assert_eq!(found.is_some(), n % 3 != 2, "record {n}");
        assert!(found.is_none_or(|found| found == *item), "byte for byte");
    }
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_enough_others_keep_is_left_to_them_until_they_stop() {
    let world = World::new(14).await;
    let (clock, dir) = (Clock::simulated(START), tempfile::tempdir().expect("a folder"));
    let home = Household::start(&world, dir.path(), world.wire.address(), &clock).await;
    let item = record(1, b"blog", 3, 7);
    world.put(&item).await;
    home.follow(&item).await;
    minutes(1).await;
    assert!(
        home.row(&item).last_put > 0,
        "what is followed is put once at least"
    );
    // Another eager publisher: every half an hour, to all nodes and not only the closest.
    let mut rested_since = 0;
    for round in 0..10 {
        // A passer-by each time: a node does not store with itself.
        let eager = world.join().await;
        settled(&eager.dht, 8).await;
        for some in world.nodes.chunks(3) {
            some.iter().for_each(|node| world.wire.set_deaf(node.addr, true));
            eager.dht.put_item(Item::Mutable(item.clone()), None).await;
            some.iter().for_each(|node| world.wire.set_deaf(node.addr, false));
        }
        eager.dht.put_item(Item::Mutable(item.clone()), None).await;
        eager.leave().await;
        minutes(30).await;
        if round == 3 {
            rested_since = home.row(&item).last_put;
        }
    }
    let row = home.row(&item);
    assert!(row.last_copies > 8, "{} copies", row.last_copies);
    assert_eq!(row.last_put, rested_since, "others keep it: we rest");
    // They stop. Nodes forget; within the next hour and a quarter we notice, and the record never vanishes for long.
    minutes(240).await;
    assert!(home.row(&item).last_put > rested_since);
    assert_eq!(world.third_party(&item).await, Some(item));
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lower_number_in_the_network_makes_us_put_ours_back() {
    let world = World::new(12).await;
    let (clock, dir) = (Clock::simulated(START), tempfile::tempdir().expect("a folder"));
    let home = Household::start(&world, dir.path(), world.wire.address(), &clock).await;
    let (old, new) = (record(1, b"", 4, 4), record(1, b"", 5, 5));
    world.put(&old).await;
    home.follow(&old).await;
    minutes(1).await;
    // The newest one reached us (from a backup, from a friend) and nobody else.
    let stored = home
        .db
        .store()
        .put_record(&new, Owner::Followed, clock.now_secs());
    assert_eq!(stored.expect("stored").verdict, Verdict::Newer);
    minutes(15).await;
    let looked = home.records.look(&new.key, b"", Owner::Followed, soon()).await;
    let looked = looked.expect("answered");
    assert_eq!(looked.outcome.row.item, new, "never down");
    minutes(1).await;
    assert_eq!(world.third_party(&new).await, Some(new));
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_values_under_one_number_are_noticed_and_the_first_one_stands() {
    let world = World::new(12).await;
    let (clock, dir) = (Clock::simulated(START), tempfile::tempdir().expect("a folder"));
    let home = Household::start(&world, dir.path(), world.wire.address(), &clock).await;
    let (first, second) = (record(1, b"", 5, 1), record(1, b"", 5, 2));
    world.put(&first).await;
    home.follow(&first).await;
    // Three hours of silence on our side: the nodes forget. Then another value appears under the same number.
    home.records.set_putting(false);
    minutes(180).await;
    world.put(&second).await;
    home.records.set_putting(true);
    minutes(90).await;
    let row = home.row(&first);
    assert_eq!(row.item, first, "the first one seen stands");
    assert_eq!(row.conflict.expect("noticed").item, second);
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_one_is_taken_in_and_kept_instead() {
    let world = World::new(12).await;
    let (clock, dir) = (Clock::simulated(START), tempfile::tempdir().expect("a folder"));
    let home = Household::start(&world, dir.path(), world.wire.address(), &clock).await;
    let (old, new) = (record(1, b"", 4, 4), record(1, b"", 9, 9));
    world.put(&old).await;
    home.follow(&old).await;
    world.put(&new).await;
    // Nobody looks; the hourly round notices by itself.
    minutes(150).await;
    assert_eq!(home.row(&new).item, new);
    minutes(24 * 60).await;
    assert_eq!(world.third_party(&new).await, Some(new));
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn private_and_blocked_records_are_never_put() {
    let world = World::new(12).await;
    let (clock, dir) = (Clock::simulated(START), tempfile::tempdir().expect("a folder"));
    let home = Household::start(&world, dir.path(), world.wire.address(), &clock).await;
    let raw = b"d6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa7:privatei1ee";
    let info = parse_info(raw).expect("a private torrent");
    let store = home.db.store();
    store.add_site(&info, raw, &[], Keep::Kept, START).expect("added");
    let private = Mutable::sign(&secret(1), b"", 1, &torrent_value(&info.infohash)).expect("signed");
    let blocked = record(2, b"", 1, 2);
    let row = Subscription {
        blocked: true,
        ..subscription(blocked.target())
    };
    store.put_subscription(&row).expect("stored");
    for item in [&private, &blocked] {
        let refused = home.records.publish(item.clone(), None, soon()).await;
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
        store.put_record(item, Owner::Followed, START).expect("stored");
    }
    // Both are in the list after a restart, and still nobody gets them.
    let addr = home.dht.local_addrs()[0];
    home.stop().await;
    let home = Household::start(&world, dir.path(), addr, &clock).await;
    minutes(180).await;
    for item in [&private, &blocked] {
        assert_eq!(home.row(item).last_put, 0);
        assert_eq!(world.third_party(item).await, None);
    }
    // Unblocked: within the hour.
    let unblocked = home
        .db
        .store()
        .change_subscription(&blocked.target(), |row| row.blocked = false);
    assert!(unblocked.expect("changed"));
    minutes(75).await;
    assert_eq!(world.third_party(&blocked).await, Some(blocked));
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn with_upload_off_we_look_and_put_nothing() {
    let world = World::new(12).await;
    let (clock, dir) = (Clock::simulated(START), tempfile::tempdir().expect("a folder"));
    let home = Household::start(&world, dir.path(), world.wire.address(), &clock).await;
    home.records.set_putting(false);
    let item = record(1, b"", 1, 1);
    world.put(&item).await;
    home.follow(&item).await;
    let refused = home.records.publish(record(2, b"", 1, 1), None, soon()).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    assert_eq!(
        home.records
            .known(&record(2, b"", 1, 1).target())
            .await
            .expect("readable"),
        None
    );
    assert!(home.records.put_item(b"1:a".to_vec(), soon()).await.is_err());
    minutes(180).await;
    assert_eq!(home.row(&item).last_put, 0);
    assert_eq!(world.third_party(&item).await, None, "the nodes forgot it");
    home.records.set_putting(true);
    minutes(2).await;
    assert_eq!(world.third_party(&item).await, Some(item));
    home.stop().await;
}
