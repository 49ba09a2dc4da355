//! The extension protocol (BEP 10): its handshake dictionary both ways, and ut_metadata messages (BEP 9).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use crate::bencode::{self, Node, Value};

/// The extended message id of the handshake itself.
pub const HANDSHAKE: u8 = 0;
/// The id under which peers send us ut_metadata messages.
pub const OUR_METADATA: u8 = 2;
/// The id under which peers send us ut_pex messages.
pub const OUR_PEX: u8 = 1;

/// Longest client name kept, bytes.
const VERSION_MAX: usize = 64;

/// Why an extended payload is useless. Its sender need not go: BEP 10 leaves room for what we do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Error {
    #[error(transparent)]
    Bencode(#[from] bencode::Error),
    #[error("not a dictionary of the expected shape")]
    Shape,
}

/// The handshake dictionary; every field is optional on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handshake {
    /// The id under which the sender wants ut_metadata; `None` or 0: not at all.
    pub ut_metadata: Option<u8>,
    pub ut_pex: Option<u8>,
    pub lt_donthave: Option<u8>,
    /// `p`: the sender's listening TCP port.
    pub port: Option<u16>,
    /// `v`: client name and version; at most 64 bytes, control characters removed.
    pub version: Option<String>,
    /// Requests the sender lets wait.
    pub reqq: Option<u32>,
    /// Bytes of the info dictionary; not yet checked against any limit.
    pub metadata_size: Option<u64>,
    /// The receiver's address as the sender sees it.
    pub yourip: Option<IpAddr>,
    /// BEP 21: the sender downloads nothing.
    pub upload_only: bool,
}

impl Handshake {
    /// The dictionary, canonical; absent fields are left out.
    pub fn encode(&self) -> Vec<u8> {
        let number = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let kinds = [
            ("lt_donthave", self.lt_donthave),
            ("ut_metadata", self.ut_metadata),
            ("ut_pex", self.ut_pex),
        ];
        let m = kinds
            .into_iter()
            .filter_map(|(name, id)| Some((name, number(u64::from(id?)))));
        let mut entries = vec![("m", Value::dict(m))];
        if let Some(port) = self.port {
            entries.push(("p", number(u64::from(port))));
        }
        if let Some(version) = &self.version {
            entries.push(("v", Value::text(version)));
        }
        if let Some(reqq) = self.reqq {
            entries.push(("reqq", number(u64::from(reqq))));
        }
        if let Some(size) = self.metadata_size {
            entries.push(("metadata_size", number(size)));
        }
        if let Some(ip) = self.yourip {
            entries.push(("yourip", Value::Bytes(ip_bytes(ip))));
        }
        if self.upload_only {
            entries.push(("upload_only", Value::Int(1)));
        }
        Value::dict(entries).encode()
    }

    /// Reads what is there; fields of the wrong type count as absent.
    pub fn decode(payload: &[u8]) -> Result<Self, Error> {
        let node = bencode::parse_unsorted(payload)?;
        node.dict().ok_or(Error::Shape)?;
        let m = node.get(b"m");
        let id = |name: &[u8]| {
            m.and_then(|m| m.get(name))
                .and_then(Node::int)
                .and_then(|n| u8::try_from(n).ok())
                .filter(|n| *n != 0)
        };
        let int = |name: &[u8]| node.get(name).and_then(Node::int);
        Ok(Self {
            ut_metadata: id(b"ut_metadata"),
            ut_pex: id(b"ut_pex"),
            lt_donthave: id(b"lt_donthave"),
            port: int(b"p").and_then(|n| u16::try_from(n).ok()).filter(|p| *p != 0),
            version: node.get(b"v").and_then(Node::bytes).map(readable),
            reqq: int(b"reqq").and_then(|n| u32::try_from(n).ok()),
            metadata_size: int(b"metadata_size").and_then(|n| u64::try_from(n).ok()),
            yourip: node.get(b"yourip").and_then(Node::bytes).and_then(ip_of),
            upload_only: int(b"upload_only").is_some_and(|n| n != 0),
        })
    }
}

/// A name fit for a log line.
fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(VERSION_MAX)])
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}

fn ip_bytes(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn ip_of(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(octets).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|o| Ipv6Addr::from(o).into())
}

/// A ut_metadata message (BEP 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metadata<'a> {
    Request(u32),
    Data {
        block: u32,
        total_size: Option<u64>,
        data: &'a [u8],
    },
    Reject(u32),
    /// "in order to support future extensibility, an unrecognized message ID MUST be ignored."
    Unknown,
}

impl<'a> Metadata<'a> {
    pub fn encode(&self) -> Vec<u8> {
        let dict = |kind: i64, block: u32, total: Option<u64>| {
            let mut entries = vec![
                ("msg_type", Value::Int(kind)),
                ("piece", Value::Int(i64::from(block))),
            ];
            if let Some(total) = total {
                entries.push(("total_size", Value::Int(i64::try_from(total).unwrap_or(i64::MAX))));
            }
            Value::dict(entries).encode()
        };
        match *self {
            Metadata::Request(block) => dict(0, block, None),
            Metadata::Data {
                block,
                total_size,
                data,
            } => {
                let mut out = dict(1, block, total_size);
                out.extend_from_slice(data);
                out
            }
            Metadata::Reject(block) => dict(2, block, None),
            Metadata::Unknown => dict(255, 0, None),
        }
    }

    pub fn decode(payload: &'a [u8]) -> Result<Self, Error> {
        let (node, end) = bencode::parse_prefix(payload)?;
        let kind = node.get(b"msg_type").and_then(Node::int).ok_or(Error::Shape)?;
        if !(0..=2).contains(&kind) {
            return Ok(Metadata::Unknown);
        }
        let block = node
            .get(b"piece")
            .and_then(Node::int)
            .and_then(|n| u32::try_from(n).ok())
            .ok_or(Error::Shape)?;
        Ok(match kind {
            0 => Metadata::Request(block),
            1 => Metadata::Data {
                block,
                total_size: node
                    .get(b"total_size")
                    .and_then(Node::int)
                    .and_then(|n| u64::try_from(n).ok()),
                data: &payload[end..],
            },
            _ => Metadata::Reject(block),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_handshake_is_golden_and_reads_back() {
        let ours = Handshake {
            ut_metadata: Some(OUR_METADATA),
            ut_pex: Some(OUR_PEX),
            port: Some(6881),
            version: Some("Granary 0.1".into()),
            reqq: Some(512),
            metadata_size: Some(31235),
            yourip: Some(Ipv4Addr::new(192, 0, 2, 1).into()),
            upload_only: true,
            lt_donthave: None,
        };
        let wire = ours.encode();
        assert_eq!(
            wire,
            b"d1:md11:ut_metadatai2e6:ut_pexi1ee13:metadata_sizei31235e1:pi6881e4:reqqi512e11:upload_onlyi1e\
              1:v11:Granary 0.16:yourip4:\xc0\x00\x02\x01e"
        );
        assert_eq!(Handshake::decode(&wire), Ok(ours));
    }

    #[test]
    fn strange_fields_count_as_absent() {
        let strange = Handshake::decode(
            b"d1:md11:ut_metadatai0e6:ut_pexi300ee13:metadata_sizei-1e1:pi70000e1:v3:a\nb6:yourip3:abce",
        );
        let expected = Handshake {
            version: Some("ab".into()),
            ..Handshake::default()
        };
        assert_eq!(strange, Ok(expected));
        assert_eq!(Handshake::decode(b"le"), Err(Error::Shape));
        assert!(Handshake::decode(b"d1:m").is_err());
    }

    #[test]
    fn metadata_messages_match_the_examples_of_bep_9() {
        assert_eq!(Metadata::Request(0).encode(), b"d8:msg_typei0e5:piecei0ee");
        assert_eq!(Metadata::Reject(0).encode(), b"d8:msg_typei2e5:piecei0ee");
        let data = Metadata::Data {
            block: 0,
            total_size: Some(34256),
            data: b"xxxx",
        };
        let wire = data.encode();
        assert_eq!(wire, b"d8:msg_typei1e5:piecei0e10:total_sizei34256eexxxx");
        assert_eq!(Metadata::decode(&wire), Ok(data));
        assert_eq!(
            Metadata::decode(b"d8:msg_typei9e5:piecei0ee"),
            Ok(Metadata::Unknown)
        );
        assert_eq!(Metadata::decode(b"d8:msg_typei0e5:piecei-1ee"), Err(Error::Shape));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Handshake::decode(&bytes);
            let _ = Metadata::decode(&bytes);
        }
    }
}
