//! The 68 bytes both sides send first (BEP 3), and the reserved bits in them.

use thiserror::Error;

use super::PeerId;
use crate::id::InfoHash;

/// Length of a handshake, bytes.
pub const LEN: usize = 68;

/// What every plaintext connection starts with.
pub const PREFIX: &[u8; 20] = b"\x13BitTorrent protocol";

/// Why bytes are not a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Error {
    #[error("not the BitTorrent protocol")]
    Protocol,
}

/// A decoded handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    pub reserved: [u8; 8],
    pub infohash: InfoHash,
    pub peer_id: PeerId,
}

impl Handshake {
    /// Ours: extension protocol (BEP 10), fast extension (BEP 6) and, when `dht`, the DHT bit (BEP 5).
    pub fn ours(infohash: InfoHash, peer_id: PeerId, dht: bool) -> Self {
        let mut reserved = [0; 8];
        reserved[5] |= 0x10;
        reserved[7] |= 0x04 | u8::from(dht);
        Self {
            reserved,
            infohash,
            peer_id,
        }
    }

    /// BEP 10: understands extended messages.
    pub fn extended(&self) -> bool {
        self.reserved[5] & 0x10 != 0
    }

    /// BEP 6: understands have-all, reject, allowed-fast.
    pub fn fast(&self) -> bool {
        self.reserved[7] & 0x04 != 0
    }

    /// BEP 5: wants to hear our DHT port.
    pub fn dht(&self) -> bool {
        self.reserved[7] & 0x01 != 0
    }

    pub fn encode(&self) -> [u8; LEN] {
        let mut out = [0; LEN];
        out[..20].copy_from_slice(PREFIX);
        out[20..28].copy_from_slice(&self.reserved);
        out[28..48].copy_from_slice(&self.infohash.0);
        out[48..].copy_from_slice(&self.peer_id);
        out
    }

    pub fn decode(bytes: &[u8; LEN]) -> Result<Self, Error> {
        if bytes[..20] != PREFIX[..] {
            return Err(Error::Protocol);
        }
        let mut handshake = Self {
            reserved: [0; 8],
            infohash: InfoHash([0; 20]),
            peer_id: [0; 20],
        };
        handshake.reserved.copy_from_slice(&bytes[20..28]);
        handshake.infohash.0.copy_from_slice(&bytes[28..48]);
        handshake.peer_id.copy_from_slice(&bytes[48..]);
        Ok(handshake)
    }
}

/// What the first bytes of a connection say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// All bytes so far fit the plaintext handshake, but fewer than 20 are here.
    Undecided,
    Plain,
    /// Something else: an MSE key, or noise.
    Other,
}

/// Looks at the first bytes of a connection; an MSE key begins with the same 20 bytes once in 2^160.
pub fn opening(bytes: &[u8]) -> Opening {
    let seen = bytes.len().min(PREFIX.len());
    match bytes[..seen] == PREFIX[..seen] {
        false => Opening::Other,
        true if seen == PREFIX.len() => Opening::Plain,
        true => Opening::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_survives_the_wire() {
        let ours = Handshake::ours(InfoHash([7; 20]), *b"-GY0100-abcdefghijkl", true);
        let wire = ours.encode();
        assert_eq!(wire[..20], *b"\x13BitTorrent protocol");
        assert_eq!(wire[20..28], [0, 0, 0, 0, 0, 0x10, 0, 0x05]);
        assert_eq!(Handshake::decode(&wire), Ok(ours));
        assert!(ours.extended() && ours.fast() && ours.dht());
        let mut wrong = wire;
        wrong[3] ^= 1;
        assert_eq!(Handshake::decode(&wrong), Err(Error::Protocol));
    }

    #[test]
    fn the_first_bytes_tell_plain_from_encrypted() {
        assert_eq!(opening(b""), Opening::Undecided);
        assert_eq!(opening(b"\x13BitTorr"), Opening::Undecided);
        assert_eq!(opening(b"\x13BitTorrent protocol\0"), Opening::Plain);
        assert_eq!(opening(b"\x13BitTorrenT"), Opening::Other);
        assert_eq!(opening(b"GET / HTTP/1.1"), Opening::Other);
    }
}
