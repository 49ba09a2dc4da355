//! From a Host to its meaning.

use data_encoding::HEXLOWER;

use super::{Address, Error, HOST_MAX, Host, LABEL_MAX, OLD_TLD, RESERVED, TLD, is_petname};
use crate::{
    id::InfoHash,
    key::{PublicKey, SALT_MAX, from_base36},
};

/// A host without port and final dot, in lower case.
pub(super) struct Clean {
    pub name: String,
    /// It had upper-case letters.
    upper: bool,
    /// It had a final dot.
    dotted: bool,
}

/// A site's name in its parts: `salt`-carrying labels to the left, the last label cut at its last hyphen, our domain.
struct Parts<'a> {
    left: &'a [&'a str],
    body: &'a str,
    domain: &'a str,
    clean: &'a Clean,
}

pub(super) fn read(host: &str, domains: &[String]) -> Result<Host, Error> {
    if host.starts_with('[') {
        return literal(host);
    }
    let clean = clean(host)?;
    let name = clean.name.as_str();
    if let Some(domain) = domains.iter().find(|d| *d == name) {
        return Ok(Host::Root {
            domain: domain.clone(),
        });
    }
    let ours = domains
        .iter()
        .find_map(|d| Some((name.strip_suffix(d.as_str())?.strip_suffix('.')?, d)));
    let Some((below, domain)) = ours else {
        return Ok(match old(name) {
            Some(before) => Host::Old {
                now: joined(&before, TLD),
            },
            None => Host::Foreign(clean.name),
        });
    };
    if let Some(before) = old(below) {
        return Ok(Host::Old {
            now: joined(&before, domain),
        });
    }
    let labels: Vec<&str> = below.split('.').collect();
    let Some((last, left)) = labels.split_last() else {
        return Err(Error::Empty);
    };
    // A site's labels are stricter than those of other hosts, which may have underscores.
    if !labels.iter().all(|label| is_label(label)) {
        return Err(Error::Label);
    }
    site(last, left, domain, &clean)
}

fn site(last: &str, left: &[&str], domain: &str, clean: &Clean) -> Result<Host, Error> {
    let (body, kind) = last.rsplit_once('-').unwrap_or((last, ""));
    let parts = Parts {
        left,
        body,
        domain,
        clean,
    };
    match kind {
        "ih" => infohash(&parts),
        "44" => parts.immutable(Address::Item(hash40(body)?.0)),
        "dl" => parts.immutable(Address::Domain(outlined(body)?)),
        "pk" => key(&parts),
        "pkx" => key_hex(&parts),
        _ if left.is_empty() && RESERVED.contains(&last) => Ok(Host::Reserved {
            name: last.to_owned(),
            domain: domain.to_owned(),
        }),
        _ if left.is_empty() && is_petname(last) => Ok(Host::Site {
            address: Address::Petname(last.to_owned()),
            canonical: format!("{last}.{domain}"),
            respelled: clean.dotted,
        }),
        _ => Err(Error::Name(format!("{last}.{domain}"))),
    }
}

impl Parts<'_> {
    /// Addresses that have no salt: labels to the left mean nothing and are dropped by the redirect. Upper case is no
    /// other spelling of them, since hexadecimal digits and domains are read in any case.
    fn immutable(&self, address: Address) -> Result<Host, Error> {
        let canonical = address.host(self.domain).ok_or(Error::Long)?;
        Ok(Host::Site {
            respelled: self.clean.dotted || self.clean.name != canonical,
            address,
            canonical,
        })
    }

    /// A key's address keeps the place its salt was written in when only the key is respelled.
    fn keyed(&self, key: PublicKey, salt: Vec<u8>, in_label: &str) -> Result<Host, Error> {
        if salt.len() > SALT_MAX {
            return Err(Error::Salt);
        }
        let digits = key.to_base36();
        let last = match in_label {
            "" => format!("{digits}-pk"),
            salt => format!("{salt}-{digits}-pk"),
        };
        let same = [self.left, &[last.as_str(), self.domain]].concat().join(".");
        let address = Address::Key { key, salt };
        let canonical = if last.len() <= LABEL_MAX && same.len() <= HOST_MAX {
            same
        } else {
            address.host(self.domain).ok_or(Error::Long)?
        };
        Ok(Host::Site {
            respelled: self.clean.dotted || self.clean.upper || self.clean.name != canonical,
            address,
            canonical,
        })
    }
}

fn infohash(parts: &Parts<'_>) -> Result<Host, Error> {
    if let Some(hash) = InfoHash::from_hex(parts.body) {
        return parts.immutable(Address::Torrent(hash));
    }
    let v2 = from_base36(parts.body).ok_or_else(|| Error::InfoHash(parts.body.to_owned()))?;
    parts.immutable(Address::TorrentV2(v2))
}

fn key(parts: &Parts<'_>) -> Result<Host, Error> {
    let (in_label, digits) = parts.body.rsplit_once('-').unwrap_or(("", parts.body));
    let key = PublicKey::from_label(digits).ok_or_else(|| Error::Key(digits.to_owned()))?;
    let mut salt = parts.left.to_vec();
    salt.extend((!in_label.is_empty()).then_some(in_label));
    parts.keyed(key, salt.join(".").into_bytes(), in_label)
}

fn key_hex(parts: &Parts<'_>) -> Result<Host, Error> {
    let (in_label, digits) = parts.body.rsplit_once('-').unwrap_or(("", parts.body));
    let key = PublicKey::from_label(digits).ok_or_else(|| Error::Key(digits.to_owned()))?;
    let hex = [&parts.left.concat(), in_label].concat();
    let salt = HEXLOWER.decode(hex.as_bytes()).map_err(|_| Error::SaltHex(hex))?;
    if salt.len() > SALT_MAX {
        return Err(Error::Salt);
    }
    let address = Address::Key { key, salt };
    let canonical = address.host(parts.domain).ok_or(Error::Long)?;
    Ok(Host::Site {
        respelled: parts.clean.dotted || parts.clean.upper || parts.clean.name != canonical,
        address,
        canonical,
    })
}

/// Exactly 40 hexadecimal digits.
fn hash40(text: &str) -> Result<InfoHash, Error> {
    InfoHash::from_hex(text).ok_or_else(|| Error::InfoHash(text.to_owned()))
}

/// `en-wikipedia--on--ipfs-org` is `en.wikipedia-on-ipfs.org`.
fn outlined(inlined: &str) -> Result<String, Error> {
    let domain = inlined.replace("--", "/").replace('-', ".").replace('/', "-");
    if is_domain(&domain) {
        Ok(domain)
    } else {
        Err(Error::Domain(inlined.to_owned()))
    }
}

/// A domain of the ordinary web: at least two labels, not an address in digits, none of ours.
pub(super) fn is_domain(text: &str) -> bool {
    let labels: Vec<&str> = text.split('.').collect();
    let top = labels.last().copied().unwrap_or_default();
    labels.len() >= 2
        && text.len() <= HOST_MAX
        && labels.iter().all(|label| is_label(label))
        && !top.bytes().all(|b| b.is_ascii_digit())
        && top != TLD
}

/// The new name of `X.ih.bt`, `S.X.pk.bt` or `bt`; empty for the last.
fn old(name: &str) -> Option<String> {
    if name == OLD_TLD {
        return Some(String::new());
    }
    let below = name.strip_suffix(OLD_TLD)?.strip_suffix('.')?;
    let (site, kind) = below.rsplit_once('.')?;
    // Only these two: everything else under the old top-level domain belongs to a country.
    matches!(kind, "ih" | "pk").then(|| format!("{site}-{kind}"))
}

fn joined(before: &str, domain: &str) -> String {
    if before.is_empty() {
        domain.to_owned()
    } else {
        format!("{before}.{domain}")
    }
}

/// `[::1]:80`: never ours.
fn literal(host: &str) -> Result<Host, Error> {
    let (address, port) = host[1..].split_once(']').ok_or(Error::Character)?;
    let known: std::net::Ipv6Addr = address.parse().map_err(|_| Error::Character)?;
    match port.strip_prefix(':') {
        None if port.is_empty() => {}
        Some(port) => check_port(port)?,
        None => return Err(Error::Port),
    }
    Ok(Host::Foreign(format!("[{known}]")))
}

pub(super) fn clean(host: &str) -> Result<Clean, Error> {
    let name = match host.split_once(':') {
        Some((name, port)) => {
            check_port(port)?;
            name
        }
        None => host,
    };
    let plain = name.strip_suffix('.').unwrap_or(name);
    if plain.is_empty() {
        return Err(Error::Empty);
    }
    if plain.len() > HOST_MAX {
        return Err(Error::Long);
    }
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if !plain.bytes().all(known) {
        return Err(Error::Character);
    }
    if plain
        .split('.')
        .any(|label| label.is_empty() || label.len() > LABEL_MAX)
    {
        return Err(Error::Label);
    }
    Ok(Clean {
        name: plain.to_ascii_lowercase(),
        upper: plain.bytes().any(|b| b.is_ascii_uppercase()),
        dotted: plain.len() < name.len(),
    })
}

fn check_port(port: &str) -> Result<(), Error> {
    // An empty port is allowed (RFC 3986 3.2.3).
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    if port.is_empty() || digits && port.parse::<u16>().is_ok() {
        Ok(())
    } else {
        Err(Error::Port)
    }
}

/// Letters, digits and inner hyphens, at most 63.
pub(super) fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= LABEL_MAX
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
