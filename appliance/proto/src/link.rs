//! Link records: TXT records by which a domain of the ordinary web says where it lives in BitTorrent.

use crate::name::Address;

/// Which of the three kinds of record said it; the first one that answers counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `_btlink.<domain>`: a magnet or a host.
    Btlink,
    /// `_dnslink.<domain>`: `dnslink=/btpk/…`, `/btih/…` or a label.
    Dnslink,
    /// `<domain>` itself: `wtpkey=<40 hex>`.
    Wtpkey,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Btlink, Kind::Dnslink, Kind::Wtpkey];

    /// The name to ask for TXT records.
    pub fn name(self, domain: &str) -> String {
        match self {
            Kind::Btlink => format!("_btlink.{domain}"),
            Kind::Dnslink => format!("_dnslink.{domain}"),
            Kind::Wtpkey => domain.to_owned(),
        }
    }
}

/// The address a set of TXT records (the strings of each joined) names: invalid ones are ignored, the rest sorted, the
/// first taken. Another domain is `Address::Domain`: the caller goes on there.
pub fn read(kind: Kind, records: &[Vec<u8>]) -> Option<Address> {
    let _ = (kind, records);
    todo!()
}
