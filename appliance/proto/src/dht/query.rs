//! One iterative lookup in one network (BEP 5), as a state machine: [`Lookup::tick`] says whom to ask next,
//! [`Lookup::on_reply`] takes what they know. It never waits for a dead node: who has not answered within the time others
//! need holds nobody up, though a late answer still counts.

use std::{net::SocketAddr, time::Duration};

use super::{
    K,
    id::{Contact, Id, is_secure},
    routing::subnet,
};

/// Queries under way at once.
const ALPHA: usize = 4;
/// Candidates kept, the closest.
const CANDIDATES_MAX: usize = 96;
/// Queries one lookup may send, so that hostile answers cannot keep it going.
const QUERIES_MAX: usize = 100;
/// Longest token we send back; implementations use 4 to 20 bytes. Who gives a longer one is not announced to.
const TOKEN_LEN_MAX: usize = 128;
/// Contacts believed per answer.
const CONTACTS_MAX: usize = 16;
/// So many answers show how fast this network is, and no query is given less time than this.
const ANSWERS_MIN: usize = 3;
const PATIENCE_MIN: Duration = Duration::from_millis(1);
/// Candidates of one /24 or /48, and of one address.
const NEIGHBOURS_MAX: usize = 2;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Ask(SocketAddr),
    /// Nothing to do until an answer comes or this moment is there.
    Wait(Duration),
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    New,
    Asked {
        sent: Duration,
        late: Duration,
        slow: Duration,
        lost: Duration,
    },
    /// Another one is asked in its stead, but it is still one of those that decide.
    Late {
        sent: Duration,
        slow: Duration,
        lost: Duration,
    },
    /// Holds nobody up; still counted on while there is nobody else.
    Slow {
        lost: Duration,
    },
    Lost,
    Answered,
}

#[derive(Debug, Clone)]
struct Candidate {
    /// From the target; a bootstrap node of unknown id is farther than everybody.
    distance: Option<Id>,
    addr: SocketAddr,
    secure: bool,
    state: State,
    token: Vec<u8>,
}

/// A node that has answered and can be announced to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub contact: Contact,
    pub token: Vec<u8>,
}

/// The lookup of one target.
pub struct Lookup {
    target: Id,
    /// See [`super::routing::Table::new`].
    spread: bool,
    candidates: Vec<Candidate>,
    queries: usize,
    /// So many of the closest decide.
    width: usize,
    /// Of those that decide, so many must have answered.
    enough: usize,
    /// Asked, when, and slow now; until somebody takes them.
    slow: Vec<(SocketAddr, Duration)>,
    /// How long the slowest answer took, and how many there were.
    slowest: Duration,
    answers: usize,
}

impl Lookup {
    /// `seeds` from the routing table; `routers` are bootstrap addresses whose ids nobody knows.
    pub fn new(target: Id, seeds: &[Contact], routers: &[SocketAddr], spread: bool) -> Self {
        let mut lookup = Self {
            target,
            spread,
            candidates: Vec::new(),
            queries: 0,
            width: K,
            enough: K,
            slow: Vec::new(),
            slowest: Duration::ZERO,
            answers: 0,
        };
        seeds.iter().for_each(|seed| lookup.add(seed));
        for addr in routers.iter().take(K) {
            if lookup.candidates.iter().all(|c| c.addr != *addr) {
                lookup.candidates.push(Candidate {
                    distance: None,
                    addr: *addr,
                    secure: false,
                    state: State::New,
                    token: Vec::new(),
                });
            }
        }
        lookup
    }

    /// Asks twice as many of the closest nodes: a copy beyond the eight closest is a copy too.
    pub fn wide(self) -> Self {
        Self {
            width: 2 * K,
            enough: 2 * K,
            ..self
        }
    }

    /// Ends when all but one of the deciding nodes have answered: enough to read what eight nodes keep, and to begin to store.
    pub fn hasty(self) -> Self {
        Self {
            enough: K - 1,
            ..self
        }
    }

    pub fn target(&self) -> Id {
        self.target
    }

    pub fn queries(&self) -> usize {
        self.queries
    }

    /// How many nodes have answered, close or not.
    pub fn answered(&self) -> usize {
        self.candidates
            .iter()
            .filter(|c| c.state == State::Answered)
            .count()
    }

    /// Nodes that have become slow since the last call, and when they were asked.
    pub fn take_slow(&mut self) -> Vec<(SocketAddr, Duration)> {
        std::mem::take(&mut self.slow)
    }

    /// `slow` is how long an answer usually takes. After `Ask` the query counts as sent; call again until `Wait` or `Done`.
    pub fn tick(&mut self, now: Duration, slow: Duration) -> Step {
        self.age(now);
        let under_way = self
            .candidates
            .iter()
            .filter(|c| matches!(c.state, State::Asked { .. }))
            .count();
        if under_way < ALPHA
            && self.queries < QUERIES_MAX
            && let Some(at) = self.next()
        {
            self.queries += 1;
            let patience = self.patience(slow);
            let candidate = &mut self.candidates[at];
            candidate.state = State::Asked {
                sent: now,
                late: now + patience,
                slow: now + slow,
                lost: now + slow * 4,
            };
            return Step::Ask(candidate.addr);
        }
        let deciding = self.window(Candidate::decides);
        let answered = deciding
            .iter()
            .filter(|at| self.candidates[**at].state == State::Answered)
            .count();
        if answered >= self.enough || (answered == deciding.len() && !self.waiting()) {
            return Step::Done;
        }
        match self.candidates.iter().filter_map(Candidate::deadline).min() {
            Some(at) => Step::Wait(at),
            None => Step::Done,
        }
    }

    /// Contacts and the token from `from`, which has to be one we asked: false when it is not.
    pub fn on_reply(
        &mut self,
        from: &Contact,
        token: Option<&[u8]>,
        contacts: &[Contact],
        now: Duration,
    ) -> bool {
        let asked = |c: &Candidate| !matches!(c.state, State::New | State::Answered);
        let found = self
            .candidates
            .iter()
            .position(|c| c.addr == from.addr && asked(c));
        let Some(at) = found else { return false };
        let mut candidate = self.candidates.remove(at);
        if let State::Asked { sent, .. } | State::Late { sent, .. } = candidate.state {
            self.slowest = self.slowest.max(now.saturating_sub(sent));
            self.answers += 1;
        }
        candidate.state = State::Answered;
        let token = token.filter(|token| token.len() <= TOKEN_LEN_MAX);
        candidate.token = token.unwrap_or_default().to_vec();
        // What it says now counts, not what others said about it.
        candidate.distance = Some(from.id.distance(&self.target));
        candidate.secure = is_secure(&from.id, from.addr.ip());
        let (Ok(at) | Err(at)) = self.position(candidate.distance);
        self.candidates.insert(at, candidate);
        contacts
            .iter()
            .take(CONTACTS_MAX)
            .for_each(|contact| self.add(contact));
        true
    }

    /// `addr` will not answer: refused, or the answer was no reply.
    pub fn on_silence(&mut self, addr: &SocketAddr) {
        let waiting = |c: &&mut Candidate| c.addr == *addr && c.deadline().is_some();
        if let Some(candidate) = self.candidates.iter_mut().find(waiting) {
            candidate.state = State::Lost;
        }
    }

    /// Those of the deciding nodes that have answered, closest first.
    pub fn closest(&self) -> Vec<Answered> {
        let window = self.window(Candidate::decides).into_iter();
        let answered = window
            .map(|at| &self.candidates[at])
            .filter(|c| c.state == State::Answered);
        let shape = |c: &Candidate| {
            let id = c.distance?.distance(&self.target);
            Some(Answered {
                contact: Contact { id, addr: c.addr },
                token: c.token.clone(),
            })
        };
        answered.filter_map(shape).collect()
    }

    /// The closest node not asked yet of those that matter.
    fn next(&self) -> Option<usize> {
        let window = self.window(|c| c.decides() && !matches!(c.state, State::Late { .. }));
        let new = |at: &usize| self.candidates[*at].state == State::New;
        window.into_iter().find(new)
    }

    /// The up to [`K`] (or `width`) closest nodes of those that are `usable`. Nodes whose id is not bound to their address get at most
    /// half of the places while others want them, because such ids can be chosen at will.
    fn window(&self, usable: impl Fn(&Candidate) -> bool) -> Vec<usize> {
        let live = || (0..self.candidates.len()).filter(|at| usable(&self.candidates[*at]));
        let secure = live().filter(|at| self.candidates[*at].secure);
        let secure = secure.take(self.width).count();
        let unsecure_max = (self.width / 2).max(self.width - secure);
        let mut unsecure = 0;
        let chosen = live().filter(|at| {
            let candidate = &self.candidates[*at];
            if candidate.distance.is_none() {
                return true;
            }
            unsecure += usize::from(!candidate.secure);
            candidate.secure || unsecure <= unsecure_max
        });
        chosen.take(self.width).collect()
    }

    /// How long a query of now may take before it holds nobody up: what answers usually take, and less where those of
    /// this very lookup came at once.
    fn patience(&self, slow: Duration) -> Duration {
        if self.answers < ANSWERS_MIN {
            return slow;
        }
        slow.min((self.slowest * 3).max(PATIENCE_MIN))
    }

    fn waiting(&self) -> bool {
        self.candidates.iter().any(|c| c.deadline().is_some())
    }

    fn age(&mut self, now: Duration) {
        for candidate in &mut self.candidates {
            if let State::Asked {
                sent,
                late,
                slow,
                lost,
            } = candidate.state
                && now >= late
            {
                candidate.state = State::Late { sent, slow, lost };
            }
            candidate.state = match candidate.state {
                State::Late { sent, slow, lost } if now >= slow => {
                    self.slow.push((candidate.addr, sent));
                    State::Slow { lost }
                }
                State::Slow { lost } if now >= lost => State::Lost,
                _ => continue,
            };
        }
    }

    fn add(&mut self, contact: &Contact) {
        let distance = contact.id.distance(&self.target);
        let Err(at) = self.position(Some(distance)) else {
            return;
        };
        if at >= CANDIDATES_MAX || self.crowded(contact.addr) {
            return;
        }
        self.candidates.insert(
            at,
            Candidate {
                distance: Some(distance),
                addr: contact.addr,
                secure: is_secure(&contact.id, contact.addr.ip()),
                state: State::New,
                token: Vec::new(),
            },
        );
        if self.candidates.len() > CANDIDATES_MAX {
            let last_new = self.candidates.iter().rposition(|c| c.state == State::New);
            self.candidates.remove(last_new.unwrap_or(CANDIDATES_MAX));
        }
    }

    /// Candidates are sorted by distance, those of unknown id last.
    fn position(&self, distance: Option<Id>) -> Result<usize, usize> {
        let key = |distance: Option<Id>| (distance.is_none(), distance);
        self.candidates
            .binary_search_by_key(&key(distance), |c| key(c.distance))
    }

    fn crowded(&self, addr: SocketAddr) -> bool {
        if self.candidates.iter().any(|c| c.addr == addr) {
            return true;
        }
        if !self.spread {
            return false;
        }
        let net = subnet(addr.ip());
        let near = self.candidates.iter().filter(|c| subnet(c.addr.ip()) == net);
        let (count, same) = near.fold((0, false), |(n, same), c| {
            (n + 1, same || c.addr.ip() == addr.ip())
        });
        same || count >= NEIGHBOURS_MAX
    }
}

impl Candidate {
    /// Whether the end of the lookup depends on it.
    fn decides(&self) -> bool {
        !matches!(self.state, State::Slow { .. } | State::Lost)
    }

    /// When its state changes by time alone.
    fn deadline(&self) -> Option<Duration> {
        match self.state {
            State::Asked { late, .. } => Some(late),
            State::Late { slow, .. } => Some(slow),
            State::Slow { lost } => Some(lost),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
