//! Feeds: what the household follows. When to look again, which versions are fetched, kept and given up, and what its
//! state is called.
//!
//! One task asks the store for the next due row; a subscription has no timer. Must not know: pages, HTTP, peers.

use proto::{
    feed::{changes::Changes, state::State},
    id::{InfoHash, Target},
    magnet::Pasted,
    name::Address,
};
use store::{RecordRow, Subscription};
use tokio::time::Instant;

use crate::{clock::Clock, db::Db, links::Link, sites::Sites, swarm::Swarm, tasks::Tasks};

/// Split by what a caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no subscription of this id.
    #[error("nothing with the id {0} is followed")]
    Unknown(Target),
    /// The address cannot be followed; the sentence says why and what can be done instead.
    #[error("{0}")]
    Refused(String),
    /// Nobody answered; following works all the same, and the box goes on looking.
    #[error("nobody answered for this address yet")]
    Silent,
    #[error("{0}")]
    Unavailable(String),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What a pasted text opens, before anything but its list of files was downloaded.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Petnames and links followed.
    pub address: Address,
    /// The link record that led here.
    pub link: Option<Link>,
    pub infohash: Option<InfoHash>,
    /// The torrent's name.
    pub name: Option<String>,
    /// All bytes, and how many of them are here already.
    pub bytes: Option<u64>,
    pub held_bytes: u64,
    pub files: Option<usize>,
    pub peers: u32,
    pub record: Option<Box<RecordRow>>,
    /// Followed (or, for a torrent, kept) already.
    pub followed: bool,
    /// More than the house's limit: following will ask before it downloads.
    pub asks: bool,
    /// Why there is less than hoped, in a sentence; the rest is still true.
    pub trouble: Option<String>,
}

/// A subscription as pages and programs see it.
#[derive(Debug, Clone)]
pub struct View {
    pub row: Subscription,
    pub state: State,
    /// The state as a sentence.
    pub words: String,
    pub record: Option<Box<RecordRow>>,
    /// Bytes of the newest version whose metadata is here, and how many of them are held.
    pub bytes: Option<u64>,
    pub held_bytes: u64,
    pub peers: u32,
    pub next_look: u64,
}

/// What the owner changes; `None` leaves a thing as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub title: Option<String>,
    pub petname: Option<String>,
    pub paused: Option<bool>,
    pub blocked: Option<bool>,
    pub quota_bytes: Option<u64>,
    pub keep_versions: Option<u32>,
    pub pin: Option<InfoHash>,
    pub unpin: Option<InfoHash>,
    /// Fetch the version that waits for a word, or do not.
    pub approve: Option<(InfoHash, bool)>,
    /// The warning about two values under one number has been read.
    pub settle_conflict: bool,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Feeds {
    sites: Sites,
    swarm: Swarm,
    db: Db,
    clock: Clock,
}

impl Feeds {
    pub fn start(sites: Sites, swarm: Swarm, db: Db, clock: Clock, tasks: &Tasks) -> Self {
        let _ = tasks;
        Self {
            sites,
            swarm,
            db,
            clock,
        }
    }

    /// What was pasted: looked up until the deadline; only metadata is fetched.
    pub async fn preview(&self, pasted: &Pasted, deadline: Instant) -> Result<Preview, Error> {
        let _ = (pasted, deadline, &self.sites, &self.swarm, &self.db, &self.clock);
        todo!()
    }

    /// Follows a key or a linked domain. Returns at once; looking and fetching go on behind.
    pub async fn follow(&self, pasted: &Pasted, change: Change) -> Result<View, Error> {
        let _ = (pasted, change);
        todo!()
    }

    /// Stops following. `remove`: also forgets the versions nobody else keeps, else they stay as kept sites.
    pub async fn unfollow(&self, id: &Target, remove: bool) -> Result<(), Error> {
        let _ = (id, remove);
        todo!()
    }

    /// All subscriptions, by name. Reads only the store and memory.
    pub async fn list(&self) -> Result<Vec<View>, Error> {
        todo!()
    }

    pub async fn view(&self, id: &Target) -> Result<View, Error> {
        let _ = id;
        todo!()
    }

    pub async fn change(&self, id: &Target, change: Change) -> Result<View, Error> {
        let _ = (id, change);
        todo!()
    }

    /// Looks now, whatever is due.
    pub async fn check_now(&self, id: &Target) -> Result<(), Error> {
        let _ = id;
        todo!()
    }

    /// What changed between two versions whose metadata is here.
    pub async fn changes(&self, old: InfoHash, new: InfoHash) -> Result<Changes, Error> {
        let _ = (old, new);
        todo!()
    }
}
