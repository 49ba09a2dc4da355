//! A torrent's files as a tree of folders, looked up by decoded path. Costs four bytes per file beside the [`Info`].

use std::cmp::Ordering;

use super::path::{self, SitePath};
use crate::metainfo::Info;

/// The order of a torrent's files by path, pad files left out.
#[derive(Debug, Clone)]
pub struct Tree {
    order: Vec<u32>,
    /// Leading components that are not part of the URL.
    strip: usize,
}

/// What a URL path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Index into `Info::files`.
    File(usize),
    /// A folder without `index.html`.
    Listing,
    /// The same path with (308) the spelling that relative links need.
    Redirect(String),
    Missing,
}

/// One row of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    pub name: &'a str,
    /// `Some(file index)` for files; `None` for folders.
    pub file: Option<usize>,
    /// Bytes; for folders the sum of everything below.
    pub size: u64,
    /// The files below (for a file: itself), as positions in path order for [`Tree::files`].
    pub span: (usize, usize),
}

impl Tree {
    /// Sorts the files. The top-folder rule: when every file lies in one and the same folder, that folder is not part of
    /// the URL (nobody can have meant `site/` in `site/index.html` when there is nothing beside it).
    pub fn new(info: &Info) -> Self {
        let mut order: Vec<u32> = (0..info.files.len() as u32)
            .filter(|&i| !info.files[i as usize].pad)
            .collect();
        order.sort_by(|&a, &b| {
            let key = |i: u32| &info.files[i as usize].path;
            key(a).cmp(key(b)).then(a.cmp(&b))
        });
        // Sorted: when first and last share their top folder, all do.
        let top = |i: Option<&u32>| i.map(|&i| &info.files[i as usize].path);
        let strip = match (top(order.first()), top(order.last())) {
            (Some(a), Some(b)) if a.len() > 1 && b.len() > 1 && a[0] == b[0] => 1,
            _ => 0,
        };
        Self { order, strip }
    }

    /// Number of files that can be served.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// File indices at positions `span` in path order.
    pub fn files(&self, span: (usize, usize)) -> impl Iterator<Item = usize> + '_ {
        self.order[span.0..span.1].iter().map(|&i| i as usize)
    }

    /// The components of a file as the URL shows them.
    pub fn shown<'a>(&self, info: &'a Info, file: usize) -> &'a [String] {
        let path = &info.files[file].path;
        &path[self.strip.min(path.len() - 1)..]
    }

    /// What `wanted` names. `autoindex`: false for `?btlink-no-autoindex`, which asks for the listing beside an index.html.
    pub fn find(&self, info: &Info, wanted: &SitePath, autoindex: bool) -> Found {
        let parts: Vec<&str> = wanted.components.iter().map(String::as_str).collect();
        if wanted.folder {
            return self.find_folder(info, &parts, autoindex);
        }
        if let Some(file) = self.file(info, &parts) {
            return Found::File(file);
        }
        if self.folder(info, &parts).is_some() {
            return Found::Redirect(format!("{}/", path::join(&parts)));
        }
        if let Some((last, front)) = parts.split_last() {
            let named = format!("{last}.html");
            let parts: Vec<&str> = front.iter().copied().chain([named.as_str()]).collect();
            if let Some(file) = self.file(info, &parts) {
                return Found::File(file);
            }
        }
        Found::Missing
    }

    fn find_folder(&self, info: &Info, parts: &[&str], autoindex: bool) -> Found {
        if self.folder(info, parts).is_none() {
            return Found::Missing;
        }
        for index in ["index.html", "index.htm"] {
            let inside: Vec<&str> = parts.iter().copied().chain([index]).collect();
            if let Some(file) = self.file(info, &inside).filter(|_| autoindex) {
                return Found::File(file);
            }
        }
        Found::Listing
    }

    /// The file with exactly these components. Of two files with one path the earlier in the torrent wins.
    pub fn file(&self, info: &Info, parts: &[&str]) -> Option<usize> {
        let at = self
            .order
            .partition_point(|&i| compare(self.shown(info, i as usize), parts) == Ordering::Less);
        let file = *self.order.get(at)? as usize;
        (compare(self.shown(info, file), parts) == Ordering::Equal).then_some(file)
    }

    /// Positions of everything below the folder; `None` when there is no such folder. The root always exists.
    pub fn folder(&self, info: &Info, parts: &[&str]) -> Option<(usize, usize)> {
        let prefix = |i: u32| {
            let path = self.shown(info, i as usize);
            compare(&path[..path.len().min(parts.len())], parts)
        };
        let from = self.order.partition_point(|&i| prefix(i) == Ordering::Less);
        let to = self.order.partition_point(|&i| prefix(i) != Ordering::Greater);
        // A file of the folder's own name sorts first and is not inside.
        let inside = |i: u32| self.shown(info, i as usize).len() > parts.len();
        let skip = self.order[from..to].iter().take_while(|&&i| !inside(i)).count();
        (parts.is_empty() || from + skip < to).then_some((from + skip, to))
    }

    /// The rows of a folder in path order. Work is proportional to the rows and their sizes, not to the text of paths.
    pub fn entries<'a>(&self, info: &'a Info, span: (usize, usize), depth: usize) -> Vec<Entry<'a>> {
        let mut rows = Vec::new();
        let mut at = span.0;
        while at < span.1 {
            let file = self.order[at] as usize;
            let shown = self.shown(info, file);
            let Some(name) = shown.get(depth) else {
                at += 1;
                continue;
            };
            if shown.len() == depth + 1 {
                rows.push(Entry {
                    name,
                    file: Some(file),
                    size: info.files[file].length,
                    span: (at, at + 1),
                });
                at += 1;
                continue;
            }
            let same = |&i: &u32| {
                let path = self.shown(info, i as usize);
                path.get(depth) == Some(name)
            };
            let end = at + self.order[at..span.1].partition_point(same);
            let size = self
                .files((at, end))
                .fold(0u64, |sum, file| sum.saturating_add(info.files[file].length));
            rows.push(Entry {
                name,
                file: None,
                size,
                span: (at, end),
            });
            at = end;
        }
        rows
    }
}

fn compare(path: &[String], parts: &[&str]) -> Ordering {
    path.iter().map(String::as_str).cmp(parts.iter().copied())
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
