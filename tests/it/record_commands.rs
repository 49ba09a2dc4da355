//! `keygen`, `put`, `get`, `resolve` and `check-record`: what they say, and with which exit code they end.

use std::{os::unix::fs::PermissionsExt, path::Path, process::Output};

use harness::{Granary, granary::cli};
use proto::{
    id::InfoHash,
    record::{Mutable, torrent_value},
    secret::SecretKey,
};
use serde_json::Value;

fn text(path: &Path) -> &str {
    path.to_str().expect("a test's path is text")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|err| panic!("{err}: {}", told(output)))
}

#[test]
fn a_key_is_made_once_and_only_its_owner_may_read_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let key = dir.path().join("key");
    let made = json(&cli(&["keygen", "--out", text(&key), "--json"]));
    let mode = std::fs::metadata(&key).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let seed: [u8; 32] = std::fs::read(&key)
        .expect("readable")
        .try_into()
        .expect("32 bytes");
    let public = SecretKey::from_seed(seed).public();
    assert_eq!(made["key"], public.to_string());
    assert_eq!(made["base36"], public.to_base36());
    assert_eq!(made["magnet"], format!("magnet:?xs=urn:btpk:{public}"));
    let again = cli(&["keygen", "--out", text(&key)]);
    assert_eq!(again.status.code(), Some(1));
    assert!(told(&again).contains("exists already"), "{}", told(&again));
    assert_eq!(std::fs::read(&key).expect("readable"), seed);
}

#[test]
fn what_nobody_takes_is_no_success_and_what_nobody_has_is_not_found() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let key = dir.path().join("key");
    std::fs::write(&key, [5; 32]).expect("writable");
    let alone = Granary::start();
    let control = text(&alone.control);
    let infohash = InfoHash([7; 20]).to_string();
    let put = cli(&[
        "put",
        "--key",
        text(&key),
        &infohash,
        "--deadline",
        "2",
        "--control",
        control,
    ]);
    assert_eq!(put.status.code(), Some(1));
    assert!(told(&put).contains("no node took it"), "{}", told(&put));
    // It is ours all the same, and another value under its number is refused.
    let public = SecretKey::from_seed([5; 32]).public().to_string();
    let kept = json(&cli(&[
        "get",
        &public,
        "--json",
        "--deadline",
        "2",
        "--control",
        control,
    ]));
    assert_eq!(
        (&kept["seq"], &kept["owner"], &kept["heard"]),
        (&1.into(), &"me".into(), &false.into())
    );
    let other = InfoHash([8; 20]).to_string();
    let second = cli(&[
        "put",
        "--key",
        text(&key),
        "--seq",
        "1",
        &other,
        "--deadline",
        "2",
        "--control",
        control,
    ]);
    assert_eq!(second.status.code(), Some(1));
    assert!(
        told(&second).contains("already stands for another value"),
        "{}",
        told(&second)
    );
    let resolved = json(&cli(&[
        "resolve",
        &public,
        "--json",
        "--deadline",
        "2",
        "--control",
        control,
    ]));
    assert_eq!(resolved["infohash"], infohash);
    let nothing = cli(&["get", &infohash, "--deadline", "2", "--control", control]);
    assert_eq!(nothing.status.code(), Some(1), "{}", told(&nothing));
}

#[test]
fn a_record_file_is_accepted_or_refused_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("record");
    let item = Mutable::sign(
        &SecretKey::from_seed([6; 32]),
        b"blog",
        3,
        &torrent_value(&InfoHash([9; 20])),
    );
    let good = item.expect("within the rules").encode();
    let check = |bytes: &[u8]| {
        std::fs::write(&file, bytes).expect("writable");
        cli(&["check-record", "--json", text(&file)])
    };
    let accepted = check(&good);
    assert_eq!(accepted.status.code(), Some(0), "{}", told(&accepted));
    assert_eq!(json(&accepted)["infohash"], InfoHash([9; 20]).to_string());
    // Every cut, and one flipped bit in every twentieth byte.
    let mut bad: Vec<Vec<u8>> = (0..good.len())
        .step_by(20)
        .map(|end| good[..end].to_vec())
        .collect();
    bad.extend((0..good.len()).step_by(20).map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    }));
    bad.push(b"d".repeat(100_000));
    for bytes in bad {
        let refused = check(&bytes);
        assert_eq!(refused.status.code(), Some(1), "{}", told(&refused));
        assert_eq!(json(&refused)["accepted"], false);
    }
}
