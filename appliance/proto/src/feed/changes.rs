//! What changed between two versions of a site.

use std::cmp::Ordering;

use crate::metainfo::{File, Info};

/// Paths joined with `/`, in path order, at most `max` in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub added: Vec<(String, u64)>,
    pub removed: Vec<(String, u64)>,
    /// Path, old length, new length.
    pub changed: Vec<(String, u64, u64)>,
    /// As long as before, in pieces that changed and that they share with other files, or at a place where the pieces of the
    /// two versions cannot be compared: only their bytes tell whether they changed.
    pub perhaps: Vec<(String, u64)>,
    /// More than `max` changes: so many are not listed.
    pub more: usize,
}

impl Changes {
    fn room(&mut self, max: usize) -> bool {
        let listed = self.added.len() + self.removed.len() + self.changed.len() + self.perhaps.len();
        if listed >= max {
            self.more += 1;
        }
        listed < max
    }
}

/// Compares file by file, by length and piece hashes. Takes time in the number of files and pieces, not their product.
pub fn between(old: &Info, new: &Info, max: usize) -> Changes {
    let mut changes = Changes::default();
    let (before, after) = (Version::new(old), Version::new(new));
    let (mut left, mut right) = (before.order.iter().peekable(), after.order.iter().peekable());
    loop {
        let (a, b) = match (left.peek(), right.peek()) {
            (None, None) => return changes,
            (Some(a), None) => (Some(**a), None),
            (None, Some(b)) => (None, Some(**b)),
            (Some(a), Some(b)) => match before.file(**a).path.cmp(&after.file(**b).path) {
                Ordering::Less => (Some(**a), None),
                Ordering::Greater => (None, Some(**b)),
                Ordering::Equal => (Some(**a), Some(**b)),
            },
        };
        if a.is_some() {
            left.next();
        }
        if b.is_some() {
            right.next();
        }
        let (was, is) = (a.map(|at| before.file(at)), b.map(|at| after.file(at)));
        match (was, is) {
            (Some(was), None) if changes.room(max) => changes.removed.push((path(was), was.length)),
            (None, Some(is)) if changes.room(max) => changes.added.push((path(is), is.length)),
            (Some(was), Some(is)) => {
                let (Some(a), Some(b)) = (a, b) else { continue };
                match before.compare(a, &after, b) {
                    Same::Yes => {}
                    Same::No if changes.room(max) => {
                        changes.changed.push((path(is), was.length, is.length));
                    }
                    Same::Perhaps if changes.room(max) => changes.perhaps.push((path(is), is.length)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

fn path(file: &File) -> String {
    file.path.join("/")
}

enum Same {
    Yes,
    No,
    Perhaps,
}

/// An info with what tells whose bytes a piece holds.
struct Version<'a> {
    info: &'a Info,
    /// Files that are no pads, by path.
    order: &'a [u32],
    /// For each file: where the content before it ends, and where the content after it begins.
    before: Vec<u64>,
    after: Vec<u64>,
}

impl<'a> Version<'a> {
    fn new(info: &'a Info) -> Self {
        let content = |file: &File| !file.pad && file.length > 0;
        let mut end = 0;
        let mut before = Vec::with_capacity(info.files.len());
        for file in &info.files {
            before.push(end);
            if content(file) {
                end = file.offset + file.length;
            }
        }
        let mut start = u64::MAX;
        let mut after = vec![start; info.files.len()];
        for (at, file) in info.files.iter().enumerate().rev() {
            after[at] = start;
            if content(file) {
                start = file.offset;
            }
        }
        Self {
            info,
            order: info.under::<&str>(&[]),
            before,
            after,
        }
    }

    fn file(&self, at: u32) -> &'a File {
        &self.info.files[at as usize]
    }

    /// Whether `piece` holds bytes of no file but `at`, padding aside.
    fn alone(&self, at: u32, piece: u32) -> bool {
        let length = u64::from(self.info.piece_length);
        let start = u64::from(piece) * length;
        self.before[at as usize] <= start && self.after[at as usize] >= start + length
    }

    fn compare(&self, at: u32, other: &Version<'_>, there: u32) -> Same {
        let (was, is) = (self.file(at), other.file(there));
        if was.length != is.length {
            return Same::No;
        }
        if was.length == 0 {
            return Same::Yes;
        }
        let length = u64::from(self.info.piece_length);
        let comparable =
            self.info.piece_length == other.info.piece_length && was.offset % length == is.offset % length;
        if !comparable {
            return Same::Perhaps;
        }
        let pieces = self.info.pieces_of(at as usize);
        let others = other.info.pieces_of(there as usize);
        let mut same = Same::Yes;
        for (a, b) in pieces.zip(others) {
            if self.info.pieces[a as usize] == other.info.pieces[b as usize] {
                continue;
            }
            // Padding is zeros in every version, but the last piece of a torrent may be cut short instead of padded.
            let whole = self.info.piece_len(a) == other.info.piece_len(b);
            if whole && self.alone(at, a) && other.alone(there, b) {
                return Same::No;
            }
            same = Same::Perhaps;
        }
        same
    }
}

#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
