use proptest::prelude::*;
use serde_json::Value;

use super::*;

const K: &str = "3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m";
const IH: &str = "951ead31d09e4049fc1f21f137e233dd0589fcbd";

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../testdata/names.json")).expect("testdata is JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().expect("a string")
}

fn bytes32(hex: &str) -> [u8; 32] {
    data_encoding::HEXLOWER
        .decode(hex.as_bytes())
        .expect("hex")
        .try_into()
        .expect("32 bytes")
}

fn ours() -> Domains {
    Domains::new(&["btlink.anacrolix.link"]).expect("a domain")
}

fn site(host: &str) -> (Address, String, bool) {
    match ours().read(host).unwrap_or_else(|e| panic!("{host}: {e}")) {
        Host::Site {
            address,
            canonical,
            respelled,
        } => (address, canonical, respelled),
        other => panic!("{host} is {other:?}"),
    }
}

#[test]
fn every_spelling_of_a_key_is_read_and_base36_is_written() {
    for row in vectors()["encodings"].as_array().expect("rows") {
        let key = PublicKey(bytes32(text(row, "hex")));
        assert_eq!(key.to_base36(), text(row, "base36"));
        assert_eq!(PublicKey::from_label(text(row, "base36")), Some(key));
        assert_eq!(PublicKey::from_text(text(row, "base36")), None, "never guessed");
        for spelling in ["hex", "base32", "zbase32", "base32hex"] {
            let spelled = text(row, spelling);
            assert_eq!(PublicKey::from_text(spelled), Some(key), "{spelled}");
            assert_eq!(
                PublicKey::from_text(&spelled.to_uppercase()),
                Some(key),
                "{spelled}"
            );
            if spelling != "hex" {
                let (address, canonical, respelled) = site(&format!("{spelled}-pk.{TLD}"));
                assert_eq!(address, Address::Key { key, salt: vec![] });
                assert_eq!(canonical, format!("{}-pk.{TLD}", key.to_base36()));
                assert!(respelled);
            }
        }
    }
}

#[test]
fn keys_hash_to_their_targets() {
    for row in vectors()["bep46"].as_array().expect("rows") {
        let salt = data_encoding::HEXLOWER
            .decode(text(row, "salt_hex").as_bytes())
            .expect("hex");
        let target = PublicKey(bytes32(text(row, "key"))).target(&salt);
        assert_eq!(data_encoding::HEXLOWER.encode(&target), text(row, "target"));
    }
}

#[test]
fn hosts_of_the_vectors_are_read_and_are_canonical() {
    for row in vectors()["hosts"].as_array().expect("rows") {
        let host = text(row, "host");
        let (address, canonical, respelled) = site(host);
        assert_eq!((canonical.as_str(), respelled), (host, false));
        match text(row, "kind") {
            "pk" => {
                let key = PublicKey(bytes32(text(row, "key")));
                let salt = text(row, "salt").as_bytes().to_vec();
                let target = data_encoding::HEXLOWER.encode(&key.target(&salt));
                assert_eq!(target, text(row, "target"));
                assert_eq!(address, Address::Key { key, salt });
            }
            "ih" => assert_eq!(
                Some(address),
                InfoHash::from_hex(text(row, "infohash")).map(Address::Torrent)
            ),
            _ => assert_eq!(address, Address::TorrentV2(bytes32(text(row, "infohash_v2")))),
        }
    }
}

#[test]
fn old_hosts_are_sent_to_their_new_names() {
    for pair in vectors()["old_bt"].as_array().expect("rows") {
        let (old, now) = (pair[0].as_str().expect("old"), pair[1].as_str().expect("new"));
        assert_eq!(ours().read(old), Ok(Host::Old { now: now.to_owned() }), "{old}");
    }
    assert_eq!(
        ours().read("www.gov.bt"),
        Ok(Host::Foreign("www.gov.bt".into())),
        "a country's"
    );
    assert_eq!(ours().read("bt"), Ok(Host::Old { now: TLD.into() }));
}

#[test]
fn ports_dots_and_case_do_not_change_what_is_meant() {
    let (address, canonical, respelled) = site(&format!("{}-IH.BTLINK:42080", IH.to_uppercase()));
    assert_eq!(Some(address), InfoHash::from_hex(IH).map(Address::Torrent));
    assert_eq!((canonical, respelled), (format!("{IH}-ih.{TLD}"), false));
    assert!(
        site(&format!("{IH}-ih.{TLD}.")).2,
        "a final dot makes another origin"
    );
    assert!(site(&format!("{}-pk.{TLD}", K.to_uppercase())).2);
    assert!(site(&format!("000{}-pk.{TLD}", "1")).2, "zeros missing");
    let (_, canonical, respelled) = site(&format!("www.{IH}-ih.btlink.anacrolix.link:80"));
    assert_eq!(
        (canonical, respelled),
        (format!("{IH}-ih.btlink.anacrolix.link"), true)
    );
    assert_eq!(ours().read("BTLINK.:80"), Ok(Host::Root { domain: TLD.into() }));
}

#[test]
fn a_salt_keeps_its_place_when_the_key_is_respelled() {
    let base32 = "qvb5hzqrl4hzrskea55eje642vb6jhdtt7mzqvikd5quvm3o2y7a";
    assert_eq!(
        site(&format!("blog.{base32}-pk.{TLD}")).1,
        format!("blog.{K}-pk.{TLD}")
    );
    assert_eq!(
        site(&format!("blog-{base32}-pk.{TLD}")).1,
        format!("blog-{K}-pk.{TLD}")
    );
    let long = format!("{}-1-pk.{TLD}", "s".repeat(58));
    assert_eq!(
        site(&long).1,
        format!("{}.{}1-pk.{TLD}", "s".repeat(58), "0".repeat(31))
    );
}

#[test]
fn hex_salts_run_over_labels_and_yield_to_plain_ones() {
    let key = PublicKey::from_label(K).expect("key");
    for salt in [&b"\x00\xff"[..], b"Blog", b"a_b", b".", b"-x", &[0xAB; 64]] {
        let address = Address::Key {
            key,
            salt: salt.to_vec(),
        };
        let host = address.host(TLD).expect("fits");
        assert!(host.ends_with(&format!("{K}-pkx.{TLD}")), "{host}");
        assert_eq!(site(&host), (address, host, false));
    }
    assert_eq!(
        site(&format!("626c-6f67-{K}-pkx.{TLD}").replacen('-', "", 1)).1,
        format!("blog-{K}-pk.{TLD}")
    );
    assert_eq!(site(&format!("{K}-pkx.{TLD}")).1, format!("{K}-pk.{TLD}"));
}

#[test]
fn other_kinds_are_read() {
    let item = InfoHash::from_hex(IH).expect("hash").0;
    assert_eq!(
        site(&format!("{IH}-44.{TLD}")),
        (Address::Item(item), format!("{IH}-44.{TLD}"), false)
    );
    for (domain, label) in [
        ("chromecast.link", "chromecast-link"),
        ("en.wikipedia-on-ipfs.org", "en-wikipedia--on--ipfs-org"),
    ] {
        let host = format!("{label}-dl.{TLD}");
        assert_eq!(site(&host), (Address::Domain(domain.into()), host, false));
    }
    assert_eq!(
        Address::Domain(format!("{}.org", "a-".repeat(20) + "a")).host(TLD),
        None
    );
    assert_eq!(site("my-site.btlink").0, Address::Petname("my-site".into()));
    let reserved = Host::Reserved {
        name: "wpad".into(),
        domain: TLD.into(),
    };
    assert_eq!(ours().read("wpad.btlink:80"), Ok(reserved));
    for host in [
        "example.org:443",
        "192.0.2.1",
        "notbtlink",
        "_dmarc.example.org.",
        "localhost:8080",
    ] {
        assert!(matches!(ours().read(host), Ok(Host::Foreign(_))), "{host}");
    }
    assert_eq!(ours().read("[::1]:80"), Ok(Host::Foreign("[::1]".into())));
}

#[test]
fn malformed_hosts_are_refused() {
    let g40 = "g".repeat(40);
    let cases = [
        "",
        ".",
        ":80",
        "a..btlink",
        ".btlink",
        "a.btlink..",
        "a\0.btlink",
        "a\n.btlink",
        "a b.btlink",
        "ä.btlink",
        "a@b.btlink",
        "a/b.btlink",
        "a%2e.btlink",
        "x.btlink:99999",
        "x.btlink:8x",
        "x.btlink:-1",
        "x:1:2",
        "[::1",
        "[::1]x",
        "[zz]",
        "-a.btlink",
        "a-.btlink",
        "a_b.btlink",
        "a.b.btlink",
        "wpad.a.btlink",
        &format!("{}.btlink", "a".repeat(64)),
        &format!("{}btlink", "a.".repeat(124)),
        &format!("{}.btlink", "a".repeat(33)),
        &format!("{IH}.btlink"),
        &format!("{g40}x{g40}-ih.btlink"),
        &format!("z{}-ih.btlink", "z".repeat(49)),
        &format!("{IH}0-44.btlink"),
        &format!("{g40}-44.btlink"),
        "-pk.btlink",
        "a_-pk.btlink",
        &format!("{}-pk.btlink", "z".repeat(50)),
        &format!("{K}0-pk.btlink"),
        &format!("{}.{K}-pk.btlink", "s".repeat(63) + ".s"),
        &format!("abc-{K}-pkx.btlink"),
        &format!("zz-{K}-pkx.btlink"),
        &format!(
            "{}.{}.{}.{K}-pkx.btlink",
            "0".repeat(62),
            "0".repeat(62),
            "0".repeat(6)
        ),
        "com-dl.btlink",
        "a-btlink-dl.btlink",
        "127-0-0-1-dl.btlink",
        "---dl.btlink",
    ];
    for case in cases {
        assert!(ours().read(case).is_err(), "{case:?} is {:?}", ours().read(case));
    }
}

proptest! {
    #[test]
    fn every_address_survives_its_host(key in any::<[u8; 32]>(), salt in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..=64),
        "[a-z0-9.-]{0,64}".prop_map(String::into_bytes),
    ], domain in prop_oneof![Just(TLD), Just("btlink.anacrolix.link")]) {
        let addresses = [
            Address::Key { key: PublicKey(key), salt },
            Address::TorrentV2(key),
            Address::Torrent(InfoHash(key[..20].try_into().expect("20"))),
        ];
        for address in addresses {
            let host = address.host(domain).expect("fits");
            prop_assert_eq!(site(&host), (address, host, false));
        }
    }

    #[test]
    fn no_host_panics_and_redirects_end(host in "\\PC{0,80}|[a-z0-9.:-]{0,70}(-ih|-pk|-pkx|-44|-dl)?\\.btlink\\.?(:[0-9]{0,6})?") {
        if let Ok(Host::Site { canonical, .. }) = ours().read(&host) {
            prop_assert!(!site(&canonical).2, "{} → {}", host, canonical);
        }
    }
}
