//! What strangers and mad devices send: nothing goes out of the home, nothing stops, nothing is answered twice.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use harness::{
    home::{BOX, Home},
    sample, soon, wait_for,
    wire::{self, Message},
};
use serde_json::Value;

fn door() -> SocketAddr {
    SocketAddr::new(BOX.parse().expect("an address"), 53)
}

/// How many datagrams wait in the socket, and the largest.
fn drain(socket: &UdpSocket) -> (usize, usize) {
    socket.set_nonblocking(true).expect("a socket can");
    let mut buffer = [0; 65535];
    let (mut count, mut largest) = (0, 0);
    while let Ok(length) = socket.recv(&mut buffer) {
        count += 1;
        largest = largest.max(length);
    }
    (count, largest)
}

#[test]
fn a_thousand_questions_from_outside_get_no_answer() {
    let home = Home::new();
    let lan = home.lan_half(&["--listen-dot", "0.0.0.0:853"]);
    home.settle_device("");
    let socket = home
        .world
        .within(|| UdpSocket::bind("0.0.0.0:0").expect("a free port"));
    let dropped = || {
        let status = lan.control("GET", "/v1/status", &Value::Null).json();
        status["dns"]["dropped"].as_u64().unwrap_or(0)
    };
    let before = dropped();
    for number in 0..1000 {
        let (name, kind) = match number % 5 {
            0 => ("www.example.com", "A"),
            1 => ("x.btlink", "A"),
            2 => ("example.com", "ANY"),
            3 => ("wpad.home.arpa", "A"),
            _ => ("example.com", "DNSKEY"),
        };
        socket
            .send_to(&Message::query(name, kind).bytes(), door())
            .expect("there is a route");
        if number % 50 == 49 {
            // The buffer of a socket is no part of what is tried here.
            home.ask("x.btlink", "A");
        }
    }
    wait_for("all of them to be dropped", soon(), || dropped() >= before + 1000);
    assert_eq!(drain(&socket), (0, 0), "nothing may go out");
    for port in [53, 853] {
        let answered = home.world.within(|| {
            let addr = SocketAddr::new(door().ip(), port);
            let Ok(stream) = TcpStream::connect_timeout(&addr, Duration::from_secs(3)) else {
                return false;
            };
            drop(stream);
            wire::ask_tcp(addr, &Message::query("x.btlink", "A"), Duration::from_secs(3)).is_ok()
        });
        assert!(!answered, "port {port} by TCP");
    }
    assert_eq!(home.ask("x.btlink", "A").data("A"), [BOX]);
    assert!(
        home.internet.dns.heard().is_empty(),
        "strangers must not make us ask anybody"
    );
}

/// Packets made of good ones: bits turned, cut, counts blown up, names that point at themselves, and noise.
fn mutations(good: &[Vec<u8>], count: usize) -> Vec<Vec<u8>> {
    let noise = sample::bytes(4, count * 8);
    let numbers = |n: usize| usize::from(u16::from_le_bytes([noise[n * 8], noise[n * 8 + 1]]));
    (0..count)
        .map(|n| {
            let mut packet = good[n % good.len()].clone();
            let at = numbers(n) % packet.len();
            match n % 6 {
                0 => packet[at] ^= noise[n * 8 + 2] | 1,
                1 => packet.truncate(at),
                2 => packet[4 + at % 8] = noise[n * 8 + 3] | 1,
                3 => {
                    // A pointer to itself.
                    packet[at] = 0xc0;
                    if let Some(next) = packet.get_mut(at + 1) {
                        *next = at as u8;
                    }
                }
                4 => packet.extend(&noise[n * 8..]),
                _ => packet = noise[n * 8..].iter().copied().take(at % 64).collect(),
            }
            packet.truncate(1400);
            packet
        })
        .collect()
}

#[test]
fn six_hundred_malformed_questions_stop_nothing_and_are_answered_once_at_most() {
    let home = Home::new();
    let mut lan = home.lan_half(&[]);
    home.settle_device("");
    let good: Vec<Vec<u8>> = [
        ("www.example.com", "A"),
        ("x.btlink", "AAAA"),
        ("example.com", "TXT"),
    ]
    .map(|(name, kind)| Message::query(name, kind).bytes())
    .into();
    for batch in mutations(&good, 600).chunks(100) {
        let sockets: Vec<UdpSocket> = home.device.within(|| {
            batch
                .iter()
                .map(|packet| {
                    let socket = UdpSocket::bind("0.0.0.0:0").expect("a free port");
                    socket.send_to(packet, door()).expect("there is a route");
                    socket
                })
                .collect()
        });
        assert_eq!(home.ask("x.btlink", "A").data("A"), [BOX], "it must answer on");
        // What is asked of an upstream takes longer than our own names.
        home.ask(
            &format!(
                "after-{}.example.com",
                sockets[0].local_addr().expect("bound").port()
            ),
            "A",
        );
        for (socket, packet) in sockets.iter().zip(batch) {
            let (count, largest) = drain(socket);
            assert!(count <= 1, "{count} answers to {packet:02x?}");
            assert!(largest <= 1232, "{largest} bytes to {packet:02x?}");
        }
    }
    // Pieces of questions on TCP, too.
    for packet in mutations(&good, 60) {
        home.device.within(|| {
            use std::io::Write;
            if let Ok(mut stream) = TcpStream::connect(door()) {
                let _ = stream.write_all(&(packet.len() as u16).to_be_bytes());
                let _ = stream.write_all(&packet);
            }
        });
    }
    assert_eq!(home.ask("x.btlink", "A").data("A"), [BOX], "it must answer on");
    assert!(lan.process.ended().is_none());
    assert!(!lan.log().contains("panicked"), "{}", lan.log());
}

#[test]
fn malformed_dhcp_mdns_and_router_packets_stop_nothing() {
    let home = Home::new();
    let settings = home.granary.file("lan.toml");
    std::fs::write(&settings, "[ra]\nenabled = true\n[dhcp]\nmode = \"lease\"\n").expect("writable");
    let mut lan = home.lan_half(&["--config", &settings.display().to_string()]);
    home.settle_device("");
    let mut discover = vec![0; 236];
    discover[..3].copy_from_slice(&[1, 1, 6]);
    discover[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
    discover.extend([99, 130, 83, 99, 53, 1, 1, 55, 4, 1, 3, 6, 252, 255]);
    discover.resize(300, 0);
    let socket = home
        .device
        .within(|| UdpSocket::bind("0.0.0.0:68").expect("a host of its own has every port"));
    socket.set_broadcast(true).expect("allowed");
    for packet in mutations(&[discover], 600) {
        socket
            .send_to(&packet, (Ipv4Addr::BROADCAST, 67))
            .expect("it has a route");
    }
    let (answers, _) = drain(&socket);
    assert!(answers <= 600, "{answers} answers to 600 packets");
    let multicast = home
        .device
        .within(|| UdpSocket::bind("0.0.0.0:0").expect("a free port"));
    for packet in mutations(&[Message::query("granary.local", "A").bytes()], 600) {
        let _ = multicast.send_to(&packet, "224.0.0.251:5353");
    }
    // Raw ICMPv6 needs a raw socket, which the standard library does not have.
    let script = "import os,socket,random\nrandom.seed(4)\n\
        s=socket.socket(socket.AF_INET6,socket.SOCK_RAW,58)\n\
        i=socket.if_nametoindex('eth0')\n\
        s.setsockopt(socket.IPPROTO_IPV6,socket.IPV6_MULTICAST_HOPS,255)\n\
        for n in range(600):\n \
          kind=133 if n%2 else 134\n \
          p=bytes([kind,0,0,0,64,0,0,0])+bytes(random.randrange(256) for _ in range(random.randrange(64)))\n \
          s.sendto(p[:4+random.randrange(len(p)-3)],('ff02::2' if n%2 else 'ff02::1',0,0,i))\n";
    home.device.run("/usr/bin/python3", &["-c", script]);
    let start = Instant::now();
    assert_eq!(home.ask("x.btlink", "A").data("A"), [BOX], "it must answer on");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(lan.process.ended().is_none());
    let status = lan.control("GET", "/v1/status", &Value::Null);
    assert_eq!(status.status, 200);
    assert!(!lan.log().contains("panicked"), "{}", lan.log());
}
