//! `granary lan` as a service: what it tells systemd, sockets that systemd opened, and networks that change under it.

use std::{
    io,
    os::unix::net::UnixDatagram,
    path::Path,
    time::{Duration, Instant},
};

use harness::{
    netns::{Host, Lan},
    process::Process,
    soon, wait_for,
    wire::{self, Message},
};

/// Of the watchdog: it is fed three times as often.
const LIMIT: Duration = Duration::from_millis(900);

/// The LAN half on a host, told nothing but where its data are. `env`: further variables, `NAME=value`.
#[track_caller]
fn lan_half(host: &Host, env: &[String]) -> Process {
    let data = host.file("data").display().to_string();
    let granary = harness::granary::binary().display().to_string();
    let mut words: Vec<&str> = env.iter().map(String::as_str).collect();
    words.extend([&*granary, "lan", "--data", &data]);
    host.start("/usr/bin/env", &words)
}

/// The address that the box gives itself, asked at `server`.
fn own_addr(client: &Host, server: &str) -> Option<String> {
    let server = format!("{server}:53").parse().expect("an address");
    let query = Message::query("box.btlink", "A");
    let answer = client.within(|| wire::ask(server, &query, Duration::from_secs(1)));
    answer.ok()?.data("A").first().map(ToString::to_string)
}

struct Systemd(UnixDatagram);

impl Systemd {
    fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("the folder of the test");
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("not zero");
        Self(socket)
    }

    fn next(&self) -> Option<String> {
        let mut buffer = [0; 4096];
        match self.0.recv(&mut buffer) {
            Ok(len) => Some(String::from_utf8_lossy(&buffer[..len]).into_owned()),
            Err(err) if matches!(err.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => None,
            Err(err) => panic!("{err}"),
        }
    }

    #[track_caller]
    fn hears(&self, line: &str) {
        wait_for(line, soon(), || {
            self.next()
                .is_some_and(|text| text.lines().any(|one| one == line))
        });
    }

    fn hears_within(&self, line: &str, time: Duration) -> bool {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if self
                .next()
                .is_some_and(|text| text.lines().any(|one| one == line))
            {
                return true;
            }
        }
        false
    }
}

#[test]
fn systemd_is_told_the_truth_and_its_watchdog_is_fed_by_real_answers_alone() {
    let lan = Lan::new();
    let host = lan.host("box").with("192.168.7.2/24");
    let path = host.file("notify");
    let systemd = Systemd::listen(&path);
    let mut granary = lan_half(
        &host,
        &[
            format!("NOTIFY_SOCKET={}", path.display()),
            format!("WATCHDOG_USEC={}", LIMIT.as_micros()),
        ],
    );
    systemd.hears("READY=1");
    systemd.hears("WATCHDOG=1");
    systemd.hears("WATCHDOG=1");
    // Its own question goes by loopback: now it listens, and does not answer.
    host.ip("link set lo down");
    while systemd.hears_within("WATCHDOG=1", LIMIT) {}
    assert!(
        !systemd.hears_within("WATCHDOG=1", LIMIT * 3),
        "fed without an answer"
    );
    host.ip("link set lo up");
    systemd.hears("WATCHDOG=1");
    let signal = |name: &str| host.run("kill", &["-s", name, &granary.pid().to_string()]);
    signal("HUP");
    systemd.hears("READY=1");
    signal("TERM");
    systemd.hears("STOPPING=1");
    wait_for("it to end", soon(), || granary.ended().is_some());
}

#[test]
fn a_question_that_came_before_the_start_is_answered_from_the_socket_of_systemd() {
    let lan = Lan::new();
    let host = lan.host("box").with("192.168.7.2/24");
    let client = lan.host("client").with("192.168.7.9/24");
    let data = host.file("data").display().to_string();
    let granary = harness::granary::binary().display().to_string();
    let door = "--listen=192.168.7.2:53";
    // It starts the program when the first datagram is there.
    let mut activator = host.start(
        "systemd-socket-activate",
        &[
            "--datagram",
            door,
            "--fdname=dns",
            &granary,
            "lan",
            "--data",
            &data,
        ],
    );
    wait_for("the socket", soon(), || {
        assert!(activator.ended().is_none(), "{}", activator.output());
        host.run("ss", &["-Hlun"]).contains("192.168.7.2:53")
    });
    let server = "192.168.7.2:53".parse().expect("an address");
    let answer = client.within(|| wire::ask(server, &Message::query("box.btlink", "A"), soon()));
    let answer = answer.unwrap_or_else(|err| panic!("{err:#}: {}", activator.output()));
    assert_eq!(answer.data("A"), ["192.168.7.2"]);
    // And nothing else was opened.
    let doors = host.run("ss", &["-Hlun"]);
    assert_eq!(doors.matches(":53 ").count(), 1, "{doors}");
}

#[test]
fn a_second_network_and_a_new_address_are_served_when_they_come() {
    let lan = Lan::new();
    let host = lan.host("box").with("192.168.7.2/24");
    let client = lan.host("client").with("192.168.7.9/24");
    let guest = lan.lone_host("guest");
    let _granary = lan_half(&host, &[]);
    let answers = |who: &Host, addr: &str| {
        wait_for(&format!("an answer of {addr}"), soon(), || {
            own_addr(who, addr).as_deref() == Some(addr)
        });
    };
    answers(&client, "192.168.7.2");

    lan.cable(&host, "eth1", &guest, "eth0");
    host.add_addr("eth1", "10.9.0.1/24");
    guest.add_addr("eth0", "10.9.0.2/24");
    answers(&guest, "10.9.0.1");

    host.add_addr("eth0", "192.168.7.3/24");
    host.ip("addr del 192.168.7.2/24 dev eth0");
    // The last address takes those of its network with it, where the kernel does not promote them.
    if !host.ip("addr show dev eth0").contains("192.168.7.3") {
        host.add_addr("eth0", "192.168.7.3/24");
    }
    answers(&client, "192.168.7.3");
    assert_eq!(own_addr(&client, "192.168.7.2"), None);

    host.ip("link set eth1 down");
    answers(&client, "192.168.7.3");
    host.ip("link set eth1 up");
    answers(&guest, "10.9.0.1");
    host.ip("link del eth1");
    answers(&client, "192.168.7.3");
}
