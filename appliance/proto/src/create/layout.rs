//! The files of a torrent in the order and with the pads it gets.

use std::collections::{HashMap, VecDeque};

use super::{Error, Run};
use crate::{bencode::Value, metainfo};

/// In each folder its files come before its folders, each in the order of their bytes: the start page is then at the
/// front, where a visitor's first pieces are.
pub(super) fn files_first(a: &[String], b: &[String]) -> std::cmp::Ordering {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let is_folder = |path: &[String]| path.len() > same + 1;
    is_folder(a).cmp(&is_folder(b)).then_with(|| a.cmp(b))
}

/// The same rules as for torrents of strangers, so that what we make can be opened by us, and everywhere.
pub(super) fn check_paths(files: &[(Vec<String>, u64)]) -> Result<(), Error> {
    let mut kinds: HashMap<&[String], bool> = HashMap::new();
    for (path, _) in files {
        let shown = || path.join("/");
        let at = |fault| Error::Path { path: shown(), fault };
        metainfo::File {
            path: path.clone(),
            ..Default::default()
        }
        .disk_path()
        .map_err(at)?;
        if kinds.insert(path, true).is_some() {
            return Err(Error::Twice(shown()));
        }
        // Every folder above it; one that is a file too would be in the map as such.
        for depth in 1..path.len() {
            if *kinds.entry(&path[..depth]).or_insert(false) {
                return Err(Error::Twice(path[..depth].join("/")));
            }
        }
    }
    Ok(())
}

/// Zeros after every file but the last that has content, up to the next piece.
pub(super) fn padded(runs: &VecDeque<Run>, piece_length: u64) -> VecDeque<Run> {
    let last = runs.iter().rposition(|run| run.left > 0);
    let mut all = VecDeque::with_capacity(runs.len() * 2);
    for (place, run) in runs.iter().enumerate() {
        all.push_back(*run);
        let over = run.left % piece_length;
        if over > 0 && Some(place) != last {
            all.push_back(Run {
                file: None,
                left: piece_length - over,
            });
        }
    }
    all
}

pub(super) fn entry(run: &Run, files: &[(Vec<String>, u64)]) -> Value {
    let length = ("length", Value::Int(run.left as i64));
    let path = |parts: &[String]| Value::List(parts.iter().map(|part| Value::text(part)).collect());
    match run.file {
        Some(index) => Value::dict([length, ("path", path(&files[index].0))]),
        None => Value::dict([
            ("attr", Value::text("p")),
            length,
            ("path", path(&[".pad".to_owned(), run.left.to_string()])),
        ]),
    }
}

pub(super) fn sum(mut lengths: impl Iterator<Item = u64>) -> Result<u64, Error> {
    let total = lengths.try_fold(0u64, |sum, length| sum.checked_add(length));
    total.filter(|total| *total < 1 << 62).ok_or(Error::Total)
}
