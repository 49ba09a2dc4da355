//! A lan half, its upstream, and how it is asked.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use granary_lan::{Config, Lan, api::Status, settings::Settings};
use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType, rdata},
};
use house::{clock::Clock, health::Health, tasks::Tasks};
use tokio::{net::UdpSocket, time::timeout};

pub const PATIENCE: Duration = Duration::from_secs(10);

pub struct World {
    pub lan: Lan,
    pub tasks: Tasks,
    pub upstream: Upstream,
    pub folder: tempfile::TempDir,
}

impl World {
    pub async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let tasks = Tasks::new();
        let upstream = Upstream::start(&tasks).await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = Settings::default();
        settings.mdns.enabled = false;
        settings.dns.upstreams = vec![upstream.addr.to_string()];
        change(&mut settings);
        settings.save(&folder.path().join("lan.toml")).expect("written");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = Config {
            state: folder.path().into(),
            settings: None,
            control: folder.path().join("lan.sock"),
            dns: vec![any],
            dot: vec![any],
            doh: vec![any],
            advertise: None,
            interfaces: vec!["lo".into()],
            upstreams: Vec::new(),
            dhcp: None,
            http_port: 80,
        };
        let lan = Lan::start(config, Vec::new(), Clock::default(), Health::default(), &tasks)
            .await
            .expect("it starts");
        Self {
            lan,
            tasks,
            upstream,
            folder,
        }
    }

    pub fn status(&self) -> Status {
        self.lan.status()
    }

    pub fn dns(&self) -> SocketAddr {
        self.status().listen.dns[0]
    }

    /// One question over UDP.
    pub async fn ask(&self, name: &str, rtype: RecordType) -> Message {
        let reply = self
            .send(&question(name, rtype))
            .await
            .expect("an answer in time");
        Message::from_vec(&reply).expect("it can be read")
    }

    pub async fn send(&self, packet: &[u8]) -> Option<Vec<u8>> {
        exchange(self.dns(), packet, PATIENCE).await
    }

    pub async fn stop(self) {
        self.lan.stop(PATIENCE).await;
        assert!(self.tasks.stop(PATIENCE).await.is_empty());
        drop(self.folder);
    }
}

pub async fn exchange(to: SocketAddr, packet: &[u8], patience: Duration) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    socket.connect(to).await.expect("connected");
    socket.send(packet).await.expect("sent");
    let mut reply = vec![0; 65_535];
    let len = timeout(patience, socket.recv(&mut reply)).await.ok()?.ok()?;
    reply.truncate(len);
    Some(reply)
}

pub fn question(name: &str, rtype: RecordType) -> Vec<u8> {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), rtype));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.edns = Some(edns);
    message.to_vec().expect("it can be written")
}

pub fn addrs(message: &Message) -> Vec<IpAddr> {
    let addrs = message.answers.iter().filter_map(|record| match &record.data {
        RData::A(addr) => Some(IpAddr::V4(addr.0)),
        RData::AAAA(addr) => Some(IpAddr::V6(addr.0)),
        _ => None,
    });
    addrs.collect()
}

/// Waits until `done`.
pub async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done().await {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

type Script = Box<dyn Fn(&str, RecordType) -> Option<Vec<Record>> + Send>;

/// Answers A questions with 192.0.2.1 and TTL 60 unless told otherwise; counts; can be silent.
pub struct Upstream {
    pub addr: SocketAddr,
    pub asked: Arc<AtomicU64>,
    names: Arc<Mutex<Vec<String>>>,
    silent: Arc<Mutex<bool>>,
    script: Arc<Mutex<Script>>,
}

impl Upstream {
    async fn start(tasks: &Tasks) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        let upstream = Self {
            addr: socket.local_addr().expect("bound"),
            asked: Arc::default(),
            names: Arc::default(),
            silent: Arc::default(),
            script: Arc::new(Mutex::new(Box::new(|name, rtype| {
                let found = (rtype == RecordType::A).then(|| a(name, 60, [192, 0, 2, 1]));
                Some(found.into_iter().collect())
            }))),
        };
        let (asked, names) = (upstream.asked.clone(), upstream.names.clone());
        let (silent, script) = (upstream.silent.clone(), upstream.script.clone());
        tasks.spawn("test.upstream", async move {
            let mut packet = vec![0; 4096];
            while let Ok((len, from)) = socket.recv_from(&mut packet).await {
                let Ok(query) = Message::from_vec(&packet[..len]) else {
                    continue;
                };
                asked.fetch_add(1, Ordering::SeqCst);
                let question = query.queries[0].clone();
                let name = question.name().to_ascii();
                let plain = name.trim_end_matches('.').to_lowercase();
                names.lock().expect("not poisoned").push(plain.clone());
                if *silent.lock().expect("not poisoned") {
                    continue;
                }
                let records = (script.lock().expect("not poisoned"))(&plain, question.query_type());
                let mut reply = Message::response(query.metadata.id, OpCode::Query);
                reply.metadata.recursion_desired = true;
                reply.metadata.recursion_available = true;
                reply.add_query(question);
                match records {
                    None => reply.metadata.response_code = ResponseCode::NXDomain,
                    Some(records) => {
                        reply.add_answers(records);
                    }
                }
                let _ = socket.send_to(&reply.to_vec().expect("written"), from).await;
            }
        });
        upstream
    }

    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn names(&self) -> Vec<String> {
        self.names.lock().expect("not poisoned").clone()
    }

    pub fn set_silent(&self, silent: bool) {
        *self.silent.lock().expect("not poisoned") = silent;
    }

    pub fn script(&self, script: impl Fn(&str, RecordType) -> Option<Vec<Record>> + Send + 'static) {
        *self.script.lock().expect("not poisoned") = Box::new(script);
    }
}

pub fn a(name: &str, ttl: u32, octets: [u8; 4]) -> Record {
    let name = Name::from_ascii(format!("{name}.")).unwrap_or_else(|_| Name::root());
    let mut record = Record::from_rdata(name, ttl, RData::A(rdata::A(octets.into())));
    record.dns_class = DNSClass::IN;
    record
}

pub fn txt(name: &str, text: &str) -> Record {
    let name = Name::from_ascii(format!("{name}.")).expect("a name");
    Record::from_rdata(name, 60, RData::TXT(rdata::TXT::new(vec![text.into()])))
}
