//! Names of sites: what a host under our top-level domain means, and how each address is written as a host.
//!
//! ```text
//! host  = [ labels "." ] last "." domain      ; domain: ours, or one the owner configured
//! last  = 40 hex "-ih"                        ; a torrent
//!       | base36 "-ih"                        ; its v2 infohash, when not exactly 40 hex digits
//!       | [ salt "-" ] key "-pk"              ; a mutable item; labels to the left are salt too, joined with "."
//!       | [ hex "-" ] key "-pkx"              ; the same, salt in hex; labels to the left are more of it
//!       | 40 hex "-44"                        ; an immutable item
//!       | inlined "-dl"                       ; a linked domain, "." written "-" and "-" written "--"
//!       | petname                             ; a name the owner gave
//! key   = base36 (1 to 50) | base32, z-base-32 or base32hex (52)
//! ```
//!
//! `blog-K-pk` and `blog.K-pk` are the same site and two origins, because the dotted form lets the key's owner share
//! cookies with the salted subdomains; neither is redirected to the other.
//!
//! Reading order: this file (what a host can be), `host` (reading), `write` (writing).

mod host;
mod write;

use thiserror::Error;

use crate::{
    id::InfoHash,
    key::{PublicKey, SALT_MAX},
};

/// The top-level domain of the BitTorrent web. It stands nowhere else in our sources.
pub const TLD: &str = "btlink";

/// The top-level domain the first gateways used (a country's, which is why it was left): `X.ih.bt`, `S.X.pk.bt`.
pub const OLD_TLD: &str = "bt";

/// Names no site may have: the box answers to them or may one day.
pub const RESERVED: [&str; 9] = [
    "box",
    "www",
    "wpad",
    "admin",
    "test",
    "proxy",
    "localhost",
    TLD,
    OLD_TLD,
];

/// Longest host, bytes (RFC 1035 without the length bytes).
pub const HOST_MAX: usize = 253;

/// Longest label, bytes.
pub const LABEL_MAX: usize = 63;

/// What a name or link points to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// One torrent, for ever the same bytes.
    Torrent(InfoHash),
    /// The same by its v2 infohash (BEP 52).
    TorrentV2([u8; 32]),
    /// Whatever torrent the key's owner points to now (BEP 46). The salt has at most 64 bytes.
    Key { key: PublicKey, salt: Vec<u8> },
    /// An immutable item (BEP 44).
    Item([u8; 20]),
    /// A domain of the ordinary web that also lives here.
    Domain(String),
    /// A name the owner of the box gave to one of the others.
    Petname(String),
}

/// What the Host of a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// One of our domains without anything before it.
    Root { domain: String },
    /// A name of [`RESERVED`] under one of our domains: for the box itself.
    Reserved { name: String, domain: String },
    /// A site.
    Site {
        address: Address,
        /// Its host in the one spelling we use, under the same domain.
        canonical: String,
        /// The request spelled it otherwise: answer 308 to `canonical`.
        respelled: bool,
    },
    /// The form of the first gateways: answer 307 to `now`.
    Old { now: String },
    /// Not under a domain of ours: lower case, no port, no final dot.
    Foreign(String),
}

/// Why a host or address is malformed. All of them are a 400.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    #[error("the host is empty")]
    Empty,
    #[error("the host is longer than {HOST_MAX} bytes")]
    Long,
    #[error("the host holds a character that no host may have")]
    Character,
    #[error("the port is no number below 65536")]
    Port,
    #[error("a label of the host is empty, longer than {LABEL_MAX} bytes or begins or ends with a hyphen")]
    Label,
    #[error("\"{0}\" is no infohash: 40 hexadecimal digits or, for v2, up to 50 digits of base36")]
    InfoHash(String),
    #[error("\"{0}\" is no key: up to 50 digits of base36, or 52 of base32")]
    Key(String),
    #[error("a salt has at most {SALT_MAX} bytes")]
    Salt,
    #[error("\"{0}\" is no salt in hexadecimal digits")]
    SaltHex(String),
    #[error("\"{0}\" is no domain")]
    Domain(String),
    #[error("\"{0}\" is no name of a site")]
    Name(String),
}

/// The domains that are ours: [`TLD`] and the gateway domains of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domains(Vec<String>);

impl Default for Domains {
    fn default() -> Self {
        Domains(vec![TLD.to_owned()])
    }
}

impl Domains {
    /// Adds gateway domains such as `TLD.example.org`.
    pub fn new<S: AsRef<str>>(gateways: &[S]) -> Result<Self, Error> {
        let mut domains = Self::default();
        for gateway in gateways {
            let name = host::clean(gateway.as_ref())?.name;
            if !domains.0.contains(&name) {
                domains.0.push(name);
            }
        }
        // The longest first, so that the most specific one is taken.
        domains.0.sort_by_key(|name| std::cmp::Reverse(name.len()));
        Ok(domains)
    }

    /// Reads the Host header or the authority of a request target, port included.
    pub fn read(&self, host: &str) -> Result<Host, Error> {
        host::read(host, &self.0)
    }
}

/// Whether the owner may give this name to a site: letters, digits and inner hyphens, at most 32, not reserved, and
/// nothing that reads as another kind of address.
pub fn is_petname(name: &str) -> bool {
    let kinds = ["ih", "pk", "pkx", "44", "dl"];
    let last = name.rsplit('-').next().unwrap_or(name);
    host::is_label(name)
        && name.len() <= 32
        && !RESERVED.contains(&name)
        && !(name.contains('-') && kinds.contains(&last))
}

/// Whether `name` (lower case) is a domain of the ordinary web that could have link records: at least two labels, not an
/// address in digits, not under [`TLD`].
pub fn is_domain(name: &str) -> bool {
    host::is_domain(name)
}

#[cfg(test)]
mod tests;
