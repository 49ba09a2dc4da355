//! Public keys of mutable items (BEP 44, 46) and their spellings.
//!
//! We write hexadecimal in magnets and base36 in hosts, where 64 digits do not fit a label; we read those and the
//! base32 alphabets that other programs write.

use std::fmt;

use aws_lc_rs::digest;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

/// An Ed25519 public key. Not checked to be a point on the curve: an address may be wrong without being malformed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

/// Longest base36 spelling of 32 bytes: 36^50 > 2^256 > 36^49.
pub const BASE36_MAX: usize = 50;

/// Longest salt, bytes (BEP 44).
pub const SALT_MAX: usize = 64;

const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
pub(crate) const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
pub(crate) const Z_BASE32: &[u8; 32] = b"ybndrfg8ejkmcpqxot1uwisza345h769";
pub(crate) const BASE32_HEX: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

impl PublicKey {
    /// 64 hexadecimal digits, 52 characters of base32 (RFC 4648), z-base-32 or base32hex, in any case. The last of 52
    /// characters carries one bit, so it tells the three alphabets apart. Short strings are not guessed to be base36.
    pub fn from_text(text: &str) -> Option<Self> {
        match text.len() {
            64 => HEXLOWER_PERMISSIVE
                .decode(text.as_bytes())
                .ok()?
                .try_into()
                .ok()
                .map(Self),
            52 => {
                let text = text.to_ascii_lowercase();
                let alphabet = match text.as_bytes()[51] {
                    b'a' | b'q' => BASE32,
                    b'y' | b'o' => Z_BASE32,
                    b'0' | b'g' => BASE32_HEX,
                    _ => return None,
                };
                base32(&text, alphabet)?.try_into().ok().map(Self)
            }
            _ => None,
        }
    }

    /// As [`PublicKey::from_text`], and 1 to 50 characters of base36: for host labels and after `urn:btpk:`, where it
    /// is known that a key is meant.
    pub fn from_label(text: &str) -> Option<Self> {
        if text.len() <= BASE36_MAX {
            from_base36(text).map(Self)
        } else {
            Self::from_text(text)
        }
    }

    /// Lower-case base36 as go-base36 writes it: one leading `0` for each leading zero byte.
    pub fn to_base36(&self) -> String {
        to_base36(&self.0)
    }

    /// Where the DHT keeps the item: SHA-1 of the key followed by the salt (BEP 44).
    pub fn target(&self, salt: &[u8]) -> [u8; 20] {
        let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        context.update(&self.0);
        context.update(salt);
        context
            .finish()
            .as_ref()
            .try_into()
            .expect("SHA-1 gives 20 bytes")
    }

    /// The first eight digits: enough to find one site's lines in a log without logging the whole address.
    pub fn short(&self) -> String {
        HEXLOWER.encode(&self.0[..4])
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// 1 to 50 base36 digits as a big-endian number, padded to 32 bytes; `None` at 2^256 and above.
pub fn from_base36(text: &str) -> Option<[u8; 32]> {
    if text.is_empty() || text.len() > BASE36_MAX {
        return None;
    }
    let mut value = [0u8; 32];
    for digit in text.chars() {
        let mut carry = digit.to_digit(36)?;
        for byte in value.iter_mut().rev() {
            carry += u32::from(*byte) * 36;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry > 0 {
            return None;
        }
    }
    Some(value)
}

/// The spelling [`from_base36`] reads, with one leading `0` for each leading zero byte.
pub fn to_base36(bytes: &[u8; 32]) -> String {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let mut value = *bytes;
    let mut digits = Vec::with_capacity(BASE36_MAX);
    while value.iter().any(|b| *b != 0) {
        let mut rest = 0u32;
        for byte in &mut value {
            rest = rest << 8 | u32::from(*byte);
            *byte = (rest / 36) as u8;
            rest %= 36;
        }
        digits.push(BASE36[rest as usize]);
    }
    digits.extend(std::iter::repeat_n(b'0', zeros));
    digits.iter().rev().map(|digit| *digit as char).collect()
}

/// 32 characters of RFC 4648 base32 in any case: how old magnets write an infohash.
pub(crate) fn infohash_from_base32(text: &str) -> Option<[u8; 20]> {
    base32(&text.to_ascii_lowercase(), BASE32)?.try_into().ok()
}

/// Unpadded base32; bits after the last whole byte must be zero.
pub(crate) fn base32(text: &str, alphabet: &[u8; 32]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut held) = (0u32, 0u32);
    for symbol in text.bytes() {
        let value = alphabet.iter().position(|a| *a == symbol)? as u32;
        bits = bits << 5 | value;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0 && held < 5).then_some(bytes)
}
