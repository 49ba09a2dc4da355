//! Files ↔ pieces ↔ paths.

use std::{cmp::Ordering, ops::Range};

use super::{File, Info};

/// A run of bytes inside one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub piece: u32,
    /// Bytes from the start of the piece.
    pub offset: u32,
    /// Bytes; never 0.
    pub len: u32,
}

impl Info {
    /// Number of pieces; never 0.
    pub fn piece_count(&self) -> u32 {
        self.pieces.len() as u32
    }

    /// Length of piece `index`, bytes; the last one may be shorter. `None` past the end.
    pub fn piece_len(&self, index: u32) -> Option<u32> {
        let start = u64::from(index) * u64::from(self.piece_length);
        (start < self.total).then(|| (self.total - start).min(u64::from(self.piece_length)) as u32)
    }

    /// The pieces that hold a byte of file `file`; empty for an empty file or an index past the end.
    pub fn pieces_of(&self, file: usize) -> Range<u32> {
        let Some(file) = self.files.get(file).filter(|file| file.length > 0) else {
            return 0..0;
        };
        let piece = u64::from(self.piece_length);
        let last = (file.offset + file.length - 1) / piece;
        (file.offset / piece) as u32..last as u32 + 1
    }

    /// Where the bytes `range` of file `file` lie, in order; what is past the end of the file is left out.
    pub fn span(&self, file: usize, range: Range<u64>) -> impl Iterator<Item = Span> + use<> {
        let (offset, length) = self.files.get(file).map_or((0, 0), |f| (f.offset, f.length));
        let piece = u64::from(self.piece_length);
        let end = offset + range.end.min(length);
        let mut at = offset + range.start.min(length);
        std::iter::from_fn(move || {
            let within = at % piece;
            let len = (piece - within).min(end.checked_sub(at).filter(|left| *left > 0)?);
            let span = Span {
                piece: (at / piece) as u32,
                offset: within as u32,
                len: len as u32,
            };
            at += len;
            Some(span)
        })
    }

    /// Index of the file with exactly this path (case counts); never a pad file.
    pub fn file_at<S: AsRef<str>>(&self, path: &[S]) -> Option<usize> {
        let found = self
            .by_path
            .binary_search_by(|index| compare(&self.files[*index as usize].path, path))
            .ok()?;
        Some(self.by_path[found] as usize)
    }

    /// Indices of all files below `folder` in order of their paths, each folder's files together; `[]` is the root.
    /// Pad files are not among them. Empty when there is no such folder.
    pub fn under<S: AsRef<str>>(&self, folder: &[S]) -> &[u32] {
        let below = |index: &u32| {
            let path = &self.files[*index as usize].path;
            let head = &path[..path.len().min(folder.len())];
            match compare(head, folder) {
                // The file that has the folder's own name comes before everything in it.
                Ordering::Equal if path.len() == folder.len() => Ordering::Less,
                order => order,
            }
        };
        let from = self.by_path.partition_point(|i| below(i) == Ordering::Less);
        let to = self.by_path.partition_point(|i| below(i) != Ordering::Greater);
        &self.by_path[from..to]
    }

    /// Whether a path names a folder.
    pub fn is_folder<S: AsRef<str>>(&self, path: &[S]) -> bool {
        !self.under(path).is_empty()
    }

    /// The one folder that all files lie in, when there is one (pad files do not count).
    pub fn top_folder(&self) -> Option<&str> {
        let first = self.by_path.first()?;
        let last = self.by_path.last()?;
        // In path order, when the first and the last file share their first component, so do all between.
        match (
            &self.files[*first as usize].path[..],
            &self.files[*last as usize].path[..],
        ) {
            ([a, _, ..], [b, _, ..]) if a == b => Some(a),
            _ => None,
        }
    }

    /// Bytes of content, without pad files.
    pub fn content_bytes(&self) -> u64 {
        self.files.iter().filter(|f| !f.pad).map(|f| f.length).sum()
    }

    /// Pairs of files whose paths differ in case only: two files here, one on a disk that ignores case.
    pub fn case_collisions(&self) -> Vec<(u32, u32)> {
        let mut folded: Vec<(String, u32)> = self
            .by_path
            .iter()
            .map(|i| (self.files[*i as usize].path.join("/").to_lowercase(), *i))
            .collect();
        folded.sort_unstable();
        let same = |pair: &&[(String, u32)]| pair[0].0 == pair[1].0;
        folded
            .windows(2)
            .filter(same)
            .map(|pair| (pair[0].1, pair[1].1))
            .collect()
    }
}

/// The order of `by_path`: component by component, so that a folder's files are neighbours.
pub(super) fn by_path(files: &[File]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..files.len() as u32)
        .filter(|i| !files[*i as usize].pad)
        .collect();
    order.sort_unstable_by(|a, b| {
        files[*a as usize]
            .path
            .cmp(&files[*b as usize].path)
            .then(a.cmp(b))
    });
    order
}

fn compare<S: AsRef<str>>(path: &[String], other: &[S]) -> Ordering {
    path.iter().map(String::as_str).cmp(other.iter().map(S::as_ref))
}
