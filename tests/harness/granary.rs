//! The real binary, started on loopback with ports of the system's choice.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    http::{self, Response},
    netns::Host,
    process::Process,
    wait::wait_for,
};

/// The binary beside this program: `target/debug/deps/it-…` and `target/debug/unbreakable` → `target/debug/granary`.
pub fn binary() -> PathBuf {
    let me = std::env::current_exe().expect("a running test has a path");
    let mut folders = me.ancestors().skip(1);
    let folder = folders
        .find(|folder| !folder.ends_with("deps"))
        .expect("tests lie in target/PROFILE/deps");
    let binary = folder.join("granary");
    assert!(
        binary.exists(),
        "{} is missing: `make test` builds it (cargo build -p granary)",
        binary.display()
    );
    binary
}

/// Runs the command line to its end, bounded by two minutes.
pub fn cli(args: &[&str]) -> Output {
    Command::new("timeout")
        .args(["--foreground", "-k", "3", "120"])
        .arg(binary())
        .args(args)
        .output()
        .expect("timeout(1) is part of coreutils")
}

/// What a Granary is to be started with.
pub struct Setup {
    verb: String,
    data: Option<PathBuf>,
    args: Vec<String>,
    bt_ip: String,
    place: Option<Host>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            verb: "run".into(),
            data: None,
            args: Vec::new(),
            bt_ip: "127.0.0.1".into(),
            place: None,
        }
    }
}

impl Setup {
    /// `run` (the default), `web` or `lan`.
    pub fn verb(mut self, verb: &str) -> Self {
        self.verb = verb.into();
        self
    }

    /// A data folder that outlives this Granary; without it, a fresh one.
    pub fn data(mut self, dir: &Path) -> Self {
        self.data = Some(dir.into());
        self
    }

    /// Any other argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// A peer that every torrent is asked from.
    pub fn peer(self, addr: SocketAddr) -> Self {
        self.arg("--peer").arg(addr.to_string())
    }

    /// Listens for peers on all interfaces (transmission refuses to dial loopback).
    pub fn bt_everywhere(mut self) -> Self {
        self.bt_ip = "0.0.0.0".into();
        self
    }

    /// On a host of a test LAN, with the ports of the real appliance (53, 80, 3128) on all its addresses, which devices are
    /// told by the first one.
    pub fn on(mut self, host: &Host) -> Self {
        self.place = Some(host.clone());
        self.bt_ip = "0.0.0.0".into();
        self
    }

    fn places(&self) -> Vec<String> {
        let mut args = Vec::new();
        let mut add = |flag: &str, value: &str| args.extend([flag.to_string(), value.to_string()]);
        match &self.place {
            None => {
                add("--listen-http", "127.0.0.1:0");
                add("--listen-proxy", "127.0.0.1:0");
                if self.verb == "lan" && !self.args.iter().any(|arg| arg == "--listen-dns") {
                    add("--listen-dns", "127.0.0.1:0");
                }
            }
            Some(host) => {
                if self.verb != "lan" {
                    add("--listen-http", "0.0.0.0:80");
                    add("--listen-proxy", "0.0.0.0:3128");
                }
                let own = host.addrs().into_iter().find(IpAddr::is_ipv4);
                if let Some(own) = own {
                    add("--advertise", &own.to_string());
                }
            }
        }
        add("--listen-bt", &format!("{}:0", self.bt_ip));
        args
    }

    /// Starts it and waits until it says that everything listens.
    #[track_caller]
    pub fn start(self) -> Granary {
        let (mut granary, ready) = self.launch();
        wait_for("granary to be ready", Duration::from_secs(60), || {
            if let Some(status) = granary.process.ended() {
                panic!(
                    "granary ended with {status} instead of getting ready:\n{}",
                    granary.log()
                );
            }
            ready.exists()
        });
        let text = std::fs::read(&ready).expect("the ready file was just seen");
        granary.ready = serde_json::from_slice(&text).expect("the ready file is written at once");
        granary
    }

    /// Starts it without waiting. Also returns where its ready file will be.
    #[track_caller]
    pub fn launch(self) -> (Granary, PathBuf) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let temp = tempfile::Builder::new()
            .prefix("granary-test-")
            .tempdir()
            .expect("the temporary folder is writable");
        let data = self.data.clone().unwrap_or_else(|| temp.path().join("data"));
        let ready = temp.path().join("ready.json");
        let control = temp.path().join("control.sock");
        let mut command = match &self.place {
            Some(host) => host.command(binary()),
            None => Command::new(binary()),
        };
        let places = self.places();
        command.arg(&self.verb).arg("--data").arg(&data).args(places);
        command.args(["--listen-dht", "127.0.0.1:0", "--dht-bootstrap", "none"]);
        if self.verb == "run" {
            command.args(["--listen-dns", "127.0.0.1:0"]);
        }
        command.args(["--no-lsd", "--no-upnp", "--log", "debug,hyper=info,mio=info"]);
        command
            .arg("--control")
            .arg(&control)
            .arg("--ready-file")
            .arg(&ready);
        command.args(&self.args);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let process = Process::start(
            &format!("granary #{number}"),
            &mut command,
            &temp.path().join("granary.log"),
        );
        let granary = Granary {
            process,
            ready: Value::Null,
            data,
            control,
            place: self.place,
            _temp: temp,
        };
        (granary, ready)
    }
}

/// A running Granary; ended when dropped. A data folder of its own vanishes with it.
pub struct Granary {
    // First, so that the process is gone before its folder is removed.
    pub process: Process,
    ready: Value,
    pub data: PathBuf,
    pub control: PathBuf,
    place: Option<Host>,
    _temp: TempDir,
}

impl Granary {
    /// With a fresh folder and nothing else.
    #[track_caller]
    pub fn start() -> Self {
        Setup::default().start()
    }

    /// The content of the ready file.
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// An address of the ready file: `http`, `proxy`, `bt`, `dht`, `dns`.
    #[track_caller]
    pub fn addr(&self, service: &str) -> SocketAddr {
        self.ready[service]
            .as_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("the ready file names no {service}: {}", self.ready))
    }

    pub fn log(&self) -> String {
        self.process.output()
    }

    /// GET of a whole URL through the proxy door.
    #[track_caller]
    pub fn get(&self, url: &str) -> Response {
        self.get_with(url, &[])
    }

    #[track_caller]
    pub fn get_with(&self, url: &str, headers: &[(&str, &str)]) -> Response {
        let proxy = self.addr("proxy");
        let ask = || http::get(proxy, url, headers);
        let reply = match &self.place {
            Some(host) => host.within(ask),
            None => ask(),
        };
        reply.unwrap_or_else(|err| panic!("GET {url}: {err:#}"))
    }

    /// The body of `path` of the site with that infohash; panics unless it is a 200.
    #[track_caller]
    pub fn site(&self, infohash: &str, path: &str) -> Vec<u8> {
        let url = format!("http://{infohash}-ih.btlink/{}", path.trim_start_matches('/'));
        let response = self.get(&url);
        assert_eq!(response.status, 200, "GET {url}: {}", response.text());
        response.body
    }

    /// A request on the control socket.
    #[track_caller]
    pub fn control(&self, method: &str, target: &str, body: &Value) -> Response {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        http::request_unix(&self.control, method, target, &body)
            .unwrap_or_else(|err| panic!("{method} {target} on the control socket: {err:#}"))
    }

    #[track_caller]
    pub fn status(&self) -> Value {
        self.control("GET", "/api/v1/status", &Value::Null).json()
    }

    /// SIGTERM; returns the exit code. Panics when it still runs after 30 s.
    #[track_caller]
    pub fn stop(&mut self) -> i32 {
        self.process.signal(Signal::TERM);
        let status = self.process.wait(Duration::from_secs(30));
        status
            .expect("granary stops within 30 s of SIGTERM")
            .code()
            .unwrap_or(-1)
    }

    /// SIGKILL: the power cut.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}
