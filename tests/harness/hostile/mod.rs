//! Hostile torrents: what strangers could send, one case per idea, with what must come of it.
//!
//! Cases are made when they are asked for, so that the largest decides the memory and not their sum.

mod bencoding;
mod bombs;
mod fields;
mod paths;

use proto::{
    bencode::{self, Value, scan},
    metainfo::{Info, Torrent, Verdict, verdict},
    site::{
        self,
        path::SitePath,
        tree::{Found, Tree},
    },
};

/// What must come of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Must not open.
    Refused,
    /// Odd but legal: opens, and everything in it is safe.
    Opens,
    /// May open or not; when it does, everything in it is safe.
    Harmless,
}

/// One case. `make` builds the bytes of a `.torrent` file.
pub struct Case {
    pub name: String,
    pub expect: Expect,
    make: Box<dyn Fn() -> Vec<u8>>,
}

impl Case {
    fn new(name: impl Into<String>, expect: Expect, make: impl Fn() -> Vec<u8> + 'static) -> Self {
        Case {
            name: name.into(),
            expect,
            make: Box::new(make),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        (self.make)()
    }

    /// Judges the case with the reader that protects the daemon. `Err` says in which way the result is wrong.
    pub fn check(&self, bytes: &[u8]) -> Result<(), String> {
        // Neither the tree nor the walk may mind what the torrent reader refuses.
        let _ = bencode::parse(bytes);
        let _ = bencode::parse_unsorted(bytes);
        let _ = scan::scan(bytes);
        match (self.expect, verdict(bytes)) {
            (Expect::Refused, Verdict::Accepted { .. }) => Err("it was accepted".into()),
            (Expect::Opens, Verdict::Refused(error)) => Err(format!("it was refused: {error}")),
            (_, Verdict::Accepted { torrent, .. }) => check_torrent(&torrent),
            (_, Verdict::Refused(error)) if error.to_string().len() > 1_000 => {
                Err("the message is a flood".into())
            }
            (_, Verdict::Refused(_)) => Ok(()),
        }
    }
}

/// All cases, the cheap ones first.
pub fn all() -> impl Iterator<Item = Case> {
    bencoding::cases()
        .into_iter()
        .chain(fields::cases())
        .chain(paths::cases())
        .chain(bombs::cases())
}

/// What every accepted torrent promises the rest of the house.
pub fn check_torrent(torrent: &Torrent) -> Result<(), String> {
    let bounded = torrent.trackers.len() <= 20 && torrent.web_seeds.len() <= 20;
    let texts = torrent
        .trackers
        .iter()
        .chain(&torrent.web_seeds)
        .chain(&torrent.comment)
        .chain(&torrent.created_by);
    if !bounded
        || texts
            .clone()
            .any(|t| t.len() > 8_192 || t.chars().any(char::is_control))
    {
        return Err("trackers, web seeds or comments are not bounded".into());
    }
    check_info(&torrent.info)
}

/// The same for the info dictionary alone.
pub fn check_info(info: &Info) -> Result<(), String> {
    let mut offset = 0;
    let mut content = 0;
    for (index, file) in info.files.iter().enumerate() {
        if file.offset != offset {
            return Err(format!("file {index} does not begin where the one before ends"));
        }
        offset += file.length;
        if file.pad {
            continue;
        }
        content += 1;
        check_path(info, index)?;
    }
    check_urls(info)?;
    if content == 0 || offset != info.total || info.total == 0 {
        return Err("the files do not add up".into());
    }
    check_pieces(info)
}

fn check_path(info: &Info, index: usize) -> Result<(), String> {
    let file = &info.files[index];
    let shown = file.path.join("/").escape_debug().to_string();
    let disk = match info.disk_path(index) {
        Some(Ok(path)) => path,
        _ => return Err(format!("{shown} has no place on a disk")),
    };
    let inside = disk
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    let expected = file.path.len() + usize::from(info.multi_file);
    if !inside || disk.components().count() != expected {
        return Err(format!("{shown} leaves its folder"));
    }
    for part in file.path.iter().chain([&info.name]) {
        let unsafe_part = part.is_empty()
            || part.len() > 255
            || part == "."
            || part == ".."
            || part.chars().any(|c| c.is_control() || c == '/' || c == '\\');
        if unsafe_part {
            return Err(format!("{shown} has an unsafe component"));
        }
    }
    match info.file_at(&file.path) {
        Some(found) if found == index => Ok(()),
        other => Err(format!("{shown} is file {index} but is found as {other:?}")),
    }
}

/// Every file must be reachable at the URL its path gives; a hundred of them stand for all.
fn check_urls(info: &Info) -> Result<(), String> {
    let tree = Tree::new(info);
    let step = info.files.len().div_ceil(100);
    for index in (0..info.files.len())
        .step_by(step)
        .filter(|i| !info.files[*i].pad)
    {
        let url = site::path::join(tree.shown(info, index));
        let path = match SitePath::parse(&url) {
            Err(site::path::Malformed::TooLong) => continue,
            other => other.map_err(|error| format!("{url} of file {index}: {error}"))?,
        };
        let found = tree.find(info, &path, true);
        if found != Found::File(index) {
            return Err(format!("{url} of file {index} leads to {found:?}"));
        }
    }
    Ok(())
}

fn check_pieces(info: &Info) -> Result<(), String> {
    let lengths = (0..info.piece_count())
        .filter_map(|p| info.piece_len(p))
        .map(u64::from)
        .sum::<u64>();
    if lengths != info.total || info.piece_len(info.piece_count()).is_some() {
        return Err("the pieces do not cover the files".into());
    }
    for index in [0, info.files.len() / 2, info.files.len() - 1] {
        let (file, pieces) = (&info.files[index], info.pieces_of(index));
        if pieces.len() > 100_000 {
            continue;
        }
        let spans: Vec<_> = info.span(index, 0..u64::MAX).collect();
        let bytes: u64 = spans.iter().map(|span| u64::from(span.len)).sum();
        if bytes != file.length || spans.len() != pieces.len() {
            return Err(format!("the spans of file {index} do not cover it"));
        }
    }
    Ok(())
}

/// A valid torrent of two files that the cases change.
fn sound() -> Vec<(&'static str, Value)> {
    vec![
        (
            "files",
            Value::List(vec![file(&["index.html"], 38), file(&["css", "s.css"], 13)]),
        ),
        ("name", Value::text("site")),
        ("piece length", Value::Int(16_384)),
        ("pieces", Value::bytes([7; 20])),
    ]
}

fn file(path: &[&str], length: i64) -> Value {
    let path = path.iter().map(|part| Value::text(part)).collect();
    Value::dict([("length", Value::Int(length)), ("path", Value::List(path))])
}

/// The sound info dictionary with some keys replaced (`None` takes a key away).
fn changed(changes: &[(&'static str, Option<Value>)]) -> Value {
    let mut entries = sound();
    for (key, value) in changes {
        entries.retain(|(k, _)| k != key);
        entries.extend(value.clone().map(|value| (*key, value)));
    }
    Value::dict(entries)
}

/// A `.torrent` file around an info dictionary.
fn torrent(info: &Value) -> Vec<u8> {
    Value::dict([
        ("announce", Value::text("http://t.example/announce")),
        ("info", info.clone()),
    ])
    .encode()
}
