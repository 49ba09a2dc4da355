//! What strangers send: every case against the real door, all at once, while somebody else is served.

use proto::peer::extension::Metadata;

use super::*;

/// What must come of a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The door closes the connection.
    Closed,
    /// It may stay open; it must only not harm anybody.
    Harmless,
}

struct Case {
    name: String,
    /// After a proper handshake, or instead of it.
    greeted: bool,
    bytes: Vec<u8>,
    end: End,
}

fn case(name: impl Into<String>, greeted: bool, bytes: Vec<u8>, end: End) -> Case {
    Case {
        name: name.into(),
        greeted,
        bytes,
        end,
    }
}

fn raw(length: u32, id: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.push(id);
    bytes.extend_from_slice(body);
    bytes
}

fn wire_of(messages: &[Message<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    messages.iter().for_each(|m| m.encode(&mut bytes));
    bytes
}

/// Instead of a handshake.
fn openings(infohash: InfoHash) -> Vec<Case> {
    let good = hello(infohash, true).encode();
    let mut cases: Vec<Case> = [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("SMTP", b"EHLO example.org\r\n".to_vec()),
        ("newlines", vec![b'\n'; 700]),
        ("a wrong length byte", [&b"\x12"[..], &good[1..]].concat()),
        (
            "a wrong protocol",
            [&b"\x13BitTorrent protocoL"[..], &good[20..]].concat(),
        ),
        ("zeros", vec![0; 2000]),
        ("ones", vec![0xff; 2000]),
        ("a long string", vec![b'A'; 100_000]),
    ]
    .into_iter()
    .map(|(name, mut bytes)| {
        // Enough to get over the longest padding an encrypted peer may send.
        if bytes.len() < 800 {
            bytes.resize(800, 0x5a);
        }
        case(name, false, bytes, End::Closed)
    })
    .collect();
    for (i, infohash) in [[0; 20], [0xff; 20], [9; 20]].into_iter().enumerate() {
        let bytes = hello(InfoHash(infohash), true).encode().to_vec();
        cases.push(case(format!("unknown torrent {i}"), false, bytes, End::Closed));
    }
    for seed in 0..30 {
        let mut bytes = harness::sample::bytes(1000 + seed, 800 + seed as usize * 40);
        // Not by chance a trivial key and not a plain handshake.
        bytes[0] = 0x40 + seed as u8;
        cases.push(case(format!("noise {seed}"), false, bytes, End::Closed));
    }
    cases
}

/// Encrypted handshakes that go wrong behind a good key: the right first step, then noise of every length.
fn encrypted() -> Vec<Case> {
    (0..12)
        .map(|i| {
            let mut bytes = harness::sample::bytes(77 + i, 96 + 53 * i as usize);
            bytes[0] = 1;
            bytes.extend(harness::sample::bytes(177 + i, 700));
            case(format!("encrypted noise {i}"), false, bytes, End::Closed)
        })
        .collect()
}

/// Every kind of message with every wrong length.
fn lengths() -> Vec<Case> {
    let right: [(u8, u32); 15] = [
        (0, 1),
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 5),
        (5, 4),
        (6, 13),
        (8, 13),
        (9, 3),
        (13, 5),
        (14, 1),
        (15, 1),
        (16, 13),
        (17, 5),
        (20, 60),
    ];
    let mut cases = Vec::new();
    for (id, length) in right {
        for wrong in [length - 1, length + 1, 1 << 20, u32::MAX] {
            // A length of zero is a keep-alive, an extended message may be longer, and both are no fault.
            if wrong == 0 || (id == 20 && wrong < 100) {
                continue;
            }
            let bytes = raw(wrong, id, &[0; 64]);
            cases.push(case(
                format!("message {id} of {wrong} bytes"),
                true,
                bytes,
                End::Closed,
            ));
        }
    }
    for id in [7u8, 10, 11, 12, 18, 19, 21, 99, 255] {
        cases.push(case(
            format!("kind {id} of 5000 bytes"),
            true,
            raw(5000, id, &[0; 64]),
            End::Closed,
        ));
    }
    cases.push(case(
        "an empty extended message",
        true,
        raw(1, 20, &[]),
        End::Closed,
    ));
    cases
}

/// Requests and claims about bytes that do not exist.
fn claims() -> Vec<Case> {
    let block = |piece, begin, length| Block { piece, begin, length };
    let mut cases: Vec<Case> = [
        block(17, 0, 16384),
        block(u32::MAX, 0, 16384),
        block(0, 0, 0),
        block(0, 0, 65537),
        block(0, 1, 65536),
        block(0, 65536, 1),
        block(0, u32::MAX, 1),
        block(0, u32::MAX, u32::MAX),
        block(0, 0, u32::MAX),
        block(0, 0, (128 << 10) + 1),
        block(16, 30_000, 16384),
    ]
    .into_iter()
    .map(|b| {
        let bytes = wire_of(&[Message::Interested, Message::Request(b)]);
        case(format!("{b:?}"), true, bytes, End::Closed)
    })
    .collect();
    for piece in [17, 18, 1 << 31, u32::MAX] {
        cases.push(case(
            format!("have {piece}"),
            true,
            wire_of(&[Message::Have(piece)]),
            End::Closed,
        ));
    }
    for bits in [
        &[0xff, 0xff, 0x81][..],
        &[0xff, 0xff, 0xff],
        &[0xff, 0xff],
        &[0xff; 4],
        &[],
    ] {
        let bytes = wire_of(&[Message::Bitfield(bits)]);
        cases.push(case(format!("bitfield {bits:?}"), true, bytes, End::Closed));
    }
    let data = [0; 100];
    let unasked = Message::Piece {
        piece: 0,
        begin: 0,
        data: &data,
    };
    cases.push(case(
        "a block nobody asked for",
        true,
        wire_of(&[unasked]),
        End::Closed,
    ));
    cases
}

/// Extended messages that are no dictionaries, or strange ones: BEP 10 leaves room, so they end nothing by themselves.
fn extended() -> Vec<Case> {
    let payloads: [&[u8]; 16] = [
        b"",
        b"d",
        b"de",
        b"le",
        b"i1e",
        b"d1:m",
        b"d1:mi5ee",
        b"d1:md11:ut_metadatai-1eee",
        b"d1:md11:ut_metadatai256e6:ut_pexi0eee",
        b"d13:metadata_sizei-1ee",
        b"d13:metadata_sizei9223372036854775807ee",
        b"d1:pi99999999ee",
        b"d6:yourip3:abce",
        b"d4:reqqi-5e1:v70:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaae",
        b"99999999999999999999:",
        b"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
    ];
    let mut cases = Vec::new();
    for id in [0u8, 1, 2, 3] {
        for payload in payloads {
            let bytes = wire_of(&[Message::Extended { id, payload }]);
            let name = format!("extended {id} {}", String::from_utf8_lossy(payload));
            cases.push(case(name, true, bytes, End::Harmless));
        }
    }
    for block in [-1i64, 1, 1 << 31, i64::MAX] {
        let payload = format!("d8:msg_typei0e5:piecei{block}ee").into_bytes();
        let bytes = wire_of(&[Message::Extended {
            id: 2,
            payload: &payload,
        }]);
        cases.push(case(
            format!("metadata block {block}"),
            true,
            bytes,
            End::Harmless,
        ));
    }
    cases
}

/// The same message again and again: each harmless, the flood is not.
fn floods() -> Vec<Case> {
    let introduction = b"d1:md11:ut_metadatai3eee";
    let request = Metadata::Request(0).encode();
    let extended = |id, payload| Message::Extended { id, payload };
    let first = wire_of(&[extended(0, introduction)]);
    let one = Block {
        piece: 0,
        begin: 0,
        length: 16384,
    };
    [
        ("keep-alives", Message::KeepAlive),
        ("interest and none", Message::NotInterested),
        ("haves", Message::Have(0)),
        ("have-alls", Message::HaveAll),
        ("ports", Message::Port(1)),
        ("cancels", Message::Cancel(one)),
        ("requests while choked", Message::Request(one)),
        ("unknown kinds", Message::Unknown(100)),
        ("introductions", extended(0, introduction)),
        ("metadata requests", extended(2, &request)),
        ("peer exchange", extended(1, b"de")),
        ("suggestions", Message::Suggest(0)),
    ]
    .into_iter()
    .map(|(name, message)| {
        let unit = wire_of(&[message]);
        let bytes = [first.clone(), unit.repeat(20_000)].concat();
        case(format!("a flood of {name}"), true, bytes, End::Closed)
    })
    .collect()
}

/// Sends the case and says whether the door closed the connection.
async fn run(house: &House, case: &Case) -> bool {
    let mut wire = house.tcp().await;
    if case.greeted {
        wire.send(hello(house.infohash(), true).encode().to_vec())
            .await
            .expect("sent");
        timeout(SOON, wire.handshake())
            .await
            .expect("in time")
            .expect("an answer");
    }
    let Wire {
        mut read, mut write, ..
    } = wire;
    let bytes = case.bytes.clone();
    // Sends while it reads: a flood whose answers nobody takes would only measure patience.
    let send = async move {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut write, &bytes).await;
        std::future::pending::<()>().await;
    };
    let drain = async {
        let mut sink = tokio::io::sink();
        let _ = tokio::io::copy(&mut read, &mut sink).await;
    };
    let patience = if case.end == End::Closed {
        SOON
    } else {
        Duration::from_millis(300)
    };
    let both = async {
        tokio::select! { () = send => {} () = drain => {} }
    };
    timeout(patience, both).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_get_nothing_break_nothing_and_others_are_served() {
    let house = Arc::new(House::new(Plan {
        config: Config {
            handshakes_max: 200,
            ..Plan::default().config
        },
        ..Plan::default()
    }));
    let cases: Vec<Case> = [
        openings(house.infohash()),
        encrypted(),
        lengths(),
        claims(),
        extended(),
        floods(),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert!(cases.len() >= 150, "{} cases", cases.len());
    let count = cases.len();
    let mut running = tokio::task::JoinSet::new();
    let ahead = Arc::new(tokio::sync::Semaphore::new(60));
    for case in cases {
        let (house, permit) = (house.clone(), ahead.clone().acquire_owned().await.expect("open"));
        #[allow(clippy::disallowed_methods)]
        running.spawn(async move {
            let closed = run(&house, &case).await;
            drop(permit);
            (closed || case.end == End::Harmless)
                .then_some(())
                .ok_or(case.name)
        });
    }
    // In the middle of it, somebody honest.
    let mut leech = house.leech().await;
    leech.unchoked().await;
    assert!(leech.download(&house.sample.info).await == house.sample.content);
    drop(leech);
    let mut open = Vec::new();
    while let Some(ended) = running.join_next().await {
        if let Err(name) = ended.expect("no panic") {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "of {count} cases these stayed open: {open:?}");
    house.is_empty().await;
    println!("{count} hostile connections: all closed or harmless");
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .and_then(|n| n.parse().ok())
        .expect("a number");
    pages * 4096
}

/// Set for the process that measures, so that no other test moves its memory.
const ALONE: &str = "GRANARY_TEST_ALONE";

#[test]
#[allow(clippy::disallowed_methods)]
fn five_hundred_idle_peers_cost_little_and_others_are_served() {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        return runtime.block_on(idle_peers());
    }
    let name = "swarm::listen::tests::hostile::five_hundred_idle_peers_cost_little_and_others_are_served";
    let output = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .expect("this test runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn idle_peers() {
    let house = House::new(Plan {
        settings: Settings {
            caps: Caps {
                global: 600,
                per_torrent: 600,
                per_source: 600,
            },
            ..Settings::default()
        },
        ..Plan::default()
    });
    let mut leech = house.leech().await;
    leech.unchoked().await;
    leech.download(&house.sample.info).await;
    let before = resident();
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(house.leech().await);
    }
    let grown = resident().saturating_sub(before);
    println!("{} KiB per idle peer, both ends counted", grown / 500 / 1024);
    assert!(grown < 16 << 20, "{grown} bytes for 500 idle peers");
    assert!(leech.download(&house.sample.info).await == house.sample.content);
    assert_eq!(house.limits.seats().taken(), 501);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_handshake_ends_and_keeps_nobody_out() {
    let house = House::new(Plan::default());
    let good = hello(house.infohash(), true).encode();
    let mut slow = Vec::new();
    for _ in 0..60 {
        let mut wire = house.tcp().await;
        wire.send(good[..1].to_vec()).await.expect("sent");
        slow.push(wire);
    }
    until("the slow ones to have seats", || {
        house.limits.seats().taken() == 60
    })
    .await;
    let start = std::time::Instant::now();
    let mut leech = house.leech().await;
    leech.unchoked().await;
    assert!(leech.download(&house.sample.info).await == house.sample.content);
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "others waited for the slow ones"
    );
    drop(leech);
    // A byte a second does not help: the deadline is for the whole.
    for round in 1..20 {
        for wire in &mut slow {
            let _ = wire.send(good[round..round + 1].to_vec()).await;
        }
        if house.limits.seats().taken() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    house.is_empty().await;
    assert!(start.elapsed() < Duration::from_secs(16));
}
