use std::net::{IpAddr, SocketAddr};

use super::*;

const REFUSED: &str = include_str!("../../testdata/guard/refused.txt");
const ALLOWED: &str = include_str!("../../testdata/guard/allowed.txt");

fn spellings(file: &str) -> impl Iterator<Item = &str> {
    file.lines().filter(|line| !line.starts_with("# "))
}

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn no_spelling_of_a_forbidden_target_is_accepted() {
    let mut seen = std::collections::BTreeSet::new();
    for spelling in spellings(REFUSED) {
        let verdict = allowed_url(spelling, &Policy::default());
        assert!(verdict.is_err(), "{spelling:?} became {verdict:?}");
        seen.insert(spelling);
    }
    assert!(seen.len() >= 380, "only {} spellings", seen.len());
    for control in (0..=0x20u8).chain([0x7f]) {
        for url in [
            "http://tracker.org@",
            "http://track@er.org/",
            "@http://tracker.org/",
            "http://tracker.org/@",
        ] {
            let url = url.replace('@', &char::from(control).to_string());
            assert_eq!(
                allowed_url(&url, &Policy::default()),
                Err(Reason::Character),
                "{url:?}"
            );
        }
    }
}

#[test]
fn ordinary_trackers_pass_and_read_back_the_same() {
    for spelling in spellings(ALLOWED) {
        let url = allowed_url(spelling, &Policy::default()).unwrap_or_else(|why| panic!("{spelling}: {why}"));
        assert_eq!(
            allowed_url(&url.to_string(), &Policy::default()).as_ref(),
            Ok(&url),
            "{spelling}"
        );
        assert!(!url.target.contains('#'));
    }
}

#[test]
fn a_url_is_taken_apart_without_loss() {
    let url = allowed_url("HTTPS://Tracker.Example.org/a/b?x=%20y#z", &Policy::default()).expect("ordinary");
    assert_eq!(url.to_string(), "https://tracker.example.org:443/a/b?x=%20y");
    assert_eq!(
        allowed_url("http://a.example.org?x=1", &Policy::default())
            .expect("ordinary")
            .target,
        "/?x=1"
    );
    assert_eq!(
        allowed_url(&format!("http://a.org/{}", "x".repeat(2000)), &Policy::default()),
        Err(Reason::Long)
    );
}

#[test]
fn each_kind_of_address_has_its_reason() {
    let cases = [
        ("0.1.2.3", Reason::Unspecified),
        ("127.9.9.9", Reason::Loopback),
        ("10.1.2.3", Reason::Private),
        ("169.254.3.4", Reason::LinkLocal),
        ("169.254.169.254", Reason::Metadata),
        ("100.127.255.255", Reason::CarrierNat),
        ("239.255.255.250", Reason::Multicast),
        ("255.255.255.255", Reason::Broadcast),
        ("250.1.1.1", Reason::Reserved),
        ("203.0.113.7", Reason::Documentation),
        ("::1", Reason::Loopback),
        ("::", Reason::Unspecified),
        ("::8.8.8.8", Reason::Reserved),
        ("::ffff:192.168.0.1", Reason::Private),
        ("64:ff9b::c0a8:1", Reason::Private),
        ("2002:7f00:1::", Reason::Loopback),
        ("2001:0:808:808::f5ff:fffe", Reason::Private),
        ("fd00::1", Reason::Private),
        ("fe80::1", Reason::LinkLocal),
        ("ff02::1", Reason::Multicast),
        ("2001:db8::1", Reason::Documentation),
    ];
    for (ip, reason) in cases {
        let ip: IpAddr = ip.parse().expect("an address");
        assert_eq!(
            allowed(SocketAddr::new(ip, 6881), &Policy::default()),
            Err(reason),
            "{ip}"
        );
    }
}

#[test]
fn peers_do_not_live_on_ports_of_other_services() {
    let policy = Policy::default();
    for port in [0, 1, 22, 25, 53, 80, 443, 1023, 3306, 6379, 6667, 11211] {
        assert_eq!(
            allowed(SocketAddr::new(addr("8.8.8.8:1").ip(), port), &policy),
            Err(Reason::Port(port))
        );
    }
    for port in [1024, 6881, 6969, 51413, 65535] {
        assert_eq!(
            allowed(SocketAddr::new(addr("8.8.8.8:1").ip(), port), &policy),
            Ok(())
        );
    }
    assert_eq!(allowed(addr("8.8.8.8:80"), &policy.for_web()), Ok(()));
    assert_eq!(allowed(addr("8.8.8.8:443"), &policy.for_web()), Ok(()));
    assert_eq!(
        allowed(addr("8.8.8.8:22"), &policy.for_web()),
        Err(Reason::Port(22))
    );
}

#[test]
fn exceptions_open_only_what_they_name() {
    let home = Policy::default().for_neighbours();
    for ok in [
        "192.168.1.20:6881",
        "10.0.0.9:51413",
        "[fe80::1]:6881",
        "[fd00::1]:6881",
        "169.254.7.7:6881",
    ] {
        assert_eq!(allowed(addr(ok), &home), Ok(()), "{ok}");
    }
    for no in [
        "127.0.0.1:6881",
        "169.254.169.254:6881",
        "[fd00:ec2::254]:6881",
        "239.1.1.1:6881",
        "192.168.1.1:22",
    ] {
        assert!(allowed(addr(no), &home).is_err(), "{no}");
    }
    // A tunnel address is not a neighbour.
    assert_eq!(
        allowed(addr("[2002:c0a8:101::1]:6881"), &home),
        Err(Reason::Private)
    );

    let machine = Policy {
        allow_loopback: true,
        ..Policy::default()
    };
    assert_eq!(allowed(addr("127.0.0.1:6881"), &machine), Ok(()));
    assert_eq!(allowed(addr("[::1]:6881"), &machine), Ok(()));
    assert_eq!(allowed(addr("10.0.0.1:6881"), &machine), Err(Reason::Private));
    assert!(allowed_url("http://localhost:6969/announce", &machine).is_ok());
    assert!(allowed_url("http://127.0.0.1:6969/announce", &machine).is_ok());
    assert!(allowed_url("http://0x7f.1:6969/announce", &machine).is_err());
}

#[test]
fn our_own_addresses_are_refused_in_every_form() {
    let policy = Policy {
        own: vec![addr("8.8.4.4:1").ip()],
        ..Policy::default()
    };
    for own in [
        "8.8.4.4:6881",
        "[::ffff:8.8.4.4]:6881",
        "[64:ff9b::808:404]:6881",
        "[2002:808:404::1]:6881",
    ] {
        assert_eq!(allowed(addr(own), &policy), Err(Reason::Own), "{own}");
    }
    assert_eq!(allowed(addr("8.8.8.8:6881"), &policy), Ok(()));
}

proptest::proptest! {
    #[test]
    fn no_text_panics_and_what_passes_is_stable(text in "(http|https|udp)://[!-~]{0,40}") {
        if let Ok(url) = allowed_url(&text, &Policy::default()) {
            proptest::prop_assert_eq!(allowed_url(&url.to_string(), &Policy::default()), Ok(url));
        }
    }

    #[test]
    fn nothing_embedded_in_ipv6_reaches_the_home(bytes in proptest::array::uniform4(proptest::num::u8::ANY)) {
        let inner = std::net::Ipv4Addr::from(bytes);
        let s = u32::from(inner);
        let plain = ip_allowed(IpAddr::V4(inner), &Policy::default());
        for wrapped in [format!("::ffff:{inner}"), format!("64:ff9b::{inner}"), format!("2002:{:x}:{:x}::1", s >> 16, s & 0xffff)] {
            proptest::prop_assert_eq!(ip_allowed(wrapped.parse().expect("an address"), &Policy::default()), plain);
        }
    }
}
