use std::net::UdpSocket as StdSocket;

use super::*;

/// A uTP header (BEP 29) without payload.
fn packet(kind: u8, id: u16, seq: u16, ack: u16) -> Vec<u8> {
    let mut packet = vec![kind << 4 | 1, 0];
    packet.extend_from_slice(&id.to_be_bytes());
    packet.extend_from_slice(&[0; 8]);
    packet.extend_from_slice(&(1u32 << 20).to_be_bytes());
    packet.extend_from_slice(&seq.to_be_bytes());
    packet.extend_from_slice(&ack.to_be_bytes());
    packet
}

const SYN: u8 = 4;
const STATE: u8 = 2;

async fn door() -> (Socket, SocketAddr, CancellationToken) {
    let token = CancellationToken::new();
    let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0)), 8, token.clone()).expect("a port");
    let addr = socket.inner.bind_addr();
    (socket, addr, token)
}

/// Answers that arrive within `window` of each other, and their bytes.
fn answers(stranger: &StdSocket, window: Duration) -> (usize, usize) {
    stranger
        .set_read_timeout(Some(window))
        .expect("an option of every socket");
    let mut buffer = [0; 2048];
    let (mut count, mut bytes) = (0, 0);
    while let Ok(length) = stranger.recv(&mut buffer) {
        count += 1;
        bytes += length;
    }
    (count, bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_sender_gets_one_answer_per_syn_and_no_more_bytes_than_it_sent() {
    let (socket, addr, token) = door().await;
    let stranger = StdSocket::bind("127.0.0.1:0").expect("a port");
    stranger.connect(addr).expect("an address");
    for _ in 0..3 {
        stranger.send(&packet(SYN, 77, 1, 0)).expect("sent");
    }
    let accepted = tokio::time::timeout(Duration::from_secs(10), socket.accept()).await;
    let (_, _wire) = accepted.expect("in time").expect("a connection");
    // The crate repeats its answer every 200 ms; a second of silence means that it may not.
    let (count, bytes) = answers(&stranger, Duration::from_secs(1));
    assert!((1..=3).contains(&count), "{count} answers to 3 packets");
    assert!(bytes <= 60, "{bytes} bytes for 60");
    token.cancel();
}

#[tokio::test]
async fn who_names_a_number_from_our_answer_is_no_stranger_any_more() {
    let udp =
        UdpSocket::bind_udp(SocketAddr::from(([127, 0, 0, 1], 0)), BindOpts::default()).expect("a port");
    let gate = Sparing::new(udp);
    let peer = SocketAddr::from(([192, 0, 2, 1], 6881));
    let answer = packet(STATE, 77, 500, 1);
    assert!(gate.heard(&packet(SYN, 77, 1, 0), peer));
    assert!(gate.may_send(&answer, peer) && !gate.may_send(&answer, peer));
    // A guess proves nothing.
    assert!(gate.heard(&packet(STATE, 78, 2, 9999), peer));
    assert!(!gate.may_send(&answer, peer));
    assert!(gate.heard(&packet(STATE, 78, 2, 499), peer));
    assert!(gate.may_send(&answer, peer) && gate.may_send(&answer, peer));
}

#[tokio::test(start_paused = true)]
async fn strangers_are_bounded_and_forgotten() {
    let udp =
        UdpSocket::bind_udp(SocketAddr::from(([127, 0, 0, 1], 0)), BindOpts::default()).expect("a port");
    let gate = Sparing::new(udp);
    let from = |i: usize| SocketAddr::from(([192, 0, (i >> 8) as u8, i as u8], 1));
    for i in 0..STRANGERS_MAX {
        assert!(gate.heard(&packet(SYN, 1, 1, 0), from(i)));
    }
    assert!(!gate.heard(&packet(SYN, 1, 1, 0), from(STRANGERS_MAX)));
    assert!(!gate.heard(b"short", from(1)));
    tokio::time::advance(STRANGER_FOR).await;
    assert!(gate.heard(&packet(SYN, 1, 1, 0), from(STRANGERS_MAX)));
    assert_eq!(gate.strangers().len(), 1);
}
