//! Sessions and tokens: what lets somebody in without a password.

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};

use super::{
    access::{ApiToken, Session},
    at_most,
    deed::{Deed, each, get},
    encode::{Row, put_u64},
    looks::{Kind, drop_look, look_key},
};
use crate::{
    Error, UnixSecs,
    core::Core,
    tables::{API_TOKENS, LOOKS, Rows, SESSIONS, put_text},
};

const API_TOKENS_MAX: u64 = 100;
const SESSIONS_MAX: u64 = 1_000;
const TEXT_BYTES_MAX: usize = 128;

/// Where a pass stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Book {
    Sessions,
    ApiTokens,
}

impl Book {
    pub fn table(self) -> Rows {
        match self {
            Book::Sessions => SESSIONS,
            Book::ApiTokens => API_TOKENS,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Book::Sessions => Kind::Session,
            Book::ApiTokens => Kind::ApiToken,
        }
    }
}

/// A session (whose name is empty) or a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pass {
    pub id: [u8; 32],
    pub account: String,
    pub name: String,
    pub since: UnixSecs,
    pub used: UnixSecs,
}

impl Pass {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        put_u64(&mut out, &[self.since, self.used]);
        put_text(&mut out, &self.account);
        put_text(&mut out, &self.name);
        out
    }

    pub fn decode(key: &[u8], raw: &[u8]) -> Result<Self, Error> {
        let read = |raw: &mut Row| {
            let (since, used) = (raw.u64()?, raw.u64()?);
            Some(Self {
                id: key.try_into().ok()?,
                account: raw.text()?,
                name: raw.text()?,
                since,
                used,
            })
        };
        read(&mut Row(raw)).ok_or_else(|| Error::Damaged("a session or a token".into()))
    }

    fn apply_look(&mut self, look: Option<&[u8]>) {
        if let Some(used) = look.and_then(|look| Row(look).u64()) {
            self.used = used;
        }
    }

    pub fn session(self) -> Session {
        Session {
            id: self.id,
            account: self.account,
            since: self.since,
            used: self.used,
        }
    }

    pub fn api_token(self) -> ApiToken {
        ApiToken {
            id: self.id,
            name: self.name,
            account: self.account,
            since: self.since,
            used: self.used,
        }
    }
}

impl Core {
    pub fn pass(&self, book: Book, id: &[u8; 32]) -> Result<Option<Pass>, Error> {
        self.alive()?;
        let found = self.state.read(|txn| {
            let Some(raw) = get(txn, book.table(), id)? else {
                return Ok(None);
            };
            read(txn, book, id, &raw).map(Some)
        })?;
        Ok(found.map(|pass| self.fresh_pass(book, pass)))
    }

    /// All of them; a damaged one is logged and skipped.
    pub fn passes(&self, book: Book) -> Result<Vec<Pass>, Error> {
        self.alive()?;
        let mut passes = Vec::new();
        self.state.read(|txn| {
            each(txn, book.table(), None, |key, raw| {
                match read(txn, book, key, raw) {
                    Ok(pass) => passes.push(pass),
                    Err(err) => tracing::warn!(%err, "a row is skipped"),
                }
                Ok(true)
            })
        })?;
        let passes = passes.into_iter().map(|pass| self.fresh_pass(book, pass));
        Ok(passes.collect())
    }

    fn fresh_pass(&self, book: Book, mut pass: Pass) -> Pass {
        let look = self.fresh_look(book.kind(), &pass.id);
        pass.apply_look(look.as_deref());
        pass
    }

    pub fn put_pass(&self, book: Book, pass: &Pass) -> Result<(), Error> {
        at_most("bytes of an account's name", pass.account.len(), TEXT_BYTES_MAX)?;
        at_most("bytes of a token's name", pass.name.len(), TEXT_BYTES_MAX)?;
        self.change_rows(|deed| {
            let (table, value) = (book.table(), pass.encode());
            match book {
                Book::Sessions => {
                    make_room(deed, &pass.id)?;
                    deed.put(table, &pass.id, &value)?;
                }
                Book::ApiTokens => deed.put_within(table, &pass.id, &value, API_TOKENS_MAX, "tokens")?,
            }
            drop_look(deed, book.kind(), &pass.id)
        })?;
        self.forget_look(book.kind(), &pass.id);
        Ok(())
    }

    pub fn touch_pass(&self, book: Book, id: &[u8; 32], now: UnixSecs) -> Result<(), Error> {
        let there = self.row(book.table(), id)?.is_some();
        if there {
            self.set_look(book.kind(), id, now.to_le_bytes().to_vec());
        }
        Ok(())
    }

    pub fn remove_passes(&self, book: Book, ids: &[[u8; 32]]) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        self.free_rows(|deed| ids.iter().try_for_each(|id| drop_pass(deed, book, id)))?;
        ids.iter().for_each(|id| self.forget_look(book.kind(), id));
        Ok(())
    }
}

/// The pass with the look on disk.
fn read(txn: &ReadTransaction, book: Book, key: &[u8], raw: &[u8]) -> Result<Pass, Error> {
    let mut pass = Pass::decode(key, raw)?;
    pass.apply_look(get(txn, LOOKS, &look_key(book.kind(), key))?.as_deref());
    Ok(pass)
}

fn drop_pass(deed: &mut Deed<'_>, book: Book, key: &[u8]) -> Result<(), Error> {
    deed.remove(book.table(), key)?;
    drop_look(deed, book.kind(), key)
}

/// Removes all passes of an account.
pub(super) fn drop_account(deed: &mut Deed<'_>, book: Book, account: &str) -> Result<(), Error> {
    let mut unwanted = Vec::new();
    for entry in deed.txn.open_table(book.table())?.range::<&[u8]>(..)? {
        let (key, raw) = entry?;
        if Pass::decode(key.value(), raw.value()).is_ok_and(|pass| pass.account == account) {
            unwanted.push(key.value().to_vec());
        }
    }
    unwanted.iter().try_for_each(|key| drop_pass(deed, book, key))
}

/// A full book of sessions must not keep the owner out: the one not used for longest gives way.
fn make_room(deed: &mut Deed<'_>, new: &[u8]) -> Result<(), Error> {
    let oldest = {
        let table = deed.txn.open_table(SESSIONS)?;
        if table.len()? < SESSIONS_MAX || table.get(new)?.is_some() {
            return Ok(());
        }
        let looks = deed.txn.open_table(LOOKS)?;
        let mut all = Vec::new();
        for entry in table.range::<&[u8]>(..)? {
            let (key, raw) = entry?;
            let mut used = Pass::decode(key.value(), raw.value()).map_or(0, |pass| pass.used);
            if let Some(look) = looks.get(look_key(Kind::Session, key.value()).as_slice())? {
                used = used.max(Row(look.value()).u64().unwrap_or(0));
            }
            all.push((used, key.value().to_vec()));
        }
        all.into_iter().min()
    };
    match oldest {
        Some((_, key)) => drop_pass(deed, Book::Sessions, &key),
        None => Ok(()),
    }
}
