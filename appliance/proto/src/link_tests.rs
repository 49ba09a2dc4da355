use proptest::prelude::*;

use super::*;

const HASH: &str = "951ead31d09e4049fc1f21f137e233dd0589fcbd";
const KEY: &str = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e";
const KEY36: &str = "3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m";

fn one(kind: Kind, text: &str) -> Option<Address> {
    read(kind, &[text.as_bytes().to_vec()])
}

fn torrent() -> Option<Address> {
    InfoHash::from_hex(HASH).map(Address::Torrent)
}

fn key(salt: &str) -> Option<Address> {
    Some(Address::Key {
        key: PublicKey::from_text(KEY)?,
        salt: salt.as_bytes().to_vec(),
    })
}

#[test]
fn a_btlink_record_is_a_magnet_or_a_host() {
    let cases = [
        (format!("magnet:?xs=urn:btpk:{KEY}"), key("")),
        (format!("magnet:?xs=urn:btpk:{KEY}&s=6e"), key("n")),
        (format!("MAGNET:?xt=urn:btih:{HASH}"), torrent()),
        (
            "magnet:?xt=urn:btih:supk2moqtzaet7a7ehytpyrt3ucyt7f5".into(),
            torrent(),
        ),
        (format!("{HASH}-ih.{TLD}"), torrent()),
        (format!("{HASH}-ih"), torrent()),
        (format!("blog-{KEY36}-pk.{TLD}"), key("blog")),
        (format!("a.b.{KEY36}-pk"), key("a.b")),
        (format!("{HASH}.ih.bt"), torrent()),
        ("example.org".into(), Some(Address::Domain("example.org".into()))),
        ("recipes".into(), None),
        (format!("recipes.{TLD}"), None),
        (format!("box.{TLD}"), None),
        ("magnet:?dn=nothing".into(), None),
        ("http://example.org/".into(), None),
        ("127.0.0.1".into(), None),
        (String::new(), None),
    ];
    for (text, meant) in cases {
        assert_eq!(one(Kind::Btlink, &text), meant, "{text}");
    }
}

#[test]
fn a_dnslink_record_has_two_name_spaces_and_bare_labels() {
    let cases = [
        (format!("dnslink=/btpk/{KEY}"), key("")),
        (format!("dnslink=/btpk/{KEY}:6e"), key("n")),
        (format!("dnslink=/btpk/{KEY36}"), key("")),
        (format!("dnslink=/btih/{HASH}"), torrent()),
        (format!("dnslink=/btih/{HASH}/docs/"), torrent()),
        (format!("{HASH}-ih"), torrent()),
        (format!("n-{KEY36}-pk"), key("n")),
        (format!("n-{KEY36}-pk.{TLD}"), key("n")),
        (
            "dnslink=/dnslink/example.org".into(),
            Some(Address::Domain("example.org".into())),
        ),
        (
            "dnslink=/ipfs/QmW2WQi7j6c7UgJTarActp7tDNikE4B2qXtFCfLPdsgaTQ".into(),
            None,
        ),
        (format!("dnslink=/btpk/{KEY}:6"), None),
        (format!("dnslink=/btpk/{KEY}:{}", "00".repeat(65)), None),
        ("dnslink=/btih/short".into(), None),
        ("dnslink=".into(), None),
        ("v=spf1 -all".into(), None),
    ];
    for (text, meant) in cases {
        assert_eq!(one(Kind::Dnslink, &text), meant, "{text}");
    }
}

#[test]
fn a_wtpkey_record_is_read_in_any_case_with_or_without_quotes() {
    for text in [
        format!("wtpkey={HASH}"),
        format!("\"wtpkey={HASH}\""),
        format!("WTPKEY={}", HASH.to_uppercase()),
        format!("wtpkey={HASH}\""),
    ] {
        assert_eq!(one(Kind::Wtpkey, &text), torrent(), "{text}");
    }
    for text in [
        format!("wtpkey={HASH}0"),
        format!("wtpkey= {HASH}"),
        format!("x wtpkey={HASH}"),
    ] {
        assert_eq!(one(Kind::Wtpkey, &text), None, "{text}");
    }
}

#[test]
fn invalid_records_are_ignored_and_the_first_of_the_sorted_ones_counts() {
    let other = "b".repeat(40);
    let records: Vec<Vec<u8>> = [
        "zzz".to_owned(),
        format!("dnslink=/btih/{other}"),
        format!("dnslink=/btih/{HASH}"),
        "\u{fffd}".into(),
    ]
    .map(String::into_bytes)
    .into();
    assert_eq!(read(Kind::Dnslink, &records), torrent());
    assert_eq!(read(Kind::Dnslink, &[vec![0xff, 0xfe], vec![b'a'; 5_000]]), None);
}

#[test]
fn each_kind_has_its_own_name() {
    let names: Vec<_> = Kind::ALL.map(|kind| kind.name("example.org")).into();
    assert_eq!(
        names,
        [
            &format!("_{TLD}.example.org"),
            "_dnslink.example.org",
            "example.org"
        ]
    );
}

proptest! {
    #[test]
    fn no_record_of_any_bytes_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for kind in Kind::ALL {
            let _ = read(kind, std::slice::from_ref(&bytes));
        }
    }

    #[test]
    fn what_a_host_says_a_record_of_it_says(hash in any::<[u8; 20]>(), key in any::<[u8; 32]>(), salt in "[a-z0-9]{0,9}") {
        for address in [
            Address::Torrent(InfoHash(hash)),
            Address::Key { key: PublicKey(key), salt: salt.into_bytes() },
        ] {
            let host = address.host(TLD).expect("it fits");
            prop_assert_eq!(one(Kind::Btlink, &host), Some(address));
        }
    }
}
