//! A disk in memory that remembers which writes were not yet synced. From it any state can be built that a power cut
//! could leave behind: any subset of the unsynced writes, torn at 512 or 4096 bytes, with lost file lengths and
//! unfinished directory changes. It can also fail the n-th operation, once or for ever.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use granary_store::{
    Error,
    disk::{Disk, Place},
};

use super::Dice;

type Name = (Place, String);

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Len(u64),
}

#[derive(Debug, Clone, Default)]
struct SimFile {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
enum DirChange {
    Create(Name, usize),
    Remove(Name),
    Rename(Name, Name),
}

/// What a planted bug leaves out, to prove that the checks would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    Nothing,
    /// Cells are not durable when the state's rows are.
    NoContentSync,
    /// The state is not durable when listeners are told.
    NoStateSync,
    /// The copy of the rows is not durable when the caller hears of a change.
    NoCopySync,
    /// New files are not durable in their folder.
    NoFolderSync,
}

/// How the n-th operation fails.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    pub at: u64,
    pub for_ever: bool,
    pub errno: i32,
}

type Hook = Box<dyn FnMut(&Image) + Send>;

#[derive(Default)]
struct World {
    files: Vec<SimFile>,
    names: BTreeMap<Name, usize>,
    durable_names: BTreeMap<Name, usize>,
    unsynced_names: Vec<DirChange>,
    ops: u64,
    failure: Option<Failure>,
    /// Called with an image before the operations whose numbers are listed, largest last in the list.
    cuts: Vec<u64>,
    hook: Option<Hook>,
    dice: u64,
}

/// A disk; clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
    plant: Plant,
}

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimDisk")
    }
}

/// What is on the disk after a cut.
#[derive(Clone)]
pub struct Image {
    files: Vec<(Name, Vec<u8>)>,
}

impl Image {
    /// The same without one file.
    pub fn without(&self, place: Place, name: &str) -> Image {
        let files = self
            .files
            .iter()
            .filter(|file| file.0 != (place, name.to_string()));
        Image {
            files: files.cloned().collect(),
        }
    }
}

impl SimDisk {
    pub fn new(plant: Plant) -> Self {
        Self {
            world: Arc::default(),
            plant,
        }
    }

    pub fn from_image(image: &Image) -> Self {
        let disk = Self::new(Plant::Nothing);
        let mut world = disk.held();
        for (i, (name, data)) in image.files.iter().enumerate() {
            world.files.push(SimFile {
                now: data.clone(),
                durable: data.clone(),
                unsynced: Vec::new(),
            });
            world.names.insert(name.clone(), i);
        }
        world.durable_names = world.names.clone();
        drop(world);
        disk
    }

    fn held(&self) -> MutexGuard<'_, World> {
        self.world
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn ops(&self) -> u64 {
        self.held().ops
    }

    /// Cuts the power before each of these operations, without ending the run: `hook` gets what would be left.
    pub fn cut_at(&self, mut cuts: Vec<u64>, seed: u64, hook: impl FnMut(&Image) + Send + 'static) {
        cuts.sort_unstable_by(|a, b| b.cmp(a));
        cuts.dedup();
        let mut world = self.held();
        world.hook = Some(Box::new(hook));
        (world.cuts, world.dice) = (cuts, seed | 1);
    }

    pub fn fail(&self, failure: Option<Failure>) {
        self.held().failure = failure;
    }

    pub fn image(&self, seed: u64) -> Image {
        self.held().cut(&mut Dice(seed | 1))
    }

    /// Counts an operation; cuts and fails as planned.
    fn step(&self) -> io::Result<MutexGuard<'_, World>> {
        let mut world = self.held();
        world.ops += 1;
        let ops = world.ops;
        if world.cuts.last() == Some(&ops) {
            world.cuts.pop();
            let mut dice = Dice(world.dice ^ ops << 20);
            dice.roll(2);
            let image = world.cut(&mut dice);
            if let Some(mut hook) = world.hook.take() {
                drop(world);
                hook(&image);
                world = self.held();
                world.hook = Some(hook);
            }
        }
        if let Some(failure) = world.failure
            && (ops == failure.at || (failure.for_ever && ops > failure.at))
        {
            return Err(io::Error::from_raw_os_error(failure.errno));
        }
        Ok(world)
    }
}

impl World {
    fn find(&self, place: Place, name: &str) -> io::Result<usize> {
        self.names
            .get(&(place, name.into()))
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// One of the states a cut now could leave.
    fn cut(&self, dice: &mut Dice) -> Image {
        let mut names = self.durable_names.clone();
        // A journal keeps directory changes in order: some first ones survive.
        let kept = dice.roll(self.unsynced_names.len() as u64 + 1) as usize;
        for change in &self.unsynced_names[..kept] {
            apply_name(&mut names, change);
        }
        let style = dice.roll(6);
        let files = names
            .into_iter()
            .map(|(name, no)| (name, survivors(&self.files[no], style, dice)))
            .collect();
        Image { files }
    }
}

fn apply_name(names: &mut BTreeMap<Name, usize>, change: &DirChange) {
    match change {
        DirChange::Create(name, no) => drop(names.insert(name.clone(), *no)),
        DirChange::Remove(name) => drop(names.remove(name)),
        DirChange::Rename(from, to) => {
            if let Some(no) = names.remove(from) {
                names.insert(to.clone(), no);
            }
        }
    }
}

fn apply(data: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + bytes.len());
    if data.len() < end {
        data.resize(end, 0);
    }
    data[start..end].copy_from_slice(bytes);
}

/// Styles: 0 nothing unsynced survives, 1 all of it, 2 whole writes at random, 3 blocks of writes at random, 4 the
/// first ones with the last torn, 5 all but one.
fn survivors(file: &SimFile, style: u64, dice: &mut Dice) -> Vec<u8> {
    let mut data = file.durable.clone();
    let count = file.unsynced.len() as u64;
    let special = dice.roll(count);
    for (i, change) in (0..).zip(&file.unsynced) {
        let (whole, torn) = match style {
            0 => (false, false),
            1 => (true, false),
            2 => (dice.roll(2) == 0, false),
            3 => (false, true),
            4 => (i < special, i == special),
            _ => (i != special, false),
        };
        match change {
            Change::Write(offset, bytes) if whole => apply(&mut data, *offset, bytes),
            Change::Write(offset, bytes) if torn => tear(&mut data, *offset, bytes, dice),
            Change::Len(len) if whole || (torn && dice.roll(2) == 0) => data.resize(*len as usize, 0),
            _ => {}
        }
    }
    data
}

fn tear(data: &mut Vec<u8>, offset: u64, bytes: &[u8], dice: &mut Dice) {
    let block = if dice.roll(2) == 0 { 512 } else { 4096 };
    for (i, part) in bytes.chunks(block).enumerate() {
        if dice.roll(2) == 0 {
            apply(data, offset + (i * block) as u64, part);
        }
    }
}

impl Disk for SimDisk {
    fn open(
        &self,
        place: Place,
        name: &str,
        create: bool,
        writable: bool,
    ) -> io::Result<Box<dyn redb::StorageBackend>> {
        let mut world = self.step()?;
        let no = match world.find(place, name) {
            Ok(no) => no,
            Err(_) if create && writable => {
                world.files.push(SimFile::default());
                let no = world.files.len() - 1;
                world.names.insert((place, name.into()), no);
                world
                    .unsynced_names
                    .push(DirChange::Create((place, name.into()), no));
                no
            }
            Err(err) => return Err(err),
        };
        Ok(Box::new(SimBackend {
            disk: self.clone(),
            no,
            place,
            copy: name == "state-copy.redb",
        }))
    }

    fn list(&self, place: Place) -> io::Result<Vec<String>> {
        let world = self.step()?;
        Ok(world
            .names
            .keys()
            .filter(|name| name.0 == place)
            .map(|name| name.1.clone())
            .collect())
    }

    fn remove(&self, place: Place, name: &str) -> io::Result<()> {
        let mut world = self.step()?;
        world.find(place, name)?;
        world.names.remove(&(place, name.into()));
        world.unsynced_names.push(DirChange::Remove((place, name.into())));
        Ok(())
    }

    fn rename(&self, place: Place, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.step()?;
        let no = world.find(place, from)?;
        world.names.remove(&(place, from.into()));
        world.names.insert((place, to.into()), no);
        world
            .unsynced_names
            .push(DirChange::Rename((place, from.into()), (place, to.into())));
        Ok(())
    }

    fn sync_folder(&self, place: Place) -> io::Result<()> {
        let plant = self.plant;
        let mut world = self.step()?;
        if plant == Plant::NoFolderSync {
            return Ok(());
        }
        let world = &mut *world;
        let of = |change: &DirChange| match change {
            DirChange::Create(name, _) | DirChange::Remove(name) | DirChange::Rename(name, _) => name.0,
        };
        for change in world.unsynced_names.iter().filter(|change| of(change) == place) {
            apply_name(&mut world.durable_names, change);
        }
        world.unsynced_names.retain(|change| of(change) != place);
        Ok(())
    }

    fn used(&self, place: Place, name: &str) -> io::Result<u64> {
        let world = self.step()?;
        let no = world.find(place, name)?;
        // Now and then a segment seems to waste much, so that compaction is cut and failed too.
        let waste = if place == Place::Content && world.ops.is_multiple_of(3) {
            32 << 20
        } else {
            0
        };
        Ok(world.files[no].now.len() as u64 + waste)
    }

    fn space(&self, _place: Place) -> io::Result<(u64, u64)> {
        drop(self.step()?);
        Ok((1 << 40, 1 << 41))
    }

    fn one_disk(&self) -> bool {
        true
    }

    fn write_file(&self, place: Place, name: &str, data: &[u8]) -> io::Result<()> {
        let new = format!("{name}.new");
        let file = self.open(place, &new, true, true)?;
        file.set_len(0)?;
        file.set_len(data.len() as u64)?;
        file.write(0, data)?;
        file.sync_data()?;
        self.rename(place, &new, name)?;
        self.sync_folder(place)
    }

    fn read_file(&self, place: Place, name: &str) -> io::Result<Vec<u8>> {
        let world = self.step()?;
        let no = world.find(place, name)?;
        Ok(world.files[no].now.clone())
    }

    fn copy(&self, place: Place, from: &str, to: &str) -> io::Result<()> {
        let data = self.read_file(place, from)?;
        self.write_file(place, to, &data)
    }

    fn make_folder(&self, _place: Place) -> io::Result<()> {
        self.step().map(drop)
    }

    fn fill(&self, _place: Place, _name: &str, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _place: Place) -> Result<(), Error> {
        Ok(())
    }
}

struct SimBackend {
    disk: SimDisk,
    no: usize,
    place: Place,
    copy: bool,
}

impl std::fmt::Debug for SimBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimBackend")
    }
}

impl redb::StorageBackend for SimBackend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.step()?.files[self.no].now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let world = self.disk.step()?;
        let start = offset as usize;
        let found = world.files[self.no].now.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut world = self.disk.step()?;
        let file = &mut world.files[self.no];
        file.now.resize(len as usize, 0);
        file.unsynced.push(Change::Len(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.disk.step()?;
        let skipped = match self.disk.plant {
            Plant::NoContentSync => self.place == Place::Content,
            Plant::NoStateSync => self.place == Place::State,
            Plant::NoCopySync => self.copy,
            _ => false,
        };
        if skipped {
            return Ok(());
        }
        let file = &mut world.files[self.no];
        for change in std::mem::take(&mut file.unsynced) {
            match change {
                Change::Write(offset, bytes) => apply(&mut file.durable, offset, &bytes),
                Change::Len(len) => file.durable.resize(len as usize, 0),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut world = self.disk.step()?;
        let file = &mut world.files[self.no];
        apply(&mut file.now, offset, data);
        file.unsynced.push(Change::Write(offset, data.to_vec()));
        Ok(())
    }
}
