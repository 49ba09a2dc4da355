//! The JSON API: everything the pages do, for programs. The same requests on the control socket, where the file's mode is
//! the key, and on the household's door, where a bearer token is.
//!
//! One table says everything about every operation; who is answered how, and the OpenAPI document, are made from it.
//!
//! Must not know: pages, sessions, how any room does its work. Reading order: `table` (every operation on one page),
//! `operation` (what a line of it says), `answer` (from a request to its operation), `query` (the part behind `?`),
//! `refusal` (trouble becomes a status and a sentence), `document` (the table as OpenAPI), `reply` (shapes of the JSON), then
//! one file per group of operations.

mod answer;
mod blocklists;
mod document;
mod feed_reply;
mod feeds;
mod items;
pub mod lan;
pub mod network;
mod operation;
mod owner;
mod people;
mod query;
pub mod record;
mod records;
mod refusal;
pub mod reply;
mod resolve;
pub mod secret;
mod seed;
mod sharing;
mod sites;
mod status;
mod storage;
mod table;

use std::sync::Arc;

use crate::{
    arrangement::Arrangement, blocklists::Blocklists, claim::Claim, clock::Clock, db::Db, feeds::Feeds,
    gateway::Seen, health::Health, home::Home, journal::Journal, publish::Publish, sharing::Sharing,
    sites::Sites, swarm::Swarm, tasks::Tasks,
};

pub use answer::{answer, ask};
pub use document::document;
pub use reply::{Addresses, Line};

/// Who asks, as far as it decides what may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// Nobody in particular, on the household's door: the status line only.
    Nobody,
    /// A bearer token of a member: may look, follow and keep.
    Member,
    /// A bearer token of an owner.
    Owner,
    /// The control socket: whoever may open the file may do everything, also what names files of this machine.
    Control,
}

/// Everything the requests need. Cheap to clone.
#[derive(Clone)]
pub struct Handles {
    pub swarm: Swarm,
    pub sites: Sites,
    pub feeds: Feeds,
    pub publish: Publish,
    pub sharing: Sharing,
    pub journal: Journal,
    pub db: Db,
    pub clock: Clock,
    pub claim: Claim,
    pub health: Health,
    /// The lan half; it may be absent at any time.
    pub home: Home,
    /// By which ways each device came.
    pub seen: Seen,
    pub blocklists: Blocklists,
    /// What the household chose about its LAN, and what was before.
    pub arrangement: Arrangement,
    pub tasks: Tasks,
    pub addresses: Arc<Addresses>,
    /// Where the store lies and how large it may grow.
    pub shelves: Arc<store::Config>,
    pub started: tokio::time::Instant,
}
