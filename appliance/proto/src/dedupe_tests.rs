use std::{collections::BTreeMap, sync::Arc};

use aws_lc_rs::digest;
use proptest::prelude::*;

use super::*;
use crate::metainfo::parse_info;

/// A torrent with its bytes. An empty path is a pad file.
struct Whole {
    info: Arc<Info>,
    bytes: Vec<u8>,
}

fn whole(piece_length: usize, files: &[(String, Vec<u8>)]) -> Whole {
    let bytes: Vec<u8> = files.iter().flat_map(|(_, data)| data.clone()).collect();
    let sha1 = |data: &[u8]| digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, data);
    let mut raw = b"d5:filesl".to_vec();
    for (path, data) in files {
        let pad = if path.is_empty() { "4:attr1:p" } else { "" };
        let path = if path.is_empty() { "pad" } else { path };
        raw.extend(format!("d{pad}6:lengthi{}e4:pathl{}:{path}ee", data.len(), path.len()).bytes());
    }
    let hashes: Vec<u8> = bytes
        .chunks(piece_length)
        .flat_map(|piece| sha1(piece).as_ref().to_vec())
        .collect();
    raw.extend(
        format!(
            "e4:name1:x12:piece lengthi{piece_length}e6:pieces{}:",
            hashes.len()
        )
        .bytes(),
    );
    raw.extend(hashes);
    raw.push(b'e');
    let info = Arc::new(parse_info(&raw).expect("a good torrent"));
    Whole { info, bytes }
}

/// The pieces of `new` that some guess puts together rightly; every guess must be well formed.
fn found(new: &Whole, old: &[&Whole]) -> Vec<u32> {
    let likeness = Likeness::new(new.info.clone(), old.iter().map(|old| old.info.clone()).collect());
    let right = |piece: &u32| {
        let len = new.info.piece_len(*piece).expect("there");
        let guesses = likeness.guesses(*piece);
        assert!(guesses.len() <= WAYS_MAX);
        guesses.iter().any(|guess| {
            let mut data = Vec::new();
            for (source, len) in &guess.parts {
                match source {
                    Some(source) => {
                        assert_eq!(source.range.end - source.range.start, *len);
                        let range = source.range.start as usize..source.range.end as usize;
                        data.extend(&old[source.torrent].bytes[range]);
                    }
                    None => data.resize(data.len() + *len as usize, 0),
                }
            }
            assert_eq!((guess.piece, data.len()), (*piece, len as usize));
            digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &data).as_ref()
                == new.info.pieces[*piece as usize]
        })
    };
    (0..new.info.piece_count()).filter(right).collect()
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn files(lengths: &[usize]) -> Vec<(String, Vec<u8>)> {
    let file = |(no, len): (usize, &usize)| (format!("f{no:03}"), noise(no as u64 + 1, *len));
    lengths.iter().enumerate().map(file).collect()
}

/// How many pieces touch the bytes of file `no`.
fn touched(whole: &Whole, no: usize) -> usize {
    whole.info.pieces_of(no).len()
}

#[test]
fn a_changed_file_costs_only_the_pieces_it_touches() {
    let lengths = [50_000, 7_000, 123_456, 40_000, 1, 0, 99_999];
    let old = whole(16_384, &files(&lengths));
    for (what, data) in [
        ("same length", noise(99, 123_456)),
        ("longer", noise(99, 150_000)),
        ("shorter", noise(99, 60_001)),
    ] {
        let mut list = files(&lengths);
        list[2].1 = data;
        for piece_length in [16_384, 4_096, 65_536] {
            let new = whole(piece_length, &list);
            let missing = new.info.pieces.len() - found(&new, &[&old]).len();
            assert_eq!(missing, touched(&new, 2), "{what}, pieces of {piece_length}");
        }
    }
}

#[test]
fn bytes_put_into_the_middle_of_a_file_cost_a_piece_or_two() {
    let old = whole(16_384, &files(&[300_000, 200_000]));
    let mut list = files(&[300_000, 200_000]);
    list[0].1.splice(150_000..150_000, noise(7, 333));
    let new = whole(16_384, &list);
    assert!(new.info.pieces.len() - found(&new, &[&old]).len() <= 1);
}

#[test]
fn renamed_moved_and_padded_files_are_found_again() {
    let list = files(&[50_000, 7_777, 123_456]);
    let old = whole(32_768, &list);
    let mut padded = Vec::new();
    for (no, (path, data)) in list.into_iter().enumerate() {
        let pad = data.len().next_multiple_of(16_384) - data.len();
        let path = if no == 2 { "elsewhere".into() } else { path };
        padded.push((path, data));
        padded.push((String::new(), vec![0; pad]));
    }
    let new = whole(16_384, &padded);
    assert_eq!(found(&new, &[&old]).len(), new.info.pieces.len());
    assert_eq!(found(&old, &[&new]).len(), old.info.pieces.len(), "and back");
}

#[test]
fn a_file_is_known_by_its_hint_under_any_name() {
    let torrent = |name: &str, hint: u8| {
        let hint = String::from_utf8(vec![hint; 20]).expect("ASCII");
        let raw = format!(
            "d5:filesld6:lengthi5e4:pathl{}:{name}e4:sha120:{hint}ee4:name1:x12:piece lengthi16384e6:pieces20:{hint}e",
            name.len()
        );
        Arc::new(parse_info(raw.as_bytes()).expect("a good torrent"))
    };
    let (new, old) = (torrent("new", b'a'), torrent("old", b'a'));
    let guess = &Likeness::new(new.clone(), vec![torrent("other", b'b'), old]).guesses(0)[0];
    let source = Source {
        torrent: 1,
        range: 0..5,
    };
    assert_eq!(guess.parts, [(Some(source), 5)]);
    let strangers = Likeness::new(new, vec![]);
    assert!(strangers.is_empty() && strangers.guesses(0).is_empty());
    assert_eq!(strangers.guesses(9), []);
}

#[test]
fn a_hybrids_roots_are_hints_when_its_tree_fits_its_files() {
    let hybrid = |first_length: usize| {
        let leaf = |length: usize, root: char| {
            let root = root.to_string().repeat(32);
            format!("d0:d6:lengthi{length}e11:pieces root32:{root}ee")
        };
        let (first, second) = (leaf(first_length, 'p'), leaf(9, 'q'));
        let tree = format!("d1:ad1:b{first}e1:c{second}e");
        let files =
            "ld6:lengthi5e4:pathl1:a1:beed4:attr1:p6:lengthi16379e4:pathl1:peed6:lengthi9e4:pathl1:ceee";
        let hashes = "0".repeat(40);
        let raw = format!(
            "d9:file tree{tree}5:files{files}12:meta versioni2e4:name1:x12:piece lengthi16384e6:pieces40:{hashes}e"
        );
        let info = parse_info(raw.as_bytes()).expect("a good torrent");
        info.files.iter().map(|file| file.hint).collect::<Vec<_>>()
    };
    assert_eq!(hybrid(5), [Some([b'p'; 20]), None, Some([b'q'; 20])]);
    assert_eq!(hybrid(6), [None; 3], "another torrent's tree");
}

proptest! {
    /// Whatever was done to the files: no guess is out of bounds, and files that stayed are found wherever they went.
    #[test]
    fn guesses_are_well_formed_and_find_what_stayed(
        lengths in prop::collection::vec(0usize..40_000, 1..12),
        edits in prop::collection::vec((0usize..12, 0u8..5, 0usize..40_000), 0..4),
        (old_piece, new_piece) in (10u32..16, 10u32..16),
    ) {
        let before = files(&lengths);
        prop_assume!(before.iter().any(|file| !file.1.is_empty()));
        let mut after = before.clone();
        let mut changed: BTreeMap<String, ()> = BTreeMap::new();
        for (at, edit, len) in edits {
            let at = at % after.len().max(1);
            let Some(file) = after.get_mut(at) else { continue };
            changed.insert(file.0.clone(), ());
            match edit {
                0 => file.1 = noise(777, len),
                1 => file.1.truncate(len),
                2 => { let keep = file.1.len().min(len); file.1.splice(..keep, noise(778, len)); }
                3 => drop(after.remove(at)),
                _ => after.insert(at, (format!("new{len}"), noise(779, len))),
            }
        }
        after.sort();
        after.dedup_by(|a, b| a.0 == b.0);
        prop_assume!(after.iter().any(|file| !file.1.is_empty()));
        let (old, new) = (whole(1 << old_piece, &before), whole(1 << new_piece, &after));
        let found = found(&new, &[&old]);
        for (index, file) in new.info.files.iter().enumerate() {
            changed.entry(file.path[0].clone()).or_default();
            let stayed = before.iter().any(|(path, data)| *path == file.path[0] && *data == after[index].1);
            if !stayed || file.length == 0 {
                continue;
            }
            for piece in new.info.pieces_of(index) {
                let start = u64::from(piece) << new_piece;
                let end = start + u64::from(new.info.piece_len(piece).expect("there"));
                if start >= file.offset && end <= file.offset + file.length {
                    prop_assert!(found.contains(&piece), "piece {} of {}", piece, file.path[0]);
                }
            }
        }
    }
}
