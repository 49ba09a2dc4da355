//! NAT-PMP (RFC 6886): 12-byte questions to the gateway. All numbers are big-endian.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::UdpSocket, time::timeout};

use super::{Door, Granted};

/// RFC 6886 §3: where gateways listen.
pub(super) const PORT: u16 = 5351;

/// RFC 6886 §3.1 begins at 250 ms and doubles nine times; a router that is silent for two seconds has no NAT-PMP.
const WAITS: [Duration; 3] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// The answer's op code is the question's plus this.
const ANSWER: u8 = 128;

/// Opens all doors; `None` when one is refused or nobody answers.
pub(super) async fn open(gateway: SocketAddr, doors: &[Door], lease: Duration) -> Option<Granted> {
    let socket = connect(gateway).await?;
    let answer = ask(&socket, &[0, 0], 12).await?;
    let external = Ipv4Addr::new(answer[8], answer[9], answer[10], answer[11]);
    let mut first = None;
    for door in doors {
        let answer = ask(&socket, &mapping(*door, door.port, lease), 16).await?;
        if answer[8..10] != door.port.to_be_bytes() {
            return None;
        }
        first.get_or_insert(u16::from_be_bytes([answer[10], answer[11]]));
    }
    Some(Granted {
        external: Some(external).filter(|ip| !ip.is_unspecified()),
        port: first.filter(|port| *port != 0)?,
    })
}

/// Removes the mappings: lifetime 0 and outside port 0 (§3.4).
pub(super) async fn close(gateway: SocketAddr, doors: &[Door]) {
    if let Some(socket) = connect(gateway).await {
        for door in doors {
            let _ = ask(&socket, &mapping(*door, 0, Duration::ZERO), 16).await;
        }
    }
}

fn mapping(door: Door, outside: u16, lease: Duration) -> [u8; 12] {
    let mut packet = [0; 12];
    packet[1] = if door.tcp { 2 } else { 1 };
    packet[4..6].copy_from_slice(&door.port.to_be_bytes());
    packet[6..8].copy_from_slice(&outside.to_be_bytes());
    let secs = u32::try_from(lease.as_secs()).unwrap_or(u32::MAX);
    packet[8..].copy_from_slice(&secs.to_be_bytes());
    packet
}

/// A connected socket: packets from anybody else than the gateway are dropped by the system (§3.1 demands it).
async fn connect(gateway: SocketAddr) -> Option<UdpSocket> {
    let socket = UdpSocket::bind("0.0.0.0:0").await.ok()?;
    socket.connect(gateway).await.ok()?;
    Some(socket)
}

/// Sends until an answer of at least `len` bytes with result 0 comes; `None` for silence and refusals.
async fn ask(socket: &UdpSocket, question: &[u8], len: usize) -> Option<[u8; 16]> {
    for wait in WAITS {
        socket.send(question).await.ok()?;
        let mut buf = [0; 16];
        let answer = async {
            loop {
                let got = socket.recv(&mut buf).await.ok()?;
                if got >= 4 && buf[0] == 0 && buf[1] == question[1] + ANSWER {
                    return Some((got, buf));
                }
            }
        };
        match timeout(wait, answer).await {
            Ok(Some((got, buf))) => return (got >= len && buf[2..4] == [0, 0]).then_some(buf),
            Ok(None) => return None,
            Err(_) => {}
        }
    }
    None
}
