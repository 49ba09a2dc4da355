//! What no honest client sends: more than 600 packets, each with what it deserves. None may get an answer that it could not
//! get by asking properly, none may be answered with more bytes than its kind of answer has, and nothing panics.

use std::net::Ipv4Addr;

use super::{scene::Home, *};

fn good() -> Vec<u8> {
    let mut bytes = vec![0; 240];
    bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
    bytes[4..8].copy_from_slice(&[9, 9, 9, 9]);
    bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 7]);
    bytes[236..].copy_from_slice(&MAGIC);
    bytes.extend(
        b"\x35\x01\x01\x3d\x07\x01\x02\x00\x00\x00\x00\x07\x0c\x04host\x37\x05\x01\x03\x06\x0f\xfc\xff",
    );
    bytes
}

/// Bytes, and whether an answer is right.
fn corpus() -> Vec<(String, Vec<u8>, bool)> {
    let mut all = Vec::new();
    let good = good();
    // Cut anywhere: only what still ends behind a whole option with the message type is a message.
    let borders = [243, 252, 258, 265];
    for len in 0..good.len() {
        all.push((
            format!("cut to {len}"),
            good[..len].to_vec(),
            borders.contains(&len),
        ));
    }
    // Every option code with a length that reaches beyond the end.
    for code in 1..=254u8 {
        let mut bytes = good[..243].to_vec();
        bytes.extend([code, 200, 1]);
        all.push((format!("option {code} too long"), bytes, false));
    }
    for op in (0..=255u8).filter(|op| *op != 1).step_by(9) {
        let mut bytes = good.clone();
        bytes[0] = op;
        all.push((format!("op {op}"), bytes, false));
    }
    for hlen in (0..=255u8).filter(|len| *len != 6).step_by(9) {
        let mut bytes = good.clone();
        bytes[2] = hlen;
        all.push((format!("hardware addresses of {hlen}"), bytes, false));
    }
    for kind in (0..=255u8).filter(|kind| !matches!(kind, 1 | 3 | 8)).step_by(5) {
        let mut bytes = good.clone();
        bytes[242] = kind;
        all.push((format!("message type {kind}"), bytes, false));
    }
    // Options whose length RFC 2132 fixes, with another one.
    for code in [50u8, 51, 54, 57, 61, 53, 82] {
        for len in [0u8, 1, 2, 3, 5, 17] {
            let right = match code {
                57 => len == 2,
                61 | 82 => len >= 2,
                _ => false,
            };
            let mut bytes = good[..240].to_vec();
            if code != 53 {
                bytes.extend([53, 1, 1]);
            }
            bytes.extend([code, len]);
            bytes.extend(vec![9; usize::from(len)]);
            bytes.push(255);
            // A message type of one byte 9 is none, too.
            all.push((format!("option {code} of {len} bytes"), bytes, right));
        }
    }
    all.extend(strange_fields(&good));
    all.extend(strange_options(&good));
    all
}

/// Addresses from elsewhere, hardware addresses of nobody or everybody, and another protocol's mark.
fn strange_fields(good: &[u8]) -> Vec<(String, Vec<u8>, bool)> {
    let mut all = Vec::new();
    for giaddr in [
        [8, 8, 8, 8],
        [10, 0, 0, 1],
        [127, 0, 0, 1],
        [255; 4],
        [224, 0, 0, 1],
        [192, 168, 1, 255],
        [192, 168, 1, 2],
    ] {
        let mut bytes = good.to_vec();
        bytes[24..28].copy_from_slice(&giaddr);
        all.push((format!("relay {giaddr:?}"), bytes, false));
    }
    for mac in [[0; 6], [255; 6], [1, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]] {
        let mut bytes = good.to_vec();
        bytes[28..34].copy_from_slice(&mac);
        all.push((format!("hardware address {mac:?}"), bytes, false));
    }
    for magic in 0..4 {
        let mut bytes = good.to_vec();
        bytes[236 + magic] ^= 0x80;
        all.push((format!("magic byte {magic}"), bytes, false));
    }
    all
}

/// Options that lie about where others are, and packets of odd lengths.
fn strange_options(good: &[u8]) -> Vec<(String, Vec<u8>, bool)> {
    let mut all = Vec::new();
    for overload in [0u8, 4, 255] {
        let mut bytes = good[..243].to_vec();
        bytes.extend([52, 1, overload, 255]);
        all.push((format!("overload {overload}"), bytes, false));
    }
    for (field, at) in [(1u8, 108), (2, 44)] {
        let mut bytes = good[..243].to_vec();
        bytes.extend([52, 1, field, 255]);
        bytes[at] = 12;
        bytes[at + 1] = 200;
        all.push((format!("overloaded field {field} broken"), bytes, false));
    }
    let mut pieces = good[..243].to_vec();
    pieces.extend([12, 1, b'a'].repeat(1_280));
    all.push(("a host name in 1,280 pieces".into(), pieces, false));
    all.push((
        "nothing but padding".into(),
        [&good[..240], &[0; 300][..]].concat(),
        false,
    ));
    all.push(("too long".into(), [good, &[0; 4_096][..]].concat(), false));
    all.push(("long padding".into(), [good, &[0; 1_000][..]].concat(), true));
    all
}

#[test]
fn more_than_600_bad_packets_get_what_they_deserve() {
    let corpus = corpus();
    assert!(corpus.len() >= 600, "{}", corpus.len());
    let wrong: Vec<_> = corpus
        .iter()
        .filter(|(_, bytes, right)| {
            let home = Home::new();
            let answer = Packet::read(bytes).ok().and_then(|packet| {
                decide(
                    &packet,
                    Ipv4Addr::UNSPECIFIED,
                    &home.table,
                    &home.serving,
                    home.now,
                )
                .answer
                .ok()
            });
            assert!(answer.as_ref().is_none_or(|answer| answer.bytes.len() <= 548));
            answer.is_some() != *right
        })
        .map(|(what, ..)| what)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn no_source_outside_the_lan_is_answered() {
    let packet = Packet::read(&good()).expect("it is good");
    let home = Home::new();
    for source in [
        "8.8.8.8",
        "10.0.0.1",
        "192.168.2.1",
        "127.0.0.1",
        "255.255.255.255",
        "192.168.1.255",
    ] {
        let source = source.parse().expect("an address");
        let decision = decide(&packet, source, &home.table, &home.serving, home.now);
        assert_eq!(
            (decision.answer, decision.change),
            (Err(Why::Outside), Change::None),
            "{source}"
        );
    }
}
