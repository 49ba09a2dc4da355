use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::dht::krpc::{self, Ask, Body, Message, Put, Query, Signed, Want};

fn vectors() -> serde_json::Value {
    serde_json::from_str(include_str!("../testdata/records.json")).expect("JSON")
}

fn hex(value: &serde_json::Value) -> Vec<u8> {
    let text = value.as_str().expect("a string");
    HEXLOWER.decode(text.as_bytes()).expect("hexadecimal")
}

fn fixed<const N: usize>(value: &serde_json::Value) -> [u8; N] {
    hex(value).try_into().expect("as long as it should be")
}

fn list(value: &serde_json::Value) -> &[serde_json::Value] {
    value.as_array().expect("a list")
}

fn secret() -> SecretKey {
    SecretKey::from_seed(std::array::from_fn(|n| n as u8))
}

fn torrent(n: u8) -> Vec<u8> {
    torrent_value(&InfoHash([n; 20]))
}

/// The record with salt "n" of our own vectors.
fn salted() -> Mutable {
    let own = &vectors()["own_signing"];
    Mutable::sign(&secret(), b"n", 1, &hex(&own["v_hex"])).expect("within the rules")
}

#[test]
fn the_vectors_of_bep_44_are_signed_checked_and_placed_as_it_says() {
    let vectors = &vectors()["bep44"];
    let public = PublicKey(fixed(&vectors["public"]));
    // The BEP gives the expanded form; read as a seed it would be another key.
    let secret = SecretKey::from_bytes(&hex(&vectors["private_expanded"]), Some(&public)).expect("the key");
    for vector in list(&vectors["mutable"]) {
        let (value, salt) = (vector["v"].as_str().expect("text"), hex(&vector["salt_hex"]));
        let seq = vector["seq"].as_i64().expect("a number");
        let buffer = vector["buffer"].as_str().expect("text");
        assert_eq!(signed_bytes(&salt, seq, value.as_bytes()), buffer.as_bytes());
        let item = Mutable::sign(&secret, &salt, seq, value.as_bytes()).expect("within the rules");
        assert_eq!(item.sig[..], hex(&vector["sig"]));
        assert_eq!(item.target().0[..], hex(&vector["target"]));
        assert_eq!(item.check(), Ok(()));
        assert_eq!(item.meaning(), Meaning::Other);
    }
    for vector in list(&vectors["immutable"]) {
        let value = vector["v"].as_str().expect("text").as_bytes();
        assert_eq!(immutable_target(value).0[..], hex(&vector["target"]));
        assert_eq!(check_value(value), Ok(()));
    }
}

#[test]
fn the_targets_of_bep_46_depend_on_the_salt() {
    for vector in list(&vectors()["bep46"]) {
        let key = PublicKey(fixed(&vector["key"]));
        assert_eq!(key.target(&hex(&vector["salt_hex"]))[..], hex(&vector["target"]));
    }
    let other = &vectors()["mutable_webtorrent"];
    let key = SecretKey::from_seed(fixed(&other["seed"])).public();
    assert_eq!(key.0[..], hex(&other["public"]));
    assert_eq!(key.target(b"")[..], hex(&other["target"]));
    assert_eq!(key.to_base36(), other["base36"].as_str().expect("text"));
}

#[test]
fn our_own_records_are_signed_as_the_vectors_say_and_mean_a_torrent() {
    let own = &vectors()["own_signing"];
    let (secret, value) = (SecretKey::from_seed(fixed(&own["seed"])), hex(&own["v_hex"]));
    assert_eq!(secret.public().0[..], hex(&own["public"]));
    let ih = InfoHash::from_hex("951ead31d09e4049fc1f21f137e233dd0589fcbd").expect("an infohash");
    assert_eq!(torrent_value(&ih), value);
    for vector in list(&own["records"]) {
        let salt = vector["salt"].as_str().expect("text").as_bytes();
        let seq = vector["seq"].as_i64().expect("a number");
        let item = Mutable::sign(&secret, salt, seq, &value).expect("within the rules");
        assert_eq!(item.sig[..], hex(&vector["sig"]));
        assert_eq!(item.target().0[..], hex(&vector["target"]));
        assert_eq!(item.meaning(), Meaning::Torrent(ih));
    }
}

#[test]
fn whole_packets_are_made_byte_for_byte() {
    let own = &vectors()["own_signing"];
    let item = salted();
    let packet = |ask, read_only| {
        let query = Query {
            id: crate::dht::id::Id(*b"abcdefghij0123456789"),
            ask,
            want: Want::default(),
            extra: Vec::new(),
        };
        let mut message = Message::new(b"aa", Body::Query(query));
        message.read_only = read_only;
        message.encode()
    };
    let get = || Ask::Get {
        target: item.target().into(),
        seq: None,
    };
    let put = Ask::Put(Put {
        token: b"aoeusnth",
        v: &item.value,
        signed: Some(Signed {
            key: &item.key.0,
            salt: &item.salt,
            seq: item.seq,
            sig: &item.sig,
        }),
        cas: None,
    });
    let packets = &own["packets_hex"];
    assert_eq!(packet(get(), false), hex(&packets["get"]));
    assert_eq!(packet(get(), true), hex(&packets["get_ro"]));
    let put = packet(put, false);
    assert_eq!(put, hex(&packets["put"]));
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &put);
    assert_eq!(hash.as_ref(), hex(&own["packet_sha1"]));

    let vectors = vectors();
    let told = [
        (krpc::Code::ValueTooBig, "message (v field) too big."),
        (krpc::Code::SeqTooLow, "sequence number less than current."),
    ];
    for ((code, text), golden) in told.into_iter().zip(list(&vectors["errors"])) {
        let golden = golden.as_str().expect("text").as_bytes();
        assert_eq!(krpc::error(b"aa", code, text), golden);
    }
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let item = salted();
    for at in 0..64 * 8 {
        let mut forged = item.clone();
        forged.sig[at / 8] ^= 1 << (at % 8);
        assert_eq!(forged.check(), Err(Error::Signature), "bit {at} of the signature");
    }
    for at in 0..20 {
        let mut forged = item.clone();
        // Within the infohash, so that it stays bencoded.
        forged.value[8 + at] ^= 1;
        assert_eq!(forged.check(), Err(Error::Signature));
    }
    for forged in [
        Mutable {
            seq: 2,
            ..item.clone()
        },
        Mutable {
            salt: b"m".to_vec(),
            ..item.clone()
        },
        Mutable {
            salt: Vec::new(),
            ..item.clone()
        },
        Mutable {
            key: SecretKey::from_seed([7; 32]).public(),
            ..item
        },
    ] {
        assert_eq!(forged.check(), Err(Error::Signature));
    }
}

#[test]
fn the_rules_of_bep_44_are_kept_when_signing_and_when_checking() {
    let string = |length: usize| [format!("{length}:").as_bytes(), &vec![b'x'; length]].concat();
    assert_eq!((string(996).len(), string(997).len()), (1000, 1001));
    let sign = |salt: &[u8], seq, value: &[u8]| Mutable::sign(&secret(), salt, seq, value).map(drop);
    assert_eq!(sign(b"", 1, &string(996)), Ok(()));
    assert_eq!(sign(b"", 1, &string(997)), Err(Error::ValueTooBig));
    assert_eq!(sign(&[b's'; 64], i64::MAX, b"i0e"), Ok(()));
    assert_eq!(sign(&[b's'; 65], 1, b"i0e"), Err(Error::SaltTooBig));
    assert_eq!(sign(b"", -1, b"i0e"), Err(Error::Seq));
    for no_value in [
        &b""[..],
        b"d1:bi1e1:ai1ee",
        b"d1:ai1e1:ai1ee",
        b"i1ei1e",
        b"i-0e",
        b"01:a",
        b"5:four",
    ] {
        assert_eq!(sign(b"", 1, no_value), Err(Error::Bencoding));
        assert_eq!(check_value(no_value), Err(Error::Bencoding));
    }
    assert_eq!(check_value(&string(997)), Err(Error::ValueTooBig));
    let received = Mutable { seq: -1, ..salted() };
    assert_eq!(received.check(), Err(Error::Seq));
    let codes = [
        (Error::ValueTooBig, 205),
        (Error::SaltTooBig, 207),
        (Error::Signature, 206),
        (Error::Bencoding, 203),
        (Error::Seq, 203),
    ];
    for (err, code) in codes {
        assert_eq!(err.code() as i64, code);
    }
}

#[test]
fn a_key_whose_signatures_anybody_can_forge_is_refused() {
    // Points of order 1, 2, 4 and 8 (RFC 7748 §7): with R the neutral point and S zero, lax checks pass for messages enough.
    let small = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    ];
    let mut sig = [0; 64];
    sig[0] = 1;
    for key in small {
        let key = HEXLOWER.decode(key.as_bytes()).expect("hexadecimal");
        for seq in 0..16 {
            let forged = Mutable {
                key: PublicKey(key.clone().try_into().expect("32 bytes")),
                salt: Vec::new(),
                seq,
                value: torrent(1),
                sig,
            };
            assert_eq!(forged.check(), Err(Error::Signature));
        }
    }
}

#[test]
fn a_higher_number_wins_and_the_first_value_of_a_number_stays() {
    let offered = Mutable::sign(&secret(), b"", 5, &torrent(1)).expect("within the rules");
    let (same, other) = (torrent(1), torrent(2));
    let cases = [
        (4, &other, Verdict::Newer),
        (5, &same, Verdict::Same),
        (6, &same, Verdict::Older),
        (5, &other, Verdict::Conflict),
    ];
    for (seq, value, verdict) in cases {
        assert_eq!(judge(Some((seq, value)), &offered), verdict, "{seq}");
    }
    assert_eq!(judge(None, &offered), Verdict::New);
}

#[test]
fn values_that_are_no_torrent_are_told_apart() {
    let string = |bytes: &[u8]| [format!("{}:", bytes.len()).as_bytes(), bytes].concat();
    for length in [0, 19, 21] {
        let value = [&b"d2:ih"[..], &string(&vec![1; length]), b"e"].concat();
        assert_eq!(meaning(&value), Meaning::Other, "ih of {length} bytes");
    }
    for other in [
        &b"d5:titlei1ee"[..],
        b"d2:ihi1ee",
        b"le",
        b"i1e",
        b"0:",
        b"nonsense",
    ] {
        assert_eq!(meaning(other), Meaning::Other);
    }
    // Keys nobody knows are no obstacle (BEP 46).
    let more = [&b"d2:ih20:"[..], &[7; 20], b"5:title4:homee"].concat();
    assert_eq!(meaning(&more), Meaning::Torrent(InfoHash([7; 20])));
    // A pkarr packet: a DNS response without question and with one answer.
    let dns = [
        &b"\x00\x00\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00"[..],
        b"\x01a\x00\x00\x10",
    ]
    .concat();
    assert_eq!(meaning(&string(&dns)), Meaning::Packet(dns.clone()));
    assert_eq!(meaning(&string(&dns[..11])), Meaning::Other);
    assert_eq!(
        meaning(&string(b"just a sentence of some length")),
        Meaning::Other
    );
}

#[test]
fn a_file_holds_the_whole_record_and_what_is_no_record_is_refused() {
    let item = salted();
    let file = item.encode();
    assert!(
        file.starts_with(b"d1:k32:") && bencode::parse(&file).is_ok(),
        "sorted"
    );
    assert_eq!(Mutable::decode(&file), Ok(item.clone()));
    // Files of other programs have no salt, and keys in any order.
    let foreign = |seq: &str, k: &[u8], sig: &[u8]| {
        let text = |bytes: &[u8]| [format!("{}:", bytes.len()).as_bytes(), bytes].concat();
        let parts: [&[u8]; 9] = [
            b"d1:v",
            &item.value,
            b"3:seqi",
            seq.as_bytes(),
            b"e1:k",
            &text(k),
            b"3:sig",
            &text(sig),
            b"e",
        ];
        parts.concat()
    };
    let plain = Mutable::sign(&secret(), b"", 1, &item.value).expect("within the rules");
    let file = foreign("1", &plain.key.0, &plain.sig);
    assert_eq!(Mutable::decode(&file), Ok(plain.clone()));
    for (seq, k, sig) in [
        ("9223372036854775808", &plain.key.0[..], &plain.sig[..]),
        ("1", &plain.key.0[..31], &plain.sig[..]),
        ("1", &plain.key.0[..], &plain.sig[..63]),
        ("", &plain.key.0[..], &plain.sig[..]),
    ] {
        assert_eq!(Mutable::decode(&foreign(seq, k, sig)), Err(Error::Shape));
    }
    let negative = foreign("-1", &plain.key.0, &plain.sig);
    assert_eq!(Mutable::decode(&negative), Err(Error::Seq));
    for no_record in [&b""[..], b"de", b"le", b"d1:k0:e", &file[..file.len() - 1]] {
        assert_eq!(Mutable::decode(no_record), Err(Error::Shape));
    }
}

#[test]
fn old_keys_are_read_in_both_forms_and_a_wrong_public_key_is_noticed() {
    let (seed, other) = ([0x42; 32], SecretKey::from_seed([9; 32]).public());
    let key = SecretKey::from_seed(seed);
    let public = key.public();
    let both = [&seed[..], &public.0].concat();
    for bytes in [&seed[..], &both] {
        let read = SecretKey::from_bytes(bytes, None).expect("a key");
        assert_eq!((read.public(), read.seed()), (public, Some(&seed)));
        assert!(SecretKey::from_bytes(bytes, Some(&public)).is_some());
        assert!(SecretKey::from_bytes(bytes, Some(&other)).is_none());
    }
    let expanded = hex(&vectors()["bep44"]["private_expanded"]);
    let read = SecretKey::from_bytes(&expanded, None).expect("a key");
    assert_eq!(read.seed(), None, "its seed cannot be computed back");
    assert!(SecretKey::from_bytes(&expanded, Some(&other)).is_none());
    for length in [0, 31, 33, 63, 65] {
        assert!(SecretKey::from_bytes(&vec![1; length], None).is_none());
    }
}

/// Any bencoded value, small.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
    ];
    let tree = leaf.prop_recursive(3, 12, 4, |inner| {
        let key = prop::collection::vec(any::<u8>(), 0..6);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map(key, inner, 0..4).prop_map(Value::dict),
        ]
    });
    tree.prop_map(|value| value.encode())
        .prop_filter("fits", |value| value.len() <= VALUE_MAX)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_record_survives_its_file(
        seed in any::<[u8; 32]>(),
        salt in prop::collection::vec(any::<u8>(), 0..=SALT_MAX),
        seq in 0..=i64::MAX,
        value in value(),
    ) {
        let item = Mutable::sign(&SecretKey::from_seed(seed), &salt, seq, &value).expect("within the rules");
        prop_assert_eq!(item.check(), Ok(()));
        prop_assert_eq!(Mutable::decode(&item.encode()), Ok(item));
    }

    #[test]
    fn no_file_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), at in any::<usize>(), with in any::<u8>()) {
        let _ = Mutable::decode(&bytes);
        let _ = meaning(&bytes);
        let mut file = salted().encode();
        let length = file.len();
        file[at % length] = with;
        if let Ok(read) = Mutable::decode(&file) {
            prop_assert_eq!(read.check(), Ok(()));
        }
    }
}
