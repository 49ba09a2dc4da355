//! Whom we know: one table per network, in buckets of [`K`] by shared bits with our own id (BEP 5). Only nodes that have
//! answered us come in, so nobody can fill it with addresses that are not theirs.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{
    K,
    id::{Contact, Id, is_secure},
};

/// A node not heard from for this long is questionable; a bucket untouched for this long is refreshed.
pub const FRESH: Duration = Duration::from_secs(15 * 60);
/// Unanswered queries in a row after which a node is bad: replaced when possible, never told to others.
const FAILS_BAD: u8 = 2;
/// A bad node without replacement is kept this long: when our own line is down everyone looks bad.
const FAILS_MAX: u8 = 8;
/// Nodes of one /24 (IPv4) or /48 (IPv6) in one bucket: a rented subnet must not own it.
const NEIGHBOURS_MAX: usize = 2;

#[derive(Debug, Clone, Copy)]
struct Entry {
    contact: Contact,
    secure: bool,
    seen: Duration,
    fails: u8,
}

impl Entry {
    fn good(&self, now: Duration) -> bool {
        self.fails == 0 && now.saturating_sub(self.seen) < FRESH
    }

    fn bad(&self) -> bool {
        self.fails >= FAILS_BAD
    }
}

#[derive(Debug, Default)]
struct Bucket {
    nodes: Vec<Entry>,
    /// Nodes that answered while the bucket was full; the latest is last.
    spare: Vec<Entry>,
    touched: Duration,
}

/// The table of one network.
pub struct Table {
    own: Id,
    /// One node per address and few per subnet. Off where all nodes share an address (a test on loopback).
    spread: bool,
    buckets: BTreeMap<usize, Bucket>,
}

impl Table {
    pub fn new(own: Id, spread: bool) -> Self {
        Self {
            own,
            spread,
            buckets: BTreeMap::new(),
        }
    }

    pub fn own(&self) -> Id {
        self.own
    }

    /// Takes another id; nodes are sorted anew, and those that no longer fit are dropped.
    pub fn rekey(&mut self, own: Id, now: Duration) {
        let old = std::mem::take(&mut self.buckets);
        self.own = own;
        for entry in old.into_values().flat_map(|bucket| bucket.nodes) {
            self.insert(entry, now);
        }
    }

    /// A node answered us.
    pub fn answered(&mut self, contact: Contact, now: Duration) {
        let secure = is_secure(&contact.id, contact.addr.ip());
        self.insert(
            Entry {
                contact,
                secure,
                seen: now,
                fails: 0,
            },
            now,
        );
    }

    /// A node asked us, or somebody named it. True when we would like to know whether it answers.
    pub fn heard(&mut self, contact: &Contact, now: Duration) -> bool {
        if contact.id == self.own {
            return false;
        }
        let bits = self.own.shared_bits(&contact.id);
        let Some(bucket) = self.buckets.get_mut(&bits) else {
            return true;
        };
        if let Some(entry) = bucket.nodes.iter_mut().find(|entry| entry.contact == *contact) {
            // A node that has answered before and still asks is alive (BEP 5).
            if entry.fails == 0 {
                entry.seen = now;
            }
            return entry.fails > 0;
        }
        bucket.nodes.len() < K || bucket.nodes.iter().any(Entry::bad)
    }

    /// A node did not answer in time.
    pub fn failed(&mut self, addr: &SocketAddr) {
        for bucket in self.buckets.values_mut() {
            let Some(at) = bucket.nodes.iter().position(|entry| entry.contact.addr == *addr) else {
                continue;
            };
            let entry = &mut bucket.nodes[at];
            entry.fails = entry.fails.saturating_add(1);
            if entry.bad() {
                if let Some(spare) = bucket.spare.pop() {
                    bucket.nodes[at] = spare;
                } else if entry.fails >= FAILS_MAX {
                    bucket.nodes.swap_remove(at);
                }
            }
            return;
        }
    }

    /// The `max` nodes closest to `target` that are not bad.
    pub fn closest(&self, target: &Id, max: usize) -> Vec<Contact> {
        self.nearest(target, max, |entry| !entry.bad())
    }

    /// The `max` good nodes closest to `target`: what others get to know.
    pub fn closest_good(&self, target: &Id, max: usize, now: Duration) -> Vec<Contact> {
        self.nearest(target, max, |entry| entry.good(now))
    }

    fn nearest(&self, target: &Id, max: usize, fits: impl Fn(&Entry) -> bool) -> Vec<Contact> {
        let entries = self.entries().filter(|entry| fits(entry));
        let mut found: Vec<_> = entries
            .map(|e| (e.contact.id.distance(target), e.contact))
            .collect();
        if found.len() > max && max > 0 {
            found.select_nth_unstable_by_key(max - 1, |(distance, _)| *distance);
        }
        found.truncate(max);
        found.sort_unstable_by_key(|(distance, _)| *distance);
        found.into_iter().map(|(_, contact)| contact).collect()
    }

    /// Up to `max` nodes we have not heard of for too long, the least doubtful first: they want a ping.
    pub fn questionable(&self, max: usize, now: Duration) -> Vec<Contact> {
        let mut stale: Vec<_> = self.entries().filter(|entry| !entry.good(now)).collect();
        stale.sort_by_key(|entry| (entry.fails, entry.seen));
        stale.iter().take(max).map(|entry| entry.contact).collect()
    }

    /// A bucket nobody has touched for a while, as the number of bits its ids share with ours; it counts as touched now.
    pub fn refresh(&mut self, now: Duration) -> Option<usize> {
        let stale = |bucket: &Bucket| now.saturating_sub(bucket.touched) >= FRESH;
        let (bits, bucket) = self.buckets.iter_mut().find(|(_, bucket)| stale(bucket))?;
        bucket.touched = now;
        Some(*bits)
    }

    pub fn good(&self, now: Duration) -> usize {
        self.entries().filter(|entry| entry.good(now)).count()
    }

    /// Nodes that are not bad.
    pub fn usable(&self) -> usize {
        self.entries().filter(|entry| !entry.bad()).count()
    }

    pub fn len(&self) -> usize {
        self.buckets.values().map(|bucket| bucket.nodes.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Up to `max` nodes worth remembering over a restart, those heard of last first.
    pub fn remembered(&self, max: usize) -> Vec<Contact> {
        let mut entries: Vec<_> = self.entries().filter(|entry| !entry.bad()).collect();
        entries.sort_by_key(|entry| (entry.fails, std::cmp::Reverse(entry.seen)));
        entries.iter().take(max).map(|entry| entry.contact).collect()
    }

    /// Whether `addr` has answered us and is not bad: a reply to it is no reflection.
    pub fn knows(&self, id: &Id, addr: &SocketAddr) -> bool {
        let bucket = self.buckets.get(&self.own.shared_bits(id));
        bucket.is_some_and(|b| {
            b.nodes
                .iter()
                .chain(&b.spare)
                .any(|e| e.contact.addr == *addr && e.contact.id == *id && !e.bad())
        })
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.buckets.values().flat_map(|bucket| &bucket.nodes)
    }

    fn insert(&mut self, new: Entry, now: Duration) {
        let bits = self.own.shared_bits(&new.contact.id);
        if bits == 160 {
            return;
        }
        if self.spread && !self.make_way(&new.contact) {
            return;
        }
        let spread = self.spread;
        let bucket = self.buckets.entry(bits).or_default();
        bucket.touched = now;
        let same = |entry: &&mut Entry| entry.contact.id == new.contact.id;
        if let Some(known) = bucket.nodes.iter_mut().find(same) {
            // Another address for a living id is somebody else's claim to it.
            if known.contact.addr == new.contact.addr || known.bad() {
                *known = new;
            }
            return;
        }
        let net = subnet(new.contact.addr.ip());
        let neighbours = bucket
            .nodes
            .iter()
            .filter(|e| subnet(e.contact.addr.ip()) == net)
            .count();
        if spread && neighbours >= NEIGHBOURS_MAX {
            return;
        }
        if bucket.nodes.len() < K {
            bucket.nodes.push(new);
        } else if let Some(bad) = bucket.nodes.iter_mut().find(|entry| entry.bad()) {
            *bad = new;
        } else if let Some(loose) = bucket.nodes.iter_mut().find(|e| new.secure && !e.secure) {
            *loose = new;
        } else {
            bucket
                .spare
                .retain(|entry| entry.contact.addr != new.contact.addr);
            if bucket.spare.len() >= K {
                bucket.spare.remove(0);
            }
            bucket.spare.push(new);
        }
    }

    /// One node per address: false when another node already stands for it. The same node under a new id replaces itself.
    fn make_way(&mut self, new: &Contact) -> bool {
        for bucket in self.buckets.values_mut() {
            let found = bucket
                .nodes
                .iter()
                .position(|e| e.contact.addr.ip() == new.addr.ip());
            let Some(at) = found else { continue };
            let known = &bucket.nodes[at];
            if known.contact.id == new.id {
                return true;
            }
            if known.contact.addr != new.addr && !known.bad() {
                return false;
            }
            bucket.nodes.swap_remove(at);
            return true;
        }
        true
    }
}

/// The /24 or /48 an address lies in.
pub fn subnet(ip: IpAddr) -> [u8; 6] {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            [a, b, c, 0, 0, 0]
        }
        IpAddr::V6(ip) => std::array::from_fn(|i| ip.octets()[i]),
    }
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
