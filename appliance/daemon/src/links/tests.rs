//! Against a scripted resolver on loopback.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::TXT},
    serialize::binary::{BinDecodable, BinEncodable},
};
use proto::{id::InfoHash, name::TLD};
use tokio::net::UdpSocket;

use super::*;

const HASH: &str = "951ead31d09e4049fc1f21f137e233dd0589fcbd";

/// Name without its final dot → TXT records; `!servfail`, `!silence` and `!noise` instead of a record are misdeeds.
type Zone = HashMap<String, Vec<&'static str>>;

/// Answers TXT questions from `zone` and refuses the rest; counts the questions.
async fn resolver(zone: Zone) -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    let addr = socket.local_addr().expect("bound");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    // The test's own runtime ends it.
    #[allow(clippy::disallowed_methods)]
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Ok(question) = Message::from_bytes(&buffer[..length]) else {
                continue;
            };
            if question.queries[0].query_type() == RecordType::TXT {
                count.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(reply) = reply(&zone, &question) {
                let _ = socket.send_to(&reply, from).await;
            }
        }
    });
    (addr, asked)
}

fn reply(zone: &Zone, question: &Message) -> Option<Vec<u8>> {
    let query = question.queries[0].clone();
    let name = query.name().to_string().to_lowercase();
    let texts = zone.get(name.trim_end_matches('.'));
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.recursion_available = true;
    reply.add_query(query.clone());
    match (query.query_type(), texts.map(Vec::as_slice)) {
        (RecordType::TXT, Some(["!silence"])) => return None,
        (RecordType::TXT, Some(["!noise"])) => return Some(vec![0xff; 40]),
        (RecordType::TXT, Some(["!servfail"])) => reply.metadata.response_code = ResponseCode::ServFail,
        (RecordType::TXT, Some(texts)) => {
            for text in texts {
                let strings = text.split('|').map(str::to_owned).collect();
                let data = RData::TXT(TXT::new(strings));
                let owner: Name = query.name().clone();
                reply.add_answer(Record::from_rdata(owner, 5, data));
            }
        }
        _ => reply.metadata.response_code = ResponseCode::NXDomain,
    }
    reply.to_bytes().ok()
}

async fn links(entries: &[(&str, &[&'static str])]) -> (Links, Arc<AtomicUsize>) {
    let zone = entries
        .iter()
        .map(|(name, texts)| (name.to_string(), texts.to_vec()));
    let (addr, asked) = resolver(zone.collect()).await;
    let config = Config {
        upstream: vec![addr],
        ..Config::default()
    };
    (Links::new(&config).expect("a good config"), asked)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn torrent() -> Address {
    Address::Torrent(InfoHash::from_hex(HASH).expect("40 digits"))
}

#[tokio::test]
async fn the_first_kind_of_record_that_names_an_address_counts() {
    let btlink = Kind::Btlink.name("a.example");
    let ours = concat!("951ead31d09e4049fc1f21f137e233dd0589fcbd", "-ih");
    let other = concat!("dnslink=/btih/", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
    let (links, _) = links(&[
        (btlink.as_str(), &["not an address", ours]),
        ("_dnslink.a.example", &[other]),
        (
            "_dnslink.b.example",
            &["dnslink=/btih/951ead31d0|9e4049fc1f21f137e233dd0589fcbd"],
        ),
        (
            "c.example",
            &["v=spf1 -all", "wtpkey=951ead31d09e4049fc1f21f137e233dd0589fcbd"],
        ),
    ])
    .await;
    for (domain, kind) in [
        ("a.example", Kind::Btlink),
        ("B.example.", Kind::Dnslink),
        ("c.example", Kind::Wtpkey),
    ] {
        let link = links.look(domain, soon()).await.expect("it has a record");
        assert_eq!(
            (link.address, link.kind, link.signed),
            (torrent(), kind, false),
            "{domain}"
        );
        assert_eq!(
            link.ttl_secs, TTL_MIN,
            "a TTL of 5 s would be a question per click"
        );
    }
}

#[tokio::test]
async fn what_was_answered_is_not_asked_again_and_neither_is_what_is_not_there() {
    let (links, asked) = links(&[(
        "_dnslink.a.example",
        &["dnslink=/btih/951ead31d09e4049fc1f21f137e233dd0589fcbd"],
    )])
    .await;
    for _ in 0..5 {
        links.look("a.example", soon()).await.expect("it has a record");
    }
    let first = asked.load(Ordering::Relaxed);
    for _ in 0..5 {
        let none = links.look("nothing.example", soon()).await;
        assert!(matches!(none, Err(Error::None(name)) if name == "nothing.example"));
    }
    let second = asked.load(Ordering::Relaxed);
    links
        .look("nothing.example", soon())
        .await
        .expect_err("it is still not there");
    links.look("a.example", soon()).await.expect("it is still there");
    assert_eq!(asked.load(Ordering::Relaxed), second);
    // Three kinds of record, each asked by the validating resolver and by the plain one at most.
    assert!(first <= 6 && second - first <= 6, "{first} {second}");
}

#[tokio::test]
async fn links_lead_on_but_not_for_ever() {
    let (links, _) = links(&[
        ("_dnslink.a.example", &["dnslink=/dnslink/b.example"]),
        (
            "_dnslink.b.example",
            &["dnslink=/btih/951ead31d09e4049fc1f21f137e233dd0589fcbd"],
        ),
        ("_dnslink.x.example", &["dnslink=/dnslink/y.example"]),
        ("_dnslink.y.example", &["dnslink=/dnslink/x.example"]),
    ])
    .await;
    let link = links.look("a.example", soon()).await.expect("two steps");
    assert_eq!(
        (link.address, link.via),
        (torrent(), vec!["a.example".into(), "b.example".into()])
    );
    let circle = links.look("x.example", soon()).await;
    assert!(matches!(circle, Err(Error::Circle(name)) if name == "x.example"));
}

#[tokio::test]
async fn a_resolver_in_trouble_is_not_taken_for_a_domain_without_links() {
    let (links, _) = links(&[
        ("_dnslink.fails.example", &["!servfail"]),
        ("_dnslink.noise.example", &["!noise"]),
        ("_dnslink.silent.example", &["!silence"]),
    ])
    .await;
    let fails = links.look("fails.example", soon()).await;
    assert!(matches!(&fails, Err(Error::Unresolved { .. })), "{fails:?}");
    for domain in ["noise.example", "silent.example"] {
        let begun = Instant::now();
        let late = links.look(domain, begun + Duration::from_millis(700)).await;
        assert!(matches!(&late, Err(Error::Unresolved { .. })), "{late:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "the deadline counts");
    }
}

#[tokio::test]
async fn what_is_no_domain_is_never_asked() {
    let (links, asked) = links(&[]).await;
    for text in [
        "",
        ".",
        "localhost",
        "192.0.2.1",
        "a..b",
        "a b.example",
        "ä.example",
        &format!("x.{TLD}"),
    ] {
        let refused = links.look(text, soon()).await;
        assert!(matches!(refused, Err(Error::None(_))), "{text}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn a_wrong_doh_address_is_refused_in_words() {
    for url in [
        "https://dns.example/dns-query",
        "http://1.1.1.1/",
        "https://",
        "1.1.1.1",
    ] {
        let config = Config {
            doh: Some(url.into()),
            ..Config::default()
        };
        let refused = Links::new(&config).err().map(|err| err.to_string());
        assert!(
            refused.is_some_and(|text| text.contains("address in digits")),
            "{url}"
        );
    }
}

#[test]
fn the_memory_is_bounded_and_forgets_in_time() {
    let now = Instant::now();
    let mut memory = Memory::default();
    let found = |ttl_secs| Found {
        address: torrent(),
        kind: Kind::Btlink,
        signed: true,
        ttl_secs,
    };
    for n in 0..3_000 {
        memory.put(&format!("{n}.example"), Some(found(60 + n)), now);
    }
    let known = (0..3_000).filter(|n| memory.get(&format!("{n}.example"), now).is_some());
    assert_eq!(known.count(), 1_000);
    let mut memory = Memory::default();
    memory.put("short.example", Some(found(60)), now);
    memory.put("none.example", None, now);
    let later = now + Duration::from_secs(59);
    assert_eq!(memory.get("short.example", later), Some(Some(found(1))));
    assert_eq!(memory.get("short.example", later + Duration::from_secs(1)), None);
    assert_eq!(
        memory.get("none.example", now + Duration::from_secs(299)),
        Some(None)
    );
    assert_eq!(memory.get("none.example", now + Duration::from_secs(300)), None);
}
