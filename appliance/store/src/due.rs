//! Small values of other rooms: settings, and the recurring work of each site.

use bytes::Bytes;
use proto::id::{InfoHash, Target};
use redb::{ReadableTable, WriteTransaction};

use crate::{
    DueKind, Error, TargetWork, UnixSecs,
    copy::Kept,
    core::Core,
    tables::{DUE, DUE_OF, SETTINGS},
};

/// More: larger settings. Less: a smaller state.
const SETTING_BYTES_MAX: usize = 1 << 20;

impl Core {
    pub fn setting(&self, key: &str) -> Result<Option<Bytes>, Error> {
        self.alive()?;
        self.state.read(|txn| {
            let found = txn
                .open_table(SETTINGS)?
                .get(key)?
                .map(|raw| Bytes::copy_from_slice(raw.value()));
            Ok(found)
        })
    }

    pub fn set_setting(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        self.alive()?;
        if value.len() > SETTING_BYTES_MAX || key.len() > 1024 {
            return Err(Error::Quota(format!("setting {key}: {} bytes", value.len())));
        }
        self.state_kept(Kept::Setting(key), |txn| {
            txn.open_table(SETTINGS)?.insert(key, value)?;
            Ok(())
        })
    }

    pub fn due<W: Work>(&self, work: W, now: UnixSecs, max: usize) -> Result<Vec<(W::Id, UnixSecs)>, Error> {
        self.alive()?;
        self.state.read(|txn| {
            let table = txn.open_table(DUE)?;
            let last = due_key(work.byte(), now, [0xFF; 20]);
            let mut rows = Vec::new();
            for entry in table.range(due_key(work.byte(), 0, [0; 20])..=last)?.take(max) {
                let key = entry?.0.value();
                let (mut when, mut id) = ([0; 8], [0; 20]);
                when.copy_from_slice(&key[1..9]);
                id.copy_from_slice(&key[9..]);
                rows.push((W::id(id), u64::from_be_bytes(when)));
            }
            Ok(rows)
        })
    }

    /// Announce times may be lost in a crash: then an announce is repeated. So they wait for the next durable commit.
    pub fn set_due<W: Work>(&self, work: W, rows: &[(W::Id, UnixSecs)]) -> Result<(), Error> {
        self.alive()?;
        self.state_write_soon(|txn| {
            rows.iter()
                .try_for_each(|(id, when)| put(txn, work, W::raw(*id), *when))
        })
    }
}

/// Recurring work: its number on disk and what its rows are named after.
pub(crate) trait Work: Copy {
    type Id: Copy;
    fn byte(self) -> u8;
    fn id(raw: [u8; 20]) -> Self::Id;
    fn raw(id: Self::Id) -> [u8; 20];
}

impl Work for DueKind {
    type Id = InfoHash;

    fn byte(self) -> u8 {
        match self {
            DueKind::DhtAnnounce => 1,
            DueKind::TrackerAnnounce => 2,
        }
    }

    fn id(raw: [u8; 20]) -> InfoHash {
        InfoHash(raw)
    }

    fn raw(id: InfoHash) -> [u8; 20] {
        id.0
    }
}

impl Work for TargetWork {
    type Id = Target;

    fn byte(self) -> u8 {
        match self {
            TargetWork::RecordPut => 3,
            TargetWork::Refresh => 4,
        }
    }

    fn id(raw: [u8; 20]) -> Target {
        Target(raw)
    }

    fn raw(id: Target) -> [u8; 20] {
        id.0
    }
}

/// Moves a row to another time; `UnixSecs::MAX` removes it.
fn put(txn: &WriteTransaction, work: impl Work, id: [u8; 20], when: UnixSecs) -> Result<(), Error> {
    let mut due = txn.open_table(DUE)?;
    let mut due_of = txn.open_table(DUE_OF)?;
    let (never, key) = (when == UnixSecs::MAX, due_of_key(work.byte(), id));
    let old = if never {
        due_of.remove(key)?.map(|old| old.value())
    } else {
        due_of.insert(key, when)?.map(|old| old.value())
    };
    if let Some(old) = old {
        due.remove(due_key(work.byte(), old, id))?;
    }
    if !never {
        due.insert(due_key(work.byte(), when, id), ())?;
    }
    Ok(())
}

/// Removes the recurring work of a site.
pub(crate) fn clear_due(txn: &WriteTransaction, ih: InfoHash) -> Result<(), Error> {
    put(txn, DueKind::DhtAnnounce, ih.0, UnixSecs::MAX)?;
    put(txn, DueKind::TrackerAnnounce, ih.0, UnixSecs::MAX)
}

pub(crate) fn clear_target(txn: &WriteTransaction, work: TargetWork, target: Target) -> Result<(), Error> {
    put(txn, work, target.0, UnixSecs::MAX)
}

/// Makes a row that is due now, unless there is one.
pub(crate) fn due_at_once(txn: &WriteTransaction, work: TargetWork, target: Target) -> Result<(), Error> {
    let key = due_of_key(work.byte(), target.0);
    if txn.open_table(DUE_OF)?.get(key)?.is_none() {
        put(txn, work, target.0, 0)?;
    }
    Ok(())
}

fn due_key(kind: u8, when: UnixSecs, id: [u8; 20]) -> [u8; 29] {
    let mut key = [0; 29];
    key[0] = kind;
    key[1..9].copy_from_slice(&when.to_be_bytes());
    key[9..].copy_from_slice(&id);
    key
}

fn due_of_key(kind: u8, id: [u8; 20]) -> [u8; 21] {
    let mut key = [0; 21];
    key[0] = kind;
    key[1..].copy_from_slice(&id);
    key
}
