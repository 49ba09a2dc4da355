//! What others get is what the household set: on, off, slow, and so much in a month, at once and without a restart.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    path::Path,
    time::Duration,
};

use harness::{
    Granary, Setup,
    foreign::{Client, Program, Role, Torrent, make_torrent},
    sample, wait_for,
};
use rustix::process::Signal;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;

fn settings(upload: bool, rate: u64, monthly: u64) -> Value {
    json!({
        "upload": upload,
        "upload_bytes_per_sec": rate,
        "download_bytes_per_sec": 0,
        "schedule": [],
        "monthly_bytes": monthly,
    })
}

#[track_caller]
fn set(granary: &Granary, settings: &Value) -> Value {
    let answer = granary.control("PUT", "/api/v1/sharing", settings);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn sharing(granary: &Granary) -> Value {
    granary.control("GET", "/api/v1/sharing", &Value::Null).json()
}

/// A file that Granary seeds.
struct Seeded {
    dir: tempfile::TempDir,
    torrent: Torrent,
    content: Vec<u8>,
}

impl Seeded {
    fn with(len: u64) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let content = sample::bytes(61, len as usize);
        let file = dir.path().join("big.bin");
        std::fs::write(&file, &content).expect("writable");
        let torrent = make_torrent(&file, &dir.path().join("it.torrent"), "", 256 << 10);
        Self {
            dir,
            torrent,
            content,
        }
    }

    #[track_caller]
    fn seed(&self, granary: &Granary) {
        let body = json!({ "path": self.dir.path(), "torrent": self.torrent.file });
        let answer = granary.control("POST", "/api/v1/seed", &body).text();
        assert!(answer.contains(&self.torrent.infohash), "{answer}");
    }

    fn leech(&self, name: &str, granary: &Granary) -> Client {
        let role = Role {
            dir: self.dir.path().join(name),
            peer: Some(granary.addr("bt")),
            ..Role::default()
        };
        Client::start(Program::Libtorrent, &self.torrent, &role)
    }
}

fn uploaded(granary: &Granary) -> u64 {
    granary.status()["uploaded"].as_u64().expect("a number")
}

/// Whether a stranger that asks for the torrent is answered at all.
fn answers_peers(addr: SocketAddr, infohash: &str) -> bool {
    let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
    hello.extend(data_encoding::HEXLOWER.decode(infohash.as_bytes()).expect("hex"));
    hello.extend(*b"-XX0001-000000000000");
    let mut stream = TcpStream::connect(addr).expect("the port is open");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    stream.write_all(&hello).expect("taken");
    let mut answer = [0u8; 68];
    stream.read_exact(&mut answer).is_ok()
}

/// Whether the DHT node answers a ping within `patience`.
fn answers_nodes(addr: SocketAddr, patience: Duration) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(patience)).expect("a timeout");
    let ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
    socket.send_to(ping, addr).expect("sent");
    socket.recv(&mut [0u8; 500]).is_ok()
}

#[test]
fn a_foreign_peer_gets_bytes_until_upload_is_switched_off_and_again_after_it_is_on() {
    let seeded = Seeded::with(24 * MIB);
    let granary = Granary::start();
    seeded.seed(&granary);
    set(&granary, &settings(true, 2 * MIB, 0));
    let first = seeded.leech("first", &granary);
    wait_for("some of it", SOON, || uploaded(&granary) > 2 * MIB);
    assert!(answers_nodes(granary.addr("dht"), SOON));

    let view = set(&granary, &settings(false, 2 * MIB, 0));
    assert_eq!(
        view["given"]["words"],
        "Others get nothing: upload is switched off."
    );
    wait_for("everybody to be sent away", SOON, || {
        granary.status()["peers"] == 0
    });
    let given = uploaded(&granary);
    assert!(given < 24 * MIB);
    assert!(!answers_peers(granary.addr("bt"), &seeded.torrent.infohash));
    assert!(!answers_nodes(granary.addr("dht"), Duration::from_secs(1)));
    assert_eq!(uploaded(&granary), given);
    drop(first);

    set(&granary, &settings(true, 0, 0));
    assert!(answers_nodes(granary.addr("dht"), SOON));
    let second = seeded.leech("second", &granary);
    second.wait_file("big.bin", &seeded.content, SOON);
    assert_eq!(sharing(&granary)["given"]["words"], "Others get what is here.");
}

#[test]
fn upload_rests_when_the_months_budget_is_used_up_and_a_power_cut_forgets_less_than_a_percent() {
    let seeded = Seeded::with(24 * MIB);
    let mut granary = Granary::start();
    seeded.seed(&granary);
    let budget = 16 * MIB;
    set(&granary, &settings(true, 4 * MIB, budget));
    let leech = seeded.leech("leech", &granary);
    wait_for("the budget to be used up", SOON, || {
        sharing(&granary)["given"]["resting"] == true
    });
    wait_for("everybody to be sent away", SOON, || {
        granary.status()["peers"] == 0
    });
    let given = sharing(&granary)["given"].clone();
    let month = given["month_bytes"].as_u64().expect("a number");
    assert!((budget..budget + MIB).contains(&month), "{month} of {budget}");
    let words = given["words"].as_str().expect("a sentence");
    assert!(words.starts_with("Upload rests until the first of "), "{words}");
    let status = granary.status();
    assert_eq!(status["light"], "yellow");
    assert_eq!(
        status["troubles"][0],
        json!({ "room": "sharing", "reason": words })
    );
    drop(leech);

    let data = granary.data.clone();
    let kept = tempfile::tempdir().expect("a temporary folder");
    granary.kill();
    copy(&data, kept.path());
    drop(granary);
    let granary = Setup::default().data(kept.path()).start();
    let after = sharing(&granary)["given"]["month_bytes"]
        .as_u64()
        .expect("a number");
    assert!(
        after <= month && month - after <= budget / 100,
        "{after} of {month}"
    );

    set(&granary, &settings(true, 0, 0));
    assert_eq!(granary.status()["light"], "green");
    let leech = seeded.leech("last", &granary);
    leech.wait_file("big.bin", &seeded.content, SOON);
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("readable").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).expect("writable");
            copy(&entry.path(), &target);
        } else if entry.path().is_file() {
            std::fs::copy(entry.path(), target).expect("writable");
        }
    }
}

#[test]
fn what_is_fetched_goes_on_when_upload_is_switched_off_and_on() {
    let seeded = Seeded::with(8 * MIB);
    let role = Role {
        dir: seeded.dir.path().into(),
        upload_kib: 800,
        ..Role::default()
    };
    let seed = Client::start(Program::Libtorrent, &seeded.torrent, &role);
    let granary = Setup::default().peer(seed.addr).start();
    let target = format!("/api/v1/sites/{}", seeded.torrent.infohash);
    assert_eq!(granary.control("GET", &target, &Value::Null).status, 200);
    granary.control("POST", &format!("{target}/keep"), &Value::Null);
    let held = || granary.control("GET", "/api/v1/sites", &Value::Null).json()[0]["held"].clone();
    wait_for("a piece", SOON, || held() != 0);
    for upload in [false, true, false] {
        set(&granary, &settings(upload, 0, 0));
        let before = held().as_u64();
        wait_for("the next piece", SOON, || {
            held().as_u64() > before || held() == 32
        });
    }
    wait_for("all of it", SOON, || held() == 32);
    assert_eq!(granary.site(&seeded.torrent.infohash, "/big.bin"), seeded.content);
}

#[test]
fn what_is_set_on_a_page_counts_over_the_file_until_it_is_forgotten() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("granary.toml");
    let write = |rate: u64| {
        let text = format!("[swarm]\nupload_bytes_per_sec = {rate}\nschedule = ['mon-fri 7-23 up=50000']\n");
        std::fs::write(&file, text).expect("writable");
    };
    write(100_000);
    let granary = Setup::default()
        .arg("--config")
        .arg(file.display().to_string())
        .start();
    let rate = || sharing(&granary)["upload_bytes_per_sec"].clone();
    let view = sharing(&granary);
    assert_eq!(
        (rate(), &view["given"]["set_here"]),
        (100_000.into(), &Value::Bool(false))
    );
    let hours = json!([{
        "days": ["mon", "tue", "wed", "thu", "fri"],
        "from": "07:00",
        "until": "23:00",
        "upload_bytes_per_sec": 50_000,
        "download_bytes_per_sec": 0,
    }]);
    assert_eq!(view["schedule"], hours);
    let reload = |count: usize| {
        granary.process.signal(Signal::HUP);
        wait_for("the reload", SOON, || {
            granary.log().matches("config reloaded").count() == count
        });
    };
    write(200_000);
    reload(1);
    assert_eq!(rate(), 200_000);
    let view = set(&granary, &settings(true, 300_000, 0));
    assert_eq!(view["given"]["set_here"], true);
    assert_eq!(granary.status()["upload_bytes_per_sec_max"], 300_000);
    write(400_000);
    reload(2);
    assert_eq!(rate(), 300_000);
    let view = granary.control("DELETE", "/api/v1/sharing", &Value::Null).json();
    assert_eq!(
        (&view["upload_bytes_per_sec"], &view["schedule"]),
        (&400_000.into(), &hours)
    );
}

#[test]
fn a_run_that_was_started_without_upload_gives_nothing_whatever_is_set() {
    let seeded = Seeded::with(MIB);
    let granary = Setup::default().arg("--no-upload").start();
    seeded.seed(&granary);
    let view = set(&granary, &settings(true, 0, 0));
    assert_eq!(
        view["given"]["words"],
        "Others get nothing: this run was started with upload off."
    );
    assert!(!answers_peers(granary.addr("bt"), &seeded.torrent.infohash));
}
