//! INFORM as Windows sends it for proxy settings, beside the router's DHCP server.

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use harness::{router::Router, soon, wait_for};

use harness::home::{BOX, DEVICE, Home, ROUTER};

/// The parameter request list of Windows 10 and 11.
const WINDOWS: &[u8] = &[1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 119, 121, 249, 252];

/// DHCPINFORM (RFC 2131 section 4.4.3) of a device that has its address already.
fn inform(mac: [u8; 6], own: [u8; 4], number: u32) -> Vec<u8> {
    let mut packet = vec![0; 236];
    packet[..4].copy_from_slice(&[1, 1, 6, 0]);
    packet[4..8].copy_from_slice(&number.to_be_bytes());
    packet[12..16].copy_from_slice(&own);
    packet[28..34].copy_from_slice(&mac);
    packet.extend([99, 130, 83, 99, 53, 1, 8]);
    packet.extend([60, 8]);
    packet.extend(b"MSFT 5.0");
    packet.extend([55, WINDOWS.len() as u8]);
    packet.extend(WINDOWS);
    packet.push(255);
    packet.resize(300, 0);
    packet
}

/// The data of an option of an answer.
fn option(packet: &[u8], code: u8) -> Option<&[u8]> {
    let mut rest = packet.get(240..)?;
    while let [found, tail @ ..] = rest {
        if *found == 0 {
            rest = tail;
            continue;
        }
        let [length, tail @ ..] = tail else { return None };
        let data = tail.get(..usize::from(*length))?;
        if *found == code {
            return Some(data);
        }
        rest = &tail[data.len()..];
    }
    None
}

#[test]
fn windows_gets_its_proxy_from_the_box_and_its_lease_from_the_router() {
    let home = Home::new();
    let router = Router::start(
        &home.router,
        "port=0\ninterface=eth0\nbind-interfaces\ndhcp-range=192.168.7.50,192.168.7.99,1h\ndhcp-authoritative\n\
         dhcp-option=option:router,192.168.7.1\ndhcp-option=option:dns-server,192.168.7.1\n",
    );
    let lan = home.lan_half(&["--dhcp", "inform"]);
    home.settle_device("");
    let other = home.lan.host("other");
    let lease = other.output(
        "busybox",
        &["udhcpc", "-i", "eth0", "-n", "-q", "-f", "-s", "/bin/true"],
    );
    assert!(lease.status.success(), "{lease:?}");
    let before = router.leases();
    assert_eq!(before.len(), 1, "{before:?}");

    let socket = home.device.within(|| {
        let socket = UdpSocket::bind("0.0.0.0:68").expect("a host of its own has every port");
        socket.set_broadcast(true).expect("allowed");
        socket
    });
    let mac: Vec<u8> = home
        .device
        .mac()
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).expect("hex"))
        .collect();
    let own: std::net::Ipv4Addr = DEVICE.parse().expect("an address");
    let packet = inform(mac.try_into().expect("six bytes"), own.octets(), 0x1234_abcd);
    let mut answers = std::collections::BTreeMap::new();
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .expect("not zero");
    wait_for("both servers to answer", soon(), || {
        socket
            .send_to(&packet, "255.255.255.255:67")
            .expect("it has a route");
        let end = Instant::now() + Duration::from_secs(2);
        let mut buffer = [0; 1500];
        while answers.len() < 2 && Instant::now() < end {
            if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                answers.insert(from.ip().to_string(), buffer[..length].to_vec());
            }
        }
        answers.len() == 2
    });

    let (ours, routers) = (&answers[BOX], &answers[ROUTER]);
    assert_eq!(option(ours, 53), Some(&[5][..]), "an ACK");
    assert_eq!(
        option(ours, 252),
        Some(format!("http://{BOX}/wpad.dat").as_bytes())
    );
    assert_eq!(ours[16..20], [0; 4], "an answer to INFORM gives no address");
    assert_eq!(option(ours, 51), None, "nor a lease");
    assert_eq!(
        (option(ours, 3), option(ours, 6)),
        (None, None),
        "the router's settings stay the router's"
    );
    assert_eq!(option(routers, 252), None);
    assert_eq!(router.leases(), before, "leases stay untouched");

    let newcomer = home.lan.host("newcomer");
    let lease = newcomer.output(
        "busybox",
        &["udhcpc", "-i", "eth0", "-n", "-q", "-f", "-s", "/bin/true"],
    );
    assert!(lease.status.success(), "{lease:?}");
    assert_eq!(router.leases().len(), 2, "every lease is the router's");
    let status = lan.control("GET", "/v1/status", &serde_json::Value::Null).json();
    assert_eq!(
        status["dhcp"]["leases"].as_array().map_or(0, Vec::len),
        0,
        "{status}"
    );
}
