//! Synthetic names by which a PAC file asks whether a domain of the ordinary web also lives in BitTorrent:
//! `<domain>.<LABEL>.<our top-level name>`. Both answers are addresses, because browsers ask again and again for a name that
//! does not exist.

use std::net::Ipv4Addr;

use super::{message::Message, message::Section, name, rtype};
use crate::{
    link::{self, Kind},
    name::is_domain,
};

/// The label between the domain and our top-level name.
pub const LABEL: &str = "q";

/// "It does." From 198.18.0.0/15 (RFC 2544), because routers against rebinding let it pass; its upper half, because proxies
/// that invent addresses take the lower one.
pub const YES: Ipv4Addr = Ipv4Addr::new(198, 19, 66, 84);
/// "It does not."
pub const NO: Ipv4Addr = Ipv4Addr::new(198, 19, 66, 78);

/// While nobody knows yet, "no" counts so long.
pub const UNKNOWN_TTL_SECS: u32 = 3;

/// What is known of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Yes,
    No,
    /// Being looked up.
    Unknown,
}

impl Mark {
    pub fn answer(self) -> (Ipv4Addr, u32) {
        match self {
            Mark::Yes => (YES, super::reply::TTL_SECS),
            Mark::No => (NO, super::reply::TTL_SECS),
            Mark::Unknown => (NO, UNKNOWN_TTL_SECS),
        }
    }
}

/// The name (wire form) whose TXT records say whether the domain, in wire form, is linked; `None`: it cannot be.
pub fn record_name(domain: &[u8]) -> Option<Box<[u8]>> {
    let text = name::to_text(domain);
    is_domain(&text).then(|| name::from_text(&Kind::Btlink.name(&text)))?
}

/// What an answer with those TXT records says.
pub fn read(answer: &[u8]) -> Mark {
    let Ok(message) = Message::read(answer) else {
        return Mark::Unknown;
    };
    match message.rcode() {
        0 | 3 => {}
        _ => return Mark::Unknown,
    }
    let texts = message
        .records
        .iter()
        .filter(|record| record.section == Section::Answer && record.rtype == rtype::TXT);
    // The strings of one record belong together (RFC 1035 §3.3.14).
    let texts: Vec<Vec<u8>> = texts
        .map(|record| strings(&answer[record.data.clone()]))
        .collect();
    match link::read(Kind::Btlink, &texts) {
        Some(_) => Mark::Yes,
        None => Mark::No,
    }
}

fn strings(data: &[u8]) -> Vec<u8> {
    let (mut joined, mut rest) = (Vec::new(), data);
    while let Some((len, after)) = rest.split_first() {
        let Some((text, left)) = after.split_at_checked(usize::from(*len)) else {
            break;
        };
        joined.extend_from_slice(text);
        rest = left;
    }
    joined
}
