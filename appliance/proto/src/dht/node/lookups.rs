//! Jobs of ours: one lookup per network, and for announces what follows it.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use super::{
    Event, JobId, Node, Why,
    items::{Getting, Putting},
    news,
};
use crate::dht::{
    K,
    id::{Family, Id},
    krpc::{Announce, Ask},
    query::{Lookup, Step},
};

/// A search ends by then with what it has: hostile nodes that answer at the last moment must not keep anybody waiting.
const SEARCH_MAX: Duration = Duration::from_secs(10);

/// Nodes that are told to store get so long at least: they check a signature and may write to a disk before they confirm.
const STORE_MIN: Duration = Duration::from_millis(500);

/// One lookup in one network.
pub(super) struct Search {
    pub job: Option<JobId>,
    pub lookup: Lookup,
    /// When time alone brings it on.
    pub due: Duration,
    begun: Duration,
    family: Family,
    phase: Phase,
}

/// What a job is for.
pub(super) enum Wish {
    Peers,
    /// On this port.
    Announce(u16),
    Get(Getting),
    Put(Box<Putting>),
}

enum Phase {
    Looking,
    Storing {
        /// Announced or put to these.
        told: Vec<SocketAddr>,
        /// Those of them who have not confirmed yet.
        waiting: Vec<SocketAddr>,
    },
}

pub(super) struct Job {
    searches: usize,
    pub wish: Wish,
    found: BTreeSet<SocketAddr>,
    answered: usize,
    /// Nodes that have confirmed.
    stored: usize,
}

impl Job {
    fn new(wish: Wish, searches: usize) -> Self {
        Self {
            searches,
            wish,
            found: BTreeSet::new(),
            answered: 0,
            stored: 0,
        }
    }
}

impl Node {
    pub(super) fn start_job(&mut self, target: Id, wish: Wish, now: Duration) -> JobId {
        let id = JobId(self.number());
        let families: Vec<_> = Family::BOTH
            .into_iter()
            .filter(|f| self.side(*f).is_some())
            .collect();
        // One more than there are, so that the job cannot end before all are started.
        let searches = families.len() + 1;
        let look_here = !matches!(wish, Wish::Announce(_));
        self.jobs.insert(id, Job::new(wish, searches));
        if look_here {
            self.tell_stored(id, &target, now);
        }
        if self.jobs.get_mut(&id).is_some_and(|job| job.wish.is_fulfilled()) {
            self.end_job(id);
            return id;
        }
        for family in families {
            self.start_search(target, family, Some(id), now);
        }
        self.search_ended(id, 0);
        id
    }

    /// A job that ends before it begins.
    pub(super) fn refuse_job(&mut self, wish: Wish) -> JobId {
        let id = JobId(self.number());
        self.jobs.insert(id, Job::new(wish, 0));
        self.end_job(id);
        id
    }

    /// A lookup; without a job it is for the table's sake.
    pub(super) fn start_search(&mut self, target: Id, family: Family, job: Option<JobId>, now: Duration) {
        let (seeds, routers) = self.seeds(family, &target, now);
        let lookup = Lookup::new(target, &seeds, &routers, !self.config.policy.allow_loopback);
        let lookup = match job.and_then(|id| self.jobs.get(&id)).map(|job| &job.wish) {
            Some(Wish::Get(getting)) if getting.wide => lookup.wide(),
            // Who stores need not wait for the last one either: it is told when its answer comes.
            Some(_) => lookup.hasty(),
            None => lookup,
        };
        let number = self.number();
        self.searches.insert(
            number,
            Search {
                job,
                lookup,
                due: now,
                begun: now,
                family,
                phase: Phase::Looking,
            },
        );
        self.advance(number, now);
    }

    pub(super) fn tell_peers(&mut self, id: JobId, peers: Vec<SocketAddr>) {
        let wants = |job: &&mut Job| matches!(job.wish, Wish::Peers);
        let Some(job) = self.jobs.get_mut(&id).filter(wants) else {
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
        let rtt = self.side(search.family).map(|side| &side.rtt);
        let (slow, give_up) = rtt.map_or_else(Default::default, |rtt| (rtt.slow(), rtt.give_up()));
        loop {
            let step = match &search.phase {
                Phase::Storing { waiting, .. } if waiting.is_empty() || now >= search.due => Step::Done,
                Phase::Storing { .. } => Step::Wait(search.due),
                Phase::Looking if now >= search.begun + SEARCH_MAX => Step::Done,
                Phase::Looking => search.lookup.tick(now, slow),
            };
            for (addr, sent) in search.lookup.take_slow() {
                self.silence.suspect(addr, sent, now, now + give_up);
            }
            match step {
                Step::Ask(addr) => {
                    let ask = self.question(&search);
                    if !self.query(addr, ask, Why::Lookup(number), now) {
                        search.lookup.on_silence(&addr);
                    }
                }
                Step::Wait(due) => {
                    search.due = due.min(search.begun + SEARCH_MAX).max(now);
                    self.searches.insert(number, search);
                    return;
                }
                Step::Done => {
                    if matches!(search.phase, Phase::Looking) && self.store(number, &mut search, now, slow) {
                        continue;
                    }
                    let answered = search.lookup.answered();
                    search
                        .job
                        .into_iter()
                        .for_each(|job| self.search_ended(job, answered));
                    return;
                }
            }
        }
    }

    /// A node has confirmed our announce or put, or it has refused, or stayed silent.
    pub(super) fn confirmed(&mut self, number: u64, addr: &SocketAddr, stored: bool, now: Duration) {
        let Some(search) = self.searches.get_mut(&number) else {
            return;
        };
        if let Phase::Storing { waiting, .. } = &mut search.phase {
            waiting.retain(|waiting| waiting != addr);
        }
        if let Some(job) = search.job.and_then(|id| self.jobs.get_mut(&id)) {
            job.stored += usize::from(stored);
        }
        self.advance(number, now);
    }

    /// A node has answered after we began to store: it is told as well when it is one of the closest.
    pub(super) fn straggler(&mut self, number: u64, now: Duration) {
        let storing = |search: &&mut Search| matches!(search.phase, Phase::Storing { .. });
        if self.searches.get_mut(&number).filter(storing).is_none() {
            return;
        }
        if let Some(mut search) = self.searches.remove(&number) {
            let slow = self.side(search.family).map(|side| side.rtt.slow());
            self.store(number, &mut search, now, slow.unwrap_or_default());
            self.searches.insert(number, search);
        }
    }

    /// Announces or puts to the closest nodes not told yet, when that is what the job wants. False when there is nothing to
    /// wait for.
    fn store(&mut self, number: u64, search: &mut Search, now: Duration, slow: Duration) -> bool {
        let Some(mut job) = search.job.and_then(|id| self.jobs.remove(&id)) else {
            return false;
        };
        let mut closest = search.lookup.closest();
        let (mut told, mut waiting) = match std::mem::replace(&mut search.phase, Phase::Looking) {
            Phase::Storing { told, waiting } => (told, waiting),
            Phase::Looking => (Vec::new(), Vec::new()),
        };
        let room = K.saturating_sub(told.len());
        closest.retain(|node| !node.token.is_empty() && !told.contains(&node.contact.addr));
        closest.truncate(room);
        let before = waiting.len();
        match &mut job.wish {
            Wish::Peers => {}
            Wish::Get(getting) => getting.ended(&closest),
            Wish::Put(putting) => {
                closest.retain(|_| !putting.overtaken());
                for node in &closest {
                    let addr = node.contact.addr;
                    if self.query(addr, Ask::Put(putting.ask(node)), Why::Store(number), now) {
                        waiting.push(addr);
                    }
                }
                putting.asked += waiting.len() - before;
            }
            Wish::Announce(port) => {
                for node in &closest {
                    let announce = Announce {
                        info_hash: search.lookup.target(),
                        port: *port,
                        implied_port: false,
                        seed: false,
                        token: &node.token,
                    };
                    let addr = node.contact.addr;
                    if self.query(addr, Ask::AnnouncePeer(announce), Why::Store(number), now) {
                        waiting.push(addr);
                    }
                }
            }
        }
        search.job.map(|id| self.jobs.insert(id, job));
        if waiting.len() > before {
            search.due = now + (slow * 4).max(STORE_MIN);
        }
        told.extend(&waiting[before..]);
        let sent = !waiting.is_empty();
        search.phase = Phase::Storing { told, waiting };
        sent
    }

    /// What others told us belongs to the answer: in a small network we are one of the closest.
    fn tell_stored(&mut self, id: JobId, target: &Id, now: Duration) {
        const STORED_MAX: usize = 100;
        if let Some(gather) = self.jobs.get_mut(&id).and_then(|job| job.wish.gather()) {
            if let Some(item) = self.server.items.get(target, now) {
                gather.take_own(item);
            }
            return;
        }
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
        if job.searches == 0 {
            self.end_job(id);
        }
    }

    /// Tells the outside; searches still under way are forgotten.
    pub(super) fn end_job(&mut self, id: JobId) {
        let Some(job) = self.jobs.remove(&id) else { return };
        let mut answered = job.answered;
        self.searches.retain(|_, search| {
            let ours = search.job == Some(id);
            answered += if ours { search.lookup.answered() } else { 0 };
            !ours
        });
        let stored = job.stored;
        self.tell(match job.wish {
            Wish::Peers | Wish::Announce(_) => Event::Done {
                job: id,
                answered,
                stored,
            },
            Wish::Get(getting) => Event::Got {
                job: id,
                got: Box::new(getting.finish(answered)),
            },
            Wish::Put(putting) => Event::Stored {
                job: id,
                stored: putting.finish(stored),
            },
        });
    }

    fn question(&self, search: &Search) -> Ask<'static> {
        let target = search.lookup.target();
        let job = search.job.and_then(|id| self.jobs.get(&id));
        match job.map(|job| &job.wish) {
            Some(Wish::Peers | Wish::Announce(_)) => Ask::GetPeers {
                info_hash: target,
                scrape: false,
                noseed: false,
            },
            Some(wish @ (Wish::Get(_) | Wish::Put(_))) => Ask::Get {
                target,
                seq: wish.seq(),
            },
            None => Ask::FindNode { target },
        }
    }
}
