//! The side of DNS that asks: upstream resolvers by UDP, TCP, TLS, HTTPS and QUIC, or the root and downwards; with validation
//! by choice.
//!
//! Must not know the cache, the block list or who asked: it gets a question and gives one whole answer.
//!
//! Reading order: this file, `race` (one question to several servers), `server` (one of them), `udp`, `tcp`, `secure` (ways to
//! it), `scrub` (records nobody asked for), `learned` (which servers the network told), `validate` and `wildcard` (DNSSEC), `recursive`
//! (without upstreams).

mod learned;
mod race;
mod recursive;
mod scrub;
mod secure;
mod server;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;
mod validate;
mod wildcard;

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use house::tasks::Tasks;
use proto::dns::upstream::address::Address;
use tokio::time::{sleep, timeout};
use tracing::info;

pub use self::learned::Files;
use self::{recursive::Recursion, server::Server, validate::Validator};
use crate::{House, api, settings::Resolving};

/// Questions under way at once; each costs a socket while it waits. More: a storm is carried. Fewer: memory and descriptors.
const FLYING_MAX: usize = 384;
/// While nobody answers, so many may try at once; the others are told at once.
const DESPERATE_MAX: usize = 48;
/// Files of the network are looked at so often.
const LOOK: Duration = Duration::from_secs(2);
/// Everything together ends here.
const DEADLINE: Duration = Duration::from_millis(4_900);

/// Split by what the caller can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody answered in time, or nobody can be reached.
    #[error("no upstream answers")]
    Silent,
    /// No upstream is known.
    #[error("no upstream is known")]
    Nobody,
    /// Too many questions are under way.
    #[error("too many questions are under way")]
    Busy,
    /// The answer's DNSSEC proof is wrong (RFC 8914 4.7).
    #[error("the DNSSEC proof is wrong")]
    Bogus,
    /// The question cannot be asked.
    #[error("the name is no name")]
    Malformed,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Query {
    /// Wire form, lower case, with the root byte.
    pub name: Box<[u8]>,
    pub qtype: u16,
    pub qclass: u16,
    pub dnssec_ok: bool,
    pub checking_disabled: bool,
}

/// What a home never changes, and tests do.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    pub files: Files,
    /// Certificates (PEM) that may have signed those of upstreams, instead of the system's.
    pub ca: Option<PathBuf>,
    /// DNSSEC trust anchors, a file of DNSKEY records, instead of the root's own.
    pub trust_anchor: Option<PathBuf>,
    /// Where recursion begins, instead of at the root servers; they and all below answer on this port then.
    pub root: Option<(Vec<IpAddr>, u16)>,
}

/// Who is asked and how; replaced as a whole when the settings or the network change.
struct Set {
    servers: Vec<Arc<Server>>,
    resolving: Resolving,
    validate: bool,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Upstreams {
    inner: Arc<Inner>,
}

struct Inner {
    tasks: Tasks,
    sources: Sources,
    /// A plain mutex, held for a clone only.
    set: Mutex<Arc<Set>>,
    flying: AtomicUsize,
    validator: Validator,
    recursion: Recursion,
}

impl Upstreams {
    /// Asks nobody yet.
    pub fn start(house: &House) -> Self {
        Self::start_with(house, Sources::default())
    }

    pub fn start_with(house: &House, sources: Sources) -> Self {
        let set = Set::new(house, &sources, &[]);
        let inner = Inner {
            tasks: house.tasks.clone(),
            validator: Validator::new(sources.trust_anchor.clone()),
            recursion: Recursion::new(&sources),
            sources,
            set: Mutex::new(Arc::new(set)),
            flying: AtomicUsize::new(0),
        };
        let upstreams = Self {
            inner: Arc::new(inner),
        };
        house
            .tasks
            .spawn("dns.upstreams", upstreams.clone().follow(house.clone()));
        upstreams
    }

    /// One whole message whose question is that of `query`, with id 0; within 5 s.
    pub async fn ask(&self, query: &Query) -> Result<Vec<u8>, Error> {
        let set = self.set();
        let _place = self.place(FLYING_MAX)?;
        if set.validate || set.resolving == Resolving::Recursive {
            let work = Box::pin(self.ask_thoroughly(&set, query));
            return timeout(DEADLINE, work).await.unwrap_or(Err(Error::Silent));
        }
        self.forward(&set, query).await
    }

    async fn ask_thoroughly(&self, set: &Set, query: &Query) -> Result<Vec<u8>, Error> {
        let validate = set.validate && !query.checking_disabled && !validate::is_local(&query.name);
        match (set.resolving, validate) {
            (Resolving::Recursive, validate) => self.inner.recursion.ask(query, validate).await,
            (Resolving::Forward, true) => self.inner.validator.ask(self, query).await,
            (Resolving::Forward, false) => self.forward(set, query).await,
        }
    }

    async fn forward(&self, set: &Set, query: &Query) -> Result<Vec<u8>, Error> {
        let desperate = set.servers.iter().all(|server| !server.standing().0);
        if desperate && self.inner.flying.load(Ordering::Relaxed) > DESPERATE_MAX {
            return Err(Error::Silent);
        }
        let good = race::ask(&set.servers, query, &self.inner.tasks).await?;
        Ok(good.message)
    }

    /// For the status page.
    pub fn facts(&self) -> Vec<api::Upstream> {
        self.set().servers.iter().map(|server| server.facts()).collect()
    }

    /// Datagrams that came where an answer was awaited and were none.
    pub fn ignored(&self) -> u64 {
        self.set().servers.iter().map(|server| server.ignored()).sum()
    }

    fn set(&self) -> Arc<Set> {
        self.inner
            .set
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn place(&self, most: usize) -> Result<Place<'_>, Error> {
        let place = Place(&self.inner.flying);
        match self.inner.flying.fetch_add(1, Ordering::Relaxed) {
            before if before < most => Ok(place),
            _ => Err(Error::Busy),
        }
    }

    /// Changes of the settings, the interfaces and the files take effect at once.
    async fn follow(self, house: House) {
        let mut settings = house.watch_settings();
        let mut interfaces = house.interfaces.clone();
        let mut stamp = self.inner.sources.files.stamp();
        loop {
            let moved = tokio::select! {
                changed = settings.changed() => {
                    if changed.is_err() {
                        // Only in tests: the settings never change again.
                        sleep(LOOK).await;
                    }
                    false
                }
                () = interfaces.changed() => true,
                () = sleep(LOOK) => {
                    let now = self.inner.sources.files.stamp();
                    let same = now == stamp;
                    stamp = now;
                    let set = self.set();
                    set.servers.iter().for_each(|server| server.tidy());
                    if same {
                        continue;
                    }
                    false
                }
            };
            let old = self.set();
            if moved {
                for server in &old.servers {
                    server.moved().await;
                }
            }
            let new = Set::new(&house, &self.inner.sources, &old.servers);
            if !new.is_like(&old) {
                info!(count = new.servers.len(), "upstream resolvers changed");
            }
            *self.inner.set.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        }
    }
}

impl Set {
    /// Servers of `old` that stay keep what is known of them.
    fn new(house: &House, sources: &Sources, old: &[Arc<Server>]) -> Self {
        let settings = house.settings();
        let given = match &house.config.upstreams[..] {
            [] => &settings.dns.upstreams,
            given => given,
        };
        let chosen: Vec<Address> = given.iter().filter_map(|text| text.parse().ok()).collect();
        let learned = chosen.is_empty();
        let addresses = if learned {
            sources.files.servers(&house.interfaces.now())
        } else {
            chosen
        };
        let servers = addresses.into_iter().take(8).map(|address| {
            let known = old
                .iter()
                .find(|one| one.address == address && one.learned == learned);
            known
                .cloned()
                .unwrap_or_else(|| Arc::new(Server::new(address, learned, sources.ca.clone())))
        });
        Self {
            servers: servers.collect(),
            resolving: settings.dns.resolving,
            validate: settings.dns.validate,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        let addresses = |set: &Self| {
            let all = set.servers.iter().map(|one| (one.address.clone(), one.learned));
            all.collect::<Vec<_>>()
        };
        addresses(self) == addresses(other)
    }
}

/// One question under way.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
