//! A home network made of network namespaces: a switch, and hosts on cables (veth) that can be pulled. Everything is named
//! after the test process, removed when the [`Lan`] is dropped, and what a killed test left behind is removed by the next.
//!
//! Needs root; without it a test fails with a sentence that says so.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicU32, Ordering},
    },
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use crate::process::{Process, bounded};

/// Namespaces are called `granary-PID-LAN-HOST`.
const PREFIX: &str = "granary-";

/// One switch and its hosts.
pub struct Lan {
    shared: Arc<Shared>,
}

struct Shared {
    id: String,
    hosts: AtomicU32,
    /// Also of hosts whose making was interrupted.
    namespaces: Mutex<Vec<String>>,
    dir: TempDir,
}

/// A machine of the LAN. Cheap to clone; it exists as long as its [`Lan`].
#[derive(Clone)]
pub struct Host {
    shared: Arc<Shared>,
    name: String,
    namespace: String,
    /// Its port at the switch.
    port: String,
}

impl Lan {
    #[track_caller]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        static LEFTOVERS: Once = Once::new();
        assert!(
            rustix::process::geteuid().is_root(),
            "this test makes network namespaces, which only root may: run it as root"
        );
        LEFTOVERS.call_once(remove_leftovers);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let shared = Shared {
            id: format!("{PREFIX}{}-{number}", std::process::id()),
            hosts: AtomicU32::new(1),
            namespaces: Mutex::new(Vec::new()),
            dir: tempfile::Builder::new()
                .prefix("granary-lan-")
                .tempdir()
                .expect("the temporary folder is writable"),
        };
        let lan = Self {
            shared: Arc::new(shared),
        };
        let switch = lan.shared.switch();
        lan.shared.add_namespace(&switch);
        // No spanning tree and no snooping: a cheap switch forwards at once, and floods multicast.
        ip(&format!(
            "-n {switch} link add br0 type bridge forward_delay 0 mcast_snooping 0"
        ));
        ip(&format!("-n {switch} link set br0 up"));
        lan
    }

    /// A host with a cable to the switch on its `eth0`, without an address. `name`: lower-case letters and digits.
    #[track_caller]
    pub fn host(&self, name: &str) -> Host {
        let number = self.shared.hosts.load(Ordering::Relaxed);
        let host = self.lone_host(name);
        self.shared.cable(&host, "eth0", number);
        host
    }

    /// A host without a cable; see [`Lan::cable`].
    #[track_caller]
    pub fn lone_host(&self, name: &str) -> Host {
        let number = self.shared.hosts.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("{}-{name}", self.shared.id);
        self.shared.add_namespace(&namespace);
        Host {
            shared: self.shared.clone(),
            name: name.into(),
            namespace,
            port: format!("p{number}"),
        }
    }

    /// A cable between two hosts, past the switch.
    #[track_caller]
    pub fn cable(&self, a: &Host, a_link: &str, b: &Host, b_link: &str) {
        ip(&format!(
            "link add {a_link} netns {} type veth peer name {b_link} netns {}",
            a.namespace, b.namespace
        ));
        ip(&format!("-n {} link set {a_link} up", a.namespace));
        ip(&format!("-n {} link set {b_link} up", b.namespace));
    }

    /// For files of the test; gone with the LAN.
    pub fn dir(&self) -> &Path {
        self.shared.dir.path()
    }
}

impl Default for Lan {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    fn switch(&self) -> String {
        format!("{}-switch", self.id)
    }

    #[track_caller]
    fn add_namespace(&self, namespace: &str) {
        let mut all = self.namespaces.lock().expect("no test panics holding it");
        all.push(namespace.into());
        drop(all);
        let etc = etc_of(namespace);
        fs::create_dir_all(&etc).expect("root may write /etc/netns");
        // A host that was told nothing asks nobody, not the resolver of the machine that runs the tests.
        fs::write(etc.join("resolv.conf"), "").expect("root may write /etc/netns");
        ip(&format!("netns add {namespace}"));
        ip(&format!("-n {namespace} link set lo up"));
        // Addresses count at once, not after a second of duplicate address detection.
        inside(namespace, || {
            for which in ["all", "default"] {
                let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{which}/accept_dad"), "0");
            }
        });
    }

    #[track_caller]
    fn cable(&self, host: &Host, link: &str, number: u32) {
        let (switch, port, namespace) = (self.switch(), &host.port, &host.namespace);
        let mac = format!("02:67:00:00:{:02x}:{:02x}", number >> 8, number & 0xff);
        ip(&format!(
            "link add {port} netns {switch} type veth peer name {link} address {mac} netns {namespace}"
        ));
        ip(&format!("-n {switch} link set {port} master br0 up"));
        ip(&format!("-n {namespace} link set {link} up"));
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let all = std::mem::take(self.namespaces.get_mut().unwrap_or_else(|err| err.into_inner()));
        for namespace in all.iter().rev() {
            remove(namespace);
        }
    }
}

impl Host {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As `ip netns` knows it.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Gives `eth0` an address such as `192.168.7.2/24` or `fd00:7::2/64`; returns the host for chaining.
    #[track_caller]
    pub fn with(self, addr: &str) -> Self {
        self.add_addr("eth0", addr);
        self
    }

    #[track_caller]
    pub fn add_addr(&self, link: &str, addr: &str) {
        let nodad = if addr.contains(':') { " nodad" } else { "" };
        ip(&format!(
            "-n {} addr add {addr} dev {link}{nodad}",
            self.namespace
        ));
    }

    /// `ip` with these words in this namespace, such as `route add default via 192.168.7.1`.
    #[track_caller]
    pub fn ip(&self, words: &str) -> String {
        ip(&format!("-n {} {words}", self.namespace))
    }

    /// The hardware address of `eth0`.
    #[track_caller]
    pub fn mac(&self) -> String {
        let text = self.ip("-o link show dev eth0");
        let mut words = text.split_whitespace().skip_while(|word| *word != "link/ether");
        words.nth(1).expect("a veth has a hardware address").into()
    }

    /// All addresses of `eth0` but the link-local ones.
    #[track_caller]
    pub fn addrs(&self) -> Vec<IpAddr> {
        let text = self.ip("-o addr show dev eth0 scope global");
        let words: Vec<&str> = text.split_whitespace().collect();
        let after = |pair: &[&str]| {
            let given = matches!(pair[0], "inet" | "inet6");
            given.then(|| pair[1].split('/').next()?.parse().ok()).flatten()
        };
        words.windows(2).filter_map(after).collect()
    }

    /// What this host's programs read as `/etc/resolv.conf`, also those that run already.
    pub fn resolv_conf(&self, text: &str) {
        // Written in place: programs see the file through a bind mount.
        fs::write(etc_of(&self.namespace).join("resolv.conf"), text).expect("the namespace's own file");
    }

    /// A kernel switch such as `net/ipv4/ip_forward`.
    #[track_caller]
    pub fn sysctl(&self, path: &str, value: &str) {
        let file = format!("/proc/sys/{path}");
        self.within(|| fs::write(&file, value))
            .unwrap_or_else(|err| panic!("set {file}: {err}"));
    }

    /// The program in this namespace. Its process is the program itself, so that signals reach it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.namespace])
            .arg(program.as_ref());
        command
    }

    /// Runs a program to its end, bounded by a minute.
    #[track_caller]
    pub fn output(&self, program: &str, args: &[&str]) -> Output {
        let mut command = self.command("timeout");
        command
            .args(["--foreground", "-k", "3", "60", program])
            .args(args);
        command
            .output()
            .unwrap_or_else(|err| panic!("{program} on {}: {err}", self.name))
    }

    /// What a program prints; panics unless it ends well.
    #[track_caller]
    pub fn run(&self, program: &str, args: &[&str]) -> String {
        let output = self.output(program, args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{program} {args:?} on {}: {}\n{text}{}",
            self.name,
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    /// A long-running program, bounded by fifteen minutes; its output is kept.
    #[track_caller]
    pub fn start(&self, program: &str, args: &[&str]) -> Process {
        let mut command = bounded("ip");
        command
            .args(["netns", "exec", &self.namespace, program])
            .args(args);
        self.start_command(program, &mut command)
    }

    /// Like [`Host::start`], for a command made by [`Host::command`].
    #[track_caller]
    pub fn start_command(&self, name: &str, command: &mut Command) -> Process {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = self.file(&format!("{number}.log"));
        Process::start(&format!("{name} on {}", self.name), command, &log)
    }

    /// A path for a file of this host.
    pub fn file(&self, name: &str) -> PathBuf {
        self.shared.dir.path().join(format!("{}-{name}", self.name))
    }

    /// Runs the closure on a thread in this namespace: sockets that it opens belong to this host for ever.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        inside(&self.namespace, work)
    }

    /// Pulls the cable at the switch: the host's `eth0` loses its carrier.
    #[track_caller]
    pub fn unplug(&self) {
        ip(&format!(
            "-n {} link set {} down",
            self.shared.switch(),
            self.port
        ));
    }

    #[track_caller]
    pub fn plug(&self) {
        ip(&format!("-n {} link set {} up", self.shared.switch(), self.port));
    }

    /// The link stays, every frame from and to this host vanishes in the switch.
    #[track_caller]
    pub fn black_hole(&self) {
        self.loss(100);
    }

    /// So many of a hundred frames vanish in each direction; 0 ends it.
    #[track_caller]
    pub fn loss(&self, percent: u32) {
        let (switch, port) = (self.shared.switch(), &self.port);
        let _ = Command::new("ip")
            .args(["netns", "exec", &switch, "nft", "delete", "table", "bridge", port])
            .output();
        if percent == 0 {
            return;
        }
        let which = match percent {
            100.. => String::new(),
            some => format!("numgen random mod 100 < {some} "),
        };
        let rules = format!(
            "add table bridge {port}; \
             add chain bridge {port} lossy {{ type filter hook forward priority 0 ; }}; \
             add rule bridge {port} lossy iifname {port} {which}drop; \
             add rule bridge {port} lossy oifname {port} {which}drop"
        );
        done(
            "nft",
            Command::new("ip").args(["netns", "exec", &switch, "nft", &rules]),
        );
    }
}

fn etc_of(namespace: &str) -> PathBuf {
    Path::new("/etc/netns").join(namespace)
}

fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    let file = fs::File::open(Path::new("/run/netns").join(namespace)).expect("the namespace exists");
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            use std::os::fd::AsFd;
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter a namespace");
            work()
        });
        match thread.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// `ip` with these words; panics with what it says when it refuses.
#[track_caller]
fn ip(words: &str) -> String {
    done("ip", Command::new("ip").args(words.split_whitespace()))
}

#[track_caller]
fn done(program: &str, command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|err| panic!("{program}: {err} (tests/setup.sh installs it)"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Ends what still runs inside, then removes the namespace and its `/etc`. Says nothing when it is gone already.
fn remove(namespace: &str) {
    let quiet = |args: &[&str]| Command::new("ip").args(args).output();
    if let Ok(output) = quiet(&["netns", "pids", namespace]) {
        for pid in String::from_utf8_lossy(&output.stdout).split_whitespace() {
            if let Some(pid) = pid.parse().ok().and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
    let _ = quiet(&["netns", "delete", namespace]);
    let _ = fs::remove_dir_all(etc_of(namespace));
}

/// Namespaces of test processes that no longer run.
fn remove_leftovers() {
    let entries = ["/run/netns", "/etc/netns"]
        .into_iter()
        .filter_map(|dir| fs::read_dir(dir).ok());
    for entry in entries.flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let dead =
            pid.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists());
        if dead {
            remove(&name);
        }
    }
}
