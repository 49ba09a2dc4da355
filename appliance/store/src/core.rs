//! The store's one shared value: what every deed works on, and the periodic work.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use proto::id::InfoHash;
use redb::WriteTransaction;

use crate::{
    Config, DurableListener, Error, TickReport, UnixSecs,
    adopt::{Adoption, OPEN_BYTES, TICK_BYTES},
    cache::CellCache,
    copy::Copy,
    damage::Suspects,
    direct::Buffers,
    disk::{Disk, Place},
    file::Db,
    locks::Lock,
    pending::Pending,
    rows::Looks,
    scrub::Scrub,
    segment::Segments,
    site_memory::SiteMemories,
    soft::Soft,
    state,
    tables::Seat,
};

/// Verified bytes that make a commit due at once.
pub(crate) const COMMIT_BYTES: usize = 16 << 20;
/// Verified bytes wait at most this long for a fuller commit.
const COMMIT_SECS: u64 = 5;
/// Use and traffic are written this seldom: a small write costs a flash page each time.
const SOFT_SECS: u64 = 300;

/// Order of locks, outermost first: `writer`, then a redb file, then `pending`, then a site's bitfields. `pending` is
/// never held during I/O.
pub(crate) struct Core {
    pub config: Config,
    pub disk: Arc<dyn Disk>,
    pub state: Db,
    pub copy: Copy,
    pub adoption: Mutex<Adoption>,
    /// Set when a look at the whole state found it damaged.
    pub rotten_state: Mutex<Option<String>>,
    pub state_looked: Mutex<bool>,
    pub segments: Segments,
    pub writer: Mutex<Writer>,
    pub pending: Mutex<Pending>,
    /// Woken when pending bytes became fewer.
    pub room: Condvar,
    pub memories: SiteMemories,
    pub cache: CellCache,
    pub buffers: Arc<Buffers>,
    pub soft: Mutex<HashMap<InfoHash, Soft>>,
    pub looks: Mutex<Looks>,
    pub trouble: Mutex<Option<Error>>,
    pub lost: Mutex<Vec<(InfoHash, u32)>>,
    /// Became held; listeners are told when no lock is held.
    pub told: Mutex<Vec<(InfoHash, u32)>>,
    /// Counts what changed bitfields in the state.
    pub changes: AtomicU64,
    pub listeners: Mutex<Vec<DurableListener>>,
    pub scrub: Mutex<Scrub>,
    pub suspects: Mutex<Suspects>,
    /// When all rows were last looked at for the quota.
    pub looked: Mutex<UnixSecs>,
    pub closed: AtomicBool,
    /// The time of the last call that brought one.
    pub now: AtomicU64,
}

/// What only one thread at a time may do: change content.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    /// The segment new pieces go to.
    pub target: Option<u32>,
    /// Pieces `state.redb` durably knows, whose `fresh-1` row is still there.
    pub settled: Vec<Seat>,
    /// Segments whose `fresh-1` may hold rows of an earlier life.
    pub unsure: BTreeSet<u32>,
    /// Segments marked as unsure in the state.
    pub marked: BTreeSet<u32>,
    /// Damaged: get no new pieces.
    pub condemned: BTreeSet<u32>,
    /// Being emptied: gets no new pieces.
    pub emptying: Option<u32>,
    pub committed: UnixSecs,
    /// When the segments were last looked at for compaction; 0: look at the next tick.
    pub compacted: UnixSecs,
    pub softened: UnixSecs,
}

impl Core {
    pub fn open(disk: Arc<dyn Disk>, config: Config, now: UnixSecs) -> Result<Arc<Core>, Error> {
        disk.lock(Place::State)?;
        let (state, copy, damaged) = state::open(&disk)?;
        let core = Core {
            segments: Segments::new(disk.clone()),
            state,
            copy,
            adoption: Mutex::default(),
            rotten_state: Mutex::default(),
            state_looked: Mutex::default(),
            disk,
            config,
            writer: Mutex::new(Writer {
                committed: now,
                softened: now,
                ..Writer::default()
            }),
            pending: Mutex::default(),
            room: Condvar::new(),
            memories: SiteMemories::default(),
            cache: CellCache::default(),
            buffers: Arc::default(),
            soft: Mutex::default(),
            looks: Mutex::default(),
            trouble: Mutex::default(),
            lost: Mutex::default(),
            told: Mutex::default(),
            changes: AtomicU64::new(0),
            listeners: Mutex::default(),
            scrub: Mutex::default(),
            suspects: Mutex::default(),
            looked: Mutex::default(),
            closed: AtomicBool::new(false),
            now: AtomicU64::new(now),
        };
        if let Some(text) = damaged {
            tracing::error!(reason = %text, "the store's state was damaged; it is made anew");
        }
        if let Err(err) = core.attach() {
            if matches!(err, Error::InUse(_)) {
                return Err(err);
            }
            core.suspend(&err);
        }
        core.writer.held().unsure = core.unsure_segments()?;
        core.find_strange()?;
        core.tend_new_copy();
        // What a small household has is there at once; the rest follows in `tick`.
        if core.writable().is_ok() {
            let adopted = core.adopt(OPEN_BYTES);
            let _ = core.noted(adopted);
        }
        Ok(Arc::new(core))
    }

    /// `Error::Gone` once the store is closed.
    pub fn alive(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) {
            Err(Error::Gone("the store is closed".into()))
        } else {
            Ok(())
        }
    }

    /// The reason why nothing can be written now.
    pub fn writable(&self) -> Result<(), Error> {
        self.alive()?;
        self.trouble.held().clone().map_or(Ok(()), Err)
    }

    /// Suspends writing until `tick` finds the cause gone.
    pub fn suspend(&self, err: &Error) {
        if err.latches() {
            let mut trouble = self.trouble.held();
            if trouble.is_none() {
                tracing::error!(%err, "the store cannot write; it tries again by itself");
            }
            *trouble = Some(err.clone());
            self.room.notify_all();
        }
    }

    /// Notes an error that stops writing.
    pub fn noted<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.inspect_err(|err| self.suspend(err))
    }

    /// One durable transaction on the state.
    pub fn state_write<T>(
        &self,
        deed: impl FnOnce(&WriteTransaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.alive()?;
        self.noted(self.state.write(deed))
    }

    /// One transaction on the state that becomes durable with the next durable one.
    pub fn state_write_soon<T>(
        &self,
        deed: impl FnOnce(&WriteTransaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.alive()?;
        self.noted(self.state.write_soon(deed))
    }

    /// A transaction that frees space: on a full disk the ballast is given up for it.
    pub fn state_free<T>(&self, deed: impl Fn(&WriteTransaction) -> Result<T, Error>) -> Result<T, Error> {
        self.alive()?;
        match self.state.write(&deed) {
            Err(Error::Full(_)) if self.drop_ballast() => self.noted(self.state.write(deed)),
            other => self.noted(other),
        }
    }

    pub fn tick(&self, now: UnixSecs) -> Result<TickReport, Error> {
        self.alive()?;
        self.now.store(now, Ordering::Release);
        let mut report = TickReport::default();
        if self.trouble.held().is_some() {
            self.recover(now);
        } else {
            let _ = self.noted(self.still_there());
        }
        // Each of these goes on where it stopped; an error is noted and does not keep the others from trying.
        let done = self
            .housekeeping(now, &mut report)
            .inspect_err(|err| tracing::debug!(%err, "periodic work of the store stops early"));
        if let Err(err) = done {
            self.suspend(&err);
        }
        self.tell();
        report.rotten.append(&mut self.lost.held());
        let trouble = self.trouble.held().as_ref().map(Error::to_string);
        report.trouble = trouble
            .or_else(|| self.rotten_state.held().clone())
            .or_else(|| self.adoption_text());
        Ok(report)
    }

    fn housekeeping(&self, now: UnixSecs, report: &mut TickReport) -> Result<(), Error> {
        self.finish_removals()?;
        self.make_room(report)?;
        if self.trouble.held().is_some() {
            return Ok(());
        }
        self.commit_due(now)?;
        self.keep_ballast()?;
        self.tend_copy();
        self.check_large_state();
        self.adopt(TICK_BYTES)?;
        self.look_at_unsure()?;
        self.tend_suspects()?;
        self.sweep()?;
        self.compact()?;
        self.scrub()
    }

    fn commit_due(&self, now: UnixSecs) -> Result<(), Error> {
        let (committed, softened) = {
            let writer = self.writer.held();
            (writer.committed, writer.softened)
        };
        let waiting = self.pending.held().done_bytes;
        let due = now.saturating_sub(committed) >= COMMIT_SECS || waiting >= COMMIT_BYTES;
        if due && !self.pending.held().done.is_empty() {
            self.commit()?;
        }
        if due {
            self.writer.held().committed = now;
        }
        if now.saturating_sub(softened) >= SOFT_SECS {
            self.writer.held().softened = now;
            self.write_soft()?;
        }
        Ok(())
    }

    /// Tries to write again. Success clears the trouble.
    fn recover(&self, now: UnixSecs) {
        let again = self.attach().and_then(|()| self.has_room()).and_then(|()| {
            self.state.write(|txn| state::set_meta(txn, "last_write", now))?;
            self.commit_now()
        });
        match again {
            Ok(()) => {
                tracing::info!("the store can write again");
                *self.trouble.held() = None;
            }
            Err(err) => self.suspend(&err),
        }
    }

    pub fn close(&self) -> Result<(), Error> {
        self.alive()?;
        let flushed = self
            .commit()
            .and_then(|()| self.write_soft())
            .and_then(|()| self.mark_clean());
        self.closed.store(true, Ordering::Release);
        self.room.notify_all();
        let _writer = self.writer.held();
        self.segments.shut_all();
        self.state.shut();
        self.copy.db.shut();
        flushed
    }
}
