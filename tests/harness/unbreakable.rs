//! The unbreakable home: a device asks for ordinary names all the time, while one thing after the other is broken on our
//! side. A short run is a test; a long one is a command that prints a table.

use std::{
    fmt, fs,
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Granary, Setup,
    granary::binary,
    home::{BOX, Home},
    http,
    internet::PAGE,
    load::{Kind, Load, Tally},
    process::Process,
    upstream::{Upstream, any_answer},
    wait::{soon, wait_for, wait_some},
    wire::{self, Message},
};

/// Where the resolver behind the box listens; names that begin with `short` are old after a second.
const UPSTREAM: &str = "8.8.8.8";

/// What became of the questions while one thing was broken and until it was whole again.
#[derive(Debug, Clone)]
pub struct Row {
    pub fault: &'static str,
    /// Names asked all the time, and names whose answers are old.
    pub known: [Tally; 2],
    /// Names never asked for before, where an answer was possible.
    pub fresh: Tally,
    /// Questions per second that were asked.
    pub rate: f64,
}

impl Row {
    /// What the household was promised: none lost of the known names, at most a second without new ones.
    pub fn is_kept(&self) -> bool {
        self.known.iter().all(|tally| tally.sent > 0 && tally.lost == 0)
            && self.fresh.sent > 0
            && self.fresh.gap <= Duration::from_secs(1)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kept, short] = self.known;
        write!(
            f,
            "{:<34} {:>5.0}/s | {:>5} {:>4} {:>6.0} ms | {:>5} {:>4} {:>6.0} ms | {:>5} {:>4} {:>5.2} s {}",
            self.fault,
            self.rate,
            kept.sent,
            kept.lost,
            kept.slowest.as_secs_f64() * 1000.0,
            short.sent,
            short.lost,
            short.slowest.as_secs_f64() * 1000.0,
            self.fresh.sent,
            self.fresh.lost,
            self.fresh.gap.as_secs_f64(),
            if self.is_kept() { "kept" } else { "BROKEN" },
        )
    }
}

pub const HEAD: &str = "fault                                        | kept: asked, lost, slowest | short-lived                | \
     fresh: asked, lost, gap";

/// The home under load.
struct Rig {
    load: Load,
    web: Option<Granary>,
    keeper: Process,
    upstream: Upstream,
    state: PathBuf,
    pidfile: PathBuf,
    clock: PathBuf,
    control: PathBuf,
    home: Home,
}

/// Breaks one thing, holds it for about that long, and mends it.
type Fault = fn(&mut Rig, Duration);

/// Breaks one thing after the other, each for about `length`, and tells row after row.
pub fn run(length: Duration, mut tell: impl FnMut(&Row)) -> Vec<Row> {
    let mut rig = Rig::start();
    let mut rows = Vec::new();
    let faults: [(&'static str, Fault); 9] = [
        ("nothing (for comparison)", |_, length| hold(length)),
        ("the web half is killed", |rig, length| {
            rig.web.take().expect("it runs").kill();
            hold(length);
        }),
        ("the state disk is full", Rig::fill_disk),
        ("the state disk is read-only", Rig::read_only_disk),
        ("5,000 malformed packets", Rig::flood),
        ("the clock jumps a year, and back", Rig::jump_clock),
        ("the LAN half restarts, socket kept", Rig::restart),
        ("the upstream is gone", |rig, length| {
            rig.upstream.silence(true);
            hold(length);
        }),
        ("the cable is pulled and put back", |rig, _| rig.flap()),
    ];
    for (fault, break_it) in faults {
        let start = Instant::now();
        break_it(&mut rig, length);
        let mended = Instant::now();
        rig.upstream.silence(false);
        hold(Duration::from_secs(1));
        let end = Instant::now();
        // No cable, no questions; no upstream, no new names: these count from when an answer is possible again.
        let known_from = if fault.contains("cable") { mended } else { start };
        let fresh_from = if fault.contains("upstream") {
            mended
        } else {
            known_from
        };
        let known = [Kind::Kept, Kind::Short].map(|kind| rig.load.tally(kind, known_from, end));
        let fresh = rig.load.tally(Kind::Fresh, fresh_from, end);
        let asked = known[0].sent as f64 * 2.0;
        let row = Row {
            fault,
            known,
            fresh,
            rate: asked / (end - known_from).as_secs_f64(),
        };
        tell(&row);
        rows.push(row);
        rig.check_alive();
    }
    rows
}

/// A fault must last: this is its length, not a wait for something.
fn hold(length: Duration) {
    std::thread::sleep(length);
}

impl Rig {
    fn start() -> Self {
        let home = Home::new();
        home.settle_device("");
        home.world.add_addr("lo", &format!("{UPSTREAM}/32"));
        let upstream = home.world.within(|| {
            let addr = SocketAddr::new(UPSTREAM.parse().expect("an address"), 53);
            Upstream::start(addr, |query, _| {
                let ttl = if query.name().starts_with("short") { 1 } else { 300 };
                vec![any_answer(query, PAGE, ttl).bytes()]
            })
        });
        let web = Setup::default()
            .verb("web")
            .arg("--starter")
            .on(&home.granary)
            .start();
        let file = |name: &str| home.granary.file(name);
        let (state, pidfile, clock, control) = (file("state"), file("pid"), file("clock"), file("sock"));
        fs::create_dir_all(&state).expect("the test's own folder is writable");
        fs::write(&clock, "+0").expect("the test's own folder is writable");
        let keeper = home.granary.start_command(
            "the LAN half",
            &mut keeper(&home, &state, &pidfile, &clock, &control),
        );
        let server = SocketAddr::new(BOX.parse().expect("an address"), 53);
        let load = Load::start(&home.device, server);
        let mut rig = Self {
            load,
            web: Some(web),
            keeper,
            upstream,
            state,
            pidfile,
            clock,
            control,
            home,
        };
        rig.check_alive();
        // All names that are asked all the time have been asked.
        hold(Duration::from_secs(2));
        rig
    }

    /// The LAN half answers a question of its own zone.
    #[track_caller]
    fn check_alive(&mut self) {
        let server = SocketAddr::new(BOX.parse().expect("an address"), 53);
        wait_for("the LAN half to answer", soon(), || {
            assert!(self.keeper.ended().is_none(), "its keeper ended");
            let asked = || {
                wire::ask(
                    server,
                    &Message::query("alive.btlink", "A"),
                    Duration::from_secs(2),
                )
            };
            self.home
                .device
                .within(asked)
                .is_ok_and(|answer| answer.data("A") == [BOX])
        });
    }

    fn pid(&self) -> Pid {
        wait_some("the LAN half's pidfile", soon(), || {
            let text = fs::read_to_string(&self.pidfile).ok()?;
            text.trim().parse().ok().and_then(Pid::from_raw)
        })
    }

    /// The state folder as the LAN half sees it: a small disk of its own.
    fn disk(&self) -> PathBuf {
        let keeper = PathBuf::from(format!("/proc/{}/root", self.keeper.pid()));
        keeper.join(self.state.strip_prefix("/").expect("an absolute path"))
    }

    fn fill_disk(&mut self, length: Duration) {
        let ballast = self.disk().join("ballast");
        let filled = fs::write(&ballast, vec![1; 4 << 20]);
        assert!(filled.is_err(), "the disk of 1 MiB must be full");
        self.change_settings();
        hold(length);
        fs::remove_file(ballast).expect("it was just written");
    }

    fn read_only_disk(&mut self, length: Duration) {
        self.mount("remount,ro");
        self.change_settings();
        hold(length);
        self.mount("remount,rw");
    }

    fn mount(&self, options: &str) {
        let pid = self.keeper.pid().to_string();
        let status = Command::new("nsenter")
            .args(["--target", &pid, "--mount", "--", "mount", "-o", options])
            .arg(&self.state)
            .status();
        assert!(status.is_ok_and(|status| status.success()), "mount -o {options}");
    }

    /// The household changes something that cannot be written: it takes effect, and it says so.
    fn change_settings(&self) {
        let settings = http::request_unix(&self.control, "GET", "/v1/settings", &[])
            .expect("the control socket answers");
        let saved =
            http::request_unix(&self.control, "PUT", "/v1/settings", &settings.body).expect("it answers");
        assert_eq!(saved.status, 200, "{}", saved.text());
        assert!(
            saved.json()["not_saved"].is_string(),
            "it must say what was not saved: {}",
            saved.text()
        );
    }

    fn flood(&mut self, length: Duration) {
        let server = SocketAddr::new(BOX.parse().expect("an address"), 53);
        let mad = self.home.lan.host("mad").with("192.168.7.66/24");
        let socket = mad.within(|| UdpSocket::bind("0.0.0.0:0").expect("a free port"));
        let good = Message::query("flood.example.com", "A").bytes();
        let start = Instant::now();
        for number in 0..5000_usize {
            let mut packet = good.clone();
            let cut = number % good.len();
            packet[cut] ^= (number / good.len() + 1) as u8;
            packet.truncate(cut + 1 + number % 7);
            let _ = socket.send_to(&packet, server);
            // Spread over the stretch: a socket's buffer is no part of what is tried here.
            let due = start + length * number as u32 / 5000;
            hold(due.saturating_duration_since(Instant::now()));
        }
    }

    fn jump_clock(&mut self, length: Duration) {
        for jump in ["+365d", "-365d", "+0"] {
            fs::write(&self.clock, jump).expect("the test's own folder is writable");
            hold(length / 3);
        }
    }

    fn restart(&mut self, length: Duration) {
        let old = self.pid();
        kill_process(old, Signal::TERM).expect("it runs");
        wait_for("the LAN half to be started again", soon(), || {
            fs::read_to_string(&self.pidfile).is_ok_and(|text| {
                text.trim()
                    .parse()
                    .ok()
                    .and_then(Pid::from_raw)
                    .is_some_and(|pid| pid != old)
            })
        });
        hold(length);
    }

    fn flap(&mut self) {
        self.home.granary.unplug();
        let lost = || self.home.granary.ip("link show dev eth0").contains("NO-CARRIER");
        wait_for("the carrier to be lost", soon(), lost);
        hold(Duration::from_secs(1));
        self.home.granary.plug();
        wait_for("the carrier to come back", soon(), || !lost());
        // The wire itself takes a moment (carrier, addresses, neighbours): from the first echo on, it is ours to answer.
        wait_for("the box to be reachable", soon(), || {
            let echo = self.home.device.output("ping", &["-c1", "-W1", BOX]);
            echo.status.success()
        });
    }
}

/// The LAN half on a disk of its own of 1 MiB, with sockets that outlive it, and a clock that can be set.
fn keeper(home: &Home, state: &Path, pidfile: &Path, clock: &Path, control: &Path) -> Command {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/harness/keep_sockets.py");
    let mut command = home.granary.command("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-c"]);
    command.arg("mount -t tmpfs -o size=1m granary \"$0\" && exec \"$@\"");
    command
        .arg(state)
        .args(["/usr/bin/python3", script, "0.0.0.0", "53"]);
    command.args([
        "/usr/bin/env".into(),
        format!("LD_PRELOAD={}", faketime().display()),
    ]);
    command.arg(format!("FAKETIME_TIMESTAMP_FILE={}", clock.display()));
    command.args(["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]);
    command.arg(binary()).args(["lan", "--data"]).arg(state);
    command
        .arg("--control")
        .arg(control)
        .arg("--pidfile")
        .arg(pidfile);
    command.args(["--upstream-dns", &format!("{UPSTREAM}:53")]);
    command
}

/// The library that lets one program see another time.
fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("a Debian machine").flatten();
    folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.exists())
        .expect("tests/setup.sh installs libfaketime")
}
