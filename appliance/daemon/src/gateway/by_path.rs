//! Sites on the box's own names, for devices without PAC and DNS: `/btih/<hex>/…`, `/btpk/<key>[:<salt in hex>]/…`,
//! `/btdl/<domain>/…`, `/bt44/<hex>`. A redirect to the site's own host for whoever can reach it, else the site in place,
//! behind a wall, because all sites share this origin.

use std::sync::Arc;

use hyper::StatusCode;
use proto::{
    id::InfoHash,
    key::{PublicKey, SALT_MAX},
    name::{Address, Domains, Host, TLD},
};

use super::{
    SiteSource,
    answer::Shared,
    error_page, mutable,
    reply::{self, Ask, Reply, Wall},
    route::Refusal,
    site::Visit,
};

/// What a path names: the address, its path in the one spelling we use, and what comes below.
pub struct Place<'a> {
    pub address: Address,
    base: String,
    /// `None`: without a slash after the address.
    below: Option<&'a str>,
    respelled: bool,
}

/// Is this path of the box's own names one of these?
pub fn is_path(path: &str) -> bool {
    parts(path).is_some()
}

fn parts(path: &str) -> Option<(&str, &str)> {
    let (kind, rest) = path.strip_prefix('/')?.split_once('/')?;
    ["btih", "btpk", "bt44", "btdl"]
        .contains(&kind)
        .then_some((kind, rest))
}

/// `None`: not a path of this kind. `Err`: one, and malformed.
pub fn read(path: &str) -> Option<Result<Place<'_>, Refusal>> {
    let (kind, rest) = parts(path)?;
    let (name, below) = rest
        .split_once('/')
        .map_or((rest, None), |(name, below)| (name, Some(below)));
    let address = match kind {
        "btih" => torrent(name),
        "btpk" => key(name),
        "bt44" => InfoHash::from_hex(name).map(|hash| Address::Item(hash.0)),
        _ => domain(name),
    };
    let found = address.and_then(|address| Some((base(&address)?, address)));
    Some(found.ok_or(Refusal::Host).map(|(base, address)| Place {
        respelled: base != path[..path.len() - below.map_or(0, |below| below.len() + 1)],
        address,
        base,
        below,
    }))
}

/// The path of an address on the box's own names; names of this home have none, they are for hosts.
pub fn base(address: &Address) -> Option<String> {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    Some(match address {
        Address::Torrent(ih) => format!("/btih/{ih}"),
        Address::TorrentV2(hash) => format!("/btih/{}", hex(hash)),
        Address::Key { key, salt } if salt.is_empty() => format!("/btpk/{}", hex(&key.0)),
        Address::Key { key, salt } => format!("/btpk/{}:{}", hex(&key.0), hex(salt)),
        Address::Item(target) => format!("/bt44/{}", hex(target)),
        Address::Domain(domain) => format!("/btdl/{domain}"),
        Address::Petname(_) => return None,
    })
}

/// Answers. `named`: the client can open sites on their own hosts.
pub async fn serve<S: SiteSource>(
    shared: &Arc<Shared<S>>,
    ask: &Ask<'_>,
    place: Place<'_>,
    named: bool,
) -> Reply {
    let query = ask.parts.uri.query().map(|query| format!("?{query}"));
    let query = query.unwrap_or_default();
    let Place {
        address, base, below, ..
    } = place;
    if let Some(host) = address.host(TLD).filter(|_| named) {
        let below = below.unwrap_or_default();
        let to = format!("http://{host}/{below}{query}");
        return reply::redirect(StatusCode::MOVED_PERMANENTLY, &to);
    }
    if below.is_none() || place.respelled {
        let to = format!("{base}/{}{query}", below.unwrap_or_default());
        return reply::redirect(StatusCode::PERMANENT_REDIRECT, &to);
    }
    let raw = format!("/{}", below.unwrap_or_default());
    match address {
        Address::Torrent(ih) => {
            let visit = Visit::new(shared, ask, ih, Wall::Path, base);
            visit.serve_any(&raw).await
        }
        address => mutable::serve(shared, ask, address, Wall::Path, base, &raw).await,
    }
}

pub fn malformed(refusal: Refusal, ask: &Ask<'_>) -> Reply {
    error_page::refused(refusal).reply(ask)
}

fn torrent(name: &str) -> Option<Address> {
    match InfoHash::from_hex(name) {
        Some(ih) => Some(Address::Torrent(ih)),
        None => {
            let hash = data_encoding::HEXLOWER_PERMISSIVE.decode(name.as_bytes()).ok()?;
            hash.try_into().ok().map(Address::TorrentV2)
        }
    }
}

fn key(name: &str) -> Option<Address> {
    let (key, salt) = name.split_once(':').unwrap_or((name, ""));
    let salt = data_encoding::HEXLOWER_PERMISSIVE.decode(salt.as_bytes()).ok()?;
    let key = PublicKey::from_text(key).or_else(|| PublicKey::from_label(&key.to_ascii_lowercase()))?;
    (salt.len() <= SALT_MAX).then_some(Address::Key { key, salt })
}

/// Read as its own host is, so that both have the same grammar.
fn domain(name: &str) -> Option<Address> {
    let address = Address::Domain(name.trim_end_matches('.').to_ascii_lowercase());
    match Domains::default().read(&address.host(TLD)?).ok()? {
        Host::Site { address: known, .. } if known == address => Some(address),
        _ => None,
    }
}
