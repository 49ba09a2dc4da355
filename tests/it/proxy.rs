//! The proxy door: opens BitTorrent sites and nothing else, tells browsers so by PAC, and outlives slow clients.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use harness::{Granary, http, soon, wait_for};

const NOBODYS: &str = "00112233445566778899aabbccddeeff00112233";

/// Status and whole text of the answer to raw bytes.
#[track_caller]
fn answer(addr: SocketAddr, request: &str) -> (u16, String) {
    let bytes = http::raw(addr, request.as_bytes(), Duration::from_secs(5)).expect("the door is open");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    (
        status.unwrap_or_else(|| panic!("no answer to {request:?}: {text:?}")),
        text,
    )
}

/// Ways to ask the proxy for something else than a site, with the status each deserves.
fn elsewhere(there: SocketAddr) -> Vec<(String, u16)> {
    let port = there.port();
    vec![
        (format!("GET http://{there}/ HTTP/1.1\r\nHost: {there}"), 403),
        (
            format!("GET http://localtest.example:{port}/ HTTP/1.1\r\nHost: localtest.example:{port}"),
            403,
        ),
        (
            format!("GET http://[::ffff:127.0.0.2]:{port}/ HTTP/1.1\r\nHost: [::ffff:127.0.0.2]:{port}"),
            403,
        ),
        (
            "GET http://169.254.169.254/ HTTP/1.1\r\nHost: 169.254.169.254".to_string(),
            403,
        ),
        (format!("GET http://user@{there}/ HTTP/1.1\r\nHost: {there}"), 400),
        (
            format!("GET http://{NOBODYS}-ih.btlink/ HTTP/1.1\r\nHost: {there}"),
            400,
        ),
        (format!("GET ftp://{there}/ HTTP/1.1\r\nHost: {there}"), 403),
        (format!("GET https://{there}/ HTTP/1.1\r\nHost: {there}"), 403),
        (
            format!("POST http://{there}/ HTTP/1.1\r\nHost: {there}\r\nContent-Length: 0"),
            403,
        ),
        (format!("GET / HTTP/1.1\r\nHost: stranger.example:{port}"), 421),
        (format!("CONNECT {there} HTTP/1.1\r\nHost: {there}"), 403),
        (
            format!("CONNECT localhost:{port} HTTP/1.1\r\nHost: localhost:{port}"),
            403,
        ),
        (
            "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443".into(),
            403,
        ),
        (
            format!("CONNECT {NOBODYS}-ih.btlink:25 HTTP/1.1\r\nHost: {NOBODYS}-ih.btlink:25"),
            403,
        ),
        (
            format!("CONNECT {NOBODYS}-ih.btlink:443 HTTP/1.1\r\nHost: {NOBODYS}-ih.btlink:443"),
            501,
        ),
        ("CONNECT / HTTP/1.1\r\nHost: a".into(), 400),
    ]
}

#[test]
fn nobody_reaches_anything_else_through_the_proxy() {
    let granary = Granary::start();
    // Whatever is dialled would arrive here: another device, not the box.
    let canary = TcpListener::bind("127.0.0.2:0").expect("loopback has a free port");
    canary
        .set_nonblocking(true)
        .expect("a socket can be told not to wait");
    let there = canary.local_addr().expect("bound");
    let requests = elsewhere(there);
    for door in ["proxy", "http"] {
        for (request, status) in &requests {
            let (got, text) = answer(granary.addr(door), &format!("{request}\r\n\r\n"));
            assert_eq!(got, *status, "{door}: {request}: {text}");
            assert!(
                !text.to_lowercase().contains("transfer-encoding"),
                "{request}: {text}"
            );
        }
    }
    let (_, text) = answer(
        granary.addr("proxy"),
        "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n",
    );
    for words in [
        "A tunnel to somewhere else was asked for.",
        "No connection was made.",
        "/proxy.pac",
    ] {
        assert!(text.contains(words), "{text}");
    }
    let host = format!("{NOBODYS}-ih.btlink:443");
    let (_, text) = answer(
        granary.addr("proxy"),
        &format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    );
    assert!(text.contains("Use http:// instead of https://"), "{text}");
    let dialled = canary.accept();
    assert!(dialled.is_err(), "somebody was dialled: {dialled:?}");
}

#[test]
fn the_pac_is_one_script_everywhere_and_routes_only_our_names() {
    let granary = Granary::start();
    let (door, proxy) = (granary.addr("http"), granary.addr("proxy"));
    let first = http::get(door, "/proxy.pac", &[]).expect("an answer");
    let site = format!("{NOBODYS}-ih.btlink");
    for path in [
        "/wpad.dat",
        "/wpad.da",
        "/wpad.dat%00",
        "/wpad.dat%0A",
        "/wpad.dat%0a",
        "/proxy.pac",
        "/.btlink/proxy.pac",
    ] {
        for (addr, host) in [
            (door, "wpad"),
            (door, "wpad.lan"),
            (proxy, "192.0.2.7"),
            (door, site.as_str()),
        ] {
            let answer = http::get(addr, path, &[("host", host)]).expect("an answer");
            assert_eq!(answer.status, 200, "{path} of {host}");
            assert_eq!(
                answer.header("content-type"),
                Some("application/x-ns-proxy-autoconfig")
            );
            assert_eq!(answer.header("cache-control"), Some("max-age=60"));
            assert!(answer.body == first.body, "{path} of {host} is another script");
        }
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("proxy.pac");
    std::fs::write(&file, &first.body).expect("writable");
    let ours = format!("PROXY {proxy}");
    for (host, goes) in [
        ("btlink", ours.as_str()),
        (&site, &ours),
        (&site.to_uppercase(), &ours),
        ("x.btlink.", &ours),
        ("a.b.box.btlink", &ours),
        ("notbtlink", "DIRECT"),
        ("btlink.example.org", "DIRECT"),
        ("example.com", "DIRECT"),
        ("192.168.1.1", "DIRECT"),
    ] {
        let output = Command::new("pactester")
            .arg("-p")
            .arg(&file)
            .args(["-u", &format!("http://{host}/a?b"), "-h", host])
            .output()
            .expect("tests/setup.sh installs pactester");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), goes, "{host}");
    }
}

#[test]
fn half_sent_requests_keep_nobody_else_waiting() {
    let granary = Granary::start();
    for door in ["http", "proxy"] {
        let addr = granary.addr(door);
        let heads = [
            "G",
            "GET / HTTP/1.1\r\nHos",
            "GET / HTTP/1.1\r\nHost: a\r\nX: ",
            "PRI * HTTP/2.0\r\n",
        ];
        let slow: Vec<TcpStream> = (0..200)
            .map(|index| {
                let mut stream = TcpStream::connect(addr).expect("the door is open");
                stream
                    .write_all(heads[index % heads.len()].as_bytes())
                    .expect("sent");
                stream
            })
            .collect();
        let begin = Instant::now();
        for _ in 0..20 {
            let answer = http::get(addr, "http://box.btlink/", &[]).expect("an answer");
            assert_eq!(answer.status, 200);
        }
        let took = begin.elapsed();
        assert!(
            took < Duration::from_secs(4),
            "{door}: twenty requests took {took:?}"
        );
        wait_for("the slow ones to be sent away", soon(), || {
            slow.iter().all(|mut stream| {
                stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a live socket");
                let mut bytes = [0; 4096];
                matches!(stream.read(&mut bytes), Ok(0))
                    || matches!(stream.read(&mut bytes), Err(err) if err.kind() == std::io::ErrorKind::ConnectionReset)
            })
        });
    }
}
