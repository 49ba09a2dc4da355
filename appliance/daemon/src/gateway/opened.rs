//! Sites kept open: the tree of paths, ready-made headers and the smallest bodies, so that a request for a small held
//! file costs no look-up in the store. Also the openings under way, one per site however many ask.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use hyper::HeaderMap;
use proto::{
    id::InfoHash,
    metainfo::Info,
    site::{redirects, tree::Tree},
};
use tokio::{
    sync::{OnceCell, Semaphore, watch},
    time::Instant,
};

use super::{SiteSource, reply::Wall};
use crate::{
    sites::Error,
    swarm::{Hints, Torrent},
    tasks::Tasks,
};

/// Sites held open. More: more memory, fewer look-ups for households with many sites in use at once.
const SITES_MAX: usize = 64;
/// Memory that the metadata of open sites may take, estimated, bytes.
const WEIGHT_MAX: usize = 24 << 20;
/// After this a site is opened anew, so that one that was removed or damaged is not shown from memory for long.
const FRESH: Duration = Duration::from_secs(20);
/// How long an opening goes on when nobody waits any more.
const OPEN_FOR: Duration = Duration::from_secs(60);
/// How long a failed opening is news: a little longer than a page waits before it looks again.
const NEWS: Duration = Duration::from_secs(10);
/// Openings and fetches ahead at once. More: a page of many dead links costs more. Fewer: a household waits.
const AHEAD_MAX: usize = 64;
/// Ready-made headers per site.
const HEADS_MAX: usize = 256;
/// Small bodies of all sites together, bytes.
const BODIES_MAX: usize = 4 << 20;
/// What counts as small: answered whole from memory.
pub const SMALL: u64 = 64 << 10;
/// Only the smallest are kept beside the store: reading a larger one costs little more than copying it.
const KEEP_MAX: usize = 16 << 10;

/// The ready-made part of a file's answer.
pub struct FileHead {
    /// As they stand in a 200; a 206 adds Content-Range.
    pub headers: HeaderMap,
    pub etag: String,
}

/// One opened site.
pub struct Opened<S: SiteSource> {
    pub ih: InfoHash,
    pub site: S::Site,
    pub tree: Tree,
    since: Instant,
    heads: Mutex<HashMap<(usize, Wall), Arc<FileHead>>>,
    bodies: Mutex<HashMap<usize, Bytes>>,
    bodies_sum: Arc<AtomicUsize>,
    pub rules: OnceCell<Result<redirects::Rules, redirects::Malformed>>,
}

impl<S: SiteSource> Opened<S> {
    fn new(ih: InfoHash, site: S::Site, bodies_sum: Arc<AtomicUsize>) -> Self {
        let tree = Tree::new(&S::torrent(&site).info);
        Self {
            ih,
            site,
            tree,
            since: Instant::now(),
            heads: Mutex::default(),
            bodies: Mutex::default(),
            bodies_sum,
            rules: OnceCell::new(),
        }
    }

    pub fn info(&self) -> &Info {
        &self.torrent().info
    }

    pub fn torrent(&self) -> &Arc<Torrent> {
        S::torrent(&self.site)
    }

    pub fn head(&self, file: usize, wall: Wall) -> Option<Arc<FileHead>> {
        lock(&self.heads).get(&(file, wall)).cloned()
    }

    pub fn keep_head(&self, file: usize, wall: Wall, head: &Arc<FileHead>) {
        let mut heads = lock(&self.heads);
        if heads.len() < HEADS_MAX {
            heads.insert((file, wall), head.clone());
        }
    }

    pub fn body(&self, file: usize) -> Option<Bytes> {
        lock(&self.bodies).get(&file).cloned()
    }

    /// Remembers a whole small file, within the common bound.
    pub fn keep_body(&self, file: usize, body: &Bytes) {
        let size = body.len();
        if size > KEEP_MAX || self.bodies_sum.load(Ordering::Relaxed) + size > BODIES_MAX {
            return;
        }
        // A copy of its own: a slice would hold the whole chunk of the store alive.
        if lock(&self.bodies)
            .insert(file, Bytes::copy_from_slice(body))
            .is_none()
        {
            self.bodies_sum.fetch_add(size, Ordering::Relaxed);
        }
    }

    fn weight(&self) -> usize {
        self.torrent().raw_info.len() * 2 + self.info().files.len() * 100
    }
}

impl<S: SiteSource> Drop for Opened<S> {
    fn drop(&mut self) {
        let sum: usize = lock(&self.bodies).values().map(Bytes::len).sum();
        self.bodies_sum.fetch_sub(sum, Ordering::Relaxed);
    }
}

/// Why there is no opened site now.
#[derive(Debug, Clone)]
pub enum NotOpen {
    /// Still looking when the wait ended.
    Waiting,
    /// Too many openings under way.
    Busy,
    Site(Arc<Error>),
}

type Outcome<S> = Option<Result<Arc<Opened<S>>, Arc<Error>>>;

struct Slot<S: SiteSource> {
    outcome: watch::Receiver<Outcome<S>>,
    used: Instant,
    /// When the opening ended, and whether somebody has heard of its failure.
    ended: Arc<OnceLock<Instant>>,
    told: bool,
}

/// All of them. Shared by every connection.
pub struct Shelf<S: SiteSource> {
    source: Arc<S>,
    tasks: Tasks,
    slots: Mutex<HashMap<InfoHash, Slot<S>>>,
    hints: Mutex<HashMap<InfoHash, Hints>>,
    ahead: Arc<Semaphore>,
    bodies_sum: Arc<AtomicUsize>,
}

impl<S: SiteSource> Shelf<S> {
    pub fn new(source: Arc<S>, tasks: Tasks) -> Self {
        Self {
            source,
            tasks,
            slots: Mutex::default(),
            hints: Mutex::default(),
            ahead: Arc::new(Semaphore::new(AHEAD_MAX)),
            bodies_sum: Arc::default(),
        }
    }

    pub fn source(&self) -> &Arc<S> {
        &self.source
    }

    /// The open site, when it is open and fresh: no waiting, no network.
    pub fn now(&self, ih: &InfoHash) -> Option<Arc<Opened<S>>> {
        let mut slots = lock(&self.slots);
        let slot = slots.get_mut(ih)?;
        let opened = match slot.outcome.borrow().as_ref() {
            Some(Ok(opened)) if opened.since.elapsed() < FRESH => opened.clone(),
            _ => return None,
        };
        slot.used = Instant::now();
        Some(opened)
    }

    /// Opens, or joins an opening, and waits until `until`; the opening itself goes on behind. `looking_again`: a page
    /// that refreshes itself hears once of a failure that came between two looks, instead of starting anew for ever.
    pub async fn open(
        &self,
        ih: InfoHash,
        until: Instant,
        looking_again: bool,
    ) -> Result<Arc<Opened<S>>, NotOpen> {
        if let Some(opened) = self.now(&ih) {
            return Ok(opened);
        }
        if looking_again && let Some(err) = self.failure(&ih) {
            return Err(NotOpen::Site(err));
        }
        let mut outcome = self.opening(ih)?;
        let done = tokio::time::timeout_at(until, outcome.wait_for(Option::is_some)).await;
        match done {
            Ok(Ok(outcome)) => match outcome.as_ref() {
                Some(Ok(opened)) => Ok(opened.clone()),
                Some(Err(err)) => {
                    if let Some(slot) = lock(&self.slots).get_mut(&ih) {
                        slot.told = true;
                    }
                    Err(NotOpen::Site(err.clone()))
                }
                None => Err(NotOpen::Waiting),
            },
            _ => Err(NotOpen::Waiting),
        }
    }

    /// A fresh failure that nobody has heard of yet; heard now.
    fn failure(&self, ih: &InfoHash) -> Option<Arc<Error>> {
        let mut slots = lock(&self.slots);
        let slot = slots.get_mut(ih).filter(|slot| !slot.told)?;
        slot.ended.get().filter(|ended| ended.elapsed() < NEWS)?;
        let err = slot.outcome.borrow().as_ref()?.as_ref().err().cloned()?;
        slot.told = true;
        Some(err)
    }

    /// Opens from what is stored; asks nobody.
    pub async fn open_local(&self, ih: InfoHash) -> Option<Arc<Opened<S>>> {
        if let Some(opened) = self.now(&ih) {
            return Some(opened);
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        let hints = Hints::default();
        let opening = self.source.open(ih, &hints, true, deadline);
        let site = tokio::time::timeout_at(deadline, opening).await.ok()?.ok()?;
        Some(Arc::new(Opened::new(ih, site, self.bodies_sum.clone())))
    }

    fn opening(&self, ih: InfoHash) -> Result<watch::Receiver<Outcome<S>>, NotOpen> {
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.get(&ih) {
            // Under way. An outcome that is here is stale or a refusal: the next asker starts anew.
            if slot.outcome.borrow().is_none() && slot.outcome.has_changed().is_ok() {
                return Ok(slot.outcome.clone());
            }
        }
        let permit = self
            .ahead
            .clone()
            .try_acquire_owned()
            .map_err(|_| NotOpen::Busy)?;
        let (report, outcome) = watch::channel(None);
        let ended = Arc::new(OnceLock::new());
        let slot = Slot {
            outcome: outcome.clone(),
            used: Instant::now(),
            ended: ended.clone(),
            told: false,
        };
        slots.insert(ih, slot);
        shrink(&mut slots);
        drop(slots);
        let source = self.source.clone();
        let hints = lock(&self.hints).get(&ih).cloned().unwrap_or_default();
        let bodies_sum = self.bodies_sum.clone();
        self.tasks.spawn("gateway.open", async move {
            let _permit = permit;
            let deadline = Instant::now() + OPEN_FOR;
            let opening = source.open(ih, &hints, false, deadline);
            let opened = match tokio::time::timeout_at(deadline, opening).await {
                Ok(Ok(site)) => Ok(Arc::new(Opened::new(ih, site, bodies_sum))),
                Ok(Err(err)) => Err(Arc::new(err)),
                Err(_) => Err(Arc::new(Error::Silent(ih))),
            };
            let _ = ended.set(Instant::now());
            // Nobody may be waiting any more; the slot still holds a receiver.
            report.send_replace(Some(opened));
        });
        Ok(outcome)
    }

    /// Remembers where a pasted link said to look.
    pub fn hint(&self, ih: InfoHash, hints: Hints) {
        let mut all = lock(&self.hints);
        if all.len() >= SITES_MAX * 4 {
            all.clear();
        }
        all.insert(ih, hints);
    }

    /// Goes on fetching a piece that a reader gave up waiting for, so that the next try finds it.
    pub fn fetch_on(&self, opened: &Arc<Opened<S>>, file: usize, offset: u64) {
        let Ok(permit) = self.ahead.clone().try_acquire_owned() else {
            return;
        };
        let (source, opened) = (self.source.clone(), opened.clone());
        self.tasks.spawn("gateway.fetch-on", async move {
            let _permit = permit;
            let deadline = Instant::now() + OPEN_FOR;
            let reading = source.read(&opened.site, file, offset, 1, deadline);
            // Its outcome is seen by whoever asks next.
            let _ = tokio::time::timeout_at(deadline, reading).await;
        });
    }
}

/// Drops the least recently used until the bounds hold; the newest always stays.
fn shrink<S: SiteSource>(slots: &mut HashMap<InfoHash, Slot<S>>) {
    loop {
        let weigh = |slot: &Slot<S>| match slot.outcome.borrow().as_ref() {
            Some(Ok(opened)) => opened.weight(),
            _ => 0,
        };
        let weight: usize = slots.values().map(weigh).sum();
        if slots.len() <= 1 || slots.len() <= SITES_MAX && weight <= WEIGHT_MAX {
            return;
        }
        let oldest = slots.iter().min_by_key(|(_, slot)| slot.used).map(|(ih, _)| *ih);
        if let Some(ih) = oldest {
            slots.remove(&ih);
        }
    }
}

/// A panic in one request must not close the shelf to all others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
