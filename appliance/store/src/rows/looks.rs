//! Times and counts that change often and may be lost: kept in memory, written every five minutes to a small table of
//! their own, so that a look at the network costs no write of a whole row. A look hides what the row itself says.

use std::collections::HashMap;

use redb::{ReadableTable, WriteTransaction};

use super::deed::{Deed, get};
use crate::{
    Error,
    core::Core,
    locks::Lock,
    tables::{API_TOKENS, LOOKS, RECORDS, Rows, SESSIONS, SUBSCRIPTIONS, VISITED_RECORDS},
};

/// More: more memory (about 150 bytes each). Less: some are lost when very much is looked at between two writes.
const LOOKS_MAX: usize = 32_768;

/// Whose look it is. The number stands on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Record = 1,
    Subscription = 2,
    Session = 3,
    ApiToken = 4,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        let all = [Kind::Record, Kind::Subscription, Kind::Session, Kind::ApiToken];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// Where its row stands.
    fn tables(self) -> &'static [Rows] {
        match self {
            Kind::Record => &[RECORDS, VISITED_RECORDS],
            Kind::Subscription => &[SUBSCRIPTIONS],
            Kind::Session => &[SESSIONS],
            Kind::ApiToken => &[API_TOKENS],
        }
    }
}

/// Looks not yet written, by [`look_key`].
pub(crate) type Looks = HashMap<Vec<u8>, Vec<u8>>;

pub(crate) fn look_key(kind: Kind, key: &[u8]) -> Vec<u8> {
    [&[kind as u8], key].concat()
}

impl Core {
    /// Changes a look: `deed` gets the one there is. Nobody else changes it meanwhile.
    pub fn change_look(
        &self,
        kind: Kind,
        key: &[u8],
        deed: impl FnOnce(Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Error>,
    ) -> Result<(), Error> {
        self.alive()?;
        let key = look_key(kind, key);
        // Held while the state is read; so nobody may ask for it while he reads the state.
        let mut looks = self.looks.held();
        let old = match looks.get(&key) {
            Some(look) => Some(look.clone()),
            None => self.state.read(|txn| get(txn, LOOKS, &key))?,
        };
        if let Some(new) = deed(old)? {
            keep_look(&mut looks, key, new);
        }
        Ok(())
    }

    pub fn set_look(&self, kind: Kind, key: &[u8], look: Vec<u8>) {
        keep_look(&mut self.looks.held(), look_key(kind, key), look);
    }

    /// The look in memory, which is newer than that on disk. Not to be called while the state is read.
    pub fn fresh_look(&self, kind: Kind, key: &[u8]) -> Option<Vec<u8>> {
        self.looks.held().get(&look_key(kind, key)).cloned()
    }

    /// The row is written with all it has, or is gone: its look in memory no longer counts.
    pub fn forget_look(&self, kind: Kind, key: &[u8]) {
        self.looks.held().remove(&look_key(kind, key));
    }

    /// Looks that could not be written wait again, unless there are newer ones.
    pub fn put_looks_back(&self, looks: Looks) {
        let mut now = self.looks.held();
        for (key, look) in looks {
            now.entry(key).or_insert(look);
        }
    }
}

/// Looks are of rows, whose number is bounded; those of rows that are gone stay until the next write.
fn keep_look(looks: &mut Looks, key: Vec<u8>, look: Vec<u8>) {
    if looks.len() < LOOKS_MAX || looks.contains_key(&key) {
        looks.insert(key, look);
    }
}

/// Writes looks whose rows are still there.
pub(crate) fn write_looks(txn: &WriteTransaction, looks: &Looks) -> Result<(), Error> {
    let mut table = txn.open_table(LOOKS)?;
    for (key, look) in looks {
        let Some((kind, row)) = key.split_first() else {
            continue;
        };
        for rows in Kind::of(*kind).map_or(&[][..], Kind::tables) {
            if txn.open_table(*rows)?.get(row)?.is_some() {
                table.insert(key.as_slice(), look.as_slice())?;
            }
        }
    }
    Ok(())
}

/// Removes the look of a row that is gone or was written as a whole.
pub(crate) fn drop_look(deed: &mut Deed<'_>, kind: Kind, key: &[u8]) -> Result<(), Error> {
    deed.remove(LOOKS, &look_key(kind, key)).map(drop)
}
