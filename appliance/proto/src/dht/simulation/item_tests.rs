use super::*;
use crate::{
    dht::{K, item::Item},
    id::{InfoHash, Target},
    record::{Mutable, torrent_value},
    secret::SecretKey,
};

fn record(seed: u8, seq: i64) -> Mutable {
    let value = torrent_value(&InfoHash([seq as u8; 20]));
    Mutable::sign(&SecretKey::from_seed([seed; 32]), b"n", seq, &value).expect("within the rules")
}

fn put(world: &mut World, at: SocketAddr, item: &Mutable, cas: Option<i64>) -> Outcome {
    let item = Item::Mutable(item.clone());
    world.job(at, |node, now| node.put_item(item, cas, now))
}

fn get(world: &mut World, at: SocketAddr, item: &Mutable, seq: Option<i64>) -> Outcome {
    let (target, salt) = (item.target(), item.salt.clone());
    world.job(at, |node, now| node.get_item(target, &salt, seq, now))
}

#[test]
fn records_are_found_in_a_net_of_which_every_tenth_node_is_dead() {
    let mut world = World::new(150, 10, 110);
    world.run(secs(60));
    let honest = world.honest();
    for n in 0..10u8 {
        let item = record(n, 5);
        let stored = put(&mut world, honest[usize::from(n) * 3], &item, None);
        assert!(stored.stored.stored >= 6 && stored.took < secs(3), "{stored:?}");
        let found = get(&mut world, honest[usize::from(n) * 7 + 2], &item, None);
        assert_eq!(found.got.item, Some(Item::Mutable(item)));
        assert!(found.got.copies >= 4 && found.took < secs(2), "{found:?}");
    }
    let value = b"5:hello".to_vec();
    let target = Item::Immutable(value.clone()).target();
    world.job(honest[3], |node, now| {
        node.put_item(Item::Immutable(value.clone()), None, now)
    });
    let found = world.job(honest[9], |node, now| node.get_item(target, b"", None, now));
    assert_eq!(found.got.item, Some(Item::Immutable(value)));
}

#[test]
fn a_record_nobody_puts_again_is_gone_after_two_hours_and_an_older_one_never_comes_back() {
    let mut world = World::new(40, 0, 120);
    world.run(secs(60));
    let honest = world.honest();
    let (old, new) = (record(1, 1), record(1, 2));
    assert_eq!(put(&mut world, honest[0], &old, None).stored.stored, K);
    assert_eq!(put(&mut world, honest[1], &new, Some(1)).stored.stored, K);
    let again = put(&mut world, honest[2], &old, None).stored;
    assert!(again.overtaken && again.stored == 0, "{again:?}");
    let got = get(&mut world, honest[3], &new, Some(2)).got;
    assert!(
        got.item.is_none() && got.copies >= K - 1 && got.closest_have_it,
        "{got:?}"
    );
    let mismatch = put(&mut world, honest[4], &record(1, 3), Some(1)).stored;
    assert!(mismatch.overtaken && mismatch.refused[0].0 == 301, "{mismatch:?}");
    world.run(world.now + secs(2 * 3_600 + 120));
    let got = get(&mut world, honest[3], &new, None).got;
    assert!(
        got.item.is_none() && got.copies == 0 && got.answered >= K - 1,
        "{got:?}"
    );
}

#[test]
fn liars_near_the_target_cannot_forge_or_hide_a_record() {
    let mut world = World::new(100, 0, 130);
    world.run(secs(60));
    for n in 0..30 {
        let at = addr(10_000 + n);
        let kind = if n % 4 == 0 { Kind::Garbage } else { Kind::Sybil };
        world.kinds.insert(at, kind);
        world.liars.push(at);
    }
    for (n, at) in world.honest().into_iter().enumerate() {
        let (liar, now) = (world.liars[n % 30], world.now);
        world.node(at).ping(liar, now);
        world.flush(at);
    }
    world.run(secs(70));
    let honest = world.honest();
    for n in 0..10u8 {
        let item = record(n, 5);
        let at = usize::from(n);
        let stored = put(&mut world, honest[at * 2], &item, None);
        assert!(
            stored.stored.stored >= K / 2 && stored.took < secs(6),
            "{stored:?}"
        );
        let found = get(&mut world, honest[at * 5 + 3], &item, Some(4));
        assert_eq!(found.got.item, Some(Item::Mutable(item)));
        assert!(found.got.refused > 0 && found.took < secs(6), "{found:?}");
    }
}

#[test]
fn with_every_tenth_node_dead_the_slowest_jobs_take_less_than_five_times_the_usual() {
    // One machine, a home, the Internet.
    for latency in [[50, 100], [300, 3_000], [20_000, 130_000]] {
        let mut world = World::with(generous(), 66, 0, 90);
        world.run(secs(30));
        world.latency = latency.map(Duration::from_micros);
        let all = world.honest();
        let (writer, reader) = (all[64], all[65]);
        // Times of this network are learned, and then some die.
        for n in 0..5 {
            get(&mut world, reader, &record(n, 9), None);
            get(&mut world, writer, &record(n, 9), None);
        }
        all[..6].iter().for_each(|at| world.kill(*at));
        let mut times = [const { Vec::new() }; 3];
        for n in 0..50u8 {
            let (item, target) = (record(n, 1), Id([n; 20]));
            times[0].push(put(&mut world, writer, &item, None).took);
            let found = get(&mut world, reader, &item, None);
            assert_eq!(found.got.item, Some(Item::Mutable(item)));
            times[1].push(found.took);
            times[2].push(world.job(reader, |node, now| node.get_peers(target, now)).took);
        }
        for (what, mut times) in ["put", "get", "get_peers"].into_iter().zip(times) {
            times.sort();
            let (usual, slowest) = (times[25], times[49]);
            assert!(
                slowest < usual * 5,
                "{what}: {slowest:?} and {usual:?} at {latency:?}"
            );
        }
    }
}

#[test]
fn many_jobs_at_once_end_and_leave_nothing_behind() {
    let mut world = World::with(generous(), 60, 20, 140);
    world.run(secs(60));
    let at = world.honest()[5];
    let now = world.now;
    let mut jobs: BTreeSet<_> = (0..200u8)
        .map(|n| {
            let (target, item) = (Target([n; 20]), Item::Mutable(record(n, 1)));
            match n % 2 {
                0 => world.node(at).get_item(target, b"", Some(3), now),
                _ => world.node(at).put_item(item, None, now),
            }
        })
        .collect();
    world.flush(at);
    world.run(now + secs(25));
    while let Some(event) = world.node(at).take_event() {
        if let Event::Got { job, .. } | Event::Stored { job, .. } = event {
            jobs.remove(&job);
        }
    }
    assert!(jobs.is_empty(), "{} never ended", jobs.len());
    assert_eq!(world.node(at).jobs(), 0);
}
