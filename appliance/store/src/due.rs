//! Small values of other rooms: settings, and the recurring work of each site.

use bytes::Bytes;
use proto::id::InfoHash;
use redb::WriteTransaction;

use crate::{
    DueKind, Error, UnixSecs,
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

    pub fn due(&self, kind: DueKind, now: UnixSecs, max: usize) -> Result<Vec<(InfoHash, UnixSecs)>, Error> {
        self.alive()?;
        self.state.read(|txn| {
            let table = txn.open_table(DUE)?;
            let last = due_key(kind, now, InfoHash([0xFF; 20]));
            let mut rows = Vec::new();
            for entry in table.range(due_key(kind, 0, InfoHash([0; 20]))..=last)?.take(max) {
                let key = entry?.0.value();
                let (mut when, mut ih) = ([0; 8], [0; 20]);
                when.copy_from_slice(&key[1..9]);
                ih.copy_from_slice(&key[9..]);
                rows.push((InfoHash(ih), u64::from_be_bytes(when)));
            }
            Ok(rows)
        })
    }

    /// Announce times may be lost in a crash: then an announce is repeated. So they wait for the next durable commit.
    pub fn set_due(&self, kind: DueKind, rows: &[(InfoHash, UnixSecs)]) -> Result<(), Error> {
        self.alive()?;
        self.state_write_soon(|txn| {
            let mut due = txn.open_table(DUE)?;
            let mut due_of = txn.open_table(DUE_OF)?;
            for (ih, when) in rows {
                let never = *when == UnixSecs::MAX;
                let old = if never {
                    due_of.remove(due_of_key(kind, *ih))?.map(|old| old.value())
                } else {
                    due_of.insert(due_of_key(kind, *ih), when)?.map(|old| old.value())
                };
                if let Some(old) = old {
                    due.remove(due_key(kind, old, *ih))?;
                }
                if !never {
                    due.insert(due_key(kind, *when, *ih), ())?;
                }
            }
            Ok(())
        })
    }
}

/// Removes the recurring work of a site.
pub(crate) fn clear_due(txn: &WriteTransaction, ih: InfoHash) -> Result<(), Error> {
    let mut due_of = txn.open_table(DUE_OF)?;
    let mut due = txn.open_table(DUE)?;
    for kind in [DueKind::DhtAnnounce, DueKind::TrackerAnnounce] {
        let old = due_of.remove(due_of_key(kind, ih))?.map(|old| old.value());
        if let Some(old) = old {
            due.remove(due_key(kind, old, ih))?;
        }
    }
    Ok(())
}

fn due_key(kind: DueKind, when: UnixSecs, ih: InfoHash) -> [u8; 29] {
    let mut key = [0; 29];
    key[0] = kind_byte(kind);
    key[1..9].copy_from_slice(&when.to_be_bytes());
    key[9..].copy_from_slice(&ih.0);
    key
}

fn due_of_key(kind: DueKind, ih: InfoHash) -> [u8; 21] {
    let mut key = [0; 21];
    key[0] = kind_byte(kind);
    key[1..].copy_from_slice(&ih.0);
    key
}

fn kind_byte(kind: DueKind) -> u8 {
    match kind {
        DueKind::DhtAnnounce => 1,
        DueKind::TrackerAnnounce => 2,
    }
}
