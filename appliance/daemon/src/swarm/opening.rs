//! Opening unknown infohashes: one search per infohash however many ask, and it outlives the request that began it, so that
//! a page that is reloaded finds the search further and not begun anew.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use proto::{guard, id::InfoHash, metainfo::TRACKERS_MAX};
use store::Keep;
use tokio::{
    sync::{mpsc, watch},
    time::{Duration, Instant, timeout_at},
};
use tracing::debug;

use super::{Error, Hints, Torrent, add_row, fetch::Search as _, metadata, parse, start::Parts};

/// Searches at once. More: strangers' links cost more sockets. Fewer: a page with many links waits.
const OPENINGS_MAX: usize = 64;
/// The first round of questions; each further one takes twice as long.
const FIRST_ROUND: Duration = Duration::from_secs(2);
/// Addresses asked again in the next round.
const KNOWN_MAX: usize = 200;
/// How long a search goes on without anybody asking again.
const SEARCH: Duration = Duration::from_secs(90);

#[derive(Clone, Default)]
pub struct Opening {
    open: Arc<Mutex<HashMap<InfoHash, Search>>>,
}

#[derive(Clone)]
struct Search {
    more: mpsc::Sender<Vec<SocketAddr>>,
    end: watch::Receiver<Option<End>>,
}

/// How a search ended.
#[derive(Clone)]
enum End {
    Known,
    Silent,
    Refused(String),
    Broken(String),
}

impl Opening {
    /// Returns when the store knows the torrent.
    pub async fn open(
        &self,
        parts: &Arc<Parts>,
        ih: InfoHash,
        hints: &Hints,
        deadline: Instant,
    ) -> Result<(), Error> {
        let mut search = self.join(parts, ih, hints)?;
        if !hints.peers.is_empty() {
            // A full channel means that there are peers enough to ask.
            let _ = search.more.try_send(guarded(parts, &hints.peers));
        }
        let ended = timeout_at(deadline, search.end.wait_for(Option::is_some)).await;
        let end = match ended {
            Ok(Ok(end)) => end.clone(),
            Ok(Err(_)) => return Err(Error::Stopping),
            Err(_) => None,
        };
        match end {
            Some(End::Known) => Ok(()),
            Some(End::Refused(reason)) => Err(Error::Refused { infohash: ih, reason }),
            Some(End::Broken(reason)) => Err(Error::Engine(reason)),
            Some(End::Silent) | None => Err(Error::NoPeers(ih)),
        }
    }

    /// The search under way, or a new one.
    fn join(&self, parts: &Arc<Parts>, ih: InfoHash, hints: &Hints) -> Result<Search, Error> {
        let mut open = self.lock();
        if let Some(search) = open.get(&ih) {
            return Ok(search.clone());
        }
        if open.len() >= OPENINGS_MAX {
            return Err(Error::Engine(
                "too many sites are being looked for; try again soon".into(),
            ));
        }
        let (more, peers) = mpsc::channel(16);
        let (tell, end) = watch::channel(None);
        let search = Search { more, end };
        open.insert(ih, search.clone());
        drop(open);
        let trackers: Vec<String> = hints.trackers.iter().take(TRACKERS_MAX).cloned().collect();
        let (this, parts) = (self.clone(), parts.clone());
        let tasks = parts.tasks.clone();
        tasks.spawn("swarm.open", async move {
            // Removed from the map however this ends, a cancelled or panicking search included.
            let _gone = Gone(this, ih);
            let found = run(&parts, ih, trackers, peers).await;
            tell.send_replace(Some(found));
        });
        Ok(search)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<InfoHash, Search>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Gone(Opening, InfoHash);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

async fn run(
    parts: &Parts,
    ih: InfoHash,
    trackers: Vec<String>,
    mut named: mpsc::Receiver<Vec<SocketAddr>>,
) -> End {
    let deadline = Instant::now() + SEARCH;
    let mut found = parts.found.find(ih, false, trackers.clone());
    let mut known = Vec::new();
    let mut round = FIRST_ROUND;
    loop {
        let (peers, channel) = mpsc::channel(16);
        // Peers that hung up in the round before may only have been busy.
        let _ = peers.try_send(known.clone());
        let until = deadline.min(Instant::now() + round);
        let raw = tokio::select! {
            raw = metadata::fetch(ih, channel, until) => raw,
            () = feed(&mut found, &mut named, &mut known, peers) => Err(metadata::Error::Silent(ih)),
        };
        match raw {
            Ok(raw) => match parse(raw) {
                Ok(torrent) => return store_row(parts, &torrent, trackers).await,
                Err(Error::Refused { reason, .. }) => return End::Refused(reason),
                Err(err) => return End::Broken(err.to_string()),
            },
            Err(err) if Instant::now() >= deadline => {
                debug!(site = %ih.short(), %err, "no metadata");
                return End::Silent;
            }
            Err(_) => round *= 2,
        }
    }
}

/// Passes on what is found and what readers name, and remembers it for the next round. Never ends by itself.
async fn feed(
    found: &mut mpsc::Receiver<Vec<SocketAddr>>,
    named: &mut mpsc::Receiver<Vec<SocketAddr>>,
    known: &mut Vec<SocketAddr>,
    peers: mpsc::Sender<Vec<SocketAddr>>,
) {
    loop {
        let batch = tokio::select! {
            Some(batch) = found.recv() => batch,
            Some(batch) = named.recv() => batch,
            else => std::future::pending().await,
        };
        let room = KNOWN_MAX.saturating_sub(known.len());
        known.extend(
            batch
                .iter()
                .filter(|peer| !known.contains(peer))
                .take(room)
                .copied()
                .collect::<Vec<_>>(),
        );
        // The fetch has ended when nobody listens; the select above it sees that.
        let _ = peers.send(batch).await;
    }
}

async fn store_row(parts: &Parts, torrent: &Torrent, trackers: Vec<String>) -> End {
    match add_row(parts, torrent, trackers, Keep::Visited).await {
        Ok(()) => End::Known,
        Err(err) => End::Broken(err.to_string()),
    }
}

/// Peers a person or a link named: neighbours on the home network may be among them.
fn guarded(parts: &Parts, peers: &[SocketAddr]) -> Vec<SocketAddr> {
    let policy = parts.policy.for_neighbours();
    peers
        .iter()
        .copied()
        .filter(|peer| guard::allowed(*peer, &policy).is_ok())
        .collect()
}
