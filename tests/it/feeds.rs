//! Following, with real processes: one Granary publishes, another follows.

use std::fs;

use harness::{Granary, Setup, granary::cli, http::Response, sample, soon, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

#[track_caller]
fn done(args: &[&str]) -> String {
    let output = cli(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "granary {args:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().into()
}

/// Somebody with a key and a folder.
struct Publisher {
    granary: Granary,
    dir: TempDir,
    key: Value,
}

impl Publisher {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("key").display().to_string();
        let key = serde_json::from_str(&done(&["keygen", "--out", &file, "--json"])).expect("JSON");
        sample::site(&dir.path().join("site"), 9, 300_000);
        Self {
            granary: Granary::start(),
            dir,
            key,
        }
    }

    fn text(&self, field: &str) -> String {
        self.key[field].as_str().expect("keygen says it").into()
    }

    /// Writes a new front page and publishes; the infohash.
    fn publish(&self, page: &str) -> String {
        let site = self.dir.path().join("site");
        fs::write(site.join("index.html"), page).expect("writable");
        let control = self.granary.control.display().to_string();
        let site = site.display().to_string();
        let ih = done(&["seed", &site, "--print", "infohash", "--control", &control]);
        let key = self.dir.path().join("key").display().to_string();
        done(&["put", "--key", &key, &ih, "--control", &control]);
        ih
    }

    /// A Granary that knows nobody but this one.
    fn reader(&self, setup: Setup) -> Reader {
        let bootstrap = self.granary.addr("dht").to_string();
        let granary = setup.arg("--dht-bootstrap").arg(bootstrap).start();
        // The reader's node is the one that takes the publisher's record.
        wait_for("the two to know each other", soon(), || {
            self.granary.status()["dht_nodes"] != 0 && granary.status()["dht_nodes"] != 0
        });
        Reader {
            granary,
            id: String::new(),
        }
    }

    fn url(&self) -> String {
        format!("http://{}/index.html", self.text("host"))
    }
}

struct Reader {
    granary: Granary,
    /// Of the one subscription.
    id: String,
}

impl Reader {
    fn follow(&mut self, publisher: &Publisher, more: &[&str]) {
        let (magnet, control) = (
            publisher.text("magnet"),
            self.granary.control.display().to_string(),
        );
        let mut args = vec!["follow", &magnet, "--json", "--control", &control];
        args.extend(more);
        let said: Value = serde_json::from_str(&done(&args)).expect("JSON");
        self.id = said["id"].as_str().expect("an id").into();
    }

    #[track_caller]
    fn ask(&self, method: &str, below: &str, body: &Value) -> Response {
        let target = format!("/api/v1/subscriptions/{}{below}", self.id);
        self.granary.control(method, &target, body)
    }

    fn view(&self) -> Value {
        self.ask("GET", "", &Value::Null).json()
    }

    #[track_caller]
    fn change(&self, body: &Value) {
        let answer = self.ask("PATCH", "", body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
    }

    #[track_caller]
    fn check(&self) {
        assert_eq!(self.ask("POST", "/check", &Value::Null).status, 200);
    }

    #[track_caller]
    fn wait(&self, what: &str, cond: impl Fn(&Value) -> bool) {
        let mut last = Value::Null;
        let holds = || {
            last = self.view();
            cond(&last)
        };
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wait_for(what, soon(), holds)));
        assert!(
            waited.is_ok(),
            "waited for {what} in vain: {}\n{last:#}",
            self.granary.log()
        );
    }

    #[track_caller]
    fn wait_whole(&self, ih: &str) {
        self.wait("the version to be whole", |view| {
            view["whole"] == ih && view["state"] == "up-to-date"
        });
    }
}

fn page(text: &str) -> String {
    format!("<!doctype html><title>{text}</title><p>{text}\n")
}

#[test]
fn a_reader_follows_what_a_publisher_publishes_again_and_old_versions_stay_open() {
    let publisher = Publisher::start();
    let mut reader = publisher.reader(Setup::default());
    let first = publisher.publish(&page("one"));
    let control = reader.granary.control.display().to_string();
    let seen = done(&[
        "preview",
        &publisher.text("magnet"),
        "--json",
        "--control",
        &control,
    ]);
    let seen: Value = serde_json::from_str(&seen).expect("JSON");
    assert_eq!(
        (&seen["infohash"], &seen["name"]),
        (&json!(first), &json!("site"))
    );
    assert!(
        seen["followed"] == false && seen["changes"] == true && seen["held_bytes"] == 0,
        "{seen}"
    );

    reader.follow(&publisher, &["--title", "A friend's", "--name", "friend"]);
    reader.wait_whole(&first);
    let second = publisher.publish(&page("two"));
    reader.check();
    reader.wait_whole(&second);
    let (proxy, url) = (&reader.granary, publisher.url());
    assert_eq!(proxy.get(&url).body, page("two").as_bytes());
    assert_eq!(
        proxy.get("http://friend.btlink/index.html").body,
        page("two").as_bytes()
    );
    assert_eq!(proxy.site(&first, "/index.html"), page("one").as_bytes());

    let versions = reader.ask("GET", "/versions", &Value::Null).json();
    let states: Vec<&str> = versions
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|v| v["state"].as_str())
        .collect();
    assert_eq!(states, ["here", "here"]);
    let changes = reader
        .ask("GET", &format!("/changes?from={first}&to={second}"), &Value::Null)
        .json();
    assert_eq!(changes["changed"][0]["path"], "index.html", "{changes}");
    assert_eq!(changes["changed"].as_array().map(Vec::len), Some(1), "{changes}");
    let table = done(&["feeds", "--control", &control]);
    assert!(
        table.contains("friend") && table.contains("up to date"),
        "{table}"
    );

    done(&[
        "unfollow",
        &publisher.text("magnet"),
        "--remove",
        "--control",
        &control,
    ]);
    let sites = reader
        .granary
        .control("GET", "/api/v1/sites", &Value::Null)
        .json();
    assert_eq!(sites, json!([]), "removed with its versions");
    assert_eq!(reader.ask("GET", "", &Value::Null).status, 404);
}

#[test]
fn a_large_version_waits_for_a_word_and_pausing_and_blocking_hold() {
    let publisher = Publisher::start();
    let mut reader = publisher.reader(Setup::default());
    let first = publisher.publish(&page("one"));
    reader.follow(&publisher, &["--quota", "100K"]);
    reader.wait("the question", |view| view["state"] == "asking");
    assert!(
        reader.view()["words"]
            .as_str()
            .is_some_and(|w| w.starts_with("asks: the new version has "))
    );
    let sites = reader
        .granary
        .control("GET", "/api/v1/sites", &Value::Null)
        .json();
    assert!(
        sites[0]["held"] == 0 && sites[0]["kept"] == false,
        "nothing but metadata: {sites}"
    );
    reader.change(&json!({ "approve": { "infohash": first, "fetch": true } }));
    reader.wait_whole(&first);

    reader.change(&json!({ "paused": true, "quota_bytes": 0 }));
    assert_eq!(reader.ask("POST", "/check", &Value::Null).status, 422);
    let second = publisher.publish(&page("two"));
    assert_eq!(reader.view()["state"], "paused");
    reader.change(&json!({ "paused": false }));
    reader.wait_whole(&second);

    reader.change(&json!({ "blocked": true }));
    assert_eq!(reader.view()["state"], "blocked");
    let sites = reader
        .granary
        .control("GET", "/api/v1/sites", &Value::Null)
        .json();
    assert_eq!(sites, json!([]), "nothing of it stays");
    let answer = reader.granary.get(&publisher.url());
    assert_ne!(answer.status, 200, "{}", answer.text());
    reader.change(&json!({ "blocked": false }));
    reader.wait_whole(&second);
}

#[test]
fn an_update_that_a_power_cut_interrupts_goes_on_after_the_restart() {
    let publisher = Publisher::start();
    let data = tempfile::tempdir().expect("a temporary folder");
    let mut reader = publisher.reader(Setup::default().data(&data.path().join("data")));
    let first = publisher.publish(&page("one"));
    reader.follow(&publisher, &[]);
    reader.wait_whole(&first);
    fs::write(
        publisher.dir.path().join("site/film"),
        sample::bytes(3, 8_000_000),
    )
    .expect("writable");
    let second = publisher.publish(&page("two"));
    reader.check();
    reader.wait("the new version to be known", |view| {
        view["newest"] == second.as_str()
    });
    reader.granary.kill();
    let id = reader.id.clone();
    drop(reader);
    // The node that knew the publisher's peer address was the one that was cut off.
    let setup = Setup::default().peer(publisher.granary.addr("bt"));
    let mut reader = publisher.reader(setup.data(&data.path().join("data")));
    reader.id = id;
    reader.wait_whole(&second);
    assert_eq!(reader.granary.get(&publisher.url()).body, page("two").as_bytes());
}

#[test]
fn a_publisher_who_is_gone_is_not_heard_of_and_what_is_here_stays_and_is_served() {
    let mut publisher = Publisher::start();
    let mut reader = publisher.reader(Setup::default());
    let first = publisher.publish(&page("one"));
    reader.follow(&publisher, &[]);
    reader.wait_whole(&first);
    let heard = reader.view()["last_heard"].clone();
    assert!(heard.as_u64().is_some_and(|at| at > 0));
    publisher.granary.kill();
    // Another part of the network: what it has of the record, the reader has put there.
    let other = Setup::default()
        .arg("--dht-bootstrap")
        .arg(reader.granary.addr("dht").to_string())
        .start();
    wait_for("the two to know each other", soon(), || {
        other.status()["dht_nodes"] != 0
    });
    reader.wait("a look without the publisher", |view| {
        if view["looking"] == false && view["next_look"] != 0 {
            reader.check();
        }
        view["last_checked"].as_u64() > heard.as_u64()
    });
    let view = reader.view();
    assert_eq!(view["whole"], first.as_str());
    assert_eq!(view["last_heard"], heard, "{view}");
    assert_eq!(reader.granary.get(&publisher.url()).body, page("one").as_bytes());
    assert_eq!(reader.granary.site(&first, "/big.bin"), sample::bytes(9, 300_000));
}

#[test]
fn what_cannot_be_followed_is_refused_in_a_sentence() {
    let granary = Granary::start();
    let hash = "9be4e30d3b53de6f99dc27ccbbeaf189c8f19d98";
    let follow = |paste: &str| {
        let body = json!({ "paste": paste });
        granary.control("POST", "/api/v1/subscriptions", &body)
    };
    for paste in [
        hash,
        "nonsense nonsense",
        &format!("{hash}-44.btlink"),
        "nobody.btlink",
    ] {
        let answer = follow(paste);
        assert_eq!(answer.status, 422, "{paste}: {}", answer.text());
        assert!(answer.json()["error"].as_str().is_some_and(|why| why.len() > 20));
    }
    let key = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e";
    let answer = follow(key);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["state"], "never-seen");
    let names = |method: &str, name: &str, body: &Value| {
        granary
            .control(method, &format!("/api/v1/petnames/{name}"), body)
            .status
    };
    assert_eq!(names("PUT", "friend", &json!({ "paste": key })), 200);
    assert_eq!(names("PUT", "admin", &json!({ "paste": key })), 422);
    assert_eq!(names("GET", "friend", &Value::Null), 200);
    assert_eq!(follow("friend.btlink").json()["petname"], "friend");
    assert_eq!(names("DELETE", "friend", &Value::Null), 200);
    assert_eq!(names("DELETE", "friend", &Value::Null), 404);
}
