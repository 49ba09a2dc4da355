//! Every command of the command line, against a running Granary and alone.

use std::{fs, process::Output, time::Duration};

use harness::{
    Granary, Setup,
    foreign::{Client, Program, Role, make_torrent},
    granary::cli,
    sample, soon, wait_for,
};
use serde_json::Value;

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn done(args: &[&str]) -> String {
    let output = cli(args);
    assert!(
        output.status.success(),
        "granary {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    out(&output)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap_or_else(|err| panic!("{err}: {text}"))
}

#[test]
fn help_man_page_and_completions_speak_of_every_command() {
    let man = done(&["man"]);
    let bash = done(&["completions", "bash"]);
    for command in [
        "run",
        "web",
        "lan",
        "fetch",
        "seed",
        "status",
        "keep",
        "forget",
        "follow",
        "unfollow",
        "feeds",
        "preview",
        "doctor",
        "demo",
        "check-torrent",
        "pac",
        "convert",
        "extract-pubkey",
        "blocklist",
        "dns-decide",
        "dhcp-decide",
    ] {
        assert!(done(&[command, "--help"]).contains("Usage"), "{command}");
        assert!(
            man.contains(&command.replace('-', "\\-")),
            "the man page lacks {command}"
        );
        assert!(bash.contains(command), "the completions lack {command}");
    }
    assert_eq!(cli(&["no-such-command"]).status.code(), Some(2));
}

#[test]
fn keys_are_spelled_in_every_way_the_first_gateway_knew() {
    let hex = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e";
    let base36 = "3bkn7umqo2g90xy96r2wpyrlu5j7n6s8ii3eoz4ra5nv45hh6m";
    let hex_base32 = "gl1t7pghbs7phia40tt494usql1u973jjvcpgl8a3tgklcreqov0";
    for (args, said) in [
        (&["convert", "-f", "hex", "-t", "base36lc", hex][..], base36),
        (&["convert", "--from", "base36", "--to", "hex", base36], hex),
        (&["convert", "-f", "base32hex", "-t", "hex", hex_base32], hex),
        (&["convert", "-t", "base32hex", hex], hex_base32),
        (
            &["convert", "-t", "base64url", hex],
            "hUPT5hFfD5jJRAd6RJPc1UPknHOf2ZhVCh9hSrNu1j4",
        ),
        (
            &[
                "extract-pubkey",
                "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            ],
            "3980gv09r3tfjq7z8wl0srcomou614nk8qbl6l55b37ae148o",
        ),
    ] {
        assert_eq!(done(args).trim(), said, "{args:?}");
    }
    let all = json(&done(&["convert", "--json", hex]));
    assert_eq!(all["magnet"], format!("magnet:?xs=urn:btpk:{hex}"));
    assert_eq!(cli(&["convert", "hello"]).status.code(), Some(1));
    assert_eq!(cli(&["convert", "-t", "rot13", hex]).status.code(), Some(2));
    assert_eq!(cli(&["extract-pubkey", "00"]).status.code(), Some(1));
}

#[test]
fn a_folder_seeded_by_command_opens_through_the_proxy_and_is_listed() {
    let granary = Granary::start();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = dir.path().join("my site");
    sample::site(&folder, 7, 200_000);
    let (control, folder_text) = (
        granary.control.display().to_string(),
        folder.display().to_string(),
    );
    let said = json(&done(&["seed", &folder_text, "--json", "--control", &control]));
    let ih = said["infohash"].as_str().expect("an infohash").to_string();
    assert!(
        said["magnet"]
            .as_str()
            .is_some_and(|m| m.starts_with(&format!("magnet:?xt=urn:btih:{ih}&dn=my%20site")))
    );
    assert_eq!(granary.site(&ih, "/big.bin"), sample::bytes(7, 200_000));
    let status = json(&done(&["status", "--json", "--control", &control]));
    let row = status["sites"]
        .as_array()
        .and_then(|rows| rows.iter().find(|row| row["infohash"] == ih.as_str()));
    let row = row.expect("the site is listed");
    assert!(row["kept"] == true && row["complete"] == true, "{row}");
    assert!(done(&["status", "--control", &control]).contains("my site"));

    // The same folder again is the same site.
    assert_eq!(
        done(&["seed", &folder_text, "--print", "infohash", "--control", &control]).trim(),
        ih
    );
    done(&["forget", &ih, "--control", &control]);
    let url = format!("http://{ih}-ih.btlink/");
    // Pages that were open a moment ago may be answered from memory for some seconds.
    wait_for("the site to be gone", Duration::from_secs(60), || {
        granary
            .get_with(&url, &[("cache-control", "only-if-cached")])
            .status
            == 412
    });
}

#[test]
fn fetch_writes_what_a_foreign_client_seeds_alone_and_through_a_running_granary() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let content = dir.path().join("seed/site");
    sample::site(&content, 3, 700_000);
    let torrent = make_torrent(&content, &dir.path().join("site.torrent"), "", 32 << 10);
    let role = Role {
        dir: dir.path().join("seed"),
        ..Role::default()
    };
    let seed = Client::start(Program::Libtorrent, &torrent, &role);
    let peer = seed.addr.to_string();

    let (data, to) = (dir.path().join("data"), dir.path().join("alone"));
    let (data, to_text) = (data.display().to_string(), to.display().to_string());
    let alone = [
        "--data",
        &data,
        "--listen-bt",
        "127.0.0.1:0",
        "--no-lsd",
        "--no-upnp",
        "--dht-bootstrap",
        "none",
    ];
    let mut args = vec![
        "fetch",
        &torrent.infohash,
        "-o",
        &to_text,
        "--peer",
        &peer,
        "--deadline",
        "60",
        "--json",
    ];
    args.extend(alone);
    let report = json(&done(&args));
    assert_eq!(report["files"].as_array().map(Vec::len), Some(5));
    assert_eq!(
        fs::read(to.join("site/big.bin")).expect("written"),
        sample::bytes(3, 700_000)
    );
    assert!(!to.join("site/big.bin.part").exists());

    let granary = Setup::default().peer(seed.addr).start();
    let control = granary.control.display().to_string();
    let one = dir.path().join("note.txt").display().to_string();
    done(&[
        "fetch",
        &torrent.file.display().to_string(),
        "more/note.txt",
        "-o",
        &one,
        "--control",
        &control,
    ]);
    assert_eq!(
        fs::read(&one).expect("written"),
        fs::read(content.join("more/note.txt")).expect("the source")
    );
    let output = cli(&[
        "fetch",
        &torrent.infohash,
        "no/such",
        "-o",
        &one,
        "--control",
        &control,
    ]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_kept_site_is_fetched_whole_without_anybody_reading_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let content = dir.path().join("seed/site");
    sample::site(&content, 4, 500_000);
    let torrent = make_torrent(&content, &dir.path().join("site.torrent"), "", 32 << 10);
    let role = Role {
        dir: dir.path().join("seed"),
        ..Role::default()
    };
    let seed = Client::start(Program::Libtorrent, &torrent, &role);
    let granary = Setup::default().peer(seed.addr).start();
    done(&[
        "keep",
        &torrent.infohash,
        "--control",
        &granary.control.display().to_string(),
    ]);
    wait_for("the whole site", soon(), || {
        let rows = granary.control("GET", "/api/v1/sites", &Value::Null).json();
        rows[0]["complete"] == true && rows[0]["kept"] == true
    });
    drop(seed);
    assert_eq!(
        granary.site(&torrent.infohash, "/big.bin"),
        sample::bytes(4, 500_000)
    );
}

#[test]
fn nobody_answering_is_exit_code_1_with_advice() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = dir.path().display().to_string();
    let output = cli(&[
        "fetch",
        &"ab".repeat(20),
        "-o",
        &data,
        "--data",
        &data,
        "--deadline",
        "2",
        "--listen-bt",
        "127.0.0.1:0",
        "--no-lsd",
        "--no-upnp",
        "--dht-bootstrap",
        "none",
    ]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--peer"), "{said}");
    assert_eq!(cli(&["status", "--data", &data]).status.code(), Some(1));
}

#[test]
fn check_torrent_judges_files_without_opening_them() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let content = dir.path().join("site");
    sample::site(&content, 5, 1000);
    let torrent = make_torrent(&content, &dir.path().join("site.torrent"), "", 16 << 10);
    let good = json(&done(&[
        "check-torrent",
        &torrent.file.display().to_string(),
        "--json",
    ]));
    assert_eq!(good["infohash"], torrent.infohash.as_str());
    let bad = dir.path().join("bad.torrent");
    fs::write(&bad, b"d4:infod6:lengthi-1eee").expect("writable");
    let output = cli(&["check-torrent", &bad.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn pac_and_doctor_answer_without_a_running_granary() {
    assert!(done(&["pac", "--advertise", "192.0.2.7"]).contains("PROXY 192.0.2.7:42080"));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let output = cli(&["doctor", "--json", "--data", &dir.path().display().to_string()]);
    let checks = json(&out(&output));
    let folder = checks
        .as_array()
        .and_then(|rows| rows.iter().find(|row| row["what"] == "data folder"));
    assert!(folder.is_some_and(|row| row["good"] == true), "{checks}");
}

#[test]
fn doctor_and_status_ask_both_halves() {
    let granary = Setup::default().start();
    let (data, control) = (
        granary.data.display().to_string(),
        granary.control.display().to_string(),
    );
    let place = ["--data", &data, "--control", &control];
    let boot = || cli(&[&["doctor", "--boot"], &place[..]].concat());
    let good = boot();
    assert_eq!(good.status.code(), Some(0), "{}", out(&good));
    for what in ["ok  names", "ok  pages", "ok  store: reads and writes"] {
        assert!(out(&good).contains(what), "{what} in {}", out(&good));
    }
    let all = out(&cli(&[&["doctor"], &place[..]].concat()));
    assert!(all.contains("the LAN half answers"), "{all}");
    let status = done(&[&["status"], &place[..]].concat());
    assert!(status.contains("  names 127.0.0.1:"), "{status}");
    drop(granary);
    let bad = boot();
    assert_eq!(bad.status.code(), Some(1), "{}", out(&bad));
    assert_eq!(out(&bad).matches("BAD").count(), 3, "{}", out(&bad));
}

#[test]
fn the_demo_peer_is_another_process_and_its_site_stays_when_it_is_gone() {
    let mut granary = Setup::default().arg("--starter").arg("--demo").start();
    let log = granary.log();
    let line = log
        .lines()
        .find(|line| line.contains("seeds a sample site"))
        .expect("the demo is announced");
    assert!(line.contains("127.0.0.1:"), "{line}");
    let addresses: Vec<&str> = log
        .split("http://")
        .filter_map(|part| part.split("-ih.btlink").next())
        .filter(|part| part.len() == 40)
        .collect();
    let (starter, demo) = (addresses[0], addresses[1]);
    assert_ne!(starter, demo);
    let page = granary.site(demo, "/");
    assert!(String::from_utf8_lossy(&page).contains("The seed exchange"));
    let field = granary.site(demo, "/field.png");
    assert_eq!(&field[1..4], b"PNG");
    assert_eq!(granary.stop(), 0);
}
