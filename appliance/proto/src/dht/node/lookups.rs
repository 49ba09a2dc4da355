//! Jobs of ours: one lookup per network, and for announces what follows it.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use super::{Event, JobId, Node, Why, news};
use crate::dht::{
    id::{Family, Id},
    krpc::{Announce, Ask},
    query::{Lookup, Step},
};

/// One lookup in one network.
pub(super) struct Search {
    pub job: Option<JobId>,
    pub lookup: Lookup,
    /// When time alone brings it on.
    pub due: Duration,
    family: Family,
    phase: Phase,
}

enum Phase {
    Looking,
    /// Announced to these, who have not confirmed yet.
    Storing(Vec<SocketAddr>),
}

pub(super) struct Job {
    searches: usize,
    /// Announces have one.
    port: Option<u16>,
    found: BTreeSet<SocketAddr>,
    answered: usize,
    stored: usize,
}

impl Node {
    pub(super) fn start_job(&mut self, target: Id, port: Option<u16>, now: Duration) -> JobId {
        let id = JobId(self.number());
        let families: Vec<_> = Family::BOTH
            .into_iter()
            .filter(|f| self.side(*f).is_some())
            .collect();
        // One more than there are, so that the job cannot end before all are started.
        let searches = families.len() + 1;
        let job = Job {
            searches,
            port,
            found: BTreeSet::new(),
            answered: 0,
            stored: 0,
        };
        self.jobs.insert(id, job);
        if port.is_none() {
            self.tell_stored(id, &target, now);
        }
        for family in families {
            self.start_search(target, family, Some(id), now);
        }
        self.search_ended(id, 0);
        id
    }

    /// A lookup; without a job it is for the table's sake.
    pub(super) fn start_search(&mut self, target: Id, family: Family, job: Option<JobId>, now: Duration) {
        let (seeds, routers) = self.seeds(family, &target, now);
        let lookup = Lookup::new(target, &seeds, &routers, !self.config.policy.allow_loopback);
        let number = self.number();
        self.searches.insert(
            number,
            Search {
                job,
                lookup,
                due: now,
                family,
                phase: Phase::Looking,
            },
        );
        self.advance(number, now);
    }

    pub(super) fn tell_peers(&mut self, id: JobId, peers: Vec<SocketAddr>) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.port.is_none()) else {
            return;
        };
        let peers = news(&mut job.found, peers);
        if !peers.is_empty() {
            self.tell(Event::Peers { job: id, peers });
        }
    }

    /// Does what the search can do now.
    pub(super) fn advance(&mut self, number: u64, now: Duration) {
        let Some(mut search) = self.searches.remove(&number) else {
            return;
        };
        let slow = self
            .side(search.family)
            .map_or(Duration::ZERO, |side| side.rtt.slow());
        loop {
            let step = match &search.phase {
                Phase::Storing(waiting) if waiting.is_empty() || now >= search.due => Step::Done,
                Phase::Storing(_) => Step::Wait(search.due),
                Phase::Looking => search.lookup.tick(now, slow),
            };
            match step {
                Step::Ask(addr) => {
                    let ask = question(&search);
                    if !self.query(addr, ask, Why::Lookup(number), now) {
                        search.lookup.on_silence(&addr);
                    }
                }
                Step::Wait(due) => {
                    search.due = due;
                    self.searches.insert(number, search);
                    return;
                }
                Step::Done => {
                    if matches!(search.phase, Phase::Looking) && self.store(number, &mut search, now, slow) {
                        continue;
                    }
                    let answered = search.lookup.closest().len();
                    search
                        .job
                        .into_iter()
                        .for_each(|job| self.search_ended(job, answered));
                    return;
                }
            }
        }
    }

    /// A node has confirmed or refused our announce, or stayed silent.
    pub(super) fn confirmed(&mut self, number: u64, addr: &SocketAddr, stored: bool, now: Duration) {
        let Some(search) = self.searches.get_mut(&number) else {
            return;
        };
        if let Phase::Storing(waiting) = &mut search.phase {
            waiting.retain(|waiting| waiting != addr);
        }
        if let Some(job) = search.job.and_then(|id| self.jobs.get_mut(&id)) {
            job.stored += usize::from(stored);
        }
        self.advance(number, now);
    }

    /// Announces to the closest nodes when that is what the job wants. False when there is nothing to wait for.
    fn store(&mut self, number: u64, search: &mut Search, now: Duration, slow: Duration) -> bool {
        let port = search
            .job
            .and_then(|id| self.jobs.get(&id))
            .and_then(|job| job.port);
        let Some(port) = port else { return false };
        let mut waiting = Vec::new();
        for node in search.lookup.closest() {
            let info_hash = search.lookup.target();
            let announce = Announce {
                info_hash,
                port,
                implied_port: false,
                seed: false,
                token: &node.token,
            };
            let addr = node.contact.addr;
            let ask = Ask::AnnouncePeer(announce);
            if !node.token.is_empty() && self.query(addr, ask, Why::Announce(number), now) {
                waiting.push(addr);
            }
        }
        search.due = now + slow;
        let sent = !waiting.is_empty();
        search.phase = Phase::Storing(waiting);
        sent
    }

    /// What others announced to us belongs to the answer: in a small network we are one of the closest.
    fn tell_stored(&mut self, id: JobId, target: &Id, now: Duration) {
        const STORED_MAX: usize = 100;
        let mut stored = Vec::new();
        for family in Family::BOTH {
            stored.extend(
                self.server
                    .peers
                    .get(target, family, false, STORED_MAX, now, &mut self.random),
            );
        }
        self.tell_peers(id, stored);
    }

    fn search_ended(&mut self, id: JobId, answered: usize) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.searches = job.searches.saturating_sub(1);
        job.answered += answered;
        if job.searches == 0
            && let Some(job) = self.jobs.remove(&id)
        {
            self.tell(Event::Done {
                job: id,
                answered: job.answered,
                stored: job.stored,
            });
        }
    }
}

fn question(search: &Search) -> Ask<'static> {
    let target = search.lookup.target();
    match search.job {
        Some(_) => Ask::GetPeers {
            info_hash: target,
            scrape: false,
            noseed: false,
        },
        None => Ask::FindNode { target },
    }
}
