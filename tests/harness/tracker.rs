//! A minimal HTTP tracker on loopback (BEP 3, 23): hands every peer of an infohash to every other.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

type Swarms = Arc<Mutex<BTreeMap<Vec<u8>, Vec<SocketAddr>>>>;

/// Lives as long as the process of the test; its thread only waits for connections.
pub struct Tracker {
    addr: SocketAddr,
    swarms: Swarms,
}

impl Tracker {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let addr = listener.local_addr().expect("a bound socket has an address");
        let swarms = Swarms::default();
        let shared = swarms.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, &shared);
            }
        });
        Self { addr, swarms }
    }

    pub fn url(&self) -> String {
        format!("http://{}/announce", self.addr)
    }

    /// Puts a peer in that does not announce itself here. `infohash` is 40 hex digits.
    pub fn add(&self, infohash: &str, peer: SocketAddr) {
        lock(&self.swarms)
            .entry(from_hex(infohash))
            .or_default()
            .push(peer);
    }

    /// Who has announced `infohash`.
    pub fn peers(&self, infohash: &str) -> Vec<SocketAddr> {
        lock(&self.swarms)
            .get(&from_hex(infohash))
            .cloned()
            .unwrap_or_default()
    }
}

fn answer(mut stream: TcpStream, swarms: &Swarms) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let from = stream.peer_addr()?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let query = line
        .split(' ')
        .nth(1)
        .and_then(|t| t.split_once('?'))
        .map_or("", |(_, q)| q);
    let value = |key: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(k, _)| *k == key)
            .map(|(_, v)| unescape(v))
            .unwrap_or_default()
    };
    let port = String::from_utf8_lossy(&value("port")).parse().unwrap_or(0);
    let me = SocketAddr::new(from.ip(), port);
    let mut compact = Vec::new();
    {
        let mut swarms = lock(swarms);
        let swarm = swarms.entry(value("info_hash")).or_default();
        swarm.retain(|peer| *peer != me);
        for peer in swarm.iter() {
            if let SocketAddr::V4(v4) = peer {
                compact.extend_from_slice(&v4.ip().octets());
                compact.extend_from_slice(&v4.port().to_be_bytes());
            }
        }
        if value("event") != b"stopped" && port != 0 {
            swarm.push(me);
        }
    }
    let mut body = format!("d8:intervali5e12:min intervali1e5:peers{}:", compact.len()).into_bytes();
    body.extend_from_slice(&compact);
    body.push(b'e');
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}

/// The machine's own address that is not loopback: transmission refuses to dial 127.0.0.1. No packet is sent.
pub fn own_addr() -> Option<Ipv4Addr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.200:9").ok()?;
    match socket.local_addr().ok()? {
        SocketAddr::V4(v4) if !v4.ip().is_unspecified() => Some(*v4.ip()),
        _ => None,
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        let hex = text
            .get(i + 1..i + 3)
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match (bytes[i], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                i += 3;
            }
            (byte, _) => {
                out.push(byte);
                i += 1;
            }
        }
    }
    out
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .filter_map(|i| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok())
        .collect()
}

fn lock(swarms: &Swarms) -> std::sync::MutexGuard<'_, BTreeMap<Vec<u8>, Vec<SocketAddr>>> {
    swarms.lock().unwrap_or_else(PoisonError::into_inner)
}
