//! URLs of trackers and web seeds, in one strict spelling.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{Policy, Reason, address};

/// Longest URL accepted, bytes. Passkeys and paths of real trackers stay far below.
pub const URL_BYTES_MAX: usize = 1024;

/// Longest host name DNS can carry, bytes.
const NAME_BYTES_MAX: usize = 253;

/// Last labels that no public resolver may answer: names of homes, machines and other networks.
const LOCAL_SUFFIXES: [&str; 20] = [
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "private",
    "arpa",
    "btlink",
    "onion",
    "i2p",
    "test",
    "invalid",
    "example",
    "alt",
    "gateway",
    "router",
    "workgroup",
];

/// What a URL is fetched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
    /// BEP 15.
    Udp,
}

/// A host that has to be resolved, or an address that was already judged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    Ip(IpAddr),
    /// Lower case, letters, digits, hyphens and dots only.
    Name(String),
}

/// A URL in parts; what it was made of had one possible reading.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    pub scheme: Scheme,
    pub host: Host,
    pub port: u16,
    /// Path and query as written; begins with `/`, without fragment.
    pub target: String,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Udp => "udp",
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}{}", self.scheme, self.host, self.port, self.target)
    }
}

/// Takes a tracker's or web seed's URL apart, or says why it is refused. A name that passes must still have each address it
/// resolves to judged by [`super::allowed`]; ports are judged as [`super::Service::Web`] whatever the policy says.
pub fn allowed_url(text: &str, policy: &Policy) -> Result<Url, Reason> {
    if text.len() > URL_BYTES_MAX {
        return Err(Reason::Long);
    }
    if !text
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&b))
    {
        return Err(Reason::Character);
    }
    let (scheme, rest) = text.split_once("://").ok_or(Reason::Scheme)?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        "udp" => Scheme::Udp,
        _ => return Err(Reason::Scheme),
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(Reason::Userinfo);
    }
    let (host, port) = split_port(authority)?;
    let port = match (port, scheme) {
        (Some(port), _) => plain_port(port)?,
        (None, Scheme::Http) => 80,
        (None, Scheme::Https) => 443,
        (None, Scheme::Udp) => return Err(Reason::BadPort),
    };
    let host = plain_host(host, policy)?;
    address::port_allowed(port, super::Service::Web)?;
    let target = if target.starts_with('/') {
        target.to_owned()
    } else {
        format!("/{target}")
    };
    Ok(Url {
        scheme,
        host,
        port,
        target,
    })
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), Reason> {
    let end = if authority.starts_with('[') {
        authority.find(']').ok_or(Reason::Host)? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, rest) = authority.split_at(end);
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if rest.is_empty() => Ok((host, None)),
        None => Err(Reason::Host),
    }
}

fn plain_port(text: &str) -> Result<u16, Reason> {
    if text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Reason::BadPort);
    }
    text.parse().map_err(|_| Reason::BadPort)
}

fn plain_host(text: &str, policy: &Policy) -> Result<Host, Reason> {
    let ip = match text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        // A zone (`%eth0`) or an IPvFuture does not parse and has no business here.
        Some(inner) => IpAddr::V6(inner.parse::<Ipv6Addr>().map_err(|_| Reason::Host)?),
        // Rust's reader takes exactly four decimal parts without leading zeros.
        None => match text.parse::<Ipv4Addr>() {
            Ok(ip) => IpAddr::V4(ip),
            Err(_) => return plain_name(text, policy).map(Host::Name),
        },
    };
    address::ip_allowed(ip, policy)?;
    Ok(Host::Ip(ip))
}

fn plain_name(text: &str, policy: &Policy) -> Result<String, Reason> {
    let name = text.to_ascii_lowercase();
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    if name.len() > NAME_BYTES_MAX || !name.split('.').all(label) {
        return Err(Reason::Host);
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    // `inet_aton` reads a last part that is a number in any base as an address, and so do most resolvers.
    if last.bytes().next().is_none_or(|b| b.is_ascii_digit()) {
        return Err(Reason::Host);
    }
    if name == "localhost" && policy.allow_loopback {
        return Ok(name);
    }
    if LOCAL_SUFFIXES.contains(&last) || !name.contains('.') {
        return Err(Reason::LocalName);
    }
    Ok(name)
}
