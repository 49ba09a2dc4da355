//! What the responder knows of one interface: how far the names are claimed there, and which answers wait.

use std::net::{IpAddr, SocketAddr};

use super::{To, wire::Record};

/// Answers that wait at once; more are dropped, and asked for again by those who need them.
const PENDING_MAX: usize = 32;
/// RFC 6762 6: no record is multicast more than once a second, a defended one not more than every 250 ms.
const AGAIN_MS: u64 = 1000;
const DEFEND_MS: u64 = 250;
const SENT_MAX: usize = 64;

/// How far the names are ours here (RFC 6762 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// So many questions have been sent; the next step is due at `at`.
    Probing {
        sent: u8,
        at: u64,
    },
    Announcing {
        sent: u8,
        at: u64,
    },
    Settled,
}

impl Phase {
    pub fn due(self) -> Option<u64> {
        match self {
            Self::Probing { at, .. } | Self::Announcing { at, .. } => Some(at),
            Self::Settled => None,
        }
    }
}

/// An answer that is sent at `at`, unless the asker turns out to know it.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub at: u64,
    pub to: To,
    pub asker: SocketAddr,
    pub records: Vec<Record>,
    /// A name is defended: the shorter pause counts.
    pub defends: bool,
}

#[derive(Debug)]
pub(super) struct Link {
    pub index: u32,
    pub addrs: Vec<IpAddr>,
    pub phase: Phase,
    pub pending: Vec<Pending>,
    /// What was sent to the group, and when.
    sent: Vec<(Record, u64)>,
}

impl Link {
    pub fn new(index: u32, addrs: Vec<IpAddr>, first: u64) -> Self {
        Self {
            index,
            addrs,
            phase: Phase::Probing { sent: 0, at: first },
            pending: Vec::new(),
            sent: Vec::new(),
        }
    }

    pub fn due(&self) -> Option<u64> {
        self.pending
            .iter()
            .map(|one| one.at)
            .chain(self.phase.due())
            .min()
    }

    /// May questions be answered? Before the probes are through, the names may be somebody else's.
    pub fn may_answer(&self) -> bool {
        !matches!(self.phase, Phase::Probing { .. })
    }

    pub fn queue(&mut self, answer: Pending) {
        if self.pending.len() < PENDING_MAX && !answer.records.is_empty() {
            self.pending.push(answer);
        }
    }

    /// The asker said, in a further packet, what it already knows (RFC 6762 7.2).
    pub fn is_known_to(&mut self, asker: SocketAddr, known: &[Record]) {
        for answer in self.pending.iter_mut().filter(|one| one.asker == asker) {
            answer.records.retain(|record| !is_known(record, known));
        }
        self.pending.retain(|one| !one.records.is_empty());
    }

    pub fn take_due(&mut self, now: u64) -> Vec<Pending> {
        let (due, later) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|one| one.at <= now);
        self.pending = later;
        due
    }

    /// Was `record` sent to the group within the last `ms`?
    pub fn sent_within(&self, record: &Record, ms: u64, now: u64) -> bool {
        self.sent
            .iter()
            .any(|(one, at)| one.is_same(record) && at + ms > now)
    }

    pub fn too_soon(&self, record: &Record, defends: bool, now: u64) -> bool {
        self.sent_within(record, if defends { DEFEND_MS } else { AGAIN_MS }, now)
    }

    pub fn note_sent<'a>(&mut self, records: impl IntoIterator<Item = &'a Record>, now: u64) {
        for record in records {
            if let Some((_, at)) = self.sent.iter_mut().find(|(one, _)| one.is_same(record)) {
                *at = now;
            } else if self.sent.len() < SENT_MAX {
                self.sent.push((record.clone(), now));
            }
        }
    }

    pub fn forget_sent(&mut self) {
        self.sent.clear();
    }
}

/// Known-answer suppression (RFC 6762 7.1): the asker has it, and for at least half of its time to come.
pub(super) fn is_known(record: &Record, known: &[Record]) -> bool {
    known
        .iter()
        .any(|one| one.is_same(record) && one.ttl >= record.ttl / 2)
}
