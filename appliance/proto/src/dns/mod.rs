//! What a question of the LAN is answered with: everything of DNS that needs only its inputs.
//!
//! Names stand here as they do on the wire (length bytes, no compression, the root's zero at the end), in lower case unless
//! said otherwise: what a question carries is then compared and hashed without being copied into text.
//!
//! Reading order: `name`, `query` (a question, read without allocation), `edns`, `cookie`, `reply` (writing), `zone` (what is
//! ours) and `special` (what nobody's is), `decide`, then what upstreams say: `message` (reading), `digest` (what of it we
//! keep), `rebind`, `cache`; and `marker`, `limits`; `blocklist`. `upstream` is
//! about asking other resolvers.

pub mod blocklist;
pub mod cache;
pub mod cookie;
pub mod decide;
pub mod digest;
pub mod edns;
pub mod limits;
pub mod marker;
pub mod message;
pub mod name;
pub mod query;
pub mod rebind;
pub mod reply;
mod special;
pub mod upstream;
pub mod zone;

/// Record types that are told apart here (IANA DNS parameters).
pub mod rtype {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const HINFO: u16 = 13;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const DNAME: u16 = 39;
    pub const OPT: u16 = 41;
    pub const DS: u16 = 43;
    pub const RRSIG: u16 = 46;
    pub const NSEC: u16 = 47;
    pub const DNSKEY: u16 = 48;
    pub const NSEC3: u16 = 50;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
    pub const ANY: u16 = 255;
}

pub const CLASS_IN: u16 = 1;
pub const CLASS_CHAOS: u16 = 3;

/// Most bytes of an answer over UDP, and what we say we take (DNS flag day 2020).
pub const UDP_MAX: u16 = 1232;
/// Most bytes of an answer to a client without EDNS (RFC 1035 §4.2.1).
pub const UDP_PLAIN_MAX: u16 = 512;

/// Response codes; those above 15 need EDNS (RFC 6891 §6.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rcode {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
    BadVers = 16,
}

/// Why an answer is as it is (RFC 8914).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Stale = 3,
    Forged = 4,
    Bogus = 6,
    Blocked = 15,
    Filtered = 17,
    Unreachable = 22,
}

#[cfg(test)]
#[path = "tests/packets.rs"]
mod packets;
