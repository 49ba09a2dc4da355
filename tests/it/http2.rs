//! Attacks on HTTP/2 in raw frames (RFC 9113): the server stays responsive and its memory bounded.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use harness::{Granary, http};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `GET / http`, then `:authority: box.btlink` (RFC 7541: three indexed fields, one literal).
const REQUEST: &[u8] = b"\x82\x84\x86\x41\x0abox.btlink";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A connection that has said hello. What comes back is thrown away beside it until the server closes.
fn hello(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).expect("the door is open");
    stream
        .set_write_timeout(Some(Duration::from_secs(10)))
        .expect("a live socket");
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .expect("sent");
    stream.write_all(&frame(SETTINGS, 0, 0, b"")).expect("sent");
    let mut back = stream.try_clone().expect("a socket can be doubled");
    std::thread::spawn(move || {
        let mut bytes = [0; 16 << 10];
        while back.read(&mut bytes).is_ok_and(|count| count > 0) {}
    });
    stream
}

/// Sends `part(0)`, `part(1)`, … until the server hangs up or `count` parts are gone; returns the bytes it took.
fn flood(addr: SocketAddr, count: u32, part: impl Fn(u32) -> Vec<u8>) -> u64 {
    let (mut stream, mut sent) = (hello(addr), 0);
    for index in 0..count {
        let bytes = part(index);
        if stream.write_all(&bytes).is_err() {
            break;
        }
        sent += bytes.len() as u64;
    }
    sent
}

fn memory(granary: &Granary) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", granary.process.pid())).expect("it runs");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("every process has it");
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .expect("a number");
    kib << 10
}

#[track_caller]
fn still_well(granary: &Granary, before: u64, after: &str) {
    let begin = Instant::now();
    let output = Command::new("curl")
        .args([
            "-s",
            "-m",
            "10",
            "-o",
            "/dev/null",
            "-w",
            "%{http_version} %{http_code}",
            "--http2-prior-knowledge",
        ])
        .arg(format!("http://{}/", granary.addr("http")))
        .output()
        .expect("curl is part of the set-up");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2 200", "after {after}");
    let answer = http::get(granary.addr("proxy"), "http://box.btlink/", &[]).expect("an answer");
    assert_eq!(answer.status, 200, "after {after}");
    let took = begin.elapsed();
    assert!(
        took < Duration::from_secs(2),
        "after {after} two requests took {took:?}"
    );
    let grown = memory(granary).saturating_sub(before);
    assert!(grown < 32 << 20, "after {after} it holds {grown} bytes more");
    println!("after {after}: {took:?}, {} KiB more", grown >> 10);
}

#[test]
fn floods_of_frames_neither_fill_memory_nor_stop_service() {
    let granary = Granary::start();
    let addr = granary.addr("http");
    let before = memory(&granary);

    let resets = |index: u32| {
        let stream = 2 * index + 1;
        let mut bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, REQUEST);
        bytes.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
        bytes
    };
    flood(addr, 200_000, resets);
    still_well(&granary, before, "rapid reset");

    // One header block without an end: a literal header of 16,000 bytes in each frame.
    let endless = |index: u32| {
        if index == 0 {
            return frame(HEADERS, END_STREAM, 1, REQUEST);
        }
        let mut block = b"\x00\x01x\x7f\x81\x7c".to_vec();
        block.resize(6 + 127 + 15_873, b'a');
        frame(CONTINUATION, 0, 1, &block)
    };
    let taken = flood(addr, 8_000, endless);
    assert!(taken < 32 << 20, "the server took {taken} bytes of one head");
    still_well(&granary, before, "a head without an end");

    let empty = |index: u32| match index {
        0 => frame(HEADERS, END_STREAM, 1, REQUEST),
        _ => frame(CONTINUATION, 0, 1, b""),
    };
    let taken = flood(addr, 2_000_000, empty);
    assert!(taken < 16 << 20, "the server took {taken} bytes of empty frames");
    still_well(&granary, before, "empty continuations");

    flood(addr, 200_000, |_| frame(PING, 0, 0, b"12345678"));
    still_well(&granary, before, "pings");
    flood(addr, 100_000, |index| {
        frame(SETTINGS, 0, 0, &[0, 4, 0, 0, (index >> 8) as u8, 255])
    });
    still_well(&granary, before, "settings");
}

#[test]
fn many_streams_at_once_are_bounded() {
    let granary = Granary::start();
    let before = memory(&granary);
    // Requests for what nobody has: each waits for the swarm as long as it may.
    let host = b"00112233445566778899aabbccddeeff00112233-ih.btlink";
    let mut request = vec![0x82, 0x84, 0x86, 0x41, host.len() as u8];
    request.extend(host);
    let floods: Vec<_> = (0..8)
        .map(|_| {
            let (addr, request) = (granary.addr("proxy"), request.clone());
            std::thread::spawn(move || {
                flood(addr, 5_000, |index| {
                    frame(HEADERS, END_HEADERS | END_STREAM, 2 * index + 1, &request)
                })
            })
        })
        .collect();
    for flood in floods {
        flood.join().expect("the attacker does not panic");
    }
    still_well(&granary, before, "many streams");
}
