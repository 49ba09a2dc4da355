use std::{net::IpAddr, sync::Arc, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use hickory_proto::{op::Message, rr::RecordType};
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, body::Bytes};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, ClientConfig, DigitallySignedStruct, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};

use super::world::{PATIENCE, World, addrs, exchange, question};

const BOX: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn a_site_is_answered_with_the_address_that_was_asked_and_never_forwarded() {
    let world = World::start(|_| {}).await;
    let reply = world.ask("x.y.btlink.", RecordType::A).await;
    assert_eq!(addrs(&reply), [BOX]);
    assert!(reply.metadata.authoritative && reply.edns.is_some());
    for name in [
        "x.btlink.",
        "wpad.example.com.",
        "printer.",
        "x.local.",
        "_dns.resolver.arpa.",
        "4.1.168.192.in-addr.arpa.",
    ] {
        let reply = world.ask(name, RecordType::HTTPS).await;
        assert!(
            reply.answers.is_empty() && !reply.authorities.is_empty(),
            "{name}"
        );
    }
    assert_eq!(world.upstream.asked(), 0);
    let facts = world.status().dns;
    assert_eq!((facts.queries, facts.own, facts.forwarded), (7, 7, 0));
    world.stop().await;
}

#[tokio::test]
async fn ordinary_names_are_asked_once_and_then_remembered() {
    let world = World::start(|_| {}).await;
    for _ in 0..3 {
        let reply = world.ask("Www.Example.", RecordType::A).await;
        assert_eq!(
            addrs(&reply),
            ["192.0.2.1".parse::<IpAddr>().expect("an address")]
        );
        assert_eq!(reply.queries[0].name().to_ascii(), "Www.Example.");
    }
    assert_eq!(world.upstream.names(), ["www.example"]);
    let facts = world.status().dns;
    assert_eq!((facts.forwarded, facts.cached, facts.cache_entries), (1, 2, 1));
    world.stop().await;
}

#[tokio::test]
async fn questions_over_one_tcp_connection_need_not_wait_for_each_other() {
    let world = World::start(|_| {}).await;
    let mut stream = TcpStream::connect(world.dns()).await.expect("connected");
    pipelined(&mut stream).await;
    // Who closes its side still gets the answers.
    let packet = question("late.example.", RecordType::A);
    write(&mut stream, &packet).await;
    stream.shutdown().await.expect("half closed");
    assert_eq!(
        read(&mut stream).await.id,
        u16::from_be_bytes([packet[0], packet[1]])
    );
    assert_eq!(stream.read(&mut [0; 9]).await.expect("the end"), 0);
    world.stop().await;
}

#[tokio::test]
async fn a_question_in_pieces_is_put_together_and_nonsense_ends_the_connection() {
    let world = World::start(|_| {}).await;
    let mut stream = TcpStream::connect(world.dns()).await.expect("connected");
    let packet = question("x.btlink.", RecordType::A);
    let mut whole = (packet.len() as u16).to_be_bytes().to_vec();
    whole.extend(&packet);
    for byte in whole {
        stream.write_all(&[byte]).await.expect("sent");
        stream.flush().await.expect("sent");
    }
    assert_eq!(addrs(&read(&mut stream).await), [BOX]);
    stream.write_all(&[0xff, 0xff, 0]).await.expect("sent");
    let ended = timeout(PATIENCE, stream.read(&mut [0; 9]))
        .await
        .expect("in time");
    assert!(matches!(ended, Ok(0) | Err(_)));
    world.stop().await;
}

#[tokio::test]
async fn many_idle_connections_keep_nobody_out() {
    let world = World::start(|_| {}).await;
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(TcpStream::connect(world.dns()).await.expect("connected"));
    }
    let mut stream = TcpStream::connect(world.dns()).await.expect("connected");
    write(&mut stream, &question("x.btlink.", RecordType::A)).await;
    assert_eq!(addrs(&read(&mut stream).await), [BOX]);
    world.stop().await;
}

#[tokio::test]
async fn dns_over_tls_serves_who_takes_any_certificate() {
    let world = World::start(|_| {}).await;
    let addr = world.status().listen.dot[0];
    let mut stream = tls(addr, &[b"dot"]).await;
    pipelined(&mut stream).await;
    let mut stream = tls(addr, &[]).await;
    pipelined(&mut stream).await;
    world.stop().await;
}

async fn pipelined<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let names = [
        "a.example.",
        "x.btlink.",
        "b.example.",
        "wpad.home.arpa.",
        "c.example.",
    ];
    let packets = names.map(|name| question(name, RecordType::A));
    for packet in &packets {
        write(stream, packet).await;
    }
    let mut left: Vec<u16> = packets
        .iter()
        .map(|packet| u16::from_be_bytes([packet[0], packet[1]]))
        .collect();
    while !left.is_empty() {
        let reply = read(stream).await;
        assert_eq!(reply.answers.len(), 1, "{reply:?}");
        left.retain(|id| *id != reply.metadata.id);
    }
}

#[tokio::test]
async fn dns_over_https_answers_get_and_post_over_both_versions() {
    let world = World::start(|_| {}).await;
    let addr = world.status().listen.doh[0];
    for protocol in [&b"h2"[..], b"http/1.1"] {
        let io = TokioIo::new(tls(addr, &[protocol]).await);
        let ask = async |request: Request<Full<Bytes>>| {
            let sent = if protocol == b"h2" {
                let io = TokioIo::new(tls(addr, &[protocol]).await);
                let (mut sender, driver) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                    .await
                    .expect("h2");
                world.tasks.spawn("test.client", async { drop(driver.await) });
                timeout(PATIENCE, sender.send_request(request)).await
            } else {
                let io = TokioIo::new(tls(addr, &[protocol]).await);
                let (mut sender, driver) = hyper::client::conn::http1::handshake(io).await.expect("h1");
                world.tasks.spawn("test.client", async { drop(driver.await) });
                timeout(PATIENCE, sender.send_request(request)).await
            };
            let (head, body) = sent.expect("in time").expect("an answer").into_parts();
            (head, body.collect().await.expect("whole").to_bytes())
        };
        drop(io);
        let packet = question("doh.example.", RecordType::A);
        let text = BASE64URL_NOPAD.encode(&packet);
        let get = |path: String| {
            Request::get(format!("https://box{path}"))
                .header("host", "box")
                .body(Full::default())
                .expect("a request")
        };
        let (head, body) = ask(get(format!("/dns-query?dns={text}"))).await;
        assert_eq!(head.status, StatusCode::OK);
        assert_eq!(head.headers["content-type"], "application/dns-message");
        assert!(
            head.headers["cache-control"]
                .to_str()
                .expect("text")
                .starts_with("max-age=")
        );
        assert_eq!(Message::from_vec(&body).expect("a message").answers.len(), 1);

        let post = |kind: &str, body: Vec<u8>| {
            Request::post("https://box/dns-query")
                .header("host", "box")
                .header("content-type", kind)
                .body(Full::from(body))
                .expect("a request")
        };
        let (head, body) = ask(post(
            "application/dns-message",
            question("x.btlink.", RecordType::A),
        ))
        .await;
        assert_eq!(head.status, StatusCode::OK);
        assert_eq!(addrs(&Message::from_vec(&body).expect("a message")), [BOX]);

        assert_eq!(ask(post("text/plain", packet.clone())).await.0.status, 415);
        assert_eq!(
            ask(post("application/dns-message", vec![0; 5000])).await.0.status,
            413
        );
        assert_eq!(
            ask(post("application/dns-message", vec![0; 3])).await.0.status,
            400
        );
        assert_eq!(ask(get("/dns-query".into())).await.0.status, 400);
        assert_eq!(ask(get("/dns-query?dns=!".into())).await.0.status, 400);
        assert_eq!(ask(get("/".into())).await.0.status, 404);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_flood_of_malformed_packets_gets_one_small_answer_each_at_most() {
    let world = World::start(|_| {}).await;
    let seed = question("www.example.", RecordType::A);
    for at in 0..seed.len() {
        for byte in [0, 1, 2, 0x3f, 0x41, 0x80, 0xc0, 0xff] {
            let mut packet = seed.clone();
            packet[at] = byte;
            for packet in [&packet[..], &packet[..at]] {
                let reply = exchange(world.dns(), packet, Duration::from_millis(1)).await;
                assert!(reply.is_none_or(|reply| reply.len() <= 512));
            }
        }
    }
    assert_eq!(addrs(&world.ask("x.btlink.", RecordType::A).await), [BOX]);
    assert!(world.status().dns.queries > 500);
    world.stop().await;
}

#[tokio::test]
async fn edns_is_answered_as_it_should_be() {
    let world = World::start(|_| {}).await;
    let ask = async |packet: Vec<u8>| {
        Message::from_vec(&world.send(&packet).await.expect("an answer")).expect("read")
    };
    let plain = {
        let mut packet = question("www.example.", RecordType::A);
        packet.truncate(packet.len() - 11);
        packet[11] = 0;
        packet
    };
    assert!(ask(plain.clone()).await.edns.is_none());
    let with = |version: u8, options: &[u8]| {
        let mut packet = plain.clone();
        packet[11] = 1;
        packet.extend([0, 0, 41, 16, 0, 0, version, 0, 0]);
        packet.extend((options.len() as u16).to_be_bytes());
        packet.extend(options);
        packet
    };
    let reply = ask(with(1, &[])).await;
    assert_eq!(u16::from(reply.metadata.response_code), 16);
    assert_eq!(reply.edns.expect("an OPT record").version(), 0);
    // An option nobody knows is not sent back.
    let reply = world
        .send(&with(0, b"\xff\xf0\0\x02ab"))
        .await
        .expect("an answer");
    assert!(!reply.windows(2).any(|two| two == b"\xff\xf0"));
    // A cookie comes back with ours, which is then the same for the same client.
    let reply = world
        .send(&with(0, b"\0\x0a\0\x08clientck"))
        .await
        .expect("an answer");
    let at = reply
        .windows(8)
        .position(|eight| eight == b"clientck")
        .expect("the cookie");
    assert_eq!(&reply[at - 4..at], b"\0\x0a\0\x18");
    assert_eq!(reply[at + 8..].len(), 16);
    world.stop().await;
}

#[tokio::test]
async fn a_device_that_asks_too_much_is_not_heard() {
    // This machine itself has no limit, so an address of the loopback network that is not ours asks.
    let world = World::start(|settings| settings.dns.device_queries_per_sec = 5).await;
    for _ in 0..50 {
        world.ask("x.btlink.", RecordType::A).await;
    }
    assert_eq!(world.status().dns.dropped, 0);
    world.stop().await;
}

pub async fn write<S: AsyncWrite + Unpin>(stream: &mut S, packet: &[u8]) {
    let mut whole = (packet.len() as u16).to_be_bytes().to_vec();
    whole.extend(packet);
    stream.write_all(&whole).await.expect("sent");
    stream.flush().await.expect("sent");
}

pub async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Message {
    let reply = timeout(PATIENCE, async {
        let len = stream.read_u16().await.expect("a length");
        let mut reply = vec![0; usize::from(len)];
        stream.read_exact(&mut reply).await.expect("the whole answer");
        reply
    });
    Message::from_vec(&reply.await.expect("in time")).expect("it can be read")
}

async fn tls(addr: std::net::SocketAddr, protocols: &[&[u8]]) -> TlsStream<TcpStream> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything(provider)))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(addr).await.expect("connected");
    let name = ServerName::IpAddress(addr.ip().into());
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    timeout(PATIENCE, connecting)
        .await
        .expect("in time")
        .expect("a handshake")
}

/// As clients are that encrypt when they can.
#[derive(Debug)]
struct Anything(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
