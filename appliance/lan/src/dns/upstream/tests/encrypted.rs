//! TLS, HTTPS and QUIC, against other people's servers.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use harness::{
    process::{Process, bounded, free_port},
    wait::{soon, wait_for},
};
use hickory_net::quic::QuicServer;
use hickory_proto::op::Message;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::net::UdpSocket;

use super::{
    super::{Error, Sources, Upstreams},
    knot::{Knot, Zone},
    world::*,
};

fn certificate(dir: &Path) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=resolver"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-addext", "subjectAltName=DNS:dns.example,IP:127.0.0.1"])
        .arg("-keyout")
        .arg(dir.join("key.pem"))
        .arg("-out")
        .arg(dir.join("cert.pem"))
        .output()
        .expect("openssl runs (tests/setup.sh installs it)");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn trusting(world: &World, ca: Option<PathBuf>, upstream: String) -> Upstreams {
    world.change(|settings| settings.dns.upstreams = vec![upstream]);
    let sources = Sources { ca, ..sources() };
    Upstreams::start_with(&world.house, sources)
}

async fn works(upstreams: &Upstreams) {
    for _ in 0..3 {
        let message = upstreams.ask(&query("www.example")).await.expect("answered");
        assert_eq!((last_of(&message), &message[..2]), (9, &[0, 0][..]));
    }
    let facts = &upstreams.facts()[0];
    // The settings may have been looked at once more meanwhile; then counting began anew.
    assert!(facts.healthy && (1..=3).contains(&facts.queries), "{facts:?}");
}

struct Dnsdist {
    _knot: Knot,
    process: Process,
    dot: u16,
    doh: u16,
}

fn dnsdist(dir: &Path) -> Dnsdist {
    let (behind, dot, doh) = (free_port(), free_port(), free_port());
    let zone = Zone {
        name: "example",
        records: "@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.9\n".into(),
        signed: false,
    };
    let knot = Knot::start(dir, "knot", Ipv4Addr::LOCALHOST.into(), behind, &[zone]);
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let (cert, key) = (cert.display(), key.display());
    let config = format!(
        "setLocal('127.0.0.1:{}')\nnewServer('127.0.0.1:{behind}')\n\
         addTLSLocal('127.0.0.1:{dot}', '{cert}', '{key}')\n\
         addDOHLocal('127.0.0.1:{doh}', '{cert}', '{key}', '/dns-query')\n",
        free_port()
    );
    fs::write(dir.join("dnsdist.conf"), config).expect("writable");
    let mut command = bounded("dnsdist");
    command
        .args(["--supervised", "--disable-syslog", "-C"])
        .arg(dir.join("dnsdist.conf"));
    let process = Process::start("dnsdist", &mut command, &dir.join("dnsdist.log"));
    wait_for("dnsdist listens", soon(), || {
        TcpStream::connect(("127.0.0.1", doh)).is_ok() && TcpStream::connect(("127.0.0.1", dot)).is_ok()
    });
    Dnsdist {
        _knot: knot,
        process,
        dot,
        doh,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolver_is_asked_over_tls_and_https_and_must_prove_its_name() {
    let dir = tempfile::tempdir().expect("a folder");
    certificate(dir.path());
    let mut server = dnsdist(dir.path());
    let (dot, doh) = (server.dot, server.doh);
    let ca = Some(dir.path().join("cert.pem"));
    let world = world(&[]);
    let names = |name: &str| {
        [
            format!("tls://127.0.0.1:{dot}{name}"),
            format!("https://127.0.0.1:{doh}/dns-query{name}"),
        ]
    };
    for upstream in names("#dns.example").into_iter().chain(names("")) {
        works(&trusting(&world, ca.clone(), upstream)).await;
    }
    for upstream in names("#other.example") {
        let asked = trusting(&world, ca.clone(), upstream)
            .ask(&query("www.example"))
            .await;
        assert_eq!(asked, Err(Error::Silent));
    }
    for upstream in names("#dns.example") {
        let asked = trusting(&world, None, upstream).ask(&query("www.example")).await;
        assert_eq!(asked, Err(Error::Silent), "nobody vouches for it");
    }

    // A connection that died is made anew.
    let [tls, https] = names("#dns.example").map(|upstream| trusting(&world, ca.clone(), upstream));
    works(&tls).await;
    works(&https).await;
    server.process.kill();
    let mut command = bounded("dnsdist");
    command
        .args(["--supervised", "--disable-syslog", "-C"])
        .arg(dir.path().join("dnsdist.conf"));
    server.process = Process::start("dnsdist", &mut command, &dir.path().join("dnsdist.log"));
    wait_for("dnsdist listens", soon(), || {
        TcpStream::connect(("127.0.0.1", doh)).is_ok() && TcpStream::connect(("127.0.0.1", dot)).is_ok()
    });
    for upstreams in [tls, https] {
        let message = upstreams.ask(&query("www.example")).await.expect("answered");
        assert_eq!(last_of(&message), 9);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolver_is_asked_over_quic() {
    let dir = tempfile::tempdir().expect("a folder");
    certificate(dir.path());
    let cert = CertificateDer::from_pem_file(dir.path().join("cert.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(dir.path().join("key.pem")).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocols")
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .expect("they belong together");
    tls.alpn_protocols = vec![b"doq".to_vec()];
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    let port = socket.local_addr().expect("bound").port();
    let mut server = QuicServer::with_socket_and_tls_config(socket, Arc::new(tls)).expect("it listens");
    let world = world(&[]);
    let tasks = world.tasks.clone();
    world.tasks.spawn("fake.quic", async move {
        while let Ok(Some((mut streams, _))) = server.next().await {
            tasks.spawn("fake.quic.connection", async move {
                while let Some(Ok(mut stream)) = streams.next().await {
                    let Ok(asked) = stream.receive_bytes().await else {
                        return;
                    };
                    // RFC 9250 4.2.1: the id is 0.
                    assert_eq!(asked[..2], [0, 0]);
                    let asked = Asked {
                        bytes: asked.to_vec(),
                        by_tcp: true,
                        from: ([127, 0, 0, 1], 1).into(),
                        nth: 0,
                    };
                    let message = Message::from_vec(&good(&asked, 9)).expect("it is good");
                    let _ = stream.send(message).await;
                    let _ = stream.finish().await;
                }
            });
        }
    });
    let ca = Some(dir.path().join("cert.pem"));
    works(&trusting(
        &world,
        ca.clone(),
        format!("quic://127.0.0.1:{port}#dns.example"),
    ))
    .await;
    let other = trusting(&world, ca, format!("quic://127.0.0.1:{port}#other.example"));
    assert_eq!(other.ask(&query("www.example")).await, Err(Error::Silent));
}
