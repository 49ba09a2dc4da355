use super::super::{
    packets::{question, read, show, with_opt},
    zone::Choices,
};
use super::*;

fn zone() -> Zone {
    zone_of(|_| {})
}

fn zone_of(change: impl FnOnce(&mut Choices)) -> Zone {
    let addr = |text: &str| text.parse().expect("an address");
    let mut choices = Choices {
        host: "granary".into(),
        domain: "home.arpa".into(),
        hosts: vec![
            ("nas".into(), addr("192.168.1.9")),
            ("nas".into(), addr("fd00::9")),
            ("cam.example.net".into(), addr("192.168.1.8")),
            ("a.b".into(), addr("192.168.1.3")),
            ("deep.under.home.arpa".into(), addr("192.168.1.4")),
        ],
        ..Choices::default()
    };
    change(&mut choices);
    let learned = [
        ("laptop".to_string(), addr("192.168.1.77")),
        ("nas".to_string(), addr("192.168.1.66")),
        ("wpad".to_string(), addr("192.168.1.66")),
        ("granary".to_string(), addr("192.168.1.66")),
        ("x.y".to_string(), addr("192.168.1.66")),
        (String::new(), addr("192.168.1.66")),
    ];
    Zone::new(&choices, &learned)
}

const FACTS: Facts = Facts {
    v4: Some(Ipv4Addr::new(192, 168, 1, 2)),
    v6: Some(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2)),
};

fn answer_of(packet: &[u8], zone: &Zone, mark: Mark) -> String {
    let query = read(packet);
    let decision = decide(&query, zone, &FACTS, |name| name.ends_with(b"\x03ads\0"));
    let known = Known {
        facts: FACTS,
        mark,
        blocked_is_nxdomain: false,
    };
    let mut out = Vec::new();
    match write(decision, &query, &known, &Way::udp(&query), &mut out) {
        true => show(&out),
        false => "forward".into(),
    }
}

fn answer(text: &str, qtype: u16) -> String {
    answer_of(&question(text, qtype), &zone(), Mark::No)
}

#[test]
fn names_of_ours_are_answered_from_memory() {
    const A: u16 = rtype::A;
    let cases = [
        ("btlink", A, "rcode 0 aa rd ra; an btlink 1 60 192.168.1.2"),
        (
            "x.y.BTLINK",
            A,
            "rcode 0 aa rd ra; an x.y.BTLINK 1 60 192.168.1.2",
        ),
        (
            "x.btlink",
            rtype::AAAA,
            "rcode 0 aa rd ra; an x.btlink 28 60 fd00::2",
        ),
        (
            "x.btlink",
            rtype::HTTPS,
            "rcode 0 aa rd ra; au btlink 6 60 38 bytes",
        ),
        (
            "x.btlink",
            rtype::SVCB,
            "rcode 0 aa rd ra; au btlink 6 60 38 bytes",
        ),
        ("x.btlink", rtype::MX, "rcode 0 aa rd ra; au btlink 6 60 38 bytes"),
        ("x.btlink", rtype::DS, "rcode 0 aa rd ra; au btlink 6 60 38 bytes"),
        (
            "wpad.btlink",
            A,
            "rcode 0 aa rd ra; an wpad.btlink 1 60 192.168.1.2",
        ),
        (
            "wpad.home.arpa",
            A,
            "rcode 0 aa rd ra; an wpad.home.arpa 1 60 192.168.1.2",
        ),
        ("WPAD", A, "rcode 0 aa rd ra; an WPAD 1 60 192.168.1.2"),
        ("wpad", rtype::TXT, "rcode 0 aa rd ra; au wpad 6 60 38 bytes"),
        (
            "wpad.example.com",
            A,
            "rcode 3 aa rd ra; au wpad.example.com 6 60 38 bytes",
        ),
        ("wpad.com", A, "rcode 3 aa rd ra; au wpad.com 6 60 38 bytes"),
        (
            "granary.home.arpa",
            A,
            "rcode 0 aa rd ra; an granary.home.arpa 1 60 192.168.1.2",
        ),
        ("granary", A, "rcode 0 aa rd ra; an granary 1 60 192.168.1.2"),
        (
            "nas.home.arpa",
            A,
            "rcode 0 aa rd ra; an nas.home.arpa 1 60 192.168.1.9",
        ),
        ("nas", rtype::AAAA, "rcode 0 aa rd ra; an nas 28 60 fd00::9"),
        (
            "cam.example.net",
            A,
            "rcode 0 aa rd ra; an cam.example.net 1 60 192.168.1.8",
        ),
        (
            "cam.example.net",
            rtype::AAAA,
            "rcode 0 aa rd ra; au cam.example.net 6 60 38 bytes",
        ),
        ("a.b", A, "rcode 0 aa rd ra; an a.b 1 60 192.168.1.3"),
    ];
    for (name, qtype, expected) in cases {
        assert_eq!(answer(name, qtype), expected, "{name} {qtype}");
    }
}

#[test]
fn names_of_the_home_are_answered_from_memory() {
    const A: u16 = rtype::A;
    let cases = [
        (
            "laptop.home.arpa",
            A,
            "rcode 0 aa rd ra; an laptop.home.arpa 1 60 192.168.1.77",
        ),
        ("x.y.home.arpa", A, "rcode 3 aa rd ra; au home.arpa 6 60 38 bytes"),
        (
            "under.home.arpa",
            A,
            "rcode 0 aa rd ra; au home.arpa 6 60 38 bytes",
        ),
        ("home.arpa", A, "rcode 0 aa rd ra; au home.arpa 6 60 38 bytes"),
    ];
    for (name, qtype, expected) in cases {
        assert_eq!(answer(name, qtype), expected, "{name} {qtype}");
    }
}

#[test]
fn special_names_never_leave_the_home() {
    const NXDOMAIN: [&str; 27] = [
        "x.invalid",
        "x.test",
        "printer.local",
        "x.onion",
        "x.internal",
        "x.alt",
        "someone.home.arpa",
        "printer",
        "1.0.0.10.in-addr.arpa",
        "5.1.168.192.in-addr.arpa",
        "1.0.16.172.in-addr.arpa",
        "1.0.31.172.in-addr.arpa",
        "1.254.169.in-addr.arpa",
        "9.9.9.127.in-addr.arpa",
        "0.0.0.0.in-addr.arpa",
        "1.2.0.192.in-addr.arpa",
        "1.100.51.198.in-addr.arpa",
        "1.113.0.203.in-addr.arpa",
        "1.0.64.100.in-addr.arpa",
        "1.0.127.100.in-addr.arpa",
        "lb._dns-sd._udp.0.1.168.192.in-addr.arpa",
        "1.d.f.ip6.arpa",
        "1.c.f.ip6.arpa",
        "1.0.8.e.f.ip6.arpa",
        "1.b.e.f.ip6.arpa",
        "1.8.b.d.0.1.0.0.2.ip6.arpa",
        "x.255.255.255.255.in-addr.arpa",
    ];
    for name in NXDOMAIN {
        let got = answer(name, rtype::PTR);
        assert!(got.starts_with("rcode 3 aa rd ra; au "), "{name}: {got}");
    }
    let nodata = [
        "invalid",
        "test",
        "onion",
        "10.in-addr.arpa",
        "168.192.in-addr.arpa",
        "16.172.in-addr.arpa",
        "d.f.ip6.arpa",
        "255.255.255.255.in-addr.arpa",
        "resolver.arpa",
        "_dns.resolver.arpa",
        "x.y.resolver.arpa",
    ];
    for name in nodata {
        let got = answer(name, rtype::SVCB);
        assert!(got.starts_with("rcode 0 aa rd ra; au "), "{name}: {got}");
    }
    assert_eq!(
        answer("localhost", rtype::A),
        "rcode 0 aa rd ra; an localhost 1 60 127.0.0.1"
    );
    assert_eq!(
        answer("x.localhost", rtype::AAAA),
        "rcode 0 aa rd ra; an x.localhost 28 60 ::1"
    );
    assert_eq!(
        answer("x.localhost", rtype::TXT),
        "rcode 0 aa rd ra; au localhost 6 60 38 bytes"
    );
}

#[test]
fn names_beside_the_special_ones_are_forwarded() {
    let names = [
        "example.com",
        "xbtlink",
        "x.notbtlink.com",
        "btlink.com",
        "wpadding.com",
        "x.wpad.com",
        "home.arpa.com",
        "1.0.32.172.in-addr.arpa",
        "1.0.15.172.in-addr.arpa",
        "1.0.63.100.in-addr.arpa",
        "8.8.8.8.in-addr.arpa",
        "1.0.128.100.in-addr.arpa",
        "1.253.169.in-addr.arpa",
        "1.3.0.192.in-addr.arpa",
        "010.in-addr.arpa",
        "in-addr.arpa",
        "192.in-addr.arpa",
        "e.f.ip6.arpa",
        "1.7.e.f.ip6.arpa",
        "1.e.f.ip6.arpa",
        "0.ip6.arpa",
        "1.0.0.2.ip6.arpa",
        "arpa.com",
        "use-application-dns.net",
        "mask.icloud.com",
        "fritz.box",
        "router.lan",
    ];
    for name in names {
        let got = answer(name, rtype::NS);
        assert_eq!(got, "forward", "{name}");
    }
    for name in ["com", "."] {
        for qtype in [rtype::NS, rtype::SOA, rtype::DS, rtype::DNSKEY] {
            assert_eq!(answer(name, qtype), "forward", "{name}");
        }
    }
    // Whether these zones are signed is the parent's to say.
    for name in ["home.arpa", "10.in-addr.arpa"] {
        assert_eq!(answer(name, rtype::DS), "forward", "{name}");
    }
}

#[test]
fn addresses_of_the_home_have_names() {
    let cases = [
        ("2.1.168.192.in-addr.arpa", "granary.home.arpa"),
        ("9.1.168.192.in-addr.arpa", "nas.home.arpa"),
        ("77.1.168.192.in-addr.arpa", "laptop.home.arpa"),
        ("1.0.0.127.in-addr.arpa", "localhost"),
        (
            "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa",
            "granary.home.arpa",
        ),
        (
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
            "localhost",
        ),
    ];
    for (name, target) in cases {
        let expected = format!("rcode 0 aa rd ra; an {name} 12 60 {target}");
        assert_eq!(answer(name, rtype::PTR), expected);
    }
    let got = answer("2.1.168.192.in-addr.arpa", rtype::TXT);
    assert!(got.starts_with("rcode 0 aa"), "{got}");
}

#[test]
fn a_domain_of_the_internet_keeps_its_other_names() {
    let zone = zone_of(|choices| choices.domain = "Home.Example.org.".into());
    let of = |name| answer_of(&question(name, rtype::A), &zone, Mark::No);
    assert_eq!(of("www.home.example.org"), "forward");
    assert_eq!(
        of("granary.home.example.org"),
        "rcode 0 aa rd ra; an granary.home.example.org 1 60 192.168.1.2"
    );
    assert_eq!(
        of("wpad.home.example.org"),
        "rcode 0 aa rd ra; an wpad.home.example.org 1 60 192.168.1.2"
    );
    assert!(of("wpad.home.arpa").starts_with("rcode 3"));
    assert!(of("x.home.arpa").starts_with("rcode 3"));
    let zone = zone_of(|choices| choices.domain = "lan".into());
    assert!(answer_of(&question("x.lan", rtype::A), &zone, Mark::No).starts_with("rcode 3"));
}

#[test]
fn canaries_are_answered_only_by_switch() {
    let zone = zone_of(|choices| (choices.canary_firefox, choices.canary_relay) = (true, true));
    for name in [
        "use-application-dns.net",
        "mask.icloud.com",
        "mask-h2.icloud.com",
        "mask-api.icloud.com",
    ] {
        let got = answer_of(&question(name, rtype::A), &zone, Mark::No);
        assert!(got.starts_with("rcode 3 aa"), "{name}: {got}");
        assert_eq!(answer(name, rtype::A), "forward");
    }
    assert_eq!(
        answer_of(&question("unmask.icloud.com", rtype::A), &zone, Mark::No),
        "forward"
    );
}

#[test]
fn markers_are_positive_in_both_directions() {
    let name = "www.example.com.q.btlink";
    let cases = [
        (Mark::Yes, "198.19.66.84", 60),
        (Mark::No, "198.19.66.78", 60),
        (Mark::Unknown, "198.19.66.78", 3),
    ];
    for (mark, addr, ttl) in cases {
        let got = answer_of(&question(name, rtype::A), &zone(), mark);
        assert_eq!(got, format!("rcode 0 aa rd ra; an {name} 1 {ttl} {addr}"));
    }
    assert_eq!(
        answer(name, rtype::AAAA),
        "rcode 0 aa rd ra; au btlink 6 60 38 bytes"
    );
    assert_eq!(
        answer("q.btlink", rtype::A),
        "rcode 0 aa rd ra; an q.btlink 1 60 192.168.1.2"
    );
    let zone = zone();
    let packet = question(name, rtype::A);
    let query = read(&packet);
    let decision = decide(&query, &zone, &FACTS, |_| false);
    assert_eq!(decision, Decision::Marker { len: 16 });
    let name = crate::dns::marker::record_name(b"\x03www\x07example\x03com\0");
    assert_eq!(
        name.as_deref(),
        Some(&b"\x07_btlink\x03www\x07example\x03com\0"[..])
    );
    assert_eq!(crate::dns::marker::record_name(b"\x09localhost\0"), None);
}

#[test]
fn blocked_names_lead_nowhere_and_say_so() {
    let opt = |qtype| with_opt(question("x.ads", qtype), 1232, 0, 0, &[]);
    assert_eq!(answer("x.ads", rtype::A), "rcode 0 rd ra; an x.ads 1 60 0.0.0.0");
    assert_eq!(answer("x.ads", rtype::AAAA), "rcode 0 rd ra; an x.ads 28 60 ::");
    assert_eq!(
        answer("x.ads", rtype::HTTPS),
        "rcode 0 rd ra; au x.ads 6 60 38 bytes"
    );
    let got = answer_of(&opt(rtype::A), &zone(), Mark::No);
    assert_eq!(got, "rcode 0 rd ra; an x.ads 1 60 0.0.0.0; opt 1232 6 bytes");
    let packet = question("x.ads", rtype::A);
    let query = read(&packet);
    let known = Known {
        facts: FACTS,
        mark: Mark::No,
        blocked_is_nxdomain: true,
    };
    let mut out = Vec::new();
    assert!(write(
        Decision::Blocked,
        &query,
        &known,
        &Way::udp(&query),
        &mut out
    ));
    assert_eq!(show(&out), "rcode 3 rd ra; au x.ads 6 60 38 bytes");
}

#[path = "odd.rs"]
mod odd;
