//! What is ours: the BitTorrent web's top-level name, the names of the box, of the home's devices, and the switches that
//! decide about a few foreign ones.

use std::{collections::HashMap, net::IpAddr};

use super::{marker, name};
use crate::name::TLD;

/// Names we learn from devices at most, besides those of the owner.
pub const NAMES_MAX: usize = 4096;

/// What the owner chose.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    /// One label.
    pub host: String,
    pub domain: String,
    /// Further names, whole or under the domain of the home.
    pub hosts: Vec<(String, IpAddr)>,
    pub canary_firefox: bool,
    pub canary_relay: bool,
}

/// Everything about names that questions are compared with.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    /// Our top-level name.
    pub(super) top: Box<[u8]>,
    /// The end of every marker.
    pub(super) marker: Box<[u8]>,
    pub(super) domain: Box<[u8]>,
    /// Names of the home's domain that we do not know exist nowhere else.
    pub(super) domain_is_ours: bool,
    pub(super) host: Box<[u8]>,
    pub(super) bare_host: Box<[u8]>,
    pub(super) wpad: Box<[u8]>,
    pub(super) names: HashMap<Box<[u8]>, Vec<IpAddr>>,
    /// Some name of ours lies outside of the home's domain.
    pub(super) names_elsewhere: bool,
    pub(super) addrs: HashMap<IpAddr, Box<[u8]>>,
    pub(super) canary_firefox: bool,
    pub(super) canary_relay: bool,
}

impl Zone {
    /// `learned`: names of devices (one label each, under the home's domain) with their addresses. They never override what
    /// the owner chose, nor names that mean something else; what is no name is left out.
    pub fn new(choices: &Choices, learned: &[(String, IpAddr)]) -> Self {
        let wire = |text: &str| name::from_text(text).unwrap_or_default();
        let domain = choices.domain.trim_end_matches('.').to_lowercase();
        let under = |label: &str| format!("{label}.{domain}");
        let mut zone = Zone {
            top: wire(TLD),
            marker: wire(&format!("{}.{TLD}", marker::LABEL)),
            host: wire(&under(&choices.host)),
            bare_host: wire(&choices.host),
            wpad: wire(&under("wpad")),
            domain_is_ours: is_private(&domain),
            domain: wire(&domain),
            canary_firefox: choices.canary_firefox,
            canary_relay: choices.canary_relay,
            ..Zone::default()
        };
        for (text, addr) in &choices.hosts {
            zone.add(text, *addr);
        }
        let taken: Vec<Box<[u8]>> = zone.names.keys().cloned().collect();
        for (label, addr) in learned.iter().take(NAMES_MAX) {
            let whole = wire(&under(label));
            if label.contains('.') || label.eq_ignore_ascii_case("wpad") || taken.contains(&whole) {
                continue;
            }
            zone.add(label, *addr);
        }
        zone
    }

    /// A name that may well point into the home: of its own domain, or of those that home routers make up.
    pub fn is_of_the_home(&self, name: &[u8]) -> bool {
        const ROUTERS: [&[u8]; 4] = [
            b"\x03lan\0",
            b"\x04home\0",
            b"\x0blocaldomain\0",
            b"\x05fritz\x03box\0",
        ];
        name::is_within(name, &self.domain) || ROUTERS.iter().any(|zone| name::is_within(name, zone))
    }

    /// Under the home's domain when it is one label; then the label alone is answered too.
    fn add(&mut self, text: &str, addr: IpAddr) {
        let Some(given) = name::from_text(text).filter(|wire| wire.len() > 1) else {
            return;
        };
        let bare = name::labels(&given).count() == 1;
        let whole = if bare {
            // The last byte is the root's.
            let joined = [&given[..given.len() - 1], &self.domain].concat();
            if joined.len() > name::NAME_MAX {
                return;
            }
            joined.into()
        } else {
            given.clone()
        };
        if whole == self.host || whole == self.wpad {
            return;
        }
        self.names_elsewhere |= !name::is_within(&whole, &self.domain);
        self.addrs.entry(addr).or_insert_with(|| whole.clone());
        for name in [bare.then_some(given), Some(whole)].into_iter().flatten() {
            let addrs = self.names.entry(name).or_default();
            // A device with more addresses than that is none.
            if !addrs.contains(&addr) && addrs.len() < 8 {
                addrs.push(addr);
            }
        }
    }
}

/// A domain that the Internet does not have: unknown names of it are not asked outside. The domain of a home that is also
/// one of the Internet has names that only the Internet knows.
fn is_private(domain: &str) -> bool {
    let top = domain.rsplit('.').next().unwrap_or_default();
    !domain.contains('.')
        || domain == "home.arpa"
        || domain.ends_with(".home.arpa")
        || super::special::is_nobodys(top.as_bytes())
        || matches!(top, "lan" | "home" | "localdomain" | "intranet" | "private")
}
