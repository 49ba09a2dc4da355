//! What a person pastes into the box that opens sites: magnets, bare hashes and keys, addresses of other programs and
//! of pages.

use super::{Error, MAGNET_MAX, Magnet, parse, read};
use crate::{
    key::{BASE36_MAX, PublicKey},
    name::{Address, Domains, Host, TLD, is_domain, is_petname},
};

/// What was pasted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pasted {
    Magnet(Magnet),
    /// An address, and the path with its query below it as it was written; `/` when there is none.
    Site {
        address: Address,
        path: String,
    },
}

/// Why a text opens nothing. Each sentence says what it was taken for and what would work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("nothing was pasted; a magnet link, a site's address or an infohash opens a site")]
    Empty,
    #[error("the text is longer than {MAGNET_MAX} bytes, which no address is")]
    Long,
    #[error("the text holds control characters or spaces, which no address does")]
    Character,
    #[error(transparent)]
    Magnet(#[from] Error),
    #[error("the address is malformed: {0}")]
    Name(#[from] crate::name::Error),
    #[error("this is the box's own address, not a site's")]
    Box,
    #[error(
        "{0} is on the ordinary web and no domain; Granary opens BitTorrent sites only, so open it in the browser"
    )]
    Web(String),
    #[error("addresses that begin with \"{0}:\" belong to another program")]
    Scheme(String),
    #[error("\"{0}\" is no infohash, key or name after {1}://")]
    Address(String, &'static str),
    #[error(
        "this may be a key or a part of an address; paste the whole address, with what follows the last dot"
    )]
    Fragment,
}

/// Reads what was pasted. `domains` are the domains whose hosts are sites.
pub fn paste(text: &str, domains: &Domains) -> Result<Pasted, Refusal> {
    if text.len() > MAGNET_MAX {
        return Err(Refusal::Long);
    }
    let text = text.trim().trim_matches(['<', '>', '"', '\'']).trim();
    if text.is_empty() {
        return Err(Refusal::Empty);
    }
    // The path of "GET /magnet:?…", and the scheme that browsers hand to a registered page.
    let text = text.strip_prefix('/').unwrap_or(text);
    let ours = format!("web+{TLD}:");
    let text = match text.split_at_checked(ours.len()) {
        Some((head, rest)) if head.eq_ignore_ascii_case(&ours) => rest.strip_prefix("//").unwrap_or(rest),
        _ => text,
    };
    if text
        .get(..7)
        .is_some_and(|head| head.eq_ignore_ascii_case("magnet:"))
    {
        return Ok(Pasted::Magnet(parse(text)?));
    }
    if text
        .get(..4)
        .is_some_and(|head| head.eq_ignore_ascii_case("urn:"))
    {
        return Ok(Pasted::Magnet(parse(&format!("magnet:?xt={text}"))?));
    }
    if text.chars().any(|c| c.is_control() || c == ' ') {
        return Err(Refusal::Character);
    }
    match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme, rest) => schemed(scheme, rest, domains),
        _ => bare(text, domains),
    }
}

/// `host:8080` has a port, not a scheme.
fn is_scheme(scheme: &str, rest: &str) -> bool {
    let starts = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let letters = scheme
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    starts
        && letters
        && (rest.starts_with("//") || !rest.starts_with(|c: char| c.is_ascii_digit()) || is_ours(scheme))
}

fn is_ours(scheme: &str) -> bool {
    ["bt", "bittorrent", "wtp"]
        .iter()
        .any(|s| scheme.eq_ignore_ascii_case(s))
}

fn schemed(scheme: &str, rest: &str, domains: &Domains) -> Result<Pasted, Refusal> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (host, path) = cut(rest);
    match scheme.to_ascii_lowercase().as_str() {
        "bt" | "bittorrent" => torrent_scheme(host, path, domains),
        "wtp" => wtp(host, path),
        "http" | "https" => page(host, path, domains),
        other => Err(Refusal::Scheme(other.chars().take(32).collect())),
    }
}

/// `bt://` and `bittorrent://` (bt-fetch, Maelstrom): an infohash, a key or a name.
fn torrent_scheme(host: &str, path: String, domains: &Domains) -> Result<Pasted, Refusal> {
    if let Some(hash) = read::infohash(host) {
        return Ok(Pasted::Site {
            address: Address::Torrent(hash),
            path,
        });
    }
    if let Some(key) = PublicKey::from_text(host) {
        return Ok(Pasted::Site {
            address: Address::Key { key, salt: vec![] },
            path,
        });
    }
    let lower = host.to_ascii_lowercase();
    if is_petname(&lower) {
        return Ok(Pasted::Site {
            address: Address::Petname(lower),
            path,
        });
    }
    match domains.read(host) {
        Ok(Host::Site { address, .. }) => Ok(Pasted::Site { address, path }),
        _ => Err(Refusal::Address(shown(host), "bt")),
    }
}

/// `wtp://` (wtp-ext): an infohash or a domain.
fn wtp(host: &str, path: String) -> Result<Pasted, Refusal> {
    let refused = || Refusal::Address(shown(host), "wtp");
    let address = if host.contains('.') {
        let domain = Address::Domain(host.trim_end_matches('.').to_ascii_lowercase());
        // A domain that cannot be written as a host is none.
        let known = domain
            .host(TLD)
            .and_then(|host| Domains::default().read(&host).ok());
        known.map(|_| domain).ok_or_else(refused)?
    } else {
        Address::Torrent(crate::id::InfoHash::from_hex(host).ok_or_else(refused)?)
    };
    Ok(Pasted::Site { address, path })
}

/// The address of a page: a site's host, or a path of a gateway that names one.
fn page(host: &str, path: String, domains: &Domains) -> Result<Pasted, Refusal> {
    if let Some(at) = path.find("/magnet:?").filter(|at| *at == 0) {
        return Ok(Pasted::Magnet(parse(&path[at + 1..])?));
    }
    match domains.read(host)? {
        Host::Site { address, .. } => Ok(Pasted::Site { address, path }),
        Host::Old { now } => page(&now, path, domains),
        Host::Root { .. } | Host::Reserved { .. } => gateway_path(&path).ok_or(Refusal::Box),
        Host::Foreign(name) => gateway_path(&path)
            .or_else(|| linked(&name, path))
            .ok_or(Refusal::Web(name)),
    }
}

/// A domain of the ordinary web: its link records may say where it lives here (RFC 1464 TXT records, see `link`).
fn linked(name: &str, path: String) -> Option<Pasted> {
    let address = Address::Domain(name.to_owned());
    // The address of a torrent file means the file.
    let file = path
        .split('?')
        .next()
        .is_some_and(|path| path.ends_with(".torrent"));
    (is_domain(name) && !file).then_some(Pasted::Site { address, path })
}

/// `/btih/<hex>/…` and `/btpk/<key>[:<salt in hex>]/…`.
fn gateway_path(path: &str) -> Option<Pasted> {
    let (kind, rest) = path.strip_prefix('/')?.split_once('/')?;
    let (name, path) = cut(rest);
    let address = match kind {
        "btih" => Address::Torrent(read::infohash(name)?),
        "btpk" => {
            let (key, salt) = name.split_once(':').unwrap_or((name, ""));
            let magnet = parse(&format!("magnet:?xs=urn:btpk:{key}&s={salt}")).ok()?;
            Address::Key {
                key: magnet.key?,
                salt: magnet.salt,
            }
        }
        _ => return None,
    };
    Some(Pasted::Site { address, path })
}

/// Without a scheme: a hash, a key, or the host of a site.
fn bare(text: &str, domains: &Domains) -> Result<Pasted, Refusal> {
    let (name, path) = cut(text);
    if let Some(infohash) = read::infohash(name) {
        let infohash = Some(infohash);
        return Ok(Pasted::Magnet(Magnet {
            infohash,
            ..Magnet::default()
        }));
    }
    // 64 digits could be a v2 infohash too; programs that show those bare do not exist, those that show keys do.
    if let Some(key) = PublicKey::from_text(name) {
        return Ok(Pasted::Site {
            address: Address::Key { key, salt: vec![] },
            path,
        });
    }
    let word = name.len() <= BASE36_MAX && name.bytes().all(|b| b.is_ascii_alphanumeric());
    if word && !name.eq_ignore_ascii_case(TLD) {
        return Err(Refusal::Fragment);
    }
    page(name, path, domains)
}

/// Host and path; the fragment is the browser's own business.
fn cut(rest: &str) -> (&str, String) {
    let rest = rest.split('#').next().unwrap_or(rest);
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    let slash = if path.starts_with('/') { "" } else { "/" };
    (host, format!("{slash}{path}"))
}

fn shown(host: &str) -> String {
    host.chars().take(80).collect()
}
