//! The workload that is cut and failed, and what must hold after it: everything acknowledged is there, everything
//! called held matches its hash, every rule between the tables holds, and the store goes on working.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use granary_store::{Config, Keep, Store, disk::Place};
use proto::id::InfoHash;

use super::{
    Dice, MIB, Torrent,
    household::{self, Household},
    sim::{Failure, Image, Plant, SimDisk},
};

/// What the store promised so far.
#[derive(Debug, Clone, Default)]
pub struct Promises {
    /// Sites that must be there.
    sites: BTreeSet<InfoHash>,
    /// Sites that must not be there.
    removed: BTreeSet<InfoHash>,
    held: BTreeMap<InfoHash, BTreeSet<u32>>,
    settings: BTreeMap<String, Vec<u8>>,
    house: Household,
}

pub type Shared = Arc<Mutex<Promises>>;

fn locked(shared: &Shared) -> MutexGuard<'_, Promises> {
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub fn config() -> Config {
    Config {
        state_dir: PathBuf::from("state"),
        content_dir: PathBuf::from("content"),
        segment_bytes_max: MIB / 2,
        pending_bytes_max: 192 << 10,
        visited_bytes_max: 1 << 40,
        free_floor_bytes: 0,
    }
}

/// Six small torrents, two pairs of which share pieces.
pub fn torrents() -> Vec<Torrent> {
    let mut all: Vec<Torrent> = (0..4)
        .map(|seed| Torrent::random(seed, 40_000, 6, 5_000))
        .collect();
    for twin in 0..2 {
        let mut data: Vec<Vec<u8>> = all[twin].data.iter().map(|data| data.to_vec()).collect();
        data[2] = Dice(77 + twin as u64).bytes(40_000);
        all.push(Torrent::of(&format!("twin {twin}"), 40_000, data));
    }
    all
}

/// Opens a store that notes its promises.
pub fn open(disk: &SimDisk, promises: &Shared) -> Result<Store, granary_store::Error> {
    let store = Store::open_on(Arc::new(disk.clone()), config(), 1)?;
    let shared = promises.clone();
    store.on_durable(Arc::new(move |rows| {
        let mut promises = locked(&shared);
        for (ih, piece) in rows {
            if promises.sites.contains(ih) {
                promises.held.entry(*ih).or_default().insert(*piece);
            }
        }
    }));
    Ok(store)
}

/// Random deeds; without torrents, on the household's rows only. An error of one deed is no fault; a broken promise is.
pub fn work(store: &Store, torrents: &[Torrent], promises: &Shared, seed: u64, deeds: u64) {
    let mut dice = Dice(seed * 2 + 1);
    let mut now = 10;
    for deed in 0..deeds {
        if torrents.is_empty() || dice.roll(4) == 0 {
            household::deed(store, &mut dice, |note| note(&mut locked(promises).house));
            if torrents.is_empty() && dice.roll(10) == 0 {
                now += 200;
                let _ = store.tick(now);
            }
            continue;
        }
        let torrent = &torrents[dice.roll(torrents.len() as u64) as usize];
        match dice.roll(13) {
            0 | 1 => add(store, torrent, promises),
            2 => remove(store, torrent, promises),
            3 => set(
                store,
                promises,
                format!("key {}", dice.roll(3)),
                dice.bytes(20 + deed as usize),
            ),
            4 => drop(store.flush()),
            5 => {
                now += dice.roll(40);
                if let Ok(report) = store.tick(now) {
                    forgotten(promises, &report.rotten);
                }
            }
            6 => in_chunks(store, torrent, dice.roll(6) as u32),
            7 => in_parts(store, torrent),
            _ => {
                if let Ok(pieces) = store.pieces(&torrent.ih()) {
                    for _ in 0..1 + dice.roll(3) {
                        let piece = dice.roll(6) as u32;
                        let _ = pieces.put(piece, torrent.data[piece as usize].clone());
                    }
                }
            }
        }
    }
}

fn add(store: &Store, torrent: &Torrent, promises: &Shared) {
    // Until it is done, either outcome is right.
    locked(promises).removed.remove(&torrent.ih());
    if store
        .add_site(&torrent.info, &torrent.raw, &[], Keep::Kept, 5)
        .is_ok()
    {
        locked(promises).sites.insert(torrent.ih());
    }
}

fn remove(store: &Store, torrent: &Torrent, promises: &Shared) {
    let before = {
        let mut promises = locked(promises);
        promises.held.remove(&torrent.ih());
        promises.sites.remove(&torrent.ih())
    };
    match store.remove_site(&torrent.ih()) {
        Ok(()) if before => drop(locked(promises).removed.insert(torrent.ih())),
        _ => {}
    }
}

fn set(store: &Store, promises: &Shared, key: String, value: Vec<u8>) {
    locked(promises).settings.remove(&key);
    if store.set_setting(&key, &value).is_ok() {
        locked(promises).settings.insert(key, value);
    }
}

fn in_chunks(store: &Store, torrent: &Torrent, piece: u32) {
    let Ok(pieces) = store.pieces(&torrent.ih()) else {
        return;
    };
    let data = &torrent.data[piece as usize];
    let parts = data.chunks(16_384).enumerate();
    let written = parts
        .map(|(i, part)| pieces.write(piece, i as u32 * 16_384, part))
        .all(|done| done.is_ok());
    if written {
        let _ = pieces.complete(piece);
    }
}

/// Begins every piece, so that memory runs over and unfinished cells are spilled.
fn in_parts(store: &Store, torrent: &Torrent) {
    let Ok(pieces) = store.pieces(&torrent.ih()) else {
        return;
    };
    for (piece, data) in (0..).zip(&torrent.data) {
        let len = data.len().min(16_384);
        let _ = pieces.write(piece, 0, &data[..len]);
    }
}

fn forgotten(promises: &Shared, rotten: &[(InfoHash, u32)]) {
    let mut promises = locked(promises);
    for (ih, piece) in rotten {
        promises.held.get_mut(ih).map(|held| held.remove(piece));
    }
}

/// Everything that must hold. `Err` is a sentence.
pub fn check(store: &Store, torrents: &[Torrent], promises: &Promises) -> Result<(), String> {
    let say = |err: granary_store::Error| format!("reading: {err}");
    for torrent in torrents {
        let ih = torrent.ih();
        let row = store.site(&ih).map_err(say)?;
        if row.is_none() && promises.sites.contains(&ih) {
            return Err(format!("site {ih} is lost"));
        }
        if row.is_some() && promises.removed.contains(&ih) {
            return Err(format!("site {ih} came back"));
        }
        if row.is_none() {
            continue;
        }
        let have = store.have(&ih).map_err(say)?;
        let pieces = store.pieces(&ih).map_err(say)?;
        for (piece, data) in (0..).zip(&torrent.data) {
            let promised = promises.held.get(&ih).is_some_and(|held| held.contains(&piece));
            let read = pieces.read(piece, 0, u32::MAX).map_err(say)?;
            match read {
                Some(read) if read != data => return Err(format!("{ih} piece {piece}: wrong bytes")),
                None if promised => return Err(format!("{ih} piece {piece}: promised and lost")),
                None if have.has(piece) => return Err(format!("{ih} piece {piece}: held and not readable")),
                _ => {}
            }
        }
    }
    for (key, value) in &promises.settings {
        if store.setting(key).map_err(say)?.as_deref() != Some(&value[..]) {
            return Err(format!("setting {key} is lost"));
        }
    }
    household::check(store, &promises.house)?;
    let audit = store.audit().map_err(say)?;
    if audit.faults.is_empty() {
        Ok(())
    } else {
        Err(audit.faults.join("; "))
    }
}

/// Opens an image, checks it, lets it recover, checks again, and works on.
pub fn survive(image: &Image, torrents: &[Torrent], promises: &Promises) -> Result<(), String> {
    let disk = SimDisk::from_image(image);
    if recover(&disk, torrents, promises)? > 0 {
        return Err("orphans stay".into());
    }
    Ok(())
}

/// The same when the state file is lost with the power, and the power goes again while it is made anew. What no site
/// wants may stay then.
fn survive_loss(image: &Image, torrents: &[Torrent], promises: &Promises, seed: u64) -> Result<(), String> {
    let image = image.without(Place::State, "state.redb");
    let disk = SimDisk::from_image(&image);
    let promises = &Promises {
        house: promises.house.clone().without_state(),
        ..promises.clone()
    };
    recover(&disk, torrents, promises).map_err(|text| format!("state lost: {text}"))?;
    let disk = SimDisk::from_image(&image);
    let again = second_image(&disk, promises, 1 + Dice(seed | 1).roll(600), seed);
    let Some(again) = again else { return Ok(()) };
    let disk = SimDisk::from_image(&again);
    recover(&disk, torrents, promises).map_err(|text| format!("state lost, cut while made anew: {text}"))?;
    Ok(())
}

/// Opens and recovers; returns how many orphans stay.
fn recover(disk: &SimDisk, torrents: &[Torrent], promises: &Promises) -> Result<u64, String> {
    let shared: Shared = Arc::new(Mutex::new(promises.clone()));
    let store = open(disk, &shared).map_err(|err| format!("opening: {err}"))?;
    check(&store, torrents, promises)?;
    for now in 100..104 {
        let report = store.tick(now * 100).map_err(|err| format!("tick: {err}"))?;
        if let Some(trouble) = report.trouble {
            return Err(format!("trouble stays: {trouble}"));
        }
        if !report.rotten.is_empty() {
            return Err(format!("rotten after a cut: {:?}", report.rotten));
        }
    }
    work(&store, torrents, &shared, 3, 6);
    store.flush().map_err(|err| format!("flush: {err}"))?;
    let promises = locked(&shared).clone();
    check(&store, torrents, &promises)?;
    let audit = store.audit().map_err(|err| format!("audit: {err}"))?;
    Ok(audit.orphans)
}

/// Counts of a campaign.
#[derive(Debug, Default, Clone)]
pub struct Score {
    pub images: u64,
    pub double: u64,
    /// Images that lost their state file too.
    pub lost: u64,
    pub bad: Vec<String>,
}

/// Runs one workload, cut at `cuts` moments; each image is checked, and every fourth one is cut again during recovery.
pub fn cut_campaign(plant: Plant, torrents: Vec<Torrent>, seed: u64, deeds: u64, cuts: u64) -> Score {
    let torrents = Arc::new(torrents);
    let promises: Shared = Arc::default();
    // A first run only counts the operations.
    let total = {
        let disk = SimDisk::new(plant);
        let counted: Shared = Arc::default();
        let store = open(&disk, &counted).expect("an empty disk opens");
        work(&store, &torrents, &counted, seed, deeds);
        drop(store);
        disk.ops()
    };
    let disk = SimDisk::new(plant);
    let mut dice = Dice(seed * 2 + 99);
    let moments = (0..cuts).map(|_| 1 + dice.roll(total)).collect();
    let score: Arc<Mutex<Score>> = Arc::default();
    let (for_hook, known, list) = (score.clone(), promises.clone(), torrents.clone());
    disk.cut_at(moments, seed, move |image| {
        let promised = locked(&known).clone();
        let mut score = for_hook.lock().expect("one thread");
        score.images += 1;
        if let Err(text) = survive(image, &list, &promised) {
            let no = score.images;
            score.bad.push(format!("seed {seed}, image {no}: {text}"));
        }
        let turn = score.images;
        if turn % 4 == 2 && matches!(plant, Plant::Nothing | Plant::NoCopySync) {
            score.lost += 1;
            if let Err(text) = survive_loss(image, &list, &promised, seed ^ turn << 8) {
                score.bad.push(format!("seed {seed}, image {turn}: {text}"));
            }
        }
        if turn.is_multiple_of(4) {
            drop(score);
            let bad = cut_twice(image, &list, &promised, seed ^ turn);
            let mut score = for_hook.lock().expect("one thread");
            score.double += 1;
            score
                .bad
                .extend(bad.map(|text| format!("seed {seed}, image {turn}, second cut: {text}")));
        }
    });
    let store = open(&disk, &promises).expect("an empty disk opens");
    work(&store, &torrents, &promises, seed, deeds);
    drop(store);
    let score = score.lock().expect("one thread");
    score.clone()
}

/// A second cut while the first one is recovered from.
fn cut_twice(image: &Image, torrents: &[Torrent], promises: &Promises, seed: u64) -> Option<String> {
    let disk = SimDisk::from_image(image);
    let image = second_image(&disk, promises, 1 + Dice(seed | 1).roll(120), seed)?;
    // What the recovery itself acknowledged before the second cut is not known here; what was promised before it is.
    survive(&image, torrents, promises).err()
}

/// What is left when the power goes at operation `at` of opening and the first ticks.
fn second_image(disk: &SimDisk, promises: &Promises, at: u64, seed: u64) -> Option<Image> {
    let second: Arc<Mutex<Option<Image>>> = Arc::default();
    let kept = second.clone();
    disk.cut_at(vec![at], seed, move |image| {
        *kept.lock().expect("one thread") = Some(image.clone())
    });
    let shared: Shared = Arc::new(Mutex::new(promises.clone()));
    if let Ok(store) = open(disk, &shared) {
        for now in 1..3 {
            let _ = store.tick(now * 1000);
        }
    }
    let mut second = second.lock().expect("one thread");
    second.take()
}

/// Fails the n-th operation of a workload; afterwards nothing promised is lost, and the store recovers by itself.
pub fn fail_campaign(seed: u64, deeds: u64, failure: Failure) -> Result<(), String> {
    let torrents = torrents();
    let promises: Shared = Arc::default();
    let disk = SimDisk::new(Plant::Nothing);
    let mut store = open(&disk, &promises).map_err(|err| format!("opening: {err}"))?;
    disk.fail(Some(Failure {
        at: disk.ops() + failure.at,
        ..failure
    }));
    work(&store, &torrents, &promises, seed, deeds);
    disk.fail(None);
    for now in 1..4 {
        let report = store.tick(now * 1000).map_err(|err| format!("tick: {err}"))?;
        forgotten(&promises, &report.rotten);
        if let (3, Some(trouble)) = (now, report.trouble) {
            return Err(format!("trouble stays: {trouble}"));
        }
    }
    let promised = locked(&promises).clone();
    check(&store, &torrents, &promised)?;
    // And the same after the power goes.
    let image = disk.image(seed);
    drop(store);
    survive(&image, &torrents, &promised)?;
    store = open(&disk, &promises).map_err(|err| format!("opening again: {err}"))?;
    check(&store, &torrents, &promised)
}
