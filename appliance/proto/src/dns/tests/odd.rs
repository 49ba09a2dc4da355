//! Questions that no stub resolver of a browser sends, and bytes as they stand on the wire.

use super::{
    super::{
        super::{
            edns::Cookie,
            packets::{question, read, show, with_opt},
            query,
        },
        *,
    },
    FACTS, answer, answer_of, zone,
};

#[test]
fn odd_questions_get_short_answers() {
    assert_eq!(
        answer("example.com", rtype::ANY),
        "rcode 0 rd ra; an example.com 13 3600 9 bytes"
    );
    for qtype in [252, 251, 250, 249, 253, 254] {
        assert_eq!(answer("example.com", qtype), "rcode 5 rd ra", "{qtype}");
    }
    for class in [3, 4, 254, 255] {
        let mut packet = question("version.bind", rtype::TXT);
        let at = packet.len() - 1;
        packet[at] = class;
        assert_eq!(
            answer_of(&packet, &zone(), Mark::No),
            "rcode 5 rd ra",
            "class {class}"
        );
    }
    // Without the wish for recursion only own names are told.
    let mut packet = question("example.com", rtype::A);
    packet[2] = 0;
    assert_eq!(answer_of(&packet, &zone(), Mark::No), "rcode 5 ra");
    let mut packet = question("x.btlink", rtype::A);
    packet[2] = 0;
    assert_eq!(
        answer_of(&packet, &zone(), Mark::No),
        "rcode 0 aa ra; an x.btlink 1 60 192.168.1.2"
    );
}

#[test]
fn a_later_edns_version_is_told_ours() {
    let packet = with_opt(question("example.com", rtype::A), 4096, 1, 0x80, &[]);
    let query = read(&packet);
    let zone = zone();
    let decision = decide(&query, &zone, &FACTS, |_| false);
    assert_eq!(decision, Decision::Plain(Rcode::BadVers));
    let known = Known {
        facts: FACTS,
        mark: Mark::No,
        blocked_is_nxdomain: false,
    };
    let mut out = Vec::new();
    write(decision, &query, &known, &Way::udp(&query), &mut out);
    let opt = &out[out.len() - 11..];
    // Root, OPT, 1232, upper bits of code 16, version 0, DO as asked, no options.
    assert_eq!(opt, [0, 0, 41, 4, 208, 1, 0, 128, 0, 0, 0]);
    assert_eq!(out[3] & 0xf, 0);
}

/// Bytes that browsers, phones and resolvers of the home read.
#[test]
fn the_answer_about_a_site_is_these_bytes() {
    let options = b"\0\x0a\0\x08clientck";
    let packet = with_opt(question("Ab.btlink", rtype::A), 1232, 0, 0x80, options);
    let query = read(&packet);
    let zone = zone();
    let decision = decide(&query, &zone, &FACTS, |_| false);
    let known = Known {
        facts: FACTS,
        mark: Mark::No,
        blocked_is_nxdomain: false,
    };
    let cookie = query.edns.as_ref().and_then(|edns| edns.cookie);
    assert_eq!(cookie.map(|cookie: Cookie| cookie.client), Some(*b"clientck"));
    let way = Way {
        cookie: Some(*b"clientck\x01\0\0\0timehashhash"),
        ..Way::udp(&query)
    };
    let mut out = Vec::new();
    write(decision, &query, &known, &way, &mut out);
    let expected = b"\x12\x34\x85\x80\0\x01\0\x01\0\0\0\x01\x02Ab\x06btlink\0\0\x01\0\x01\
        \xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\xa8\x01\x02\
        \0\0\x29\x04\xd0\0\0\x80\0\0\x1c\0\x0a\0\x18clientck\x01\0\0\0timehashhash";
    assert_eq!(
        out.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

#[test]
fn answers_over_tls_are_padded_when_the_question_was() {
    let packet = with_opt(
        question("x.btlink", rtype::A),
        1232,
        0,
        0,
        b"\0\x0c\0\0\0\x0b\0\0",
    );
    let query = read(&packet);
    let zone = zone();
    let decision = decide(&query, &zone, &FACTS, |_| false);
    let known = Known {
        facts: FACTS,
        mark: Mark::No,
        blocked_is_nxdomain: false,
    };
    let mut out = Vec::new();
    write(decision, &query, &known, &Way::stream(true, Some(20)), &mut out);
    assert_eq!(out.len(), 468);
    show(&out);
    write(decision, &query, &known, &Way::stream(false, Some(20)), &mut out);
    assert!(out.ends_with(b"\0\x0b\0\x02\0\xc8"), "200 tenths of a second");
    // In clear text padding is waste.
    assert!(out.len() < 100);
}

/// Every packet gets one answer at most, and a small one; nothing panics.
#[test]
fn malformed_packets_are_harmless() {
    let zone = zone();
    let mut seeds = vec![
        question("x.btlink", 1),
        question("www.example.com.q.btlink", 1),
        question("1.1.168.192.in-addr.arpa", 12),
        question("example.com", 255),
        question("x.ads", 1),
        with_opt(
            question("wpad.example.com", 28),
            4096,
            0,
            0x80,
            b"\0\x0a\0\x08clientck\0\x0c\0\x04\0\0\0\0",
        ),
    ];
    seeds.push(question(&"a.".repeat(120), 1));
    let (mut count, mut random) = (0u32, 0x2545_f491_4f6c_dd1d_u64);
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize
    };
    for seed in &seeds {
        for len in 0..=seed.len() {
            check(&seed[..len], &zone);
            count += 1;
        }
        for _ in 0..2_000 {
            let mut packet = seed.clone();
            for _ in 0..1 + next() % 4 {
                let at = next() % packet.len();
                packet[at] = next() as u8;
            }
            if next() % 4 == 0 {
                packet.extend_from_slice(&seed[..next() % seed.len()]);
            }
            check(&packet, &zone);
            count += 1;
        }
    }
    assert!(count > 10_000);
}

fn check(packet: &[u8], zone: &Zone) {
    let mut out = Vec::new();
    match query::read(packet) {
        Err(query::Fault::Silent) => {}
        Err(query::Fault::Answer(rcode)) => {
            query::write_fault(packet, rcode, &mut out);
            assert!(out.len() <= packet.len());
        }
        Ok(query) => {
            let decision = decide(&query, zone, &FACTS, |name| name.ends_with(b"\x03ads\0"));
            let known = Known {
                facts: FACTS,
                mark: Mark::Unknown,
                blocked_is_nxdomain: false,
            };
            if write(decision, &query, &known, &Way::udp(&query), &mut out) {
                assert!(out.len() <= query.udp_limit() && out.len() <= packet.len() + 512);
                show(&out);
            }
        }
    }
}
