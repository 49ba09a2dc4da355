//! Synthetic names by which a PAC file asks whether a domain of the ordinary web also lives in BitTorrent:
//! `<domain>.<LABEL>.<our top-level name>`. Both answers are addresses, because browsers ask again and again for a name that
//! does not exist.

use std::net::Ipv4Addr;

/// The label between the domain and our top-level name.
pub const LABEL: &str = "q";

/// "It does." From 198.18.0.0/15 (RFC 2544), because routers against rebinding let it pass; its upper half, because proxies
/// that invent addresses take the lower one.
pub const YES: Ipv4Addr = Ipv4Addr::new(198, 19, 66, 84);
/// "It does not."
pub const NO: Ipv4Addr = Ipv4Addr::new(198, 19, 66, 78);
