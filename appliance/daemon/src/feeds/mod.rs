//! Feeds: what the household follows. When to look again, which versions are fetched, kept and given up, and what its
//! state is called.
//!
//! One task asks the store for the next due row; a subscription has no timer. Must not know: pages, HTTP, peers.
//! Reading order: this file (what others see), `subject` (what can be followed), `turns` (whose turn it is), `look` (one
//! look), `versions` (decisions about a row), `bring` (fetching, and noticing what is whole), `deeds` (what the owner
//! does), `view`, `preview`, `compare`.

mod bring;
mod compare;
mod deeds;
#[cfg(test)]
mod fixture;
mod look;
mod preview;
mod subject;
mod turns;
#[cfg(test)]
mod turns_tests;
mod versions;
mod view;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use proto::{
    feed::{changes::Changes, state::State},
    id::{InfoHash, Target},
    magnet::Pasted,
    name::Address,
};
use serde::{Deserialize, Serialize};
use store::{Owner, RecordRow, Subscription};
use tokio::time::Instant;

use self::{bring::Arrivals, turns::Turns};
use crate::{
    clock::Clock,
    db::Db,
    links::{Link, Links},
    sites::Sites,
    swarm::Swarm,
    tasks::Tasks,
};

/// Split by what a caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no subscription of this id.
    #[error("nothing with the id {0} is followed")]
    Unknown(Target),
    /// The household gave no such name.
    #[error("this home has no site called \"{0}\"")]
    Unnamed(String),
    /// The address cannot be followed; the sentence says why and what can be done instead.
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Unavailable(String),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// How the room works.
#[derive(Debug, Clone)]
pub struct Config {
    /// Looks at once. More: a box that was off for a week is up to date sooner, and its line is busier. Fewer: one address
    /// that nobody answers for holds up the others.
    pub looks_at_once: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { looks_at_once: 8 }
    }
}

/// What holds for every subscription that says nothing else. A setting of the household.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct House {
    /// A version with more bytes than this is fetched after the owner said yes.
    pub quota_bytes: u64,
    /// Versions kept besides the present one, for subscriptions made from now on.
    pub keep_versions: u32,
}

impl Default for House {
    fn default() -> Self {
        Self {
            quota_bytes: 1 << 30,
            keep_versions: 3,
        }
    }
}

/// What a pasted text opens, before anything but its list of files was downloaded.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Petnames and links followed.
    pub address: Address,
    /// The subscription it belongs to, whether there is one or not; `None`: it cannot be followed.
    pub id: Option<Target>,
    /// The link record that led here.
    pub link: Option<Link>,
    pub infohash: Option<InfoHash>,
    /// The torrent's name.
    pub name: Option<String>,
    /// All bytes, and how many of them are here already.
    pub bytes: Option<u64>,
    pub held_bytes: u64,
    pub files: Option<usize>,
    /// Addresses that were named as peers while we looked; whether they answer is another matter.
    pub peers: u32,
    pub record: Option<Box<RecordRow>>,
    /// Followed (or, for a torrent, kept) already.
    pub followed: bool,
    /// It can be followed; else it can only be kept.
    pub changes: bool,
    /// More than the house's limit: following will ask before it downloads.
    pub asks: bool,
    /// Why there is less than hoped, in a sentence; the rest is still true.
    pub trouble: Option<String>,
    /// The search goes on and is young: asking again soon may tell more.
    pub unfinished: bool,
}

/// A subscription as pages and programs see it.
#[derive(Debug, Clone)]
pub struct View {
    pub row: Subscription,
    pub state: State,
    /// The state as a sentence.
    pub words: String,
    /// The household's own name for its address.
    pub petname: Option<String>,
    pub record: Option<Box<RecordRow>>,
    /// Bytes of the newest version whose metadata is here, and how many of them are held.
    pub bytes: Option<u64>,
    pub held_bytes: u64,
    pub peers: u32,
    /// Unix seconds; 0: now, `u64::MAX`: never.
    pub next_look: u64,
    /// It is being looked at now.
    pub looking: bool,
}

/// What the owner changes; `None` leaves a thing as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub title: Option<String>,
    /// Empty: it has no name any more.
    pub petname: Option<String>,
    pub paused: Option<bool>,
    pub blocked: Option<bool>,
    pub quota_bytes: Option<u64>,
    pub keep_versions: Option<u32>,
    pub pin: Option<InfoHash>,
    pub unpin: Option<InfoHash>,
    /// Unpins an old version that is here and removes its files; never the one that readers get.
    pub remove: Option<InfoHash>,
    /// Fetch the version that waits for a word, or do not.
    pub approve: Option<(InfoHash, bool)>,
    /// The warning about two values under one number has been read.
    pub settle_conflict: bool,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Feeds {
    parts: Arc<Parts>,
}

/// What the files of this room share.
struct Parts {
    sites: Sites,
    links: Links,
    swarm: Swarm,
    db: Db,
    clock: Clock,
    tasks: Tasks,
    turns: Turns,
    arrivals: Arrivals,
    /// The records that linked domains lead to. Bounded by the number of subscriptions.
    linked: Mutex<HashMap<Target, Target>>,
    patience: preview::Patience,
}

impl Feeds {
    pub fn start(
        config: Config,
        sites: Sites,
        links: Links,
        swarm: Swarm,
        db: Db,
        clock: Clock,
        tasks: &Tasks,
    ) -> Self {
        let parts = Arc::new(Parts {
            sites,
            links,
            swarm,
            db,
            clock,
            tasks: tasks.clone(),
            turns: Turns::default(),
            arrivals: Arrivals::default(),
            linked: Mutex::default(),
            patience: preview::Patience::default(),
        });
        let looking = parts.clone();
        tasks.spawn("feeds.looks", async move {
            let at_once = config.looks_at_once.max(1);
            let (turns, db, clock) = (&looking.turns, &looking.db, &looking.clock);
            turns.serve(&looking, db, clock, at_once).await;
        });
        let arriving = parts.clone();
        tasks.spawn("feeds.arrivals", async move { arriving.watch_arrivals().await });
        Self { parts }
    }

    /// What was pasted: looked up until the deadline; only metadata is fetched.
    pub async fn preview(&self, pasted: &Pasted, deadline: Instant) -> Result<Preview, Error> {
        self.parts.preview(pasted, deadline).await
    }

    /// Follows a key or a linked domain. Returns at once; looking and fetching go on behind. Following again changes what
    /// `change` names.
    pub async fn follow(&self, pasted: &Pasted, change: Change) -> Result<View, Error> {
        let id = self.parts.follow(pasted, change).await?;
        self.view(&id).await
    }

    /// Stops following. `remove`: also forgets the versions nobody else keeps, else they stay as kept sites.
    pub async fn unfollow(&self, id: &Target, remove: bool) -> Result<(), Error> {
        self.parts.unfollow(*id, remove).await
    }

    /// All subscriptions, by name. Reads only the store and memory.
    pub async fn list(&self) -> Result<Vec<View>, Error> {
        self.parts.list().await
    }

    /// The linked domains that are followed and not blocked.
    pub async fn domains(&self) -> Result<Vec<String>, Error> {
        self.parts.domains().await
    }

    pub async fn view(&self, id: &Target) -> Result<View, Error> {
        self.parts.view(*id).await
    }

    pub async fn change(&self, id: &Target, change: Change) -> Result<View, Error> {
        self.parts.apply(*id, change).await?;
        self.view(id).await
    }

    /// Looks now, whatever is due; a paused or blocked one is not looked at.
    pub async fn check_now(&self, id: &Target) -> Result<(), Error> {
        let row = self.parts.row(*id).await?;
        if row.paused || row.blocked {
            let what = if row.blocked { "blocked" } else { "paused" };
            return Err(Error::Refused(format!(
                "this subscription is {what}, so it is not looked at"
            )));
        }
        Ok(self.parts.turns.now(&self.parts.db, *id).await?)
    }

    /// What changed between two versions whose metadata is here.
    pub async fn changes(&self, old: InfoHash, new: InfoHash) -> Result<Changes, Error> {
        self.parts.compare(old, new).await
    }

    /// The names the household gave, each with its address, in name order.
    pub async fn petnames(&self) -> Result<Vec<(String, String)>, Error> {
        Ok(self.parts.db.run(store::Store::petnames).await?)
    }

    /// Gives a name to an address of any kind; returns the address as it is written down.
    pub async fn set_petname(&self, name: &str, pasted: &Pasted) -> Result<String, Error> {
        self.parts.set_petname(name, pasted).await
    }

    pub async fn remove_petname(&self, name: &str) -> Result<(), Error> {
        self.parts.remove_petname(name).await
    }

    pub async fn house(&self) -> Result<House, Error> {
        self.parts.house().await
    }

    /// Counts from the next look on.
    pub async fn set_house(&self, house: House) -> Result<(), Error> {
        let text = serde_json::to_vec(&house).unwrap_or_default();
        let set = self.parts.db.run(move |store| store.set_setting(HOUSE, &text));
        Ok(set.await?)
    }
}

/// An address as rows and programs write it: a host, or a magnet where no host fits.
pub fn address_text(address: &Address) -> Option<String> {
    subject::text_of(address)
}

/// The setting that holds [`House`].
const HOUSE: &str = "feeds.house";

impl Parts {
    async fn row(&self, id: Target) -> Result<Subscription, Error> {
        let found = self.db.run(move |store| store.subscription(&id)).await?;
        found.ok_or(Error::Unknown(id))
    }

    /// `None`: it is gone, paused or blocked.
    async fn active(&self, id: Target) -> Result<Option<Subscription>, Error> {
        let found = self.db.run(move |store| store.subscription(&id)).await?;
        Ok(found.filter(|row| !row.paused && !row.blocked))
    }

    /// Changes one row in one deed; `None` when there is none.
    async fn change<T: Send + 'static>(
        &self,
        id: Target,
        deed: impl Fn(&mut Subscription) -> T + Send + 'static,
    ) -> Result<Option<T>, Error> {
        let done = self.db.run(move |store| {
            let result = std::cell::Cell::new(None);
            store.change_subscription(&id, |row| result.set(Some(deed(row))))?;
            Ok(result.into_inner())
        });
        Ok(done.await?)
    }

    async fn house(&self) -> Result<House, Error> {
        let read = self.db.run(move |store| store.setting(HOUSE)).await?;
        // Written by us alone; a setting of another release falls back to what is safe.
        Ok(read
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default())
    }

    /// The record of a subscription: of its key, or of the key its domain leads to.
    fn record_id(&self, row: &Subscription) -> Option<Target> {
        match subject::Subject::of(row) {
            Ok(subject::Subject::Key { .. }) => Some(row.id),
            _ => self.links_known().get(&row.id).copied(),
        }
    }

    async fn set_owner(&self, row: &Subscription, owner: Owner) -> Result<(), Error> {
        let Some(target) = self.record_id(row) else {
            return Ok(());
        };
        let set = self.db.run(move |store| match store.record(&target)? {
            Some(_) => store.set_record_owner(&target, owner),
            None => Ok(()),
        });
        Ok(set.await?)
    }

    /// Where a domain leads survives a restart, so that its record is shown before the next look.
    async fn remember_link(&self, id: Target, record: Option<Target>) {
        let known = match record {
            Some(record) => self.links_known().insert(id, record),
            None => self.links_known().remove(&id),
        };
        if known != record {
            let text = record.map(|record| record.0.to_vec()).unwrap_or_default();
            let noted = self
                .db
                .run(move |store| store.set_setting(&link_setting(&id), &text));
            if let Err(err) = noted.await {
                tracing::warn!(%err, "where a domain leads is not noted");
            }
        }
    }

    fn links_known(&self) -> MutexGuard<'_, HashMap<Target, Target>> {
        self.linked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn link_setting(id: &Target) -> String {
    format!("feeds.link.{id}")
}
