//! A publisher who is gone for seven days, with real processes: every Granary is started again with its clock days ahead, so
//! that whatever others had stored with it is over; what is resolved afterwards was put again by the one that follows.

use std::path::Path;

use harness::{Granary, Setup, granary::cli, http, publisher::Publisher, sample, wait_for};
use serde_json::Value;

const DEADLINE: std::time::Duration = std::time::Duration::from_secs(90);
const BIG: usize = 300_000;

/// Strangers and their folders.
struct Strangers {
    dirs: Vec<tempfile::TempDir>,
    running: Vec<Granary>,
}

impl Strangers {
    fn new(count: usize) -> Self {
        let dirs = (0..count).map(|_| tempfile::tempdir().expect("a temporary folder"));
        Self {
            dirs: dirs.collect(),
            running: Vec::new(),
        }
    }

    /// `days` later than now; the first one is whom the others know, unless `known` says otherwise.
    fn start(&mut self, days: u64, known: Option<&str>) {
        for dir in &self.dirs {
            let first = self.running.first().map(|first| first.addr("dht").to_string());
            let known = known.map(str::to_owned).or(first);
            self.running.push(at(days, dir.path(), known.as_deref()));
        }
    }

    fn known(&self) -> String {
        self.running[0].addr("dht").to_string()
    }

    fn stop(&mut self) {
        for mut stranger in self.running.drain(..) {
            assert_eq!(stranger.stop(), 0);
        }
    }
}

fn at(days: u64, data: &Path, known: Option<&str>) -> Granary {
    let offset = (days * 86_400 + 1).to_string();
    let mut setup = Setup::default()
        .data(&data.join("data"))
        .arg("--clock-offset")
        .arg(offset);
    if let Some(known) = known {
        setup = setup.arg("--dht-bootstrap").arg(known);
    }
    setup.start()
}

/// What somebody finds who starts with an empty folder.
fn third_party(magnet: &str, known: &str) -> Option<Value> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = dir.path().to_str().expect("a test's path is text");
    let found = cli(&[
        "get",
        magnet,
        "--json",
        "--deadline",
        "6",
        "--data",
        data,
        "--dht-bootstrap",
        known,
        "--listen-dht",
        "127.0.0.1:0",
        "--listen-bt",
        "127.0.0.1:0",
        "--no-lsd",
    ]);
    found
        .status
        .success()
        .then(|| serde_json::from_slice(&found.stdout).expect("JSON"))
}

#[test]
fn after_seven_days_and_two_restarts_a_third_party_gets_record_and_site_from_us() {
    let publisher = Publisher::start();
    let (magnet, host) = (publisher.magnet.clone(), publisher.host.clone());
    let first = publisher.granary.addr("dht").to_string();
    let mut strangers = Strangers::new(4);
    strangers.start(0, Some(&first));
    let ours = tempfile::tempdir().expect("a temporary folder");
    let mut home = at(0, ours.path(), Some(&first));
    let infohash = publisher.make(7, BIG);
    publisher.put(&infohash);
    let control = home.control.to_str().expect("a test's path is text").to_owned();
    let followed = cli(&["follow", &magnet, "--control", &control]);
    assert!(
        followed.status.success(),
        "{}",
        String::from_utf8_lossy(&followed.stderr)
    );
    wait_for("the whole site at our home", DEADLINE, || {
        home.control("GET", "/api/v1/sites", &Value::Null).json()[0]["complete"] == true
    });
    drop(publisher);
    assert_eq!(home.stop(), 0);
    strangers.stop();

    for days in [3, 7] {
        strangers.start(days, None);
        let known = strangers.known();
        assert_eq!(
            third_party(&magnet, &known),
            None,
            "day {days}: everybody has forgotten it"
        );
        home = at(days, ours.path(), Some(&known));
        wait_for("a third party resolves it", DEADLINE, || {
            third_party(&magnet, &known).is_some_and(|found| found["infohash"] == infohash)
        });
        if days == 7 {
            let reader = Setup::default().arg("--dht-bootstrap").arg(&known).start();
            let url = format!("http://{host}/big.bin");
            wait_for("a third party reads the site", DEADLINE, || {
                let page = http::get(reader.addr("proxy"), &url, &[]);
                page.is_ok_and(|page| page.status == 200 && page.body == sample::bytes(7, BIG))
            });
        }
        assert_eq!(home.stop(), 0);
        strangers.stop();
    }
}
