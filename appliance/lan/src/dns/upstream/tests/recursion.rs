//! From a root of our own downwards.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use harness::process::free_port;
use hickory_proto::{
    op::{Message, MessageType},
    rr::{
        Name, RData, Record,
        rdata::{A, NS},
    },
};
use tokio::net::UdpSocket;

use super::{
    super::{Error, Sources, Upstreams},
    knot::{Knot, Zone},
    world::*,
};
use crate::settings::Resolving;

fn recursive(world: &World, roots: Vec<IpAddr>, port: u16, anchor: Option<&std::path::Path>) -> Upstreams {
    world.change(|settings| {
        settings.dns.resolving = Resolving::Recursive;
        settings.dns.validate = anchor.is_some();
    });
    let sources = Sources {
        root: Some((roots, port)),
        trust_anchor: anchor.map(Into::into),
        ..sources()
    };
    Upstreams::start_with(&world.house, sources)
}

async fn ask(upstreams: &Upstreams, name: &str) -> Message {
    let message = upstreams.ask(&query(name)).await.expect("answered");
    assert_eq!(message[..2], [0, 0]);
    Message::from_vec(&message).expect("it can be read")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_found_from_the_root_downwards_and_proven() {
    let dir = tempfile::tempdir().expect("a folder");
    let (port, dir) = (free_port(), dir.path());
    let ip = |last| IpAddr::from(Ipv4Addr::new(127, 51, 0, last));
    let zone = |name, records: String, signed| Zone {
        name,
        records,
        signed,
    };
    let leaf = "@ NS ns\nns A 127.51.0.3\nwww A 192.0.2.5\nalias CNAME www.plain.tld.\n";
    let bottom = [
        zone("signed.tld", leaf.into(), true),
        zone("plain.tld", leaf.into(), false),
    ];
    let bottom = Knot::start(dir, "bottom", ip(3), port, &bottom);
    let tld = format!(
        "@ NS ns\nns A 127.51.0.2\nsigned NS ns.signed\nns.signed A 127.51.0.3\nplain NS ns.plain\nns.plain A 127.51.0.3\n{}",
        bottom.ds("signed.tld")
    );
    let tld = Knot::start(dir, "tld", ip(2), port, &[zone("tld", tld, true)]);
    let root = format!(
        "@ NS ns.root.\nns.root. A 127.51.0.1\ntld. NS ns.tld.\nns.tld. A 127.51.0.2\n{}",
        tld.ds("tld")
    );
    let root = Knot::start(dir, "root", ip(1), port, &[zone("", root, true)]);
    let anchor = dir.join("anchor");
    std::fs::write(&anchor, root.anchor()).expect("writable");

    let world = world(&[]);
    let proving = recursive(&world, vec![ip(1)], port, Some(&anchor));
    let signed = ask(&proving, "www.signed.tld").await;
    assert!(
        signed.metadata.authentic_data && signed.answers.len() == 1,
        "{signed}"
    );
    let none = ask(&proving, "gone.signed.tld").await;
    assert_eq!(u16::from(none.response_code), 3, "{none}");
    assert!(
        none.authorities
            .iter()
            .any(|record| record.record_type().to_string() == "SOA")
    );
    let unsigned = ask(&proving, "www.plain.tld").await;
    assert!(
        !unsigned.metadata.authentic_data && unsigned.answers.len() == 1,
        "{unsigned}"
    );

    let plain = recursive(&world, vec![ip(1)], port, None);
    let alias = ask(&plain, "alias.signed.tld").await;
    assert_eq!(alias.answers.len(), 2, "{alias}");
    assert!(!alias.metadata.authentic_data);
}

/// An authority that answers every question with what `answer` puts into the message.
async fn authority(
    world: &World,
    addr: SocketAddr,
    count: Arc<AtomicUsize>,
    answer: impl Fn(&Name, &mut Message) + Send + 'static,
) {
    let socket = UdpSocket::bind(addr).await.expect("loopback");
    world.tasks.spawn("fake.authority", async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Ok(mut message) = Message::from_vec(&buffer[..length]) else {
                continue;
            };
            count.fetch_add(1, Ordering::Relaxed);
            message.metadata.message_type = MessageType::Response;
            message.additionals.clear();
            let Some(name) = message.queries.first().map(|asked| asked.name().clone()) else {
                continue;
            };
            answer(&name, &mut message);
            let bytes = message.to_vec().expect("it can be written");
            let _ = socket.send_to(&bytes, from).await;
        }
    });
}

fn delegation(message: &mut Message, zone: &str, server: &str, glue: Option<Ipv4Addr>) {
    let name = |text| Name::from_ascii(text).expect("a name");
    let ns = RData::NS(NS(name(server)));
    message.add_authority(Record::from_rdata(name(zone), 600, ns));
    if let Some(ip) = glue {
        message.add_additional(Record::from_rdata(name(server), 600, RData::A(A(ip))));
    }
}

#[tokio::test]
async fn a_delegation_to_many_servers_without_addresses_costs_little() {
    let world = world(&[]);
    let port = free_port();
    let ip = |last| Ipv4Addr::new(127, 52, 0, last);
    let count = Arc::new(AtomicUsize::new(0));
    authority(
        &world,
        (ip(1), port).into(),
        count.clone(),
        move |name, message| {
            let tld = name.iter().next_back().map(<[u8]>::to_ascii_lowercase);
            match tld.as_deref() {
                Some(b"evil") => delegation(message, "evil.", "ns.evil.", Some(ip(2))),
                // The victim: every name below it is another question to it.
                Some(b"victim") => delegation(message, "victim.", "ns.victim.", Some(ip(3))),
                _ => {}
            }
        },
    )
    .await;
    authority(&world, (ip(2), port).into(), count.clone(), |name, message| {
        message.metadata.authoritative = name.num_labels() < 2;
        if name.num_labels() >= 2 {
            for n in 0..60 {
                delegation(message, "x.evil.", &format!("n{n}.victim."), None);
            }
        }
    })
    .await;
    let victim = Arc::new(AtomicUsize::new(0));
    authority(&world, (ip(3), port).into(), victim.clone(), |_, message| {
        message.metadata.authoritative = true;
        message.metadata.response_code = hickory_proto::op::ResponseCode::NXDomain;
    })
    .await;
    let upstreams = recursive(&world, vec![ip(1).into()], port, None);
    let answered = upstreams.ask(&query("www.x.evil")).await;
    assert!(matches!(answered, Err(Error::Silent)), "{answered:?}");
    let (others, hit) = (count.load(Ordering::Relaxed), victim.load(Ordering::Relaxed));
    println!("60 servers without addresses: {hit} questions to the victim, {others} to others");
    assert!(
        hit <= 15 && others + hit <= 40,
        "{hit} to the victim, {others} to others"
    );
}
