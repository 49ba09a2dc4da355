use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::*;
use crate::dht::{id::secure, random::Random};

const SLOW: Duration = Duration::from_millis(200);

/// `count` nodes with ids bound to public addresses.
fn world(count: u32, random: &mut Random) -> Vec<Contact> {
    let node = |n: u32| {
        let ip = IpAddr::from((0x2d00_0000 + n * 257 + 1).to_be_bytes());
        Contact {
            id: secure(ip, random),
            addr: SocketAddr::new(ip, 6881),
        }
    };
    (0..count).map(node).collect()
}

fn closest(world: &[Contact], target: &Id, max: usize) -> Vec<Contact> {
    let mut near: Vec<_> = world.iter().map(|c| (c.id.distance(target), *c)).collect();
    if near.len() > max {
        near.select_nth_unstable_by_key(max, |(distance, _)| *distance);
    }
    near.truncate(max);
    near.sort_unstable_by_key(|(distance, _)| *distance);
    near.into_iter().map(|(_, contact)| contact).collect()
}

/// Runs a lookup in which every node answers after 50 ms with what `answer` says, or never. Returns how long it took.
fn run(
    lookup: &mut Lookup,
    mut answer: impl FnMut(SocketAddr) -> Option<(Contact, Vec<Contact>)>,
) -> Duration {
    let mut now = Duration::ZERO;
    let mut replies: BTreeMap<(Duration, u32), (Contact, Vec<Contact>)> = BTreeMap::new();
    let mut number = 0;
    for _ in 0..10_000 {
        match lookup.tick(now, SLOW) {
            Step::Ask(addr) => {
                if let Some(reply) = answer(addr) {
                    number += 1;
                    replies.insert((now + Duration::from_millis(50), number), reply);
                }
            }
            Step::Done => return now,
            Step::Wait(until) => match replies.first_key_value().map(|(key, _)| *key) {
                Some(key) if key.0 <= until => {
                    now = key.0;
                    let (from, contacts) = replies.remove(&key).expect("just seen");
                    lookup.on_reply(&from, Some(b"token"), &contacts, now);
                }
                _ => now = until,
            },
        }
    }
    panic!("the lookup never ends");
}

fn in_world(world: &[Contact], target: Id) -> impl Fn(SocketAddr) -> Option<(Contact, Vec<Contact>)> {
    move |addr| {
        let node = world.iter().find(|c| c.addr == addr)?;
        // A node knows its neighbourhood, not the whole world: those that share at least as many bits with it.
        let bits = node.id.shared_bits(&target);
        let known: Vec<_> = world
            .iter()
            .filter(|c| c.id.shared_bits(&target) <= bits + 5)
            .copied()
            .collect();
        Some((*node, closest(&known, &target, K)))
    }
}

#[test]
fn the_eight_closest_of_a_thousand_are_found() {
    let mut random = Random::new([1; 32]);
    let world = world(1_000, &mut random);
    for _ in 0..20 {
        let target = Id(random.bytes());
        let mut lookup = Lookup::new(target, &world[..10], &[], true);
        run(&mut lookup, in_world(&world, target));
        let found: Vec<_> = lookup.closest().into_iter().map(|a| a.contact).collect();
        assert_eq!(found, closest(&world, &target, K));
        assert!(lookup.closest().iter().all(|a| a.token == b"token"));
        assert!(lookup.queries() < 40, "{}", lookup.queries());
    }
}

#[test]
fn dead_nodes_hold_nobody_up() {
    let mut random = Random::new([2; 32]);
    let world = world(1_000, &mut random);
    let dead: BTreeSet<_> = world.iter().step_by(2).map(|c| c.addr).collect();
    for _ in 0..20 {
        let target = Id(random.bytes());
        let mut lookup = Lookup::new(target, &world[..20], &[], true);
        let answer = in_world(&world, target);
        let took = run(&mut lookup, |addr| answer(addr).filter(|_| !dead.contains(&addr)));
        assert!(took < Duration::from_secs(2), "half the world is dead: {took:?}");
        let found: Vec<_> = lookup.closest().into_iter().map(|a| a.contact).collect();
        let best = closest(&world, &target, K);
        let living = best.iter().filter(|c| !dead.contains(&c.addr));
        assert!(living.into_iter().all(|c| found.contains(c)), "{found:?}");
        assert_eq!(found.len(), K);
    }
}

#[test]
fn when_nobody_answers_it_ends_soon_and_bootstrap_addresses_are_asked_last() {
    let mut random = Random::new([3; 32]);
    let world = world(4, &mut random);
    let router: SocketAddr = "45.1.1.1:6881".parse().expect("address");
    let mut asked = Vec::new();
    let mut lookup = Lookup::new(Id([7; 20]), &world, &[router, router], true);
    let took = run(&mut lookup, |addr| {
        asked.push(addr);
        None
    });
    assert_eq!((asked.len(), asked[4]), (5, router));
    assert!(took <= SLOW * 5, "{took:?}");
    assert!(lookup.closest().is_empty());
    assert_eq!(
        Lookup::new(Id([7; 20]), &[], &[], true).tick(Duration::ZERO, SLOW),
        Step::Done
    );
}

#[test]
fn hostile_answers_cannot_keep_it_going() {
    let mut random = Random::new([4; 32]);
    let target = Id([9; 20]);
    let mut n = 0u32;
    // Everyone names sixteen new nodes, each closer than all before.
    let mut invent = move || {
        n += 1;
        let mut id = target;
        id.0[16..].copy_from_slice(&(u32::MAX - n).to_be_bytes());
        Contact {
            id,
            addr: SocketAddr::new(IpAddr::from((0x2d00_0000 + n * 256).to_be_bytes()), 6881),
        }
    };
    let mut known: BTreeMap<SocketAddr, Contact> = BTreeMap::new();
    let first = world(1, &mut random)[0];
    known.insert(first.addr, first);
    let mut lookup = Lookup::new(target, &[first], &[], true);
    run(&mut lookup, |addr| {
        let made: Vec<_> = (0..200).map(|_| invent()).collect();
        known.extend(made.iter().map(|c| (c.addr, *c)));
        known.get(&addr).map(|node| (*node, made))
    });
    assert!(lookup.queries() <= QUERIES_MAX && lookup.candidates.len() <= CANDIDATES_MAX);
}

#[test]
fn ids_chosen_at_will_get_at_most_half_of_the_deciding_places() {
    let mut random = Random::new([5; 32]);
    let world = world(300, &mut random);
    let target = Id(random.bytes());
    let sybil = |n: u8| {
        let mut id = target;
        id.0[19] ^= n + 1;
        Contact {
            id,
            addr: SocketAddr::new(IpAddr::from([46, n, n, 1]), 6881),
        }
    };
    let sybils: Vec<_> = (0..50).map(sybil).collect();
    let honest = in_world(&world, target);
    let mut lookup = Lookup::new(target, &world[..10], &[], true);
    run(&mut lookup, |addr| match sybils.iter().find(|c| c.addr == addr) {
        Some(node) => Some((*node, sybils.clone())),
        None => honest(addr).map(|(node, mut known)| {
            known.extend(&sybils[..4]);
            (node, known)
        }),
    });
    let found = lookup.closest();
    let liars = found.iter().filter(|a| sybils.contains(&a.contact)).count();
    assert!(liars <= K / 2, "{liars}");
    let best = closest(&world, &target, K - K / 2);
    assert!(
        best.iter().all(|c| found.iter().any(|a| a.contact == *c)),
        "the closest honest nodes are there"
    );
}

#[test]
fn one_address_or_subnet_fills_few_places() {
    let target = Id([1; 20]);
    let near = |n: u8| Contact {
        id: Id([n; 20]),
        addr: SocketAddr::new(IpAddr::from([45, 1, 1, n % 20]), 6881 + u16::from(n)),
    };
    let seeds: Vec<_> = (0..100).map(near).collect();
    assert_eq!(
        Lookup::new(target, &seeds, &[], true).candidates.len(),
        NEIGHBOURS_MAX
    );
    assert_eq!(
        Lookup::new(target, &seeds, &[], false).candidates.len(),
        CANDIDATES_MAX
    );
}

#[test]
fn only_who_was_asked_is_believed() {
    let mut random = Random::new([6; 32]);
    let world = world(3, &mut random);
    let mut lookup = Lookup::new(Id([0; 20]), &world[..1], &[], true);
    assert!(
        !lookup.on_reply(&world[0], None, &world, SLOW / 4),
        "not asked yet"
    );
    assert_eq!(lookup.tick(Duration::ZERO, SLOW), Step::Ask(world[0].addr));
    assert!(!lookup.on_reply(&world[1], None, &world, SLOW / 4));
    assert!(lookup.on_reply(&world[0], None, &world, SLOW / 4));
    assert!(!lookup.on_reply(&world[0], None, &world, SLOW / 4), "only once");
    // A late answer still counts.
    let Step::Ask(addr) = lookup.tick(Duration::ZERO, SLOW) else {
        panic!("asks on")
    };
    lookup.tick(SLOW * 2, SLOW);
    let late = world.iter().find(|c| c.addr == addr).expect("known");
    assert!(lookup.on_reply(late, None, &[], SLOW * 2));
}
