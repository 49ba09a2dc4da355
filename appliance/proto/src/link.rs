//! Link records: TXT records by which a domain of the ordinary web says where it lives in BitTorrent.
//!
//! ```text
//! _btlink.<domain>   magnet:?xs=urn:btpk:… | magnet:?xt=urn:btih:… | <host> under our top-level name | its labels alone
//! _dnslink.<domain>  dnslink=/btpk/<key>[:<salt in hex>] | dnslink=/btih/<infohash> | <infohash>-ih | [salt-]<key>-pk
//! <domain>           wtpkey=<40 hex>, with or without quotes
//! ```
//!
//! Invalid records are ignored, the valid ones sorted, the first taken, as DNSLink does.

use crate::{
    id::InfoHash,
    key::{PublicKey, SALT_MAX},
    magnet,
    name::{Address, Domains, Host, TLD},
};

/// Records of one name that are looked at, and the longest one, bytes.
const RECORDS_MAX: usize = 64;
const RECORD_LEN_MAX: usize = 4_096;

/// Which of the three kinds of record said it; the first one that answers counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `_btlink.<domain>`: a magnet or a host.
    Btlink,
    /// `_dnslink.<domain>`: `dnslink=/btpk/…`, `/btih/…` or a label.
    Dnslink,
    /// `<domain>` itself: `wtpkey=<40 hex>` (wtp-ext).
    Wtpkey,
}

impl Kind {
    /// In the order they are asked.
    pub const ALL: [Kind; 3] = [Kind::Btlink, Kind::Dnslink, Kind::Wtpkey];

    /// The name to ask for TXT records.
    pub fn name(self, domain: &str) -> String {
        match self {
            Kind::Btlink => format!("_{TLD}.{domain}"),
            Kind::Dnslink => format!("_dnslink.{domain}"),
            Kind::Wtpkey => domain.to_owned(),
        }
    }

    /// As a person knows it.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Btlink => "_btlink",
            Kind::Dnslink => "_dnslink",
            Kind::Wtpkey => "wtpkey",
        }
    }
}

/// The address a set of TXT records names, the character strings of each joined (RFC 1035 §3.3.14). Another domain is
/// `Address::Domain`: the caller goes on there. Never a petname: those belong to the household.
pub fn read(kind: Kind, records: &[Vec<u8>]) -> Option<Address> {
    let texts = records.iter().take(RECORDS_MAX);
    let mut texts: Vec<&str> = texts
        .filter(|record| record.len() <= RECORD_LEN_MAX)
        .filter_map(|record| std::str::from_utf8(record).ok())
        .map(str::trim)
        .collect();
    texts.sort_unstable();
    texts.into_iter().find_map(|text| match kind {
        Kind::Btlink => btlink(text),
        Kind::Dnslink => dnslink(text),
        Kind::Wtpkey => wtpkey(text),
    })
}

fn btlink(text: &str) -> Option<Address> {
    let scheme = text
        .get(..7)
        .is_some_and(|head| head.eq_ignore_ascii_case("magnet:"));
    if !scheme {
        return label(text);
    }
    let magnet = magnet::parse(text).ok()?;
    match (magnet.key, magnet.infohash, magnet.infohash_v2) {
        (Some(key), ..) => Some(Address::Key {
            key,
            salt: magnet.salt,
        }),
        (None, Some(infohash), _) => Some(Address::Torrent(infohash)),
        (None, None, v2) => v2.map(Address::TorrentV2),
    }
}

fn dnslink(text: &str) -> Option<Address> {
    let text = text.strip_prefix("dnslink=").unwrap_or(text);
    let Some(path) = text.strip_prefix('/') else {
        return label(text);
    };
    let (space, rest) = path.split_once('/')?;
    // What follows the identifier is a path, which an address does not have.
    let id = rest.split('/').next().unwrap_or_default();
    match space {
        "btih" => infohash(id).map(Address::Torrent),
        "btpk" => {
            let (key, salt) = id.split_once(':').unwrap_or((id, ""));
            let salt = data_encoding::HEXLOWER_PERMISSIVE.decode(salt.as_bytes()).ok()?;
            let key = PublicKey::from_label(key)?;
            (salt.len() <= SALT_MAX).then_some(Address::Key { key, salt })
        }
        // Links from domain to domain, as DNSLink has them.
        "dnslink" => label(id),
        _ => None,
    }
}

fn infohash(text: &str) -> Option<InfoHash> {
    let magnet = magnet::parse(&format!("magnet:?xt=urn:btih:{text}")).ok()?;
    magnet.infohash
}

/// `wtpkey=` and 40 digits, in any case, with or without quotes.
fn wtpkey(text: &str) -> Option<Address> {
    let text = text.strip_prefix('"').unwrap_or(text);
    let text = text.strip_suffix('"').unwrap_or(text);
    let (key, digits) = text.split_at_checked(7)?;
    let digits = key.eq_ignore_ascii_case("wtpkey=").then_some(digits)?;
    InfoHash::from_hex(digits).map(Address::Torrent)
}

/// A host under our top-level name, or what stands before it, or another domain.
fn label(text: &str) -> Option<Address> {
    let domains = Domains::default();
    let site = |host: &str| match domains.read(host) {
        Ok(Host::Site { address, .. }) if !matches!(address, Address::Petname(_)) => Some(address),
        Ok(Host::Old { now }) => match domains.read(&now) {
            Ok(Host::Site { address, .. }) => Some(address),
            _ => None,
        },
        _ => None,
    };
    if text.contains(':') {
        return None;
    }
    if let Some(address) = site(text).or_else(|| site(&format!("{text}.{TLD}"))) {
        return Some(address);
    }
    match domains.read(text) {
        Ok(Host::Foreign(name)) if crate::name::is_domain(&name) => Some(Address::Domain(name)),
        _ => None,
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
