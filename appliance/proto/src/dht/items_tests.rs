use std::net::Ipv4Addr;

use super::*;
use crate::{dht::krpc::Signed, id::InfoHash, record::torrent_value, secret::SecretKey};

const NOW: Duration = Duration::ZERO;

fn from(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n))
}

fn record(salt: &[u8], seq: i64, n: u8) -> Mutable {
    let secret = SecretKey::from_seed([3; 32]);
    Mutable::sign(&secret, salt, seq, &torrent_value(&InfoHash([n; 20]))).expect("within the rules")
}

fn mutable(item: &Mutable, cas: Option<i64>) -> Put<'_> {
    Put {
        token: b"",
        v: &item.value,
        signed: Some(Signed {
            key: &item.key.0,
            salt: &item.salt,
            seq: item.seq,
            sig: &item.sig,
        }),
        cas,
    }
}

fn immutable(value: &[u8]) -> Put<'_> {
    Put {
        token: b"",
        v: value,
        signed: None,
        cas: None,
    }
}

fn number(n: u32) -> Vec<u8> {
    format!("i{n}e").into_bytes()
}

fn at(value: &[u8]) -> Id {
    record::immutable_target(value).into()
}

fn put(items: &mut Items, item: &Mutable, cas: Option<i64>, now: Duration) -> Result<(), i64> {
    let put = mutable(item, cas);
    items.put(&put, from(1), now).map_err(|(code, _)| code as i64)
}

/// Every bookkeeping agrees with every other.
fn assert_sound(items: &Items) {
    let bytes: usize = items.kept.values().map(|kept| size(&kept.item)).sum();
    let listed: usize = items.sources.values().map(BTreeSet::len).sum();
    assert_eq!((items.bytes, items.len()), (bytes, listed));
    assert!(items.sources.values().all(|own| !own.is_empty()));
    assert!(items.len() <= items.config.items_max && items.bytes <= items.config.bytes_max);
}

#[test]
fn a_record_only_goes_up_and_a_second_value_of_a_number_is_refused() {
    let mut items = Items::new(Config::default());
    let (one, two) = (record(b"n", 1, 1), record(b"n", 2, 2));
    let target = Id::from(one.target());
    assert_eq!(put(&mut items, &two, None, NOW), Ok(()));
    assert_eq!(put(&mut items, &one, None, NOW), Err(302));
    assert_eq!(put(&mut items, &record(b"n", 2, 3), None, NOW), Err(302));
    assert_eq!(items.get(&target, NOW), Some(Item::Mutable(two.clone())));
    let three = record(b"n", 3, 3);
    assert_eq!(put(&mut items, &three, Some(1), NOW), Err(301));
    assert_eq!(put(&mut items, &three, Some(2), NOW), Ok(()));
    assert_eq!(
        put(&mut items, &three, Some(2), NOW),
        Err(301),
        "cas also guards the same item"
    );
    assert_eq!(put(&mut items, &three, Some(3), NOW), Ok(()));
    assert_eq!(items.get(&target, NOW), Some(Item::Mutable(three)));
    let other = record(b"m", 7, 1);
    assert_eq!(
        put(&mut items, &other, Some(9), NOW),
        Ok(()),
        "nothing is there to compare with"
    );
    assert_eq!(items.len(), 2);
    assert_sound(&items);
}

#[test]
fn what_breaks_a_rule_is_refused_with_the_code_of_the_bep() {
    let mut items = Items::new(Config::default());
    let good = record(b"", 1, 1);
    let long = [b"997:", &vec![b'x'; 997][..]].concat();
    let cases = [
        (
            Mutable {
                sig: [0; 64],
                ..good.clone()
            },
            206,
        ),
        (
            Mutable {
                seq: 2,
                ..good.clone()
            },
            206,
        ),
        (
            Mutable {
                key: PublicKey([0; 32]),
                ..good.clone()
            },
            206,
        ),
        (
            Mutable {
                salt: vec![b's'; 65],
                ..good.clone()
            },
            207,
        ),
        (
            Mutable {
                seq: -1,
                ..good.clone()
            },
            203,
        ),
        (
            Mutable {
                value: long.clone(),
                ..good.clone()
            },
            205,
        ),
        (
            Mutable {
                value: b"d1:b0:1:a0:e".to_vec(),
                ..good.clone()
            },
            203,
        ),
    ];
    for (item, code) in cases {
        assert_eq!(put(&mut items, &item, None, NOW), Err(code));
    }
    let code = |items: &mut Items, value| {
        items
            .put(&immutable(value), from(1), NOW)
            .map_err(|(code, _)| code as i64)
    };
    assert_eq!(code(&mut items, &long), Err(205));
    assert_eq!(code(&mut items, b"d1:b0:1:a0:e"), Err(203));
    assert!(items.is_empty());
    for value in [&b"0:"[..], b"i-7e", b"le", b"d1:ad1:bli1eeee"] {
        assert_eq!(code(&mut items, value), Ok(()));
        assert_eq!(items.get(&at(value), NOW), Some(Item::Immutable(value.to_vec())));
    }
}

#[test]
fn an_item_is_forgotten_after_two_hours_unless_it_is_put_again() {
    let mut items = Items::new(Config::default());
    let (record, value) = (record(b"", 4, 1), b"5:value");
    let at_secs = Duration::from_secs;
    for now in [NOW, at_secs(3_600)] {
        put(&mut items, &record, None, now).expect("stored");
    }
    items.put(&immutable(value), from(1), NOW).expect("stored");
    let here = |items: &Items, now| {
        (
            items.get(&record.target().into(), now).is_some(),
            items.get(&at(value), now).is_some(),
        )
    };
    assert_eq!(here(&items, at_secs(7_199)), (true, true));
    assert_eq!(here(&items, at_secs(7_200)), (true, false));
    items.expire(at_secs(7_200));
    assert_eq!(items.len(), 1);
    assert_eq!(here(&items, at_secs(10_800)), (false, false));
    // What has expired forbids nothing.
    assert_eq!(
        put(&mut items, &self::record(b"", 1, 2), None, at_secs(10_800)),
        Ok(())
    );
    assert_sound(&items);
}

#[test]
fn one_source_pushes_out_its_own_items_only() {
    let mut items = Items::new(Config {
        items_max: 60,
        bytes_max: 1 << 20,
        per_source_max: 20,
    });
    for n in 0..10 {
        items.put(&immutable(&number(n)), from(n), NOW).expect("stored");
    }
    // Putting another's item again does not make it one's own.
    items.put(&immutable(&number(0)), from(99), NOW).expect("stored");
    for n in 1_000..3_000 {
        items.put(&immutable(&number(n)), from(99), NOW).expect("stored");
    }
    assert_eq!(items.len(), 30);
    assert!((0..10).all(|n| items.get(&at(&number(n)), NOW).is_some()));
    for n in 10_000..20_000 {
        items
            .put(&immutable(&number(n)), from(n % 7 + 200), NOW)
            .expect("stored");
        assert!(items.len() <= 60);
    }
    assert_sound(&items);
    assert!((0..10).all(|n| items.get(&at(&number(n)), NOW).is_some()));
    // An IPv6 home is one source.
    let mut items = Items::new(Config {
        per_source_max: 5,
        ..Config::default()
    });
    for n in 0..50u16 {
        let ip = IpAddr::from([0x2a00, 1, 2, 3, 0, 0, 0, n]);
        items.put(&immutable(&number(n.into())), ip, NOW).expect("stored");
    }
    assert_eq!(items.len(), 5);
}

#[test]
fn values_fill_no_more_bytes_than_they_may() {
    let mut items = Items::new(Config {
        bytes_max: 20_000,
        ..Config::default()
    });
    for n in 0..500u32 {
        let value = [
            format!("{}:", 900 + n % 90).into_bytes(),
            vec![n as u8; 900 + n as usize % 90],
        ]
        .concat();
        items.put(&immutable(&value), from(n), NOW).expect("stored");
        assert!(items.bytes() <= 20_000);
    }
    assert_sound(&items);
    assert!((15..=17).contains(&items.len()), "{}", items.len());
}

#[test]
fn the_disk_is_told_what_changed_and_gives_it_back() {
    let mut items = Items::new(Config::default());
    let record = record(b"n", 4, 1);
    let dictionary = b"d1:k0:1:vi1ee".to_vec();
    put(&mut items, &record, None, NOW).expect("stored");
    items.put(&immutable(&dictionary), from(1), NOW).expect("stored");
    let first = items.take_changed(1);
    let rows = [first, items.take_changed(10)].concat();
    assert_eq!(rows.len(), 2);
    assert!(items.take_changed(10).is_empty());

    let mut again = Items::new(Config::default());
    let mut damaged = rows[0].clone();
    damaged.target = Id([9; 20]);
    let junk = Row {
        raw: b"junk".to_vec(),
        ..damaged.clone()
    };
    again.restore(rows.into_iter().chain([damaged, junk]));
    assert_eq!(again.len(), 2);
    assert_eq!(
        again.get(&record.target().into(), NOW),
        Some(Item::Mutable(record.clone()))
    );
    assert_eq!(
        again.get(&at(&dictionary), NOW),
        Some(Item::Immutable(dictionary.clone()))
    );
    assert!(again.take_changed(10).is_empty(), "the disk has it already");
    assert_sound(&again);

    again.expire(EXPIRY);
    let gone = again.take_changed(10);
    assert!(
        gone.len() == 2 && gone.iter().all(|row| row.raw.is_empty()),
        "{gone:?}"
    );
    // What never reached the disk needs no deleting.
    again.put(&immutable(b"0:"), from(1), NOW).expect("stored");
    again.expire(EXPIRY);
    assert!(again.take_changed(10).is_empty());
}

#[test]
fn our_own_newer_record_replaces_what_others_stored_with_us_and_only_that() {
    let mut items = Items::new(Config::default());
    let (old, new) = (record(b"", 1, 1), Item::Mutable(record(b"", 2, 2)));
    items.renew(&new, NOW);
    assert!(items.is_empty());
    put(&mut items, &old, None, NOW).expect("stored");
    items.renew(&new, NOW);
    assert_eq!(items.get(&old.target().into(), NOW), Some(new.clone()));
    items.renew(&Item::Mutable(old.clone()), NOW);
    assert_eq!(items.get(&old.target().into(), NOW), Some(new));
}
