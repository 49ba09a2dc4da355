//! Foreign BitTorrent clients as seeds and leeches. Each is the program as Debian or npm ships it.
//!
//! Torrents are made by libtorrent here, so that nothing of ours vouches for itself.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    http,
    process::{Process, bounded, free_port},
    wait::{wait_for, wait_some},
};

/// A torrent file and its infohash (40 hex digits).
#[derive(Debug, Clone)]
pub struct Torrent {
    pub file: PathBuf,
    pub infohash: String,
}

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Libtorrent,
    Transmission,
    Qbittorrent,
    Aria2,
    Webtorrent,
}

impl Program {
    pub const ALL: [Program; 5] = [
        Self::Libtorrent,
        Self::Transmission,
        Self::Qbittorrent,
        Self::Aria2,
        Self::Webtorrent,
    ];
}

/// How a client takes part.
#[derive(Debug, Clone, Default)]
pub struct Role {
    /// Folder that holds (seed) or gets (leech) the torrent's content.
    pub dir: PathBuf,
    /// Dialled by clients that can be told (libtorrent, webtorrent); the others need a tracker in the torrent.
    pub peer: Option<SocketAddr>,
    /// libtorrent only: `plain`, `forced` (RC4 payload), or empty for its default.
    pub encryption: String,
    /// libtorrent only: uTP instead of TCP.
    pub utp: bool,
    /// libtorrent only: upload limit in KiB per second, 0 for none.
    pub upload_kib: u32,
}

/// A running foreign client; ended when dropped.
pub struct Client {
    pub process: Process,
    /// Where it listens for peers.
    pub addr: SocketAddr,
    pub program: Program,
    dir: PathBuf,
    infohash: String,
    /// Its own interface for programs, where it has one.
    control: Option<SocketAddr>,
    _state: TempDir,
}

/// Makes `out` from the file or folder `content` with libtorrent. `tracker` may be empty.
#[track_caller]
pub fn make_torrent(content: &Path, out: &Path, tracker: &str, piece_len: u32) -> Torrent {
    let output = Command::new("/usr/bin/python3")
        .arg(script("lt_make.py"))
        .args([content, out])
        .args([tracker, &piece_len.to_string()])
        .output()
        .expect("python3 is part of the set-up (tests/setup.sh)");
    let text = String::from_utf8_lossy(&output.stdout).trim().to_string();
    assert!(
        output.status.success() && text.len() == 40,
        "libtorrent made no torrent: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Torrent {
        file: out.into(),
        infohash: text,
    }
}

impl Client {
    /// Starts `program` with one torrent. Content that is already in `role.dir` is checked and seeded.
    #[track_caller]
    pub fn start(program: Program, torrent: &Torrent, role: &Role) -> Self {
        let state = tempfile::Builder::new()
            .prefix("granary-peer-")
            .tempdir()
            .expect("the temporary folder is writable");
        fs::create_dir_all(&role.dir).expect("the test's own folder is writable");
        let seeds = fs::read_dir(&role.dir).is_ok_and(|mut entries| entries.next().is_some());
        let (port, control) = (free_port(), free_port());
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = match program {
            Program::Libtorrent => libtorrent(torrent, role, port),
            Program::Transmission => transmission(torrent, role, (port, control), state.path()),
            Program::Qbittorrent => qbittorrent(torrent, role, (port, control), state.path()),
            Program::Aria2 => aria2(torrent, role, port),
            Program::Webtorrent => webtorrent(torrent, role, port),
        };
        let process = Process::start(&format!("{program:?}"), &mut command, &state.path().join("log"));
        let mut client = Self {
            process,
            addr,
            program,
            dir: role.dir.clone(),
            infohash: torrent.infohash.clone(),
            control: matches!(program, Program::Transmission | Program::Qbittorrent)
                .then(|| SocketAddr::from(([127, 0, 0, 1], control))),
            _state: state,
        };
        client.wait_listening();
        if seeds {
            // A client that still checks its files has nothing yet, and some never tell a connected peer when they have.
            wait_for(
                &format!("{program:?} to have checked its files"),
                Duration::from_secs(60),
                || client.has_all(),
            );
        }
        client
    }

    fn wait_listening(&mut self) {
        let (addr, program) = (self.addr, self.program);
        wait_for(&format!("{program:?} to listen"), Duration::from_secs(60), || {
            if let Some(status) = self.process.ended() {
                panic!("{program:?} ended with {status}:\n{}", self.process.output());
            }
            std::net::TcpStream::connect_timeout(&addr, Duration::from_secs(1)).is_ok()
        });
    }

    /// Whether it says of itself that it has everything.
    pub fn has_all(&self) -> bool {
        let said = |text: &str| self.process.output().contains(text);
        match self.program {
            Program::Libtorrent => said("seeding 1.0"),
            Program::Webtorrent => said("done"),
            Program::Aria2 => said("Verification finished successfully"),
            Program::Transmission => self.transmission_has_all() == Some(true),
            Program::Qbittorrent => self.qbittorrent_has_all() == Some(true),
        }
    }

    fn transmission_has_all(&self) -> Option<bool> {
        let (addr, path) = (self.control?, "/transmission/rpc");
        let first = http::request(addr, "POST", path, &[], b"{}").ok()?;
        let session = first.header("x-transmission-session-id")?;
        let ask = br#"{"method":"torrent-get","arguments":{"fields":["leftUntilDone","status"]}}"#;
        let reply = http::request(addr, "POST", path, &[("x-transmission-session-id", session)], ask).ok()?;
        let torrent = &reply.json()["arguments"]["torrents"][0];
        // 6: seeding.
        Some(torrent["leftUntilDone"] == 0 && torrent["status"] == 6)
    }

    fn qbittorrent_has_all(&self) -> Option<bool> {
        let path = format!("/api/v2/torrents/info?hashes={}", self.infohash);
        let rows = http::get(self.control?, &path, &[]).ok()?.json();
        let state = rows[0]["state"].as_str()?;
        Some(
            rows[0]["progress"] == 1.0
                && (state.ends_with("UP") || state == "uploading")
                && !state.contains("checking"),
        )
    }

    /// Waits until `path` below the client's folder equals `want`, byte for byte.
    #[track_caller]
    pub fn wait_file(&self, path: &str, want: &[u8], deadline: Duration) {
        let file = self.dir.join(path);
        let what = format!("{:?} to have all of {path}", self.program);
        wait_some(&what, deadline, || {
            // The length first: reading a large file fifty times a second would slow the download itself.
            let len = fs::metadata(&file).ok()?.len();
            (len == want.len() as u64 && fs::read(&file).ok()? == want).then_some(())
        });
    }
}

fn libtorrent(torrent: &Torrent, role: &Role, port: u16) -> Command {
    let mut command = bounded("/usr/bin/python3");
    command
        .arg(script("lt_peer.py"))
        .arg(&torrent.file)
        .arg(&role.dir)
        .arg(port.to_string());
    command.arg(role.peer.map_or_else(|| "-".into(), |peer| peer.to_string()));
    command.arg(if role.encryption.is_empty() {
        "-"
    } else {
        &role.encryption
    });
    command.arg(if role.utp { "utp" } else { "tcp" });
    command.arg(role.upload_kib.to_string());
    command
}

fn webtorrent(torrent: &Torrent, role: &Role, port: u16) -> Command {
    let mut command = bounded("node");
    command
        .arg(script("wt_peer.mjs"))
        .arg(cache_dir().join("npm"))
        .arg(&torrent.file);
    command.arg(&role.dir).arg(port.to_string());
    command.arg(role.peer.map_or_else(|| "-".into(), |peer| peer.to_string()));
    command
}

fn aria2(torrent: &Torrent, role: &Role, port: u16) -> Command {
    let mut command = bounded("aria2c");
    command.args([
        "--no-conf=true",
        "--enable-dht=false",
        "--enable-dht6=false",
        "--bt-enable-lpd=false",
    ]);
    command.args([
        "--check-integrity=true",
        "--seed-ratio=0.0",
        "--file-allocation=none",
    ]);
    command.args([
        "--disable-ipv6=true",
        "--summary-interval=0",
        "--bt-tracker-interval=2",
    ]);
    command.arg(format!("--listen-port={port}"));
    command
        .arg(format!("--dir={}", role.dir.display()))
        .arg(&torrent.file);
    command
}

fn transmission(torrent: &Torrent, role: &Role, (port, control): (u16, u16), state: &Path) -> Command {
    let watch = state.join("watch");
    fs::create_dir_all(&watch).expect("the client's own folder is writable");
    fs::copy(&torrent.file, watch.join("it.torrent")).expect("the client's own folder is writable");
    let settings = serde_json::json!({
        "rpc-enabled": true, "rpc-port": control, "rpc-bind-address": "127.0.0.1", "rpc-host-whitelist-enabled": false,
        "rpc-authentication-required": false, "peer-port": port, "bind-address-ipv4": "0.0.0.0", "dht-enabled": false,
        "lpd-enabled": false, "port-forwarding-enabled": false, "download-dir": role.dir,
        "incomplete-dir-enabled": false, "watch-dir": watch, "watch-dir-enabled": true,
        "start-added-torrents": true, "ratio-limit-enabled": false, "encryption": 1
    });
    fs::write(state.join("settings.json"), settings.to_string())
        .expect("the client's own folder is writable");
    let mut command = bounded("transmission-daemon");
    command.arg("-f").arg("-g").arg(state);
    command
}

fn qbittorrent(torrent: &Torrent, role: &Role, (port, web): (u16, u16), state: &Path) -> Command {
    let config = state.join("qBittorrent/config");
    fs::create_dir_all(&config).expect("the client's own folder is writable");
    let text = format!(
        "[LegalNotice]\nAccepted=true\n[BitTorrent]\nSession\\Port={port}\nSession\\DHTEnabled=false\n\
         Session\\LSDEnabled=false\nSession\\QueueingSystemEnabled=false\nSession\\DefaultSavePath={dir}\n\
         Session\\TempPathEnabled=false\nSession\\MultiConnectionsPerIp=true\n\
         Session\\SSRFMitigation=false\n[Preferences]\n\
         WebUI\\Port={web}\nWebUI\\Address=127.0.0.1\nWebUI\\LocalHostAuth=false\nWebUI\\UPnP=false\n\
         [Network]\nPortForwardingEnabled=false\n",
        dir = role.dir.display()
    );
    fs::write(config.join("qBittorrent.conf"), text).expect("the client's own folder is writable");
    let mut command = bounded("qbittorrent-nox");
    command
        .env("HOME", state)
        .arg(format!("--profile={}", state.display()));
    command.arg(format!("--webui-port={web}"));
    command.arg(format!("--save-path={}", role.dir.display()));
    command
        .args(["--add-paused=false", "--skip-dialog=true"])
        .arg(&torrent.file);
    command
}

/// Where `tests/setup.sh` puts what no package of Debian has.
pub fn cache_dir() -> PathBuf {
    // The environment is the test's own set-up here, not a room's configuration.
    #[allow(clippy::disallowed_methods)]
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    base.expect("HOME is set").join("granary")
}

/// A program of the harness.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("harness").join(name)
}
