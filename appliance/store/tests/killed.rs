//! A process that stores pieces and says which are held, killed without warning at seeded moments.

mod world;

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use granary_store::{Keep, Store};
use world::{Dice, Torrent};

const KILLS: u64 = 200;
const CHILD: &str = "GRANARY_STORE_KILLED_CHILD";

fn torrents() -> Vec<Torrent> {
    (0..3)
        .map(|seed| Torrent::random(seed, 32_768, 40, 1000))
        .collect()
}

/// What the child does: put, commit, remove, serve; each promise is a line on stdout.
fn child(dir: &Path, seed: u64) {
    let torrents = torrents();
    let store = Store::open(world::config(dir), seed).expect("opens after a kill");
    store.on_durable(Arc::new(|rows| {
        let mut out = std::io::stdout().lock();
        for (ih, piece) in rows {
            let _ = writeln!(out, "held {ih} {piece}");
        }
        let _ = out.flush();
    }));
    println!("ready");
    let mut dice = Dice(seed * 2 + 1);
    for now in 0.. {
        let torrent = &torrents[dice.roll(3) as usize];
        store
            .add_site(&torrent.info, &torrent.raw, &[], Keep::Kept, now)
            .expect("added");
        let pieces = store.pieces(&torrent.ih()).expect("handle");
        for _ in 0..dice.roll(8) {
            let piece = dice.roll(40) as u32;
            assert!(
                pieces
                    .put(piece, torrent.data[piece as usize].clone())
                    .expect("put")
            );
            let _ = pieces.read(dice.roll(40) as u32, 0, 16_384).expect("reads");
        }
        match dice.roll(10) {
            0..6 => store.flush().expect("commits"),
            6 if dice.roll(4) == 0 => {
                println!("removing {}", torrent.ih());
                store.remove_site(&torrent.ih()).expect("removed");
            }
            _ => drop(store.tick(seed * 1000 + now * 7).expect("ticks")),
        }
    }
}

#[test]
fn after_each_of_two_hundred_kills_every_piece_called_held_is_there() {
    // How the test speaks to the child process it starts.
    #[allow(clippy::disallowed_methods)]
    if let Ok(job) = std::env::var(CHILD) {
        let (dir, seed) = job.split_once('|').expect("folder and seed");
        return child(Path::new(dir), seed.parse().expect("number"));
    }
    let dir = world::quick_folder();
    std::fs::create_dir_all(dir.path().join("content")).expect("folder");
    let torrents = torrents();
    let (mut checked, mut opens, mut refetch) = (0, Vec::new(), 0);
    let mut promised = std::collections::BTreeSet::new();
    for seed in 1..=KILLS {
        killed_run(dir.path(), seed, &mut promised);
        let start = Instant::now();
        let store = Store::open(world::config(dir.path()), seed).expect("opens after a kill");
        opens.push(start.elapsed());
        for torrent in &torrents {
            let ih = torrent.ih();
            let Some(row) = store.site(&ih).expect("row") else {
                assert!(
                    !promised.iter().any(|(held, _)| *held == ih.to_string()),
                    "seed {seed}: a site is lost"
                );
                continue;
            };
            let (have, pieces) = (store.have(&ih).expect("have"), store.pieces(&ih).expect("handle"));
            assert_eq!(row.held, have.count);
            for (piece, data) in (0..).zip(&torrent.data) {
                let held = have.has(piece);
                assert!(
                    held || !promised.contains(&(ih.to_string(), piece)),
                    "seed {seed}: {ih} {piece} is lost"
                );
                if held {
                    assert_eq!(
                        pieces.read(piece, 0, u32::MAX).expect("reads").as_ref(),
                        Some(data),
                        "seed {seed}"
                    );
                    checked += 1;
                } else {
                    refetch += 1;
                }
            }
        }
        if seed % 20 == 0 {
            store.tick(seed * 1_000_000).expect("ticks");
            assert_eq!(
                store.audit().expect("audit").faults,
                Vec::<String>::new(),
                "seed {seed}"
            );
        }
    }
    opens.sort_unstable();
    let (median, slowest) = (opens[opens.len() / 2], opens[opens.len() - 1]);
    println!(
        "kills survived: {KILLS}; pieces verified: {checked}, not held: {refetch}; open: median {median:?}, slowest {slowest:?}"
    );
    // The slowest one also waited for everybody else at this disk.
    assert!(checked > KILLS * 5 && median < Duration::from_secs(1));
}

/// Starts the child, reads its promises, kills it after a seeded number of lines.
fn killed_run(dir: &Path, seed: u64, promised: &mut std::collections::BTreeSet<(String, u32)>) {
    let mut child = Command::new(std::env::current_exe().expect("own path"))
        .args([
            "--exact",
            "after_each_of_two_hundred_kills_every_piece_called_held_is_there",
            "--nocapture",
        ])
        .env(CHILD, format!("{}|{seed}", dir.display()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("child starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut dice = Dice(seed * 7 + 3);
    let (wanted, mut seen) = (dice.roll(24), 0);
    let mut note = |line: &str| {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("held"), Some(ih), Some(piece)) => {
                promised.insert((ih.to_string(), piece.parse::<u32>().expect("number")));
                true
            }
            (Some("removing"), Some(ih), _) => {
                promised.retain(|(held, _)| held != ih);
                true
            }
            _ => line.ends_with("ready"),
        }
    };
    while seen <= wanted {
        let line = lines
            .next()
            .expect("the child lives until it is killed")
            .expect("text");
        seen += u64::from(note(&line));
    }
    // Anywhere within the next deeds.
    let until = Instant::now() + Duration::from_micros(dice.roll(4000));
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    child.kill().expect("killed");
    // What it promised before it died counts.
    for line in lines.map_while(Result::ok) {
        note(&line);
    }
    child.wait().expect("ended");
}
