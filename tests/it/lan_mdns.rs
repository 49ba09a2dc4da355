//! The box's name without any server, as devices look it up: avahi, one-shot questions, and who only listens.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use harness::{
    machine::Machine,
    netns::{Host, Lan},
    process::Process,
    soon,
    wait::wait_some,
    wait_for,
    wire::Message,
};

use crate::lan_ipv6::{control, lan_half, set};

const GROUP: &str = "224.0.0.251:5353";

/// Asks the group from an ordinary port, as a program does that knows no multicast DNS; the answer comes to it alone.
fn one_shot(client: &Host, name: &str, kind: &str) -> Option<Message> {
    let own = client.addrs().into_iter().find(|addr| addr.is_ipv4())?;
    let socket = client.within(|| UdpSocket::bind((own, 0)).expect("a free port"));
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .expect("not zero");
    client
        .within(|| socket.send_to(&Message::query(name, kind).bytes(), GROUP))
        .ok()?;
    let mut buffer = [0; 1500];
    let (len, _) = socket.recv_from(&mut buffer).ok()?;
    Message::parse(&buffer[..len]).ok()
}

fn address_of(client: &Host, name: &str) -> Option<String> {
    let answer = one_shot(client, name, "A")?;
    answer.data("A").first().map(ToString::to_string)
}

/// A machine with the responder that Linux desktops have.
fn avahi(host: &Host) -> (Machine, Process) {
    let machine = Machine::start(host);
    let daemon = machine.start_program("avahi-daemon", &["--no-drop-root", "--no-rlimits", "--no-chroot"]);
    wait_for("avahi to run", soon(), || {
        daemon.output().contains("startup complete")
    });
    (machine, daemon)
}

/// A LAN on which packets to groups have a way, as every machine with a router has.
fn host(lan: &Lan, name: &str, addr: &str) -> Host {
    let host = lan.host(name).with(addr);
    host.ip("route add 224.0.0.0/4 dev eth0");
    host
}

#[test]
fn a_desktop_finds_the_box_by_name_and_in_its_list_of_web_servers() {
    let lan = Lan::new();
    let home = host(&lan, "box", "192.168.7.2/24").with("fd00:7::2/64");
    let client = host(&lan, "client", "192.168.7.9/24").with("fd00:7::9/64");
    let (machine, _daemon) = avahi(&client);
    let granary = lan_half(&home, "");
    let found = |args: &[&str], text: &str| {
        wait_for(&format!("{args:?} to say {text}"), soon(), || {
            machine.text(args[0], &args[1..]).contains(text)
        });
    };
    found(&["avahi-resolve", "-4", "-n", "granary.local"], "192.168.7.2");
    found(&["avahi-resolve", "-6", "-n", "granary.local"], "fd00:7::2");
    let browse = [
        "avahi-browse",
        "--resolve",
        "--parsable",
        "--no-db-lookup",
        "--terminate",
        "_http._tcp",
    ];
    found(&browse, ";Granary;_http._tcp;local;granary.local;");
    found(&browse, "\"path=/\"");
    assert_eq!(
        control(&granary, "GET", "/v1/status", "")["mdns"]["name"],
        "granary.local"
    );

    set(&granary, "names", "host", "library".into());
    found(&["avahi-resolve", "-4", "-n", "library.local"], "192.168.7.2");
    assert!(one_shot(&client, "granary.local", "A").is_none());
    // On a clean stop the list forgets the box at once; avahi would else show it for more than an hour.
    drop(granary);
    wait_for("the box to leave the list", soon(), || {
        !machine.text(browse[0], &browse[1..]).contains("Granary")
    });
}

#[test]
fn programs_that_know_no_multicast_dns_get_an_ordinary_answer() {
    let lan = Lan::new();
    let home = host(&lan, "box", "192.168.7.2/24");
    let client = host(&lan, "client", "192.168.7.9/24");
    let granary = lan_half(&home, "");
    let answer = wait_some("an answer", soon(), || one_shot(&client, "Granary.local", "A"));
    assert_eq!(answer.data("A"), ["192.168.7.2"]);
    assert_eq!(answer.questions.len(), 1);
    assert!(
        answer
            .answers
            .iter()
            .all(|record| record.class == 1 && record.ttl <= 10)
    );
    let answer = one_shot(&client, "_http._tcp.local", "PTR").expect("it is announced");
    assert_eq!(answer.data("PTR").len(), 1);
    assert!(one_shot(&client, "elsewhere.local", "A").is_none());
    assert!(one_shot(&client, "granary.local", "AAAA").is_some_and(|answer| answer.data("AAAA").is_empty()));
    set(&granary, "mdns", "enabled", false.into());
    wait_for("the name to go", soon(), || {
        address_of(&client, "granary.local").is_none()
    });
    set(&granary, "mdns", "enabled", true.into());
    wait_for("the name to come back", soon(), || {
        address_of(&client, "granary.local").is_some()
    });
}

#[test]
fn the_second_box_takes_the_next_name_and_keeps_the_first_one_going() {
    let lan = Lan::new();
    let first = host(&lan, "first", "192.168.7.2/24");
    let second = host(&lan, "second", "192.168.7.3/24");
    let client = host(&lan, "client", "192.168.7.9/24");
    let name = |granary: &harness::Granary| control(granary, "GET", "/v1/status", "")["mdns"]["name"].clone();
    let one = lan_half(&first, "");
    wait_for("the first to have its name", soon(), || {
        name(&one) == "granary.local"
    });
    let two = lan_half(&second, "");
    wait_for("the second to have the next name", soon(), || {
        name(&two) == "granary-2.local"
    });
    assert_eq!(name(&one), "granary.local");
    assert_eq!(
        address_of(&client, "granary.local").as_deref(),
        Some("192.168.7.2")
    );
    wait_for("the second to be found", soon(), || {
        address_of(&client, "granary-2.local").as_deref() == Some("192.168.7.3")
    });
    let (machine, _daemon) = avahi(&client);
    wait_for("both to be listed", soon(), || {
        let list = machine.text("avahi-browse", &["--parsable", "--terminate", "_http._tcp"]);
        list.contains(";Granary;") && list.contains(";Granary\\032\\0402\\041;")
    });
}

#[test]
fn the_name_follows_the_address_and_survives_a_pulled_cable() {
    let lan = Lan::new();
    let home = host(&lan, "box", "192.168.7.2/24");
    let client = host(&lan, "client", "192.168.7.9/24");
    let _granary = lan_half(&home, "");
    let is = |addr: &str| {
        wait_for(&format!("the name to mean {addr}"), soon(), || {
            address_of(&client, "granary.local").as_deref() == Some(addr)
        });
    };
    is("192.168.7.2");
    home.ip("addr del 192.168.7.2/24 dev eth0");
    home.add_addr("eth0", "192.168.7.20/24");
    is("192.168.7.20");
    home.unplug();
    wait_for("the carrier to be lost", soon(), || {
        home.ip("link show dev eth0").contains("NO-CARRIER")
    });
    home.plug();
    is("192.168.7.20");
    home.ip("link set eth0 down");
    home.ip("link set eth0 up");
    is("192.168.7.20");
    // A cable that comes later, and a network of its own on it.
    let guest = lan.lone_host("guest");
    lan.cable(&home, "eth1", &guest, "eth0");
    home.add_addr("eth1", "192.168.8.2/24");
    let guest = guest.with("192.168.8.9/24");
    guest.ip("route add 224.0.0.0/4 dev eth0");
    wait_for(
        "the guest to be told the address that it can reach",
        soon(),
        || address_of(&guest, "granary.local").as_deref() == Some("192.168.8.2"),
    );
    is("192.168.7.20");
}

#[test]
fn a_goodbye_is_said_when_the_box_stops() {
    let lan = Lan::new();
    let home = host(&lan, "box", "192.168.7.2/24");
    let client = host(&lan, "client", "192.168.7.9/24");
    let ear = client.within(|| {
        let socket = UdpSocket::bind("0.0.0.0:5353").expect("a host of its own has every port");
        socket
            .join_multicast_v4(&Ipv4Addr::new(224, 0, 0, 251), &Ipv4Addr::new(192, 168, 7, 9))
            .expect("there is an interface");
        socket
    });
    ear.set_read_timeout(Some(Duration::from_millis(100)))
        .expect("not zero");
    let hear = |what: &str, wanted: &dyn Fn(&Message) -> bool| {
        wait_some(what, soon(), || {
            let mut buffer = [0; 9000];
            let (len, from) = ear.recv_from(&mut buffer).ok()?;
            assert_eq!(from, SocketAddr::from(([192, 168, 7, 2], 5353)));
            Message::parse(&buffer[..len]).ok().filter(wanted)
        })
    };
    let granary = lan_half(&home, "");
    let says = |message: &Message, ttl: &dyn Fn(u32) -> bool| {
        message
            .answers
            .iter()
            .any(|record| record.name.eq_ignore_ascii_case("granary.local") && ttl(record.ttl))
    };
    hear("an announcement", &|message| says(message, &|ttl| ttl == 120));
    drop(granary);
    let last = hear("the goodbye", &|message| says(message, &|ttl| ttl == 0));
    assert!(last.answers.iter().all(|record| record.ttl == 0));
}
