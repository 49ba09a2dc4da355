//! A key that signs a DNS packet (pkarr) instead of a torrent.

use std::fs;

use harness::{Granary, Setup, granary::cli, sample, soon, wait_for};
use proto::{encoding::Encoding, key::PublicKey, name::Address};

/// A DNS reply (RFC 1035 §4.1) with one TXT record, as pkarr makes them, bencoded as a byte string.
fn packet(name: &str, text: &str) -> Vec<u8> {
    let mut message = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&[0, 16, 0, 1, 0, 0, 1, 44]);
    message.extend_from_slice(&(text.len() as u16 + 1).to_be_bytes());
    message.push(text.len() as u8);
    message.extend_from_slice(text.as_bytes());
    [format!("{}:", message.len()).as_bytes(), &message].concat()
}

fn done(args: &[&str]) -> String {
    let output = cli(args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_signed_dns_packet_leads_to_the_site_it_links_and_is_explained_when_it_links_none() {
    let publisher = Granary::start();
    let reader = Setup::default()
        .arg("--dht-bootstrap")
        .arg(publisher.addr("dht").to_string())
        .start();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    sample::site(&dir.path().join("site"), 5, 20_000);
    let control = publisher.control.display().to_string();
    let infohash = done(&[
        "seed",
        &path("site"),
        "--print",
        "infohash",
        "--control",
        &control,
    ]);

    for (number, link) in [(1, true), (2, false)] {
        let (key, value) = (path(&format!("key-{number}")), path(&format!("value-{number}")));
        let made: serde_json::Value =
            serde_json::from_str(&done(&["keygen", "--out", &key, "--json"])).expect("JSON");
        let hex = made["key"].as_str().expect("the public key");
        let public = PublicKey::from_text(hex).expect("64 digits");
        let origin = Encoding::ZBase32.encode(&public.0).expect("32 bytes");
        let record = if link {
            packet(
                &format!("_dnslink.{origin}"),
                &format!("dnslink=/btih/{infohash}"),
            )
        } else {
            packet(&format!("mail.{origin}"), "grain@example.org")
        };
        fs::write(&value, record).expect("writable");
        wait_for("a node takes the record", soon(), || {
            let put = cli(&["put", "--key", &key, "--value", &value, "--control", &control]);
            put.status.success()
        });
        let host = Address::Key {
            key: public,
            salt: vec![],
        }
        .host("btlink")
        .expect("it fits");
        let page = |path: &str| reader.get(&format!("http://{host}/{path}"));
        if link {
            wait_for("the packet's link is followed", soon(), || {
                let reply = page("big.bin");
                reply.status == 200 && reply.body == sample::bytes(5, 20_000)
            });
        } else {
            wait_for("the packet is explained", soon(), || {
                let reply = page("");
                reply.status == 502
                    && reply.text().contains("mail TXT")
                    && reply.text().contains("grain@example.org")
            });
        }
    }
}
