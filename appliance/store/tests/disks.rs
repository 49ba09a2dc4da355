//! Real disks in trouble: full, read-only, unplugged, foreign. Small file systems are mounted in memory.

mod world;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use granary_store::{Config, Error, Keep, Store};
use world::{MIB, Torrent};

/// A small file system that is unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(at: &Path, mib: u64) -> Self {
        std::fs::create_dir_all(at).expect("folder");
        run(
            "mount",
            &[
                "-t",
                "tmpfs",
                "-o",
                &format!("size={mib}m,mode=755"),
                "granary-test",
                &text(at),
            ],
        );
        Self(at.into())
    }

    /// A real journalling file system in a file beside `at`.
    fn ext4(at: &Path, mib: u64) -> Self {
        std::fs::create_dir_all(at).expect("folder");
        let image = at.with_extension("ext4");
        let file = std::fs::File::create(&image).expect("file");
        file.set_len(mib * MIB).expect("sized");
        run("mkfs.ext4", &["-q", "-F", "-m", "0", &text(&image)]);
        run("mount", &["-o", "loop", &text(&image), &text(at)]);
        Self(at.into())
    }

    fn remount(&self, how: &str) {
        run("mount", &["-o", &format!("remount,{how}"), &text(&self.0)]);
    }

    fn move_to(&mut self, to: &Path) {
        std::fs::create_dir_all(to).expect("folder");
        run("mount", &["--move", &text(&self.0), &text(to)]);
        self.0 = to.into();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", &text(&self.0)]).status();
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn run(program: &str, args: &[&str]) {
    let done = Command::new(program).args(args).output();
    let done = done.unwrap_or_else(|err| panic!("this test mounts small disks and needs {program}: {err}"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "this test mounts small disks and needs the right to do so: {program} {args:?}: {said}"
    );
}

fn config(dir: &Path) -> Config {
    Config {
        segment_bytes_max: 8 * MIB,
        pending_bytes_max: 4 << 20,
        ..world::config(dir)
    }
}

fn add(store: &Store, torrent: &Torrent, keep: Keep, now: u64) -> granary_store::Pieces {
    store
        .add_site(&torrent.info, &torrent.raw, &[], keep, now)
        .expect("added");
    store.pieces(&torrent.ih()).expect("handle")
}

/// Stores a whole torrent durably.
fn fill(store: &Store, torrent: &Torrent, keep: Keep, now: u64) -> Result<(), Error> {
    store.add_site(&torrent.info, &torrent.raw, &[], keep, now)?;
    let pieces = store.pieces(&torrent.ih())?;
    for (i, data) in (0..).zip(&torrent.data) {
        assert!(pieces.put(i, data.clone())?);
    }
    store.flush()
}

fn assert_whole(store: &Store, torrent: &Torrent) {
    let pieces = store.pieces(&torrent.ih()).expect("handle");
    for (i, data) in (0..).zip(&torrent.data) {
        assert_eq!(
            pieces.read(i, 0, u32::MAX).expect("reads").as_ref(),
            Some(data),
            "piece {i}"
        );
    }
}

/// 4 MiB of content.
fn torrent(seed: u64) -> Torrent {
    Torrent::random(seed, 262_144, 16, 262_144)
}

/// Uses up the last byte of a disk.
fn stuff(dir: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(dir.join("stuffing")).expect("file");
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

/// Runs a test on a small disk in memory and, where there are loop devices, on a small ext4.
fn on_small_disks(test: impl Fn(&Path, &Mount)) {
    let dir = tempfile::tempdir().expect("folder");
    let at = dir.path().join("disk");
    for ext4 in [false, true] {
        if ext4 && !Path::new("/dev/loop0").exists() {
            println!("no loop devices: ext4 is left out");
            continue;
        }
        let mount = if ext4 {
            Mount::ext4(&at, 64)
        } else {
            Mount::tmpfs(&at, 64)
        };
        std::fs::create_dir_all(at.join("content")).expect("folder");
        println!("ext4: {ext4}");
        test(&at, &mount);
    }
}

#[test]
fn on_a_full_disk_reading_and_deleting_go_on_and_writing_comes_back() {
    on_small_disks(|dir, _| full_disk(dir));
}

fn full_disk(dir: &Path) {
    let config = Config {
        free_floor_bytes: 4 * MIB,
        ..config(dir)
    };
    let store = Store::open(config.clone(), 1).expect("opens");
    store.tick(2).expect("makes the ballast");
    let kept = torrent(1);
    fill(&store, &kept, Keep::Kept, 3).expect("room");
    fill(&store, &torrent(2), Keep::Kept, 3).expect("room");
    stuff(dir);
    let err = fill(&store, &torrent(3), Keep::Kept, 4).expect_err("no room");
    assert!(matches!(err, Error::Full(_)), "{err}");
    assert!(matches!(
        store.set_setting("big", &[7; 900_000]),
        Err(Error::Full(_))
    ));
    assert!(
        store
            .tick(5)
            .expect("ticks")
            .trouble
            .is_some_and(|text| text.contains("full"))
    );
    assert_whole(&store, &kept);
    // A restart on the full disk: everything is still readable.
    let _ = store.close();
    drop(store);
    let store = Store::open(config, 6).expect("opens on a full disk");
    assert_whole(&store, &kept);
    store
        .remove_site(&torrent(2).ih())
        .expect("deletions go through at zero free bytes");
    assert_eq!(store.site(&torrent(2).ih()).expect("row"), None);
    std::fs::remove_file(dir.join("stuffing")).expect("removed");
    let report = store.tick(20).expect("ticks");
    assert_eq!(report.trouble, None, "it recovers by itself");
    fill(&store, &torrent(3), Keep::Kept, 21).expect("room again");
    assert_whole(&store, &torrent(3));
    assert_whole(&store, &kept);
    assert_eq!(store.audit().expect("audit").faults, Vec::<String>::new());
}

#[test]
fn a_read_only_disk_is_read_and_written_again_when_it_can_be() {
    on_small_disks(read_only_disk);
}

fn read_only_disk(dir: &Path, mount: &Mount) {
    let store = Store::open(config(dir), 1).expect("opens");
    fill(&store, &torrent(1), Keep::Kept, 2).expect("room");
    store.close().expect("closes");
    drop(store);
    mount.remount("ro");
    let store = Store::open(config(dir), 3).expect("opens read-only");
    assert_whole(&store, &torrent(1));
    let err = fill(&store, &torrent(2), Keep::Kept, 4).expect_err("read-only");
    assert!(matches!(err, Error::ReadOnly(_)), "{err}");
    assert!(
        store
            .tick(5)
            .expect("ticks")
            .trouble
            .is_some_and(|text| text.contains("read-only"))
    );
    assert_whole(&store, &torrent(1));
    mount.remount("rw");
    assert_eq!(store.tick(6).expect("ticks").trouble, None);
    fill(&store, &torrent(2), Keep::Kept, 7).expect("writes again");
    assert_whole(&store, &torrent(2));
}

#[test]
fn an_unplugged_content_disk_is_missed_and_taken_back() {
    let dir = tempfile::tempdir().expect("folder");
    let mut mount = Mount::tmpfs(&dir.path().join("content"), 64);
    let store = Store::open(config(dir.path()), 1).expect("opens");
    fill(&store, &torrent(1), Keep::Kept, 2).expect("room");
    let away = tempfile::tempdir().expect("folder");
    // The files stay open in the store: what an unplugged disk leaves is an empty folder.
    store.close().expect("closes");
    drop(store);
    mount.move_to(&away.path().join("drawer"));
    let store = Store::open(config(dir.path()), 3).expect("opens without the disk");
    assert!(
        store
            .site(&torrent(1).ih())
            .expect("rows are there")
            .expect("row")
            .complete()
    );
    let pieces = store.pieces(&torrent(1).ih()).expect("handle");
    assert!(matches!(pieces.read(0, 0, 10), Err(Error::Gone(_))));
    let next = add(&store, &torrent(2), Keep::Kept, 4);
    let err = next.put(0, torrent(2).data[0].clone()).expect_err("no disk");
    assert!(matches!(err, Error::Gone(_)), "{err}");
    assert!(store.tick(5).expect("ticks").trouble.is_some());
    assert_eq!(
        std::fs::read_dir(dir.path().join("content"))
            .expect("lists")
            .count(),
        0,
        "nothing is written beside"
    );
    mount.move_to(&dir.path().join("content"));
    assert_eq!(store.tick(6).expect("ticks").trouble, None, "the disk is back");
    assert_whole(&store, &torrent(1));
    fill(&store, &torrent(2), Keep::Kept, 7).expect("writes again");
    // Pulled out while in use.
    mount.move_to(&away.path().join("drawer"));
    assert!(store.tick(8).expect("ticks").trouble.is_some());
    assert!(matches!(
        fill(&store, &torrent(3), Keep::Kept, 9),
        Err(Error::Gone(_))
    ));
    mount.move_to(&dir.path().join("content"));
    assert_eq!(store.tick(10).expect("ticks").trouble, None);
    assert_whole(&store, &torrent(2));
    fill(&store, &torrent(3), Keep::Kept, 11).expect("writes again");
    assert_eq!(store.audit().expect("audit").faults, Vec::<String>::new());
}

#[test]
fn visited_sites_give_way_to_the_quota_and_kept_ones_never() {
    let dir = tempfile::tempdir().expect("folder");
    std::fs::create_dir_all(dir.path().join("content")).expect("folder");
    let store = Store::open(
        Config {
            visited_bytes_max: 9 * MIB,
            ..config(dir.path())
        },
        1,
    )
    .expect("opens");
    fill(&store, &torrent(1), Keep::Kept, 1).expect("room");
    for seed in 2..5 {
        fill(&store, &torrent(seed), Keep::Visited, seed * 10).expect("room");
    }
    // The oldest was used again since.
    store.touch(&torrent(2).ih(), 500).expect("touched");
    assert_eq!(store.tick(1000).expect("ticks").evicted, vec![torrent(3).ih()]);
    assert_eq!(store.tick(2000).expect("ticks").evicted, vec![]);
    let usage = store.usage().expect("usage");
    assert_eq!(
        (usage.kept_bytes, usage.visited_bytes, usage.sites),
        (4 * MIB, 8 * MIB, 3)
    );
}

#[test]
fn a_newer_state_is_refused_untouched_and_a_damaged_one_is_set_aside() {
    let dir = tempfile::tempdir().expect("folder");
    let store = world::open(dir.path());
    fill(&store, &torrent(1), Keep::Kept, 1).expect("room");
    store.close().expect("closes");
    drop(store);
    let file = dir.path().join("state/state.redb");
    let good = std::fs::read(&file).expect("reads");
    {
        let db = redb::Database::open(&file).expect("opens");
        let txn = db.begin_write().expect("begins");
        let meta: redb::TableDefinition<&str, u64> = redb::TableDefinition::new("meta");
        txn.open_table(meta)
            .expect("table")
            .insert("format", 99)
            .expect("inserts");
        txn.commit().expect("commits");
    }
    let newer = std::fs::read(&file).expect("reads");
    match Store::open(world::config(dir.path()), 1) {
        Err(Error::TooNew { found: 99, .. }) => {}
        other => panic!("{:?}", other.err()),
    }
    assert!(
        std::fs::read(&file).expect("reads") == newer,
        "not a byte is changed"
    );
    for cut in [0, 100, 4096, good.len() / 2] {
        let mut bad = good.clone();
        bad.truncate(cut);
        std::fs::write(&file, bad).expect("writes");
        let store = Store::open(world::config(dir.path()), 1).expect("starts anew");
        fill(&store, &torrent(2), Keep::Kept, 1).expect("works");
        assert_whole(&store, &torrent(2));
    }
    let names = std::fs::read_dir(dir.path().join("state"))
        .expect("lists")
        .flatten();
    let aside = names
        .filter(|entry| entry.file_name().to_string_lossy().contains("damaged"))
        .count();
    assert_eq!(aside, 4, "every damaged file is kept");
}

#[test]
fn a_damaged_or_missing_segment_costs_only_its_own_pieces() {
    let dir = tempfile::tempdir().expect("folder");
    std::fs::create_dir_all(dir.path().join("content")).expect("folder");
    let store = Store::open(config(dir.path()), 1).expect("opens");
    let torrents: Vec<Torrent> = (1..6).map(torrent).collect();
    for torrent in &torrents {
        fill(&store, torrent, Keep::Kept, 1).expect("room");
    }
    store.close().expect("closes");
    drop(store);
    std::fs::remove_file(dir.path().join("content/seg-00002.redb")).expect("removed");
    let file = dir.path().join("content/seg-00001.redb");
    let mut bytes = std::fs::read(&file).expect("reads");
    let half = bytes.len() / 2;
    bytes[..half].fill(0x5A);
    std::fs::write(&file, bytes).expect("writes");
    let store = Store::open(config(dir.path()), 2).expect("opens");
    let mut rotten = 0;
    for now in 10..60 {
        rotten += store.tick(now * 10).expect("ticks").rotten.len();
    }
    println!("damaged segments: {rotten} of 80 pieces are wanted again");
    assert!(rotten > 0 && rotten < 80);
    for torrent in &torrents {
        let pieces = store.pieces(&torrent.ih()).expect("handle");
        for (i, data) in (0..).zip(&torrent.data) {
            assert!(
                pieces
                    .read(i, 0, u32::MAX)
                    .expect("reads")
                    .is_none_or(|read| read == data)
            );
            assert!(pieces.put(i, data.clone()).expect("fetched again"));
        }
        store.flush().expect("commits");
        assert_whole(&store, torrent);
    }
    let report = store.tick(9_000).expect("ticks");
    assert_eq!(report.trouble, None);
    assert_eq!(store.audit().expect("audit").faults, Vec::<String>::new());
}

#[test]
fn rotten_bytes_are_never_served_and_are_wanted_again() {
    let dir = tempfile::tempdir().expect("folder");
    let store = world::open(dir.path());
    let torrent = torrent(7);
    fill(&store, &torrent, Keep::Kept, 1).expect("room");
    store.close().expect("closes");
    drop(store);
    let file = dir.path().join("content/seg-00001.redb");
    let mut bytes = std::fs::read(&file).expect("reads");
    for piece in [3, 9] {
        let needle = &torrent.data[piece][70_000..70_032];
        let at = bytes
            .windows(32)
            .position(|window| window == needle)
            .expect("stored");
        bytes[at] ^= 0x10;
    }
    std::fs::write(&file, bytes).expect("writes");
    let store = world::open(dir.path());
    let pieces = store.pieces(&torrent.ih()).expect("handle");
    assert_eq!(
        pieces.read(3, 0, 16_384).expect("reads"),
        None,
        "not even its good half"
    );
    assert!(!pieces.readable(3));
    let mut rotten = Vec::new();
    for now in 10..40 {
        rotten.extend(store.tick(now).expect("ticks").rotten);
    }
    rotten.sort_unstable();
    assert_eq!(
        rotten,
        vec![(torrent.ih(), 3), (torrent.ih(), 9)],
        "one by the reader, one by the scrub"
    );
    assert_eq!(store.site(&torrent.ih()).expect("row").expect("there").held, 14);
    for piece in [3, 9] {
        assert!(
            pieces
                .put(piece, torrent.data[piece as usize].clone())
                .expect("fetched again")
        );
    }
    store.flush().expect("commits");
    assert_whole(&store, &torrent);
}
