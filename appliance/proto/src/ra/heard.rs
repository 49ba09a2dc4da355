//! What others send, read without trust: every length is checked, every list is bounded, names are plain text.

use std::net::Ipv6Addr;

use super::{ADVERTISEMENT, SOLICITATION};

/// Entries kept of each kind.
const ENTRIES_MAX: usize = 8;

/// What a router says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// 0: it offers no default route.
    pub lifetime_secs: u16,
    /// Addresses, or other settings, come by DHCPv6 (RFC 4861 4.2).
    pub managed: bool,
    pub other: bool,
    /// Those that still count.
    pub dns: Vec<Ipv6Addr>,
    pub search: Vec<String>,
    pub prefixes: Vec<(Ipv6Addr, u8)>,
}

/// Reads a router advertisement (RFC 4861 6.1.2). `None`: it is none, or it breaks a rule of that section.
pub fn heard(packet: &[u8]) -> Option<Heard> {
    let (head, options) = packet.split_at_checked(16)?;
    if head[0] != ADVERTISEMENT || head[1] != 0 {
        return None;
    }
    let mut heard = Heard {
        lifetime_secs: u16::from_be_bytes([head[6], head[7]]),
        managed: head[5] & 0x80 != 0,
        other: head[5] & 0x40 != 0,
        ..Heard::default()
    };
    for option in Options(options) {
        let (kind, body) = option?;
        match kind {
            3 => prefix(body, &mut heard.prefixes),
            25 => resolvers(body, &mut heard.dns),
            31 => search(body, &mut heard.search),
            _ => {}
        }
    }
    Some(heard)
}

/// Is this a router solicitation that is to be answered (RFC 4861 6.1.1)?
pub fn is_solicitation(packet: &[u8], from: Ipv6Addr) -> bool {
    let Some((head, options)) = packet.split_at_checked(8) else {
        return false;
    };
    head[0] == SOLICITATION
        && head[1] == 0
        && Options(options).all(|option| match option {
            // Who has no address yet must not name its hardware address.
            Some((kind, _)) => kind != 1 || !from.is_unspecified(),
            None => false,
        })
}

/// Type and content of one option after the other; `None` once, when one is cut short or has length 0.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = Option<(u8, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let whole = match *self.0 {
            [_, units, ..] if units > 0 => self.0.split_at_checked(usize::from(units) * 8),
            _ => None,
        };
        let Some((option, rest)) = whole else {
            self.0 = &[];
            return Some(None);
        };
        self.0 = rest;
        Some(Some((option[0], &option[2..])))
    }
}

fn prefix(body: &[u8], prefixes: &mut Vec<(Ipv6Addr, u8)>) {
    let (Some(&len), Some(valid), Some(bits)) = (body.first(), word(body, 2), address(body, 14)) else {
        return;
    };
    let entry = (bits, len);
    if valid > 0 && len <= 128 && prefixes.len() < ENTRIES_MAX && !prefixes.contains(&entry) {
        prefixes.push(entry);
    }
}

fn resolvers(body: &[u8], dns: &mut Vec<Ipv6Addr>) {
    let Some(lifetime) = word(body, 2) else { return };
    for addr in (6..body.len()).step_by(16).map_while(|at| address(body, at)) {
        if lifetime > 0 && !addr.is_multicast() && dns.len() < ENTRIES_MAX && !dns.contains(&addr) {
            dns.push(addr);
        }
    }
}

fn search(body: &[u8], names: &mut Vec<String>) {
    let (Some(lifetime), Some(mut rest)) = (word(body, 2), body.get(6..)) else {
        return;
    };
    while lifetime > 0 && names.len() < ENTRIES_MAX {
        let Some((name, after)) = name(rest) else { return };
        if !names.contains(&name) {
            names.push(name);
        }
        rest = after;
    }
}

/// One name of letters, digits, hyphens and underscores, and what follows it; `None` at the padding or at anything odd.
fn name(mut rest: &[u8]) -> Option<(String, &[u8])> {
    let mut text = String::new();
    loop {
        let (&len, after) = rest.split_first()?;
        if len == 0 {
            return (!text.is_empty()).then_some((text, after));
        }
        let (label, after) = after.split_at_checked(usize::from(len)).filter(|_| len <= 63)?;
        let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if !label.iter().all(plain) || text.len() + label.len() > 252 {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.extend(label.iter().map(|b| char::from(b.to_ascii_lowercase())));
        rest = after;
    }
}

fn word(body: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(body.get(at..at + 4)?.try_into().ok()?))
}

fn address(body: &[u8], at: usize) -> Option<Ipv6Addr> {
    let bytes: [u8; 16] = body.get(at..at + 16)?.try_into().ok()?;
    Some(Ipv6Addr::from(bytes))
}
