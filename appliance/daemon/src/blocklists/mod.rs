//! Block lists: which ones the household chose, their texts, and the compiled file that the lan half answers from.
//!
//! Nothing is chosen and nothing is fetched until a person asks for it. From then on each list is looked at once a day while
//! blocking is on, by the guarded HTTP client. Must not know: DNS, pages, or how a name is looked up; the lan half alone
//! decides what is blocked.
//!
//! Reading order: this file (the handle), `book` (what is remembered), `keeper` (the task that fetches and compiles), `compile`
//! (texts to file), `suggested` (well-known lists).

mod book;
mod compile;
mod keeper;
mod suggested;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use proto::guard::{self, Policy, Scheme};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Notify;
use tracing::warn;

use self::{book::Book, keeper::Keeper};
use crate::{clock::Clock, db::Db, health::Health, home::Home, tasks::Tasks};

pub use self::{compile::compile, suggested::SUGGESTED};

/// Row of the store.
const SETTING: &str = "blocklists";
const NO_WEB_ADDRESS: &str = "the address of a list begins with https://";
/// More lists: more overlap, hardly more names.
pub const LISTS_MAX: usize = 12;
/// Longest text of one list; the largest well-known ones have 30 MiB.
pub const TEXT_BYTES_MAX: usize = 64 << 20;
/// Longest name of a list, characters.
const NAME_CHARS_MAX: usize = 80;

/// Split by what the caller can do: correct the input, or come back later.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Refused(String),
    #[error("there is no such list")]
    Unknown,
    #[error("the lists could not be written down: {0}")]
    Store(String),
}

/// Where this room keeps its things and what it may reach.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of the texts.
    pub folder: PathBuf,
    pub policy: Policy,
}

/// One list, for pages and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListFacts {
    pub id: u32,
    pub name: String,
    /// Not there: it was uploaded.
    pub url: Option<String>,
    pub enabled: bool,
    /// Seconds since 1970 when the text arrived; not there: it has not yet.
    pub fetched_secs: Option<u64>,
    /// Size of the text.
    pub bytes: u64,
    /// Names it blocks, as counted at the last compilation.
    pub names: Option<u64>,
    /// Rules in it that DNS cannot follow, and lines that make no sense.
    pub left_out: u64,
    /// Why the last try to fetch it did not succeed.
    pub trouble: Option<String>,
}

/// Everything a page shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Facts {
    pub lists: Vec<ListFacts>,
    /// Names in the compiled file, each counted once.
    pub names: u64,
    /// Lists are being fetched or compiled now.
    pub working: bool,
    /// Why the compiled file is not what the lists say.
    pub trouble: Option<String>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Blocklists {
    room: Arc<Room>,
}

struct Room {
    config: Config,
    db: Db,
    clock: Clock,
    health: Health,
    home: Home,
    /// Never held across an await.
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    book: Book,
    working: bool,
    trouble: Option<String>,
}

impl Blocklists {
    pub fn start(
        config: Config,
        db: &Db,
        clock: &Clock,
        health: &Health,
        home: &Home,
        tasks: &Tasks,
    ) -> Self {
        let book = match db.store().setting(SETTING).ok().flatten() {
            Some(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|err| {
                warn!(%err, "what was known of block lists is damaged; none is chosen now");
                Book::default()
            }),
            None => Book::default(),
        };
        let room = Arc::new(Room {
            config,
            db: db.clone(),
            clock: clock.clone(),
            health: health.clone(),
            home: home.clone(),
            state: Mutex::new(State {
                book,
                ..State::default()
            }),
            wake: Notify::new(),
        });
        tasks.spawn("blocklists.keep", Keeper::new(room.clone()).run());
        Self { room }
    }

    pub fn facts(&self) -> Facts {
        let state = self.room.state();
        Facts {
            lists: state.book.facts(),
            names: state.book.names(),
            working: state.working,
            trouble: state.trouble.clone(),
        }
    }

    /// A list from the web, enabled: it is fetched now.
    pub async fn add_url(&self, name: &str, url: &str) -> Result<u32, Error> {
        let url = url.trim();
        let allowed =
            guard::allowed_url(url, &self.room.config.policy.for_web()).map_err(|reason| match reason {
                guard::Reason::Scheme => Error::Refused(NO_WEB_ADDRESS.into()),
                reason => Error::Refused(format!("this address cannot be fetched: {reason}")),
            })?;
        if !matches!(allowed.scheme, Scheme::Http | Scheme::Https) {
            return Err(Error::Refused(NO_WEB_ADDRESS.into()));
        }
        let name = name_of(name, &allowed.host.to_string())?;
        self.add(name, Some(url.to_owned()), None).await
    }

    /// A list that a person gives as text.
    pub async fn add_text(&self, name: &str, text: Bytes) -> Result<u32, Error> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Error::Refused(format!(
                "the list has more than {} MiB",
                TEXT_BYTES_MAX >> 20
            )));
        }
        let name = name_of(name, "uploaded list")?;
        self.add(name, None, Some(text)).await
    }

    /// A list that is switched off stays here, with its text, and blocks nothing.
    pub async fn set_enabled(&self, id: u32, enabled: bool) -> Result<(), Error> {
        self.change(|book| book.list(id).map(|list| list.enabled = enabled))
            .await?
            .ok_or(Error::Unknown)
    }

    pub async fn remove(&self, id: u32) -> Result<(), Error> {
        let removed = self.change(|book| book.remove(id)).await?;
        if !removed {
            return Err(Error::Unknown);
        }
        let _ = tokio::fs::remove_file(self.room.text(id)).await;
        Ok(())
    }

    /// Looks at every list now.
    pub fn refresh(&self) {
        self.room.state().book.all_due();
        self.room.wake.notify_one();
    }

    async fn add(&self, name: String, url: Option<String>, text: Option<Bytes>) -> Result<u32, Error> {
        let known = {
            let state = self.room.state();
            let twice = url.is_some() && state.book.lists.iter().any(|list| list.url == url);
            if twice {
                return Err(Error::Refused("this list is here already".into()));
            }
            state.book.lists.len()
        };
        if known >= LISTS_MAX {
            return Err(Error::Refused(format!(
                "more than {LISTS_MAX} lists are not kept"
            )));
        }
        let id = self.room.state().book.take_id();
        let mut list = book::List::new(id, name, url);
        if let Some(text) = text {
            let kept = keep_text(&self.room.text(id), &text).await;
            kept.map_err(|err| Error::Store(err.to_string()))?;
            list.arrived(self.room.clock.now_secs(), text.len() as u64, None);
        }
        self.change(|book| book.lists.push(list)).await?;
        Ok(id)
    }

    /// Changes the book, writes it down, and wakes the keeper.
    async fn change<T>(&self, deed: impl FnOnce(&mut Book) -> T) -> Result<T, Error> {
        let done = deed(&mut self.room.state().book);
        let written = self.room.write().await;
        self.room.wake.notify_one();
        written.map(|()| done)
    }
}

impl Room {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the text of a list lies.
    fn text(&self, id: u32) -> PathBuf {
        self.config.folder.join(format!("{id}.txt"))
    }

    async fn write(&self) -> Result<(), Error> {
        let bytes = serde_json::to_vec(&self.state().book).map_err(|err| Error::Store(err.to_string()))?;
        self.db
            .run(move |store| store.set_setting(SETTING, &bytes))
            .await
            .map_err(|err| Error::Store(err.to_string()))
    }
}

/// A text appears whole or not at all.
async fn keep_text(path: &std::path::Path, text: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    let part = path.with_extension("part");
    tokio::fs::write(&part, text).await?;
    tokio::fs::rename(&part, path).await
}

/// What the person typed, else `otherwise`.
fn name_of(typed: &str, otherwise: &str) -> Result<String, Error> {
    let name = match typed.trim() {
        "" => otherwise,
        typed => typed,
    };
    if name.chars().count() > NAME_CHARS_MAX || name.contains(char::is_control) {
        return Err(Error::Refused(format!(
            "the name of a list has at most {NAME_CHARS_MAX} letters"
        )));
    }
    Ok(name.to_owned())
}
