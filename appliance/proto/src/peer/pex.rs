//! Peer exchange (BEP 11): compact lists of peers that came and went, IPv4 and IPv6.

use std::net::{IpAddr, SocketAddr};

use super::extension::Error;
use crate::bencode::{self, Node, Value};

/// Most peers per list, sent and accepted (BEP 11: "no more than 50").
pub const PEERS_MAX: usize = 50;

/// BEP 11 flag: the peer is a seed or a partial seed.
pub const FLAG_SEED: u8 = 0x02;

/// One ut_pex message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pex {
    /// Peers and their flags.
    pub added: Vec<(SocketAddr, u8)>,
    pub dropped: Vec<SocketAddr>,
}

impl Pex {
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.dropped.is_empty()
    }

    /// At most [`PEERS_MAX`] of each list are written, in order.
    pub fn encode(&self) -> Vec<u8> {
        let mut lists: [Vec<u8>; 6] = Default::default();
        for (addr, flags) in self.added.iter().take(PEERS_MAX) {
            let at = if addr.is_ipv4() { 0 } else { 2 };
            push(&mut lists[at], *addr);
            lists[at + 1].push(*flags);
        }
        for addr in self.dropped.iter().take(PEERS_MAX) {
            push(&mut lists[if addr.is_ipv4() { 4 } else { 5 }], *addr);
        }
        let names = ["added", "added.f", "added6", "added6.f", "dropped", "dropped6"];
        Value::dict(names.into_iter().zip(lists.map(Value::Bytes))).encode()
    }

    /// Peers past the fiftieth of each list are not read; port 0 is skipped. Addresses are not judged here.
    pub fn decode(payload: &[u8]) -> Result<Self, Error> {
        let node = bencode::parse_unsorted(payload)?;
        node.dict().ok_or(Error::Shape)?;
        let bytes = |name: &[u8]| node.get(name).and_then(Node::bytes).unwrap_or_default();
        let flagged = |peers: &[u8], flags: &[u8], width: usize| -> Vec<(SocketAddr, u8)> {
            peers
                .chunks_exact(width)
                .take(PEERS_MAX)
                .enumerate()
                .filter_map(|(i, chunk)| Some((addr_of(chunk)?, flags.get(i).copied().unwrap_or(0))))
                .collect()
        };
        let mut added = flagged(bytes(b"added"), bytes(b"added.f"), 6);
        added.extend(flagged(bytes(b"added6"), bytes(b"added6.f"), 18));
        added.truncate(PEERS_MAX);
        let mut dropped: Vec<_> = flagged(bytes(b"dropped"), &[], 6)
            .into_iter()
            .map(|(addr, _)| addr)
            .collect();
        dropped.extend(
            flagged(bytes(b"dropped6"), &[], 18)
                .into_iter()
                .map(|(addr, _)| addr),
        );
        dropped.truncate(PEERS_MAX);
        Ok(Self { added, dropped })
    }
}

fn push(out: &mut Vec<u8>, addr: SocketAddr) {
    match addr.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&addr.port().to_be_bytes());
}

/// 6 or 18 bytes: address and port, big-endian.
fn addr_of(chunk: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = chunk.split_at_checked(chunk.len().checked_sub(2)?)?;
    let port = u16::from_be_bytes([port[0], port[1]]);
    let ip: IpAddr = match ip.len() {
        4 => <[u8; 4]>::try_from(ip).ok()?.into(),
        _ => <[u8; 16]>::try_from(ip).ok()?.into(),
    };
    (port != 0).then_some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_survive_the_wire() {
        let pex = Pex {
            added: vec![
                ("192.0.2.1:6881".parse().expect("v4"), FLAG_SEED),
                ("[2001:db8::1]:51413".parse().expect("v6"), 0),
            ],
            dropped: vec!["198.51.100.7:1".parse().expect("v4")],
        };
        assert_eq!(Pex::decode(&pex.encode()), Ok(pex));
    }

    #[test]
    fn more_than_fifty_peers_are_cut() {
        let one: SocketAddr = "192.0.2.1:6881".parse().expect("v4");
        let pex = Pex {
            added: vec![(one, 0); 80],
            dropped: vec![one; 80],
        };
        let read = Pex::decode(&pex.encode()).expect("valid");
        assert_eq!((read.added.len(), read.dropped.len()), (50, 50));
        let mut flood = b"d5:added6000:".to_vec();
        flood.extend(std::iter::repeat_n(1, 6000));
        flood.push(b'e');
        assert_eq!(Pex::decode(&flood).expect("valid").added.len(), 50);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Pex::decode(&bytes);
        }

        #[test]
        fn no_compact_list_panics(list in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let payload = Value::dict([("added", Value::Bytes(list.clone())), ("added6", Value::Bytes(list))]).encode();
            proptest::prop_assert!(Pex::decode(&payload).expect("a dictionary").added.len() <= PEERS_MAX);
        }
    }
}
