//! Foreign DHT nodes on loopback: libtorrent's and npm's, each as its own project ships it, driven by lines.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use data_encoding::HEXLOWER;
use proto::record::Mutable;
use serde_json::Value;

use crate::{foreign::cache_dir, process::bounded};

/// Some nodes in one process; the first of them can be told what to do.
pub struct DhtNodes {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// Of the first node.
    pub addr: SocketAddr,
    pub name: &'static str,
}

/// What a foreign node found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub seq: i64,
    /// Bencoded, hex; `None`: it holds something that these bindings cannot give out.
    pub value: Option<String>,
    /// libtorrent only: the signature it has checked, and its own words.
    pub sig: Option<String>,
    pub text: String,
}

impl DhtNodes {
    pub fn libtorrent(known: SocketAddr, count: usize) -> Self {
        let mut command = bounded("/usr/bin/python3");
        command.arg("-B").arg(script("dht_libtorrent.py"));
        Self::start("libtorrent", command, known, count)
    }

    pub fn npm(known: SocketAddr, count: usize) -> Self {
        let mut command = bounded("node");
        command
            .arg(script("dht_npm.mjs"))
            .env("NODE_MODULES", cache_dir().join("npm/node_modules"));
        Self::start("npm", command, known, count)
    }

    #[track_caller]
    fn start(name: &'static str, mut command: Command, known: SocketAddr, count: usize) -> Self {
        command
            .args([known.to_string(), count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("tests/setup.sh has installed it");
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut nodes = Self {
            child,
            stdin,
            stdout,
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            name,
        };
        let ready = nodes.answer();
        nodes
            .addr
            .set_port(ready["ready"].as_u64().expect("a port") as u16);
        nodes
    }

    /// One line there, one back; every command ends by itself.
    #[track_caller]
    pub fn say(&mut self, line: &str) -> Value {
        writeln!(self.stdin, "{line}").expect("it runs");
        self.answer()
    }

    #[track_caller]
    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("readable");
        serde_json::from_str(&line).unwrap_or_else(|err| panic!("{} said {line:?}: {err}", self.name))
    }

    /// Signs and puts; how many nodes took it. `item` says what is to come out.
    #[track_caller]
    pub fn put(&mut self, seed: &[u8; 32], item: &Mutable) -> u64 {
        let (seed, key) = (HEXLOWER.encode(seed), item.key);
        let (salt, value) = (salt(&item.salt), HEXLOWER.encode(&item.value));
        let said = self.say(&format!("put_mutable {seed} {key} {salt} {} {value}", item.seq));
        said["put"].as_u64().expect("a number")
    }

    #[track_caller]
    pub fn get(&mut self, item: &Mutable) -> Option<Seen> {
        let said = self.say(&format!("get_mutable {} {}", item.key, salt(&item.salt)));
        let text = |name: &str| said[name].as_str().map(str::to_owned);
        Some(Seen {
            seq: said["seq"].as_i64()?,
            value: text("value"),
            sig: text("sig"),
            text: text("text").unwrap_or_default(),
        })
    }
}

impl Drop for DhtNodes {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts through libtorrent itself, past its Python bindings, which put byte strings only.
#[track_caller]
pub fn libtorrent_put(known: SocketAddr, seed: &[u8; 32], item: &Mutable) -> u64 {
    let program = std::env::temp_dir().join(format!("granary-lt-put-{}", std::process::id()));
    if !program.exists() {
        let part = program.with_extension("part");
        let built = Command::new("g++")
            .args(["-std=c++17", "-O1", "-o"])
            .arg(&part)
            .arg(script("dht_libtorrent_put.cpp"))
            .arg("-ltorrent-rasterbar")
            .status()
            .expect("tests/setup.sh installs g++");
        assert!(
            built.success(),
            "tests/setup.sh installs libtorrent-rasterbar-dev"
        );
        std::fs::rename(&part, &program).expect("the temporary folder is writable");
    }
    let output = Command::new("timeout")
        .args(["60"])
        .arg(&program)
        .args([known.port().to_string(), HEXLOWER.encode(seed), salt(&item.salt)])
        .args([item.seq.to_string(), HEXLOWER.encode(&item.value)])
        .output()
        .expect("timeout(1) is part of coreutils");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    said["put"].as_u64().expect("a number")
}

fn salt(salt: &[u8]) -> String {
    match salt {
        [] => "-".into(),
        salt => HEXLOWER.encode(salt),
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(name)
}
