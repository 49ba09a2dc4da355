//! The DHT from outside: sites are found without trackers, local discovery or named peers.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use harness::{Granary, Setup, granary::cli, sample, soon, wait_for};
use serde_json::Value;

/// A libtorrent DHT node, the only one both Granarys know at first.
struct Libtorrent {
    child: Child,
    addr: SocketAddr,
}

impl Libtorrent {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/dht_libtorrent.py");
        let mut child = Command::new("/usr/bin/python3")
            .arg("-B")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/setup.sh has installed python3-libtorrent");
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("piped");
        BufReader::new(out)
            .read_line(&mut line)
            .expect("it says where it listens");
        let ready: Value = serde_json::from_str(&line).expect("JSON");
        let port = ready["ready"].as_u64().expect("a port") as u16;
        Self {
            child,
            addr: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }

    fn granary(&self) -> Granary {
        Setup::default()
            .arg("--dht-bootstrap")
            .arg(self.addr.to_string())
            .start()
    }
}

impl Drop for Libtorrent {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.stdin.take().map(|mut stdin| stdin.flush());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_site_is_found_by_the_dht_alone_through_a_libtorrent_node() {
    let libtorrent = Libtorrent::start();
    let (seed, reader) = (libtorrent.granary(), libtorrent.granary());

    let dir = tempfile::tempdir().expect("a temporary folder");
    let content = dir.path().join("site");
    sample::site(&content, 5, 200_000);
    let (path, control) = (
        content.to_str().expect("UTF-8"),
        seed.control.to_str().expect("UTF-8"),
    );
    let printed = cli(&["seed", path, "--print", "infohash", "--control", control]);
    assert!(
        printed.status.success(),
        "{}",
        String::from_utf8_lossy(&printed.stderr)
    );
    let infohash = String::from_utf8_lossy(&printed.stdout).trim().to_string();

    let url = format!("http://{infohash}-ih.btlink/big.bin");
    wait_for("the reader finds the seed", soon(), || {
        let response = reader.get(&url);
        response.status == 200 && response.body == sample::bytes(5, 200_000)
    });
}
