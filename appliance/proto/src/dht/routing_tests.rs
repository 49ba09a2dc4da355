use super::*;
use crate::dht::random::Random;

fn own() -> Id {
    Id([0; 20])
}

/// Node `n` of the bucket that shares `bits` bits, each in a subnet of its own.
fn node(bits: usize, n: u8) -> Contact {
    let mut random = Random::new([n; 32]);
    let mut id = own().sibling(bits, &mut random);
    id.0[19] = n;
    Contact {
        id,
        addr: SocketAddr::new(IpAddr::from([10, bits as u8, n, 1]), 6881),
    }
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_bucket_holds_eight_and_keeps_later_ones_as_replacements() {
    let mut table = Table::new(own(), true);
    (0..20).for_each(|n| table.answered(node(3, n), secs(u64::from(n))));
    assert_eq!(table.len(), K);
    let dead = node(3, 0);
    table.failed(&dead.addr);
    assert!(
        table.closest(&dead.id, 9).contains(&dead),
        "one lost datagram is no death"
    );
    table.failed(&dead.addr);
    let now = table.closest(&dead.id, 9);
    assert!(!now.contains(&dead));
    assert!(now.contains(&node(3, 19)), "the latest spare took its place");
}

#[test]
fn only_good_nodes_are_told_to_others() {
    let mut table = Table::new(own(), true);
    (0..4).for_each(|n| table.answered(node(2, n), secs(0)));
    table.answered(node(2, 4), secs(1000));
    assert_eq!(table.closest_good(&own(), 8, secs(1000)), [node(2, 4)]);
    assert_eq!(table.closest(&own(), 8).len(), 5);
    assert_eq!(table.questionable(3, secs(1000)).len(), 3);
    assert!(table.questionable(3, secs(10)).is_empty());
    assert!(!table.heard(&node(2, 0), secs(1001)));
    assert_eq!(
        table.good(secs(1001)),
        2,
        "an old acquaintance that asks is alive"
    );
}

#[test]
fn closest_nodes_come_in_order() {
    let mut table = Table::new(own(), true);
    for bits in 0..20 {
        (0..8).for_each(|n| table.answered(node(bits, n), secs(0)));
    }
    let target = node(5, 100).id;
    let found = table.closest(&target, 8);
    let mut all = table.closest(&target, 1000);
    assert_eq!(all.len(), 160);
    all.sort_by_key(|c| c.id.distance(&target));
    assert_eq!(found, all[..8]);
}

#[test]
fn one_address_and_one_subnet_cannot_own_a_bucket() {
    let mut table = Table::new(own(), true);
    for n in 0..50u8 {
        let addr = SocketAddr::new(IpAddr::from([10, 0, 0, n]), 6881);
        table.answered(
            Contact {
                id: node(1, n).id,
                addr,
            },
            secs(0),
        );
    }
    assert_eq!(table.len(), NEIGHBOURS_MAX);
    let mut table = Table::new(own(), true);
    for n in 0..50u8 {
        let addr = SocketAddr::new(IpAddr::from([10, 0, 0, 1]), 1_000 + u16::from(n));
        table.answered(
            Contact {
                id: node(usize::from(n), n).id,
                addr,
            },
            secs(0),
        );
    }
    assert_eq!(table.len(), 1);
    let mut table = Table::new(own(), false);
    (0..8u8).for_each(|n| {
        let addr = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 1_000 + u16::from(n));
        table.answered(
            Contact {
                id: node(1, n).id,
                addr,
            },
            secs(0),
        );
    });
    assert_eq!(table.len(), 8, "on loopback all nodes share an address");
}

#[test]
fn a_living_id_cannot_be_taken_over_and_ids_bound_to_addresses_win() {
    let mut table = Table::new(own(), true);
    table.answered(node(1, 1), secs(0));
    let thief = Contact {
        id: node(1, 1).id,
        addr: node(1, 2).addr,
    };
    table.answered(thief, secs(0));
    assert_eq!(table.closest(&own(), 8), [node(1, 1)]);

    let mut random = Random::new([9; 32]);
    let mut table = Table::new(own(), true);
    let public = |n: u8| IpAddr::from([80, n, n, 1]);
    for n in 0..8 {
        let id = own().sibling(0, &mut random);
        table.answered(
            Contact {
                id,
                addr: SocketAddr::new(public(n), 6881),
            },
            secs(0),
        );
    }
    let ip = public(99);
    let mut secure = crate::dht::id::secure(ip, &mut random);
    while own().shared_bits(&secure) != 0 {
        secure = crate::dht::id::secure(ip, &mut random);
    }
    let secure = Contact {
        id: secure,
        addr: SocketAddr::new(ip, 6881),
    };
    table.answered(secure, secs(0));
    assert!(table.closest(&own(), 8).contains(&secure));
}

#[test]
fn stale_buckets_ask_for_a_refresh_once() {
    let mut table = Table::new(own(), true);
    table.answered(node(3, 1), secs(0));
    table.answered(node(7, 1), secs(600));
    assert_eq!(table.refresh(secs(800)), None);
    assert_eq!(table.refresh(secs(901)), Some(3));
    assert_eq!(table.refresh(secs(901)), None);
}

#[test]
fn when_nobody_answers_the_table_is_not_thrown_away_at_once() {
    let mut table = Table::new(own(), true);
    (0..8).for_each(|n| table.answered(node(1, n), secs(0)));
    for _ in 0..FAILS_MAX - 1 {
        (0..8).for_each(|n| table.failed(&node(1, n).addr));
    }
    assert_eq!(table.len(), 8);
    assert!(
        table.heard(&node(1, 3), secs(1)),
        "a bad node that asks is worth a ping"
    );
    table.answered(node(1, 3), secs(2));
    assert_eq!(table.closest(&own(), 8), [node(1, 3)]);
    (0..8).for_each(|n| table.failed(&node(1, n).addr));
    assert_eq!(table.len(), 1);
}

#[test]
fn a_new_id_sorts_the_nodes_anew() {
    let mut table = Table::new(own(), true);
    (0..20).for_each(|bits| table.answered(node(bits, 1), secs(0)));
    table.rekey(Id([0xff; 20]), secs(1));
    assert_eq!(table.own(), Id([0xff; 20]));
    assert_eq!(
        table.len(),
        K + 1,
        "nineteen share no bit with the new id, one does"
    );
}
