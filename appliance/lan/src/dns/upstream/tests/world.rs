//! A house with given upstreams, and upstreams that do what a test tells them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use house::{clock::Clock, health::Health, tasks::Tasks};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    sync::watch,
};

use super::super::{Files, Query, Sources, Upstreams};
use crate::{Config, House, Interfaces, interfaces::View, settings::Settings};

pub struct World {
    pub house: House,
    pub tasks: Tasks,
    pub settings: watch::Sender<Arc<Settings>>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

pub fn world(upstreams: &[String]) -> World {
    let mut settings = Settings::default();
    settings.dns.upstreams = upstreams.to_vec();
    let (sender, receiver) = watch::channel(Arc::new(settings));
    let tasks = Tasks::new();
    let config = Config {
        state: "/nonexistent".into(),
        settings: None,
        control: "/nonexistent/socket".into(),
        dns: Vec::new(),
        dot: Vec::new(),
        doh: Vec::new(),
        advertise: None,
        interfaces: Vec::new(),
        upstreams: Vec::new(),
        dhcp: None,
        http_port: 80,
    };
    let house = House {
        config: Arc::new(config),
        tasks: tasks.clone(),
        clock: Clock::default(),
        health: Health::default(),
        interfaces: Interfaces::fixed(View::default()),
        settings: receiver,
    };
    World {
        house,
        tasks,
        settings: sender,
    }
}

/// A house with one scripted upstream.
pub async fn one(answer: impl Fn(&Asked) -> Vec<Vec<u8>> + Send + Sync + 'static) -> (World, Fake) {
    let world = world(&[]);
    let fake = fake(&world.tasks, answer).await;
    world.change(|settings| settings.dns.upstreams = vec![fake.text()]);
    (world, fake)
}

/// No file of this machine is read.
pub fn sources() -> Sources {
    let none = || "/nonexistent".into();
    Sources {
        files: Files {
            resolved: none(),
            networkd: none(),
            network_manager: none(),
            resolv_conf: none(),
        },
        ..Sources::default()
    }
}

impl World {
    pub fn upstreams(&self) -> Upstreams {
        Upstreams::start_with(&self.house, sources())
    }

    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = (*self.house.settings()).clone();
        change(&mut settings);
        self.settings.send_replace(settings.into());
    }
}

pub fn query(name: &str) -> Query {
    Query {
        name: proto::dns::name::from_text(name).expect("a name"),
        qtype: 1,
        qclass: 1,
        dnssec_ok: false,
        checking_disabled: false,
    }
}

/// A question as it came to a scripted server.
#[derive(Clone)]
pub struct Asked {
    pub bytes: Vec<u8>,
    pub by_tcp: bool,
    pub from: SocketAddr,
    /// How many came before.
    pub nth: usize,
}

impl Asked {
    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    /// Where the question section ends.
    pub fn question_end(&self) -> usize {
        let zero = self.bytes[12..].iter().position(|byte| *byte == 0);
        12 + zero.expect("a name ends") + 5
    }

    pub fn has_edns(&self) -> bool {
        self.bytes[11] == 1
    }

    /// The body of the cookie option.
    pub fn cookie(&self) -> &[u8] {
        let at = self.question_end() + 11;
        self.bytes.get(at + 4..).unwrap_or_default()
    }
}

/// One address, 192.0.2.`last`, and EDNS without options where it was asked with EDNS.
pub fn good(asked: &Asked, last: u8) -> Vec<u8> {
    let mut message = asked.bytes[..asked.question_end()].to_vec();
    message[2] = 0x81;
    message[3] = 0x80;
    message[6..12].copy_from_slice(&[0, 1, 0, 0, 0, u8::from(asked.has_edns())]);
    message.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last]);
    if asked.has_edns() {
        message.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }
    message
}

/// The address of the last record of an answer with one record.
pub fn last_of(message: &[u8]) -> u8 {
    let at = message
        .windows(3)
        .position(|part| part == [192, 0, 2])
        .expect("an address");
    message[at + 3]
}

pub struct Fake {
    pub addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn text(&self) -> String {
        self.addr.to_string()
    }
}

/// A server on UDP and TCP of one port; `answer` gives the messages that go back, one after the other.
pub async fn fake(tasks: &Tasks, answer: impl Fn(&Asked) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Fake {
    let (udp, tcp) = sockets().await;
    let addr = udp.local_addr().expect("bound");
    let fake = Fake {
        addr,
        asked: Arc::default(),
    };
    let asked = fake.asked.clone();
    let reply = Arc::new(move |bytes: &[u8], by_tcp, from| {
        let mut all = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let one = Asked {
            bytes: bytes.to_vec(),
            by_tcp,
            from,
            nth: all.len(),
        };
        all.push(one.clone());
        drop(all);
        answer(&one)
    });
    let by_udp = reply.clone();
    tasks.spawn("fake.udp", async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
            for message in by_udp(&buffer[..length], false, from) {
                let _ = udp.send_to(&message, from).await;
            }
        }
    });
    let group = tasks.clone();
    tasks.spawn("fake.tcp", async move {
        while let Ok((mut stream, from)) = tcp.accept().await {
            let reply = reply.clone();
            group.spawn("fake.stream", async move {
                while let Ok(length) = stream.read_u16().await {
                    let mut bytes = vec![0; length.into()];
                    if stream.read_exact(&mut bytes).await.is_err() {
                        return;
                    }
                    for message in reply(&bytes, true, from) {
                        let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
                        let _ = stream.write_all(&framed).await;
                    }
                }
            });
        }
    });
    fake
}

async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..50 {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("bound")).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}
