//! How many connections there are: a new one is always let in, and the one that was quiet the longest goes for it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Connections at once. More: memory, about 40 KiB each over TLS.
const CONNECTIONS_MAX: usize = 128;
/// Those of one device.
const DEVICE_MAX: usize = 32;

/// Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Seats(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    next: u64,
    by_id: HashMap<u64, Row>,
}

struct Row {
    addr: IpAddr,
    used: Instant,
    ended: CancellationToken,
}

/// A place; given back when dropped.
pub(super) struct Seat {
    seats: Seats,
    id: u64,
    /// Cancelled when the place is needed by another connection.
    pub ended: CancellationToken,
}

impl Seats {
    pub fn take(&self, addr: IpAddr) -> Seat {
        let ended = CancellationToken::new();
        self.with(|taken| {
            let of_device = taken.by_id.values().filter(|row| row.addr == addr).count();
            let crowded = of_device >= DEVICE_MAX && !addr.is_loopback();
            if crowded || taken.by_id.len() >= CONNECTIONS_MAX {
                let quietest = taken
                    .by_id
                    .iter()
                    .filter(|(_, row)| !crowded || row.addr == addr)
                    .min_by_key(|(_, row)| row.used)
                    .map(|(id, _)| *id);
                if let Some(row) = quietest.and_then(|id| taken.by_id.remove(&id)) {
                    row.ended.cancel();
                }
            }
            let id = taken.next;
            taken.next += 1;
            let row = Row {
                addr,
                used: Instant::now(),
                ended: ended.clone(),
            };
            taken.by_id.insert(id, row);
            Seat {
                seats: self.clone(),
                id,
                ended,
            }
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Taken) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seat {
    pub fn used(&self) {
        self.seats.with(|taken| {
            if let Some(row) = taken.by_id.get_mut(&self.id) {
                row.used = Instant::now();
            }
        });
    }

    /// Pends until nothing was asked for `long`, or the place is needed.
    pub async fn quiet(&self, long: Duration) {
        loop {
            let used = self
                .seats
                .with(|taken| taken.by_id.get(&self.id).map(|row| row.used));
            let Some(used) = used.filter(|used| used.elapsed() < long) else {
                return;
            };
            tokio::select! {
                () = self.ended.cancelled() => return,
                () = tokio::time::sleep_until(used + long) => {}
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.with(|taken| taken.by_id.remove(&self.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(last: u8) -> IpAddr {
        IpAddr::from([192, 168, 1, last])
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_takes_the_place_of_the_quietest() {
        let seats = Seats::default();
        let first = seats.take(addr(1));
        let mut held: Vec<Seat> = Vec::new();
        for n in 0..CONNECTIONS_MAX {
            tokio::time::advance(Duration::from_millis(1)).await;
            first.used();
            tokio::time::advance(Duration::from_millis(1)).await;
            held.push(seats.take(addr(2 + (n / 16) as u8)));
        }
        assert!(!first.ended.is_cancelled());
        assert!(held[0].ended.is_cancelled() && !held[1].ended.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_with_too_many_connections_loses_its_own() {
        let seats = Seats::default();
        let other = seats.take(addr(9));
        tokio::time::advance(Duration::from_millis(1)).await;
        let held: Vec<Seat> = (0..=DEVICE_MAX).map(|_| seats.take(addr(1))).collect();
        assert!(!other.ended.is_cancelled());
        assert_eq!(held.iter().filter(|seat| seat.ended.is_cancelled()).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_connection_ends() {
        let seat = Seats::default().take(addr(1));
        let began = Instant::now();
        seat.quiet(Duration::from_secs(10)).await;
        assert_eq!(began.elapsed(), Duration::from_secs(10));
    }
}
