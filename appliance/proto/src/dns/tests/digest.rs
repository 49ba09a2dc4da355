use super::super::{
    packets::{Rr, question, response, show, soa, wire},
    rtype::{A, AAAA, HTTPS, MX, NSEC, RRSIG},
};
use super::*;

const OK: u16 = 0x8180;
const NX: u16 = 0x8183;

fn digested(
    name: &str,
    qtype: u16,
    flags: u16,
    sections: [&[Rr<'_>]; 3],
    dnssec_ok: bool,
) -> Result<Digest, Malformed> {
    let question = question(name, qtype);
    let name = wire(name);
    let asked = Asked {
        name: &name,
        qtype,
        qclass: 1,
        dnssec_ok,
        public: true,
    };
    digest(&response(&question, flags, sections), &asked)
}

fn shown(name: &str, qtype: u16, flags: u16, sections: [&[Rr<'_>]; 3]) -> (String, u32) {
    let digest = digested(name, qtype, flags, sections, false).expect("it is good");
    (show(&digest.image), digest.ttl_secs)
}

fn a(name: &str, ttl: u32, last: u8) -> Rr<'_> {
    Rr(name, A, ttl, vec![192, 0, 2, last])
}

#[test]
fn the_chain_is_kept_and_nothing_else() {
    let answer = [
        a("other.example", 5, 66),
        Rr("www.example", rtype::CNAME, 300, wire("cdn.example.net")),
        a("cdn.example.net", 90, 1),
        a("cdn.example.net", 60, 2),
        Rr("cdn.example.net", AAAA, 10, vec![0; 16]),
    ];
    let authority = [Rr("example", rtype::NS, 5, wire("ns.evil.example"))];
    let extra = [
        a("ns.evil.example", 5, 66),
        Rr(".", rtype::OPT, 0, b"\0\x08\0\0".to_vec()),
    ];
    let (text, ttl) = shown(
        "www.example",
        A,
        OK | bits::AA | bits::AD | 0x0050,
        [&answer, &authority, &extra],
    );
    assert_eq!(
        text,
        "rcode 0 ra ad; an www.example 5 300 cdn.example.net; an cdn.example.net 1 90 192.0.2.1; \
         an cdn.example.net 1 60 192.0.2.2"
    );
    assert_eq!(ttl, 60);
}

#[test]
fn owners_are_pointers_so_that_answers_stay_small() {
    let answer: Vec<_> = (0..4).map(|n| a("www.example.org", 60, n)).collect();
    let digest = digested("www.example.org", A, OK, [&answer, &[], &[]], false).expect("it is good");
    assert_eq!(digest.image.len(), 12 + 21 + 4 * 16);
    assert_eq!(digest.ttls, [39, 55, 71, 87]);
}

#[test]
fn what_is_not_there_counts_as_long_as_its_zone_says() {
    let zone = [Rr("example", rtype::SOA, 900, soa(300))];
    let (text, ttl) = shown("no.example", A, NX, [&[], &zone, &[]]);
    assert_eq!(
        (text.as_str(), ttl),
        ("rcode 3 ra; au example 6 300 46 bytes", 300)
    );
    let (_, ttl) = shown(
        "no.example",
        A,
        OK,
        [&[], &[Rr("example", rtype::SOA, 86_400, soa(86_400))], &[]],
    );
    assert_eq!(ttl, 3600);
    // Of another zone, or none at all.
    let (text, ttl) = shown(
        "no.example",
        A,
        NX,
        [&[], &[Rr("other", rtype::SOA, 900, soa(300))], &[]],
    );
    assert_eq!((text.as_str(), ttl), ("rcode 3 ra", 5));
    // The alias exists, its target does not.
    let alias = [Rr("www.example", rtype::CNAME, 30, wire("gone.example"))];
    let (text, ttl) = shown("www.example", A, NX, [&alias, &zone, &[]]);
    assert_eq!(
        text,
        "rcode 3 ra; an www.example 5 30 gone.example; au example 6 300 46 bytes"
    );
    assert_eq!(ttl, 30);
}

#[test]
fn ttls_are_bounded() {
    let (text, ttl) = shown("a.example", A, OK, [&[a("a.example", 1 << 30, 1)], &[], &[]]);
    assert_eq!(
        (text.as_str(), ttl),
        ("rcode 0 ra; an a.example 1 86400 192.0.2.1", 86_400)
    );
    let (_, ttl) = shown("a.example", A, OK, [&[a("a.example", 1 << 31, 1)], &[], &[]]);
    assert_eq!(ttl, 0);
}

#[test]
fn dnssec_records_come_only_when_asked_for() {
    let signature = |covers: u16| {
        let mut data = covers.to_be_bytes().to_vec();
        data.extend([0; 30]);
        data
    };
    let answer = [a("a.example", 60, 1), Rr("a.example", RRSIG, 60, signature(A))];
    let proof = [
        Rr("example", rtype::SOA, 60, soa(60)),
        Rr("example", RRSIG, 60, signature(rtype::SOA)),
        Rr("b.example", NSEC, 60, wire("c.example")),
        Rr("b.example", RRSIG, 60, signature(NSEC)),
        Rr("example", rtype::NS, 60, wire("ns.example")),
    ];
    let with = |dnssec_ok| {
        let digest = digested("a.example", A, OK, [&answer, &proof, &[]], dnssec_ok).expect("good");
        show(&digest.image)
    };
    assert_eq!(with(false), "rcode 0 ra; an a.example 1 60 192.0.2.1");
    assert_eq!(
        with(true),
        "rcode 0 ra; an a.example 1 60 192.0.2.1; an a.example 46 60 32 bytes; au example 46 60 32 bytes; \
         au b.example 47 60 11 bytes; au b.example 46 60 32 bytes"
    );
    let none = digested("no.example", A, NX, [&[], &proof, &[]], true).expect("good");
    assert_eq!(
        show(&none.image),
        "rcode 3 ra; au example 6 60 46 bytes; au example 46 60 32 bytes; au b.example 47 60 11 bytes; \
         au b.example 46 60 32 bytes"
    );
}

#[test]
fn a_dname_leads_on() {
    let answer = [
        Rr("example", rtype::DNAME, 60, wire("other.test")),
        Rr("a.example", rtype::CNAME, 60, wire("a.other.test")),
        a("a.other.test", 60, 1),
    ];
    let (text, _) = shown("a.example", A, OK, [&answer, &[], &[]]);
    assert!(text.ends_with("an a.other.test 1 60 192.0.2.1"), "{text}");
    assert!(text.contains("an example 39"), "{text}");
}

#[test]
fn addresses_of_the_home_are_withheld() {
    let inside = Rr("evil.example", A, 60, vec![192, 168, 1, 1]);
    let alias = [
        Rr("evil.example", rtype::CNAME, 60, wire("x.example")),
        a("x.example", 60, 1),
        Rr("x.example", A, 60, vec![127, 0, 0, 1]),
    ];
    let mut hint = b"\0\x01\0\0\x04\0\x08".to_vec();
    hint.extend([192, 0, 2, 1, 10, 0, 0, 1]);
    let mut hint6 = b"\0\x01\x03svc\0\0\x01\0\x03\x02h2\0\x06\0\x10".to_vec();
    hint6.extend(std::net::Ipv6Addr::LOCALHOST.octets());
    let cases: [(u16, &[Rr<'_>]); 4] = [
        (A, &[inside]),
        (A, &alias),
        (HTTPS, &[Rr("evil.example", HTTPS, 60, hint)]),
        (HTTPS, &[Rr("evil.example", HTTPS, 60, hint6)]),
    ];
    for (qtype, answer) in cases {
        let digest = digested("evil.example", qtype, OK, [answer, &[], &[]], false).expect("good");
        assert_eq!(show(&digest.image), "rcode 0 ra; au evil.example 6 60 38 bytes");
        assert_eq!((digest.why, digest.ttl_secs), (Some(Why::Filtered), 60));
    }
    // What is behind no name of the chain is left out, and does no harm.
    let extra = [Rr("x.example", A, 60, vec![10, 0, 0, 1])];
    let (text, _) = shown("good.example", A, OK, [&[a("good.example", 60, 1)], &[], &extra]);
    assert_eq!(text, "rcode 0 ra; an good.example 1 60 192.0.2.1");
}

#[test]
fn compressed_names_in_data_are_written_out() {
    let mut packet = question("example.org", MX);
    packet[2..4].copy_from_slice(&OK.to_be_bytes());
    packet[7] = 1;
    // "mail." and a pointer to the question's name.
    packet.extend(b"\xc0\x0c\0\x0f\0\x01\0\0\0\x3c\0\x09\0\x05\x04Mail\xc0\x0c");
    let asked = Asked {
        name: &wire("example.org"),
        qtype: MX,
        qclass: 1,
        dnssec_ok: false,
        public: true,
    };
    let digest = digest(&packet, &asked).expect("good");
    assert!(digest.image.ends_with(b"\0\x05\x04Mail\x07example\x03org\0"));
}

#[test]
fn what_is_no_answer_is_refused() {
    let good = [a("a.example", 60, 1)];
    let of = |flags| digested("a.example", A, flags, [&good, &[], &[]], false).is_ok();
    assert!(of(OK) && of(NX));
    for rcode in [1, 2, 4, 5, 9, 15] {
        assert!(!of(0x8180 | rcode), "{rcode}");
    }
    assert!(!of(0x0180), "a question");
    let packet = response(
        &question("b.example", A),
        OK,
        [&[a("b.example", 60, 1)], &[], &[]],
    );
    let name = wire("a.example");
    let asked = Asked {
        name: &name,
        qtype: A,
        qclass: 1,
        dnssec_ok: false,
        public: true,
    };
    assert_eq!(digest(&packet, &asked), Err(Malformed));
    // Loops and pointers that lead forwards end.
    let mut packet = response(&question("a.example", A), OK, [&good, &[], &[]]);
    let at = question("a.example", A).len();
    for pointer in [0xc000 | at as u16, 0xc0ff, 0xffff] {
        packet[at..at + 2].copy_from_slice(&pointer.to_be_bytes());
        assert_eq!(digest(&packet, &asked), Err(Malformed));
    }
    let looped = [
        Rr("a.example", rtype::CNAME, 60, wire("b.example")),
        Rr("b.example", rtype::CNAME, 60, wire("a.example")),
    ];
    let (text, _) = shown("a.example", A, OK, [&looped, &[], &[]]);
    assert_eq!(
        text,
        "rcode 0 ra; an a.example 5 60 b.example; an b.example 5 60 a.example"
    );
}

#[test]
fn answers_cut_or_changed_anywhere_are_harmless() {
    let answer = [
        Rr("www.example", rtype::CNAME, 300, wire("cdn.example.net")),
        a("cdn.example.net", 90, 1),
        Rr(
            "cdn.example.net",
            HTTPS,
            90,
            b"\0\x01\0\0\x04\0\x04\xc0\0\x02\x01".to_vec(),
        ),
    ];
    let packet = response(
        &question("www.example", A),
        OK,
        [&answer, &[Rr("example", rtype::SOA, 60, soa(60))], &[]],
    );
    let name = wire("www.example");
    let asked = Asked {
        name: &name,
        qtype: A,
        qclass: 1,
        dnssec_ok: true,
        public: true,
    };
    for len in 0..packet.len() {
        assert_eq!(digest(&packet[..len], &asked), Err(Malformed), "{len}");
    }
    for at in 0..packet.len() {
        for byte in [0, 1, 0x3f, 0x40, 0xc0, 0xff, packet[at] ^ 1] {
            let mut changed = packet.clone();
            changed[at] = byte;
            if let Ok(digest) = digest(&changed, &asked) {
                show_all(&digest);
            }
        }
    }
}

/// What is kept can always be read again, and its TTLs stand where they are said to.
fn show_all(digest: &Digest) {
    let message = Message::read(&digest.image).expect("ours can be read");
    assert_eq!(message.records.len(), digest.ttls.len());
    for (record, at) in message.records.iter().zip(&digest.ttls) {
        assert_eq!(record.data.start, usize::from(*at) + 6);
    }
}
