//! The rows of what the household follows and of who may manage the box. In reading order: `encode` (how values are
//! written), `deed` (a transaction the copy follows), `looks` (what may be lost), `records`, `record_row`,
//! `subscriptions`, `subscription_row`, `petnames`, `access`, `passes`, `dht_items`,
//! `audit`.

mod access;
mod audit;
mod deed;
mod dht_items;
mod encode;
mod looks;
mod passes;
mod petnames;
mod record_row;
mod records;
mod subscription_row;
mod subscriptions;

pub use access::{Account, ApiToken, Role, Session};
pub use dht_items::DhtItem;
pub use record_row::{Conflict, Owner, PutOutcome, RecordRow, Version};
pub use subscription_row::{Subscription, VersionState};

pub(crate) use audit::faults;
pub(crate) use deed::Touched;
pub(crate) use looks::{Looks, write_looks};

use crate::Error;

/// Refuses what is longer than its bound.
fn at_most(what: &str, len: usize, max: usize) -> Result<(), Error> {
    if len <= max {
        return Ok(());
    }
    Err(Error::Quota(format!(
        "{what}: {len} is more than the {max} that fit"
    )))
}

/// A text somebody else wrote, cut to `max` bytes at most.
fn clipped(text: &str, max: usize) -> String {
    text[..text.floor_char_boundary(max)].to_string()
}
