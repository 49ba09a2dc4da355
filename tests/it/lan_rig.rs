//! The test LAN itself: when its cables do not behave like cables, every other LAN test is worth nothing.

use std::{net::UdpSocket, path::Path, time::Duration};

use harness::{Setup, netns::Lan, soon, wait_for};

#[test]
fn two_hosts_reach_each_other_until_the_cable_is_pulled() {
    let lan = Lan::new();
    let here = lan.host("here").with("192.168.7.1/24").with("fd00:7::1/64");
    let there = lan.host("there").with("192.168.7.2/24").with("fd00:7::2/64");
    here.run("ping", &["-c1", "-W5", "192.168.7.2"]);
    here.run("ping", &["-c1", "-W5", "fd00:7::2"]);
    assert_eq!(there.addrs().len(), 2);
    assert_eq!(there.mac(), "02:67:00:00:00:02");
    let heard = || {
        here.output("ping", &["-c1", "-W1", "192.168.7.2"])
            .status
            .success()
    };
    there.unplug();
    wait_for("the carrier to be lost", soon(), || {
        there.ip("link show dev eth0").contains("NO-CARRIER")
    });
    assert!(!heard());
    there.plug();
    wait_for("the cable to work again", soon(), heard);
    there.black_hole();
    assert!(!heard());
    assert!(!there.ip("link show dev eth0").contains("NO-CARRIER"));
    there.loss(0);
    wait_for("the black hole to close", soon(), heard);
}

#[test]
fn programs_sockets_and_resolvers_belong_to_their_host() {
    let lan = Lan::new();
    let here = lan.host("here").with("192.168.7.1/24");
    let there = lan.host("there").with("192.168.7.2/24");
    let door = there.within(|| UdpSocket::bind("192.168.7.2:53").expect("a host of its own has every port"));
    here.within(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a free port");
        socket
            .send_to(b"hello", "192.168.7.2:53")
            .expect("there is a route");
    });
    door.set_read_timeout(Some(Duration::from_secs(10)))
        .expect("not zero");
    let mut buffer = [0; 16];
    let (length, from) = door.recv_from(&mut buffer).expect("it arrives");
    assert_eq!(
        (&buffer[..length], from.ip().to_string().as_str()),
        (&b"hello"[..], "192.168.7.1")
    );
    assert_eq!(here.run("cat", &["/etc/resolv.conf"]), "");
    here.resolv_conf("nameserver 192.168.7.2\n");
    assert_eq!(here.run("cat", &["/etc/resolv.conf"]), "nameserver 192.168.7.2\n");
}

#[test]
fn nothing_is_left_of_a_lan_whose_test_panicked() {
    let mut namespace = String::new();
    let mut pid = 0;
    let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let lan = Lan::new();
        let host = lan.host("here");
        namespace = host.namespace().into();
        let sleeper = host.start("sleep", &["600"]);
        pid = sleeper.pid();
        // What has not entered the namespace yet is nothing of it.
        wait_for("the program to run there", soon(), || {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep")
        });
        std::mem::forget(sleeper);
        panic!("as a failing test does");
    }));
    assert!(gone.is_err());
    assert!(!Path::new("/run/netns").join(&namespace).exists());
    assert!(!Path::new("/etc/netns").join(&namespace).exists());
    // The sleeper is our child, and nobody has reaped it: dead, but still named.
    wait_for("its programs to end", soon(), || {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |text| text.contains(") Z "))
    });
}

#[test]
fn granary_starts_on_a_host_with_the_ports_of_the_appliance() {
    let lan = Lan::new();
    let granary = lan.host("box").with("192.168.7.2/24");
    let client = lan.host("client").with("192.168.7.9/24");
    let web = Setup::default().verb("web").arg("--starter").on(&granary).start();
    let pac = client.run("curl", &["-sS", "http://192.168.7.2/wpad.dat"]);
    assert!(pac.contains("PROXY 192.168.7.2:3128"), "{pac}");
    let starter = web.ready()["starter"]
        .as_str()
        .expect("the starter site is seeded");
    let url = format!("http://{starter}-ih.btlink/");
    let page = client.run("curl", &["-sS", "-x", "http://192.168.7.2:3128", &url]);
    assert!(page.contains("<html"), "{page}");
}
