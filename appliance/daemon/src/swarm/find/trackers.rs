//! What each tracker was told about each torrent, and when it may be asked again: events are sent once (BEP 3), a dead
//! tracker rests for all torrents together, a refusal concerns one torrent only.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use proto::{
    guard::Policy,
    id::InfoHash,
    tracker::{Announce, Event, INTERVAL_DEFAULT, INTERVAL_MAX, INTERVAL_MIN, Reply},
};
use store::SiteRow;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::tracker::{self, Error};

/// Pairs of torrent and tracker remembered. Fewer: `started` is sent twice. About 200 bytes each.
const TOLD_MAX: usize = 20_000;

/// Trackers whose silence is remembered.
const RESTING_MAX: usize = 1_000;

/// Peers asked for.
const NUMWANT: u16 = 80;

/// No announce takes longer; one that was dropped half-way counts as on its way until then.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// How long all `stopped` messages together may take, and how many are sent beside each other.
const STOP_WITHIN: Duration = Duration::from_secs(3);
const STOP_AT_ONCE: usize = 16;

/// The state of one torrent at one moment, as a tracker wants to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    pub ih: InfoHash,
    pub port: u16,
    pub uploaded: u64,
    pub downloaded: u64,
    pub left: u64,
}

impl Moment {
    pub(super) fn of(row: &SiteRow, port: u16) -> Self {
        let held = u64::from(row.held) * u64::from(row.piece_length);
        // At least one byte until the last piece: a partial seed is not a seed.
        let left = if row.complete() {
            0
        } else {
            row.total.saturating_sub(held).max(1)
        };
        Self {
            ih: row.infohash,
            port,
            uploaded: row.uploaded,
            downloaded: row.downloaded,
            left,
        }
    }

    /// Metadata is not there yet, so nobody knows how much is left; 16 KiB is what libtorrent says.
    pub(super) fn unknown(ih: InfoHash, port: u16) -> Self {
        Self {
            ih,
            port,
            uploaded: 0,
            downloaded: 0,
            left: 16 << 10,
        }
    }
}

/// What an announce brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub peers: Vec<SocketAddr>,
    /// When the tracker wants us back, and the soonest it allows.
    pub interval: Duration,
    pub min_interval: Duration,
}

impl Outcome {
    fn later(wait: Duration) -> Self {
        Self {
            peers: Vec::new(),
            interval: wait,
            min_interval: wait,
        }
    }
}

pub(super) struct Trackers {
    peer_id: [u8; 20],
    key: u32,
    /// Held for moments, never across an await.
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    told: HashMap<(InfoHash, Arc<str>), Told>,
    resting: HashMap<String, Rest>,
}

/// What one tracker knows of one torrent.
#[derive(Clone)]
struct Told {
    started: bool,
    seeding: bool,
    uploaded_before: u64,
    downloaded_before: u64,
    not_before: Instant,
    /// An announce is on its way until then at the latest; a second one would repeat its event.
    asked_until: Instant,
    last: Moment,
}

struct Rest {
    silences: u32,
    until: Instant,
}

impl Trackers {
    pub(super) fn new() -> Self {
        let mut peer_id = *b"-GY0100-............";
        for byte in &mut peer_id[8..] {
            *byte = rand::random_range(b'a'..=b'z');
        }
        Self {
            peer_id,
            key: rand::random(),
            memory: Mutex::default(),
        }
    }

    /// Tells one tracker about one torrent, unless it is too soon, and brings its peers.
    pub(super) async fn announce(&self, url: &str, moment: &Moment, policy: &Policy) -> Outcome {
        let url: Arc<str> = url.into();
        let (message, was_seeding) = match self.prepare(&url, moment) {
            Ok(ready) => ready,
            Err(wait) => return Outcome::later(wait),
        };
        let answer = tracker::announce(&url, &message, policy).await;
        self.settle(&url, moment, was_seeding, answer)
    }

    /// Says `stopped` to every tracker that heard of `ih` (of anything, when `None`), best effort and bounded in time.
    pub(super) async fn stop(&self, ih: Option<InfoHash>, policy: &Policy, port: u16) {
        let mut messages = Vec::new();
        self.memory().told.retain(|(told_ih, url), told| {
            let ends = ih.is_none_or(|ih| ih == *told_ih);
            if ends && told.started {
                let mut message = self.message(&told.last, told, Event::Stopped);
                message.port = port;
                messages.push((url.clone(), message));
            }
            !ends
        });
        let all = stream::iter(messages).for_each_concurrent(STOP_AT_ONCE, |(url, message)| async move {
            let _ = tracker::announce(&url, &message, policy).await;
        });
        let _ = timeout(STOP_WITHIN, all).await;
    }

    /// How many trackers are left alone now.
    pub(super) fn resting(&self) -> usize {
        let now = Instant::now();
        self.memory().resting.values().filter(|r| r.until > now).count()
    }

    /// The message that is due, and whether the tracker already counts us as a seed; or how long to wait.
    fn prepare(&self, url: &Arc<str>, moment: &Moment) -> Result<(Announce, bool), Duration> {
        let now = Instant::now();
        let mut memory = self.memory();
        let memory = &mut *memory;
        if let Some(rest) = memory.resting.get(authority(url)).filter(|r| r.until > now) {
            return Err(rest.until - now);
        }
        if memory.told.len() >= TOLD_MAX {
            memory.told.retain(|_, told| told.not_before > now);
        }
        if memory.told.len() >= TOLD_MAX {
            return Err(INTERVAL_DEFAULT);
        }
        let told = memory
            .told
            .entry((moment.ih, url.clone()))
            .or_insert_with(|| Told {
                started: false,
                seeding: false,
                uploaded_before: moment.uploaded,
                downloaded_before: moment.downloaded,
                not_before: now,
                asked_until: now,
                last: moment.clone(),
            });
        let event = match (told.started, moment.left == 0 && !told.seeding) {
            (false, _) => Event::Started,
            (true, true) => Event::Completed,
            (true, false) => Event::None,
        };
        if told.asked_until > now {
            return Err(told.asked_until - now);
        }
        // An event is news and may come at any time; a regular announce may not.
        if event != Event::Completed && told.not_before > now {
            return Err(told.not_before - now);
        }
        told.asked_until = now + ANSWER_WITHIN;
        told.not_before = now + INTERVAL_MIN;
        told.last = moment.clone();
        let told = told.clone();
        Ok((self.message(moment, &told, event), told.seeding))
    }

    fn message(&self, moment: &Moment, told: &Told, event: Event) -> Announce {
        Announce {
            infohash: moment.ih,
            peer_id: self.peer_id,
            port: moment.port,
            uploaded: moment.uploaded.saturating_sub(told.uploaded_before),
            downloaded: moment.downloaded.saturating_sub(told.downloaded_before),
            left: moment.left,
            event,
            numwant: if event == Event::Stopped { 0 } else { NUMWANT },
            key: self.key,
            ipv6: None,
        }
    }

    fn settle(
        &self,
        url: &Arc<str>,
        moment: &Moment,
        was_seeding: bool,
        answer: Result<Reply, Error>,
    ) -> Outcome {
        let now = Instant::now();
        let mut memory = self.memory();
        if let Some(told) = memory.told.get_mut(&(moment.ih, url.clone())) {
            told.asked_until = now;
        }
        match answer {
            Ok(reply) => {
                memory.resting.remove(authority(url));
                if let Some(told) = memory.told.get_mut(&(moment.ih, url.clone())) {
                    told.started = true;
                    told.seeding = was_seeding || moment.left == 0;
                    told.not_before = now + reply.min_interval;
                }
                Outcome {
                    peers: reply.peers,
                    interval: reply.interval,
                    min_interval: reply.min_interval,
                }
            }
            Err(Error::Unreachable(reason)) => {
                let wait = memory.silent(authority(url), now);
                debug!(addr = authority(url), %reason, secs = wait.as_secs(), "tracker is silent");
                Outcome::later(wait)
            }
            // Forbidden addresses, refusals and nonsense: this torrent does not ask again soon.
            Err(err) => {
                debug!(addr = authority(url), %err, site = %moment.ih.short(), "tracker is of no use");
                if let Some(told) = memory.told.get_mut(&(moment.ih, url.clone())) {
                    told.not_before = now + INTERVAL_DEFAULT;
                }
                Outcome::later(INTERVAL_DEFAULT)
            }
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// One more silence: one minute, two, four… up to two hours.
    fn silent(&mut self, authority: &str, now: Instant) -> Duration {
        if self.resting.len() >= RESTING_MAX {
            self.resting.retain(|_, rest| rest.until > now);
        }
        if self.resting.len() >= RESTING_MAX {
            return INTERVAL_DEFAULT;
        }
        let rest = self.resting.entry(authority.to_owned()).or_insert(Rest {
            silences: 0,
            until: now,
        });
        // Several torrents may hear the same silence at once: it counts once.
        if rest.until <= now {
            rest.silences = (rest.silences + 1).min(8);
            let wait = INTERVAL_MIN * 2u32.pow(rest.silences - 1);
            rest.until = now + wait.min(INTERVAL_MAX);
        }
        rest.until - now
    }
}

/// `scheme://host:port`: paths may hold passkeys, which belong in no log and no shared key.
fn authority(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |at| start + at);
    &url[..end]
}
