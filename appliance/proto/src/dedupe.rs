//! Which bytes of a new version we already hold: guesses from names, lengths and hints. A guess may be wrong: whoever uses
//! it checks the hash of the piece it makes. Pieces whose hash is the same in both need no guess: the store finds them.

use std::{collections::HashMap, ops::Range, sync::Arc};

use crate::metainfo::{File, Info};

/// Most old torrents looked at; the caller gives the likeliest first.
pub const OLD_MAX: usize = 8;

/// Files of old torrents that one file is compared with. More: more wrong guesses to read and hash.
const TWINS_MAX: usize = 2;

/// Ways to put one piece together that are tried.
const WAYS_MAX: usize = 4;

/// A place in another torrent's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Which of the given old torrents.
    pub torrent: usize,
    /// Bytes counted over the whole torrent.
    pub range: Range<u64>,
}

/// How a piece of the new torrent may be put together from old ones; its hash decides whether it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    pub piece: u32,
    /// The file of the new torrent most of the piece belongs to.
    pub file: u32,
    /// In order; together exactly the piece. `None`: zeros (padding).
    pub parts: Vec<(Option<Source>, u64)>,
}

/// (old torrent, file in it).
type Twin = (u32, u32);

/// What a new torrent and older ones seem to have in common. Made in time linear in their files.
#[derive(Debug, Clone)]
pub struct Likeness {
    new: Arc<Info>,
    old: Vec<Arc<Info>>,
    /// For each file of the new torrent, likeliest first.
    twins: Vec<[Option<Twin>; TWINS_MAX]>,
}

impl Likeness {
    /// Of `old`, the first [`OLD_MAX`] count.
    pub fn new(new: Arc<Info>, mut old: Vec<Arc<Info>>) -> Self {
        old.truncate(OLD_MAX);
        let known = Known::of(&old);
        let alone = only_file(&new).is_some();
        let twins = new
            .files
            .iter()
            .map(|file| known.twins(&old, file, alone))
            .collect();
        Self { new, old, twins }
    }

    /// Whether any file has a likeness at all.
    pub fn is_empty(&self) -> bool {
        self.twins.iter().all(|twins| twins[0].is_none())
    }

    /// Bytes per piece of an old torrent.
    pub fn piece_length(&self, torrent: usize) -> Option<u64> {
        self.old.get(torrent).map(|info| u64::from(info.piece_length))
    }

    /// Ways to put `piece` together, likeliest first, at most four: the same files at the same place from their start, or
    /// from their end where their lengths differ. None when some of its bytes are in no file we know.
    pub fn guesses(&self, piece: u32) -> Vec<Guess> {
        let Some(len) = self.new.piece_len(piece) else {
            return Vec::new();
        };
        let start = u64::from(piece) * u64::from(self.new.piece_length);
        let end = start + u64::from(len);
        let mut spans: Vec<(Vec<Option<Source>>, u64)> = Vec::new();
        let (mut main, mut most) = (0, 0);
        let first = self
            .new
            .files
            .partition_point(|file| file.offset + file.length <= start);
        for (index, file) in self.new.files.iter().enumerate().skip(first) {
            if file.offset >= end {
                break;
            }
            let range = file.offset.max(start)..(file.offset + file.length).min(end);
            if range.is_empty() {
                continue;
            }
            let bytes = range.end - range.start;
            let sources = self.sources(index, file, range);
            if sources.is_empty() {
                return Vec::new();
            }
            if bytes > most {
                (main, most) = (index as u32, bytes);
            }
            spans.push((sources, bytes));
        }
        let ways = spans.iter().map(|span| span.0.len()).max().unwrap_or(0);
        let way = |no: usize| Guess {
            piece,
            file: main,
            parts: spans
                .iter()
                .map(|(sources, bytes)| (sources[no.min(sources.len() - 1)].clone(), *bytes))
                .collect(),
        };
        (0..ways.min(WAYS_MAX)).map(way).collect()
    }

    /// Where the bytes `range` (over the whole new torrent) of a file may be; `None` stands for zeros.
    fn sources(&self, index: usize, file: &File, range: Range<u64>) -> Vec<Option<Source>> {
        if file.pad {
            return vec![None];
        }
        let (from, to) = (range.start - file.offset, range.end - file.offset);
        let at_end = to == file.length && from > 0;
        let mut found = Vec::new();
        for (torrent, twin) in self.twins[index].iter().flatten() {
            let twin = &self.old[*torrent as usize].files[*twin as usize];
            // Counted from the start, and from the end.
            let heads = (to <= twin.length).then_some(from);
            let tails = (twin.length + from).checked_sub(file.length);
            let mut places = [heads, tails];
            if at_end {
                places.reverse();
            }
            for place in places.into_iter().flatten() {
                let source = Source {
                    torrent: *torrent as usize,
                    range: twin.offset + place..twin.offset + place + (to - from),
                };
                if !found.contains(&Some(source.clone())) {
                    found.push(Some(source));
                }
            }
        }
        found
    }
}

/// Old files by what may name them. Of several with one name, those of the likeliest torrent.
struct Known {
    hints: HashMap<[u8; 20], Twin>,
    /// Length → the file, when there is only one.
    lengths: HashMap<u64, Option<Twin>>,
}

/// A shorter file has its length in common with too many.
const LENGTH_TELLS: u64 = 4096;

impl Known {
    fn of(old: &[Arc<Info>]) -> Self {
        let (mut hints, mut lengths) = (HashMap::new(), HashMap::new());
        for (torrent, info) in (0..).zip(old) {
            for (index, file) in (0..).zip(&info.files) {
                if file.pad {
                    continue;
                }
                if let Some(hint) = file.hint {
                    hints.entry(hint).or_insert((torrent, index));
                }
                if file.length >= LENGTH_TELLS {
                    let only = lengths.entry(file.length).or_insert(Some((torrent, index)));
                    // The same file in an older version is no other file.
                    let same = only.is_some_and(|(torrent, twin): Twin| {
                        old[torrent as usize].files[twin as usize].path == file.path
                    });
                    if !same {
                        *only = None;
                    }
                }
            }
        }
        Self { hints, lengths }
    }

    fn twins(&self, old: &[Arc<Info>], file: &File, alone: bool) -> [Option<Twin>; TWINS_MAX] {
        let mut found = [None; TWINS_MAX];
        if file.pad || file.length == 0 {
            return found;
        }
        let mut free = found.iter_mut();
        let mut seen: Vec<Twin> = Vec::new();
        let mut add = |twin: Option<Twin>| {
            if let Some(twin) = twin.filter(|twin| !seen.contains(twin)) {
                seen.push(twin);
                if let Some(place) = free.next() {
                    *place = Some(twin);
                }
            }
        };
        add(file.hint.and_then(|hint| self.hints.get(&hint).copied()));
        let by_path = || {
            (0..).zip(old).filter_map(|(torrent, info)| {
                let index = info.file_at(&file.path)?;
                Some((torrent, index as u32, info.files[index].length))
            })
        };
        let same = by_path().find(|found| found.2 == file.length);
        add(same.map(|(torrent, index, _)| (torrent, index)));
        add(by_path().next().map(|(torrent, index, _)| (torrent, index)));
        add(self.lengths.get(&file.length).copied().flatten());
        if alone {
            let only = (0..)
                .zip(old)
                .find_map(|(torrent, info)| Some((torrent, only_file(info)?)));
            add(only);
        }
        found
    }
}

/// The file of a torrent that has but one.
fn only_file(info: &Info) -> Option<u32> {
    let mut real = (0..).zip(&info.files).filter(|(_, file)| !file.pad);
    let (index, _) = real.next()?;
    real.next().is_none().then_some(index)
}

#[cfg(test)]
#[path = "dedupe_tests.rs"]
mod tests;
