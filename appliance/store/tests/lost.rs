//! The state file damaged at any place, cut short, deleted, exchanged, with and without its copy: every site comes back,
//! every piece verifies, and what nobody knows any more is kept.

mod world;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use granary_store::{Keep, Store};
use proto::id::InfoHash;
use world::{
    Dice, Torrent,
    household::{assert_settled, settle},
    open,
};

const MUTATIONS: u64 = 240;

fn torrents() -> Vec<Torrent> {
    (0..6)
        .map(|seed| Torrent::random(seed, 32_768, 12 + seed as usize, 777))
        .collect()
}

/// Four kept sites (one incomplete), two visited ones, one removed, settings, one row of each kind; closed.
fn household(dir: &Path) -> Vec<Torrent> {
    let store = open(dir);
    let torrents = torrents();
    for (i, torrent) in torrents.iter().enumerate() {
        let keep = if i < 4 { Keep::Kept } else { Keep::Visited };
        store
            .add_site(
                &torrent.info,
                &torrent.raw,
                &[format!("http://tracker{i}/announce")],
                keep,
                5,
            )
            .expect("added");
        let pieces = store.pieces(&torrent.ih()).expect("handle");
        let skip = usize::from(i == 3);
        for (piece, data) in (0..).zip(&torrent.data).skip(skip) {
            assert!(pieces.put(piece, data.clone()).expect("put"));
        }
        store.flush().expect("commits");
    }
    let gone = Torrent::random(90, 32_768, 4, 100);
    store
        .add_site(&gone.info, &gone.raw, &[], Keep::Kept, 5)
        .expect("added");
    store.remove_site(&gone.ih()).expect("removed");
    store.set_setting("colour", b"green").expect("set");
    store.set_setting("list", &[7; 5000]).expect("set");
    store.set_keep(&torrents[0].ih(), Keep::Visited).expect("changed");
    store.set_keep(&torrents[0].ih(), Keep::Kept).expect("changed");
    settle(&store);
    store.tick(10).expect("ticks");
    store.close().expect("closes");
    torrents
}

/// The files of both folders.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for folder in ["state", "content"] {
        for entry in fs::read_dir(dir.join(folder)).expect("lists") {
            let path = entry.expect("entry").path();
            found.insert(path.clone(), fs::read(&path).expect("reads"));
        }
    }
    found
}

/// Puts both folders back.
fn restore(dir: &Path, good: &BTreeMap<PathBuf, Vec<u8>>) {
    for folder in ["state", "content"] {
        for entry in fs::read_dir(dir.join(folder)).expect("lists") {
            let path = entry.expect("entry").path();
            if !good.contains_key(&path) {
                fs::remove_file(path).expect("removed");
            }
        }
    }
    for (path, bytes) in good {
        fs::write(path, bytes).expect("writes");
    }
}

fn state(dir: &Path) -> PathBuf {
    dir.join("state/state.redb")
}

fn copy(dir: &Path) -> PathBuf {
    dir.join("state/state-copy.redb")
}

fn tick_on(store: &Store) {
    for now in 20..24 {
        let report = store.tick(now * 40).expect("ticks");
        assert_eq!(report.trouble, None);
        assert_eq!(report.rotten, vec![], "nothing is lost");
    }
}

/// All rows, all bytes, all settings, all rules.
fn assert_all(store: &Store, torrents: &[Torrent], what: &str) {
    let rows = store.sites(None, 100).expect("rows");
    assert_eq!(rows.len(), torrents.len(), "{what}");
    for (i, torrent) in torrents.iter().enumerate() {
        let row = store.site(&torrent.ih()).expect("row").expect(what);
        let keep = if i < 4 { Keep::Kept } else { Keep::Visited };
        assert_eq!((row.keep, row.added), (keep, 5), "{what}: {}", row.name);
        assert_eq!(row.trackers, [format!("http://tracker{i}/announce")]);
        assert_eq!(
            store.raw_info(&torrent.ih()).expect("reads").as_deref(),
            Some(&torrent.raw[..])
        );
        let pieces = store.pieces(&torrent.ih()).expect("handle");
        for (piece, data) in (0..).zip(&torrent.data).skip(usize::from(i == 3)) {
            let read = pieces.read(piece, 0, u32::MAX).expect("reads");
            assert_eq!(read.as_ref(), Some(data), "{what}: {} piece {piece}", row.name);
        }
    }
    assert_eq!(
        store.setting("colour").expect("reads").as_deref(),
        Some(&b"green"[..]),
        "{what}"
    );
    assert_eq!(
        store.setting("list").expect("reads").map(|raw| raw.len()),
        Some(5000)
    );
    assert_settled(store, what);
    let audit = store.audit().expect("audit");
    assert_eq!(audit.faults, Vec::<String>::new(), "{what}");
}

#[test]
fn a_state_damaged_at_any_place_costs_nothing() {
    let dir = world::quick_folder();
    let torrents = household(dir.path());
    let good = files(dir.path());
    let whole = good[&state(dir.path())].clone();
    let (mut dice, mut rebuilt) = (Dice(2_024), 0);
    for round in 0..MUTATIONS {
        restore(dir.path(), &good);
        let mut bad = whole.clone();
        let at = dice.roll(bad.len() as u64) as usize;
        let what = match round % 6 {
            // The header is 320 bytes: all that redb finds its way by.
            0 => {
                bad[at % 320] ^= 1 << dice.roll(8);
                format!("a bit of byte {}", at % 320)
            }
            1 => {
                bad[at] ^= 1 << dice.roll(8);
                format!("a bit of byte {at}")
            }
            2 => {
                bad.truncate(at);
                format!("cut at {at}")
            }
            3 => {
                let end = (at + 4096).min(bad.len());
                bad[at..end].fill(0);
                format!("a page of zeros at {at}")
            }
            4 => {
                let noise = dice.bytes(600);
                let end = (at + 600).min(bad.len());
                bad[at..end].copy_from_slice(&noise[..end - at]);
                format!("noise at {at}")
            }
            _ => {
                for _ in 0..40 {
                    let at = dice.roll(bad.len() as u64) as usize;
                    bad[at] ^= 1 << dice.roll(8);
                }
                "forty bits".into()
            }
        };
        fs::write(state(dir.path()), bad).expect("writes");
        let store = open(dir.path());
        if round % 8 == 0 {
            tick_on(&store);
        }
        assert_all(&store, &torrents, &format!("round {round}, {what}"));
        drop(store);
        rebuilt += u64::from(dir.path().join("state/state.redb.damaged-1").exists());
    }
    println!("state files damaged: {MUTATIONS}; {rebuilt} were made anew, the others had lost nothing");
    assert!(rebuilt > MUTATIONS / 4);
}

#[test]
fn a_deleted_or_older_state_is_made_anew_and_works_on() {
    let dir = world::quick_folder();
    let torrents = household(dir.path());
    let older = fs::read(state(dir.path())).expect("reads");
    fs::remove_file(state(dir.path())).expect("removed");
    let store = open(dir.path());
    assert_all(&store, &torrents, "deleted");
    tick_on(&store);
    // It works on: a new site, new bytes, a removal.
    let next = Torrent::random(50, 32_768, 9, 50);
    store
        .add_site(&next.info, &next.raw, &[], Keep::Kept, 30)
        .expect("added");
    let pieces = store.pieces(&next.ih()).expect("handle");
    for (piece, data) in (0..).zip(&next.data) {
        assert!(pieces.put(piece, data.clone()).expect("put"));
    }
    store.flush().expect("commits");
    drop(pieces);
    store.remove_site(&next.ih()).expect("removed");
    for now in 0..5 {
        store.tick(5_000 + now * 100).expect("ticks");
    }
    assert_all(&store, &torrents, "later");
    assert_eq!(store.audit().expect("audit").orphans, 0);
    store.set_setting("later", b"yes").expect("set");
    store.close().expect("closes");
    drop(store);
    // A file from before is noticed, and the newer rows win.
    fs::write(state(dir.path()), older).expect("writes");
    let store = open(dir.path());
    assert_all(&store, &torrents, "older");
    assert_eq!(
        store.setting("later").expect("reads").as_deref(),
        Some(&b"yes"[..])
    );
}

#[test]
fn a_damaged_or_deleted_copy_is_made_again_from_the_state() {
    let dir = world::quick_folder();
    let torrents = household(dir.path());
    let whole = fs::read(copy(dir.path())).expect("reads");
    for cut in [None, Some(0), Some(100), Some(5000), Some(whole.len() / 2)] {
        match cut {
            None => fs::remove_file(copy(dir.path())).expect("removed"),
            Some(cut) => fs::write(copy(dir.path()), &whole[..cut]).expect("writes"),
        }
        let store = open(dir.path());
        assert_all(&store, &torrents, "without a copy");
        tick_on(&store);
        store.close().expect("closes");
        drop(store);
        // The new copy is good for what it is there for.
        fs::remove_file(state(dir.path())).expect("removed");
        let store = open(dir.path());
        assert_all(&store, &torrents, "from the new copy");
        store.close().expect("closes");
    }
}

/// Other sites come and go, compaction and sweeps run.
fn work_beside(store: &Store) {
    for round in 0..12 {
        let other = Torrent::random(60 + round, 32_768, 20, 60);
        store
            .add_site(&other.info, &other.raw, &[], Keep::Visited, 30)
            .expect("added");
        let pieces = store.pieces(&other.ih()).expect("handle");
        for (piece, data) in (0..).zip(&other.data) {
            assert!(pieces.put(piece, data.clone()).expect("put"));
        }
        store.flush().expect("commits");
        store.tick(1_000 + round * 40).expect("ticks");
        store.remove_site(&other.ih()).expect("removed");
        store.tick(1_020 + round * 40).expect("ticks");
    }
}

/// One of the lost sites is added and removed: what lies beside its pieces stays.
fn come_and_go(store: &Store, last: &Torrent) {
    store
        .add_site(&last.info, &last.raw, &[], Keep::Kept, 30)
        .expect("added");
    store.tick(2_000).expect("ticks");
    assert!(store.site(&last.ih()).expect("row").expect("there").complete());
    store.remove_site(&last.ih()).expect("removed");
    for now in 0..4 {
        store.tick(2_100 + now * 40).expect("ticks");
    }
}

#[test]
fn without_state_and_copy_all_content_stays_and_is_found_when_its_sites_are_added() {
    let dir = world::quick_folder();
    let torrents = household(dir.path());
    let good = files(dir.path());
    let bytes: usize = torrents[..5]
        .iter()
        .flat_map(|torrent| &torrent.data)
        .map(|data| data.len())
        .sum();
    for delete in [false, true] {
        restore(dir.path(), &good);
        for file in [state(dir.path()), copy(dir.path())] {
            if delete {
                fs::remove_file(file).expect("removed");
            } else {
                fs::write(file, b"nothing redb knows".repeat(3000)).expect("writes");
            }
        }
        let store = open(dir.path());
        assert_eq!(store.sites(None, 10).expect("rows"), vec![]);
        work_beside(&store);
        come_and_go(&store, &torrents[5]);
        if !delete {
            let trouble = store.tick(3_000).expect("ticks").trouble.expect("told");
            assert!(trouble.contains("are kept"), "{trouble}");
        }
        let orphans = store.audit().expect("audit").orphans;
        assert!(orphans >= bytes as u64 / 32_768, "{orphans} pieces wait");
        store.close().expect("closes");
        drop(store);
        let store = open(dir.path());
        let added: Vec<InfoHash> = torrents[..5].iter().map(Torrent::ih).collect();
        for torrent in &torrents[..5] {
            store
                .add_site(&torrent.info, &torrent.raw, &[], Keep::Kept, 40)
                .expect("added");
        }
        for now in 0..4 {
            store.tick(4_000 + now).expect("ticks");
        }
        for (i, ih) in added.iter().enumerate() {
            let row = store.site(ih).expect("row").expect("there");
            assert_eq!(
                row.held + u32::from(i == 3),
                row.pieces,
                "found without a download"
            );
        }
        assert_eq!(store.tick(5_000).expect("ticks").trouble, None);
        assert_eq!(store.audit().expect("audit").faults, Vec::<String>::new());
        assert_eq!(store.audit().expect("audit").orphans, 0);
    }
}
