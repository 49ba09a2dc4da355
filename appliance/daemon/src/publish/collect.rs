//! Which files belong to a site: regular ones only, in a stable order. Links are not followed: a link out of the folder would
//! publish what nobody meant to.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proto::create::{Builder, Options, piece_length_for};

use super::{Error, bundled::Bundle};

/// Folders below each other. Deeper: a person would not find the file again. A loop cannot arise without links.
const DEPTH_MAX: usize = 64;
/// As many as `proto::metainfo` accepts of a stranger.
const FILES_MAX: usize = proto::metainfo::FILES_MAX;

pub enum Content {
    Path(PathBuf),
    Bytes(&'static [u8]),
}

pub struct Entry {
    pub path: Vec<String>,
    pub length: u64,
    pub content: Content,
}

/// A site before it has an infohash.
pub struct Collected {
    pub name: String,
    /// A single file without a folder around it.
    single: bool,
    pub files: Vec<Entry>,
    /// What messages name.
    pub source: PathBuf,
}

impl Collected {
    pub fn total(&self) -> u64 {
        self.files.iter().map(|file| file.length).sum()
    }

    /// A fresh builder; the same files make the same torrent every time.
    pub fn builder(&self) -> Result<Builder, Error> {
        if self.single {
            return Ok(Builder::file(&self.name, self.total(), Options::default())?);
        }
        let files: Vec<_> = self
            .files
            .iter()
            .map(|file| (file.path.clone(), file.length))
            .collect();
        // Padded, so that the next version of the site shares the pieces of every file that did not change; unless the
        // files are so many and small that the padding would outweigh them.
        let waste = files.len() as u64 * u64::from(piece_length_for(self.total())) / 2;
        let options = Options {
            pad: waste <= self.total() / 4,
            ..Options::default()
        };
        Ok(Builder::folder(&self.name, &files, options)?)
    }
}

pub fn from_bundle(bundle: &'static Bundle) -> Collected {
    let files = bundle.files.iter().map(|(path, bytes)| Entry {
        path: path.split('/').map(String::from).collect(),
        length: bytes.len() as u64,
        content: Content::Bytes(bytes),
    });
    Collected {
        name: bundle.name.into(),
        single: false,
        files: files.collect(),
        source: PathBuf::from(bundle.name),
    }
}

pub fn from_disk(source: &Path, name: Option<&str>) -> Result<Collected, Error> {
    let unreadable = |reason| Error::Unreadable {
        path: source.into(),
        reason,
    };
    let source = fs::canonicalize(source).map_err(unreadable)?;
    let found = fs::metadata(&source).map_err(unreadable)?;
    let own = source.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name
        .map(String::from)
        .or(own)
        .ok_or_else(|| Error::Refused(format!("{} has no name: give one with --name", source.display())))?;
    let mut files = Vec::new();
    if found.is_file() {
        files.push(Entry {
            path: vec![name.clone()],
            length: found.len(),
            content: Content::Path(source.clone()),
        });
    } else {
        walk(&source, &mut Vec::new(), &mut files)?;
    }
    if files.iter().all(|file| file.length == 0) {
        return Err(Error::Refused(format!("{} holds no bytes", source.display())));
    }
    Ok(Collected {
        name,
        single: found.is_file(),
        files,
        source,
    })
}

fn walk(folder: &Path, below: &mut Vec<String>, files: &mut Vec<Entry>) -> Result<(), Error> {
    let unreadable = |path: &Path, reason| Error::Unreadable {
        path: path.into(),
        reason,
    };
    if below.len() > DEPTH_MAX {
        return Err(Error::Refused(format!(
            "{} lies deeper than {DEPTH_MAX} folders",
            folder.display()
        )));
    }
    let mut entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|reason| unreadable(folder, reason))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(|reason| unreadable(&path, reason))?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|_| Error::Refused(format!("the name of {} is not UTF-8", path.display())))?;
        below.push(name);
        if kind.is_dir() {
            walk(&path, below, files)?;
        } else if kind.is_file() {
            if files.len() == FILES_MAX {
                return Err(Error::Refused(format!("there are more than {FILES_MAX} files")));
            }
            let length = entry
                .metadata()
                .map_err(|reason| unreadable(&path, reason))?
                .len();
            files.push(Entry {
                path: below.clone(),
                length,
                content: Content::Path(path),
            });
        }
        below.pop();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_left_out_and_the_order_is_stable() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("b")).expect("writable");
        fs::write(at("b/z"), "zz").expect("writable");
        fs::write(at("c"), "c").expect("writable");
        fs::write(at("a"), "a").expect("writable");
        std::os::unix::fs::symlink("/etc/passwd", at("link")).expect("writable");
        let site = from_disk(dir.path(), Some("site")).expect("three files");
        let paths: Vec<_> = site.files.iter().map(|file| file.path.join("/")).collect();
        assert_eq!(paths, ["a", "b/z", "c"]);
        assert_eq!(site.total(), 4);
    }

    #[test]
    fn an_empty_folder_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert!(matches!(from_disk(dir.path(), None), Err(Error::Refused(_))));
    }
}
