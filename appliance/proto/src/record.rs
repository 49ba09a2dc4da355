//! Items of the DHT (BEP 44): signing, checking, which of two counts, and what a value means (BEP 46, pkarr).
//!
//! A value is kept as the exact bytes it came in: a signature covers bytes, not meanings, and a record is put again byte
//! for byte without its key.

use aws_lc_rs::digest;
use ed25519_dalek::{Signature, VerifyingKey};

use crate::{
    bencode::{self, Value},
    dht::krpc::Code,
    id::{InfoHash, Target},
    key::{PublicKey, SALT_MAX},
    secret::SecretKey,
};

/// Longest bencoded value, bytes (BEP 44).
pub const VALUE_MAX: usize = 1000;

/// Why an item is no item. The message names the rule; the wire has a code for each (BEP 44).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the value has more than {VALUE_MAX} bytes")]
    ValueTooBig,
    #[error("the value is not bencoded, or its keys are not sorted")]
    Bencoding,
    #[error("a salt has at most {SALT_MAX} bytes")]
    SaltTooBig,
    #[error("the sequence number is below 0")]
    Seq,
    #[error("the signature does not fit the key and the value")]
    Signature,
    #[error("the item belongs to another address")]
    Target,
    #[error("this is no record: a bencoded dictionary with k, seq, sig, v and maybe salt")]
    Shape,
}

impl Error {
    /// The code on the wire (BEP 44).
    pub fn code(self) -> Code {
        match self {
            Error::ValueTooBig => Code::ValueTooBig,
            Error::SaltTooBig => Code::SaltTooBig,
            Error::Signature => Code::Signature,
            Error::Bencoding | Error::Seq | Error::Target | Error::Shape => Code::Protocol,
        }
    }
}

/// An item signed by a key. Not checked until [`Mutable::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutable {
    pub key: PublicKey,
    /// Empty: no salt.
    pub salt: Vec<u8>,
    /// 0 to `i64::MAX`.
    pub seq: i64,
    /// Bencoded, verbatim, at most [`VALUE_MAX`] bytes.
    pub value: Vec<u8>,
    pub sig: [u8; 64],
}

impl Mutable {
    /// Signs `value`, which must be bencoded already.
    pub fn sign(secret: &SecretKey, salt: &[u8], seq: i64, value: &[u8]) -> Result<Self, Error> {
        rules(salt, seq, value)?;
        Ok(Self {
            key: secret.public(),
            salt: salt.to_vec(),
            seq,
            value: value.to_vec(),
            sig: secret.sign(&signed_bytes(salt, seq, value)),
        })
    }

    /// Every rule of BEP 44, the signature last. Strict: small-order keys, whose signatures anybody can forge, are refused.
    pub fn check(&self) -> Result<(), Error> {
        self.rules()?;
        let key = VerifyingKey::from_bytes(&self.key.0).map_err(|_| Error::Signature)?;
        let signed = signed_bytes(&self.salt, self.seq, &self.value);
        key.verify_strict(&signed, &Signature::from_bytes(&self.sig))
            .map_err(|_| Error::Signature)
    }

    /// Every rule but the signature: cheap.
    pub fn rules(&self) -> Result<(), Error> {
        rules(&self.salt, self.seq, &self.value)
    }

    /// Where the DHT keeps it.
    pub fn target(&self) -> Target {
        Target(self.key.target(&self.salt))
    }

    pub fn meaning(&self) -> Meaning {
        meaning(&self.value)
    }

    /// As a file: `d k salt seq sig v e`, without `salt` when there is none.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = b"d1:k32:".to_vec();
        out.extend_from_slice(&self.key.0);
        if !self.salt.is_empty() {
            out.extend_from_slice(b"4:salt");
            out.extend_from_slice(&Value::Bytes(self.salt.clone()).encode());
        }
        out.extend_from_slice(format!("3:seqi{}e3:sig64:", self.seq).as_bytes());
        out.extend_from_slice(&self.sig);
        out.extend_from_slice(b"1:v");
        out.extend_from_slice(&self.value);
        out.push(b'e');
        out
    }

    /// Reads what [`Mutable::encode`] wrote and checks it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let item = Self::read(bytes).ok_or(Error::Shape)?;
        item.check()?;
        Ok(item)
    }

    /// Reads without checking. Keys may come in any order: other programs write such files too.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let fields = bencode::scan::scan(bytes)
            .ok()?
            .fields(["k", "salt", "seq", "sig", "v"]);
        let [key, salt, seq, sig, value] = fields.ok()??;
        Some(Self {
            key: PublicKey(key?.bytes()?.try_into().ok()?),
            salt: match salt {
                Some(salt) => salt.bytes()?.to_vec(),
                None => Vec::new(),
            },
            seq: seq?.int()?,
            value: value?.raw().to_vec(),
            sig: sig?.bytes()?.try_into().ok()?,
        })
    }
}

fn rules(salt: &[u8], seq: i64, value: &[u8]) -> Result<(), Error> {
    if salt.len() > SALT_MAX {
        return Err(Error::SaltTooBig);
    }
    if seq < 0 {
        return Err(Error::Seq);
    }
    check_value(value)
}

/// Whether `value` may be stored: its length, and strict bencoding.
pub fn check_value(value: &[u8]) -> Result<(), Error> {
    if value.len() > VALUE_MAX {
        return Err(Error::ValueTooBig);
    }
    bencode::parse(value).map(drop).map_err(|_| Error::Bencoding)
}

/// What the signature covers (BEP 44): `[4:salt<salt>]3:seqi<seq>e1:v<value>`.
pub fn signed_bytes(salt: &[u8], seq: i64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + salt.len() + 48);
    if !salt.is_empty() {
        out.extend_from_slice(format!("4:salt{}:", salt.len()).as_bytes());
        out.extend_from_slice(salt);
    }
    out.extend_from_slice(format!("3:seqi{seq}e1:v").as_bytes());
    out.extend_from_slice(value);
    out
}

/// Where the DHT keeps an immutable item: SHA-1 of its bencoding.
pub fn immutable_target(value: &[u8]) -> Target {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, value);
    Target(hash.as_ref().try_into().expect("SHA-1 gives 20 bytes"))
}

/// What is done with an item for an address whose record is known or not. Never down in `seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The first one.
    New,
    /// A higher sequence number.
    Newer,
    /// The same number and value.
    Same,
    /// A lower number: ours stands, and ours is what others should have.
    Older,
    /// The same number with another value: the first seen stands, and the owner is warned.
    Conflict,
}

/// Both must be checked and belong to one address.
pub fn judge(known: Option<(i64, &[u8])>, offered: &Mutable) -> Verdict {
    match known {
        None => Verdict::New,
        Some((seq, _)) if offered.seq > seq => Verdict::Newer,
        Some((seq, _)) if offered.seq < seq => Verdict::Older,
        Some((_, value)) if value == offered.value => Verdict::Same,
        Some(_) => Verdict::Conflict,
    }
}

/// What a value says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// BEP 46: a dictionary whose `ih` has 20 bytes. In decentweb the same 20 bytes are the SHA-1 of a manifest: only
    /// the swarm's answer tells.
    Torrent(InfoHash),
    /// A signed DNS packet (pkarr): a byte string that is a DNS message.
    Packet(Vec<u8>),
    /// Something else.
    Other,
}

pub fn meaning(value: &[u8]) -> Meaning {
    let Ok(node) = bencode::parse(value) else {
        return Meaning::Other;
    };
    if let Some(ih) = node.get(b"ih").and_then(|ih| ih.bytes()) {
        return match ih.try_into() {
            Ok(ih) => Meaning::Torrent(InfoHash(ih)),
            Err(_) => Meaning::Other,
        };
    }
    match node.bytes() {
        Some(bytes) if is_dns_message(bytes) => Meaning::Packet(bytes.to_vec()),
        _ => Meaning::Other,
    }
}

/// The value of a BEP 46 record: `d2:ih20:…e`.
pub fn torrent_value(ih: &InfoHash) -> Vec<u8> {
    Value::dict([("ih", Value::bytes(ih.0))]).encode()
}

/// A header (RFC 1035 §4.1.1) of a response without questions and with answers, as pkarr makes them.
fn is_dns_message(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk::<12>() else {
        return false;
    };
    let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    header[2] & 0x80 != 0 && count(4) == 0 && count(6) > 0
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
