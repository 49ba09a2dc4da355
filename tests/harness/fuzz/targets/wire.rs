//! What peers, DHT nodes, trackers and neighbours send.

use std::{net::SocketAddr, time::Duration};

use proto::{
    dht::{
        DATAGRAM_MAX,
        id::{Family, Id},
        krpc, node,
    },
    guard,
    id::InfoHash,
    lsd,
    peer::{
        extension::{self, Metadata},
        handshake::{self, Handshake},
        message::{self, Bounds, Message},
        mse,
        pex::Pex,
    },
    tracker::{self, Announce},
};

use super::seen;

const HASH: InfoHash = InfoHash([7; 20]);

fn owned(seeds: &[&[u8]]) -> Vec<Vec<u8>> {
    seeds.iter().map(|seed| seed.to_vec()).collect()
}

pub(super) fn datagrams() -> Vec<Vec<u8>> {
    owned(&[
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
        b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
        b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz1234564:wantl2:n42:n6ee1:q9:find_node1:t2:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234566:noseedi1e6:scrapei1ee1:q9:get_peers2:roi1e1:t2:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
        b"d2:ip6:abcdef1:rd2:id20:abcdefghij01234567895:nodes26:mnopqrstuvwxyz1234561.2.3.5:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:v4:GY011:y1:re",
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q17:sample_infohashes1:t2:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij01234567891:v12:Hello World!5:token8:aoeusnthe1:q3:put1:t2:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz1234563:seqi4ee1:q3:get1:t2:aa1:y1:qe",
    ])
}

pub(super) fn krpc(input: &[u8]) -> u64 {
    let read = krpc::decode(input);
    if let Ok(message) = &read {
        let written = message.encode();
        assert!(krpc::decode(&written).is_ok(), "{}", written.escape_ascii());
    }
    seen(&read)
}

/// A node that is looking for peers hears the input, cut where an empty line stands, from one stranger.
pub(super) fn dht(input: &[u8]) -> u64 {
    let from: SocketAddr = "93.184.216.34:6881".parse().expect("an address");
    let now = Duration::from_secs(1_000);
    let mut config = node::Config::default();
    config.policy.allow_private = true;
    let mut node = node::Node::new(config, [3; 32], now);
    node.enable(Family::V4);
    node.get_peers(Id([9; 20]), now);
    let text = input.split(|b| *b == b'\n');
    for datagram in text {
        node.on_datagram(from, datagram, now);
    }
    let mut answers = 0u64;
    while let Some((to, datagram)) = node.take_datagram() {
        assert!(datagram.len() <= DATAGRAM_MAX, "{} bytes to {to}", datagram.len());
        let answer = krpc::decode(&datagram).expect("what we send can be read");
        answers = answers.rotate_left(1) ^ seen(&answer);
    }
    while node.take_event().is_some() {}
    answers
}

pub(super) fn messages() -> Vec<Vec<u8>> {
    let block = message::Block {
        piece: 1,
        begin: 16_384,
        length: 16_384,
    };
    let all = [
        Message::KeepAlive,
        Message::Choke,
        Message::Unchoke,
        Message::Interested,
        Message::Have(3),
        Message::Bitfield(&[0xff, 0x80]),
        Message::Request(block),
        Message::Cancel(block),
        Message::Reject(block),
        Message::AllowedFast(9),
        Message::Extended {
            id: 0,
            payload: b"d1:md11:ut_metadatai1eee",
        },
        Message::Unknown(77),
    ];
    let mut seeds: Vec<Vec<u8>> = all
        .iter()
        .map(|message| {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            bytes
        })
        .collect();
    seeds.push(seeds.concat());
    seeds.push(Handshake::ours(HASH, [b'-'; 20], true).encode().to_vec());
    seeds
}

/// A whole stream, by a peer that may send blocks and by one that may not.
pub(super) fn peer(input: &[u8]) -> u64 {
    let _ = handshake::opening(input);
    if let Some(head) = input.first_chunk::<68>() {
        let _ = Handshake::decode(head);
    }
    let bounds = [
        Bounds {
            pieces: None,
            block_max: 0,
        },
        Bounds {
            pieces: Some(12),
            block_max: 16_384,
        },
    ];
    let mut answers = Vec::new();
    for bounds in bounds {
        let mut rest = input;
        loop {
            match message::decode(rest, &bounds) {
                Ok(Some((message, taken))) => {
                    assert!(taken >= 4 && taken <= 4 + bounds.message_max().max(rest.len()));
                    let mut written = Vec::new();
                    message.encode(&mut written);
                    if !matches!(message, Message::Unknown(_)) {
                        assert_eq!(&written[..], &rest[..taken], "{message:?}");
                    }
                    answers.push(message);
                    rest = &rest[taken..];
                }
                Ok(None) => {
                    assert!(
                        rest.len() < 4 + bounds.message_max(),
                        "it waits for more than it may hold"
                    );
                    break;
                }
                Err(error) => {
                    let answer = (answers, error);
                    return seen(&answer);
                }
            }
        }
    }
    seen(&answers)
}

pub(super) fn extensions() -> Vec<Vec<u8>> {
    owned(&[
        b"d1:md11:ut_metadatai1e6:ut_pexi2ee13:metadata_sizei31235e1:pi6881e4:reqqi250e1:v7:Granary6:yourip4:abcde",
        b"d8:msg_typei0e5:piecei0ee",
        b"d8:msg_typei1e5:piecei0e10:total_sizei34256eexxxxxxxx",
        b"d8:msg_typei2e5:piecei0ee",
        b"d5:added12:abcdefghijkl7:added.f2:ab6:added618:abcdefghijklmnopqr7:dropped6:abcdefe",
    ])
}

pub(super) fn extension(input: &[u8]) -> u64 {
    let hello = extension::Handshake::decode(input);
    if let Ok(hello) = &hello {
        assert!(extension::Handshake::decode(&hello.encode()).is_ok());
    }
    let block = Metadata::decode(input);
    if let Ok(block) = &block {
        let again = block.encode();
        assert_eq!(Metadata::decode(&again).as_ref(), Ok(block));
    }
    let pex = Pex::decode(input);
    if let Ok(pex) = &pex {
        assert!(pex.encode().len() <= 64 << 10 && Pex::decode(&pex.encode()).is_ok());
    }
    seen(&(hello, block, pex))
}

fn secrets(byte: u8) -> mse::Secrets {
    mse::Secrets {
        private: [byte; 20],
        pad: vec![byte; 7],
    }
}

/// Both halves of a real handshake, so that mutants get past the Diffie-Hellman exchange.
pub(super) fn encrypted() -> Vec<Vec<u8>> {
    let (mut to_responder, mut to_initiator) = (Vec::new(), Vec::new());
    let policy = mse::Policy::PreferPlaintext;
    let mut ours = mse::Initiator::new(HASH, b"hello", secrets(5), policy, &mut to_responder).expect("short");
    let mut theirs = mse::Responder::new(secrets(3), policy);
    let mut first = to_responder.clone();
    let _ = theirs.step(&mut first, &mut to_initiator);
    let _ = ours.step(&mut to_initiator.clone(), &mut to_responder);
    vec![to_responder, to_initiator, vec![0; 700]]
}

pub(super) fn mse(input: &[u8]) -> u64 {
    let (mut left, mut output) = (input.to_vec(), Vec::new());
    let mut theirs = mse::Responder::new(secrets(3), mse::Policy::PreferPlaintext);
    let mut last = theirs.step(&mut left, &mut output);
    if let Ok(mse::Step::Lookup(_)) = last {
        theirs.torrent(Some(HASH)).expect("it was asked for");
        last = theirs.step(&mut left, &mut output);
    }
    let waits = matches!(last, Ok(mse::Step::More));
    assert!(
        !waits || left.len() <= mse::INPUT_MAX,
        "it lets the caller hold {} bytes",
        left.len()
    );
    let (mut left, mut sent) = (input.to_vec(), Vec::new());
    let ours = mse::Initiator::new(HASH, b"hello", secrets(5), mse::Policy::OnlyRc4, &mut sent);
    let answer = ours.expect("short").step(&mut left, &mut sent);
    assert!(output.len() <= 4_096 && sent.len() <= 4_096);
    seen(&(last.map(drop), answer.map(drop)))
}

pub(super) fn replies() -> Vec<Vec<u8>> {
    let mut seeds = owned(&[
        b"d8:intervali1800e12:min intervali60e5:peers12:abcdefghijkl6:peers618:abcdefghijklmnopqre",
        b"d8:completei1e10:incompletei2e8:intervali1800e5:peersld2:ip9:192.0.2.14:porti6881eeee",
        b"d14:failure reason9:not knowne",
        b"d15:warning message4:slow8:intervali-1e5:peers0:e",
        b"info_hash=%07%07%07%07%07%07%07%07%07%07%07%07%07%07%07%07%07%07%07%07&peer_id=-GR0100-abcdefghijkl&port=6881&uploaded=0&downloaded=0&left=10&compact=1&event=started",
    ]);
    seeds.push([&[0, 0, 0, 1, 0, 0, 0, 9][..], &[0; 12], &[192, 0, 2, 1, 26, 225]].concat());
    seeds.push([&[0, 0, 0, 0, 0, 0, 0, 9][..], &[1; 8]].concat());
    seeds.push([&[0, 0, 0, 3, 0, 0, 0, 9][..], b"no"].concat());
    seeds
}

pub(super) fn tracker(input: &[u8]) -> u64 {
    let reply = tracker::http::parse_reply(input);
    let udp = tracker::udp::parse_announce(input, 9, tracker::udp::Family::V4);
    let udp6 = tracker::udp::parse_announce(input, 9, tracker::udp::Family::V6);
    for reply in [&reply, &udp, &udp6].into_iter().flatten() {
        assert!(reply.peers.len() <= tracker::PEERS_MAX);
    }
    let connect = tracker::udp::parse_connect(input, 9);
    let query: Result<Announce, _> = tracker::http::parse_query(&String::from_utf8_lossy(input));
    seen(&(
        reply.map(|_| 0),
        udp.map(|_| 0),
        connect.map(|_| 0),
        query.map(|_| 0),
    ))
}

pub(super) fn announces() -> Vec<Vec<u8>> {
    let group = SocketAddr::V4(lsd::GROUP_V4);
    lsd::encode(group, 6_881, &[HASH, InfoHash([1; 20])], "cookie")
}

pub(super) fn lsd(input: &[u8]) -> u64 {
    let heard = lsd::parse(input);
    if let Some(message) = &heard {
        assert!(message.port > 0 && !message.infohashes.is_empty() && message.infohashes.len() < 40);
    }
    seen(&heard.map(|m| (vec![(); m.infohashes.len()], m.cookie.map(|_| ()))))
}

pub(super) fn urls() -> Vec<Vec<u8>> {
    owned(&[
        b"http://tracker.example.org:6969/announce?key=x",
        b"udp://198.51.100.1:1337",
        b"https://[2001:db8::1]/a",
        b"http://127.0.0.1/",
        b"http://0x7f.1/",
        b"http://user:pass@192.168.1.1:80/",
        b"http://localhost./#x",
    ])
}

pub(super) fn url(input: &[u8]) -> u64 {
    let read = guard::allowed_url(
        &String::from_utf8_lossy(input),
        &guard::Policy::default().for_web(),
    );
    seen(&read.map(|_| 0))
}
