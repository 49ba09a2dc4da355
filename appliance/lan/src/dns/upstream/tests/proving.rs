//! Validation, against zones that Knot signs.

use std::{net::Ipv4Addr, path::Path, sync::Arc};

use harness::process::free_port;
use hickory_proto::op::Message;

use super::{
    super::{Error, Query, Sources, Upstreams},
    knot::{Knot, Zone},
    world::*,
};

/// A root with a signed name, an unsigned zone below it and one whose keys are not those that the root tells of. All at one
/// address, as a resolver would have them.
fn knot(dir: &Path, port: u16) -> Knot {
    let zone = |name, records: &str, signed| Zone {
        name,
        records: records.into(),
        signed,
    };
    let ns = "@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.5\n";
    let root = "@ NS ns.signed.\nns.signed. A 127.0.0.1\nwww.signed. A 192.0.2.4\n*.wild.signed. A 192.0.2.6\n\
                plain. NS ns.plain.\nns.plain. A 127.0.0.1\nbroken. NS ns.broken.\nns.broken. A 127.0.0.1\n\
                broken. DS 4711 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n\
                www.home.arpa. A 192.0.2.7\n";
    let zones = [
        zone("", root, true),
        zone("plain", ns, false),
        zone("broken", ns, true),
    ];
    Knot::start(dir, "knot", Ipv4Addr::LOCALHOST.into(), port, &zones)
}

async fn ask(upstreams: &Upstreams, name: &str) -> Result<Message, Error> {
    let message = upstreams.ask(&query(name)).await?;
    Ok(Message::from_vec(&message).expect("it can be read"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_proven_gets_ad_what_is_refuted_gets_nothing_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let knot = knot(dir.path(), port);
    let anchor = dir.path().join("anchor");
    std::fs::write(&anchor, knot.anchor()).expect("writable");
    let world = world(&[format!("127.0.0.1:{port}")]);
    world.change(|settings| settings.dns.validate = true);
    let sources = Sources {
        trust_anchor: Some(anchor),
        ..sources()
    };
    let upstreams = Upstreams::start_with(&world.house, sources.clone());

    let good = ask(&upstreams, "www.signed").await.expect("proven");
    assert!(good.metadata.authentic_data && good.answers.len() == 1, "{good}");
    let wild = ask(&upstreams, "any.wild.signed").await.expect("proven");
    assert!(wild.metadata.authentic_data, "{wild}");
    let none = ask(&upstreams, "gone.signed").await.expect("proven to be none");
    assert!(none.metadata.authentic_data && none.answers.is_empty(), "{none}");
    assert_eq!(u16::from(none.response_code), 3);
    let plain = ask(&upstreams, "www.plain").await.expect("unsigned");
    assert!(
        !plain.metadata.authentic_data && plain.answers.len() == 1,
        "{plain}"
    );
    assert_eq!(ask(&upstreams, "www.broken").await, Err(Error::Bogus));

    // Whoever checks alone gets what there is.
    let unchecked = Query {
        checking_disabled: true,
        dnssec_ok: true,
        ..query("www.broken")
    };
    let message = upstreams.ask(&unchecked).await.expect("unchecked");
    let message = Message::from_vec(&message).expect("it can be read");
    assert!(
        !message.metadata.authentic_data && message.answers.len() == 2,
        "{message}"
    );
    // The home's own zones are never proven.
    let local = ask(&upstreams, "www.home.arpa").await.expect("local");
    assert!(!local.metadata.authentic_data, "{local}");

    let forger = Arc::new(std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback"));
    let text = forger.local_addr().expect("bound").to_string();
    forge(forger, port);
    world.change(|settings| settings.dns.upstreams = vec![text]);
    let forged = Upstreams::start_with(&world.house, sources);
    assert_eq!(ask(&forged, "www.signed").await, Err(Error::Bogus));
}

/// Hands questions on and changes the address in the answers.
fn forge(door: Arc<std::net::UdpSocket>, port: u16) {
    std::thread::spawn(move || {
        let beyond = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let wait = Some(std::time::Duration::from_secs(2));
        beyond.set_read_timeout(wait).expect("a time-out can be set");
        let mut buffer = vec![0; 4096];
        while let Ok((length, from)) = door.recv_from(&mut buffer) {
            let _ = beyond.send_to(&buffer[..length], ("127.0.0.1", port));
            if let Ok(length) = beyond.recv(&mut buffer) {
                if let Some(at) = buffer.windows(4).position(|part| part == [192, 0, 2, 4]) {
                    buffer[at + 3] = 66;
                }
                let _ = door.send_to(&buffer[..length], from);
            }
        }
    });
}
