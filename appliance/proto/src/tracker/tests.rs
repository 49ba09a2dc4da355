use std::{net::SocketAddr, time::Duration};

use super::*;
use crate::tracker::{
    http::{encode_failure, encode_reply, parse_query, parse_reply, target},
    udp::{Family, parse_announce, parse_connect},
};

fn sample() -> Announce {
    Announce {
        infohash: InfoHash::from_hex("951ead31d09e4049fc1f21f137e233dd0589fcbd").expect("40 digits"),
        peer_id: *b"-GR0100-~abcdefghij ",
        port: 6881,
        uploaded: 1,
        downloaded: 2,
        left: 3,
        event: Event::Started,
        numwant: 80,
        key: 0xdead_beef,
        ipv6: None,
    }
}

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn the_compact_answer_with_one_peer_has_exactly_these_bytes() {
    let golden = "64383a696e74657276616c693138303065353a7065657273363ac00002011ae165";
    let peers = [addr("192.0.2.1:6881")];
    let bytes = encode_reply(Duration::from_secs(1800), None, &peers);
    assert_eq!(data_encoding::HEXLOWER.encode(&bytes), golden);
    let reply = parse_reply(&bytes).expect("an answer");
    assert_eq!(
        (reply.interval, reply.min_interval),
        (Duration::from_secs(1800), INTERVAL_MIN)
    );
    assert_eq!(reply.peers, peers);
}

#[test]
fn answers_of_both_families_read_back() {
    let peers = [
        addr("192.0.2.1:6881"),
        addr("[2001:db8::7]:51413"),
        addr("198.51.100.2:1"),
    ];
    let bytes = encode_reply(Duration::from_secs(90), Some(Duration::from_secs(70)), &peers);
    let reply = parse_reply(&bytes).expect("an answer");
    assert_eq!(reply.min_interval, Duration::from_secs(70));
    assert_eq!(reply.peers, [peers[0], peers[2], peers[1]]);
    assert!(crate::bencode::parse(&bytes).is_ok(), "keys must be sorted");
}

#[test]
fn a_query_carries_everything_and_reads_back() {
    let text = target("/announce", &sample());
    assert_eq!(
        text,
        "/announce?info_hash=%95%1E%AD1%D0%9E%40I%FC%1F%21%F17%E23%DD%05%89%FC%BD&peer_id=-GR0100-~abcdefghij%20\
         &port=6881&uploaded=1&downloaded=2&left=3&compact=1&no_peer_id=1&numwant=80&key=deadbeef&event=started"
    );
    let (_, query) = text.split_once('?').expect("a query");
    assert_eq!(parse_query(query), Ok(sample()));
    assert!(target("/a?passkey=1", &sample()).starts_with("/a?passkey=1&info_hash="));
    assert!(target("/a?", &sample()).starts_with("/a?info_hash="));
    let over_v4 = Announce {
        ipv6: Some("2001:db8::1".parse().expect("an address")),
        event: Event::None,
        ..sample()
    };
    assert!(target("/a", &over_v4).ends_with("&key=deadbeef&ipv6=2001%3Adb8%3A%3A1"));
}

#[test]
fn queries_of_other_clients_are_understood_and_bad_ones_refused() {
    let full = "peer_id=-TR3000-aaaaaaaaaaaa&info_hash=%00%01%02%03%04%05%06%07%08%09%0a%0b%0c%0d%0e%0f%10%11%12%13&port=1";
    assert_eq!(parse_query(full).expect("minimal").infohash.0[19], 0x13);
    assert_eq!(parse_query(full).expect("minimal").numwant, 50);
    for bad in [
        "",
        "info_hash=aaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1",
        "info_hash=aaaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1",
        "info_hash=aaaaaaaaaaaaaaaaaaaa&port=1",
        "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb",
        "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=65536",
        "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=-1",
        "info_hash=%zz&peer_id=%&port=x",
    ] {
        assert!(parse_query(bad).is_err(), "{bad}");
    }
}

#[test]
fn listed_peers_and_refusals_are_understood() {
    let body = b"d8:intervali120e5:peersld2:ip9:192.0.2.17:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881eed2:ip11:2001:db8::14:porti7eed2:ip8:host.org4:porti7eeee";
    assert_eq!(
        parse_reply(body).expect("an answer").peers,
        [addr("192.0.2.1:6881"), addr("[2001:db8::1]:7")]
    );
    assert_eq!(
        parse_reply(&encode_failure("unregistered torrent")),
        Err(Error::Refused("unregistered torrent".into()))
    );
    let warned = parse_reply(b"d15:warning message6:a\nb\x1b[m8:intervali60e5:peers0:e").expect("an answer");
    assert_eq!(warned.warning.as_deref(), Some("a b [m"));
}

#[test]
fn intervals_are_held_to_a_minute_and_two_hours() {
    for (sent, kept) in [
        (-5, 60),
        (0, 60),
        (59, 60),
        (61, 61),
        (7200, 7200),
        (7201, 7200),
        (i64::MAX, 7200),
        (i64::MIN, 60),
    ] {
        let reply = parse_reply(format!("d8:intervali{sent}e12:min intervali{sent}e5:peers0:e").as_bytes());
        let reply = reply.expect("an answer");
        assert_eq!(
            (reply.interval.as_secs(), reply.min_interval.as_secs()),
            (kept, kept),
            "{sent}"
        );
    }
    let reply = parse_reply(b"d8:intervali600e12:min intervali900e5:peers0:e").expect("an answer");
    assert_eq!(reply.min_interval, reply.interval);
}

#[test]
fn one_answer_gives_at_most_two_hundred_peers_each_once() {
    let many: Vec<SocketAddr> = (0..5000u32)
        .map(|n| SocketAddr::new(std::net::Ipv4Addr::from(n << 8).into(), 1))
        .collect();
    assert_eq!(
        parse_reply(&encode_reply(INTERVAL_MIN, None, &many))
            .expect("an answer")
            .peers
            .len(),
        PEERS_MAX
    );
    let same = vec![addr("192.0.2.1:6881"); 50];
    assert_eq!(
        parse_reply(&encode_reply(INTERVAL_MIN, None, &same))
            .expect("an answer")
            .peers
            .len(),
        1
    );
    assert!(
        parse_reply(&encode_reply(INTERVAL_MIN, None, &[addr("192.0.2.1:0")]))
            .expect("an answer")
            .peers
            .is_empty()
    );
}

#[test]
fn udp_packets_have_the_layout_of_bep_15_and_41() {
    assert_eq!(
        data_encoding::HEXLOWER.encode(&udp::connect(0x0102_0304)),
        "00000417271019800000000001020304"
    );
    let packet = udp::announce(0x1122_3344_5566_7788, 9, &sample(), "/announce?x=1");
    assert_eq!(
        packet[..16],
        [
            0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0, 0, 0, 1, 0, 0, 0, 9
        ]
    );
    assert_eq!(packet[16..36], sample().infohash.0);
    assert_eq!(packet[36..56], sample().peer_id);
    assert_eq!(
        packet[56..80],
        [
            [0, 0, 0, 0, 0, 0, 0, 2],
            [0, 0, 0, 0, 0, 0, 0, 3],
            [0, 0, 0, 0, 0, 0, 0, 1]
        ]
        .concat()
    );
    assert_eq!(
        packet[80..98],
        [
            0, 0, 0, 2, 0, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 80, 0x1a, 0xe1
        ]
    );
    assert_eq!(packet[98..], *b"\x02\x0d/announce?x=1\x00");
    assert_eq!(udp::announce(0, 0, &sample(), "/").len(), 98);
    let long = udp::announce(0, 0, &sample(), &"x".repeat(300));
    assert_eq!((long[98], long[99], long[355], long[356]), (2, 255, 2, 45));
}

#[test]
fn udp_answers_are_checked_against_the_question() {
    let answer =
        |action: u32, tid: u32, rest: &[u8]| [&action.to_be_bytes()[..], &tid.to_be_bytes(), rest].concat();
    assert_eq!(parse_connect(&answer(0, 7, &[0, 0, 0, 0, 0, 0, 0, 9]), 7), Ok(9));
    assert_eq!(
        parse_connect(&answer(0, 8, &[0; 8]), 7),
        Err(Error::Malformed("transaction"))
    );
    assert_eq!(
        parse_connect(&answer(1, 7, &[0; 8]), 7),
        Err(Error::Malformed("action"))
    );
    assert_eq!(
        parse_connect(&answer(3, 7, b"go\naway"), 7),
        Err(Error::Refused("go away".into()))
    );
    let body = [
        &[0, 0, 0, 90, 0, 0, 0, 1, 0, 0, 0, 2][..],
        &[192, 0, 2, 1, 0x1a, 0xe1],
        &[1, 2, 3],
    ]
    .concat();
    let reply = parse_announce(&answer(1, 7, &body), 7, Family::V4).expect("an answer");
    assert_eq!(
        (reply.interval.as_secs(), reply.peers),
        (90, vec![addr("192.0.2.1:6881")])
    );
    let body = [&[0xff; 12][..], &[0x20; 16], &[0x1a, 0xe1]].concat();
    let reply = parse_announce(&answer(1, 7, &body), 7, Family::V6).expect("an answer");
    assert_eq!(
        reply.peers,
        [addr("[2020:2020:2020:2020:2020:2020:2020:2020]:6881")]
    );
    assert_eq!(reply.interval, INTERVAL_MIN);
    for len in 0..20 {
        let whole = answer(1, 7, &[0; 12]);
        assert_eq!(parse_announce(&whole[..len], 7, Family::V4).is_ok(), len == 20);
    }
}

/// Short answers no honest tracker sends.
const HOSTILE: &[&str] = &[
    "",
    "d",
    "e",
    "de",
    "le",
    "i1e",
    "0:",
    "4:spam",
    "<html>404</html>",
    "d5:peers",
    "d5:peers6:abce",
    "d5:peers5:abcdee",
    "d5:peers7:abcdefge",
    "d5:peersi1ee",
    "d5:peersdee",
    "d5:peerslee",
    "d5:peerslli1eeee",
    "d5:peersl0:ee",
    "d5:peersldeee",
    "d5:peersld2:ipi1eeee",
    "d5:peersld4:porti1eeee",
    "d5:peersld2:ip9:127.0.0.14:porti-1eeee",
    "d5:peersld2:ip9:127.0.0.14:porti65536eeee",
    "d5:peersld2:ip9:127.0.0.14:porti0eeee",
    "d5:peersld2:ip0:4:porti1eeee",
    "d5:peersld2:ip4:\u{0}\u{0}\u{0}\u{1}4:porti1eeee",
    "d5:peersld2:ip7:0x7f.0.4:porti1eeee",
    "d6:peers6i1ee",
    "d6:peers6lee",
    "d6:peers617:aaaaaaaaaaaaaaaaae",
    "d5:peers0:6:peers61:ae",
    "d8:intervali-1e5:peers0:e",
    "d8:interval0:5:peers0:e",
    "d8:intervallee",
    "d8:intervali99999999999999999999e5:peers0:e",
    "d8:intervali1.5e5:peers0:e",
    "d8:intervali9223372036854775807e5:peers0:e",
    "d8:intervali-9223372036854775808e5:peers0:e",
    "d12:min interval3:abc5:peers0:e",
    "d12:min intervali-9e5:peers0:e",
    "d14:failure reason0:e",
    "d14:failure reasoni1ee",
    "d14:failure reasonlee",
    "d14:failure reason5:\u{1b}[2Je",
    "d14:failure reason9999999:xe",
    "d14:failure reason-1:xe",
    "d15:warning messagei1e5:peers0:e",
    "d15:warning message3:\u{202e}5:peers0:e",
    "d10:tracker id5:\r\nX: 5:peers0:e",
    "d5:peers0:5:peers0:e",
    "d1:a1:b1:a1:ce",
    "d5:peers0:ejunk",
    " d5:peers0:e",
    "d5:peers0:",
    "d5:peers00:e",
    "d5:peers+0:e",
    "d05:peers0:e",
    "d5:peers4294967295:ae",
    "d5:peers18446744073709551615:ae",
    "d5:peers18446744073709551616:ae",
    "d3:\u{0}\u{0}\u{0}i1e5:peers0:e",
    "di1e0:e",
    "dle0:e",
    "d0:0:e",
    "d7:privatei1e5:peers0:e",
    "x",
    "{\"peers\":[]}",
    "d8:completei-1e10:incompletei-1e5:peers0:e",
    "d5:filesdee",
    "HTTP/1.1 200 OK\r\n\r\nd5:peers0:e",
];

/// What a hostile or broken tracker may send. Each is refused, or gives peers within the bounds; none panics.
fn hostile_replies() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = HOSTILE.iter().map(|t| t.as_bytes().to_vec()).collect();
    all.push([vec![b'l'; 10_000], vec![b'e'; 10_000]].concat());
    all.push([b"d5:peers".to_vec(), vec![b'l'; 10_000], vec![b'e'; 10_001]].concat());
    all.push([b"d5:peers262140:".to_vec(), vec![1; 262_140], vec![b'e']].concat());
    all.push([b"d6:peers6262134:".to_vec(), vec![1; 262_134], vec![b'e']].concat());
    all.push(
        [
            b"d5:peersl".to_vec(),
            b"d2:ip7:9.9.9.94:porti9ee".repeat(10_000),
            b"ee".to_vec(),
        ]
        .concat(),
    );
    all.push(
        [
            b"d14:failure reason200000:".to_vec(),
            vec![0xff; 200_000],
            vec![b'e'],
        ]
        .concat(),
    );
    all.push(
        [
            b"d".to_vec(),
            (0..20_000)
                .flat_map(|n| format!("5:{n:05}0:").into_bytes())
                .collect(),
            b"e".to_vec(),
        ]
        .concat(),
    );
    all
}

#[test]
fn hostile_answers_stay_within_the_bounds() {
    let all = hostile_replies();
    assert!(all.len() >= 75, "{}", all.len());
    for body in &all {
        match parse_reply(body) {
            Ok(reply) => {
                assert!(reply.peers.len() <= PEERS_MAX && reply.peers.iter().all(|p| p.port() != 0));
                assert!(reply.interval >= INTERVAL_MIN && reply.interval <= INTERVAL_MAX);
            }
            Err(Error::Refused(text)) => {
                assert!(text.chars().count() <= TEXT_MAX && !text.contains('\u{1b}'))
            }
            Err(_) => {}
        }
        for tid in [0, 7] {
            let _ = parse_connect(body, tid);
            let _ = parse_announce(body, tid, Family::V4);
            let _ = parse_announce(body, tid, Family::V6);
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300), text in "[ -~]{0,200}") {
        let _ = parse_reply(&bytes);
        let tid = bytes.get(4..8).map_or(0, |b| u32::from_be_bytes(b.try_into().expect("four")));
        let _ = parse_connect(&bytes, tid);
        let _ = parse_announce(&bytes, tid, Family::V6);
        let _ = parse_query(&text);
    }
}
