//! Group commit: leases are on disk before their acknowledgements leave, with one write for all that wait.
//!
//! When the disk does not take them, what waits goes back to be decided without a disk: devices that have a lease keep it, new
//! ones get one for two minutes at a time. The whole table is written as soon as the disk works again.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use house::{health::Health, tasks::Tasks};
use proto::dhcp::{Answer, Packet, Secs};
use store::{LeaseRow, Leases};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tracing::debug;

use super::wire::Wire;

/// Writes begin at most so often: under load they are shared by more devices, a single device never waits for it.
const BATCH_EVERY: Duration = Duration::from_millis(5);
const BATCH_MAX: usize = 1024;
/// Acknowledgements that may wait. A client whose request is dropped asks again.
const WAITING_MAX: usize = 4096;
/// A write that takes longer is a disk that hangs; devices must not wait for it.
const WRITE_DEADLINE: Duration = Duration::from_secs(2);
const RETRY_EVERY: Duration = Duration::from_secs(30);
const HEALTH: &str = "leases";

/// A row, and what may be said once it is on disk.
pub struct Entry {
    pub row: LeaseRow,
    /// Its end on the clock of memory.
    pub ends: Secs,
    pub say: Option<Promise>,
}

/// An acknowledgement that waits, and the request it answers.
pub struct Promise {
    pub wire: Arc<Wire>,
    pub packet: Packet,
    pub source: Ipv4Addr,
    pub answer: Answer,
    /// Where the request goes when the row cannot be written.
    pub back: mpsc::Sender<(Packet, Ipv4Addr)>,
}

/// Takes rows. Cheap to clone.
#[derive(Clone)]
pub struct Book {
    sender: mpsc::Sender<Entry>,
    broken: Arc<AtomicBool>,
}

/// What the writer asks and tells the tables.
pub trait Tables: Send + Sync {
    /// All leases, for the day the disk works again.
    fn all(&self) -> Vec<Entry>;
    /// These are on disk now, with these ends.
    fn written(&self, rows: &[(Ipv4Addr, Secs)]);
}

impl Book {
    /// Opens the file and begins to write. The rows are what was there. `tables` are those of memory.
    /// Rows that ended before `forget` are dropped.
    pub fn open(
        folder: &Path,
        forget: u64,
        health: &Health,
        tasks: &Tasks,
        tables: Arc<dyn Tables>,
    ) -> (Self, Vec<LeaseRow>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let writer = Writer {
            folder: folder.to_owned(),
            file: Arc::default(),
            broken: Arc::default(),
            health: health.clone(),
        };
        let rows = writer.first_rows(forget);
        let book = Self {
            sender,
            broken: writer.broken.clone(),
        };
        tasks.spawn("dhcp.leases", async move { writer.run(receiver, tables).await });
        (book, rows)
    }

    /// Writes nothing: for a mode that gives nothing.
    pub fn closed() -> Self {
        Self {
            sender: mpsc::channel(1).0,
            broken: Arc::default(),
        }
    }

    /// Leases cannot be written down now.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Whether it was taken; not: too much waits already.
    pub fn write(&self, entry: Entry) -> bool {
        self.sender.try_send(entry).is_ok()
    }
}

struct Writer {
    folder: PathBuf,
    file: Arc<Mutex<Option<Leases>>>,
    broken: Arc<AtomicBool>,
    health: Health,
}

impl Writer {
    fn first_rows(&self, forget: u64) -> Vec<LeaseRow> {
        let opened = Leases::open(&self.folder).and_then(|(leases, trouble)| {
            // A full disk does not keep us from reading.
            let _ = leases.forget(forget);
            let rows = leases.all()?;
            Ok((leases, rows, trouble))
        });
        match opened {
            Ok((leases, rows, trouble)) => {
                let told = trouble.map(|text| {
                    format!(
                        "the list of leases was damaged and is begun anew ({text}). Addresses in use are found by asking for \
                         them; devices keep theirs when they renew."
                    )
                });
                self.health.set(HEALTH, told);
                *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(leases);
                rows
            }
            Err(err) => {
                self.set_broken(Some(err.to_string()));
                Vec::new()
            }
        }
    }

    fn set_broken(&self, reason: Option<String>) {
        self.broken.store(reason.is_some(), Ordering::Relaxed);
        let told = reason.map(|reason| {
            format!(
                "leases cannot be written down ({reason}). Devices that have an address keep it, new ones get theirs for two \
                 minutes at a time. Make space on the box, or restart it."
            )
        });
        self.health.set(HEALTH, told);
    }

    async fn run(self, mut receiver: mpsc::Receiver<Entry>, tables: Arc<dyn Tables>) {
        let mut batch = Vec::new();
        let mut begun = Instant::now() - BATCH_EVERY;
        loop {
            if self.broken.load(Ordering::Relaxed) {
                let wait = timeout(RETRY_EVERY, receiver.recv_many(&mut batch, BATCH_MAX));
                match wait.await {
                    Ok(0) => return,
                    // Decided before the trouble was known.
                    Ok(_) => give_back(&mut batch),
                    Err(_) => {
                        let all = tables.all();
                        let tried = self.write(&all, tables.as_ref()).await;
                        self.set_broken(tried.err());
                    }
                }
                continue;
            }
            if receiver.recv_many(&mut batch, BATCH_MAX).await == 0 {
                return;
            }
            sleep_until(begun + BATCH_EVERY).await;
            while batch.len() < BATCH_MAX {
                let Ok(entry) = receiver.try_recv() else { break };
                batch.push(entry);
            }
            begun = Instant::now();
            match self.write(&batch, tables.as_ref()).await {
                Ok(()) => {
                    for promise in batch.drain(..).filter_map(|entry| entry.say) {
                        promise.wire.say(promise.packet.mac, &promise.answer);
                    }
                }
                Err(reason) => {
                    self.set_broken(Some(reason));
                    give_back(&mut batch);
                }
            }
        }
    }

    /// One durable write. A disk that hangs is given up after a while; the write may still happen later, which is harmless:
    /// it says no more than what memory holds.
    async fn write(&self, batch: &[Entry], tables: &dyn Tables) -> Result<(), String> {
        let rows: Vec<_> = batch.iter().map(|entry| entry.row.clone()).collect();
        let (file, folder) = (self.file.clone(), self.folder.clone());
        let work = move || {
            // A write that hangs holds the lock; those behind it must not pile up.
            let Ok(mut file) = file.try_lock() else {
                return Err("the disk does not answer".to_owned());
            };
            if file.is_none() {
                *file = Some(Leases::open(&folder).map_err(|err| err.to_string())?.0);
            }
            let leases = file.as_ref().ok_or("the file is not open")?;
            leases.commit(&rows).map_err(|err| err.to_string())
        };
        // One at a time, bounded by the deadline: the web half's pool for blocking work does not exist here.
        #[allow(clippy::disallowed_methods)]
        let done = tokio::task::spawn_blocking(work);
        match timeout(WRITE_DEADLINE, done).await {
            Ok(Ok(Ok(()))) => {
                let ends: Vec<_> = batch.iter().map(|entry| (entry.row.addr, entry.ends)).collect();
                tables.written(&ends);
                Ok(())
            }
            Ok(Ok(Err(reason))) => Err(reason),
            Ok(Err(_)) => Err("the write ended early".into()),
            Err(_) => Err("the disk does not answer".into()),
        }
    }
}

fn give_back(batch: &mut Vec<Entry>) {
    for promise in batch.drain(..).filter_map(|entry| entry.say) {
        if promise.back.try_send((promise.packet, promise.source)).is_err() {
            debug!("a request was dropped while leases cannot be written");
        }
    }
}
