//! Block lists: texts from anywhere, and the compiled file as a broken disk gives it back.

use proto::dns::{
    blocklist::{Compiler, Counts, LINE_BYTES_MAX, List, Listed},
    name,
};

use super::seen;

pub(super) fn texts() -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = [
        "# hosts\n127.0.0.1 localhost\n0.0.0.0 ads.example track.example # both\n",
        "! rules\n||ads.example^$important\n@@||good.ads.example^|\n||x.example^$third-party\n/ads/\nx##.y\n",
        "ads.example\n*.track.example\nb\u{fc}cher.example\n1.2.3.4\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    texts.push(compile(&texts[1]).0);
    texts.push([vec![b'x'; LINE_BYTES_MAX + 1], b"\nads.example".to_vec()].concat());
    texts
}

fn compile(text: &[u8]) -> (Vec<u8>, Counts) {
    let mut compiler = Compiler::new([7; 16], 64);
    let (begin, end) = text.split_at(text.len() / 2);
    compiler.read(begin);
    compiler.read(end);
    let counts = compiler.end();
    assert!(counts.unsupported + counts.bad <= counts.lines, "{counts:?}");
    (compiler.finish(), counts)
}

pub(super) fn blocklist(input: &[u8]) -> u64 {
    let (file, counts) = compile(input);
    let blocked = counts.blocked;
    let list = List::open(&file).expect("just made");
    assert!(list.blocked() <= blocked && (list.blocked() == 0) == (blocked == 0));
    // Whatever is listed: nothing is, above all names.
    assert_eq!(list.look_up(b"\0"), Listed::No);
    for line in String::from_utf8_lossy(input).lines().take(8) {
        if let Some(wire) = name::from_text(line) {
            list.look_up(&wire);
        }
    }
    list.look_up(input);
    let opened = List::open(input).map(|list| list.look_up(b"\x03ads\x07example\0"));
    let kinds = [
        blocked,
        counts.excepted,
        counts.unsupported,
        counts.bad,
        counts.modifiers,
        counts.over,
    ];
    seen(&(kinds.map(|count| count > 0), opened))
}
