//! Small or large files that want much time or memory.

use proto::bencode::Value;

use super::{Case, Expect, changed, torrent};

const METADATA_MAX: usize = 4 << 20;

/// A torrent whose `files` list is these bytes; they end with the file that holds all 51 bytes.
fn listed(entries: &[u8]) -> Vec<u8> {
    let files = [b"l", entries, b"d6:lengthi51e4:pathl5:~lasteee"].concat();
    torrent(&changed(&[("files", Some(Value::Raw(files)))]))
}

fn repeated(count: usize, entry: impl Fn(usize) -> String) -> Vec<u8> {
    let mut all = Vec::new();
    for n in 0..count {
        all.extend_from_slice(entry(n).as_bytes());
    }
    listed(&all)
}

fn empty_file(name: &str) -> String {
    format!("d6:lengthi0e4:pathl{}:{name}ee", name.len())
}

/// A key of the outermost dictionary that comes before `info`.
fn before_info(value: &[u8]) -> Vec<u8> {
    [b"d1:a", value, b"4:info", &changed(&[]).encode(), b"e"].concat()
}

pub fn cases() -> Vec<Case> {
    let mut cases = nests();
    cases.extend(floods());
    cases.extend(lists());
    for length in [1u64 << 20, 1 << 31, 1 << 32, 1 << 62] {
        cases.push(Case::new(
            format!("a name of {length} bytes that never come"),
            Expect::Refused,
            move || format!("d4:infod4:name{length}:").into_bytes(),
        ));
        cases.push(Case::new(
            format!("hashes of {length} bytes that never come"),
            Expect::Refused,
            move || format!("d4:infod4:name1:a12:piece lengthi16384e6:pieces{length}:").into_bytes(),
        ));
    }
    cases
}

fn nests() -> Vec<Case> {
    let mut cases = Vec::new();
    for depth in [63usize, 66, 1_000, 100_000, 2_000_000] {
        let expect = if depth < 64 {
            Expect::Opens
        } else {
            Expect::Refused
        };
        cases.push(Case::new(format!("lists {depth} deep"), expect, move || {
            before_info(&[vec![b'l'; depth], vec![b'e'; depth]].concat())
        }));
        cases.push(Case::new(
            format!("dictionaries {depth} deep"),
            expect,
            move || before_info(&[b"d1:a".repeat(depth - 1), b"de".to_vec(), vec![b'e'; depth - 1]].concat()),
        ));
        cases.push(Case::new(
            format!("lists {depth} deep without an end"),
            Expect::Refused,
            move || vec![b'l'; depth],
        ));
    }
    cases
}

fn floods() -> Vec<Case> {
    let big =
        |name: &str, expect, value: fn() -> Vec<u8>| Case::new(name, expect, move || before_info(&value()));
    let list = |entry: &[u8], count: usize| [b"l", &entry.repeat(count)[..], b"e"].concat();
    vec![
        big("two million numbers", Expect::Opens, || {
            [b"l", &b"i0e".repeat(2_000_000)[..], b"e"].concat()
        }),
        big("four million empty lists", Expect::Opens, || {
            [b"l", &b"le".repeat(4_000_000)[..], b"e"].concat()
        }),
        big("a million keys", Expect::Opens, || {
            [b"d", &b"1:ai0e".repeat(1_000_000)[..], b"e"].concat()
        }),
        big("ten million bytes", Expect::Opens, || {
            [b"10000000:", &vec![0; 10_000_000][..]].concat()
        }),
        big("thirteen million bytes", Expect::Refused, || {
            [b"13000000:", &vec![0; 13_000_000][..]].concat()
        }),
        Case::new("a hundred thousand trackers", Expect::Opens, move || {
            let tiers = Value::Raw(list(b"l12:http://a.b/xe", 100_000));
            Value::dict([("announce-list", tiers), ("info", changed(&[]))]).encode()
        }),
        Case::new("a hundred thousand different web seeds", Expect::Opens, || {
            let seeds = (0..100_000)
                .map(|n| Value::text(&format!("http://a.b/{n}")))
                .collect();
            Value::dict([("info", changed(&[])), ("url-list", Value::List(seeds))]).encode()
        }),
        Case::new("a comment of 3 MB", Expect::Opens, || {
            Value::dict([
                ("comment", Value::bytes(vec![b'x'; 3_000_000])),
                ("info", changed(&[])),
            ])
            .encode()
        }),
        Case::new("an unknown key of 4 MiB in the info", Expect::Refused, || {
            torrent(&changed(&[("x", Some(Value::bytes(vec![0; METADATA_MAX])))]))
        }),
        Case::new(
            "an unknown key of nearly 4 MiB in the info",
            Expect::Opens,
            || {
                torrent(&changed(&[(
                    "x",
                    Some(Value::bytes(vec![0; METADATA_MAX - 1_000])),
                )]))
            },
        ),
        Case::new("an info of nested lists up to its limit", Expect::Opens, || {
            let nest = [vec![b'l'; 50], vec![b'e'; 50]].concat().repeat(40_000);
            torrent(&changed(&[(
                "x",
                Some(Value::Raw([b"l", &nest[..], b"e"].concat())),
            )]))
        }),
    ]
}

/// As many files and names as fit.
fn lists() -> Vec<Case> {
    vec![
        Case::new("130,000 files", Expect::Opens, || {
            repeated(130_000, |n| empty_file(&format!("{n:x}")))
        }),
        Case::new("130,000 files in reverse order", Expect::Opens, || {
            repeated(130_000, |n| empty_file(&format!("{:x}", 999_999 - n)))
        }),
        Case::new("200,001 files", Expect::Refused, || {
            repeated(200_001, |_| empty_file("a"))
        }),
        Case::new("150,000 files with one name", Expect::Opens, || {
            repeated(150_000, |_| empty_file("a"))
        }),
        Case::new("names put where a renamed file would go", Expect::Opens, || {
            repeated(130_000, |n| {
                if n % 2 == 0 {
                    empty_file("a")
                } else {
                    empty_file(&format!("a~{}", n * 2 % 130_000))
                }
            })
        }),
        Case::new("14,000 names of 255 bytes, in pairs", Expect::Opens, || {
            repeated(14_000, |n| {
                empty_file(&format!("{}{:05}", "a".repeat(250), n / 2))
            })
        }),
        Case::new("40 folders deep and 200 files each", Expect::Opens, || {
            repeated(8_000, |n| {
                let folders = "1:d".repeat(n / 200 % 40);
                format!("d6:lengthi0e4:pathl{folders}6:f{n:05}ee")
            })
        }),
        Case::new("100,000 pads", Expect::Opens, || {
            repeated(100_000, |_| "d4:attr1:p6:lengthi0e4:pathl1:pee".to_owned())
        }),
        Case::new("a million empty entries of the files", Expect::Refused, || {
            repeated(1_000_000, |_| "de".to_owned())
        }),
        Case::new("200,000 hashes", Expect::Opens, || {
            let pieces = 200_000;
            torrent(&changed(&[
                ("files", None),
                ("length", Some(Value::Int(pieces * 1_024))),
                ("piece length", Some(Value::Int(1_024))),
                ("pieces", Some(Value::bytes(vec![1; pieces as usize * 20]))),
            ]))
        }),
        Case::new("200,000 hashes of the largest pieces", Expect::Opens, || {
            let (pieces, length) = (200_000, 64 << 20);
            torrent(&changed(&[
                ("files", None),
                ("length", Some(Value::Int(pieces * length))),
                ("piece length", Some(Value::Int(length))),
                ("pieces", Some(Value::bytes(vec![1; pieces as usize * 20]))),
            ]))
        }),
        Case::new("300,000 hashes", Expect::Refused, || {
            torrent(&changed(&[("pieces", Some(Value::bytes(vec![1; 6_000_000])))]))
        }),
    ]
}
