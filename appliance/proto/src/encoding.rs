//! The spellings of 20-byte infohashes and 32-byte keys that programs of this world use, to turn one into another.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};

use crate::key::{BASE32, BASE32_HEX, Z_BASE32, base32, from_base36, to_base36};

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Hex,
    /// 32 bytes only, as go-base36 writes them: a leading `0` for each leading zero byte.
    Base36,
    /// RFC 4648 §6, lower case, without padding.
    Base32,
    /// RFC 4648 §7, lower case, without padding.
    Base32Hex,
    /// z-base-32, as pkarr writes keys.
    ZBase32,
    /// RFC 4648 §5, without padding.
    Base64Url,
}

impl Encoding {
    pub const ALL: [Encoding; 6] = [
        Encoding::Hex,
        Encoding::Base36,
        Encoding::Base32,
        Encoding::Base32Hex,
        Encoding::ZBase32,
        Encoding::Base64Url,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Encoding::Hex => "hex",
            Encoding::Base36 => "base36",
            Encoding::Base32 => "base32",
            Encoding::Base32Hex => "base32hex",
            Encoding::ZBase32 => "zbase32",
            Encoding::Base64Url => "base64url",
        }
    }

    /// By [`Encoding::name`]; `base36lc` is another word for base36 (btlink).
    pub fn from_name(name: &str) -> Option<Self> {
        let name = if name == "base36lc" { "base36" } else { name };
        Self::ALL.into_iter().find(|encoding| encoding.name() == name)
    }

    /// `None`: this encoding has no such length.
    pub fn encode(self, bytes: &[u8]) -> Option<String> {
        Some(match self {
            Encoding::Hex => HEXLOWER.encode(bytes),
            Encoding::Base36 => to_base36(bytes.try_into().ok()?),
            Encoding::Base32 => to_base32(bytes, BASE32),
            Encoding::Base32Hex => to_base32(bytes, BASE32_HEX),
            Encoding::ZBase32 => to_base32(bytes, Z_BASE32),
            Encoding::Base64Url => BASE64URL_NOPAD.encode(bytes),
        })
    }

    /// Any case, except base64url, where it means something. `None`: not written so, or neither 20 nor 32 bytes.
    pub fn decode(self, text: &str) -> Option<Vec<u8>> {
        // The longest is hexadecimal: 64 digits.
        let lower = || (text.len() <= 64).then(|| text.to_ascii_lowercase());
        let bytes = match self {
            Encoding::Hex => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?,
            Encoding::Base36 => from_base36(&lower()?)?.to_vec(),
            Encoding::Base32 => base32(&lower()?, BASE32)?,
            Encoding::Base32Hex => base32(&lower()?, BASE32_HEX)?,
            Encoding::ZBase32 => base32(&lower()?, Z_BASE32)?,
            Encoding::Base64Url => BASE64URL_NOPAD
                .decode(text.trim_end_matches('=').as_bytes())
                .ok()?,
        };
        matches!(bytes.len(), 20 | 32).then_some(bytes)
    }

    /// The one encoding `text` can be in, by its length and last character; `None` when there is doubt. 32 characters are
    /// base32 (an infohash in old magnets), 52 tell by their last one, up to 50 others are base36.
    pub fn guess(text: &str) -> Option<Self> {
        let last = text.bytes().last()?.to_ascii_lowercase();
        match (text.len(), last) {
            (40 | 64, _) if text.bytes().all(|b| b.is_ascii_hexdigit()) => Some(Encoding::Hex),
            (52, b'a' | b'q') => Some(Encoding::Base32),
            (52, b'y' | b'o') => Some(Encoding::ZBase32),
            (52, b'0' | b'g') => Some(Encoding::Base32Hex),
            (32, _) if base32(&text.to_ascii_lowercase(), BASE32).is_some() => Some(Encoding::Base32),
            (43 | 44, _)
                if text
                    .bytes()
                    .any(|b| b.is_ascii_uppercase() || b"-_=".contains(&b)) =>
            {
                Some(Encoding::Base64Url)
            }
            (45..=50, _) if from_base36(&text.to_ascii_lowercase()).is_some() => Some(Encoding::Base36),
            _ => None,
        }
    }
}

fn to_base32(bytes: &[u8], alphabet: &[u8; 32]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(char::from(alphabet[(bits >> held & 31) as usize]));
        }
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        text.push(char::from(alphabet[(bits << (5 - held) & 31) as usize]));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Independently computed vectors.
    const VECTORS: &str = include_str!("../testdata/names.json");

    #[test]
    fn keys_are_spelled_as_other_programs_spell_them() {
        let vectors: Value = serde_json::from_str(VECTORS).expect("JSON");
        let rows = vectors["encodings"].as_array().expect("a list");
        assert!(rows.len() >= 8);
        for row in rows {
            let key = Encoding::Hex
                .decode(row["hex"].as_str().expect("hex"))
                .expect("32 bytes");
            for encoding in Encoding::ALL {
                let Some(text) = row[encoding.name()].as_str() else {
                    continue;
                };
                assert_eq!(encoding.encode(&key).as_deref(), Some(text), "{encoding:?}");
                assert_eq!(encoding.decode(text), Some(key.clone()), "{encoding:?}");
                assert_eq!(
                    encoding.decode(&text.to_uppercase()),
                    Some(key.clone()),
                    "{encoding:?}"
                );
            }
        }
    }

    #[test]
    fn names_are_those_of_the_other_programs() {
        assert_eq!(Encoding::from_name("base36lc"), Some(Encoding::Base36));
        for encoding in Encoding::ALL {
            assert_eq!(Encoding::from_name(encoding.name()), Some(encoding));
        }
        assert_eq!(Encoding::from_name("rot13"), None);
    }

    #[test]
    fn what_is_too_long_or_too_short_is_refused() {
        for encoding in Encoding::ALL {
            for text in ["", "0", "abc", &"0".repeat(65), &"a".repeat(10_000), "ä", "\0"] {
                assert!(
                    encoding.decode(text).is_none_or(|bytes| bytes.len() == 32),
                    "{encoding:?} {text:?}"
                );
            }
        }
        assert_eq!(Encoding::Base36.encode(&[0; 20]), None);
    }

    proptest! {
        #[test]
        fn every_spelling_reads_back(key in any::<[u8; 32]>(), hash in any::<[u8; 20]>()) {
            for encoding in Encoding::ALL {
                let text = encoding.encode(&key).expect("32 bytes fit");
                prop_assert_eq!(encoding.decode(&text), Some(key.to_vec()));
                if let Some(text) = encoding.encode(&hash) {
                    prop_assert_eq!(encoding.decode(&text), Some(hash.to_vec()));
                }
            }
        }

        #[test]
        fn what_is_guessed_is_what_was_written(key in any::<[u8; 32]>()) {
            for encoding in [Encoding::Hex, Encoding::Base36, Encoding::Base32, Encoding::Base32Hex, Encoding::ZBase32] {
                let text = encoding.encode(&key).expect("32 bytes fit");
                prop_assert!(Encoding::guess(&text).is_none_or(|guess| guess == encoding), "{text}");
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = Encoding::guess(&text);
            for encoding in Encoding::ALL {
                let _ = encoding.decode(&text);
            }
        }
    }
}
