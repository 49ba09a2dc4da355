//! The files below the store: two folders, behind a trait so that the fault injector can stand in for them.

use std::{
    fmt::Debug,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use redb::StorageBackend;
use rustix::fs::{Advice, FallocateFlags, FlockOperation};

use crate::{Error, locks::Lock};

/// Which of the two folders a file lies in. They may be the same folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    State,
    Content,
}

/// Everything the store asks of the system. All names are plain file names.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Opens a file as redb's backend. `create`: makes it when it is missing. Not `writable`: never writes to it.
    fn open(
        &self,
        place: Place,
        name: &str,
        create: bool,
        writable: bool,
    ) -> io::Result<Box<dyn StorageBackend>>;
    /// The same file once more, for reads that go around redb. `None`: there is no such way on this disk.
    fn beside(&self, _place: Place, _name: &str) -> Option<File> {
        None
    }
    /// Names of the files of a folder.
    fn list(&self, place: Place) -> io::Result<Vec<String>>;
    fn remove(&self, place: Place, name: &str) -> io::Result<()>;
    fn rename(&self, place: Place, from: &str, to: &str) -> io::Result<()>;
    /// Makes creations, renames and removals in a folder durable.
    fn sync_folder(&self, place: Place) -> io::Result<()>;
    /// Bytes the disk really spends on a file.
    fn used(&self, place: Place, name: &str) -> io::Result<u64>;
    /// (bytes free for us, bytes in total).
    fn space(&self, place: Place) -> io::Result<(u64, u64)>;
    /// Whether both folders share one pool of free bytes.
    fn one_disk(&self) -> bool;
    /// Writes a whole small file and makes it durable: temporary name, fsync, rename, fsync of the folder.
    fn write_file(&self, place: Place, name: &str, data: &[u8]) -> io::Result<()>;
    fn read_file(&self, place: Place, name: &str) -> io::Result<Vec<u8>>;
    /// Copies a file and makes the copy durable.
    fn copy(&self, place: Place, from: &str, to: &str) -> io::Result<()>;
    /// Makes the folder, when its parent is there.
    fn make_folder(&self, place: Place) -> io::Result<()>;
    /// Makes (or grows) a file of real, allocated bytes.
    fn fill(&self, place: Place, name: &str, bytes: u64) -> io::Result<()>;
    /// Takes the locks that keep a second store out; held until the disk is dropped. Called again when a folder returns.
    fn lock(&self, place: Place) -> Result<(), Error>;
}

/// Two real folders.
#[derive(Debug)]
pub struct Folders {
    state: PathBuf,
    content: PathBuf,
    locks: Mutex<Vec<(Place, File)>>,
}

impl Folders {
    pub fn new(state: &Path, content: &Path) -> Self {
        Self {
            state: state.into(),
            content: content.into(),
            locks: Mutex::new(Vec::new()),
        }
    }

    fn path(&self, place: Place, name: &str) -> PathBuf {
        self.folder(place).join(name)
    }

    fn folder(&self, place: Place) -> &Path {
        match place {
            Place::State => &self.state,
            Place::Content => &self.content,
        }
    }
}

impl Disk for Folders {
    fn open(
        &self,
        place: Place,
        name: &str,
        create: bool,
        writable: bool,
    ) -> io::Result<Box<dyn StorageBackend>> {
        let path = self.path(place, name);
        let file = OpenOptions::new()
            .read(true)
            .write(writable)
            .create(create && writable)
            .open(path)?;
        if place == Place::State && writable {
            // Hashes of passwords and sessions are nobody else's; a file system without such rights has no others.
            let _ = file.set_permissions(Permissions::from_mode(0o600));
        }
        if place == Place::Content {
            // Reads are a cell here and a cell there: read-ahead would fetch megabytes nobody asked for.
            let _ = rustix::fs::fadvise(&file, 0, None, Advice::Random);
        }
        Ok(Box::new(Plain(file)))
    }

    fn beside(&self, place: Place, name: &str) -> Option<File> {
        let file = File::open(self.path(place, name)).ok()?;
        let _ = rustix::fs::fadvise(&file, 0, None, Advice::Random);
        Some(file)
    }

    fn list(&self, place: Place) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(self.folder(place))?;
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn remove(&self, place: Place, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(place, name))
    }

    fn rename(&self, place: Place, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(place, from), self.path(place, to))
    }

    fn sync_folder(&self, place: Place) -> io::Result<()> {
        File::open(self.folder(place))?.sync_all()
    }

    fn used(&self, place: Place, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.path(place, name))?.blocks() * 512)
    }

    fn space(&self, place: Place) -> io::Result<(u64, u64)> {
        let fs = rustix::fs::statvfs(self.folder(place))?;
        Ok((fs.f_bavail * fs.f_frsize, fs.f_blocks * fs.f_frsize))
    }

    fn one_disk(&self) -> bool {
        let device = |path: &Path| fs::metadata(path).map(|data| data.dev()).ok();
        device(&self.state) == device(&self.content)
    }

    fn write_file(&self, place: Place, name: &str, data: &[u8]) -> io::Result<()> {
        let temporary = self.path(place, &format!("{name}.new"));
        let mut file = File::create(&temporary)?;
        file.write_all(data)?;
        file.sync_all()?;
        fs::rename(temporary, self.path(place, name))?;
        self.sync_folder(place)
    }

    fn read_file(&self, place: Place, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(place, name))
    }

    fn copy(&self, place: Place, from: &str, to: &str) -> io::Result<()> {
        let copy = self.path(place, to);
        fs::copy(self.path(place, from), &copy)?;
        File::open(copy)?.sync_all()?;
        self.sync_folder(place)
    }

    fn make_folder(&self, place: Place) -> io::Result<()> {
        fs::create_dir_all(self.folder(place))
    }

    fn fill(&self, place: Place, name: &str, bytes: u64) -> io::Result<()> {
        let path = self.path(place, name);
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        let there = file.metadata()?.len();
        let mut left = bytes.saturating_sub(there);
        if left == 0 {
            return Ok(());
        }
        // Most file systems set real blocks aside without a write; one that only says so (ZFS) is written to.
        if rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes).is_ok() {
            if file.metadata()?.blocks() * 512 >= bytes {
                return file.sync_all();
            }
            file.set_len(there)?;
        }
        // Not sparse and not compressible to nothing: the bytes must be there to be given back.
        let block = [0xA5; 64 << 10];
        while left > 0 {
            let count = left.min(block.len() as u64);
            file.write_all(&block[..count as usize])?;
            left -= count;
        }
        file.sync_all()
    }

    fn lock(&self, place: Place) -> Result<(), Error> {
        let folder = self.folder(place);
        if place == Place::State {
            fs::create_dir_all(folder).map_err(|err| Error::from(err).at(&folder.display().to_string()))?;
        }
        let name = if place == Place::State {
            "state.lock"
        } else {
            "content.lock"
        };
        let open = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path(place, name));
        let file = match open {
            Ok(file) => file,
            // A disk that became read-only can have no second writer.
            Err(err) if err.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(folder)?,
            Err(err) => return Err(Error::from(err).at(&folder.display().to_string())),
        };
        let mut locks = self.locks.held();
        // The lock of an earlier mount of the same folder goes first.
        locks.retain(|(held, _)| *held != place);
        match lock_patiently(&file) {
            Ok(()) => locks.push((place, file)),
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::InUse(folder.display().to_string())),
            Err(err) => return Err(Error::from(err).at(&folder.display().to_string())),
        }
        Ok(())
    }
}

/// A program that is being started elsewhere in this process holds copies of our descriptors, and with them our locks, until it
/// runs: what seems taken is tried again for half a second.
fn lock_patiently(file: &File) -> rustix::io::Result<()> {
    const TRIES: u32 = 10;
    const PAUSE: Duration = Duration::from_millis(50);
    for _ in 1..TRIES {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)
}

/// One file. redb's own locks are not used: the folder's lock keeps others out, and a segment is reopened while an old
/// descriptor may still be closing.
#[derive(Debug)]
struct Plain(File);

impl StorageBackend for Plain {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
}
