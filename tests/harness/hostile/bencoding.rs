//! Broken bencoding, alone and inside a torrent, and files that are something else.

use super::{Case, Expect, changed, torrent};

/// Values no reader may take, whatever is around them.
const BROKEN: &[&[u8]] = &[
    b"i",
    b"ie",
    b"i-",
    b"i-e",
    b"i-0e",
    b"i00e",
    b"i01e",
    b"i-01e",
    b"i+1e",
    b"i 1e",
    b"i1 e",
    b"i1.0e",
    b"i1e3",
    b"i0x10e",
    b"i1_0e",
    b"i--1e",
    b"i1-e",
    b"i\xd9\xa1e",
    b"i9223372036854775808e",
    b"i-9223372036854775809e",
    b"i99999999999999999999999999999999999999999999e",
    b"i1",
    b"-1:a",
    b"+1:a",
    b"01:a",
    b"00:",
    b":a",
    b"1a",
    b"1 :a",
    b"1",
    b"0",
    b"2:a",
    b"4294967295:a",
    b"4294967296:a",
    b"2147483648:a",
    b"9223372036854775807:a",
    b"9223372036854775808:a",
    b"18446744073709551615:a",
    b"18446744073709551616:a",
    b"99999999999999999999999:a",
    b"0x1:a",
    b"1e:a",
    b"l",
    b"li1e",
    b"l1:a",
    b"lle",
    b"d",
    b"d1:a",
    b"d1:ae",
    b"d1:ai1e",
    b"di1e1:ae",
    b"dle1:ae",
    b"dde1:ae",
    b"d1:ai1e1:b",
    b"d1:ai1ei2ee",
    b"e",
    b"x",
    b"-",
    b":",
    b"\0",
    b" i1e",
    b"\xff",
];

/// Files of other kinds that end up where torrents are expected.
const FOREIGN: &[(&str, &[u8])] = &[
    ("nothing", b""),
    ("a page", b"<!doctype html><title>404 Not Found</title>"),
    ("json", b"{\"info\":{\"name\":\"x\"}}"),
    ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"),
    ("a picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    ("a byte order mark", b"\xef\xbb\xbfd4:infodee"),
    ("utf-16", b"d\x004\0:\0i\0n\0f\0o\0"),
    (
        "a magnet",
        b"magnet:?xt=urn:btih:951ead31d09e4049fc1f21f137e233dd0589fcbd",
    ),
    ("an integer", b"i1e"),
    ("a string", b"4:info"),
    ("a list", b"l4:infodee"),
    ("an empty dictionary", b"de"),
    (
        "a KRPC message",
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
    ),
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, bytes) in FOREIGN {
        cases.push(Case::new(
            format!("{name} instead of a torrent"),
            Expect::Refused,
            || bytes.to_vec(),
        ));
    }
    for broken in BROKEN {
        let shown = broken.escape_ascii().to_string();
        cases.push(Case::new(format!("{shown} alone"), Expect::Refused, || {
            broken.to_vec()
        }));
        // An unknown key is no excuse: what cannot be read has no end.
        cases.push(Case::new(
            format!("{shown} before the info"),
            Expect::Refused,
            || [b"d1:a", *broken, b"4:info", &changed(&[]).encode(), b"e"].concat(),
        ));
    }
    cases.extend(around());
    let whole = torrent(&changed(&[]));
    for end in (0..whole.len()).step_by(4) {
        let cut = whole[..end].to_vec();
        cases.push(Case::new(
            format!("cut off after {end} bytes"),
            Expect::Refused,
            move || cut.clone(),
        ));
    }
    cases
}

/// What stands around or beside a sound torrent.
fn around() -> Vec<Case> {
    let whole = || torrent(&changed(&[]));
    let info = || changed(&[]).encode();
    vec![
        Case::new("the sound torrent", Expect::Opens, whole),
        Case::new("a newline after it", Expect::Refused, move || {
            [&whole()[..], b"\n"].concat()
        }),
        Case::new("a second torrent after it", Expect::Refused, move || {
            whole().repeat(2)
        }),
        Case::new("a space before it", Expect::Refused, move || {
            [b" ", &whole()[..]].concat()
        }),
        Case::new("the info dictionary alone", Expect::Refused, info),
        Case::new("the info twice", Expect::Refused, move || {
            [b"d4:info", &info()[..], b"4:info", &info()[..], b"e"].concat()
        }),
        Case::new("keys in the wrong order", Expect::Opens, move || {
            [b"d4:info", &info()[..], b"8:announce10:http://a/be"].concat()
        }),
        Case::new("an unknown key twice", Expect::Opens, move || {
            [b"d1:ai1e1:ai2e4:info", &info()[..], b"e"].concat()
        }),
        Case::new("an empty key", Expect::Opens, move || {
            [b"d0:i1e4:info", &info()[..], b"e"].concat()
        }),
    ]
}
