//! Names that climb, end early, hide, collide or do not fit.

use proto::bencode::Value;

use super::{Case, Expect, changed, torrent};

/// Components that must not open anywhere.
fn unsafe_parts() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 37] = [
        b".",
        b"..",
        b"/",
        b"//",
        b"/etc/passwd",
        b"../x",
        b"../../../../etc/passwd",
        b"a/../b",
        b"a/b",
        b"a/",
        b"./a",
        b"\\",
        b"..\\x",
        b"C:\\Windows\\x",
        b"\\\\server\\share",
        b"\\\\?\\C:\\x",
        b"a\\b",
        b"\0",
        b"a\0",
        b"\0a",
        b"a\0.html",
        b"..\0",
        b"\n",
        b"a\nb",
        b"\r",
        b"\t",
        b"\x01",
        b"\x08",
        b"\x1b[2J",
        b"\x1b]0;x\x07",
        b"\x7f",
        b"a\x7f",
        b"\xc2\x80",
        b"\xc2\x9b2J",
        b"\xc2\x85",
        b"\xff/..",
        b"\xc0\xae/",
    ];
    let mut parts: Vec<Vec<u8>> = texts.iter().map(|t| t.to_vec()).collect();
    parts.extend([256usize, 257, 1_000, 4_096, 65_536].map(|n| vec![b'a'; n]));
    parts.push("ä".repeat(128).into_bytes());
    parts
}

/// Components that look bad and are ordinary names here.
fn odd_parts() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 44] = [
        b"...",
        b"....",
        b" ",
        b"  ",
        b". ",
        b".. ",
        b" ..",
        b"..x",
        b"x..",
        b"~",
        b"~root",
        b"-rf",
        b"*",
        b"?",
        b"|",
        b"$(id)",
        b"`id`",
        b"%2e%2e",
        b"..%2f",
        b"%00",
        b"<img src=x onerror=alert(1)>",
        b"a\"b",
        b"'",
        b";",
        b"&",
        b"CON",
        b"con.txt",
        b"NUL",
        b"nul.html",
        b"COM1",
        b"LPT9.x",
        b"AUX",
        b"C:",
        b"a:b",
        b"a::$DATA",
        b"a.",
        b"a ",
        b"desktop.ini",
        b".htaccess",
        b".git",
        b"\xff",
        b"\xfe\xff",
        b"\xc0\xae\xc0\xae",
        b"\xed\xa0\x80",
    ];
    let mut parts: Vec<Vec<u8>> = texts.iter().map(|t| t.to_vec()).collect();
    let unicode = [
        "\u{202e}gpj.exe",
        "\u{feff}",
        "\u{200b}",
        "．．",
        "‥",
        "∕",
        "⧵",
        "İ",
        "ﬁ",
        "e\u{301}",
        "\u{1F600}",
        "\u{fffd}",
        "\u{2028}",
    ];
    parts.extend(unicode.iter().map(|t| t.as_bytes().to_vec()));
    parts.extend([vec![b'a'; 255], vec![0xff; 255], "ä".repeat(127).into_bytes()]);
    parts
}

fn shown(part: &[u8]) -> String {
    let text: String = part[..part.len().min(24)].escape_ascii().to_string();
    if part.len() > 24 {
        format!("{text}… ({} bytes)", part.len())
    } else {
        text
    }
}

fn path(parts: &[&[u8]]) -> Value {
    Value::List(parts.iter().map(|part| Value::bytes(*part)).collect())
}

/// A folder of files with these paths; the first has all 51 bytes.
fn folder(paths: &[Vec<&[u8]>]) -> Vec<u8> {
    let entry = |(n, parts): (usize, &Vec<&[u8]>)| {
        Value::dict([
            ("length", Value::Int(if n == 0 { 51 } else { 0 })),
            ("path", path(parts)),
        ])
    };
    let files = paths.iter().enumerate().map(entry).collect();
    torrent(&changed(&[("files", Some(Value::List(files)))]))
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for part in unsafe_parts() {
        cases.extend(everywhere(&part, Expect::Refused));
    }
    for part in odd_parts() {
        cases.extend(everywhere(&part, Expect::Opens));
    }
    cases.extend(nothing());
    cases.extend(collisions());
    cases.extend(depths());
    cases
}

/// One component in each place a name can stand.
fn everywhere(part: &[u8], expect: Expect) -> Vec<Case> {
    let single = changed(&[
        ("files", None),
        ("length", Some(Value::Int(51))),
        ("name", Some(Value::bytes(part))),
    ]);
    let utf8 = Value::dict([
        ("length", Value::Int(51)),
        ("path", path(&[b"fine"])),
        ("path.utf-8", path(&[part])),
    ]);
    let named = changed(&[("name.utf-8", Some(Value::bytes(part)))]);
    let places = [
        ("a file's name", torrent(&single)),
        (
            "the folder's name",
            torrent(&changed(&[("name", Some(Value::bytes(part)))])),
        ),
        ("the folder's name.utf-8", torrent(&named)),
        ("the only component", folder(&[vec![part]])),
        ("the first component", folder(&[vec![part, b"x"]])),
        ("the last component", folder(&[vec![b"x", part]])),
        (
            "path.utf-8 beside a fine path",
            torrent(&changed(&[("files", Some(Value::List(vec![utf8])))])),
        ),
    ];
    let make = |(place, bytes): (&str, Vec<u8>)| {
        Case::new(format!("{} as {place}", shown(part)), expect, move || {
            bytes.clone()
        })
    };
    places.into_iter().map(make).collect()
}

/// Components and paths that are empty.
fn nothing() -> Vec<Case> {
    let made = |name: &str, bytes: Vec<u8>| Case::new(name, Expect::Refused, move || bytes.clone());
    let single = changed(&[
        ("files", None),
        ("length", Some(Value::Int(51))),
        ("name", Some(Value::text(""))),
    ]);
    vec![
        made("an empty path", folder(&[vec![]])),
        made("an empty component", folder(&[vec![b""]])),
        made(
            "an empty first component",
            folder(&[vec![b"", b"etc", b"passwd"]]),
        ),
        made("an empty last component", folder(&[vec![b"a", b""]])),
        made("an empty component within", folder(&[vec![b"a", b"", b"b"]])),
        made("nothing but empty components", folder(&[vec![b"", b"", b""]])),
        made("a file with an empty name", torrent(&single)),
    ]
}

fn collisions() -> Vec<Case> {
    let made = |name: &str, expect, bytes: Vec<u8>| Case::new(name, expect, move || bytes.clone());
    let opens = |name: &str, bytes| made(name, Expect::Opens, bytes);
    let refused = |name: &str, bytes| made(name, Expect::Refused, bytes);
    vec![
        refused("a file that is a folder", folder(&[vec![b"a"], vec![b"a", b"b"]])),
        refused("a folder that is a file", folder(&[vec![b"a", b"b"], vec![b"a"]])),
        refused(
            "a file far above another",
            folder(&[vec![b"a", b"b", b"c", b"d"], vec![b"x"], vec![b"a", b"b"]]),
        ),
        refused(
            "a folder that is two files",
            folder(&[vec![b"a", b"b"], vec![b"a"], vec![b"a"]]),
        ),
        refused(
            "a file and a folder told apart by broken UTF-8 only",
            folder(&[vec![b"\xff"], vec![b"\xfe", b"b"]]),
        ),
        opens(
            "neighbours that sort between",
            folder(&[vec![b"a"], vec![b"a!"], vec![b"a b", b"c"]]),
        ),
        opens(
            "the same path twice",
            folder(&[vec![b"a", b"b.html"], vec![b"a", b"b.html"]]),
        ),
        opens(
            "the same path thrice",
            folder(&[vec![b"a"], vec![b"a"], vec![b"a"]]),
        ),
        opens(
            "the same path and the name it would get",
            folder(&[vec![b"a"], vec![b"a"], vec![b"a~1"], vec![b"a~1~"]]),
        ),
        opens(
            "paths that differ in broken UTF-8 only",
            folder(&[vec![b"\xff"], vec![b"\xfe"], vec![b"_"]]),
        ),
        opens(
            "paths that differ in case only",
            folder(&[vec![b"a"], vec![b"A"], vec![b"\xc3\xa4"], vec![b"\xc3\x84"]]),
        ),
        opens(
            "a file and a folder that differ in case",
            folder(&[vec![b"a"], vec![b"A", b"b"]]),
        ),
        opens(
            "paths that differ in composition only",
            folder(&[vec!["é".as_bytes()], vec!["e\u{301}".as_bytes()]]),
        ),
        opens(
            "the longest name twice",
            folder(&[vec![&[b'a'; 255]], vec![&[b'a'; 255]]]),
        ),
        opens(
            "the longest ending twice",
            folder(&[vec![b"a.bbbbbbbbbbbbbbbbbbb"], vec![b"a.bbbbbbbbbbbbbbbbbbb"]]),
        ),
    ]
}

fn depths() -> Vec<Case> {
    [
        (64, Expect::Opens),
        (65, Expect::Refused),
        (1_000, Expect::Refused),
        (100_000, Expect::Refused),
    ]
    .into_iter()
    .map(|(depth, expect)| {
        Case::new(format!("{depth} components"), expect, move || {
            folder(&[vec![b"a"; depth]])
        })
    })
    .chain([
        Case::new("3 KiB of path", Expect::Opens, || {
            folder(&[vec![&[b'a'; 95]; 32]])
        }),
        Case::new("4 KiB of path", Expect::Refused, || {
            folder(&[vec![&[b'a'; 255]; 16]])
        }),
    ])
    .collect()
}
