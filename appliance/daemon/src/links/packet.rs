//! A signed DNS packet under a key (pkarr): what it says, and whether it has a link record for us.

use hickory_resolver::proto::{
    op::Message,
    rr::{RData, Record},
    serialize::binary::BinDecodable,
};
use proto::{
    encoding::Encoding,
    key::PublicKey,
    link::{self, Kind},
    name::Address,
};

/// Records shown of one packet, which has at most 1000 bytes.
const RECORDS_MAX: usize = 64;
/// Longest text shown of one record, characters.
const SHOWN_MAX: usize = 300;

/// What is inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packet {
    /// Where the packet's own link record leads: never back to a key's packet by a petname or domain of the household.
    pub address: Option<Address>,
    /// Name, type and value of each record, as a person reads a zone file; the key itself is written `@`.
    pub records: Vec<(String, String, String)>,
}

/// Reads a packet found under `key`; `None` when it is no DNS message. Names end in the key in z-base-32.
pub fn read(key: &PublicKey, bytes: &[u8]) -> Option<Packet> {
    let message = Message::from_bytes(bytes).ok()?;
    let origin = Encoding::ZBase32.encode(&key.0)?;
    let answers = || message.answers.iter().take(RECORDS_MAX);
    let address = Kind::ALL.into_iter().find_map(|kind| {
        let wanted = kind.name(&origin);
        let texts: Vec<Vec<u8>> = answers()
            .filter(|record| bare(record).eq_ignore_ascii_case(&wanted))
            .filter_map(|record| match &record.data {
                RData::TXT(text) => Some(text.txt_data.concat()),
                _ => None,
            })
            .collect();
        link::read(kind, &texts)
    });
    let shown = |record: &Record| {
        let name = bare(record);
        let name = match name.strip_suffix(&origin) {
            Some("") => "@".to_owned(),
            Some(below) => below.trim_end_matches('.').to_owned(),
            None => name,
        };
        let plain = |text: String| text.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect();
        (
            plain(name),
            record.record_type().to_string(),
            plain(record.data.to_string()),
        )
    };
    Some(Packet {
        address,
        records: answers().map(shown).collect(),
    })
}

fn bare(record: &Record) -> String {
    let name = record.name.to_string();
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::{
        op::OpCode,
        rr::{
            Name,
            rdata::{A, TXT},
        },
        serialize::binary::BinEncodable,
    };
    use proto::record::{self, Meaning};

    use super::*;

    fn key() -> PublicKey {
        PublicKey::from_text("8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e")
            .expect("a key")
    }

    /// As pkarr makes them: a reply without questions, names under the key in z-base-32.
    fn packet(records: &[(&str, RData)]) -> Vec<u8> {
        let origin = Encoding::ZBase32.encode(&key().0).expect("32 bytes");
        let mut message = Message::response(0, OpCode::Query);
        for (name, data) in records {
            let name = if name.is_empty() {
                origin.clone()
            } else {
                format!("{name}.{origin}")
            };
            let name = Name::from_ascii(format!("{name}.")).expect("a name");
            message.add_answer(Record::from_rdata(name, 300, data.clone()));
        }
        message.to_bytes().expect("it fits")
    }

    fn text(text: &str) -> RData {
        RData::TXT(TXT::new(vec![text.to_owned()]))
    }

    #[test]
    fn a_packet_with_a_link_record_leads_on_and_one_without_is_shown() {
        let hash = "951ead31d09e4049fc1f21f137e233dd0589fcbd";
        let linked = packet(&[
            ("", RData::A(A::new(192, 0, 2, 1))),
            ("_dnslink", text(&format!("dnslink=/btih/{hash}"))),
        ]);
        // The same bytes as the value of an item are told apart from a torrent's record.
        let value = [format!("{}:", linked.len()).as_bytes(), &linked].concat();
        assert_eq!(record::meaning(&value), Meaning::Packet(linked.clone()));
        let read = read(&key(), &linked).expect("a packet");
        let torrent = proto::id::InfoHash::from_hex(hash).map(Address::Torrent);
        assert_eq!(read.address, torrent);
        assert_eq!(read.records[0], ("@".into(), "A".into(), "192.0.2.1".into()));
        assert_eq!(read.records[1].0, "_dnslink");

        let other = packet(&[("www", text("hello\u{7}"))]);
        let read = super::read(&key(), &other).expect("a packet");
        assert_eq!(read.address, None);
        assert_eq!(read.records.len(), 1);
        assert!(!read.records[0].2.contains('\u{7}'));
    }

    #[test]
    fn a_record_of_another_key_is_not_this_ones() {
        let hash = "951ead31d09e4049fc1f21f137e233dd0589fcbd";
        let foreign = packet(&[("_dnslink", text(&format!("dnslink=/btih/{hash}")))]);
        let read = read(&PublicKey([7; 32]), &foreign).expect("a packet");
        assert_eq!(read.address, None);
    }

    #[test]
    fn noise_is_no_packet_and_never_panics() {
        assert_eq!(read(&key(), b""), None);
        let good = packet(&[("_dnslink", text("dnslink=/btih/x"))]);
        for cut in 0..good.len() {
            let _ = read(&key(), &good[..cut]);
            let mut flipped = good.clone();
            flipped[cut] ^= 0xff;
            let _ = read(&key(), &flipped);
        }
    }
}
