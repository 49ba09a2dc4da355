use proptest::prelude::*;

use super::*;

const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x53];

fn addr(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

fn ours(stays: bool) -> Vec<u8> {
    Ours {
        mac: Some(MAC),
        resolver: addr("fd12:3456:789a:1::53"),
        search: &["home.arpa"],
        on_link: Some(addr("fd12:3456:789a:1::")),
        stays,
    }
    .encode()
}

#[test]
fn our_advertisement_has_exactly_these_bytes() {
    let expected = concat!(
        "8600000000000000000000000000000",
        "0",
        "0101020000000053",
        "03044080000002580000025800000000fd123456789a00010000000000000000",
        "1903000000000258fd123456789a00010000000000000053",
        "1f0300000000025804686f6d6504617270610000000000",
        "00"
    );
    assert_eq!(data_encoding::HEXLOWER.encode(&ours(true)), expected);
}

#[test]
fn the_last_words_take_back_all_that_was_said() {
    let (said, taken_back) = (
        heard(&ours(true)).expect("ours"),
        heard(&ours(false)).expect("ours"),
    );
    assert_eq!(said.dns, [addr("fd12:3456:789a:1::53")]);
    assert_eq!(said.search, ["home.arpa"]);
    assert_eq!(said.prefixes, [(addr("fd12:3456:789a:1::"), 64)]);
    assert_eq!(taken_back, Heard::default());
    assert_eq!(ours(true).len(), ours(false).len());
}

#[test]
fn the_box_never_offers_itself_as_router() {
    for stays in [true, false] {
        let bytes = ours(stays);
        assert_eq!(
            bytes[4..8],
            [0, 0, 0, 0],
            "hop limit, flags and preference, lifetime"
        );
        assert_eq!(heard(&bytes).map(|heard| heard.lifetime_secs), Some(0));
    }
}

#[test]
fn a_name_that_is_none_is_left_out() {
    for search in [&["a..b"][..], &["."], &[""], &[]] {
        let bytes = Ours {
            mac: None,
            resolver: addr("fe80::1"),
            search,
            on_link: None,
            stays: true,
        }
        .encode();
        assert_eq!(bytes.len(), 16 + 24);
    }
}

/// Captured from radvd 2.19: a router with a prefix, a resolver and two search domains.
const RADVD: &str = "86004f4140000708000000000000000003\
    0440c0000151800000384000000000fd00000700000000000000000000000019030000000002\
    58fd0000070000000000000000000000011f0300000000025803\
    6c616e00046c616e3204686f6d65000101020000000001";

fn bytes(hex: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex")
}

#[test]
fn a_routers_advertisement_is_read() {
    let read = heard(&bytes(RADVD)).expect("well made");
    assert_eq!(
        read,
        Heard {
            lifetime_secs: 1800,
            managed: false,
            other: false,
            dns: vec![addr("fd00:7::1")],
            search: vec!["lan".into(), "lan2.home".into()],
            prefixes: vec![(addr("fd00:7::"), 64)],
        }
    );
}

#[test]
fn packets_that_break_a_rule_are_ignored() {
    let good = bytes(RADVD);
    let broken = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        heard(&bad)
    };
    assert_eq!(heard(&[]), None);
    assert_eq!(broken(0, 133), None, "another type");
    assert_eq!(broken(1, 1), None, "a code");
    assert_eq!(broken(17, 0), None, "an option of length 0");
    assert_eq!(broken(17, 255), None, "an option longer than the packet");
    for cut in 0..16 {
        assert_eq!(heard(&good[..cut]), None, "cut after {cut} bytes");
    }
    // The options end only at some lengths.
    let ends = [16, 48, 72, 96, good.len()];
    for cut in 16..=good.len() {
        assert_eq!(
            heard(&good[..cut]).is_some(),
            ends.contains(&cut),
            "cut after {cut} bytes"
        );
    }
}

#[test]
fn odd_names_addresses_and_lengths_inside_options_are_left_out() {
    let with = |option: &[u8]| {
        let mut packet = bytes(RADVD)[..16].to_vec();
        packet.extend(option);
        heard(&packet).expect("the frame is right")
    };
    let empty = Heard {
        lifetime_secs: 1800,
        ..Heard::default()
    };
    assert_eq!(with(&[25, 1, 0, 0, 0, 0, 1, 0]), empty, "no address");
    assert_eq!(with(&[31, 1, 0, 0, 0, 0, 1, 0]), empty, "no name");
    assert_eq!(
        with(&[31, 2, 0, 0, 0, 0, 1, 0, 3, b'<', b'b', b'>', 0, 0, 0, 0]),
        empty,
        "no plain text"
    );
    assert_eq!(
        with(&[31, 2, 0, 0, 0, 0, 1, 0, 9, b'a', b'b', b'c', 0, 0, 0, 0]),
        empty,
        "a label beyond the end"
    );
    assert_eq!(
        with(&[31, 2, 0, 0, 0, 0, 1, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0]),
        empty,
        "a pointer"
    );
    assert_eq!(
        with(&[3, 1, 129, 0, 0, 0, 1, 0]),
        empty,
        "a prefix option without a prefix"
    );
    let many: Vec<u8> = [25, 127, 0, 0, 0, 0, 1, 0]
        .into_iter()
        .chain((0..63u8).flat_map(|n| addr(&format!("fd00::{n:x}")).octets()))
        .collect();
    assert_eq!(with(&many).dns.len(), 8, "a bound");
}

#[test]
fn a_solicitation_is_answered_only_when_it_is_one() {
    let from = addr("fe80::9");
    let plain = [133, 0, 0, 0, 0, 0, 0, 0];
    let with_mac = [133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1];
    assert!(is_solicitation(&plain, from) && is_solicitation(&with_mac, from));
    assert!(is_solicitation(&plain, Ipv6Addr::UNSPECIFIED));
    assert!(!is_solicitation(&with_mac, Ipv6Addr::UNSPECIFIED));
    assert!(!is_solicitation(&with_mac[..12], from) && !is_solicitation(&plain[..7], from));
    assert!(!is_solicitation(&[134, 0, 0, 0, 0, 0, 0, 0], from));
    assert!(!is_solicitation(&[133, 9, 0, 0, 0, 0, 0, 0], from));
}

#[test]
fn the_first_three_come_fast_and_then_one_in_three_minutes() {
    let mut pace = Pace::start(0);
    let mut times = Vec::new();
    for _ in 0..6 {
        times.push(pace.due());
        pace.sent(pace.due(), 49_999);
    }
    assert_eq!(times, [0, 16_000, 32_000, 231_999, 431_998, 631_997]);
    assert_eq!(LIFETIME_SECS, 600);
}

#[test]
fn however_many_ask_one_answer_in_three_seconds_is_sent() {
    let mut pace = Pace::start(0);
    let mut sent = 0;
    for now in 0..60_000 {
        pace.asked(now, now as u32);
        if now >= pace.due() {
            pace.sent(now, 0);
            sent += 1;
        }
    }
    assert_eq!(sent, 20);
}

#[test]
fn who_asks_after_a_silence_is_answered_within_half_a_second() {
    let mut pace = Pace::start(0);
    for now in [0, 20_000, 40_000] {
        pace.sent(now, 0);
    }
    pace.asked(100_000, 499);
    assert_eq!(pace.due(), 100_499);
    pace.asked(100_100, 0);
    assert_eq!(pace.due(), 100_100, "a second one may only bring it forward");
    pace.sent(100_100, 0);
    pace.changed(101_000);
    assert_eq!(pace.due(), 103_100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_read_without_panic(packet: Vec<u8>) {
        let _ = heard(&packet);
        let _ = is_solicitation(&packet, Ipv6Addr::UNSPECIFIED);
    }

    /// At least 300 damaged packets, each near a good one.
    #[test]
    fn damaged_advertisements_stay_within_their_bounds(
        hits in proptest::collection::vec((0usize..104, any::<u8>()), 1..6),
        cut in 16usize..=104,
    ) {
        let mut packet = bytes(RADVD);
        for (at, byte) in hits {
            if let Some(place) = packet.get_mut(at) { *place = byte; }
        }
        packet.truncate(cut);
        if let Some(heard) = heard(&packet) {
            prop_assert!(heard.dns.len() <= 8 && heard.search.len() <= 8 && heard.prefixes.len() <= 8);
            for name in heard.search {
                prop_assert!(name.len() <= 253 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
            }
        }
    }
}
