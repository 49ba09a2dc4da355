//! A DNS server of the test's own making: what it answers is a closure, what it heard is kept.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustix::net::Shutdown;

use crate::wire::{self, Message, Record};

/// What a query came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Udp,
    Tcp,
}

/// One query that was heard.
#[derive(Debug, Clone)]
pub struct Heard {
    pub way: Way,
    pub from: SocketAddr,
    pub query: Message,
}

/// Packets to send back, in order; none is silence.
pub type Replies = Vec<Vec<u8>>;

type Answer = dyn Fn(&Message, Way) -> Replies + Send + Sync;

/// A running server; ended when dropped.
pub struct Upstream {
    shared: Arc<Shared>,
    udp: UdpSocket,
    tcp: TcpListener,
    threads: Vec<JoinHandle<()>>,
    pub addr: SocketAddr,
}

struct Shared {
    answer: Box<Answer>,
    heard: Mutex<Vec<Heard>>,
    silent: AtomicBool,
    stop: AtomicBool,
}

/// How many queries are remembered; a flood is only counted by its first part.
const HEARD_MAX: usize = 100_000;

impl Upstream {
    /// Listens on UDP and TCP with the same port; port 0 takes a free one. To serve on a host of a test LAN, call it inside
    /// [`Host::within`](crate::netns::Host::within).
    #[track_caller]
    pub fn start(
        addr: SocketAddr,
        answer: impl Fn(&Message, Way) -> Replies + Send + Sync + 'static,
    ) -> Self {
        let (udp, tcp) = bind(addr);
        let addr = tcp.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            heard: Mutex::default(),
            silent: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let threads = vec![
            {
                let (udp, shared) = (udp.try_clone().expect("a socket can be doubled"), shared.clone());
                std::thread::spawn(move || serve_udp(&udp, &shared))
            },
            {
                let (tcp, shared) = (tcp.try_clone().expect("a socket can be doubled"), shared.clone());
                std::thread::spawn(move || serve_tcp(&tcp, &shared))
            },
        ];
        Self {
            shared,
            udp,
            tcp,
            threads,
            addr,
        }
    }

    /// Answers every A query with this address, everything else with "no such data".
    #[track_caller]
    pub fn any(addr: SocketAddr, target: &'static str, ttl: u32) -> Self {
        Self::start(addr, move |query, _| vec![any_answer(query, target, ttl).bytes()])
    }

    /// As if its cable were pulled: it hears, and says nothing.
    pub fn silence(&self, silent: bool) {
        self.shared.silent.store(silent, Ordering::SeqCst);
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.shared
            .heard
            .lock()
            .expect("no thread panics holding it")
            .clone()
    }

    /// How often it was asked for a name (lower case), over both ways.
    pub fn asked_for(&self, name: &str) -> usize {
        let heard = self.shared.heard.lock().expect("no thread panics holding it");
        heard.iter().filter(|one| one.query.name() == name).count()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let own = SocketAddr::new(
            if self.addr.ip().is_unspecified() {
                [127, 0, 0, 1].into()
            } else {
                self.addr.ip()
            },
            self.addr.port(),
        );
        let _ = self.udp.send_to(&[], own);
        let _ = rustix::net::shutdown(&self.tcp, Shutdown::Both);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// What the rest of the world says to any name: one A record, and nothing of other kinds.
pub fn any_answer(query: &Message, target: &str, ttl: u32) -> Message {
    let mut reply = query.reply();
    if query.kind() == wire::kind("A") {
        reply.answers.push(Record::new(&query.name(), "A", ttl, target));
    } else {
        reply.authority.push(soa(ttl));
    }
    reply
}

/// For negative answers.
pub fn soa(ttl: u32) -> Record {
    let data = format!("ns.example hostmaster.example 1 3600 600 86400 {ttl}");
    Record::new("example", "SOA", ttl, &data)
}

/// A UDP port that is also free for TCP.
fn bind(addr: SocketAddr) -> (UdpSocket, TcpListener) {
    for _ in 0..50 {
        let udp = UdpSocket::bind(addr).unwrap_or_else(|err| panic!("listen on {addr}: {err}"));
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("bound")) {
            return (udp, tcp);
        }
    }
    panic!("no port is free for UDP and TCP on {addr}");
}

impl Shared {
    fn replies(&self, bytes: &[u8], way: Way, from: SocketAddr) -> Replies {
        let Ok(query) = Message::parse(bytes) else {
            return Replies::new();
        };
        let mut heard = self.heard.lock().expect("no thread panics holding it");
        if heard.len() < HEARD_MAX {
            heard.push(Heard {
                way,
                from,
                query: query.clone(),
            });
        }
        drop(heard);
        if self.silent.load(Ordering::SeqCst) {
            return Replies::new();
        }
        (self.answer)(&query, way)
    }
}

fn serve_udp(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0; 65535];
    while !shared.stop.load(Ordering::SeqCst) {
        // An error is the echo of an answer that nobody wanted any more.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        for reply in shared.replies(&buffer[..length], Way::Udp, from) {
            let _ = socket.send_to(&reply, from);
        }
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, from)) = listener.accept() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let shared = shared.clone();
        // Ends with its connection, or ten seconds after the last query.
        std::thread::spawn(move || serve_connection(stream, from, &shared));
    }
}

fn serve_connection(mut stream: TcpStream, from: SocketAddr, shared: &Shared) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    while let Ok(bytes) = wire::read_framed(&mut stream) {
        for reply in shared.replies(&bytes, Way::Tcp, from) {
            let mut whole = (reply.len() as u16).to_be_bytes().to_vec();
            whole.extend(reply);
            if stream.write_all(&whole).is_err() {
                return;
            }
        }
    }
}
