//! Packets for tests, and how they are looked at.

use super::{
    cache::Key,
    message::{Message, Section},
    name,
    query::{self, Query},
};

/// A question with RD, as a stub resolver sends it.
pub fn question(text: &str, qtype: u16) -> Vec<u8> {
    let mut packet = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        packet.push(label.len() as u8);
        packet.extend(label.as_bytes());
    }
    packet.push(0);
    packet.extend(qtype.to_be_bytes());
    packet.extend([0, 1]);
    packet
}

/// The same with an OPT record.
pub fn with_opt(mut packet: Vec<u8>, size: u16, version: u8, flags: u8, options: &[u8]) -> Vec<u8> {
    packet[11] = 1;
    packet.extend([0, 0, 41]);
    packet.extend(size.to_be_bytes());
    packet.extend([0, version, flags, 0]);
    packet.extend((options.len() as u16).to_be_bytes());
    packet.extend(options);
    packet
}

pub fn read(packet: &[u8]) -> Query<'_> {
    query::read(packet).expect("a question")
}

pub fn key<'a>(query: &'a Query<'_>) -> Key<'a> {
    Key::of(query)
}

/// One record of a made-up answer.
pub struct Rr<'a>(pub &'a str, pub u16, pub u32, pub Vec<u8>);

/// A response to `question` with these sections.
pub fn response(question: &[u8], flags: u16, sections: [&[Rr<'_>]; 3]) -> Vec<u8> {
    let mut packet = question.to_vec();
    packet[2..4].copy_from_slice(&flags.to_be_bytes());
    packet[..2].fill(0);
    for (at, section) in [6, 8, 10].into_iter().zip(sections) {
        packet[at..at + 2].copy_from_slice(&(section.len() as u16).to_be_bytes());
        for Rr(owner, rtype, ttl, data) in section {
            packet.extend_from_slice(&name::from_text(owner).expect("a name"));
            packet.extend(rtype.to_be_bytes());
            packet.extend([0, 1]);
            packet.extend(ttl.to_be_bytes());
            packet.extend((data.len() as u16).to_be_bytes());
            packet.extend_from_slice(data);
        }
    }
    packet
}

pub fn wire(text: &str) -> Vec<u8> {
    name::from_text(text).expect("a name").into()
}

pub fn soa(minimum: u32) -> Vec<u8> {
    let mut data = [wire("ns.example"), wire("root.example")].concat();
    data.extend([1, 2, 3, 4, minimum].iter().flat_map(|n: &u32| n.to_be_bytes()));
    data
}

/// `rcode [flags] section:owner type ttl data…`, one line each; names of data are not looked into.
pub fn show(packet: &[u8]) -> String {
    let message = Message::read(packet).expect("it can be read");
    let mut text = format!("rcode {}", message.rcode());
    for (bit, letters) in [
        (0x0400, " aa"),
        (0x0200, " tc"),
        (0x0100, " rd"),
        (0x80, " ra"),
        (0x20, " ad"),
        (0x10, " cd"),
    ] {
        if message.flags & bit != 0 {
            text.push_str(letters);
        }
    }
    for record in &message.records {
        let section = match record.section {
            Section::Answer => "an",
            Section::Authority => "au",
            Section::Additional => "ad",
        };
        let owner = name::to_text(&message.name(record.owner).expect("a name"));
        let data = &packet[record.data.clone()];
        let data = match record.rtype {
            1 => std::net::Ipv4Addr::from(<[u8; 4]>::try_from(data).expect("four bytes")).to_string(),
            28 => std::net::Ipv6Addr::from(<[u8; 16]>::try_from(data).expect("sixteen bytes")).to_string(),
            2 | 5 | 12 => name::to_text(&message.name(record.data.start).expect("a name")),
            _ => format!("{} bytes", data.len()),
        };
        if record.rtype == 41 {
            text.push_str(&format!("; opt {} {data}", record.class));
        } else {
            text.push_str(&format!(
                "; {section} {owner} {} {} {data}",
                record.rtype, record.ttl_secs
            ));
        }
    }
    text
}
