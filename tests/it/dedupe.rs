//! A new version of a site downloads what changed and no more, whoever made its torrent.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use harness::{
    Setup,
    foreign::{Client, Program, Role, Torrent},
    granary::cli,
    sample, wait_for,
};
use proto::metainfo::{Info, parse_torrent};
use serde_json::Value;

/// Bytes of the file that changes.
const CHANGED: usize = 1_000_000;

#[derive(Debug, Clone, Copy)]
enum Maker {
    /// Every file begins at a piece.
    Ours,
    /// Files lie end to end: what follows a longer file moves.
    Transmission,
}

/// Forty files of odd lengths; the one in the middle has `changed` bytes of `seed`.
fn write_site(dir: &Path, seed: u64, changed: usize) {
    for no in 0..40u64 {
        let path = dir.join(format!("part{}/file{no:02}.bin", no / 10));
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        let data = match no {
            20 => sample::bytes(seed, changed),
            _ => sample::bytes(100 + no, 300_001 + 31_337 * no as usize),
        };
        fs::write(path, data).expect("writable");
    }
}

fn make(maker: Maker, site: &Path, out: &Path) -> (Torrent, Info) {
    match maker {
        Maker::Ours => {
            let data = out.with_extension("data");
            let made = cli(&[
                "seed",
                text(site),
                "--data",
                text(&data),
                "--print",
                "torrent",
                "--no-wait",
            ]);
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            fs::write(out, made.stdout).expect("writable");
        }
        Maker::Transmission => {
            let made = Command::new("transmission-create")
                .args(["-s", "256", "-o", text(out), text(site)])
                .output()
                .expect("transmission-create is part of the set-up (tests/setup.sh)");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
    }
    let info = parse_torrent(&fs::read(out).expect("made"))
        .expect("a good torrent")
        .info;
    let torrent = Torrent {
        file: out.into(),
        infohash: info.infohash.to_string(),
    };
    (torrent, info)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

/// The old version is here, the new one at a foreign seed: what comes over the wire, and how long is a piece?
fn downloaded(maker: Maker, new_len: usize) -> (u64, u64) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (old, new) = (dir.path().join("old/site"), dir.path().join("new/site"));
    write_site(&old, 1, CHANGED);
    write_site(&new, 2, new_len);
    let (old_torrent, _) = make(maker, &old, &dir.path().join("old.torrent"));
    let (new_torrent, info) = make(maker, &new, &dir.path().join("new.torrent"));
    let data: PathBuf = dir.path().join("data");
    let seeded = cli(&[
        "seed",
        text(&old),
        "--torrent",
        text(&old_torrent.file),
        "--data",
        text(&data),
        "--no-wait",
    ]);
    assert!(
        seeded.status.success(),
        "{}",
        String::from_utf8_lossy(&seeded.stderr)
    );
    let role = Role {
        dir: dir.path().join("new"),
        ..Role::default()
    };
    let seed = Client::start(Program::Libtorrent, &new_torrent, &role);
    let granary = Setup::default().data(&data).peer(seed.addr).start();
    let ih = &new_torrent.infohash;
    let control = granary.control.to_str().expect("a path of ours");
    let kept = cli(&["keep", ih, "--control", control, "--data", text(&data)]);
    assert!(kept.status.success(), "{}", String::from_utf8_lossy(&kept.stderr));
    let row = || {
        let rows = granary.control("GET", "/api/v1/sites", &Value::Null).json();
        let rows = rows.as_array().expect("a list").clone();
        rows.into_iter()
            .find(|row| row["infohash"] == **ih)
            .expect("its row")
    };
    wait_for("the whole new version", Duration::from_secs(90), || {
        row()["complete"] == true
    });
    // The counters are written to the row with the last pieces.
    wait_for("the figures", Duration::from_secs(30), || {
        row()["downloaded"].as_u64().is_some_and(|bytes| bytes > 0)
    });
    let file = info.file_at(&["part2", "file20.bin"]).expect("it is there");
    let start = usize::try_from(info.files[file].length).expect("small");
    assert_eq!(start, new_len);
    assert_eq!(granary.site(ih, "/part2/file20.bin"), sample::bytes(2, new_len));
    assert_eq!(
        granary.site(ih, "/part3/file39.bin"),
        fs::read(new.join("part3/file39.bin")).expect("it is there")
    );
    let bytes = row()["downloaded"].as_u64().expect("a number");
    println!(
        "{maker:?}, {new_len} bytes instead of {CHANGED}: {bytes} downloaded of {}",
        info.total
    );
    (bytes, u64::from(info.piece_length))
}

#[test]
fn a_changed_file_costs_its_own_bytes_and_a_piece_in_any_torrent() {
    for maker in [Maker::Ours, Maker::Transmission] {
        for len in [CHANGED, CHANGED + 12_345] {
            let (bytes, piece) = downloaded(maker, len);
            assert!(bytes >= len as u64 / piece * piece, "counted too little: {bytes}");
            assert!(bytes <= 1_100_000 + piece, "{maker:?}, {len}: {bytes}");
        }
    }
}
