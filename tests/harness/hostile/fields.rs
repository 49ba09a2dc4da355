//! Fields of the wrong kind, size or number.

use proto::bencode::Value;

use super::{Case, Expect, changed, file, torrent};

fn case(name: impl Into<String>, expect: Expect, changes: Vec<(&'static str, Option<Value>)>) -> Case {
    let bytes = torrent(&changed(&changes));
    Case::new(name, expect, move || bytes.clone())
}

fn refused(name: impl Into<String>, changes: Vec<(&'static str, Option<Value>)>) -> Case {
    case(name, Expect::Refused, changes)
}

pub fn cases() -> Vec<Case> {
    let mut cases = kinds();
    cases.extend(entry_kinds());
    cases.extend(numbers());
    cases.extend(sums());
    cases.extend(twice());
    cases.extend(attributes());
    cases.extend(versions());
    cases.extend(hints());
    cases
}

/// One value of each kind.
fn wrong() -> [Value; 4] {
    [
        Value::Int(3),
        Value::text("abc"),
        Value::List(vec![]),
        Value::dict([("a", Value::Int(1))]),
    ]
}

/// Each field missing, and as each kind it is not.
fn kinds() -> Vec<Case> {
    let mut cases = Vec::new();
    for key in ["files", "piece length", "pieces"] {
        cases.push(refused(format!("no {key}"), vec![(key, None)]));
    }
    cases.push(case(
        "a folder without a name",
        Expect::Opens,
        vec![("name", None)],
    ));
    cases.push(case(
        "a folder with an empty name",
        Expect::Opens,
        vec![("name", Some(Value::text("")))],
    ));
    for key in ["files", "piece length", "pieces", "name", "attr"] {
        let multi = key != "attr";
        for (kind, value) in ["int", "string", "list", "dictionary"].iter().zip(wrong()) {
            let right = matches!((key, *kind), ("name" | "attr", "string"));
            let mut changes = vec![(key, Some(value))];
            if !multi {
                changes.extend([("files", None), ("length", Some(Value::Int(51)))]);
            }
            if !right {
                cases.push(refused(format!("{key} as {kind}"), changes));
            }
        }
    }
    for value in wrong().into_iter().skip(1) {
        cases.push(refused(
            "length of another kind",
            vec![("files", None), ("length", Some(value))],
        ));
    }
    cases
}

/// The same for the entries of `files`.
fn entry_kinds() -> Vec<Case> {
    let mut cases = Vec::new();
    for key in ["length", "path", "path.utf-8", "attr"] {
        for value in wrong() {
            let right = matches!(
                (key, &value),
                ("length", Value::Int(_)) | ("attr", Value::Bytes(_))
            );
            let mut entry = vec![
                ("length", Value::Int(51)),
                ("path", Value::List(vec![Value::text("a")])),
            ];
            entry.retain(|(k, _)| *k != key);
            entry.push((key, value));
            // Three bytes, an empty path: nothing is right about any of these but the two right kinds.
            if !right {
                let files = Value::List(vec![Value::dict(entry)]);
                cases.push(refused(
                    format!("{key} of a file of another kind"),
                    vec![("files", Some(files))],
                ));
            }
        }
    }
    for entry in wrong() {
        cases.push(refused(
            "a file of another kind",
            vec![("files", Some(Value::List(vec![entry])))],
        ));
    }
    for part in [
        Value::Int(1),
        Value::List(vec![]),
        Value::dict([("a", Value::Int(1))]),
    ] {
        let path = Value::List(vec![Value::text("a"), part]);
        let files = Value::List(vec![Value::dict([("length", Value::Int(51)), ("path", path)])]);
        cases.push(refused(
            "a component of another kind",
            vec![("files", Some(files))],
        ));
    }
    cases
}

fn numbers() -> Vec<Case> {
    let mut cases = Vec::new();
    let bad = [
        0,
        -1,
        1,
        15,
        1_023,
        (64 << 20) + 1,
        1 << 31,
        1 << 32,
        (1 << 32) + 16_384,
        1 << 62,
        i64::MAX,
        i64::MIN,
    ];
    for length in bad {
        cases.push(refused(
            format!("a piece length of {length}"),
            vec![("piece length", Some(Value::Int(length)))],
        ));
    }
    for length in [1_024, 16_383, 16_385, 64 << 20] {
        let changes = vec![("piece length", Some(Value::Int(length)))];
        cases.push(case(
            format!("an odd piece length of {length}"),
            Expect::Opens,
            changes,
        ));
    }
    for bytes in [0usize, 1, 19, 21, 39, 40, 41, 60, 20_000] {
        let changes = vec![("pieces", Some(Value::bytes(vec![1; bytes])))];
        cases.push(refused(format!("{bytes} bytes of hashes for one piece"), changes));
    }
    for length in [-1, 0, i64::MIN, i64::MAX, 1 << 62, 1 << 53, 1 << 40, 16_385] {
        let single = vec![("files", None), ("length", Some(Value::Int(length)))];
        cases.push(refused(format!("a single file of {length} bytes"), single));
        let files = Value::List(vec![file(&["a"], 38), file(&["b"], length)]);
        let expect = if length == 0 {
            Expect::Opens
        } else {
            Expect::Refused
        };
        cases.push(case(
            format!("a file of {length} bytes"),
            expect,
            vec![("files", Some(files))],
        ));
    }
    cases
}

/// Lengths that only go wrong together.
fn sums() -> Vec<Case> {
    let list = |lengths: &[i64]| {
        let names: Vec<String> = (0..lengths.len()).map(|n| n.to_string()).collect();
        let files = lengths.iter().zip(&names).map(|(l, n)| file(&[n], *l)).collect();
        vec![("files", Some(Value::List(files)))]
    };
    let mut cases = vec![
        refused("sums over 2^63", list(&[i64::MAX, 1])),
        refused("sums over 2^64", list(&[i64::MAX, i64::MAX, 2])),
        refused("sums over 2^64 to 51", list(&[i64::MAX, i64::MAX, 53])),
        refused("sums over 2^62", list(&[1 << 61, 1 << 61])),
        refused("a negative length that makes the sum right", list(&[100, -49])),
        refused("nothing but empty files", list(&[0, 0, 0])),
        refused("no files", list(&[])),
        case(
            "many empty files beside one",
            Expect::Opens,
            list(&[0, 0, 51, 0, 0]),
        ),
        case("a file of one byte", Expect::Opens, list(&[1])),
    ];
    let both = vec![("length", Some(Value::Int(51)))];
    cases.push(refused("a single file and a folder at once", both));
    cases.push(refused("neither a file nor a folder", vec![("files", None)]));
    cases.push(refused(
        "a single file without a name",
        vec![("files", None), ("name", None), ("length", Some(Value::Int(51)))],
    ));
    cases
}

/// A key twice, so that two readers could see two torrents.
fn twice() -> Vec<Case> {
    let info = changed(&[]).encode();
    let again: [(&str, &[u8]); 6] = [
        ("files", b"5:filesld6:lengthi51e4:pathl1:xeee"),
        ("name", b"4:name4:evil"),
        ("piece length", b"12:piece lengthi32768e"),
        ("pieces", b"6:pieces20:abcdefghijabcdefghij"),
        ("private", b"7:privatei0e7:privatei1e"),
        ("length", b"6:lengthi51e6:lengthi51e"),
    ];
    let mut cases: Vec<Case> = again
        .into_iter()
        .map(|(key, entry)| {
            let doubled = [&info[..info.len() - 1], entry, b"e"].concat();
            let bytes = [b"d4:info", &doubled[..], b"e"].concat();
            Case::new(format!("{key} twice"), Expect::Refused, move || bytes.clone())
        })
        .collect();
    for entry in [
        "6:lengthi51e6:lengthi1e4:pathl1:ae",
        "6:lengthi51e4:pathl1:ae4:pathl2:..e",
        "4:attr1:x4:attr1:l6:lengthi51e4:pathl1:ae",
    ] {
        let files = Value::Raw(format!("ld{entry}ee").into_bytes());
        cases.push(refused("a field of a file twice", vec![("files", Some(files))]));
    }
    cases
}

/// BEP 47.
fn attributes() -> Vec<Case> {
    let with = |attr: &str, extra: Option<(&'static str, Value)>| {
        let mut entry = vec![
            ("attr", Value::text(attr)),
            ("length", Value::Int(13)),
            ("path", Value::List(vec![Value::text("a")])),
        ];
        entry.extend(extra);
        let list = Value::List(vec![file(&["index.html"], 38), Value::dict(entry)]);
        vec![("files", Some(list))]
    };
    let target = || Value::List(vec![Value::text(".."), Value::text("etc"), Value::text("passwd")]);
    let mut cases = vec![
        refused(
            "a symbolic link with a target",
            with("l", Some(("symlink path", target()))),
        ),
        refused(
            "a link's target without its attribute",
            with("", Some(("symlink path", target()))),
        ),
        refused(
            "a link's target that is a number",
            with("", Some(("symlink path", Value::Int(1)))),
        ),
        case("an executable", Expect::Opens, with("x", None)),
        case("a hidden file", Expect::Opens, with("h", None)),
        case("a pad file", Expect::Opens, with("p", None)),
        case(
            "attributes nobody knows",
            Expect::Opens,
            with("qwz!\u{1F600}", None),
        ),
        case(
            "an attribute of a thousand letters",
            Expect::Opens,
            with(&"x".repeat(1_000), None),
        ),
    ];
    for attr in ["l", "xl", "lx", "pl", "hxl", "lll"] {
        cases.push(refused(
            format!("a symbolic link with the attributes {attr}"),
            with(attr, None),
        ));
    }
    let single = |attr: &str| {
        vec![
            ("files", None),
            ("length", Some(Value::Int(51))),
            ("attr", Some(Value::text(attr))),
        ]
    };
    cases.push(refused("a single file that is a symbolic link", single("l")));
    cases.push(refused("a single file that is a pad", single("p")));
    let pad = |n: i64| {
        Value::dict([
            ("attr", Value::text("p")),
            ("length", Value::Int(n)),
            ("path", Value::List(vec![Value::text(".pad")])),
        ])
    };
    cases.push(refused(
        "nothing but pads",
        vec![("files", Some(Value::List(vec![pad(20), pad(31)])))],
    ));
    cases.push(case(
        "pads with one name",
        Expect::Opens,
        vec![(
            "files",
            Some(Value::List(vec![pad(20), file(&["a"], 1), pad(30)])),
        )],
    ));
    cases.push(refused(
        "a pad of 2^62 bytes",
        vec![("files", Some(Value::List(vec![file(&["a"], 1), pad(1 << 62)])))],
    ));
    cases
}

/// BEP 52.
fn versions() -> Vec<Case> {
    let leaf = Value::dict([(
        "",
        Value::dict([("length", Value::Int(51)), ("pieces root", Value::bytes([9; 32]))]),
    )]);
    let tree = Value::dict([("a", leaf)]);
    let v2 = |files: bool, pieces: bool, version: i64| {
        let mut changes = vec![
            ("file tree", Some(tree.clone())),
            ("meta version", Some(Value::Int(version))),
        ];
        changes.extend((!files).then_some(("files", None)));
        changes.extend((!pieces).then_some(("pieces", None)));
        changes
    };
    vec![
        refused("a v2-only torrent", v2(false, false, 2)),
        refused("a v3-only torrent", v2(false, false, 3)),
        refused("a hybrid without pieces", v2(true, false, 2)),
        refused("a hybrid without files", v2(false, true, 2)),
        case("a hybrid", Expect::Opens, v2(true, true, 2)),
        case(
            "a meta version of 2 without a tree",
            Expect::Opens,
            vec![("meta version", Some(Value::Int(2)))],
        ),
        case("a meta version of -1", Expect::Opens, v2(true, true, -1)),
        case(
            "a meta version that is text",
            Expect::Opens,
            vec![("meta version", Some(Value::text("2")))],
        ),
        case(
            "a private that is text",
            Expect::Opens,
            vec![("private", Some(Value::text("yes")))],
        ),
        case(
            "a private of 2^63-1",
            Expect::Opens,
            vec![("private", Some(Value::Int(i64::MAX)))],
        ),
    ]
}

/// Trackers, web seeds and comments: never a reason to refuse, never taken unchecked.
fn hints() -> Vec<Case> {
    let urls = [
        "",
        "http",
        "http://",
        "http://\n/",
        "http://a b/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:,x",
        "http://127.0.0.1:22/",
        "http://[::1]/",
        "udp://169.254.169.254:80",
        "HTTP://UPPER/",
        "http://\u{202e}x/",
        "gopher://x/",
        "http://a/\0",
        "wss://t.example/",
        "//x/",
        "http:x",
        "\u{7f}",
    ];
    let mut cases = Vec::new();
    let values = |url: &str| {
        let text = Value::text(url);
        let tiers = Value::List(vec![Value::List(vec![text.clone()]), text.clone(), Value::Int(1)]);
        [
            ("announce", text.clone()),
            ("announce-list", tiers),
            ("url-list", Value::List(vec![text, Value::Int(2)])),
        ]
    };
    for url in urls
        .iter()
        .map(|u| (*u).to_owned())
        .chain([format!("http://{}/", "x".repeat(9_000))])
    {
        let mut entries = vec![("info", changed(&[]))];
        entries.extend(values(&url));
        let bytes = Value::dict(entries).encode();
        let shown: String = url.escape_debug().take(40).collect();
        cases.push(Case::new(
            format!("\"{shown}\" as tracker and web seed"),
            Expect::Opens,
            move || bytes.clone(),
        ));
    }
    for key in [
        "announce",
        "announce-list",
        "url-list",
        "comment",
        "created by",
        "nodes",
        "httpseeds",
        "creation date",
    ] {
        for value in [
            Value::Int(-1),
            Value::bytes([0xff, 0, 27]),
            Value::List(vec![Value::List(vec![])]),
            Value::dict([("a", Value::Int(1))]),
        ] {
            let bytes = Value::dict([("info", changed(&[])), (key, value)]).encode();
            cases.push(Case::new(
                format!("{key} of another kind"),
                Expect::Opens,
                move || bytes.clone(),
            ));
        }
    }
    cases
}
