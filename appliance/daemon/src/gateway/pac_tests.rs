//! The script for devices that look for a proxy: who gets which one, by whatever Host, path and protocol they ask. And the
//! wall that keeps pages of strangers away from the home's other machines.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use proto::{
    id::InfoHash,
    name::Address,
    pac::{Kind, Linked, PATHS, script},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout},
};

use super::{
    Rules,
    fixture::{Answer, House, IH, parse, raw, sample},
};

async fn house() -> House {
    House::start_with(sample(), |config| {
        config.advertise = Some("192.168.1.2".parse().unwrap());
    })
    .await
}

impl House {
    fn script(&self, kind: Kind, linked: &Linked) -> String {
        script(
            kind,
            SocketAddr::new([192, 168, 1, 2].into(), self.proxy.port()),
            linked,
        )
    }

    fn set(&self, change: impl FnOnce(&mut Rules)) {
        let mut rules = Rules::default();
        change(&mut rules);
        self.rules.send_replace(Arc::new(rules));
    }
}

/// A device with an address of its own; only the one on 127.0.0.1 uses our resolver.
async fn from(device: [u8; 4], to: SocketAddr, head: &str) -> Answer {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((device, 0).into()).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut all));
    read.await.unwrap().unwrap();
    parse(&all)
}

#[tokio::test]
async fn the_pac_is_the_same_for_every_host_path_door_and_protocol() {
    let house = house().await;
    let want = house.script(Kind::Lite, &Linked::default());
    let site = format!("{IH}-ih.btlink");
    let paths: Vec<&str> = PATHS.iter().copied().chain(["/.btlink/proxy.pac"]).collect();
    let hosts = [
        "wpad",
        "wpad.home.arpa",
        "wpad.home.arpa:80",
        "192.168.1.2",
        "evil.example",
        "a..b",
        "[::1]:80",
        &site,
    ];
    for path in &paths {
        let mut answers = Vec::new();
        for host in hosts {
            answers.push(house.ask("GET", path, host, &[]).await);
        }
        for head in [
            format!("GET {path} HTTP/1.0\r\n\r\n"),
            format!("GET {path}?x=1 HTTP/1.0\r\nHost: wpad\r\n\r\n"),
            format!(
                "GET {path} HTTP/1.1\r\nHost: wpad\r\nUser-Agent: WinHttp-Autoproxy-Service/5.1\r\nConnection: close\r\n\r\n"
            ),
        ] {
            answers.push(raw(house.http, head.as_bytes()).await);
            answers.push(raw(house.proxy, head.as_bytes()).await);
        }
        for answer in answers {
            assert_eq!((answer.status, answer.text()), (200, want.clone()), "{path}");
            assert_eq!(
                answer.header("content-type"),
                Some("application/x-ns-proxy-autoconfig")
            );
            assert_eq!(answer.header("cache-control"), Some("max-age=60"));
        }
        let head = house.ask("HEAD", path, "wpad", &[]).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(
            head.header("content-length"),
            Some(want.len().to_string().as_str())
        );
    }
    let named = house.ask("GET", "/.btlink/proxy.pac", &site, &[]).await;
    assert_eq!(
        named.header("content-disposition"),
        Some("inline; filename=btlink.pac")
    );
    assert_eq!(house.ask("GET", "/wpad.dat", "\u{fc}", &[]).await.status, 400);
}

#[tokio::test]
async fn whatever_stands_in_host_the_bytes_are_the_same() {
    let house = house().await;
    let want = house.script(Kind::Lite, &Linked::default());
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..500 {
        let mut host = String::new();
        for _ in 0..round % 40 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            host.push(char::from(0x21 + (state % 94) as u8));
        }
        let head = format!("GET /wpad.dat HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = raw(house.http, head.as_bytes()).await;
        match answer.status {
            200 => assert_eq!(answer.text(), want, "{host}"),
            // No Host at all is a refusal in HTTP/1.1, and so is one that could smuggle.
            400 => {}
            other => panic!("{other} for Host {host:?}"),
        }
        assert!(
            !answer.text().contains("PROXY") || answer.text() == want,
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_switched_off_pac_says_direct_and_markers_are_for_those_who_ask_our_resolver() {
    let house = house().await;
    let linked = Linked::new(["linked.example.com"]);
    let get = "GET /wpad.dat HTTP/1.0\r\n\r\n";
    house.set(|rules| rules.linked = linked.clone());
    let lite = house.script(Kind::Lite, &linked);
    assert_eq!(from([127, 0, 0, 1], house.http, get).await.text(), lite);
    house.set(|rules| {
        rules.linked = linked.clone();
        rules.markers = true;
    });
    let marker = house.script(Kind::Marker, &linked);
    assert_eq!(from([127, 0, 0, 1], house.http, get).await.text(), marker);
    assert_eq!(from([127, 0, 0, 2], house.http, get).await.text(), lite);
    house.set(|rules| {
        rules.linked = linked.clone();
        rules.markers = true;
        rules.enabled = false;
    });
    let off = from([127, 0, 0, 1], house.http, get).await;
    assert_eq!(
        (off.status, off.text()),
        (200, house.script(Kind::Direct, &linked))
    );
    assert_eq!(off.text().matches("PROXY").count(), 0);
}

#[tokio::test]
async fn the_proxy_opens_linked_domains_and_nothing_else_of_the_ordinary_web() {
    let house = house().await;
    let site = Address::Torrent(InfoHash::from_hex(IH).unwrap());
    house
        .source
        .known
        .names
        .lock()
        .unwrap()
        .insert("linked.example.com".into(), site);
    let by_proxy = async |method: &str, host: &str| {
        let head = format!("{method} http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        raw(house.proxy, head.as_bytes()).await.status
    };
    assert_eq!(by_proxy("GET", "linked.example.com").await, 403);
    house.set(|rules| rules.linked = Linked::new(["linked.example.com"]));
    for host in [
        "linked.example.com",
        "LINKED.example.com.",
        "linked.example.com:80",
    ] {
        assert_eq!(by_proxy("GET", host).await, 200, "{host}");
    }
    for (method, host, status) in [
        ("GET", "linked.example.com:8080", 403),
        ("GET", "www.linked.example.com", 403),
        ("GET", "example.com", 403),
        ("POST", "linked.example.com", 403),
    ] {
        assert_eq!(by_proxy(method, host).await, status, "{method} {host}");
    }
    // By its own address a linked domain is a stranger: whoever asks us for it without a proxy was led here by its DNS.
    assert_eq!(house.ask("GET", "/", "linked.example.com", &[]).await.status, 421);
    house.set(|rules| rules.markers = true);
    assert_eq!(by_proxy("GET", "linked.example.com").await, 200);
    assert_eq!(by_proxy("GET", "unknown.example.com").await, 404);
    assert_eq!(by_proxy("GET", "192.0.2.7").await, 403);
}

#[tokio::test]
async fn every_device_is_seen_by_the_ways_it_came() {
    let house = house().await;
    let site = format!("{IH}-ih.btlink");
    let none = house.seen.ways([127, 0, 0, 7].into());
    assert!(none.pac.is_none() && none.proxy.is_none() && none.host.is_none());
    for (device, to, head) in [
        (7, house.http, "GET /wpad.dat HTTP/1.0\r\n\r\n".to_owned()),
        (
            8,
            house.proxy,
            format!("GET http://{site}/ HTTP/1.0\r\nHost: {site}\r\n\r\n"),
        ),
        (9, house.http, format!("GET / HTTP/1.0\r\nHost: {site}\r\n\r\n")),
        (
            10,
            house.http,
            "GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n".to_owned(),
        ),
    ] {
        from([127, 0, 0, device], to, &head).await;
    }
    let ways = |device: u8| house.seen.ways([127, 0, 0, device].into());
    assert!(ways(7).pac.is_some() && ways(7).proxy.is_none());
    assert!(ways(8).proxy.is_some() && ways(8).host.is_none());
    assert!(ways(9).host.is_some() && ways(9).pac.is_none());
    assert_eq!(house.seen.list().len(), 3);
}

#[tokio::test]
async fn a_connection_of_the_proxy_that_says_nothing_is_closed_within_three_seconds() {
    let house = house().await;
    let site = format!("{IH}-ih.btlink");
    let request = format!("GET http://{site}/ HTTP/1.1\r\nHost: {site}\r\n\r\n");
    for first in [request.as_str(), ""] {
        let mut stream = TcpStream::connect(house.proxy).await.unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        let before = Instant::now();
        let mut all = Vec::new();
        let end = timeout(Duration::from_secs(3), stream.read_to_end(&mut all)).await;
        assert!(end.is_ok(), "still open after {:?}", before.elapsed());
    }
}

/// Does this policy keep a page from every machine of the home but the box and other sites?
fn shields(policy: &str) -> bool {
    let sources = |name: &str| {
        policy
            .split(';')
            .map(str::trim)
            .find_map(|part| part.strip_prefix(name)?.strip_prefix(' '))
    };
    let harmless = |list: &str| {
        list.split_whitespace().all(|source| {
            matches!(
                source,
                "'self'"
                    | "'none'"
                    | "'unsafe-inline'"
                    | "'unsafe-eval'"
                    | "data:"
                    | "blob:"
                    | "https:"
                    | "wss:"
            ) || matches!(source, "http://*.btlink" | "ws://*.btlink")
        })
    };
    let public = policy
        .split(';')
        .any(|part| part.trim() == "treat-as-public-address");
    let all = policy
        .split(';')
        .map(str::trim)
        .filter(|part| part.contains("-src "));
    public
        && sources("default-src").is_some()
        && sources("form-action").is_some_and(harmless)
        && all
            .filter_map(|part| part.split_once(' '))
            .all(|(_, list)| harmless(list))
}

#[tokio::test]
async fn every_answer_on_a_sites_host_shields_the_home() {
    let house = house().await;
    let site = format!("{IH}-ih.btlink");
    let etag = house.get("/", &[]).await.header("etag").unwrap().to_owned();
    let fresh = format!("If-None-Match: {etag}");
    let gone = format!("{}-ih.btlink", "0".repeat(40));
    let page = "Accept: text/html";
    let mut others = Vec::new();
    for (method, path, host, line, status) in [
        ("GET", "/", &site, page, 200),
        ("HEAD", "/", &site, page, 200),
        ("GET", "/css/s.css", &site, "Accept: */*", 200),
        ("GET", "/", &site, fresh.as_str(), 304),
        ("GET", "/big.bin", &site, "Range: bytes=0-9", 206),
        ("GET", "/big.bin", &site, "Range: bytes=999999-", 416),
        ("GET", "/files/", &site, page, 200),
        ("GET", "/files", &site, page, 308),
        ("GET", "/nowhere", &site, page, 404),
        ("GET", "/nowhere", &site, "Accept: image/png", 404),
        ("POST", "/", &site, page, 405),
        ("OPTIONS", "/", &site, page, 204),
        ("GET", "/.btlink/info", &site, page, 200),
        ("GET", "/.btlink/metainfo", &site, page, 200),
        ("GET", "/.btlink/versions", &site, page, 200),
        ("GET", "/.btlink/zip", &site, page, 200),
        ("GET", "/.btlink/nothing", &site, page, 404),
        ("GET", "/.btlink/raw/sample/site/README", &site, page, 200),
        ("GET", "/", &gone, "Cache-Control: only-if-cached", 412),
        ("GET", "/", &"alice.btlink".to_owned(), page, 404),
        ("GET", "/", &format!("www.{site}"), page, 308),
    ] {
        let answer = house.ask(method, path, host, &[line]).await;
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(
            shields(policy),
            "{method} {path} of {host}: {} {policy}",
            answer.status
        );
        if answer.status != status {
            others.push(format!("{method} {path} of {host}: {}", answer.status));
        }
    }
    assert!(others.is_empty(), "{others:#?}");
    assert!(!shields(
        "default-src *; form-action 'self'; treat-as-public-address"
    ));
    assert!(!shields(
        "default-src 'self'; img-src http:; form-action 'self'; treat-as-public-address"
    ));
}
