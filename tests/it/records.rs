//! Records and items (BEP 44, 46) among foreign implementations: whoever publishes, the others resolve.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use harness::{
    Granary, Setup,
    dht_nodes::{DhtNodes, Seen, libtorrent_put},
    granary::cli,
    wait::wait_some,
    wait_for,
};
use proto::{
    id::InfoHash,
    record::{Mutable, torrent_value},
    secret::SecretKey,
};
use serde_json::Value;

const DEADLINE: std::time::Duration = std::time::Duration::from_secs(90);

/// 22 nodes of four implementations; all know the first one of ours at first.
struct Net {
    ours: Vec<Granary>,
    libtorrent: DhtNodes,
    npm: DhtNodes,
    mainline: Vec<mainline::Dht>,
    dir: tempfile::TempDir,
}

impl Net {
    fn start() -> Self {
        let hub = Granary::start();
        let known = hub.addr("dht");
        let home = || {
            Setup::default()
                .arg("--dht-bootstrap")
                .arg(known.to_string())
                .start()
        };
        let mut ours: Vec<Granary> = (0..3).map(|_| home()).collect();
        let mut net = Self {
            libtorrent: DhtNodes::libtorrent(known, 7),
            npm: DhtNodes::npm(known, 7),
            mainline: (0..4).map(|_| stranger(known)).collect(),
            dir: tempfile::tempdir().expect("a temporary folder"),
            ours: {
                ours.insert(0, hub);
                ours
            },
        };
        for home in &net.ours {
            wait_for("our nodes know others", DEADLINE, || {
                home.status()["dht_nodes"].as_u64() >= Some(8)
            });
        }
        for foreign in [&mut net.libtorrent, &mut net.npm] {
            wait_for(&format!("{} knows others", foreign.name), DEADLINE, || {
                foreign.say("nodes")["nodes"].as_u64() >= Some(6)
            });
        }
        net
    }

    /// A record we sign, or let a foreign implementation sign: Ed25519 gives both the same signature.
    fn record(n: u8, salt: &[u8], seq: i64, value: &[u8]) -> ([u8; 32], Mutable) {
        let seed = [n; 32];
        let item = Mutable::sign(&SecretKey::from_seed(seed), salt, seq, value);
        (seed, item.expect("within the rules"))
    }

    /// Every one of our Granarys has exactly this record.
    fn we_resolve(&self, item: &Mutable, who: &str) {
        for home in &self.ours {
            wait_for(&format!("we resolve what {who} published"), DEADLINE, || {
                get(home, item).is_some_and(|found| {
                    found["value"] == HEXLOWER.encode(&item.value)
                        && found["sig"] == HEXLOWER.encode(&item.sig)
                        && found["seq"] == item.seq
                })
            });
        }
    }

    /// `granary put` on one of our Granarys.
    fn we_publish(&self, seed: &[u8; 32], item: &Mutable) {
        let (key, value) = (self.dir.path().join("key"), self.dir.path().join("value"));
        std::fs::write(&key, seed).expect("writable");
        std::fs::write(&value, &item.value).expect("writable");
        let salt = String::from_utf8(item.salt.clone()).expect("a salt in letters");
        let seq = item.seq.to_string();
        let put = cli(&[
            "put",
            "--key",
            text(&key),
            "--salt",
            &salt,
            "--seq",
            &seq,
            "--value",
            text(&value),
            "--json",
            "--control",
            text(&self.ours[1].control),
        ]);
        let told = String::from_utf8_lossy(&put.stderr);
        assert!(put.status.success(), "{told}");
        let said: Value = serde_json::from_slice(&put.stdout).expect("JSON");
        // Up to four of the eight closest are mainline's, which lose a datagram whose value is no byte string.
        assert!(said["stored"].as_u64() >= Some(3), "{said}");
    }
}

fn stranger(known: std::net::SocketAddr) -> mainline::Dht {
    let mut builder = mainline::Dht::builder();
    builder
        .bootstrap(&[known.to_string()])
        .bind_address(std::net::Ipv4Addr::LOCALHOST)
        .server_mode();
    builder.build().expect("a free port")
}

/// What `granary get` says on one of our Granarys.
fn get(home: &Granary, item: &Mutable) -> Option<Value> {
    let address = format!(
        "magnet:?xs=urn:btpk:{}&s={}",
        item.key,
        HEXLOWER.encode(&item.salt)
    );
    let control = text(&home.control);
    let found = cli(&["get", &address, "--json", "--deadline", "5", "--control", control]);
    found
        .status
        .success()
        .then(|| serde_json::from_slice(&found.stdout).expect("JSON"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a test's path is text")
}

const SALTS: [&[u8]; 2] = [b"", b"blog"];

#[test]
fn whoever_publishes_in_a_net_of_22_mixed_nodes_the_others_resolve() {
    let mut net = Net::start();
    foreign_ones_publish(&mut net);
    we_publish(&mut net);
    items_without_a_key(&mut net);
}

fn foreign_ones_publish(net: &mut Net) {
    let site = torrent_value(&InfoHash([0x95; 20]));
    for (n, salt) in SALTS.iter().enumerate() {
        let n = n as u8;
        let (seed, item) = Net::record(10 + n, salt, 3, &site);
        wait_for("npm publishes", DEADLINE, || net.npm.put(&seed, &item) > 0);
        net.we_resolve(&item, "npm");

        let (seed, item) = Net::record(20 + n, salt, 5, &site);
        assert!(
            libtorrent_put(net.libtorrent.addr, &seed, &item) > 0,
            "libtorrent publishes"
        );
        net.we_resolve(&item, "libtorrent");

        // Its Python bindings: byte strings only, and numbers of their own.
        let (seed, item) = Net::record(30 + n, salt, 1, b"5:hello");
        wait_for("libtorrent's bindings publish", DEADLINE, || {
            net.libtorrent.put(&seed, &item) > 0
        });
        let found = wait_some("we resolve it", DEADLINE, || get(&net.ours[2], &item));
        assert_eq!(found["value"], HEXLOWER.encode(b"5:hello"));

        let (_, item) = Net::record(40 + n, salt, 7, b"8:mainline");
        mainline_put(&net.mainline[1], &item);
        net.we_resolve(&item, "mainline");
    }
    let (_, item) = Net::record(10, b"", 3, &site);
    let address = format!("magnet:?xs=urn:btpk:{}", item.key);
    let control = text(&net.ours[3].control);
    let resolved = cli(&["resolve", &address, "--json", "--control", control]);
    let resolved: Value = serde_json::from_slice(&resolved.stdout).expect("JSON");
    assert_eq!(resolved["infohash"], InfoHash([0x95; 20]).to_string());
}

fn we_publish(net: &mut Net) {
    let site = torrent_value(&InfoHash([0x59; 20]));
    for (n, salt) in SALTS.iter().enumerate() {
        let n = n as u8;
        let (seed, item) = Net::record(50 + n, salt, 4, &site);
        net.we_publish(&seed, &item);
        let found = wait_some("npm resolves it", DEADLINE, || net.npm.get(&item));
        assert_eq!(found.value, Some(HEXLOWER.encode(&item.value)));
        assert_eq!(found.seq, 4);
        let found = wait_some("libtorrent resolves it", DEADLINE, || net.libtorrent.get(&item));
        same_dictionary(&found, &item);

        // What mainline can read at all.
        let (seed, item) = Net::record(60 + n, salt, 9, b"7:granary");
        net.we_publish(&seed, &item);
        wait_for("mainline resolves it", DEADLINE, || {
            mainline_get(&net.mainline[2], &item)
        });
        let found = wait_some("libtorrent resolves it", DEADLINE, || net.libtorrent.get(&item));
        assert_eq!((found.seq, found.value), (9, Some(HEXLOWER.encode(b"7:granary"))));
        // And a newer one replaces it everywhere.
        let (seed, item) = Net::record(60 + n, salt, 10, b"5:newer");
        net.we_publish(&seed, &item);
        let newer = |found: Option<Seen>| found.is_some_and(|found| found.seq == 10);
        wait_for("npm sees the newer one", DEADLINE, || newer(net.npm.get(&item)));
        wait_for("libtorrent sees the newer one", DEADLINE, || {
            newer(net.libtorrent.get(&item))
        });
    }
}

/// libtorrent's bindings do not give out dictionaries: its words, and the signature it has checked over our bytes.
fn same_dictionary(found: &Seen, item: &Mutable) {
    assert_eq!(
        (found.seq, &found.sig),
        (item.seq, &Some(HEXLOWER.encode(&item.sig)))
    );
    let infohash = InfoHash([0x59; 20]).to_string();
    assert!(
        found.text.contains(&infohash) || found.text.contains("YYYYYYYYYYYYYYYYYYYY"),
        "{}",
        found.text
    );
}

fn items_without_a_key(net: &mut Net) {
    let file = |name: &str, value: &[u8]| -> PathBuf {
        let path = net.dir.path().join(name);
        std::fs::write(&path, value).expect("writable");
        path
    };
    let control = text(&net.ours[1].control).to_owned();
    let ours = file("ours", b"12:Hello World!");
    let put = cli(&["put", "--immutable", text(&ours), "--json", "--control", &control]);
    let put: Value = serde_json::from_slice(&put.stdout).expect("JSON");
    assert_eq!(put["target"], "e5f96f6f38320f0f33959cb4d3d656452117aadb");
    for foreign in [&mut net.npm, &mut net.libtorrent] {
        wait_for("foreign nodes find our item", DEADLINE, || {
            let found = foreign.say("get_immutable e5f96f6f38320f0f33959cb4d3d656452117aadb");
            found["value"] == HEXLOWER.encode(b"12:Hello World!")
        });
    }
    let values: [&[u8]; 2] = [b"d3:npmi1ee", b"d10:libtorrenti1ee"];
    for (foreign, value) in [&mut net.npm, &mut net.libtorrent].into_iter().zip(values) {
        let line = format!("put_immutable {}", HEXLOWER.encode(value));
        wait_for("a foreign node puts an item", DEADLINE, || {
            foreign.say(&line)["put"].as_u64() > Some(0)
        });
        let target = proto::record::immutable_target(value).to_string();
        wait_for("we find a foreign item", DEADLINE, || {
            let found = cli(&["get", &target, "--raw", "--deadline", "5", "--control", &control]);
            found.stdout == value
        });
    }
}

/// mainline knows byte strings only, and takes them without their length.
fn content(item: &Mutable) -> &[u8] {
    let colon = item.value.iter().position(|b| *b == b':').expect("a byte string");
    &item.value[colon + 1..]
}

fn salt(item: &Mutable) -> Option<&[u8]> {
    (!item.salt.is_empty()).then_some(&item.salt[..])
}

#[allow(deprecated)] // The blocking calls are what works without a runtime.
fn mainline_put(node: &mainline::Dht, item: &Mutable) {
    let signed = mainline::MutableItem::new_signed_unchecked(
        item.key.0,
        item.sig,
        content(item),
        item.seq,
        salt(item),
    );
    wait_for("mainline publishes", DEADLINE, || {
        node.put_mutable(signed.clone(), None).is_ok()
    });
}

#[allow(deprecated)]
fn mainline_get(node: &mainline::Dht, item: &Mutable) -> bool {
    let found = node.get_mutable_most_recent(&item.key.0, salt(item));
    found.is_some_and(|found| found.seq() == item.seq && found.value() == content(item))
}
