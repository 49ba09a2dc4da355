//! The store beside plain files, in one run: `cargo run --release -p granary-store --example bench [FOLDER]`.

#[path = "../tests/world/mod.rs"]
mod world;

use std::{
    fs::File,
    io::Write,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
    time::{Duration, Instant},
};

use granary_store::{Config, Keep, Owner, Pieces, Store};
use world::{Dice, MIB, Torrent, rows::rss_mib};

const OBJECTS: usize = 128;
const READS: u64 = 20_000;

/// CPU time of this process, user and system.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = stat
        .split(' ')
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    Duration::from_nanos(nanos)
}

struct Row {
    name: &'static str,
    write_ms: f64,
    write_mibps: f64,
    random_us: f64,
    run_us: f64,
    space: f64,
}

fn main() {
    let folder = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(folder).expect("folder");
    let torrent = Torrent::random(1, 1 << 20, OBJECTS, 1 << 20);
    let rows = [files(dir.path(), &torrent), store(dir.path(), &torrent)];
    println!(
        "| | durable 1 MiB write, CPU ms/MiB | MiB/s | read 16 KiB random, CPU µs | in a run, CPU µs | space |"
    );
    println!("|---|---|---|---|---|---|");
    for row in &rows {
        println!(
            "| {} | {:.2} | {:.0} | {:.2} | {:.2} | {:.3} |",
            row.name, row.write_ms, row.write_mibps, row.random_us, row.run_us, row.space
        );
    }
    println!("resident: {} MiB", rss_mib());
    household(dir.path());
    terabyte(dir.path());
}

/// Times `deed` per call: (CPU µs, wall).
fn timed(calls: u64, deed: impl FnOnce()) -> (f64, Duration) {
    let (before, start) = (cpu(), Instant::now());
    deed();
    (
        (cpu() - before).as_secs_f64() * 1e6 / calls as f64,
        start.elapsed(),
    )
}

fn files(dir: &Path, torrent: &Torrent) -> Row {
    let dir = dir.join("files");
    std::fs::create_dir_all(&dir).expect("folder");
    let (write, wall) = timed(OBJECTS as u64, || {
        for (i, data) in torrent.data.iter().enumerate() {
            let mut file = File::create(dir.join(i.to_string())).expect("file");
            file.write_all(data).expect("writes");
            file.sync_all().expect("syncs");
            File::open(&dir).expect("folder").sync_all().expect("syncs");
        }
    });
    let open: Vec<File> = (0..OBJECTS)
        .map(|i| File::open(dir.join(i.to_string())).expect("file"))
        .collect();
    let mut dice = Dice(3);
    let mut buf = vec![0; 16_384];
    let (random, _) = timed(READS, || {
        for _ in 0..READS {
            let (file, at) = (dice.roll(OBJECTS as u64) as usize, dice.roll(64) * 16_384);
            open[file].read_exact_at(&mut buf, at).expect("reads");
        }
    });
    let (run, _) = timed(OBJECTS as u64 * 64, || {
        for file in &open {
            for at in 0..64 {
                file.read_exact_at(&mut buf, at * 16_384).expect("reads");
            }
        }
    });
    let used: u64 = open
        .iter()
        .map(|file| file.metadata().expect("data").blocks() * 512)
        .sum();
    row(
        "plain files",
        write,
        wall,
        random,
        run,
        used as f64 / (OBJECTS as f64 * MIB as f64),
    )
}

fn row(name: &'static str, write: f64, wall: Duration, random: f64, run: f64, space: f64) -> Row {
    let write_mibps = OBJECTS as f64 / wall.as_secs_f64();
    Row {
        name,
        write_ms: write / 1000.0,
        write_mibps,
        random_us: random,
        run_us: run,
        space,
    }
}

fn store(dir: &Path, torrent: &Torrent) -> Row {
    let dir = dir.join("store");
    std::fs::create_dir_all(dir.join("content")).expect("folder");
    let config = Config {
        segment_bytes_max: 1 << 30,
        ..world::config(&dir)
    };
    let store = Store::open(config.clone(), 1).expect("opens");
    store
        .add_site(&torrent.info, &torrent.raw, &[], Keep::Kept, 1)
        .expect("added");
    let pieces = store.pieces(&torrent.ih()).expect("handle");
    let (write, wall) = timed(OBJECTS as u64, || {
        for (i, data) in (0..).zip(&torrent.data) {
            // As from the engine: chunks, then the word that the hash is right.
            for at in 0..64 {
                pieces
                    .write(i, at * 16_384, &data[at as usize * 16_384..][..16_384])
                    .expect("writes");
            }
            pieces.complete(i).expect("completes");
            store.flush().expect("commits");
        }
    });
    // The first read of a piece in a life hashes it: that is paid once and not counted here.
    (0..OBJECTS as u32).for_each(|i| drop(pieces.read(i, 0, 1).expect("reads")));
    let (random, run) = read_store(&pieces);
    let usage = store.usage().expect("usage");
    row(
        "store",
        write,
        wall,
        random,
        run,
        usage.disk_bytes as f64 / usage.live_bytes as f64,
    )
}

fn read_store(pieces: &Pieces) -> (f64, f64) {
    let mut dice = Dice(3);
    let (random, _) = timed(READS, || {
        for _ in 0..READS {
            let (piece, at) = (dice.roll(OBJECTS as u64) as u32, dice.roll(64) as u32 * 16_384);
            assert!(pieces.read(piece, at, 16_384).expect("reads").is_some());
        }
    });
    let (run, _) = timed(OBJECTS as u64 * 64, || {
        for piece in 0..OBJECTS as u32 {
            for at in 0..64 {
                assert!(pieces.read(piece, at * 16_384, 16_384).expect("reads").is_some());
            }
        }
    });
    (random, run)
}

/// 500 subscriptions and their records: what one page or one round of looks reads. Repeated, as the kernel counts CPU time
/// in coarse steps.
fn household(dir: &Path) {
    const TIMES: u64 = 20;
    let store = world::open(&dir.join("household"));
    world::household::many(&store, 500);
    let rows = store.subscriptions(None, 5000).expect("rows");
    let records = store.records(Owner::Followed, None, 5000).expect("rows");
    assert_eq!((rows.len(), records.len()), (500, 500));
    let (listed, _) = timed(TIMES, || {
        for _ in 0..TIMES {
            assert_eq!(store.subscriptions(None, 5000).expect("rows").len(), 500);
            assert_eq!(
                store.records(Owner::Followed, None, 5000).expect("rows").len(),
                500
            );
        }
    });
    let (single, _) = timed(TIMES, || {
        for row in (0..TIMES).flat_map(|_| &rows) {
            assert!(store.subscription(&row.id).expect("reads").is_some());
        }
        for row in (0..TIMES).flat_map(|_| &records) {
            assert!(store.record(&row.item.target()).expect("reads").is_some());
        }
    });
    let (looked, _) = timed(TIMES, || {
        for row in (0..TIMES).flat_map(|_| &rows) {
            let changed = store.change_subscription(&row.id, |row| row.last_checked += 1);
            assert!(changed.expect("changed"));
        }
        for row in (0..TIMES).flat_map(|_| &records) {
            store
                .record_checked(&row.item.target(), true, 8, 99)
                .expect("noted");
        }
    });
    println!(
        "500 subscriptions and their records: listed in {:.1} ms CPU, one by one in {:.1} ms, a look at each noted in {:.1} ms",
        listed / 1000.0,
        single / 1000.0,
        looked / 1000.0
    );
}

/// Four million rows: one terabyte of 256 KiB pieces.
fn terabyte(dir: &Path) {
    let dir = dir.join("terabyte");
    world::rows::make(&dir, 20, 200_000);
    let size = std::fs::metadata(dir.join("state/state.redb"))
        .expect("file")
        .blocks()
        * 512;
    let start = Instant::now();
    let store = Store::open(world::config(&dir), 5).expect("opens");
    println!(
        "1 TB of rows: state {} MiB, opens in {:?}",
        size / MIB,
        start.elapsed()
    );
    drop(store);
}
