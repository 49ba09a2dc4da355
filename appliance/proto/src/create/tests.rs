use proptest::prelude::*;

use super::*;
use crate::metainfo::{parse_info, parse_torrent};

const INDEX: &[u8] = b"<!doctype html><title>hi</title><p>hi\n";
const STYLE: &[u8] = b"p{color:red}\n";

fn path(text: &str) -> Vec<String> {
    text.split('/').map(str::to_owned).collect()
}

/// Feeds everything in chunks of `step` bytes and returns the torrent and the bytes of its pieces.
fn make(mut builder: Builder, files: &[&[u8]], step: usize) -> (Made, Vec<u8>) {
    let mut stored = Vec::new();
    let piece_length = builder.piece_length() as usize;
    while let Some((file, left)) = builder.expects() {
        let from = files[file].len() - left as usize;
        let mut chunk = &files[file][from..files[file].len().min(from + step)];
        while let Some(piece) = builder.feed(&mut chunk).expect("as promised") {
            assert_eq!(piece.index as usize, stored.len() / piece_length);
            let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, piece.bytes);
            assert_eq!(digest.as_ref(), piece.hash);
            stored.extend_from_slice(piece.bytes);
        }
    }
    let total = builder.total();
    assert_eq!(stored.len() as u64, total);
    (builder.finish().expect("complete"), stored)
}

#[test]
fn the_golden_site_has_its_infohash_whatever_order_it_is_listed_in() {
    let files = [(path("css/s.css"), 13), (path("index.html"), 38)];
    let options = Options {
        piece_length: Some(16_384),
        ..Options::default()
    };
    let builder = Builder::folder("site", &files, options).expect("valid");
    let (made, stored) = make(builder, &[STYLE, INDEX], 7);
    assert_eq!(
        made.info.infohash.to_string(),
        "9be4e30d3b53de6f99dc27ccbbeaf189c8f19d98"
    );
    let hash = data_encoding::HEXLOWER.encode(&made.info.pieces[0]);
    assert_eq!(hash, "4b4350ef39d2b25ae4825b498ece5a71e1733250");
    assert_eq!(stored, [INDEX, STYLE].concat());
    assert_eq!(made.info.file_at(&["index.html"]), Some(0));
}

#[test]
fn padded_files_begin_at_pieces_and_the_last_is_not_padded() {
    let (a, b) = (vec![1; 16_384], vec![2; 5]);
    let files = [
        (path("c"), 0),
        (path("b"), 5),
        (path("a"), 16_384),
        (path("d/e"), 38),
    ];
    let builder = Builder::folder(
        "x",
        &files,
        Options {
            pad: true,
            ..Options::default()
        },
    )
    .expect("valid");
    let (made, stored) = make(builder, &[&[], &b, &a, INDEX], 1_000);
    let info = &made.info;
    let shown: Vec<_> = info
        .files
        .iter()
        .map(|f| (f.path.join("/"), f.length, f.offset, f.pad))
        .collect();
    let row = |path: &str, length, offset, pad| (path.to_owned(), length, offset, pad);
    assert_eq!(
        shown,
        [
            row("a", 16_384, 0, false),
            row("b", 5, 16_384, false),
            row(".pad/16379", 16_379, 16_389, true),
            row("c", 0, 32_768, false),
            row("d/e", 38, 32_768, false),
        ]
    );
    assert_eq!(&stored[32_768..], INDEX);
    assert_eq!(info.file_at(&[".pad", "16379"]), None);
    assert_eq!(info.content_bytes(), 16_384 + 5 + 38);
}

#[test]
fn a_single_file_has_no_folder_and_private_is_written() {
    let builder = Builder::file(
        "a.txt",
        38,
        Options {
            private: true,
            ..Options::default()
        },
    )
    .expect("valid");
    let (made, _) = make(builder, &[INDEX], 38);
    assert!(made.info.private && !made.info.multi_file);
    assert_eq!(made.info.file_at(&["a.txt"]), Some(0));
}

#[test]
fn pieces_grow_with_the_site() {
    let sizes = [
        0,
        1,
        16 << 20,
        (16 << 20) + 1_024,
        200 << 20,
        1 << 30,
        1 << 34,
        1 << 41,
    ];
    let lengths = sizes.map(|size| piece_length_for(size) >> 10);
    assert_eq!(lengths, [16, 16, 16, 32, 256, 1_024, 16_384, 16_384]);
}

#[test]
fn what_no_torrent_can_be_made_of_is_refused() {
    let folder = |paths: &[&str]| {
        let files: Vec<_> = paths.iter().map(|p| (path(p), 1)).collect();
        Builder::folder("x", &files, Options::default()).map(|_| ())
    };
    let named = |name: &str| Builder::file(name, 1, Options::default()).map(|_| ());
    for bad in [
        "../a",
        "a//b",
        "/a",
        "./a",
        "a\\b",
        "a\0",
        "a\n",
        &"x".repeat(256),
        "",
    ] {
        assert!(matches!(folder(&[bad]), Err(Error::Path { .. })), "{bad:?}");
    }
    for bad in ["", ".", "..", "a/b", "a\\b", "\u{7f}"] {
        assert!(matches!(named(bad), Err(Error::Name { .. })), "{bad:?}");
    }
    assert_eq!(folder(&["a", "a"]), Err(Error::Twice("a".into())));
    assert_eq!(folder(&["a/b", "a"]), Err(Error::Twice("a".into())));
    assert_eq!(folder(&["a", "a/b/c"]), Err(Error::Twice("a".into())));
    assert_eq!(folder(&[]), Err(Error::Empty));
    let size = |length, piece_length| {
        Builder::file(
            "x",
            length,
            Options {
                piece_length,
                ..Options::default()
            },
        )
        .map(|_| ())
    };
    assert_eq!(size(0, None), Err(Error::Empty));
    assert_eq!(size(u64::MAX, None), Err(Error::Total));
    assert_eq!(size(1 << 61, None), Err(Error::Metadata));
    for bad in [0, 1_024, 16_385, 128 << 20] {
        assert_eq!(size(1, Some(bad)), Err(Error::PieceLength(bad)));
    }
    let twice = [(path("a"), u64::MAX), (path("b"), 1)];
    assert_eq!(
        Builder::folder("x", &twice, Options::default()).map(|_| ()),
        Err(Error::Total)
    );
}

#[test]
fn files_that_change_while_they_are_read_are_noticed() {
    let mut builder = Builder::file("x", 3, Options::default()).expect("valid");
    assert_eq!(builder.feed(&mut &b"ab"[..]), Ok(None));
    assert_eq!(builder.expects(), Some((0, 1)));
    assert_eq!(builder.finish(), Err(Error::TooFew(1)));
    let mut builder = Builder::file("x", 3, Options::default()).expect("valid");
    let mut input = &b"abcd"[..];
    assert!(builder.feed(&mut input).expect("first").is_some());
    assert_eq!(builder.feed(&mut input), Err(Error::TooMany));
}

#[test]
fn a_torrent_file_keeps_the_dictionary_and_reads_back() {
    let (made, _) = make(
        Builder::file("x", 38, Options::default()).expect("valid"),
        &[INDEX],
        38,
    );
    let extras = Extras {
        trackers: vec!["http://a.example/announce".into(), "udp://b.example:1".into()],
        web_seeds: vec!["http://w.example/".into()],
        comment: Some("a site".into()),
        created_by: Some("granary".into()),
        created: Some(1_700_000_000),
    };
    let torrent = parse_torrent(&encode_torrent(&made.raw_info, &extras)).expect("valid");
    assert_eq!((&torrent.info, &torrent.raw_info), (&made.info, &made.raw_info));
    assert_eq!(
        (torrent.trackers, torrent.web_seeds),
        (extras.trackers, extras.web_seeds)
    );
    assert_eq!(
        (torrent.comment, torrent.created_by),
        (extras.comment, extras.created_by)
    );
    assert!(parse_torrent(&encode_torrent(&made.raw_info, &Extras::default())).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_folder_fed_in_any_steps_gives_the_same_torrent(
        sizes in proptest::collection::btree_map("[a-c]{1,2}(/[d-f]{1,2}){0,2}", 0usize..40_000, 1..8),
        pad in any::<bool>(), step in 1usize..50_000,
    ) {
        let files: Vec<_> = sizes.iter().map(|(p, size)| (path(p), *size as u64)).collect();
        let bytes: Vec<Vec<u8>> = sizes.values().map(|size| vec![*size as u8; *size]).collect();
        let slices: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let options = Options { pad, piece_length: Some(16_384), ..Options::default() };
        let Ok(builder) = Builder::folder("x", &files, options) else { return Ok(()) };
        let (made, stored) = make(builder, &slices, step);
        let again = make(Builder::folder("x", &files, options).expect("again"), &slices, 40_000).0;
        prop_assert_eq!(&made, &again);
        prop_assert_eq!(parse_info(&made.raw_info), Ok(made.info.clone()));
        for ((path, size), content) in files.iter().zip(&bytes) {
            let index = made.info.file_at(path).expect("every file is found");
            let file = &made.info.files[index];
            prop_assert_eq!(file.length, *size);
            let from = file.offset as usize;
            prop_assert_eq!(&stored[from..from + content.len()], &content[..]);
            prop_assert!(!pad || *size == 0 || file.offset % 16_384 == 0);
        }
    }
}
