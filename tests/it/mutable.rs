//! An address whose owner changes it: one real Granary publishes, another one shows it, in a real browser too.

use std::{net::SocketAddr, path::Path, process::Output};

use harness::{
    Granary, Setup, browser::Browser, granary::cli, http::Response, sample, soon, wait::wait_some, wait_for,
};
use serde_json::Value;

/// A publisher and a reader who know of each other only through a third node of the DHT, except that the reader knows where
/// the publisher's bytes are.
struct World {
    dir: tempfile::TempDir,
    publisher: Granary,
    reader: Granary,
    _hub: Granary,
    host: String,
}

fn with_dht(dht: SocketAddr) -> Setup {
    Setup::default().arg("--dht-bootstrap").arg(dht.to_string())
}

fn told(output: &Output) -> String {
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

impl World {
    fn start() -> Self {
        let hub = Granary::start();
        let publisher = with_dht(hub.addr("dht")).start();
        let reader = with_dht(hub.addr("dht")).peer(publisher.addr("bt")).start();
        let dir = tempfile::tempdir().expect("a temporary folder");
        let key = dir.path().join("key");
        let made = told(&cli(&["keygen", "--out", text(&key), "--json"]));
        let made: Value = serde_json::from_str(&made).expect("JSON");
        Self {
            dir,
            publisher,
            reader,
            _hub: hub,
            host: made["host"].as_str().expect("a host").to_string(),
        }
    }

    /// Seeds a sample site and points the key to it; its infohash.
    fn publish(&self, seed: u64) -> String {
        let folder = self.dir.path().join(format!("site{seed}"));
        sample::site(&folder, seed, 100_000);
        let control = text(&self.publisher.control);
        let infohash = told(&cli(&[
            "seed",
            text(&folder),
            "--print",
            "infohash",
            "--control",
            control,
        ]));
        let key = self.dir.path().join("key");
        wait_for("a node of the DHT takes the record", soon(), || {
            let args = ["put", "--key", text(&key), &infohash, "--control", control];
            cli(&args).status.success()
        });
        infohash
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.reader
            .get_with(&format!("http://{}{path}", self.host), headers)
    }

    /// Reloads until the page is that of this version.
    fn reload_until(&self, infohash: &str) -> Response {
        let lines = [("accept", "text/html"), ("cache-control", "no-cache")];
        wait_some("the newest version", soon(), || {
            let page = self.get("/", &lines);
            (page.status == 200 && page.header("x-bt-roots") == Some(infohash)).then_some(page)
        })
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_key_opens_and_follows_its_publisher_and_keeps_its_history() {
    let world = World::start();
    let first = world.publish(1);
    let page = world.reload_until(&first);
    assert!(page.text().contains("Sample 1"));
    let number: i64 = page
        .header("x-bt-seq")
        .expect("a number")
        .parse()
        .expect("digits");
    for (name, sign) in [
        (
            "cache-control",
            "public, max-age=60, stale-while-revalidate=86400",
        ),
        ("etag", &*format!("\"{first}-")),
        ("x-bt-checked", "GMT"),
        ("link", "rel=\"version-history\""),
    ] {
        let value = page.header(name).unwrap_or_default();
        assert!(value.contains(sign), "{name}: {value}");
    }
    let etag = page.header("etag").expect("an entity tag").to_owned();
    assert_eq!(world.get("/", &[("if-none-match", &etag)]).status, 304);

    let second = world.publish(2);
    let page = world.reload_until(&second);
    assert!(page.text().contains("Sample 2"));
    assert_eq!(page.header("x-bt-seq"), Some((number + 1).to_string().as_str()));
    assert_eq!(world.get("/", &[("if-none-match", &etag)]).status, 200);

    let old = world.get(&format!("/?btlink-version={first}"), &[]);
    assert!(
        old.status == 200 && old.text().contains("Sample 1"),
        "{}",
        old.status
    );
    let rows = world.get("/.btlink/versions", &[]).json();
    let told: Vec<_> = rows
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| &row["infohash"])
        .collect();
    assert_eq!(told, [&Value::from(second.clone()), &Value::from(first)]);
    let changes = world
        .get(&format!("/.btlink/versions?changes={second}"), &[])
        .json();
    assert!(
        changes["added"].as_array().is_some_and(Vec::is_empty),
        "{changes}"
    );
    assert_eq!(world.get("/?btlink-version=99", &[]).status, 404);

    let record = world.dir.path().join("a.record");
    std::fs::write(&record, world.get("/.btlink/record", &[]).body).expect("writable");
    told_good(&record);
    let info = world.get("/.btlink/info", &[]).json();
    assert_eq!(info["seq"], number + 1);
}

/// Another process reads the record and finds its signature good.
fn told_good(record: &Path) {
    told(&cli(&["check-record", text(record)]));
}

#[test]
fn a_person_sees_the_new_version_after_the_publisher_publishes_again() {
    let world = World::start();
    let first = world.publish(1);
    let browser = Browser::with_pac(&format!("http://{}/proxy.pac", world.reader.addr("http")));
    let url = format!("http://{}/", world.host);
    browser.open(&url);
    wait_for("the first version", soon(), || browser.title() == "Sample 1");
    world.publish(2);
    wait_for("the second version", soon(), || {
        browser.reload();
        browser.title() == "Sample 2"
    });
    browser.open(&format!("{url}.btlink/versions"));
    browser.screens("versions");
    assert_eq!(browser.barriers(), Vec::<String>::new());
    browser.emulate(320, 700, "light");
    assert!(!browser.scrolls_sideways());
    assert!(browser.text().contains("Versions of this site"));
    browser.open(&format!("{url}?btlink-version={first}"));
    wait_for("the first version again", soon(), || {
        browser.title() == "Sample 1"
    });
}

#[test]
fn an_item_of_the_dht_is_shown_as_it_is() {
    let world = World::start();
    let value = world.dir.path().join("item");
    std::fs::write(&value, b"d5:hello5:worlde").expect("writable");
    let control = text(&world.publisher.control);
    let put = wait_some("a node of the DHT takes the item", soon(), || {
        let put = cli(&["put", "--immutable", text(&value), "--json", "--control", control]);
        put.status
            .success()
            .then(|| String::from_utf8_lossy(&put.stdout).into_owned())
    });
    let put: Value = serde_json::from_str(&put).expect("JSON");
    let host = format!("{}-44.btlink", put["target"].as_str().expect("a target"));
    let item = wait_some("the item is found", soon(), || {
        let item = world.reader.get(&format!("http://{host}/"));
        (item.status == 200).then_some(item)
    });
    assert_eq!(item.json()["hello"], "world");
    let raw = world.reader.get(&format!("http://{host}/?format=raw"));
    assert_eq!(raw.body, b"d5:hello5:worlde");
}
