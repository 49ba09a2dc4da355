//! The rows of what the household follows and of who may manage the box.

mod access;
mod records;
mod subscriptions;

pub use access::{Account, ApiToken, Role, Session};
pub use records::{Conflict, DhtItem, Owner, PutOutcome, RecordRow, Version};
pub use subscriptions::{Subscription, VersionState};
