use super::*;
use crate::bencode::Value;

fn info(files: &[(&[&str], i64)], piece_length: i64) -> Vec<u8> {
    let total: i64 = files.iter().map(|f| f.1).sum();
    let list = files
        .iter()
        .map(|(path, length)| {
            Value::dict([
                ("length", Value::Int(*length)),
                ("path", Value::List(path.iter().map(|p| Value::text(p)).collect())),
            ])
        })
        .collect();
    let pieces = (total as usize).div_ceil(piece_length as usize);
    Value::dict([
        ("files", Value::List(list)),
        ("name", Value::text("site")),
        ("piece length", Value::Int(piece_length)),
        ("pieces", Value::bytes(vec![7; pieces * 20])),
    ])
    .encode()
}

#[test]
fn a_folder_of_files_becomes_tables() {
    let raw = info(
        &[
            (&["index.html"], 20_000),
            (&["css", "s.css"], 0),
            (&["css", "a"], 20_000),
        ],
        16_384,
    );
    let info = parse_info(&raw).expect("valid");
    assert_eq!(
        (info.total, info.piece_count(), info.multi_file),
        (40_000, 3, true)
    );
    assert_eq!(info.piece_len(2), Some(40_000 - 32_768));
    assert_eq!(info.piece_len(3), None);
    assert_eq!(info.file_at(&["css", "a"]), Some(2));
    assert_eq!(info.file_at(&["css"]), None);
    assert_eq!(info.under(&["css"]), [2, 1]);
    assert_eq!(info.under::<&str>(&[]), [2, 1, 0]);
    assert!(info.is_folder(&["css"]) && !info.is_folder(&["index.html"]));
    assert_eq!(
        (
            info.pieces_of(0),
            info.pieces_of(1),
            info.pieces_of(2),
            info.pieces_of(9)
        ),
        (0..2, 0..0, 1..3, 0..0)
    );
    let spans: Vec<_> = info.span(2, 10_000..u64::MAX).collect();
    let span = |piece, offset, len| Span { piece, offset, len };
    assert_eq!(spans, [span(1, 13_616, 2_768), span(2, 0, 7_232)]);
    assert_eq!(info.span(2, 20_000..20_001).count(), 0);
    assert_eq!(info.top_folder(), None);
}

fn golden(path: [&str; 2]) -> Vec<u8> {
    let all: serde_json::Value =
        serde_json::from_str(include_str!("../../testdata/torrents.json")).expect("testdata is JSON");
    let hex = all[path[0]][path[1]].as_str().expect("a string").to_owned();
    data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex")
}

#[test]
fn a_hybrid_opens_by_its_v1_half_and_names_its_v2_hash() {
    let info = parse_info(&golden(["hybrid", "info"])).expect("valid");
    assert_eq!(info.infohash.0[..], golden(["hybrid", "v1"]));
    assert_eq!(info.infohash_v2.map(Vec::from), Some(golden(["hybrid", "v2"])));
    assert_eq!(info.files.iter().filter(|file| file.pad).count(), 2);
    assert_eq!(info.file_at(&["index.html"]), Some(2));
    assert_eq!(info.content_bytes(), 51);
}

#[test]
fn a_v2_only_torrent_is_refused_by_name() {
    assert_eq!(parse_info(&golden(["v2_only", "info"])), Err(Error::V2Only));
}

#[test]
fn a_torrent_file_gives_bounded_hints_without_repetitions() {
    let text = Value::text;
    let tier = |urls: &[&str]| Value::List(urls.iter().map(|u| text(u)).collect());
    let many: Vec<String> = (0..30).map(|n| format!("udp://t{n}.example:1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let raw = info(&[(&["a"], 1)], 16_384);
    let torrent = |trackers: Value, seeds: Value| {
        let file = Value::dict([
            ("announce", text("http://a.example/")),
            ("announce-list", trackers),
            ("comment", text("a \u{7}site")),
            ("info", Value::Raw(raw.clone())),
            ("url-list", seeds),
        ]);
        parse_torrent(&file.encode()).expect("valid")
    };
    let tiers = Value::List(vec![
        tier(&["http://a.example/", "wss://b.example"]),
        tier(&["UDP://c.example:1"]),
    ]);
    let one = torrent(tiers, text("http://seed.example/"));
    assert_eq!(one.trackers, ["http://a.example/", "UDP://c.example:1"]);
    assert_eq!(one.web_seeds, ["http://seed.example/"]);
    assert_eq!((one.comment.as_deref(), one.created_by), (Some("a site"), None));
    assert_eq!(
        (one.raw_info.as_slice(), one.info.infohash),
        (&raw[..], parse_info(&raw).expect("valid").infohash)
    );
    let flood = torrent(
        Value::List(vec![tier(&many)]),
        tier(&["http://x/", "ftp://y/", "http://x/"]),
    );
    assert_eq!((flood.trackers.len(), flood.web_seeds.len()), (TRACKERS_MAX, 1));
}

#[test]
fn files_that_share_a_name_are_told_apart_and_named() {
    let files: &[(&[&str], i64)] = &[
        (&["a", "x.html"], 1),
        (&["a", "x.html"], 2),
        (&["a", "X.html"], 3),
    ];
    let raw = info(files, 16_384);
    let read = parse_info(&raw).expect("valid");
    assert_eq!(read.renamed, [1]);
    assert_eq!(read.file_at(&["a", "x.html"]), Some(0));
    assert_eq!(read.file_at(&["a", "x~1.html"]), Some(1));
    assert_eq!(read.case_collisions(), [(0, 2)]);
    assert_eq!(read.top_folder(), Some("a"));
    assert_eq!(
        read.disk_path(1).expect("a file").expect("safe"),
        std::path::Path::new("site/a/x~1.html")
    );
    let whole = Value::dict([("info", Value::Raw(raw))]).encode();
    let Verdict::Accepted { remarks, .. } = verdict(&whole) else {
        panic!("it opens");
    };
    assert_eq!(remarks.len(), 2, "{remarks:?}");
}

#[test]
fn what_is_broken_is_refused_with_its_reason() {
    let parsed = |files: &[(&[&str], i64)]| parse_info(&info(files, 16_384)).map(|_| ());
    let fault = |fault| Err(Error::Path { file: 0, fault });
    assert_eq!(parsed(&[(&[".."], 1)]), fault(Fault::Dots));
    assert_eq!(parsed(&[(&["a/b"], 1)]), fault(Fault::Separator));
    assert_eq!(parsed(&[(&["a\0"], 1)]), fault(Fault::Control));
    assert_eq!(parsed(&[(&["a", ""], 1)]), fault(Fault::Empty));
    assert_eq!(parsed(&[(&[], 1)]), fault(Fault::NoPath));
    assert_eq!(
        parsed(&[(&["a"], 1), (&["a", "b"], 1)]),
        Err(Error::FileAndFolder { file: 0, below: 1 })
    );
    assert_eq!(parsed(&[(&["a"], 0)]), Err(Error::Empty));
    assert_eq!(parse_info(b"le"), Err(Error::NotADictionary));
    assert_eq!(parse_info(b"de"), Err(Error::Missing("piece length")));
    let max = METADATA_MAX;
    assert_eq!(
        parse_info(&vec![b'0'; max + 1]),
        Err(Error::Large { bytes: max + 1, max })
    );
    // The two numbers that the engine's own reader panics on.
    for length in [0, 1 << 62] {
        let raw = Value::dict([
            ("length", Value::Int(1)),
            ("name", Value::text("a")),
            ("piece length", Value::Int(length)),
            ("pieces", Value::bytes([0; 20])),
        ]);
        assert_eq!(parse_info(&raw.encode()), Err(Error::PieceLength(length)));
    }
}
