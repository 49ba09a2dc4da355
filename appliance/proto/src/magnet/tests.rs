use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use proptest::prelude::*;

use super::*;
use crate::name::{Address, Domains, TLD};

const IH: &str = "951ead31d09e4049fc1f21f137e233dd0589fcbd";
const KEY: &str = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e";
const BASE36: &str = "3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m";
const BASE32: &str = "qvb5hzqrl4hzrskea55eje642vb6jhdtt7mzqvikd5quvm3o2y7a";

fn hash() -> InfoHash {
    InfoHash::from_hex(IH).expect("hash")
}

fn key() -> PublicKey {
    PublicKey::from_text(KEY).expect("key")
}

#[test]
fn an_infohash_is_read_in_every_spelling() {
    let upper = IH.to_uppercase();
    for text in [
        format!("magnet:?xt=urn:btih:{IH}"),
        format!("MAGNET:?XT=URN:BTIH:{upper}"),
        "magnet:?xt=urn:btih:supk2moqtzaet7a7ehytpyrt3ucyt7f5".to_owned(),
        "magnet:?xt=urn:btih:SUPK2MOQTZAET7A7EHYTPYRT3UCYT7F5".to_owned(),
        format!("magnet:?dn=x&xt.1=urn:btih:{IH}&xt.2=urn:btih:{}", "0".repeat(40)),
        format!("magnet:?dn=x&amp;xt=urn:btih:{IH}"),
        format!("magnet:?xt=urn%3Abtih%3A{IH}"),
        format!("  magnet:?xt=urn:sha1:ABC&xt=urn:btih:{IH}\n"),
    ] {
        assert_eq!(parse(&text).expect(&text).infohash, Some(hash()), "{text}");
    }
}

#[test]
fn a_magnet_with_everything_is_read() {
    let text = format!(
        "magnet:?xt=urn:btih:{IH}&xt=urn:btmh:1220{v2}&xs=urn:btpk:{KEY}&s=6e&dn=A+site%20%26+more&tr=udp%3A%2F%2Ft.example%3A80\
         &tr.1=http://t.example/a+b&tr=wss://no.example&ws=http://w.example/&as=https://a.example/x&xs=http://s.example/x.torrent\
         &x.pe=192.0.2.1:6881&x.pe=[2001:db8::1]:80&x.pe=host.example:80&x.pe=192.0.2.1:0&so=0,2,4,6-8,x,9-3&zz=1",
        v2 = "ab".repeat(32)
    );
    let magnet = parse(&text).expect("valid");
    let expected = Magnet {
        infohash: Some(hash()),
        infohash_v2: Some([0xab; 32]),
        key: Some(key()),
        salt: b"n".to_vec(),
        name: Some("A site & more".into()),
        trackers: vec!["udp://t.example:80".into(), "http://t.example/a+b".into()],
        web_seeds: vec!["http://w.example/".into(), "https://a.example/x".into()],
        sources: vec!["http://s.example/x.torrent".into()],
        peers: vec![
            "192.0.2.1:6881".parse().expect("v4"),
            "[2001:db8::1]:80".parse().expect("v6"),
        ],
        select: vec![0..=0, 2..=2, 4..=4, 6..=8],
    };
    assert_eq!(magnet, expected);
    assert_eq!(parse(&magnet.to_string()), Ok(expected));
}

#[test]
fn keys_of_mutable_sites_are_read_in_every_spelling() {
    for spelling in [
        KEY,
        &KEY.to_uppercase(),
        BASE32,
        BASE36,
        "oib783otmh83t1kry77rjr6h4ib6j8duu9c3oiekd7owic5q4a9y",
    ] {
        let magnet = parse(&format!("magnet:?xs=urn:btpk:{spelling}&s=6E")).expect(spelling);
        assert_eq!((magnet.key, &magnet.salt[..]), (Some(key()), &b"n"[..]));
        assert_eq!(magnet.to_string(), format!("magnet:?xs=urn:btpk:{KEY}&s=6e"));
    }
}

#[test]
fn what_names_nothing_or_something_broken_is_refused_with_its_reason() {
    let long = format!("magnet:?xs=urn:btpk:{KEY}&s={}", "00".repeat(65));
    for (text, error) in [
        ("", Error::NotAMagnet),
        ("magnet", Error::NotAMagnet),
        ("magnet:xt=urn:btih:", Error::NotAMagnet),
        ("http://example.org/", Error::NotAMagnet),
        ("magnet:?", Error::Nothing),
        ("magnet:?dn=x&tr=udp://t.example:1", Error::Nothing),
        ("magnet:?xs=http://s.example/x.torrent", Error::Nothing),
        ("magnet:?xt=urn:btih:", Error::InfoHash("".into())),
        ("magnet:?xt=urn:btih:12%00", Error::InfoHash("12".into())),
        ("magnet:?xt=urn:btmh:1120ab", Error::InfoHashV2("1120ab".into())),
        ("magnet:?xs=urn:btpk:_", Error::Key("_".into())),
        (&long, Error::Salt),
        (&format!("magnet:?xs=urn:btpk:{KEY}&s=6"), Error::Salt),
        (&"m".repeat(MAGNET_MAX + 1), Error::Long),
    ] {
        assert_eq!(parse(text), Err(error), "{}", &text[..text.len().min(100)]);
    }
    let flood = format!(
        "magnet:?xt=urn:btih:{IH}{}",
        (0..900)
            .map(|n| format!("&tr=udp://{n}:1&x.pe=1.1.1.1:{}&so={n}", n + 1))
            .collect::<String>()
    );
    let magnet = parse(&flood).expect("bounded");
    assert_eq!(
        (magnet.trackers.len(), magnet.peers.len(), magnet.select.len()),
        (20, 50, 50)
    );
}

#[test]
fn everything_else_that_opens_a_site_can_be_pasted() {
    let domains = Domains::default();
    let torrent = Address::Torrent(hash());
    let feed = |salt: &[u8]| Address::Key {
        key: key(),
        salt: salt.to_vec(),
    };
    for (text, address, path) in [
        (
            format!("bt://{IH}/a/b.html?x=1#top"),
            torrent.clone(),
            "/a/b.html?x=1",
        ),
        (
            format!("BitTorrent://{}", IH.to_uppercase()),
            torrent.clone(),
            "/",
        ),
        (format!("bittorrent:{IH}/"), torrent.clone(), "/"),
        (format!("bt://{KEY}/x"), feed(b""), "/x"),
        ("bt://alice/x".into(), Address::Petname("alice".into()), "/x"),
        (format!("wtp://{IH}?q"), torrent.clone(), "/?q"),
        (
            "wtp://Example.org./a".into(),
            Address::Domain("example.org".into()),
            "/a",
        ),
        (format!("http://n-{BASE36}-pk.{TLD}/a"), feed(b"n"), "/a"),
        (format!("https://{IH}-ih.{TLD}:44369/"), torrent.clone(), "/"),
        (format!("web+{TLD}://{IH}-ih.{TLD}/z"), torrent.clone(), "/z"),
        (format!("{IH}-ih.{TLD}/z"), torrent.clone(), "/z"),
        (format!("{IH}-ih.{TLD}:8080/z"), torrent.clone(), "/z"),
        (format!("http://{IH}.ih.bt/z"), torrent.clone(), "/z"),
        (format!("<{BASE32}>"), feed(b""), "/"),
        (KEY.into(), feed(b""), "/"),
        (format!("http://192.168.1.2/btih/{IH}/z"), torrent.clone(), "/z"),
        (format!("http://box.{TLD}/btpk/{KEY}:6e/z"), feed(b"n"), "/z"),
    ] {
        let expected = Pasted::Site {
            address,
            path: path.into(),
        };
        assert_eq!(paste(&text, &domains), Ok(expected), "{text}");
    }
    for text in [
        IH.to_owned(),
        "supk2moqtzaet7a7ehytpyrt3ucyt7f5".into(),
        format!(" \"magnet:?xt=urn:btih:{IH}\" "),
        format!("urn:btih:{IH}"),
        format!("/magnet:?xt=urn:btih:{IH}"),
        format!("http://box.local/magnet:?xt=urn:btih:{IH}"),
        format!("web+{TLD}:magnet:?xt=urn:btih:{IH}"),
    ] {
        let expected = Magnet {
            infohash: Some(hash()),
            ..Magnet::default()
        };
        assert_eq!(paste(&text, &domains), Ok(Pasted::Magnet(expected)), "{text}");
    }
}

#[test]
fn a_domain_of_the_ordinary_web_may_have_a_link_record() {
    let domains = Domains::default();
    for (text, path) in [
        ("example.org", "/"),
        ("Example.ORG.", "/"),
        ("https://example.org/blog/?p=1", "/blog/?p=1"),
        ("http://example.org:8080/", "/"),
    ] {
        let address = Address::Domain("example.org".into());
        let path = path.to_owned();
        assert_eq!(
            paste(text, &domains),
            Ok(Pasted::Site { address, path }),
            "{text}"
        );
    }
}

#[test]
fn what_cannot_be_opened_is_refused_with_its_reason() {
    let domains = Domains::default();
    for (text, refusal) in [
        ("  ".to_owned(), Refusal::Empty),
        ("x".repeat(MAGNET_MAX + 1), Refusal::Long),
        ("a b".into(), Refusal::Character),
        ("a\u{7}b".into(), Refusal::Character),
        ("magnet:?".into(), Refusal::Magnet(Error::Nothing)),
        (format!("http://{TLD}/"), Refusal::Box),
        (format!("admin.{TLD}"), Refusal::Box),
        (
            "https://example.org/x.torrent".into(),
            Refusal::Web("example.org".into()),
        ),
        ("192.0.2.7".into(), Refusal::Web("192.0.2.7".into())),
        ("http://localhost/".into(), Refusal::Web("localhost".into())),
        ("ipfs://bafy".into(), Refusal::Scheme("ipfs".into())),
        ("javascript:alert(1)".into(), Refusal::Scheme("javascript".into())),
        ("data:text/html,x".into(), Refusal::Scheme("data".into())),
        ("bt://_".into(), Refusal::Address("_".into(), "bt")),
        ("wtp://alice".into(), Refusal::Address("alice".into(), "wtp")),
        (BASE36.into(), Refusal::Fragment),
        ("alice".into(), Refusal::Fragment),
        (
            format!("http://-.{TLD}/"),
            Refusal::Name(crate::name::Error::Label),
        ),
    ] {
        assert_eq!(
            paste(&text, &domains),
            Err(refusal),
            "{}",
            &text[..text.len().min(100)]
        );
    }
}

fn addresses(schemes: &'static str) -> impl Strategy<Value = Vec<String>> {
    let one = (schemes, "[a-zA-Z0-9./?&=%+#;äß~-]{1,20}").prop_map(|(a, b)| a + &b);
    proptest::collection::hash_set(one, 0..5).prop_map(|set| set.into_iter().collect())
}

fn magnets() -> impl Strategy<Value = Magnet> {
    let v4 =
        (any::<u32>(), 1..u16::MAX).prop_map(|(ip, port)| SocketAddrV4::new(Ipv4Addr::from(ip), port).into());
    let v6 = (any::<u128>(), 1..u16::MAX)
        .prop_map(|(ip, port)| SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, 0).into());
    let peers = proptest::collection::hash_set(prop_oneof![v4, v6], 0..5);
    let range = (0..1_000u32, 0..1_000u32).prop_map(|(from, more)| from..=from + more);
    let names = (
        any::<Option<[u8; 20]>>(),
        any::<Option<[u8; 32]>>(),
        any::<Option<[u8; 32]>>(),
    );
    let named = names.prop_filter("names something", |(a, b, c)| {
        a.is_some() || b.is_some() || c.is_some()
    });
    let salt = proptest::collection::vec(any::<u8>(), 0..=64);
    let web = (
        addresses("(http|udp|https)://"),
        addresses("https?://"),
        addresses("HTTPS?://"),
    );
    let name = proptest::option::of("[^\\p{Cc}]{1,30}");
    (
        named,
        salt,
        name,
        web,
        peers,
        proptest::collection::vec(range, 0..5),
    )
        .prop_map(
            |((infohash, infohash_v2, key), salt, name, (trackers, web_seeds, sources), peers, select)| {
                Magnet {
                    infohash: infohash.map(InfoHash),
                    infohash_v2,
                    salt: if key.is_some() { salt } else { vec![] },
                    key: key.map(PublicKey),
                    name,
                    trackers,
                    web_seeds,
                    sources,
                    peers: peers.into_iter().collect(),
                    select,
                }
            },
        )
}

proptest! {
    #[test]
    fn a_written_magnet_reads_back_the_same(magnet in magnets()) {
        let text = magnet.to_string();
        prop_assert!(text.is_ascii() && !text.contains(' '));
        prop_assert_eq!(parse(&text), Ok(magnet.clone()), "{}", &text);
        prop_assert_eq!(paste(&text, &Domains::default()), Ok(Pasted::Magnet(magnet)));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}|magnet:\\?(\\PC{0,5}[&=.%]){0,20}|[a-z]{2,10}:(//)?\\PC{0,40}") {
        let _ = parse(&text);
        let _ = paste(&text, &Domains::default());
    }
}
