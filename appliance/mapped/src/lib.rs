//! Files as bytes in memory: one of ours, mapped where that is safe, and the program itself, which may leave memory once it has
//! started. The only crate of ours with lines of unsafe code, and nothing else lives here.
//!
//! For files that are written whole under another name, renamed into place, and never changed afterwards: a new version is
//! a new file, and who has mapped the old one keeps it.

use std::{
    fs::File,
    io::{self, Read},
    ops::{Deref, Range},
    path::Path,
    ptr,
};

use memmap2::Mmap;
use rustix::mm::{Advice, madvise};

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

/// Unmaps the pages of this program and of its libraries that nobody can have changed: what is needed again comes back by
/// itself, from the kernel's cache; what only the start needed does not, and is the first that a small board's kernel drops when
/// memory is short. Returns how many bytes were covered, mapped or not.
pub fn forget_code() -> io::Result<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let mut covered = 0;
    for range in unchanged(&maps) {
        let len = range.end - range.start;
        // SAFETY: the kernel may drop pages of a private map of a file at any time when nobody has written to them, and reads
        // them again from the file. Nobody has written to these: code is mapped `r-xp` and has no relocations, the first
        // segment of a program (headers, constants) is never writable, and a running program's file cannot be changed in place.
        // So every byte has the same value afterwards.
        #[allow(unsafe_code)]
        let done = unsafe {
            madvise(
                ptr::with_exposed_provenance_mut(range.start),
                len,
                Advice::LinuxDontNeed,
            )
        };
        done?;
        covered += len;
    }
    Ok(covered)
}

/// A line of proc_pid_maps(5) about a file: `start-end flags offset device inode path`.
struct Line<'a> {
    range: Range<usize>,
    flags: &'a str,
    offset: usize,
    inode: &'a str,
}

fn line(text: &str) -> Option<Line<'_>> {
    let mut words = text.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let hex = |word| usize::from_str_radix(word, 16).ok();
    let line = Line {
        range: hex(start)?..hex(end)?,
        flags: words.next()?,
        offset: hex(words.next()?)?,
        inode: words.nth(1)?,
    };
    (line.inode != "0" && !line.range.is_empty()).then_some(line)
}

/// Code of files, and the first segment of the files that have code.
fn unchanged(maps: &str) -> Vec<Range<usize>> {
    let lines: Vec<_> = maps.lines().filter_map(line).collect();
    let is_code = |one: &Line<'_>| one.flags == "r-xp";
    let programs: Vec<_> = lines
        .iter()
        .filter(|one| is_code(one))
        .map(|one| one.inode)
        .collect();
    let is_first = |one: &Line<'_>| one.flags == "r--p" && one.offset == 0 && programs.contains(&one.inode);
    let lines = lines.iter().filter(|one| is_code(one) || is_first(one));
    lines.map(|one| one.range.clone()).collect()
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
    fn only_what_nobody_can_have_changed_is_forgotten() {
        let maps = "\
            1000-2000 r--p 00000000 fe:00 17    /usr/bin/granary\n\
            2000-5000 r-xp 00001000 fe:00 17    /usr/bin/granary\n\
            5000-6000 r--p 00004000 fe:00 17    /usr/bin/granary\n\
            6000-7000 rw-p 00005000 fe:00 17    /usr/bin/granary\n\
            7000-8000 rw-p 00000000 00:00 0     [heap]\n\
            8000-9000 r--p 00000000 fe:00 18    /data/blocklist\n\
            9000-a000 rwxp 00001000 fe:00 19    /usr/lib/odd.so\n\
            a000-b000 r-xs 00001000 fe:00 19    /usr/lib/odd.so\n\
            b000-c000 r-xp 00000000 00:00 0     [vdso]\n\
            no line at all\n";
        assert_eq!(unchanged(maps), [0x1000..0x2000, 0x2000..0x5000]);
    }

    #[test]
    fn the_program_goes_on_after_its_code_was_forgotten() {
        let resident = || {
            let status = fs::read_to_string("/proc/self/status").expect("there is one");
            let line = status.lines().find_map(|line| line.strip_prefix("RssFile:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
            kib.expect("a number")
        };
        let before = resident();
        assert!(forget_code().expect("it is allowed") > 0);
        let after = resident();
        assert!(after < before, "{after} of {before} KiB");
        assert_eq!((0..1_000).map(|n| n % 7).max(), Some(6));
    }

    #[test]
    fn an_empty_file_has_no_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list");
        fs::write(&path, b"").expect("written");
        assert!(Mapped::open(&path, 9).expect("it is there").is_empty());
    }
}
