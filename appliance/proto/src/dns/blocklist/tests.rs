use std::{collections::BTreeSet, fmt::Write};

use proptest::prelude::*;

use super::*;

const KEY: Key = *b"sixteen bytes ..";

fn wire(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.') {
        wire.push(label.len() as u8);
        wire.extend(label.bytes());
    }
    wire.push(0);
    wire
}

fn compiled(text: &str) -> (List<Vec<u8>>, Counts) {
    let mut compiler = Compiler::new(KEY, 1000);
    compiler.read(text.as_bytes());
    let counts = compiler.end();
    (List::open(compiler.finish()).expect("just made"), counts)
}

/// The name of the test, a text, then names it must block and names it must not.
#[track_caller]
fn says(text: &str, blocked: &[&str], free: &[&str]) -> Counts {
    let (list, counts) = compiled(text);
    for name in blocked {
        assert_eq!(list.look_up(&wire(name)), Listed::Blocked, "{name} of {text:?}");
    }
    for name in free {
        assert_ne!(list.look_up(&wire(name)), Listed::Blocked, "{name} of {text:?}");
    }
    counts
}

#[test]
fn a_hosts_file_blocks_the_names_it_lists_and_nothing_below() {
    let counts = says(
        "# comment\r\n127.0.0.1 localhost\n::1 ip6-localhost ip6-loopback\nfe80::1%lo0 localhost\n0.0.0.0 0.0.0.0\n\
         0.0.0.0 ads.example\n0.0.0.0\tA.Example.NET  b.example.net # two\n:: c.example.net\n0 d.example.net.\n",
        &[
            "ads.example",
            "a.example.net",
            "b.example.net",
            "c.example.net",
            "d.example.net",
        ],
        &["x.ads.example", "example", "example.net", "localhost"],
    );
    assert_eq!(
        (counts.lines, counts.blocked, counts.bad, counts.unsupported),
        (9, 5, 0, 0)
    );
}

#[test]
fn a_hosts_file_that_gives_names_real_addresses_blocks_nothing() {
    let counts = says(
        "192.168.1.1 router.example\n2001:db8::1 x.example",
        &[],
        &["router.example", "x.example"],
    );
    assert_eq!((counts.unsupported, counts.blocked), (2, 0));
}

#[test]
fn a_plain_name_blocks_everything_below_it_too() {
    let counts = says(
        "\u{feff}ads.example\n*.track.example  # stars\n  under_score.example\nads.example\n",
        &[
            "ads.example",
            "x.ads.example",
            "a.b.c.track.example",
            "track.example",
            "under_score.example",
        ],
        &["example", "xads.example", "adsexample"],
    );
    assert_eq!((counts.blocked, counts.bad), (4, 0));
    assert_eq!(
        compiled("a.example\na.example\n0.0.0.0 a.example").0.blocked(),
        1,
        "each name counts once"
    );
}

#[test]
fn filter_rules_block_and_except() {
    let counts = says(
        "[Adblock Plus 2.0]\n! Title: a list\n||ads.example^\n||all.example^$important\n||many.example^$all,important\n\
         ||open.example\n||pipe.example^|\n||xyz^\n@@||good.ads.example^\n@@||fine.all.example^|\n||*.star.example^",
        &[
            "ads.example",
            "x.ads.example",
            "all.example",
            "many.example",
            "open.example",
            "pipe.example",
            "what.xyz",
            "star.example",
        ],
        &[
            "good.ads.example",
            "x.good.ads.example",
            "fine.all.example",
            "opexample",
        ],
    );
    assert_eq!(
        (counts.blocked, counts.excepted, counts.modifiers, counts.bad),
        (7, 2, 3, 0)
    );
}

#[test]
fn an_exception_is_told_apart_from_a_name_that_nobody_lists() {
    let (list, _) = compiled("||ads.example^\n@@||good.ads.example^\n@@||lonely.example^");
    assert_eq!(list.look_up(&wire("good.ads.example")), Listed::Excepted);
    assert_eq!(list.look_up(&wire("lonely.example")), Listed::No);
    assert_eq!((list.blocked(), list.excepted()), (1, 2));
}

#[test]
fn rules_that_dns_cannot_follow_block_nothing() {
    let rules = [
        "||x.example^$third-party",
        "||x.example^$important,client=1.2.3.4",
        "||x.example^$badfilter",
        "||x.example/path",
        "||ads*.x.example^",
        "||x.example:8080^",
        "/x\\.example/",
        "|https://x.example",
        "|x.example^",
        "x.example^",
        "x.example##.banner",
        "x.example#@#.banner",
        "*x.example",
        "@@x.example",
        "https://x.example/",
        "x.example/path",
        "address=/x.example/0.0.0.0",
    ];
    for rule in rules {
        let counts = says(rule, &[], &["x.example", "ads.x.example", "example"]);
        assert_eq!(
            (counts.unsupported, counts.bad, counts.blocked),
            (1, 0, 0),
            "{rule}"
        );
    }
}

#[test]
fn lines_that_make_no_sense_are_counted_and_harm_nothing() {
    let long = format!("{}.example", "x".repeat(64));
    let deep = "a.".repeat(130);
    let endless = "x".repeat(LINE_BYTES_MAX + 1);
    for bad in [
        "com",
        "Not Found",
        "a..example",
        ".example",
        "ex ample.com",
        "0.0.0.0 com",
        "1.2.3.4",
        "||1.2.3.4^",
        "||^",
        "ads.exam\0ple",
        "<html>",
        "-- --",
        "0.0.0.0 a..example",
        &long,
        &deep,
        &endless,
    ] {
        let counts = says(
            &format!("{bad}\nads.example\n"),
            &["ads.example"],
            &["com", "example.com"],
        );
        assert_eq!((counts.bad, counts.blocked, counts.lines), (1, 1, 2), "{bad}");
    }
    let mut compiler = Compiler::new(KEY, 10);
    compiler.read(b"\xff\xfe.example\nads.example");
    assert_eq!(
        (
            compiler.end().bad,
            List::open(compiler.finish()).map(|list| list.blocked())
        ),
        (1, Ok(1))
    );
}

#[test]
fn names_in_other_scripts_are_what_dns_is_asked() {
    says(
        "BÜCHER.example\n||例え。テスト^\n0.0.0.0 straße.example",
        &[
            "xn--bcher-kva.example",
            "x.xn--r8jz45g.xn--zckzah",
            "xn--strae-oqa.example",
        ],
        &["bucher.example", "strasse.example"],
    );
}

#[test]
fn names_over_the_bound_are_left_out_and_counted() {
    let mut compiler = Compiler::new(KEY, 2);
    compiler.read(b"a.example\nb.example\nc.example\n@@||a.example^\n");
    let counts = compiler.end();
    assert_eq!((counts.blocked, counts.over), (2, 2));
    assert_eq!(List::open(compiler.finish()).expect("sound").blocked(), 2);
}

#[test]
fn a_line_without_end_costs_no_memory_and_the_next_one_counts() {
    let mut compiler = Compiler::new(KEY, 10);
    for _ in 0..100 {
        compiler.read(&[b'x'; 10_000]);
        assert!(compiler.line_bytes() <= LINE_BYTES_MAX);
    }
    compiler.read(b".example\nads.example");
    let counts = compiler.end();
    assert_eq!((counts.lines, counts.bad, counts.blocked), (2, 1, 1));
}

#[test]
fn a_changed_cut_or_foreign_file_is_never_opened() {
    let mut compiler = Compiler::new(KEY, 10);
    compiler.read(b"a.example\nb.example\n@@||c.example^");
    compiler.end();
    let file = compiler.finish();
    assert!(List::open(&file).is_ok());
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << bit;
            assert!(List::open(&damaged).is_err(), "byte {at} bit {bit}");
        }
        assert!(List::open(&file[..at]).is_err(), "cut at {at}");
    }
    let longer = [&file[..], &[0; 8]].concat();
    assert_eq!(List::open(&longer).err(), Some(Damage::Length));
    assert_eq!(
        List::open(b"0.0.0.0 ads.example".repeat(9)).err(),
        Some(Damage::Foreign)
    );
    assert_eq!(List::open(Vec::new()).err(), Some(Damage::Foreign));
}

#[test]
fn no_list_at_all_is_a_list_too() {
    let (list, _) = compiled("");
    assert_eq!(list.look_up(&wire("a.example")), Listed::No);
    assert_eq!(list.look_up(b"\0"), Listed::No);
    assert_eq!(list.look_up(b""), Listed::No);
}

#[test]
fn the_households_word_stands_over_the_lists() {
    let (list, _) = compiled("ads.example\n@@||good.ads.example^");
    let own = |allow: &[&str], block: &[&str]| {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        Own::new(KEY, &names(allow), &names(block))
    };
    let is = |own: &Own, name: &str| own.is_blocked(Some(&list), &wire(name));
    assert!(is(&own(&[], &[]), "x.ads.example"));
    assert!(!is(&own(&[], &[]), "good.ads.example"));
    assert!(!is(&own(&["ads.example"], &[]), "x.ads.example"));
    assert!(!is(&own(&["x.ads.example"], &[]), "x.ads.example"));
    assert!(is(&own(&["x.ads.example"], &[]), "ads.example"));
    assert!(
        is(&own(&[], &["good.ads.example"]), "good.ads.example"),
        "it also overrules exceptions"
    );
    assert!(
        is(&own(&["a.example"], &["x.a.example"]), "y.x.a.example"),
        "the longer name counts"
    );
    assert!(!is(&own(&["x.a.example"], &["a.example"]), "y.x.a.example"));
    assert!(
        !is(&own(&["a.example"], &["a.example"]), "a.example"),
        "the kinder word counts"
    );
    assert!(own(&[], &["a.example"]).is_blocked::<Vec<u8>>(None, &wire("a.example")));
}

#[test]
fn every_listed_name_of_many_is_found_and_no_other() {
    for count in [0, 1, 2, 3, 100, 20_000] {
        let mut compiler = Compiler::new(KEY, 100_000);
        for i in 0..count {
            assert!(compiler.block(&format!("n{i}.example")));
        }
        let list = List::open(compiler.finish()).expect("just made");
        assert_eq!(list.blocked(), count);
        for i in 0..count {
            assert_eq!(list.look_up(&wire(&format!("n{i}.example"))), Listed::Blocked);
            assert_eq!(list.look_up(&wire(&format!("m{i}.example"))), Listed::No);
        }
    }
}

/// What the rules mean, without hashes: the model that the compiled list is compared with.
#[derive(Default)]
struct Naive {
    exact: BTreeSet<String>,
    below: BTreeSet<String>,
    except: BTreeSet<String>,
}

impl Naive {
    fn look_up(&self, name: &str) -> Listed {
        let above = |set: &BTreeSet<String>| {
            let dots = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
            std::iter::once(name).chain(dots).any(|part| set.contains(part))
        };
        match (
            self.exact.contains(name) || above(&self.below),
            above(&self.except),
        ) {
            (false, _) => Listed::No,
            (true, false) => Listed::Blocked,
            (true, true) => Listed::Excepted,
        }
    }
}

/// Few labels, so that names lie below each other often.
fn name() -> impl Strategy<Value = String> {
    prop::collection::vec("[abc]", 2..5).prop_map(|labels| labels.join("."))
}

proptest! {
    #[test]
    fn a_compiled_list_says_what_its_rules_say(
        rules in prop::collection::vec((name(), 0..4u8), 0..40),
        asked in prop::collection::vec(name(), 1..40),
        cut in 1..30usize,
    ) {
        let (mut naive, mut text) = (Naive::default(), String::new());
        for (name, kind) in rules {
            match kind {
                0 => writeln!(text, "0.0.0.0 {name}"),
                1 => writeln!(text, "{name}"),
                2 => writeln!(text, "||{name}^$important"),
                _ => writeln!(text, "@@||{name}^"),
            }.expect("a string takes all");
            match kind {
                0 => naive.exact.insert(name),
                1 | 2 => naive.below.insert(name),
                _ => naive.except.insert(name),
            };
        }
        // However the text is cut into pieces on its way.
        let mut compiler = Compiler::new(KEY, 1000);
        for piece in text.as_bytes().chunks(cut) {
            compiler.read(piece);
        }
        let counts = compiler.end();
        prop_assert_eq!((counts.bad, counts.unsupported), (0, 0));
        let list = List::open(compiler.finish()).expect("just made");
        for name in asked {
            prop_assert_eq!(list.look_up(&wire(&name)), naive.look_up(&name), "{}", name);
        }
    }

    #[test]
    fn bytes_of_any_kind_neither_panic_nor_hang(
        text in prop::collection::vec(any::<u8>(), 0..400),
        name in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut compiler = Compiler::new(KEY, 10);
        compiler.read(&text);
        compiler.end();
        let list = List::open(compiler.finish()).expect("just made");
        list.look_up(&name);
    }
}
