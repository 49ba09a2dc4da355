//! Magnets (BEP 9, 46, 53) and everything else a person pastes to open a site.
//!
//! Reading order: this file (what a magnet is), `read`, `write`, `paste` (bare hashes, other schemes, page addresses).

mod paste;
mod read;
mod write;

use std::{net::SocketAddr, ops::RangeInclusive};

use thiserror::Error;

pub use paste::{Pasted, Refusal, paste};
pub use read::parse;

use crate::{
    id::InfoHash,
    key::{PublicKey, SALT_MAX},
};

/// Longest magnet read, bytes: twenty trackers of 2 KiB and a name fit.
pub const MAGNET_MAX: usize = 64 << 10;

/// Most peers and most ranges of files taken from one magnet.
pub const PEERS_MAX: usize = 50;

/// Longest name, tracker, web seed or source taken, bytes; longer ones are ignored.
pub const VALUE_MAX: usize = 2_048;

/// A magnet that names at least one of `infohash`, `infohash_v2` and `key`. When it names a key and an infohash, the key
/// leads and the infohash is what to show while the DHT is silent.
///
/// Everything but the three is a hint of a stranger: addresses may point into the home network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Magnet {
    /// `xt=urn:btih:`; the first one when several are given.
    pub infohash: Option<InfoHash>,
    /// `xt=urn:btmh:1220…`, the whole SHA-256 of a v2 info dictionary.
    pub infohash_v2: Option<[u8; 32]>,
    /// `xs=urn:btpk:` (BEP 46).
    pub key: Option<PublicKey>,
    /// `s=`, at most 64 bytes; empty without a key.
    pub salt: Vec<u8>,
    /// `dn`, without control characters.
    pub name: Option<String>,
    /// `tr`: `http`, `https` and `udp`.
    pub trackers: Vec<String>,
    /// `ws` and `as`: `http` and `https`.
    pub web_seeds: Vec<String>,
    /// `xs`: where the `.torrent` file may be had, `http` and `https`.
    pub sources: Vec<String>,
    /// `x.pe`. Numeric addresses only: looking up a stranger's name would tell the stranger who asked.
    pub peers: Vec<SocketAddr>,
    /// `so` (BEP 53): the files wanted, by their indices; empty means all.
    pub select: Vec<RangeInclusive<u32>>,
}

/// Why a text is no magnet we can open.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    #[error("this is no magnet link: it does not begin with \"magnet:?\"")]
    NotAMagnet,
    #[error("the magnet link is longer than {MAGNET_MAX} bytes")]
    Long,
    #[error("the magnet link names no torrent and no key: no xt=urn:btih:, xt=urn:btmh: or xs=urn:btpk:")]
    Nothing,
    #[error("\"{0}\" is no infohash: 40 hexadecimal digits or 32 characters of base32")]
    InfoHash(String),
    #[error("\"{0}\" is no v2 infohash: 1220 and 64 hexadecimal digits")]
    InfoHashV2(String),
    #[error("\"{0}\" is no key: 64 hexadecimal digits")]
    Key(String),
    #[error("the salt is not hexadecimal digits of at most {SALT_MAX} bytes")]
    Salt,
}

#[cfg(test)]
mod tests;
