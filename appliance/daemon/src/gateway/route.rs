//! From a request's head to what is asked. One pure function: no sockets, no sites, no time.

use std::net::{IpAddr, Ipv6Addr};

use proto::{
    id::InfoHash,
    name::{Address, Domains, Host, TLD},
    pac,
};

use super::Rules;

/// The names that are ours.
#[derive(Debug, Clone)]
pub struct Names {
    /// The top-level name and the gateway domains of the configuration.
    pub domains: Domains,
    /// Names of the box outside those, lower case.
    pub names: Vec<String>,
    /// The advertised address, when one is set.
    pub address: Option<IpAddr>,
}

/// Reserved names under our domains that are the box; the rest of them is nobody.
const BOX_LABELS: [&str; 4] = ["box", "admin", "www", "proxy"];

/// What decides the route; all text as it came.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    pub method: &'a str,
    /// Scheme of an absolute-form target.
    pub scheme: Option<&'a str>,
    /// Authority of an absolute-form or CONNECT target, or HTTP/2's `:authority`.
    pub authority: Option<&'a str>,
    pub host: Option<&'a str>,
    pub path: &'a str,
    /// HTTP/2 always names scheme and authority; that does not make it a proxy request.
    pub http2: bool,
    /// The address the client connected to.
    pub local: IpAddr,
}

/// What is asked, and by which way the client came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// A site or an item on its own host.
    Site(Address),
    /// The box's own names: start page, status, path gateway. `named`: under the suffix or by proxy, so the client can
    /// reach sites' own hosts too.
    Own {
        named: bool,
    },
    Pac,
    /// 307 from an old name to its new host, same path and query.
    Moved(String),
    /// 308 from another spelling to the one host of a site.
    Respelled(String),
    /// `OPTIONS *`.
    Server,
    Refuse(Refusal),
}

/// Each has a status and a text in `error_page`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 400: the host breaks the grammar, or two places name two hosts.
    Host,
    /// 400: the request target.
    Target,
    /// 403: an ordinary site by proxy.
    NotOurs,
    /// 403: CONNECT to anything but port 443 of our names.
    Tunnel,
    /// 501: CONNECT to one of our names; there is no TLS door yet.
    NoTls,
    /// 404: a name under the suffix that nobody has given a meaning.
    NoSuchName,
    /// 405.
    Method,
    /// 421: an ordinary name on our port: DNS rebinding, or a stray record.
    Stranger,
}

/// The decision. Order: CONNECT, PAC for any Host, whether the host is ours at all, method, the box's names, sites, old
/// names, linked domains by proxy, the rest.
pub fn route(head: &Head<'_>, names: &Names, rules: &Rules) -> Route {
    decide(head, names, rules).unwrap_or_else(Route::Refuse)
}

fn decide(head: &Head<'_>, names: &Names, rules: &Rules) -> Result<Route, Refusal> {
    if head.method == "CONNECT" {
        return Err(tunnel(head, names));
    }
    let reads = matches!(head.method, "GET" | "HEAD" | "OPTIONS");
    if head.path == "*" {
        let fits = head.method == "OPTIONS";
        return fits.then_some(Route::Server).ok_or(Refusal::Target);
    }
    let by_proxy = head.authority.is_some() && !head.http2;
    if reads && !by_proxy && pac::is_path(head.path) {
        return Ok(Route::Pac);
    }
    if let (true, None, Some(hash)) = (reads, head.authority, head.host.and_then(plain_site)) {
        return Ok(Route::Site(Address::Torrent(hash)));
    }
    if by_proxy
        && !head
            .scheme
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"))
    {
        return Err(foreign_scheme(head, names));
    }
    let host = one_host(head)?;
    let place = place(&host, names, head.local)?;
    // Only the box itself can be told anything; its pages know which methods they take.
    let told = match place {
        Place::Own { .. } => !pac::is_path(head.path),
        Place::Elsewhere(_) => true,
        _ => false,
    };
    if !reads && !told {
        return Err(Refusal::Method);
    }
    match place {
        Place::Own { .. } | Place::Site { .. } if pac::is_path(head.path) => Ok(Route::Pac),
        Place::Own { named } => Ok(Route::Own {
            named: named || by_proxy,
        }),
        Place::Site {
            respelled: Some(to), ..
        } => Ok(Route::Respelled(to)),
        Place::Site { address, .. } => Ok(Route::Site(address)),
        Place::Nobody => Err(Refusal::NoSuchName),
        Place::Old(new) => Ok(Route::Moved(new)),
        Place::Elsewhere(name) if by_proxy && reads && rules.opens(&name) && is_plain_port(head) => {
            Ok(Route::Site(Address::Domain(name)))
        }
        Place::Elsewhere(_) if by_proxy => Err(Refusal::NotOurs),
        Place::Elsewhere(_) => Err(Refusal::Stranger),
    }
}

/// The commonest Host in its one spelling, read without an allocation: 40 digits, `-ih.`, the top-level name.
fn plain_site(host: &str) -> Option<InfoHash> {
    let digits = host.get(..40)?;
    let tail = host[40..].strip_prefix("-ih.")?.strip_prefix(TLD)?;
    let lower = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (lower && matches!(tail, "" | ":80")).then(|| InfoHash::from_hex(digits))?
}

/// A linked domain is a site on the port of http; what answers on its other ports is something else.
fn is_plain_port(head: &Head<'_>) -> bool {
    let port = head.authority.and_then(split_port).and_then(|(_, port)| port);
    matches!(port, None | Some(80))
}

fn tunnel(head: &Head<'_>, names: &Names) -> Refusal {
    let Some((host, port)) = head.authority.and_then(split_port) else {
        return Refusal::Host;
    };
    match place(&host, names, head.local) {
        Err(refusal) => refusal,
        Ok(Place::Site { .. } | Place::Nobody | Place::Own { named: true }) if port == Some(443) => {
            Refusal::NoTls
        }
        Ok(_) => Refusal::Tunnel,
    }
}

/// `https:` to one of our names in absolute form has no door yet; everything else is not for us.
fn foreign_scheme(head: &Head<'_>, names: &Names) -> Refusal {
    match one_host(head).and_then(|host| place(&host, names, head.local)) {
        Ok(Place::Site { .. } | Place::Nobody | Place::Own { .. }) => Refusal::Target,
        Ok(_) => Refusal::NotOurs,
        Err(refusal) => refusal,
    }
}

/// The host both places agree on, without port, in the letters it came in: keys have one spelling.
fn one_host(head: &Head<'_>) -> Result<String, Refusal> {
    let named = head.authority.or(head.host).ok_or(Refusal::Host)?;
    let (host, port) = split_port(named).ok_or(Refusal::Host)?;
    if let (Some(_), Some(second)) = (head.authority, head.host) {
        let (other, other_port) = split_port(second).ok_or(Refusal::Host)?;
        let differ = !other
            .trim_end_matches('.')
            .eq_ignore_ascii_case(host.trim_end_matches('.'));
        if differ || other_port.unwrap_or(80) != port.unwrap_or(80) {
            return Err(Refusal::Host);
        }
    }
    Ok(host)
}

/// Splits `host[:port]`; `None` when either breaks the grammar. No user information, no empty host, no port 0.
fn split_port(text: &str) -> Option<(String, Option<u16>)> {
    if text.len() > 262 || text.contains('@') {
        return None;
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']')?;
            inside.parse::<Ipv6Addr>().ok()?;
            (
                &text[..inside.len() + 2],
                after.strip_prefix(':').or(after.is_empty().then_some(""))?,
            )
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    if !text.starts_with('[') && !is_name(host) {
        return None;
    }
    let port = match port {
        // `host:` is the same as `host` (RFC 3986 §3.2.3).
        "" => None,
        digits if digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|&port: &u16| port > 0)?)
        }
        _ => return None,
    };
    (!host.is_empty() && host != ".").then(|| (host.to_owned(), port))
}

/// Letters, digits, `-` and `_` in labels of 1–63; one final dot allowed; at most 253.
fn is_name(host: &str) -> bool {
    let bare = host.strip_suffix('.').unwrap_or(host);
    bare.len() <= 253
        && bare.split('.').all(|label| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            !label.is_empty() && label.len() <= 63 && label.bytes().all(fits)
        })
}

enum Place {
    Own {
        named: bool,
    },
    Site {
        address: Address,
        /// The host to use instead.
        respelled: Option<String>,
    },
    /// Under one of our domains, but reserved.
    Nobody,
    /// The new spelling of an old name.
    Old(String),
    /// A name of the ordinary web, lower case, or an address.
    Elsewhere(String),
}

fn place(host: &str, names: &Names, local: IpAddr) -> Result<Place, Refusal> {
    let literal = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(address) = literal.parse::<IpAddr>() {
        let (address, local) = (address.to_canonical(), local.to_canonical());
        let ours = address == local || names.address.is_some_and(|own| own.to_canonical() == address);
        return Ok(if ours {
            Place::Own { named: false }
        } else {
            Place::Elsewhere(host.to_owned())
        });
    }
    Ok(match names.domains.read(host).map_err(|_| Refusal::Host)? {
        Host::Root { .. } => Place::Own { named: true },
        Host::Reserved { name, .. } if BOX_LABELS.contains(&name.as_str()) => Place::Own { named: true },
        Host::Reserved { .. } => Place::Nobody,
        Host::Site {
            address,
            canonical,
            respelled,
        } => Place::Site {
            address,
            respelled: respelled.then_some(canonical),
        },
        Host::Old { now } => Place::Old(now),
        Host::Foreign(name) if names.names.contains(&name) => Place::Own { named: false },
        Host::Foreign(name) => Place::Elsewhere(name),
    })
}
