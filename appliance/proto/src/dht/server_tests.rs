use std::net::IpAddr;

use super::*;
use crate::dht::{
    id::{Contact, secure},
    items,
    krpc::decode,
    limits, peers,
};

#[path = "server_item_tests.rs"]
mod item_tests;

struct House {
    server: Server,
    v4: Table,
    v6: Table,
    random: Random,
    policy: Policy,
}

fn public(n: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::from([80, n, 1, 1]), 6881)
}

impl House {
    /// A node that knows more than enough others in both networks.
    fn new(limits: limits::Config) -> Self {
        let mut random = Random::new([8; 32]);
        let server = Server {
            tokens: Tokens::new(Duration::ZERO, &mut random),
            peers: Peers::new(peers::Config::default()),
            items: Items::new(items::Config::default()),
            limits: Limits::new(limits, Duration::ZERO),
        };
        let (mut v4, mut v6) = (Table::new(Id([1; 20]), true), Table::new(Id([2; 20]), true));
        for n in 0..100 {
            let ip6 = IpAddr::from([0x2a00, u16::from(n), 0, 0, 0, 0, 0, 1]);
            for (table, ip) in [(&mut v4, public(n).ip()), (&mut v6, ip6)] {
                let id = secure(ip, &mut random);
                table.answered(
                    Contact {
                        id,
                        addr: SocketAddr::new(ip, 6881),
                    },
                    Duration::ZERO,
                );
            }
        }
        Self {
            server,
            v4,
            v6,
            random,
            policy: Policy::default(),
        }
    }

    fn generous() -> Self {
        let many = 100_000_000;
        Self::new(limits::Config {
            queries_per_source_per_sec: many,
            queries_burst: many,
            unverified_bytes_per_sec: many,
            bytes_per_sec: many,
        })
    }

    fn ask(&mut self, from: SocketAddr, datagram: &[u8]) -> Result<Vec<u8>, Dropped> {
        self.ask_at(from, datagram, Duration::ZERO)
    }

    fn ask_at(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) -> Result<Vec<u8>, Dropped> {
        let message = decode(datagram).expect("a message");
        let Body::Query(query) = &message.body else {
            panic!("a query")
        };
        let (datagram_len, canonical) = (datagram.len(), message.canonical);
        let asked = Asked {
            from,
            tid: message.tid,
            query,
            datagram_len,
            canonical,
        };
        let view = View {
            v4: Some(&self.v4),
            v6: Some(&self.v6),
            policy: &self.policy,
            version: b"GY\0\x01",
        };
        self.server.answer(&asked, &view, now, &mut self.random)
    }

    fn query(&mut self, from: SocketAddr, ask: Ask<'_>, want: Want) -> (Vec<u8>, usize) {
        let query = Query {
            id: Id([3; 20]),
            ask,
            want,
            extra: Vec::new(),
        };
        let datagram = Message::new(b"aa", Body::Query(query)).encode();
        (self.ask(from, &datagram).expect("within limits"), datagram.len())
    }
}

fn reply(bytes: &[u8]) -> Reply<'_> {
    match decode(bytes).expect("a message").body {
        Body::Reply(reply) => *reply,
        other => panic!("no reply: {other:?}"),
    }
}

fn code(bytes: &[u8]) -> i64 {
    match decode(bytes).expect("a message").body {
        Body::Error { code, .. } => code,
        other => panic!("no error: {other:?}"),
    }
}

const BOTH: Want = Want { v4: true, v6: true };

#[test]
fn a_ping_is_answered_with_our_id_and_the_askers_address() {
    let mut house = House::generous();
    let (bytes, _) = house.query(public(1), Ask::Ping, Want::default());
    assert_eq!(reply(&bytes).id, house.v4.own());
    assert_eq!(decode(&bytes).expect("message").ip, Some(public(1)));
    let v6 = "[2a00:1::9]:6881".parse().expect("address");
    let (bytes, _) = house.query(v6, Ask::Ping, Want::default());
    assert_eq!(
        reply(&bytes).id,
        house.v6.own(),
        "the other network knows another id of ours"
    );
}

#[test]
fn node_lists_are_those_the_asker_wants() {
    let mut house = House::generous();
    let ask = || Ask::FindNode { target: Id([5; 20]) };
    let counts = |bytes: &[u8]| {
        let reply = reply(bytes);
        (reply.nodes.map(|n| n.len()), reply.nodes6.map(|n| n.len()))
    };
    let v6: SocketAddr = "[2a00:1::9]:6881".parse().expect("address");
    let only6 = Want { v4: false, v6: true };
    assert_eq!(
        counts(&house.query(public(1), ask(), Want::default()).0),
        (Some(8), None)
    );
    assert_eq!(
        counts(&house.query(v6, ask(), Want::default()).0),
        (None, Some(8))
    );
    assert_eq!(counts(&house.query(public(1), ask(), BOTH).0), (Some(8), Some(8)));
    assert_eq!(counts(&house.query(public(1), ask(), only6).0), (None, Some(8)));
    let get = Ask::Get {
        target: Id([5; 20]),
        seq: None,
    };
    let (bytes, _) = house.query(public(1), get, Want::default());
    assert_eq!(counts(&bytes), (Some(8), None));
    assert!(reply(&bytes).token.is_some(), "whoever asks may store");
}

#[test]
fn a_peer_is_stored_with_a_token_and_told_to_its_network_only() {
    let mut house = House::generous();
    let info_hash = Id([6; 20]);
    let get = || Ask::GetPeers {
        info_hash,
        scrape: false,
        noseed: false,
    };
    let (bytes, _) = house.query(public(1), get(), Want::default());
    let token = reply(&bytes).token.expect("a token").to_vec();
    assert_eq!(reply(&bytes).values, None);
    let announce = |port, implied_port, token| {
        Ask::AnnouncePeer(Announce {
            info_hash,
            port,
            implied_port,
            seed: false,
            token,
        })
    };
    let (bytes, _) = house.query(public(2), announce(7000, false, &token), Want::default());
    assert_eq!(code(&bytes), 203, "the token of another address");
    let (bytes, _) = house.query(public(1), announce(22, false, &token), Want::default());
    assert_eq!(code(&bytes), 203, "no peer listens on port 22");
    assert!(house.server.peers.is_empty());
    house.query(public(1), announce(7000, false, &token), Want::default());
    house.query(public(1), announce(1, true, &token), Want::default());
    let (bytes, _) = house.query(public(9), get(), Want::default());
    let mut values = reply(&bytes).values.expect("peers");
    values.sort();
    let mut named = public(1);
    named.set_port(7000);
    assert_eq!(values, [public(1), named]);
    let (bytes, _) = house.query(
        "[2a00:1::9]:6881".parse().expect("address"),
        get(),
        Want::default(),
    );
    assert_eq!(reply(&bytes).values, None);
}

#[test]
fn no_reply_is_longer_than_ten_questions_or_one_datagram() {
    let mut house = House::generous();
    for n in 0..3_000u32 {
        let ip = IpAddr::from((0x5000_0000 + n).to_be_bytes());
        let (mut hash, seed) = ([6; 20], n % 2 == 0);
        house
            .server
            .peers
            .announce(Id(hash), SocketAddr::new(ip, 6881), seed, Duration::ZERO);
        let ip6 = IpAddr::from([0x2a00, 1, 0, 0, 0, 0, 1, n as u16]);
        house
            .server
            .peers
            .announce(Id(hash), SocketAddr::new(ip6, 6881), seed, Duration::ZERO);
        hash[..4].copy_from_slice(&n.to_be_bytes());
        house
            .server
            .peers
            .announce(Id(hash), SocketAddr::new(ip, 6881), seed, Duration::ZERO);
    }
    let (info_hash, target) = (Id([6; 20]), Id([6; 20]));
    let v6: SocketAddr = "[2a00:1::9]:6881".parse().expect("address");
    for (from, want) in [
        (public(1), Want::default()),
        (public(1), BOTH),
        (v6, Want::default()),
        (v6, BOTH),
    ] {
        let asks = [
            Ask::Ping,
            Ask::FindNode { target },
            Ask::GetPeers {
                info_hash,
                scrape: false,
                noseed: false,
            },
            Ask::GetPeers {
                info_hash,
                scrape: true,
                noseed: true,
            },
            Ask::SampleInfohashes { target },
            Ask::Get { target, seq: Some(1) },
            Ask::Other(b"x"),
        ];
        for ask in asks {
            let name = format!("{ask:?}");
            let (bytes, asked) = house.query(from, ask, want);
            assert!(
                bytes.len() <= DATAGRAM_MAX.min(asked * 10),
                "{name}: {} for {asked}",
                bytes.len()
            );
            assert!(decode(&bytes).is_ok(), "{name}");
        }
    }
    let (bytes, _) = house.query(
        public(1),
        Ask::GetPeers {
            info_hash,
            scrape: false,
            noseed: false,
        },
        BOTH,
    );
    assert!(
        reply(&bytes).values.expect("peers").len() >= 30,
        "what is left is used for peers"
    );
}

#[test]
fn a_scrape_is_answered_with_filters_and_a_sample_with_infohashes() {
    let mut house = House::generous();
    let info_hash = Id([6; 20]);
    let ask = || Ask::GetPeers {
        info_hash,
        scrape: true,
        noseed: false,
    };
    assert_eq!(
        reply(&house.query(public(1), ask(), BOTH).0).seeds,
        None,
        "nothing to count"
    );
    for n in 0..60 {
        house
            .server
            .peers
            .announce(info_hash, public(n), n < 20, Duration::ZERO);
    }
    let (bytes, _) = house.query(public(1), ask(), BOTH);
    let scraped = reply(&bytes);
    let estimate =
        |filter: Option<&[u8; 256]>| crate::dht::bloom::Bloom(*filter.expect("a filter")).estimate();
    assert!((estimate(scraped.seeds) - 20.0).abs() < 2.0 && (estimate(scraped.peers) - 40.0).abs() < 3.0);
    assert!(scraped.nodes.is_some() && scraped.values.is_some());

    let (bytes, _) = house.query(
        public(1),
        Ask::SampleInfohashes { target: info_hash },
        Want::default(),
    );
    let sampled = reply(&bytes).samples.expect("samples");
    assert_eq!((sampled.num, sampled.hashes), (1, &info_hash.0[..]));
    assert!((0..=21_600).contains(&sampled.interval_secs));
}

#[test]
fn what_we_do_not_do_is_refused_with_the_codes_of_the_beps() {
    let mut house = House::generous();
    let (bytes, _) = house.query(public(1), Ask::Other(b"vote"), Want::default());
    assert_eq!(code(&bytes), 204);
    let put = b"d1:ad2:id20:abcdefghij01234567895:token2:xx1:v3:abce1:q3:put1:t2:aa1:y1:qe";
    assert_eq!(
        code(&house.ask(public(1), put).expect("answered")),
        203,
        "a bad token"
    );
    let unsorted = b"d1:ad1:v3:abc2:id20:abcdefghij01234567895:token2:xxe1:q3:put1:t2:aa1:y1:qe";
    assert_eq!(code(&house.ask(public(1), unsorted).expect("answered")), 203);
    let refused = house
        .server
        .refuse(public(1), b"aa", "no node id", Duration::ZERO)
        .expect("answered");
    assert_eq!(code(&refused), 203);
}

#[test]
fn forged_sources_cost_little_and_known_nodes_are_still_served() {
    let mut house = House::new(limits::Config::default());
    let target = Id([5; 20]);
    let query = |id| {
        let query = Query {
            id,
            ask: Ask::FindNode { target },
            want: BOTH,
            extra: Vec::new(),
        };
        Message::new(b"aa", Body::Query(query)).encode()
    };
    let mut sent = 0;
    for n in 0..5_000u32 {
        let from = SocketAddr::new(IpAddr::from((0x5100_0000 + n).to_be_bytes()), 53);
        sent += house
            .ask(from, &query(Id([9; 20])))
            .map_or(0, |bytes| bytes.len());
    }
    assert!(sent <= 8_000, "{sent} bytes at once");
    let known = house.v4.closest(&target, 1)[0];
    assert!(house.ask(known.addr, &query(known.id)).is_ok());
    assert_eq!(
        house.ask(known.addr, &query(Id([9; 20]))),
        Err(Dropped::Unverified),
        "same address, other id"
    );
}
