//! Identifiers every room uses.

use std::fmt;

/// The 20-byte v1 infohash: SHA-1 of the bencoded info dictionary (BEP 3). For v2-only torrents, the first 20 bytes of
/// the SHA-256 (BEP 52), as it is used in the DHT and on trackers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InfoHash(pub [u8; 20]);

impl InfoHash {
    /// 40 hexadecimal digits, any case.
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The first eight digits: enough to find one site's lines in a log without logging the whole address.
    pub fn short(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0[..4])
    }
}

impl fmt::Display for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfoHash({self})")
    }
}

/// Where the DHT keeps an item (BEP 44): SHA-1 of the key and salt, or of an immutable value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target(pub [u8; 20]);

impl Target {
    /// 40 hexadecimal digits, any case.
    pub fn from_hex(text: &str) -> Option<Self> {
        InfoHash::from_hex(text).map(|hash| Self(hash.0))
    }

    /// The first eight digits.
    pub fn short(&self) -> String {
        InfoHash(self.0).short()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_infohash_survives_text_in_any_case() {
        let text = "951EAD31d09e4049fc1f21f137e233dd0589fcbd";
        let hash = InfoHash::from_hex(text).expect("40 digits");
        assert_eq!(hash.to_string(), text.to_lowercase());
        assert_eq!(hash.short(), "951ead31");
        assert_eq!(InfoHash::from_hex("951ead31"), None);
        assert_eq!(InfoHash::from_hex(&"g".repeat(40)), None);
    }
}
