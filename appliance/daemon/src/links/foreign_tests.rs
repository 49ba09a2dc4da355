//! Against real servers: Knot with a zone it signs, dnsdist with DoH before it, and a router between that forges or strips.

use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::Command,
    time::Duration,
};

use harness::{
    process::{Process, bounded, free_port},
    wait::{soon as patience, wait_for, wait_some},
};
use hickory_resolver::proto::{
    op::Message,
    serialize::binary::{BinDecodable, BinEncodable},
};
use proto::id::InfoHash;

use super::*;

const HASH: &str = "951ead31d09e4049fc1f21f137e233dd0589fcbd";

/// Knot as the root of a small world that it signs itself.
struct World {
    _knot: Process,
    addr: SocketAddr,
    anchor: PathBuf,
    dir: tempfile::TempDir,
}

fn world() -> World {
    let dir = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let path = dir.path().display();
    let zone = format!(
        ". 3600 SOA ns. admin. 1 3600 600 86400 300\n. 3600 NS ns.\nns. A 127.0.0.1\n\
         _dnslink.signed.example. 600 TXT \"dnslink=/btih/{HASH}\"\n"
    );
    let config = format!(
        "server:\n  rundir: {path}\n  listen: 127.0.0.1@{port}\ndatabase:\n  storage: {path}\n\
         policy:\n  - id: ours\n    algorithm: ecdsap256sha256\n\
         zone:\n  - domain: .\n    file: {path}/root.zone\n    storage: {path}\n    dnssec-signing: on\n    dnssec-policy: ours\n"
    );
    std::fs::write(dir.path().join("root.zone"), zone).expect("writable");
    std::fs::write(dir.path().join("knot.conf"), config).expect("writable");
    let mut command = bounded("/usr/sbin/knotd");
    command.arg("-c").arg(dir.path().join("knot.conf"));
    let knot = Process::start("knotd", &mut command, &dir.path().join("knot.log"));
    let keys = wait_some("Knot has signed the zone", patience(), || {
        let asked = Command::new("kdig")
            .args(["@127.0.0.1", "-p", &port.to_string(), ".", "DNSKEY", "+short"])
            .output();
        let text = String::from_utf8(asked.ok()?.stdout).ok()?;
        let keys: Vec<_> = text.lines().filter(|line| line.starts_with("257 ")).collect();
        (!keys.is_empty()).then(|| {
            keys.iter()
                .map(|key| format!(". 3600 IN DNSKEY {key}\n"))
                .collect::<String>()
        })
    });
    let anchor = dir.path().join("anchor.zone");
    std::fs::write(&anchor, keys).expect("writable");
    World {
        _knot: knot,
        addr: SocketAddr::from(([127, 0, 0, 1], port)),
        anchor,
        dir,
    }
}

impl World {
    fn links(&self, upstream: SocketAddr) -> Links {
        let config = Config {
            upstream: vec![upstream],
            trust_anchor: Some(self.anchor.clone()),
            ..Config::default()
        };
        Links::new(&config).expect("a good config")
    }
}

/// A router that hands questions on, changed by `ask`, and answers back, changed by `answer`.
fn router(
    to: SocketAddr,
    ask: impl Fn(Message) -> Message + Send + 'static,
    answer: impl Fn(Vec<u8>) -> Vec<u8> + Send + 'static,
) -> SocketAddr {
    let door = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let addr = door.local_addr().expect("bound");
    std::thread::spawn(move || {
        let beyond = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let wait = beyond.set_read_timeout(Some(Duration::from_secs(2)));
        wait.expect("a time-out can be set");
        let mut buffer = vec![0; 4096];
        while let Ok((length, from)) = door.recv_from(&mut buffer) {
            let Ok(question) = Message::from_bytes(&buffer[..length]) else {
                continue;
            };
            let question = ask(question).to_bytes().expect("it was read");
            let _ = beyond.send_to(&question, to);
            if let Ok(length) = beyond.recv(&mut buffer) {
                let _ = door.send_to(&answer(buffer[..length].to_vec()), from);
            }
        }
    });
    addr
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn torrent() -> Address {
    Address::Torrent(InfoHash::from_hex(HASH).expect("40 digits"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_link_is_shown_as_signed_and_a_forged_one_is_refused() {
    let world = world();
    let link = world.links(world.addr).look("signed.example", soon()).await;
    let link = link.expect("Knot has it");
    assert_eq!((link.address, link.signed), (torrent(), true));
    assert_eq!(link.ttl_secs, 600);

    let none = world.links(world.addr).look("other.example", soon()).await;
    assert!(matches!(none, Err(Error::None(_))), "{none:?}");

    let forger = router(
        world.addr,
        |question| question,
        |mut reply| {
            if let Some(at) = reply.windows(8).position(|part| part == b"951ead31") {
                reply[at] = b'8';
            }
            reply
        },
    );
    let forged = world.links(forger).look("signed.example", soon()).await;
    assert!(matches!(&forged, Err(Error::Unresolved { .. })), "{forged:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_router_without_dnssec_links_open_unsigned() {
    let world = world();
    let plain = |mut question: Message| {
        question.edns = None;
        question
    };
    let stripper = router(world.addr, plain, |reply| reply);
    let link = world.links(stripper).look("signed.example", soon()).await;
    let link = link.expect("a plain answer is better than none");
    assert_eq!((link.address, link.signed), (torrent(), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doh_resolver_is_asked_and_its_certificate_is_checked() {
    let world = world();
    let (dir, port) = (world.dir.path(), free_port());
    certificate(dir);
    let config = format!(
        "setLocal('127.0.0.1:{}')\nnewServer('{}')\naddDOHLocal('127.0.0.1:{port}', '{}', '{}', '/dns-query')\n",
        free_port(),
        world.addr,
        dir.join("cert.pem").display(),
        dir.join("key.pem").display(),
    );
    std::fs::write(dir.join("dnsdist.conf"), config).expect("writable");
    let mut command = bounded("dnsdist");
    command
        .args(["--supervised", "--disable-syslog", "-C"])
        .arg(dir.join("dnsdist.conf"));
    let _dnsdist = Process::start("dnsdist", &mut command, &dir.join("dnsdist.log"));
    wait_for("dnsdist listens", patience(), || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let links = |ca: Option<PathBuf>| {
        let config = Config {
            doh: Some(format!("https://127.0.0.1:{port}/dns-query")),
            doh_ca: ca,
            trust_anchor: Some(world.anchor.clone()),
            ..Config::default()
        };
        Links::new(&config).expect("a good config")
    };
    let link = links(Some(dir.join("cert.pem")))
        .look("signed.example", soon())
        .await;
    let link = link.expect("by HTTPS");
    assert_eq!((link.address, link.signed), (torrent(), true));
    let stranger = links(None).look("signed.example", soon()).await;
    assert!(matches!(&stranger, Err(Error::Unresolved { .. })), "{stranger:?}");
}

fn certificate(dir: &Path) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args([
            "-days",
            "2",
            "-subj",
            "/CN=resolver",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .arg("-keyout")
        .arg(dir.join("key.pem"))
        .arg("-out")
        .arg(dir.join("cert.pem"))
        .output()
        .expect("openssl runs (tests/setup.sh installs it)");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
