//! Items of the DHT (BEP 44): their files, what other nodes answer when we look for one, and what they ask of us.

use std::{net::SocketAddr, time::Duration};

use proto::{
    dht::{
        id::Family,
        item::Item,
        krpc::{self, Body},
        node::{self, Event, Node},
    },
    id::InfoHash,
    record::{self, Mutable},
    secret::SecretKey,
};

use super::seen;

/// Datagrams with an item may be longer than others.
const DATAGRAM_MAX: usize = 1_280;
/// Stands in seeds where the node's own token goes.
const TOKEN: &[u8] = b"8:aoeusnth";

fn genuine(seq: i64) -> Mutable {
    let value = record::torrent_value(&InfoHash([seq as u8; 20]));
    Mutable::sign(&SecretKey::from_seed([5; 32]), b"n", seq, &value).expect("within the rules")
}

fn stranger() -> SocketAddr {
    "93.184.216.34:6881".parse().expect("an address")
}

pub(super) fn files() -> Vec<Vec<u8>> {
    let long = [&b"996:"[..], &[b'x'; 996]].concat();
    let long = Mutable::sign(&SecretKey::from_seed([5; 32]), b"", i64::MAX, &long);
    vec![
        genuine(1).encode(),
        long.expect("within the rules").encode(),
        b"d2:ih20:aaaaaaaaaaaaaaaaaaaae".to_vec(),
        b"20:\x00\x00\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00abcdefgh".to_vec(),
    ]
}

pub(super) fn file(input: &[u8]) -> u64 {
    let read = Mutable::decode(input);
    if let Ok(item) = &read {
        assert_eq!(item.check(), Ok(()));
        assert_eq!(Mutable::decode(&item.encode()), Ok(item.clone()));
    }
    seen(&(read, record::meaning(input), record::check_value(input).is_ok()))
}

/// The `r` dictionaries of answers and whole queries, one per line.
pub(super) fn answers() -> Vec<Vec<u8>> {
    let shows = |item: &Mutable| {
        let seq = format!("3:seqi{}e3:sig64:", item.seq);
        let head = b"d2:id20:mnopqrstuvwxyz1234561:k32:";
        [
            &head[..],
            &item.key.0,
            seq.as_bytes(),
            &item.sig,
            b"5:token8:aoeusnth1:v",
            &item.value,
            b"e",
        ]
        .concat()
    };
    let put = |item: &Mutable| {
        let seq = format!("4:salt1:n3:seqi{}e3:sig64:", item.seq);
        let head = b"d1:ad2:id20:abcdefghij01234567891:k32:";
        let tail = b"5:token8:aoeusnth1:v";
        let end = b"e1:q3:put1:t2:aa1:y1:qe";
        [
            &head[..],
            &item.key.0,
            seq.as_bytes(),
            &item.sig,
            tail,
            &item.value,
            end,
        ]
        .concat()
    };
    let target = genuine(1).target().0;
    let get = [
        &b"d1:ad2:id20:abcdefghij01234567893:seqi0e6:target20:"[..],
        &target,
        b"e1:q3:get1:t2:aa1:y1:qe",
    ];
    let immutable =
        b"d1:ad2:id20:abcdefghij01234567895:token8:aoeusnth1:v12:Hello World!e1:q3:put1:t2:aa1:y1:qe";
    vec![
        [shows(&genuine(1)), shows(&genuine(2))].join(&b'\n'),
        [
            put(&genuine(2)),
            put(&genuine(1)),
            get.concat(),
            shows(&genuine(3)),
        ]
        .join(&b'\n'),
        [immutable.to_vec(), get.concat()].join(&b'\n'),
        b"d2:id20:mnopqrstuvwxyz1234565:nodes26:mnopqrstuvwxyz1234561.2.3.5:3:seqi9e5:token8:aoeusnthe"
            .to_vec(),
    ]
}

/// A node looks for a record and stores others': whatever comes, it tells genuine items only, and its answers are short.
pub(super) fn item(input: &[u8]) -> u64 {
    let mut now = Duration::from_secs(1_000);
    let mut config = node::Config::default();
    config.policy.allow_private = true;
    let mut node = Node::new(config, [3; 32], now);
    node.enable(Family::V4);
    node.set_routers(vec![stranger()], now);
    let target = genuine(1).target();
    let looked = node.get_item(target, b"n", Some(0), now);
    let mut pending = asked(&mut node);
    let token = token(&mut node, now);
    let mut told = 0u64;
    for line in input.split(|byte| *byte == b'\n') {
        let datagram = match pending.pop() {
            Some(tid) if !line.starts_with(b"d1:a") => {
                [&b"d1:r"[..], line, b"1:t4:", &tid, b"1:y1:re"].concat()
            }
            other => {
                pending.extend(other);
                replace(line, &token)
            }
        };
        node.on_datagram(stranger(), &datagram, now);
        for reply in datagrams(&mut node) {
            let message = krpc::decode(&reply).expect("what we send can be read");
            let longest = DATAGRAM_MAX.max(datagram.len() * 10);
            assert!(reply.len() <= longest, "{} bytes", reply.len());
            told = told.rotate_left(1) ^ seen(&message);
            if let (Body::Query(_), Ok(tid)) = (&message.body, message.tid.try_into()) {
                pending.push(tid);
            }
        }
    }
    for _ in 0..20 {
        now += Duration::from_secs(1);
        node.tick(now);
        datagrams(&mut node);
    }
    let mut ended = false;
    while let Some(event) = node.take_event() {
        if let Event::Got { job, got } = event
            && job == looked
        {
            ended = true;
            if let Some(Item::Mutable(item)) = &got.item {
                assert!(item.check().is_ok() && item.target() == target, "{item:?}");
            }
            told ^= seen(&got.item);
        }
    }
    assert!(ended, "every lookup ends");
    told
}

fn datagrams(node: &mut Node) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| node.take_datagram())
        .map(|(_, datagram)| datagram)
        .collect()
}

/// The transaction ids of the questions the node has just sent.
fn asked(node: &mut Node) -> Vec<[u8; 4]> {
    let sent = datagrams(node);
    let ids = sent.iter().filter_map(|datagram| krpc::decode(datagram).ok());
    ids.filter_map(|message| message.tid.try_into().ok()).collect()
}

/// What the node lets the stranger store with.
fn token(node: &mut Node, now: Duration) -> Vec<u8> {
    let get = b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q3:get1:t2:aa1:y1:qe";
    node.on_datagram(stranger(), get, now);
    let sent = datagrams(node);
    let token = sent
        .iter()
        .find_map(|datagram| match krpc::decode(datagram).ok()?.body {
            Body::Reply(reply) => reply.token.map(<[u8]>::to_vec),
            _ => None,
        });
    token.expect("a get is answered with a token")
}

fn replace(line: &[u8], token: &[u8]) -> Vec<u8> {
    let Some(at) = line.windows(TOKEN.len()).position(|part| part == TOKEN) else {
        return line.to_vec();
    };
    let rest = &line[at + TOKEN.len()..];
    [&line[..at], token.len().to_string().as_bytes(), b":", token, rest].concat()
}
