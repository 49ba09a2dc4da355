//! What we answer to `get` and `put` (BEP 44).

use super::{House, code, public, reply};
use crate::{
    dht::{
        DATAGRAM_MAX,
        id::Id,
        krpc::{Ask, Put, Query, Signed, Want},
        limits,
        server::*,
    },
    id::InfoHash,
    record::{Mutable, immutable_target, torrent_value},
    secret::SecretKey,
};

const NEITHER: Want = Want { v4: false, v6: false };

fn record(seq: i64) -> Mutable {
    let secret = SecretKey::from_seed([3; 32]);
    Mutable::sign(&secret, b"n", seq, &torrent_value(&InfoHash([seq as u8; 20]))).expect("within the rules")
}

fn get(item: &Mutable, seq: Option<i64>) -> Ask<'static> {
    let target = item.target().into();
    Ask::Get { target, seq }
}

fn put<'a>(item: &'a Mutable, token: &'a [u8], cas: Option<i64>) -> Ask<'a> {
    Ask::Put(Put {
        token,
        v: &item.value,
        signed: Some(Signed {
            key: &item.key.0,
            salt: &item.salt,
            seq: item.seq,
            sig: &item.sig,
        }),
        cas,
    })
}

/// 1000 bytes.
fn long() -> Vec<u8> {
    [&b"996:"[..], &[b'x'; 996]].concat()
}

#[test]
fn a_record_is_stored_with_a_token_and_told_without_what_the_asker_has() {
    let mut house = House::generous();
    let item = record(4);
    let (bytes, _) = house.query(public(1), get(&item, None), NEITHER);
    let token = reply(&bytes).token.expect("a token").to_vec();
    assert!(reply(&bytes).v.is_none() && reply(&bytes).seq.is_none() && reply(&bytes).nodes.is_some());
    let (bytes, _) = house.query(public(2), put(&item, &token, None), NEITHER);
    assert_eq!(code(&bytes), 203, "the token of another address");
    let (bytes, _) = house.query(public(1), put(&item, &token, None), NEITHER);
    assert_eq!(reply(&bytes).id, house.v4.own());
    for (asked, told) in [(None, true), (Some(3), true), (Some(4), false), (Some(9), false)] {
        let (bytes, _) = house.query(public(3), get(&item, asked), NEITHER);
        let reply = reply(&bytes);
        assert_eq!(reply.seq, Some(4));
        assert!(reply.token.is_some() && reply.nodes.is_some());
        let full = (Some(&item.value[..]), Some(&item.key.0), Some(&item.sig));
        let want = if told { full } else { (None, None, None) };
        assert_eq!((reply.v, reply.key, reply.sig), want, "asked with {asked:?}");
    }
    let (bytes, _) = house.query(public(1), put(&record(3), &token, None), NEITHER);
    assert_eq!(code(&bytes), 302);
    let (bytes, _) = house.query(public(1), put(&record(5), &token, Some(3)), NEITHER);
    assert_eq!(code(&bytes), 301);
    let (bytes, _) = house.query(public(1), put(&record(5), &token, Some(4)), NEITHER);
    assert_eq!(reply(&bytes).id, house.v4.own());
}

#[test]
fn datagrams_that_break_a_rule_get_the_code_of_the_bep() {
    let mut house = House::generous();
    let (bytes, _) = house.query(public(1), get(&record(1), None), NEITHER);
    let token = reply(&bytes).token.expect("a token").to_vec();
    let datagram = |value: &[u8]| {
        let head = &b"d1:ad2:id20:abcdefghij01234567895:token8:"[..];
        [head, &token, b"1:v", value, b"e1:q3:put1:t2:aa1:y1:qe"].concat()
    };
    let too_long = [&b"997:"[..], &[b'x'; 997]].concat();
    assert_eq!(
        code(&house.ask(public(1), &datagram(&too_long)).expect("answered")),
        205
    );
    let unsorted = datagram(b"d1:bi1e1:ai1ee");
    assert_eq!(code(&house.ask(public(1), &unsorted).expect("answered")), 203);
    let mut forged = record(1);
    forged.sig[0] ^= 1;
    assert_eq!(
        code(&house.query(public(1), put(&forged, &token, None), NEITHER).0),
        206
    );
    let salty = Mutable {
        salt: vec![b's'; 65],
        ..record(1)
    };
    assert_eq!(
        code(&house.query(public(1), put(&salty, &token, None), NEITHER).0),
        207
    );
    let negative = Mutable { seq: -1, ..record(1) };
    assert_eq!(
        code(&house.query(public(1), put(&negative, &token, None), NEITHER).0),
        203
    );
    assert!(house.server.items.is_empty());
    // 2^63 is no number here: the datagram is no message.
    let (good, text) = (record(1), |bytes: &[u8]| {
        [format!("{}:", bytes.len()).as_bytes(), bytes].concat()
    });
    let huge = [
        &b"d1:ad2:id20:abcdefghij01234567891:k"[..],
        &text(&good.key.0),
        b"3:seqi9223372036854775808e3:sig",
        &text(&good.sig),
        b"5:token",
        &text(&token),
        b"1:v",
        &good.value,
        b"e1:q3:put1:t2:aa1:y1:qe",
    ]
    .concat();
    assert!(crate::dht::krpc::decode(&huge).is_err());
    let fits = datagram(&long());
    assert_eq!(
        reply(&house.ask(public(1), &fits).expect("answered")).id,
        house.v4.own()
    );
    assert_eq!(house.server.items.len(), 1);
}

#[test]
fn a_long_value_goes_to_whom_asks_at_length_or_is_known_and_never_ten_times_the_question() {
    let mut house = House::generous();
    let secret = SecretKey::from_seed([3; 32]);
    let item = Mutable::sign(&secret, &[b's'; 64], i64::MAX, &long()).expect("within the rules");
    let target: Id = item.target().into();
    let signed = put(&item, b"", None);
    let Ask::Put(stored) = &signed else {
        panic!("a put")
    };
    house
        .server
        .items
        .put(stored, public(9).ip(), Duration::ZERO)
        .expect("stored");
    let ask = |id: Id, pad: usize| {
        let query = Query {
            id,
            ask: Ask::Get { target, seq: None },
            want: Want { v4: true, v6: true },
            extra: Vec::new(),
        };
        let zeros = [format!("{pad}:").into_bytes(), vec![b'0'; pad]].concat();
        let mut message = Message::new(b"abcd", Body::Query(query));
        message.extra.push((b"pad", &zeros));
        message.encode()
    };
    let stranger = Id([3; 20]);
    for pad in 0..60 {
        let question = ask(stranger, pad);
        let bytes = house.ask(public(1), &question).expect("answered");
        assert!(bytes.len() <= question.len() * 10 && bytes.len() <= ITEM_REPLY_MAX);
        assert_eq!(reply(&bytes).seq, Some(i64::MAX));
        let (full, length) = (reply(&bytes).v.is_some(), question.len());
        assert!(full || length < 128, "{length} bytes are enough");
        assert!(!full || length > 120, "{length} bytes are not");
    }
    let known = house.v4.closest(&target, 1)[0];
    let bytes = house.ask(known.addr, &ask(known.id, 0)).expect("answered");
    assert_eq!(reply(&bytes).v, Some(&long()[..]));
    // A short one travels with the node lists.
    let small = immutable_target(b"2:hi");
    let put = Put {
        token: b"",
        v: b"2:hi",
        signed: None,
        cas: None,
    };
    house
        .server
        .items
        .put(&put, public(9).ip(), Duration::ZERO)
        .expect("stored");
    let ask = Ask::Get {
        target: small.into(),
        seq: None,
    };
    let (bytes, asked) = house.query(public(1), ask, Want { v4: true, v6: true });
    assert!(bytes.len() <= DATAGRAM_MAX.min(asked * 10));
    let reply = reply(&bytes);
    assert_eq!((reply.v, reply.seq), (Some(&b"2:hi"[..]), None));
    assert!(reply.nodes.is_some() && reply.nodes6.is_some());
}

#[test]
fn forged_sources_get_8000_bytes_a_second_of_items_and_one_source_five_answers() {
    let mut house = House::new(limits::Config::default());
    let item = record(1);
    let signed = put(&item, b"", None);
    let Ask::Put(stored) = &signed else {
        panic!("a put")
    };
    house
        .server
        .items
        .put(stored, public(9).ip(), Duration::ZERO)
        .expect("stored");
    let datagram = |ask: Ask<'_>| {
        let query = Query {
            id: Id([3; 20]),
            ask,
            want: NEITHER,
            extra: Vec::new(),
        };
        Message::new(b"aa", Body::Query(query)).encode()
    };
    let questions = [datagram(get(&item, None)), datagram(put(&item, b"guess", None))];
    let mut sent = 0;
    for n in 0..4_000u32 {
        let from = SocketAddr::new(std::net::IpAddr::from((0x5100_0000 + n).to_be_bytes()), 53);
        let question = &questions[n as usize % 2];
        if let Ok(bytes) = house.ask(from, question) {
            assert!(bytes.len() <= question.len() * 10);
            sent += bytes.len();
        }
    }
    assert!((4_000..=8_000).contains(&sent), "{sent} bytes at once");

    let mut house = House::new(limits::Config {
        unverified_bytes_per_sec: 10_000_000,
        bytes_per_sec: 10_000_000,
        ..limits::Config::default()
    });
    for second in 0..30 {
        let ask = |house: &mut House| house.ask_at(public(1), &questions[0], Duration::from_secs(second));
        let answered = (0..200).filter(|_| ask(&mut house).is_ok()).count();
        assert_eq!(answered, if second == 0 { 25 } else { 5 }, "in second {second}");
    }
}
