use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::create::{Builder, Options};

type Folder = BTreeMap<String, Vec<u8>>;

fn folder(files: &[(&str, &[u8])]) -> Folder {
    files
        .iter()
        .map(|(path, bytes)| ((*path).into(), bytes.to_vec()))
        .collect()
}

fn info(files: &Folder, pad: bool, piece_length: u32) -> Info {
    let list: Vec<(Vec<String>, u64)> = files
        .iter()
        .map(|(path, bytes)| (path.split('/').map(String::from).collect(), bytes.len() as u64))
        .collect();
    let bodies: Vec<&Vec<u8>> = files.values().collect();
    let options = Options {
        piece_length: Some(piece_length),
        pad,
        private: false,
    };
    let mut builder = Builder::folder("site", &list, options).expect("a good folder");
    while let Some((file, left)) = builder.expects() {
        let body = bodies[file];
        let mut rest = &body[body.len() - left as usize..];
        while builder.feed(&mut rest).expect("as promised").is_some() {}
    }
    builder.finish().expect("complete").info
}

fn of(old: &Folder, new: &Folder, pad: bool) -> Changes {
    between(&info(old, pad, 16_384), &info(new, pad, 16_384), 100)
}

#[test]
fn a_padded_site_tells_exactly_what_changed() {
    let old = folder(&[
        ("a", &[1; 20_000]),
        ("b/c", b"text"),
        ("d", b"old"),
        ("e", b"same"),
    ]);
    let new = folder(&[
        ("a", &[2; 20_000]),
        ("b/c", b"next"),
        ("e", b"same"),
        ("f", b"new!!"),
    ]);
    let found = of(&old, &new, true);
    assert_eq!(found.added, [("f".to_string(), 5)]);
    assert_eq!(found.removed, [("d".to_string(), 3)]);
    assert_eq!(
        found.changed,
        [("a".to_string(), 20_000, 20_000), ("b/c".to_string(), 4, 4)]
    );
    assert_eq!((found.perhaps.len(), found.more), (0, 0));
}

#[test]
fn the_end_of_a_site_that_got_longer_has_changed_perhaps() {
    // Its last piece was cut short and is padded now.
    let old = folder(&[("a", b"1"), ("b", b"2")]);
    let new = folder(&[("a", b"1"), ("b", b"2"), ("c", b"3")]);
    assert_eq!(of(&old, &new, true).perhaps, [("b".to_string(), 1)]);
}

#[test]
fn small_files_that_share_a_piece_are_said_to_have_changed_perhaps() {
    let old = folder(&[("a", b"1234"), ("b", b"5678")]);
    let new = folder(&[("a", b"1234"), ("b", b"5679")]);
    let found = of(&old, &new, false);
    let names: Vec<&str> = found.perhaps.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(found.changed.is_empty());
}

#[test]
fn the_same_site_has_no_changes_and_other_pieces_tell_nothing() {
    let site = folder(&[("a", &[7; 40_000]), ("b", b""), ("c", b"x")]);
    assert_eq!(of(&site, &site, true), Changes::default());
    let found = between(&info(&site, true, 16_384), &info(&site, true, 32_768), 100);
    assert_eq!(
        found.perhaps.len(),
        2,
        "empty files are empty however they are cut"
    );
}

#[test]
fn more_changes_than_asked_for_are_counted() {
    let names: Vec<String> = (0..50).map(|n| format!("f{n:02}")).collect();
    let new: Folder = names.iter().map(|name| (name.clone(), vec![1])).collect();
    let old = folder(&[("z", b"z")]);
    let found = between(&info(&old, true, 16_384), &info(&new, true, 16_384), 10);
    assert_eq!((found.added.len(), found.removed.len(), found.more), (10, 0, 41));
}

fn arbitrary() -> impl Strategy<Value = Folder> {
    let body = prop_oneof![
        proptest::collection::vec(0u8..2, 0..4),
        (16_380usize..16_390, 0u8..2).prop_map(|(len, byte)| vec![byte; len]),
    ];
    let files = proptest::collection::btree_map("[a-c](/[d-e])?", body, 1..6);
    files
        // A name cannot be a file and a folder, and an empty torrent is none.
        .prop_filter("a good folder", |files| {
            let folders: Vec<&str> = files.keys().filter_map(|p| Some(p.split_once('/')?.0)).collect();
            folders.iter().all(|folder| !files.contains_key(*folder)) && files.values().any(|b| !b.is_empty())
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn nothing_that_changed_is_called_the_same_and_nothing_the_same_is_called_changed(
        old in arbitrary(), new in arbitrary(), pads in any::<(bool, bool)>(),
    ) {
        let (was, is) = (info(&old, pads.0, 16_384), info(&new, pads.1, 16_384));
        let found = between(&was, &is, 100);
        let path = |list: &[(String, u64)]| list.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
        let (added, removed, perhaps) = (path(&found.added), path(&found.removed), path(&found.perhaps));
        let changed: Vec<String> = found.changed.iter().map(|(path, ..)| path.clone()).collect();
        for name in old.keys().chain(new.keys()) {
            prop_assert_eq!(added.contains(name), !old.contains_key(name));
            prop_assert_eq!(removed.contains(name), !new.contains_key(name));
            if let (Some(was), Some(is)) = (old.get(name), new.get(name)) {
                let same = was == is;
                prop_assert!(!(same && changed.contains(name)), "{} is the same", name);
                prop_assert!(same || changed.contains(name) || perhaps.contains(name), "{} changed", name);
            }
        }
        prop_assert_eq!(found.more, 0);
    }
}
