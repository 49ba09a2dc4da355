//! Who has which address of one interface's network, and which address the next device gets.
//!
//! A row outlives its lease, so that a device that comes back gets its old address (RFC 2131, 4.3.1); only when no unused
//! address is left, the one that ended longest ago is given anew. There is one row per address, so two clients can never
//! have the same.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::Ipv4Addr,
};

use super::{Change, ClientKey, Mac, Pool, Secs};

/// Clients that had no row before, in a minute, above which newcomers get short leases: somebody is taking addresses.
const NEWCOMERS_MAX: u32 = 32;
const MINUTE: Secs = 60;
/// When nothing else is left, an offer that was not taken up for so long gives way.
const OFFER_LEAST: Secs = 10;
/// An address that is in use by something we do not know is tried again after this time; probing finds it still in use.
const UNUSABLE: Secs = 60;
/// An offered address waits so long for the client's request.
const OFFER: Secs = 30;

/// Why an address is not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Offered,
    Bound,
    /// In use by something that did not get it from us: it declined, or another device answered the probe.
    Unusable,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub addr: Ipv4Addr,
    pub key: ClientKey,
    pub mac: Mac,
    /// The client has this address since then, without a gap in its row.
    pub since: Secs,
    /// Not in force any more from then on.
    pub ends: Secs,
    pub kept: Kept,
    /// On disk it stands with this end, 0 when it stands there not at all: more must not be promised while the disk is full.
    pub written: Secs,
    /// What the device calls itself, clean.
    pub name: Option<String>,
}

/// The rows of one interface.
#[derive(Debug, Clone)]
pub struct Table {
    pool: Pool,
    rows: BTreeMap<Ipv4Addr, Lease>,
    by_client: HashMap<ClientKey, Ipv4Addr>,
    by_mac: HashMap<Mac, Vec<Ipv4Addr>>,
    by_end: BTreeSet<(Secs, Ipv4Addr)>,
    /// All addresses of the pool before this one have or had a row.
    fresh: u32,
    newcomers: (Secs, u32),
}

impl Table {
    pub fn new(pool: Pool) -> Self {
        Self {
            pool,
            rows: BTreeMap::new(),
            by_client: HashMap::new(),
            by_mac: HashMap::new(),
            by_end: BTreeSet::new(),
            fresh: pool.first.to_bits(),
            newcomers: (0, 0),
        }
    }

    pub fn pool(&self) -> Pool {
        self.pool
    }

    /// All rows by address, those that ended too.
    pub fn rows(&self) -> impl Iterator<Item = &Lease> {
        self.rows.values()
    }

    pub fn at(&self, addr: Ipv4Addr) -> Option<&Lease> {
        self.rows.get(&addr)
    }

    /// The client's row, in force or ended.
    pub fn of(&self, key: &ClientKey) -> Option<&Lease> {
        self.by_client.get(key).and_then(|addr| self.rows.get(addr))
    }

    /// Rows in force that this hardware address holds, under whatever client identifiers.
    pub fn live_of(&self, mac: Mac, now: Secs) -> impl Iterator<Item = &Lease> {
        let addrs = self.by_mac.get(&mac).into_iter().flatten();
        addrs
            .filter_map(|addr| self.rows.get(addr))
            .filter(move |row| row.ends > now)
    }

    pub fn is_free(&self, addr: Ipv4Addr, now: Secs) -> bool {
        self.rows.get(&addr).is_none_or(|row| row.ends <= now)
    }

    /// The next addresses for clients without one, the best first: never used, then ended longest ago. When there is none,
    /// the oldest offer that nobody took up. `allowed` leaves out what must not be given.
    pub fn next(&self, now: Secs, allowed: impl Fn(Ipv4Addr) -> bool) -> impl Iterator<Item = Ipv4Addr> {
        let unused = (self.fresh..=self.pool.last.to_bits())
            .map(Ipv4Addr::from_bits)
            .filter(|addr| !self.rows.contains_key(addr));
        let ended = self.by_end.iter().take_while(move |(ends, _)| *ends <= now);
        let lapsing = self
            .by_end
            .iter()
            .skip_while(move |(ends, _)| *ends <= now)
            .take_while(move |(ends, _)| *ends <= now + OFFER - OFFER_LEAST)
            .filter(|(_, addr)| self.rows.get(addr).is_some_and(|row| row.kept == Kept::Offered));
        let inside = |addr: &Ipv4Addr| self.pool.contains(*addr);
        unused
            .chain(ended.map(|(_, addr)| *addr).filter(inside))
            .chain(lapsing.map(|(_, addr)| *addr).filter(inside))
            .filter(move |addr| allowed(*addr))
    }

    /// More newcomers than a home has, or nearly no address left: who has not shown that it stays gets a short lease.
    pub fn is_pressed(&self, now: Secs) -> bool {
        let (since, count) = self.newcomers;
        let left = self.pool.last.to_bits().saturating_add(1) - self.fresh;
        let reusable = || self.by_end.first().is_some_and(|(ends, _)| *ends <= now);
        (count > NEWCOMERS_MAX && now < since + 2 * MINUTE) || (left <= self.pool.size() / 8 && !reusable())
    }

    /// Carries out what was decided. Returns the row that has to be on disk before the client hears of it.
    pub fn apply(&mut self, change: Change, now: Secs) -> Option<Lease> {
        match change {
            Change::None => None,
            Change::Hold(mut lease) => {
                lease.kept = Kept::Offered;
                lease.ends = now + OFFER;
                self.put(lease);
                None
            }
            Change::Bind(lease) => {
                self.count(&lease, now);
                self.put(lease.clone());
                Some(lease)
            }
            Change::End(addr) => {
                let mut row = self.rows.get(&addr)?.clone();
                row.ends = now;
                self.put(row.clone());
                (row.kept == Kept::Bound).then_some(row)
            }
            Change::Unusable(addr) => {
                let old = self.rows.get(&addr).cloned();
                self.put(Lease {
                    addr,
                    key: ClientKey::new(None, [0; 6]),
                    mac: [0; 6],
                    since: now,
                    ends: now + UNUSABLE,
                    kept: Kept::Unusable,
                    written: 0,
                    name: None,
                });
                // On disk the old client must not come back to it.
                old.filter(|row| row.kept == Kept::Bound)
                    .map(|row| Lease { ends: now, ..row })
            }
        }
    }

    /// The lease of `addr` is on disk with this end.
    pub fn written(&mut self, addr: Ipv4Addr, ends: Secs) {
        if let Some(row) = self.rows.get_mut(&addr).filter(|row| row.kept == Kept::Bound) {
            row.written = ends;
        }
    }

    /// A row that was on disk. Of two rows of one client the younger one is the client's.
    pub fn restore(&mut self, lease: Lease) {
        let older = self.of(&lease.key).filter(|row| row.since > lease.since).cloned();
        self.put(lease);
        if let Some(row) = older {
            self.put(row);
        }
    }

    fn count(&mut self, lease: &Lease, now: Secs) {
        let known = self.of(&lease.key).is_some_and(|row| row.kept == Kept::Bound);
        if now >= self.newcomers.0 + MINUTE {
            self.newcomers = (now, 0);
        }
        self.newcomers.1 += u32::from(!known);
    }

    fn put(&mut self, lease: Lease) {
        let addr = lease.addr;
        if let Some(old) = self.rows.remove(&addr) {
            self.by_end.remove(&(old.ends, addr));
            if self.by_client.get(&old.key) == Some(&addr) {
                self.by_client.remove(&old.key);
            }
            if let Some(addrs) = self.by_mac.get_mut(&old.mac) {
                addrs.retain(|other| *other != addr);
                if addrs.is_empty() {
                    self.by_mac.remove(&old.mac);
                }
            }
        }
        self.by_end.insert((lease.ends, addr));
        if lease.kept != Kept::Unusable {
            self.by_client.insert(lease.key.clone(), addr);
            self.by_mac.entry(lease.mac).or_default().push(addr);
        }
        self.rows.insert(addr, lease);
        while self.fresh <= self.pool.last.to_bits()
            && self.rows.contains_key(&Ipv4Addr::from_bits(self.fresh))
        {
            self.fresh += 1;
        }
    }
}
