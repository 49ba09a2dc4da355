use super::*;
use crate::{dht::id::Id, id::InfoHash, record::torrent_value, secret::SecretKey};

fn record(seq: i64, n: u8) -> Mutable {
    let secret = SecretKey::from_seed([3; 32]);
    Mutable::sign(&secret, b"n", seq, &torrent_value(&InfoHash([n; 20]))).expect("within the rules")
}

fn node(n: u8) -> SocketAddr {
    SocketAddr::from(([45, n, 1, 1], 6881))
}

fn shows(item: &Mutable) -> Reply<'_> {
    Reply {
        id: Id([1; 20]),
        v: Some(&item.value),
        key: Some(&item.key.0),
        sig: Some(&item.sig),
        seq: Some(item.seq),
        ..Reply::default()
    }
}

fn names(seq: i64) -> Reply<'static> {
    Reply {
        seq: Some(seq),
        ..Reply::default()
    }
}

fn gather(asked: Option<i64>) -> Gather {
    Gather::new(record(1, 1).target(), b"n", asked)
}

#[test]
fn the_newest_checked_item_wins_and_every_holder_is_counted() {
    let mut answers = gather(None);
    answers.take(node(1), &shows(&record(4, 1)));
    for n in 2..6 {
        answers.take(node(n), &shows(&record(5, 2)));
    }
    answers.take(node(6), &shows(&record(4, 1)));
    answers.take(node(7), &names(5));
    answers.take(node(8), &Reply::default());
    assert!(!answers.is_final() && answers.holds(&node(6)) && !answers.holds(&node(8)));
    answers.ended([2, 3, 4, 5, 7].map(node).into_iter());
    let got = answers.finish(8);
    assert_eq!(got.item, Some(Item::Mutable(record(5, 2))));
    assert_eq!((got.answered, got.copies, got.seq_seen), (8, 5, Some(5)));
    assert_eq!(
        (got.other, got.older_seen, got.closest_have_it, got.refused),
        (None, true, true, 0)
    );
}

#[test]
fn of_two_values_under_one_number_the_more_frequent_is_told_first_and_the_other_as_well() {
    let mut answers = gather(Some(2));
    for (n, value) in [(1, 1), (2, 2), (3, 2)] {
        answers.take(node(n), &shows(&record(3, value)));
    }
    // Flooding with values helps nobody.
    (0..100).for_each(|n| answers.take(node(100 + n), &shows(&record(3, 100 + n))));
    assert_eq!(answers.versions.len(), VERSIONS_MAX);
    let got = answers.finish(3);
    assert_eq!(got.item, Some(Item::Mutable(record(3, 2))));
    assert_eq!(got.other.expect("the other one").seq, 3);
}

#[test]
fn nothing_newer_counts_for_the_number_it_names() {
    let mut answers = gather(Some(7));
    answers.take(node(1), &names(7));
    answers.take(node(2), &names(7));
    answers.take(node(3), &names(6));
    answers.ended([1, 2].map(node).into_iter());
    let got = answers.finish(3);
    assert_eq!((got.item, got.copies, got.seq_seen), (None, 2, Some(7)));
    assert!(got.older_seen && got.closest_have_it);
    // Whatever a node only claims is not what others are measured by.
    let mut answers = gather(Some(7));
    answers.take(node(1), &names(i64::MAX));
    answers.take(node(2), &names(7));
    answers.take(node(3), &names(-1));
    answers.ended([1, 2].map(node).into_iter());
    let got = answers.finish(2);
    assert_eq!(
        (got.copies, got.seq_seen, got.older_seen),
        (1, Some(i64::MAX), false)
    );
    assert!(!got.closest_have_it);
    // An old item is still told when there is no other.
    let mut answers = gather(Some(7));
    answers.take(node(1), &shows(&record(6, 1)));
    let got = answers.finish(1);
    assert_eq!(
        (got.item, got.copies, got.older_seen),
        (Some(Item::Mutable(record(6, 1))), 0, true)
    );
}

#[test]
fn what_breaks_a_rule_is_dropped_counted_and_checked_once() {
    let mut answers = gather(None);
    let good = record(5, 1);
    let mut forged = good.clone();
    forged.sig[9] ^= 4;
    let stranger = Mutable::sign(&SecretKey::from_seed([4; 32]), b"n", 9, &good.value).expect("signed");
    let negative = Mutable {
        seq: -1,
        ..good.clone()
    };
    for n in 0..8 {
        for (kind, item) in [&forged, &stranger, &negative].into_iter().enumerate() {
            answers.take(node(n * 3 + kind as u8), &shows(item));
        }
    }
    assert_eq!(answers.bad.len(), 3);
    let halves = [
        Reply {
            sig: None,
            ..shows(&good)
        },
        Reply {
            seq: None,
            ..shows(&good)
        },
        // Without a key it claims to be immutable, and then its hash is wrong.
        Reply {
            key: None,
            ..shows(&good)
        },
    ];
    for (n, half) in halves.iter().enumerate() {
        answers.take(node(200 + n as u8), half);
    }
    let unsalted = Mutable::sign(&SecretKey::from_seed([3; 32]), b"", 9, &good.value).expect("signed");
    answers.take(node(210), &shows(&unsalted));
    assert!(answers.newest().is_none() && answers.holders.is_empty());
    answers.take(node(211), &shows(&good));
    let got = answers.finish(30);
    assert_eq!(
        (got.item, got.copies, got.refused),
        (Some(Item::Mutable(good)), 1, 28)
    );
}

#[test]
fn an_immutable_item_is_known_by_its_hash_and_ends_the_search() {
    let value = b"l5:hello5:worlde";
    let mut answers = Gather::new(immutable_target(value), b"", None);
    let shows = |v| Reply {
        v: Some(v),
        ..Reply::default()
    };
    answers.take(node(1), &shows(b"5:wrong"));
    assert!(!answers.is_final());
    answers.take_own(Item::Immutable(value.to_vec()));
    answers.take(node(2), &shows(value));
    assert!(answers.is_final());
    let got = answers.finish(2);
    assert_eq!(
        (got.item, got.copies, got.refused),
        (Some(Item::Immutable(value.to_vec())), 2, 1)
    );
    // A hash that fits does not make it a value.
    let junk = b"d1:bi1e1:ai1ee";
    let mut answers = Gather::new(immutable_target(junk), b"", None);
    answers.take(node(1), &shows(junk));
    assert!(!answers.is_final());
}
