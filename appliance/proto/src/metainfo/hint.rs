//! What a torrent says about the content of its files, beside the piece hashes: enough to find the same file in another
//! torrent. Never checked here and never trusted: only piece hashes decide.

use super::{FILES_MAX, File};
use crate::bencode::scan::Raw;

/// BEP 47 `sha1`: 20 bytes.
pub(super) fn sha1(value: Option<Raw<'_>>) -> Option<[u8; 20]> {
    value?.bytes()?.try_into().ok()
}

/// The first bytes of each file's `pieces root` in the v2 file tree of a hybrid (BEP 52), whose files stand in the same
/// order. A tree that does not fit is left alone.
pub(super) fn from_tree(tree: Raw<'_>, files: &mut [File]) {
    let roots = roots(tree);
    let real = || (0..files.len()).filter(|index| !files[*index].pad);
    let fits = real().count() == roots.len()
        && real()
            .zip(&roots)
            .all(|(index, (length, _))| files[index].length == *length);
    if !fits {
        return;
    }
    let indices: Vec<usize> = real().collect();
    for (index, (_, root)) in indices.into_iter().zip(roots) {
        files[index].hint = root.or(files[index].hint);
    }
}

/// (length, hint) of the files of a tree, in its order; nothing of one that is no tree.
fn roots(tree: Raw<'_>) -> Vec<(u64, Option<[u8; 20]>)> {
    let (mut found, mut open) = (Vec::new(), vec![tree.entries()]);
    while let Some(level) = open.last_mut() {
        let Some((name, below)) = level.as_mut().and_then(Iterator::next) else {
            open.pop();
            continue;
        };
        if !name.is_empty() {
            open.push(below.entries());
            continue;
        }
        let Ok(Some([length, root])) = below.fields(["length", "pieces root"]) else {
            return Vec::new();
        };
        let length = length
            .and_then(Raw::int)
            .and_then(|length| u64::try_from(length).ok());
        let root = root
            .and_then(Raw::bytes)
            .and_then(|root| root.first_chunk::<20>());
        match length {
            Some(length) if found.len() < FILES_MAX => found.push((length, root.copied())),
            _ => return Vec::new(),
        }
    }
    found
}
