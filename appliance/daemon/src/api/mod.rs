//! The JSON API: everything the pages do, for programs. The same requests on the control socket, where the file's mode is
//! the key, and on the household's door, where a bearer token is.
//!
//! Must not know: pages, sessions, how any room does its work. Reading order: `routes` (every request on one page),
//! `reply` (shapes of the JSON).

pub mod reply;
mod routes;

use std::sync::Arc;

use crate::{
    clock::Clock, db::Db, feeds::Feeds, health::Health, journal::Journal, links::Links, publish::Publish,
    sharing::Sharing, sites::Sites, swarm::Swarm, tasks::Tasks,
};

pub use reply::{Addresses, Line};
pub use routes::{Reply, answer};

/// Who asks, as far as it decides what may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The control socket: whoever may open the file may do everything, also what names files of this machine.
    Control,
    /// A bearer token of an owner.
    Owner,
    /// A bearer token of a member: may look, follow and keep.
    Member,
    /// Nobody in particular, on the household's door: the status line only.
    Nobody,
}

/// Everything the requests need. Cheap to clone.
#[derive(Clone)]
pub struct Handles {
    pub swarm: Swarm,
    pub sites: Sites,
    pub links: Links,
    pub feeds: Feeds,
    pub publish: Publish,
    pub sharing: Sharing,
    pub journal: Journal,
    pub db: Db,
    pub clock: Clock,
    pub health: Health,
    pub tasks: Tasks,
    pub addresses: Arc<Addresses>,
    pub started: tokio::time::Instant,
}
