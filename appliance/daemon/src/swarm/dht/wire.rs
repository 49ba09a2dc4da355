//! A network in memory, for tests that last days: datagrams take a while and arrive, or are lost where nobody listens. Driven
//! by `tokio::time` alone, so that with a paused clock a week takes seconds and nothing depends on this machine's load.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// How long datagrams take: from this many milliseconds to three times as many, by turns.
const LATENCY_MS: u64 = 20;

/// Cheap to clone; all clones are one network.
#[derive(Debug, Clone, Default)]
pub struct Wire {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    ends: BTreeMap<SocketAddr, Arc<Inbox>>,
    /// Their datagrams are lost.
    deaf: BTreeSet<SocketAddr>,
    carried: u64,
    opened: u32,
}

/// By arrival, and by sending when two arrive together: from whom, and what.
type Waiting = BTreeMap<(Instant, u64), (SocketAddr, Vec<u8>)>;

#[derive(Debug, Default)]
struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

impl Wire {
    /// An address nobody has had yet; each looks like another household's.
    pub fn address(&self) -> SocketAddr {
        let mut inner = lock(&self.inner);
        inner.opened += 1;
        let ip = Ipv4Addr::from(0x2d00_0000 + inner.opened * 1_021);
        SocketAddr::from((ip, 6881))
    }

    pub fn open(&self, addr: SocketAddr) -> io::Result<End> {
        let inbox = Arc::new(Inbox::default());
        match lock(&self.inner).ends.entry(addr) {
            Entry::Occupied(_) => return Err(io::ErrorKind::AddrInUse.into()),
            Entry::Vacant(place) => place.insert(inbox.clone()),
        };
        Ok(End {
            wire: self.clone(),
            addr,
            inbox,
        })
    }

    /// While deaf, a node gets nothing of what is sent to it.
    pub fn set_deaf(&self, addr: SocketAddr, deaf: bool) {
        let mut inner = lock(&self.inner);
        if deaf {
            inner.deaf.insert(addr);
        } else {
            inner.deaf.remove(&addr);
        }
    }
}

/// One socket.
pub struct End {
    wire: Wire,
    addr: SocketAddr,
    inbox: Arc<Inbox>,
}

impl End {
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }

    pub async fn readable(&self) {
        loop {
            let next = lock(&self.inbox.waiting)
                .first_key_value()
                .map(|((at, _), _)| *at);
            let Some(at) = next else {
                self.inbox.arrived.notified().await;
                continue;
            };
            if at <= Instant::now() {
                return;
            }
            // One that was sent later may take less time.
            tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = self.inbox.arrived.notified() => {}
            }
        }
    }

    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let mut waiting = lock(&self.inbox.waiting);
        let first = waiting
            .first_entry()
            .filter(|first| first.key().0 <= Instant::now());
        let (from, bytes) = first.ok_or(io::ErrorKind::WouldBlock)?.remove();
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        Ok((length, from))
    }

    pub fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        let mut inner = lock(&self.wire.inner);
        inner.carried += 1;
        if let Some(inbox) = inner.ends.get(&to).filter(|_| !inner.deaf.contains(&to)) {
            let turn = inner.carried.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let takes = Duration::from_millis(LATENCY_MS + turn % (2 * LATENCY_MS + 1));
            let arrives = (Instant::now() + takes, inner.carried);
            lock(&inbox.waiting).insert(arrives, (self.addr, datagram.to_vec()));
            inbox.arrived.notify_one();
        }
        Ok(datagram.len())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        lock(&self.wire.inner).ends.remove(&self.addr);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
