//! A file as bytes in memory, mapped where that is safe. The only crate of ours with a line of unsafe code, and nothing else
//! lives here.
//!
//! For files that are written whole under another name, renamed into place, and never changed afterwards: a new version is
//! a new file, and who has mapped the old one keeps it.

use std::{
    fs::File,
    io::{self, Read},
    ops::Deref,
    path::Path,
};

use memmap2::Mmap;

/// The bytes of a file, as they were when it was opened.
pub struct Mapped(Bytes);

enum Bytes {
    /// All pages are in memory and stay there.
    Mapped(Mmap),
    Copied(Vec<u8>),
}

impl Mapped {
    /// Opens `path` for reading. A file of more than `bytes_max` is refused.
    ///
    /// The pages are locked into memory before this returns: reading them later can then not meet a broken disk, which
    /// would kill the process (SIGBUS) instead of giving an error. Where the limit of locked memory is too low for that,
    /// the file is copied into ordinary memory.
    pub fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            ));
        }
        if facts.len() > bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has {} bytes, more than the {bytes_max} allowed", facts.len()),
            ));
        }
        if let Some(map) = locked(&file) {
            return Ok(Self(Bytes::Mapped(map)));
        }
        let mut bytes = Vec::new();
        file.by_ref().take(bytes_max).read_to_end(&mut bytes)?;
        Ok(Self(Bytes::Copied(bytes)))
    }

    /// Whether it is the file itself, and not a copy.
    pub fn is_mapped(&self) -> bool {
        matches!(self.0, Bytes::Mapped(_))
    }
}

fn locked(file: &File) -> Option<Mmap> {
    // SAFETY: the bytes of a map must not change while a `&[u8]` to them exists. The map is private and read-only, so nobody
    // changes them through it; the file was opened for reading only; and the files given to this crate lie in folders that
    // only our own user may write to, appear by rename when they are whole, and are replaced, never written to or cut, so
    // nobody changes them behind it. What the caller does with the bytes holds for any bytes (it checks a checksum, then
    // relies on nothing but the length).
    #[allow(unsafe_code)]
    let map = unsafe { Mmap::map(file) }.ok()?;
    map.lock().ok()?;
    Some(map)
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Mapped(map) => map,
            Bytes::Copied(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_bytes_of_the_file_stay_when_it_is_replaced_and_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list");
        fs::write(&path, b"the old one").expect("written");
        let mapped = Mapped::open(&path, 100).expect("it is there");
        fs::write(folder.path().join("part"), b"the new one").expect("written");
        fs::rename(folder.path().join("part"), &path).expect("renamed");
        assert_eq!(&*mapped, b"the old one");
        assert_eq!(&*Mapped::open(&path, 100).expect("it is there"), b"the new one");
        fs::remove_file(&path).expect("removed");
        assert_eq!(mapped.as_ref(), b"the old one");
    }

    #[test]
    fn a_file_that_is_missing_too_large_or_none_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list");
        assert_eq!(
            Mapped::open(&path, 9).err().map(|err| err.kind()),
            Some(io::ErrorKind::NotFound)
        );
        fs::write(&path, [0; 10]).expect("written");
        assert_eq!(
            Mapped::open(&path, 9).err().map(|err| err.kind()),
            Some(io::ErrorKind::FileTooLarge)
        );
        assert!(Mapped::open(&path, 10).is_ok());
        assert!(Mapped::open(folder.path(), 1 << 30).is_err());
    }

    #[test]
    fn an_empty_file_has_no_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list");
        fs::write(&path, b"").expect("written");
        assert!(Mapped::open(&path, 9).expect("it is there").is_empty());
    }
}
