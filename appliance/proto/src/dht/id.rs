//! Node ids and distances (BEP 5), and ids that are bound to an address (BEP 42).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::random::Random;
use crate::id::InfoHash;

/// A point in the 160-bit key space: a node or the thing looked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Id(pub [u8; 20]);

impl Id {
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// XOR; smaller is closer.
    pub fn distance(&self, other: &Id) -> Id {
        Id(std::array::from_fn(|i| self.0[i] ^ other.0[i]))
    }

    /// How many leading bits two ids share: 0 to 160.
    pub fn shared_bits(&self, other: &Id) -> usize {
        let distance = self.distance(other);
        match distance.0.iter().position(|byte| *byte != 0) {
            Some(at) => at * 8 + distance.0[at].leading_zeros() as usize,
            None => 160,
        }
    }

    /// A random id that shares exactly `bits` leading bits with this one: a target inside that bucket.
    pub fn sibling(&self, bits: usize, random: &mut Random) -> Id {
        let mut out: [u8; 20] = random.bytes();
        for bit in 0..=bits.min(159) {
            let (byte, mask) = (bit / 8, 0x80 >> (bit % 8));
            let own = self.0[byte] & mask;
            let want = if bit == bits { own ^ mask } else { own };
            out[byte] = out[byte] & !mask | want;
        }
        Id(out)
    }
}

impl From<InfoHash> for Id {
    fn from(hash: InfoHash) -> Self {
        Id(hash.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0[..6]))
    }
}

/// One of the two networks; they have nothing in common but the protocol (BEP 32).
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

    pub fn of(addr: &SocketAddr) -> Self {
        if addr.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    pub fn other(self) -> Self {
        match self {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        }
    }

    /// Bytes of a compact peer: address and port.
    pub fn compact_len(self) -> usize {
        match self {
            Family::V4 => 6,
            Family::V6 => 18,
        }
    }
}

/// A node somebody told us about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contact {
    pub id: Id,
    pub addr: SocketAddr,
}

/// The first 21 bits an id must have at `ip`, when its last byte is `last` (BEP 42); the other bits are free.
pub fn secure_prefix(ip: IpAddr, last: u8) -> [u8; 3] {
    let r = last & 7;
    let crc = match ip {
        IpAddr::V4(ip) => {
            let mask = [0x03, 0x0f, 0x3f, 0xff];
            let mut masked: [u8; 4] = std::array::from_fn(|i| ip.octets()[i] & mask[i]);
            masked[0] |= r << 5;
            crc32c(&masked)
        }
        IpAddr::V6(ip) => {
            let mask = [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff];
            let mut masked: [u8; 8] = std::array::from_fn(|i| ip.octets()[i] & mask[i]);
            masked[0] |= r << 5;
            crc32c(&masked)
        }
    };
    let [a, b, c, _] = crc.to_be_bytes();
    [a, b, c & 0xf8]
}

/// A random id that is valid at `ip`.
pub fn secure(ip: IpAddr, random: &mut Random) -> Id {
    let mut id: [u8; 20] = random.bytes();
    let prefix = secure_prefix(ip, id[19]);
    id[0] = prefix[0];
    id[1] = prefix[1];
    id[2] = prefix[2] | id[2] & 7;
    Id(id)
}

/// Whether `id` may be used at `ip`. Addresses that are not unique in the world are exempt (BEP 42).
pub fn is_secure(id: &Id, ip: IpAddr) -> bool {
    if is_local(ip) {
        return true;
    }
    let want = secure_prefix(ip, id.0[19]);
    id.0[0] == want[0] && id.0[1] == want[1] && id.0[2] & 0xf8 == want[2]
}

/// Loopback, private, shared (RFC 6598), link-local and unique-local addresses.
pub fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(ip) => {
            ip.is_loopback() || ip.segments()[0] & 0xfe00 == 0xfc00 || ip.is_unicast_link_local()
        }
    }
}

/// Appends the compact form (BEP 5, BEP 32): address and port in network order.
pub fn write_compact(addr: &SocketAddr, out: &mut Vec<u8>) {
    match addr.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&addr.port().to_be_bytes());
}

/// Reads 6 or 18 bytes; any other length is no address.
pub fn read_compact(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_last_chunk::<2>()?;
    let port = u16::from_be_bytes(*port);
    let ip: IpAddr = if let Ok(v4) = <[u8; 4]>::try_from(ip) {
        Ipv4Addr::from(v4).into()
    } else {
        Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?).into()
    };
    Some(SocketAddr::new(ip, port))
}

/// CRC-32C (Castagnoli), bit by bit: eight bytes per node are too few for a table.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bound_to_addresses_as_bep_42_prints_them() {
        let file = include_str!("../../testdata/dht.json");
        let vectors: serde_json::Value = serde_json::from_str(file).expect("json");
        for row in vectors["bep42"].as_array().expect("rows") {
            let ip: IpAddr = row[0].as_str().expect("ip").parse().expect("address");
            let last = row[1].as_u64().expect("rand") as u8;
            let printed = data_encoding::HEXLOWER
                .decode(row[2].as_str().expect("hex").as_bytes())
                .expect("hex");
            let want = secure_prefix(ip, last);
            assert_eq!(
                [want[0], want[1], want[2]],
                [printed[0], printed[1], printed[2] & 0xf8],
                "{ip}"
            );
            let mut id = [7u8; 20];
            id[..3].copy_from_slice(&printed);
            id[19] = last;
            assert!(is_secure(&Id(id), ip));
            id[0] ^= 1;
            assert!(!is_secure(&Id(id), ip));
        }
    }

    #[test]
    fn made_ids_are_valid_at_their_address_and_local_ones_are_exempt() {
        let mut random = Random::new([1; 32]);
        for ip in ["124.31.75.21", "2001:470:1f0b::1"] {
            let ip: IpAddr = ip.parse().expect("address");
            assert!(is_secure(&secure(ip, &mut random), ip));
            assert!(!is_secure(&Id([0; 20]), ip));
        }
        for ip in [
            "10.0.0.1",
            "192.168.1.9",
            "169.254.3.3",
            "127.0.0.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "100.64.0.1",
        ] {
            assert!(is_secure(&Id([0; 20]), ip.parse().expect("address")), "{ip}");
        }
    }

    #[test]
    fn a_sibling_lies_in_the_bucket_it_was_made_for() {
        let mut random = Random::new([2; 32]);
        let own = Id(random.bytes());
        for bits in [0, 1, 7, 8, 19, 100, 159] {
            assert_eq!(own.shared_bits(&own.sibling(bits, &mut random)), bits);
        }
        assert_eq!(own.shared_bits(&own), 160);
    }

    #[test]
    fn compact_addresses_survive() {
        for text in ["192.0.2.7:6881", "[2001:db8::7]:6881"] {
            let addr: SocketAddr = text.parse().expect("address");
            let mut out = Vec::new();
            write_compact(&addr, &mut out);
            assert_eq!(out.len(), Family::of(&addr).compact_len());
            assert_eq!(read_compact(&out), Some(addr));
        }
        for length in [0, 1, 2, 5, 7, 17, 19, 26] {
            assert_eq!(read_compact(&vec![1; length]), None);
        }
    }
}
