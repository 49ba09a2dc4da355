//! Power cuts: the daemon is killed at 200 random moments while it fetches and serves. After each one the store opens, every
//! piece it calls held is the right one, and nothing that it ever called held is gone.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use harness::{Granary, Setup, sample};
use proto::id::InfoHash;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;
use store::{Config, Store};

const KILLS: u32 = 200;
/// One site's file: a quarter of a second or more at the speed below, so that most kills hit a running download.
const LEN: usize = 3_000_000;
const SITES: usize = 150;
const SEED: u64 = 0x6772_616e;

/// Sites on a Granary of its own that is never killed, as the other end.
struct Source {
    granary: Granary,
    /// Infohash and the number of its sample, in the order of fetching.
    sites: Vec<(String, u64)>,
    _dir: tempfile::TempDir,
}

fn source() -> Source {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let granary = Granary::start();
    let sites = (0..SITES as u64).map(|number| {
        let path = dir.path().join(format!("site-{number}.bin"));
        std::fs::write(&path, sample::bytes(number, LEN)).expect("the test's own folder is writable");
        let control = granary
            .control
            .to_str()
            .expect("a test's path is text")
            .to_string();
        let path = path.to_str().expect("a test's path is text");
        let made = harness::granary::cli(&["seed", path, "--control", &control, "--print", "infohash"]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        (String::from_utf8_lossy(&made.stdout).trim().to_string(), number)
    });
    let sites = sites.collect();
    Source {
        granary,
        sites,
        _dir: dir,
    }
}

/// What the killed one has been seen to call held, by itself or by its store: it must never shrink.
type Promised = BTreeMap<String, u64>;

/// One life: start, read the next sites, note what the daemon calls held, and die after `life`.
fn live_and_die(
    source: &Source,
    data: &Path,
    todo: &[(String, u64)],
    life: Duration,
    promised: &mut Promised,
) {
    let mut granary = Setup::default()
        .data(data)
        .peer(source.granary.addr("bt"))
        .start();
    let proxy = granary.addr("proxy");
    let stop = Arc::new(AtomicBool::new(false));
    let readers = todo.iter().map(|(infohash, number)| {
        let (url, stop) = (
            format!("http://{infohash}-ih.btlink/site-{number}.bin"),
            stop.clone(),
        );
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let _ = harness::http::get(proxy, &url, &[("sec-fetch-dest", "video")]);
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    let end = Instant::now() + life;
    while Instant::now() < end {
        let rows = granary.control("GET", "/api/v1/sites", &Value::Null).json();
        for row in rows.as_array().into_iter().flatten() {
            let infohash = row["infohash"]
                .as_str()
                .expect("a row names its site")
                .to_string();
            let held = promised.entry(infohash).or_default();
            *held = (*held).max(row["held"].as_u64().expect("a row counts its pieces"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    granary.kill();
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().expect("a reader only ever gets an error");
    }
}

/// Opens what the dead one left and holds it against the truth. Returns how many sites are complete.
fn judge(data: &Path, source: &Source, promised: &mut Promised, checked: &mut u64) -> usize {
    let config = Config {
        state_dir: data.into(),
        content_dir: data.join("content"),
        segment_bytes_max: 1 << 30,
        pending_bytes_max: 16 << 20,
        visited_bytes_max: 20 << 30,
        free_floor_bytes: 0,
    };
    let begin = Instant::now();
    let store = Store::open(config, 1_800_000_000).expect("the store opens after a kill");
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "opening took {:?}",
        begin.elapsed()
    );
    let mut complete = 0;
    for (text, number) in &source.sites {
        let infohash = InfoHash::from_hex(text).expect("an infohash");
        let told = promised.get(text).copied().unwrap_or(0);
        let Some(row) = store.site(&infohash).expect("rows are readable") else {
            assert_eq!(told, 0, "{text} was called held and is gone");
            continue;
        };
        assert!(
            u64::from(row.held) >= told,
            "{text}: {} pieces of {told} that were called held",
            row.held
        );
        // A site that has not changed since it was checked is not read again: 200 times everything is too much.
        if told < u64::from(row.held) || *checked == 0 {
            let truth = sample::bytes(*number, LEN);
            let (have, pieces) = (
                store.have(&infohash).expect("readable"),
                store.pieces(&infohash).expect("readable"),
            );
            for piece in (0..row.pieces).filter(|piece| have.has(*piece)) {
                let from = piece as usize * row.piece_length as usize;
                let want = &truth[from..truth.len().min(from + row.piece_length as usize)];
                let got = pieces
                    .read(piece, 0, want.len() as u32)
                    .expect("readable")
                    .expect("a held piece is there");
                assert!(got[..] == *want, "{text}: piece {piece} is not what it should be");
                *checked += 1;
            }
            promised.insert(text.clone(), u64::from(row.held));
        }
        complete += usize::from(row.complete());
    }
    store.close().expect("the store closes");
    complete
}

#[test]
fn two_hundred_kills_lose_nothing_that_was_called_held() {
    let source = source();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = dir.path().join("data");
    let mut random = StdRng::seed_from_u64(SEED);
    let (mut promised, mut checked, mut complete) = (Promised::new(), 0, 0);
    for kill in 0..KILLS {
        let done = |text: &String| {
            promised
                .get(text)
                .is_some_and(|held| *held * 65_536 >= LEN as u64)
        };
        let todo: Vec<_> = source
            .sites
            .iter()
            .filter(|(text, _)| !done(text))
            .take(2)
            .cloned()
            .collect();
        let todo = if todo.is_empty() {
            source.sites[..2].to_vec()
        } else {
            todo
        };
        let life = Duration::from_millis(random.random_range(20..900));
        live_and_die(&source, &data, &todo, life, &mut promised);
        complete = judge(&data, &source, &mut promised, &mut checked);
        if kill % 50 == 49 {
            println!(
                "{} kills: {complete} sites complete, {checked} pieces compared with the truth",
                kill + 1
            );
        }
    }
    assert!(
        complete >= 10,
        "too little was fetched between the kills for this to prove anything: {complete} sites"
    );
    println!("survived {KILLS} kills: {complete} sites complete, {checked} pieces right, none lost");
}
