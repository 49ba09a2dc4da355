//! What the nodes of one lookup say about an item (BEP 44), taken in one answer at a time. Every item is checked before it
//! counts, and the same bytes are never checked twice: eight nodes that hold one record cost one signature check.

use std::{collections::BTreeMap, net::SocketAddr};

use super::{
    item::{Got, Item},
    krpc::Reply,
};
use crate::{
    id::Target,
    key::PublicKey,
    record::{Mutable, check_value, immutable_target},
};

/// Different values remembered under the newest number: only the key's owner can make them, and two are enough to warn.
const VERSIONS_MAX: usize = 4;
/// Different items that broke a rule and are remembered, so that a second node sending one costs no second check.
const BAD_MAX: usize = 16;

/// The answers about one target.
pub struct Gather {
    target: Target,
    salt: Vec<u8>,
    /// What the caller knows already.
    asked: Option<i64>,
    /// Checked values under the highest number, with how many nodes have each.
    versions: Vec<(Mutable, usize)>,
    immutable: Option<Vec<u8>>,
    /// The number each node names; an immutable item counts as 0.
    holders: BTreeMap<Option<SocketAddr>, i64>,
    bad: Vec<Mutable>,
    refused: usize,
    /// The closest nodes that can store, of all networks; filled as lookups end.
    eligible: Vec<SocketAddr>,
}

impl Gather {
    /// `asked`: the sequence number sent along with the question.
    pub fn new(target: Target, salt: &[u8], asked: Option<i64>) -> Self {
        Self {
            target,
            salt: salt.to_vec(),
            asked,
            versions: Vec::new(),
            immutable: None,
            holders: BTreeMap::new(),
            bad: Vec::new(),
            refused: 0,
            eligible: Vec::new(),
        }
    }

    pub fn asked(&self) -> Option<i64> {
        self.asked
    }

    /// One node's answer; each node answers once.
    pub fn take(&mut self, from: SocketAddr, reply: &Reply<'_>) {
        match (reply.v, reply.key) {
            (None, _) => {
                if let Some(seq) = reply.seq.filter(|seq| *seq >= 0) {
                    self.holders.insert(Some(from), seq);
                }
            }
            (Some(value), None) => self.take_immutable(Some(from), value),
            (Some(value), Some(key)) => match (reply.seq, reply.sig) {
                (Some(seq), Some(sig)) => {
                    let item = Mutable {
                        key: PublicKey(*key),
                        salt: self.salt.clone(),
                        seq,
                        value: value.to_vec(),
                        sig: *sig,
                    };
                    self.take_mutable(Some(from), item);
                }
                _ => self.refused += 1,
            },
        }
    }

    /// What others stored with us.
    pub fn take_own(&mut self, item: Item) {
        match item {
            Item::Immutable(value) => self.take_immutable(None, &value),
            // As other nodes do: no value for who has it.
            Item::Mutable(item) if self.asked >= Some(item.seq) => {
                self.holders.insert(None, item.seq);
            }
            Item::Mutable(item) => self.take_mutable(None, item),
        }
    }

    /// Nothing better can come.
    pub fn is_final(&self) -> bool {
        self.immutable.is_some()
    }

    /// Whether `from` holds anything under the target.
    pub fn holds(&self, from: &SocketAddr) -> bool {
        self.holders.contains_key(&Some(*from))
    }

    /// The highest number a checked item has.
    pub fn newest(&self) -> Option<i64> {
        self.versions.first().map(|(item, _)| item.seq)
    }

    /// The closest nodes of one network that gave a token.
    pub fn ended(&mut self, eligible: impl Iterator<Item = SocketAddr>) {
        self.eligible.extend(eligible);
    }

    pub fn finish(mut self, answered: usize) -> Got {
        // A stable sort: of equally many, the one seen first.
        self.versions.sort_by_key(|(_, nodes)| std::cmp::Reverse(*nodes));
        let newest = self.newest().max(self.asked).unwrap_or(0);
        let holds = |addr: &SocketAddr| self.holders.get(&Some(*addr)) == Some(&newest);
        let closest_have_it = !self.eligible.is_empty() && self.eligible.iter().all(holds);
        let count = |fits: &dyn Fn(i64) -> bool| self.holders.values().filter(|seq| fits(**seq)).count();
        let (copies, older) = (count(&|seq| seq == newest), count(&|seq| seq < newest));
        let mut versions = self.versions.into_iter().map(|(item, _)| item);
        let item = versions.next().map(Item::Mutable);
        Got {
            other: versions.next(),
            item: item.or(self.immutable.map(Item::Immutable)),
            answered,
            copies,
            seq_seen: self.holders.values().copied().max(),
            closest_have_it,
            older_seen: older > 0,
            refused: self.refused,
        }
    }

    fn take_immutable(&mut self, from: Option<SocketAddr>, value: &[u8]) {
        if immutable_target(value) != self.target || check_value(value).is_err() {
            self.refused += 1;
            return;
        }
        self.holders.insert(from, 0);
        self.immutable.get_or_insert_with(|| value.to_vec());
    }

    fn take_mutable(&mut self, from: Option<SocketAddr>, item: Mutable) {
        let seq = item.seq;
        if self.newest().is_some_and(|newest| seq < newest) && seq >= 0 {
            // Nobody gets to see it, so nobody needs to know whether it is genuine.
            self.holders.insert(from, seq);
            return;
        }
        if let Some((_, nodes)) = self.versions.iter_mut().find(|(known, _)| *known == item) {
            *nodes += 1;
            self.holders.insert(from, seq);
            return;
        }
        if self.bad.contains(&item) || item.target() != self.target || item.check().is_err() {
            self.refused += 1;
            if self.bad.len() < BAD_MAX && !self.bad.contains(&item) {
                self.bad.push(item);
            }
            return;
        }
        self.holders.insert(from, seq);
        if self.newest().is_some_and(|newest| newest < seq) {
            self.versions.clear();
        }
        // Another signature over the same value is the same version.
        if let Some((_, nodes)) = self
            .versions
            .iter_mut()
            .find(|(known, _)| known.value == item.value)
        {
            *nodes += 1;
        } else if self.versions.len() < VERSIONS_MAX {
            self.versions.push((item, 1));
        }
    }
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
