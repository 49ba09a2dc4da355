//! What people paste: good links of every kind, the damage that chat programs, mail and hands do to them, and what was never
//! meant for us. The same list for the same seed.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

const HASH: &str = "951ead31d09e4049fc1f21f137e233dd0589fcbd";
const KEY: &str = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e";
const KEY36: &str = "3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m";
const KEY32: &str = "qvb5hzqrl4hzrskea55eje642vb6jhdtt7mzqvikd5quvm3o2y7a";
const KEYZ: &str = "oib783otmh83t1kry77rjr6h4ib6j8duu9c3oiekd7owic5q4a9y";
const V2: &str = "2vesxkooyo81zwg9fx247400tucvssgm2ux7a7q4n15emnikgh";

/// Every form that opens something; `%I`, `%K` are an infohash and a key in hexadecimal.
const GOOD: &[&str] = &[
    "%I",
    "%K",
    KEY32,
    KEYZ,
    "magnet:?xt=urn:btih:%I",
    "magnet:?xt=urn:btih:%I&dn=A+name%20with+spaces&tr=udp%3A%2F%2Ftracker.example%3A80&x.pe=192.0.2.1:6881",
    "magnet:?xt=urn:btih:supk2moqtzaet7a7ehytpyrt3ucyt7f5",
    "magnet:?xt.1=urn:btih:%I&xt.2=urn:btmh:1220%K",
    "magnet:?xt=urn:btmh:1220%K",
    "magnet:?xs=urn:btpk:%K",
    "magnet:?xs=urn:btpk:%K&s=6e",
    "magnet:?xt=urn:btih:%I&xs=urn:btpk:%K&s=626c6f67&dn=both",
    "magnet:?xt=urn:btih:%I&ws=http://seed.example/&as=https://seed.example/x&so=0,2,4-6",
    "bt://%I/",
    "bt://%K/a/b.html?c=d#e",
    "bittorrent://%I/docs/",
    "wtp://%I/",
    "wtp://example.org/",
    "web+btlink:%I-ih.btlink/",
    "urn:btih:%I",
    "http://%I-ih.btlink/",
    "https://%I-ih.btlink/a%20b/?q=1",
    "%I-ih.btlink",
    "http://3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m-pk.btlink/",
    "blog-3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m-pk.btlink/post/1",
    "a.b.3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m-pk.btlink",
    "00ff-3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m-pkx.btlink",
    "2vesxkooyo81zwg9fx247400tucvssgm2ux7a7q4n15emnikgh-ih.btlink",
    "%I-44.btlink",
    "en-wikipedia--on--ipfs-org-dl.btlink",
    "recipes.btlink",
    "hello.ih.bt",
    "n.3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m.pk.bt",
    "http://192.168.1.2/btih/%I/x",
    "http://granary.local/btpk/%K:6e/x",
    "/magnet:?xs=urn:btpk:%K",
    "example.org",
    "https://www.example.org/blog/?a=b#c",
];

/// What was never an address of ours.
const STRANGE: &[&str] = &[
    "",
    " ",
    "\t\r\n",
    "hello",
    "hello world, look at this!",
    "mailto:grandma@example.org",
    "javascript:alert(1)",
    "data:text/html,<b>x</b>",
    "file:///etc/passwd",
    "ftp://example.org/",
    "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
    "http://",
    "http:///",
    "http://[::1]/",
    "http://[::1",
    "http://127.0.0.1:22/",
    "http://169.254.169.254/latest/meta-data/",
    "http://user:password@example.org/",
    "http://%00/",
    "magnet:",
    "magnet:?",
    "magnet:?xt=",
    "magnet:?xt=urn:btih:",
    "magnet:?xt=urn:btih:zz",
    "magnet:?xs=urn:btpk:&s=",
    "magnet:?xt=urn:sha1:YNCKHTQCWBTRNJIV4WNAE52SJUQCZO5C",
    "btlink",
    ".btlink",
    "..btlink",
    "-.btlink",
    "-ih.btlink",
    "-pk.btlink",
    "wpad.btlink",
    "box.btlink",
    "admin.btlink",
    "a_b.btlink",
    "%2e%2e%2f",
    "../../etc/shadow",
    "'; DROP TABLE subscriptions; --",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "%s%s%s%n",
    "\0",
    "\u{feff}",
    "\u{202e}txt.exe",
    "\u{200b}",
    "💾🌾",
    "пример.рф",
    "xn--e1afmkfd.xn--p1ai",
    "مثال",
    "0",
    "-1",
    "18446744073709551616",
    "1e309",
    "null",
    "{\"paste\":1}",
    "[[[[",
    "d2:ih20:",
];

/// `count` lines; every good form and every strange one is among the first.
pub fn lines(seed: u64, count: usize) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut lines: Vec<String> = GOOD.iter().map(|form| filled(form, HASH, KEY)).collect();
    lines.extend(STRANGE.iter().map(|text| text.to_string()));
    while lines.len() < count {
        let line = one(&mut random);
        lines.push(line);
    }
    lines.truncate(count);
    lines
}

fn filled(form: &str, hash: &str, key: &str) -> String {
    form.replace("%I", hash).replace("%K", key)
}

fn one(random: &mut StdRng) -> String {
    let (hash, key): ([u8; 20], [u8; 32]) = (random.random(), random.random());
    let hex = data_encoding::HEXLOWER;
    let form = match random.random_range(0..10) {
        0..7 => pick(random, GOOD),
        7..9 => pick(random, STRANGE),
        _ => return noise(random),
    };
    // The fixed keys in most forms stay: their spelling is what is tried.
    let mut text = filled(form, &hex.encode(&hash), &hex.encode(&key));
    for _ in 0..random.random_range(0..3) {
        text = damaged(random, text);
    }
    text
}

fn pick<'a>(random: &mut StdRng, from: &[&'a str]) -> &'a str {
    from.choose(random).copied().unwrap_or_default()
}

fn noise(random: &mut StdRng) -> String {
    let length = match random.random_range(0..20) {
        0 => random.random_range(60_000..70_000),
        1..4 => random.random_range(200..3_000),
        _ => random.random_range(1..120),
    };
    let ascii = random.random_bool(0.5);
    let letter = |random: &mut StdRng| -> char {
        if ascii {
            return char::from(random.random_range(0x20..0x7f_u8));
        }
        char::from_u32(random.random_range(0..0x3000)).unwrap_or('\u{fffd}')
    };
    (0..length).map(|_| letter(random)).collect()
}

/// What hands, mail and chat programs do.
fn damaged(random: &mut StdRng, text: String) -> String {
    let letters: Vec<char> = text.chars().collect();
    let at = random.random_range(0..=letters.len());
    let (head, tail): (String, String) = (letters[..at].iter().collect(), letters[at..].iter().collect());
    match random.random_range(0..18) {
        0 => head,
        1 => tail,
        2 => format!("{head}{}", tail.chars().skip(1).collect::<String>()),
        3 => format!(
            "{head}{}{tail}",
            pick(
                random,
                &["\n", "\r\n", " ", "\u{a0}", "\u{200b}", "=\n", "%0d%0a", "\0"]
            )
        ),
        4 => text.to_uppercase(),
        5 => format!("  {text}\n"),
        6 => format!("<{text}>"),
        7 => format!("\"{text}\""),
        8 => format!("[look]({text})"),
        9 => text.replace('&', "&amp;").replace('<', "&lt;"),
        10 => percent(&text),
        11 => format!("{text}{text}"),
        12 => format!("{text} {}", filled(pick(random, GOOD), HASH, KEY)),
        13 => text.replace('e', "\u{435}"),
        14 => format!(
            "{text}{}",
            pick(
                random,
                &[".", ",", ")", "…", "?", "#", "/", "//", "%", "%zz", "\u{202e}"]
            )
        ),
        15 => format!(
            "{}{text}",
            pick(
                random,
                &[
                    "http://",
                    "https://",
                    "magnet:?",
                    "bt://",
                    "view-source:",
                    "//",
                    "\\\\"
                ]
            )
        ),
        16 => format!("{head}{}{tail}", "a".repeat(random.random_range(1..3_000))),
        _ => format!(
            "{head}{}{tail}",
            pick(
                random,
                &[
                    KEY36,
                    V2,
                    HASH,
                    ".btlink",
                    "-pk",
                    "-ih",
                    "&s=",
                    "&xt=urn:btih:",
                    "..",
                    ":99999"
                ]
            )
        ),
    }
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}
