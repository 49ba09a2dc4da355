//! What devices ask and what upstreams answer.

use std::net::Ipv4Addr;

use proto::dns::{
    cache::{self, Key},
    decide::{self, Facts, Known},
    digest::{Asked, digest},
    marker::{self, Mark},
    message::Message,
    query::{self, Fault},
    reply::Way,
    zone::{Choices, Zone},
};

use super::seen;

fn question(name: &[u8], qtype: u8, extra: &[u8]) -> Vec<u8> {
    let additional = u8::from(!extra.is_empty());
    [
        b"\x12\x34\x01\0\0\x01\0\0\0\0\0",
        &[additional][..],
        name,
        &[0, qtype, 0, 1],
        extra,
    ]
    .concat()
}

pub(super) fn packets() -> Vec<Vec<u8>> {
    let opt = b"\0\0\x29\x04\xd0\0\0\x80\0\0\x14\0\x0a\0\x08clientck\0\x0c\0\x04\0\0\0\0";
    vec![
        question(b"\x03www\x07example\x03org\0", 1, b""),
        question(b"\x01x\x06btlink\0", 28, opt),
        question(b"\x03www\x07example\x03org\x01q\x06btlink\0", 1, opt),
        question(b"\x04wpad\x07example\0", 1, b""),
        question(b"\x011\x011\x03168\x03192\x07in-addr\x04arpa\0", 12, b""),
        question(b"\x03ads\0", 255, opt),
        question(b"\0", 2, b"\0\0\x29\x10\0\0\x01\0\0\0\0"),
    ]
}

/// At most one answer, no longer than asked for, and readable.
pub(super) fn decided(input: &[u8]) -> u64 {
    let mut out = Vec::new();
    let query = match query::read(input) {
        Ok(query) => query,
        Err(fault) => {
            if let Fault::Answer(rcode) = fault {
                query::write_fault(input, rcode, &mut out);
                assert!(out.len() <= input.len());
            }
            return seen(&fault);
        }
    };
    let choices = Choices {
        host: "granary".into(),
        domain: "home.arpa".into(),
        canary_firefox: true,
        canary_relay: true,
        ..Choices::default()
    };
    let zone = Zone::new(&choices, &[]);
    let facts = Facts {
        v4: Some(Ipv4Addr::new(192, 168, 1, 2)),
        v6: None,
    };
    let decision = decide::decide(&query, &zone, &facts, |name| name.ends_with(b"\x03ads\0"));
    let known = Known {
        facts,
        mark: Mark::Unknown,
        blocked_is_nxdomain: false,
    };
    if decide::write(decision, &query, &known, &Way::udp(&query), &mut out) {
        assert!(out.len() <= query.udp_limit() && out.len() <= input.len() + 512);
        Message::read(&out).expect("what we send can be read");
    }
    seen(&(decision, query.edns))
}

pub(super) fn answers() -> Vec<Vec<u8>> {
    let asked = question(b"\x03www\x07example\x03org\0", 1, b"");
    let reply = |flags: [u8; 2], counts: [u8; 6], records: &[u8]| {
        let mut packet = [&asked[..], records].concat();
        packet[2..4].copy_from_slice(&flags);
        packet[6..12].copy_from_slice(&counts);
        packet
    };
    vec![
        reply([0x81, 0x80], [0, 1, 0, 0, 0, 0], b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01"),
        reply([0x81, 0xa0], [0, 2, 0, 0, 0, 0], b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03cdn\xc0\x10\xc0\x2d\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01"),
        reply([0x81, 0x83], [0, 0, 0, 1, 0, 0], b"\xc0\x10\0\x06\0\x01\0\0\0\x3c\0\x16\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05"),
        reply([0x81, 0x80], [0, 1, 0, 0, 0, 0], b"\xc0\x0c\0\x41\0\x01\0\0\0\x3c\0\x0b\0\x01\0\0\x04\0\x04\xc0\0\x02\x01"),
    ]
}

/// What is kept of any answer can be read again and goes out within the limit.
pub(super) fn digested(input: &[u8]) -> u64 {
    let packet = question(b"\x03www\x07example\x03org\0", 1, b"");
    let query = query::read(&packet).expect("a question");
    let key = Key::of(&query);
    let asked = Asked {
        name: key.name,
        qtype: key.qtype,
        qclass: key.qclass,
        dnssec_ok: true,
        public: true,
    };
    let _ = marker::read(input);
    let read = digest(input, &asked);
    if let Ok(digest) = &read {
        let kept = Message::read(&digest.image).expect("what is kept can be read");
        assert_eq!(kept.records.len(), digest.ttls.len());
        let mut out = Vec::new();
        cache::write_new(digest, &query, &Way::udp(&query), &mut out);
        assert!(out.len() <= query.udp_limit());
        Message::read(&out).expect("what we send can be read");
    }
    seen(&read.map(|digest| (vec![(); digest.ttls.len()], digest.why)))
}
