//! KRPC messages (BEP 5) with what BEP 32, 33, 42, 43, 44 and 51 add. Stored values (`v` of BEP 44) and every key we do not
//! know stay the exact bytes they came in, so that a message that is decoded and encoded again is the same message.
//!
//! Reading order: the types here, [`decode`], [`encode`].

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

pub use decode::decode;
pub use encode::{compact_nodes, error};

use super::id::{Contact, Family, Id};
use crate::{id::Target, key::PublicKey, record::immutable_target};

/// Longest transaction id we answer; libtorrent uses 2 bytes, mainline 4.
pub const TID_MAX: usize = 20;

/// Keys we do not know, with their values as raw bencoding.
pub type Extra<'a> = Vec<(&'a [u8], &'a [u8])>;

/// Error codes of KRPC (BEP 5) and of storage (BEP 44).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Generic = 201,
    Server = 202,
    /// Malformed packet, invalid arguments or a bad token; unsorted keys around a stored value.
    Protocol = 203,
    Unknown = 204,
    ValueTooBig = 205,
    Signature = 206,
    SaltTooBig = 207,
    CasMismatch = 301,
    SeqTooLow = 302,
}

/// One datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// 1 to 20 bytes, chosen by whoever asks.
    pub tid: &'a [u8],
    pub body: Body<'a>,
    /// Client and version, as in `LT\x02\x08`.
    pub version: Option<&'a [u8]>,
    /// How the sender sees our address (BEP 42).
    pub ip: Option<SocketAddr>,
    /// The sender answers no queries (BEP 43).
    pub read_only: bool,
    /// False when dictionary keys were unsorted: tolerated, except around stored values.
    pub canonical: bool,
    pub extra: Extra<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    Query(Query<'a>),
    Reply(Box<Reply<'a>>),
    Error { code: i64, text: &'a [u8] },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<'a> {
    pub id: Id,
    pub ask: Ask<'a>,
    pub want: Want,
    pub extra: Extra<'a>,
}

/// Which node lists the asker wants (BEP 32). Neither: that of the family it asked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Want {
    pub v4: bool,
    pub v6: bool,
}

impl Want {
    pub fn includes(self, family: Family, asked_in: Family) -> bool {
        match family {
            _ if !self.v4 && !self.v6 => family == asked_in,
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask<'a> {
    Ping,
    FindNode {
        target: Id,
    },
    GetPeers {
        info_hash: Id,
        scrape: bool,
        noseed: bool,
    },
    AnnouncePeer(Announce<'a>),
    SampleInfohashes {
        target: Id,
    },
    Get {
        target: Id,
        seq: Option<i64>,
    },
    Put(Put<'a>),
    /// A method we do not know: answered with error 204. Its arguments stay in [`Query::extra`].
    Other(&'a [u8]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announce<'a> {
    pub info_hash: Id,
    pub port: u16,
    /// Use the port the datagram came from instead.
    pub implied_port: bool,
    /// The announcer has everything (BEP 33).
    pub seed: bool,
    pub token: &'a [u8],
}

/// An item to store (BEP 44). Immutable when there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put<'a> {
    pub token: &'a [u8],
    /// Raw bencoding of the value.
    pub v: &'a [u8],
    pub signed: Option<Signed<'a>>,
    pub cas: Option<i64>,
}

/// What makes an item mutable. Not verified here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<'a> {
    pub key: &'a [u8; 32],
    pub salt: &'a [u8],
    pub seq: i64,
    pub sig: &'a [u8; 64],
}

/// A reply has the keys its query asked for; which query that was only the asker knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply<'a> {
    pub id: Id,
    pub nodes: Option<Vec<Contact>>,
    pub nodes6: Option<Vec<Contact>>,
    pub token: Option<&'a [u8]>,
    pub values: Option<Vec<SocketAddr>>,
    /// Bloom filters over seeds and other peers (BEP 33).
    pub seeds: Option<&'a [u8; 256]>,
    pub peers: Option<&'a [u8; 256]>,
    pub samples: Option<Samples<'a>>,
    /// The stored item (BEP 44): `v` as raw bencoding; without `v` only the sequence number is known.
    pub v: Option<&'a [u8]>,
    pub key: Option<&'a [u8; 32]>,
    pub sig: Option<&'a [u8; 64]>,
    pub seq: Option<i64>,
    pub extra: Extra<'a>,
}

/// BEP 51.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Samples<'a> {
    pub interval_secs: i64,
    pub num: i64,
    /// Infohashes of 20 bytes each, one after the other.
    pub hashes: &'a [u8],
}

/// A datagram that is no message. `tid` is set when it was a query that deserves an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal<'a> {
    pub tid: Option<&'a [u8]>,
    pub reason: &'static str,
}

impl<'a> Message<'a> {
    pub fn new(tid: &'a [u8], body: Body<'a>) -> Self {
        Self {
            tid,
            body,
            version: None,
            ip: None,
            read_only: false,
            canonical: true,
            extra: Vec::new(),
        }
    }
}

impl Put<'_> {
    /// Where it belongs.
    pub fn target(&self) -> Target {
        match &self.signed {
            None => immutable_target(self.v),
            Some(signed) => Target(PublicKey(*signed.key).target(signed.salt)),
        }
    }
}

impl Ask<'_> {
    /// The name on the wire.
    pub fn method(&self) -> &[u8] {
        match self {
            Ask::Ping => b"ping",
            Ask::FindNode { .. } => b"find_node",
            Ask::GetPeers { .. } => b"get_peers",
            Ask::AnnouncePeer(_) => b"announce_peer",
            Ask::SampleInfohashes { .. } => b"sample_infohashes",
            Ask::Get { .. } => b"get",
            Ask::Put(_) => b"put",
            Ask::Other(name) => name,
        }
    }
}
