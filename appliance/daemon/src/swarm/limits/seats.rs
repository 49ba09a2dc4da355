//! Connection counts: globally, per torrent, per source address. When the house is full, whoever has been useless the
//! longest gives way, so that idle strangers cannot lock others out.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proto::id::InfoHash;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lock;

/// A seat that moved no payload for this long may be given to a newcomer when all are taken.
const USELESS_AFTER: Duration = Duration::from_secs(20);

/// Seats per cap; a slice of 0 is taken as 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// All peer connections of the house.
    pub global: usize,
    pub per_torrent: usize,
    /// Per IPv4 address or IPv6 /64: who rents one machine gets this many.
    pub per_source: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            global: 200,
            per_torrent: 50,
            per_source: 8,
        }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Seats {
    table: Arc<Mutex<Table>>,
    taken: Arc<AtomicUsize>,
}

struct Table {
    caps: Caps,
    next: u64,
    seats: HashMap<u64, Row>,
}

struct Row {
    source: Source,
    torrent: Option<InfoHash>,
    useful: Instant,
    leave: CancellationToken,
}

/// An IPv4 address or the /64 of an IPv6 one: a home or a rented machine owns all of a /64.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

/// One connection's seat; free again when dropped.
pub struct Seat {
    seats: Seats,
    id: u64,
    leave: CancellationToken,
}

impl Seats {
    pub(super) fn new(caps: Caps) -> Self {
        Self {
            table: Arc::new(Mutex::new(Table {
                caps,
                next: 0,
                seats: HashMap::new(),
            })),
            taken: Arc::default(),
        }
    }

    pub(super) fn set_caps(&self, caps: Caps) {
        lock(&self.table).caps = caps;
    }

    /// Connections that hold a seat.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// More than half of the seats are taken: time to let go of peers that want nothing.
    pub fn crowded(&self) -> bool {
        self.taken() * 2 > lock(&self.table).caps.global
    }

    /// A seat for a connection from `ip`, asked for before anything is read. `None`: close at once.
    pub fn admit(&self, ip: IpAddr) -> Option<Seat> {
        let source = source_of(ip);
        let mut table = lock(&self.table);
        let same = table.seats.values().filter(|row| row.source == source).count();
        if same >= table.caps.per_source.max(1) {
            return None;
        }
        if table.seats.len() >= table.caps.global.max(1) {
            table.dismiss(|_| true)?;
        }
        let id = table.next;
        table.next += 1;
        let leave = CancellationToken::new();
        table.seats.insert(
            id,
            Row {
                source,
                torrent: None,
                useful: Instant::now(),
                leave: leave.clone(),
            },
        );
        self.taken.store(table.seats.len(), Ordering::Relaxed);
        Some(Seat {
            seats: self.clone(),
            id,
            leave,
        })
    }
}

impl Table {
    /// Asks the seat that was useless longest, among those that `may` go, to leave, and frees it at once.
    fn dismiss(&mut self, may: impl Fn(&Row) -> bool) -> Option<()> {
        let (id, row) = self
            .seats
            .iter()
            .filter(|(_, row)| may(row))
            .min_by_key(|(_, row)| row.useful)?;
        if row.useful.elapsed() < USELESS_AFTER {
            return None;
        }
        let id = *id;
        row.leave.cancel();
        self.seats.remove(&id);
        Some(())
    }
}

impl Seat {
    /// Whether the torrent has a free seat for this connection.
    pub fn join(&self, infohash: InfoHash) -> bool {
        let mut table = lock(&self.seats.table);
        let same = |row: &Row| row.torrent == Some(infohash);
        let joined = table.seats.values().filter(|row| same(row)).count();
        if joined >= table.caps.per_torrent.max(1) && table.dismiss(same).is_none() {
            return false;
        }
        match table.seats.get_mut(&self.id) {
            Some(row) => row.torrent = Some(infohash),
            // Dismissed in the meantime.
            None => return false,
        }
        true
    }

    /// Payload moved: this seat is not given away for a while.
    pub fn useful(&self) {
        if let Some(row) = lock(&self.seats.table).seats.get_mut(&self.id) {
            row.useful = Instant::now();
        }
    }

    /// Cancelled when the seat was given to somebody else.
    pub fn leave(&self) -> &CancellationToken {
        &self.leave
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = lock(&self.seats.table);
        table.seats.remove(&self.id);
        self.seats.taken.store(table.seats.len(), Ordering::Relaxed);
    }
}

fn source_of(ip: IpAddr) -> Source {
    match ip.to_canonical() {
        IpAddr::V4(ip) => Source::V4(ip.octets()),
        IpAddr::V6(ip) => {
            let mut net = [0; 8];
            net.copy_from_slice(&ip.octets()[..8]);
            Source::V6(net)
        }
    }
}
