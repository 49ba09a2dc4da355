//! Who may manage the box. Secrets are stored as hashes only.

use super::{
    at_most,
    deed::each,
    encode::{Row, put_u64},
    passes::{Book, Pass, drop_account},
};
use crate::{
    Error, Store, UnixSecs,
    tables::{ACCOUNTS, put_text},
};

const ACCOUNTS_MAX: u64 = 100;
const ACCOUNT_BYTES_MAX: usize = 32;
const PASSWORD_BYTES_MAX: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// May change everything.
    Owner,
    /// May follow, keep and look; not change how the box works or who may enter.
    Member,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Lower case, 1 to 32 bytes.
    pub name: String,
    pub role: Role,
    /// PHC string (Argon2id).
    pub password: String,
    pub added: UnixSecs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the cookie's value.
    pub id: [u8; 32],
    pub account: String,
    pub since: UnixSecs,
    pub used: UnixSecs,
}

/// For programs: `Authorization: Bearer …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// SHA-256 of the token.
    pub id: [u8; 32],
    /// What the owner called it.
    pub name: String,
    pub account: String,
    pub since: UnixSecs,
    pub used: UnixSecs,
}

impl Store {
    pub fn account(&self, name: &str) -> Result<Option<Account>, Error> {
        let raw = self.core.row(ACCOUNTS, name.as_bytes())?;
        raw.map(|raw| read_account(name.as_bytes(), &raw)).transpose()
    }

    pub fn accounts(&self) -> Result<Vec<Account>, Error> {
        self.core.alive()?;
        let mut rows = Vec::new();
        self.core.state.read(|txn| {
            each(txn, ACCOUNTS, None, |name, raw| {
                rows.push(read_account(name, raw)?);
                Ok(true)
            })
        })?;
        Ok(rows)
    }

    /// Inserts or replaces, durably.
    pub fn put_account(&self, account: &Account) -> Result<(), Error> {
        at_most("bytes of a name", account.name.len(), ACCOUNT_BYTES_MAX)?;
        at_most(
            "bytes of a password's hash",
            account.password.len(),
            PASSWORD_BYTES_MAX,
        )?;
        let mut value = vec![u8::from(account.role == Role::Owner)];
        put_u64(&mut value, &[account.added]);
        put_text(&mut value, &account.password);
        let name = account.name.as_bytes();
        self.core
            .change_rows(|deed| deed.put_within(ACCOUNTS, name, &value, ACCOUNTS_MAX, "accounts"))
    }

    /// With its sessions and tokens.
    pub fn remove_account(&self, name: &str) -> Result<(), Error> {
        self.core.free_rows(|deed| {
            drop_account(deed, Book::Sessions, name)?;
            drop_account(deed, Book::ApiTokens, name)?;
            deed.remove(ACCOUNTS, name.as_bytes()).map(drop)
        })
    }

    pub fn session(&self, id: &[u8; 32]) -> Result<Option<Session>, Error> {
        Ok(self.core.pass(Book::Sessions, id)?.map(Pass::session))
    }

    /// Inserts or replaces, durably. When there are too many, the one not used for longest gives way.
    pub fn put_session(&self, session: &Session) -> Result<(), Error> {
        let pass = Pass {
            id: session.id,
            account: session.account.clone(),
            name: String::new(),
            since: session.since,
            used: session.used,
        };
        self.core.put_pass(Book::Sessions, &pass)
    }

    /// It was used just now; nothing when there is none. May be lost in a crash.
    pub fn touch_session(&self, id: &[u8; 32], now: UnixSecs) -> Result<(), Error> {
        self.core.touch_pass(Book::Sessions, id, now)
    }

    pub fn remove_session(&self, id: &[u8; 32]) -> Result<(), Error> {
        self.core.remove_passes(Book::Sessions, &[*id])
    }

    /// All of them, in no order that means anything.
    pub fn sessions(&self) -> Result<Vec<Session>, Error> {
        let passes = self.core.passes(Book::Sessions)?;
        Ok(passes.into_iter().map(Pass::session).collect())
    }

    /// Removes those of an account, or (`None`) those not used since `before`.
    pub fn remove_sessions(&self, account: Option<&str>, before: UnixSecs) -> Result<(), Error> {
        let mut unwanted = self.core.passes(Book::Sessions)?;
        unwanted.retain(|pass| match account {
            Some(account) => pass.account == account,
            None => pass.used < before,
        });
        let ids: Vec<[u8; 32]> = unwanted.iter().map(|pass| pass.id).collect();
        self.core.remove_passes(Book::Sessions, &ids)
    }

    pub fn api_tokens(&self) -> Result<Vec<ApiToken>, Error> {
        let passes = self.core.passes(Book::ApiTokens)?;
        Ok(passes.into_iter().map(Pass::api_token).collect())
    }

    pub fn api_token(&self, id: &[u8; 32]) -> Result<Option<ApiToken>, Error> {
        Ok(self.core.pass(Book::ApiTokens, id)?.map(Pass::api_token))
    }

    /// Inserts or replaces, durably.
    pub fn put_api_token(&self, token: &ApiToken) -> Result<(), Error> {
        let pass = Pass {
            id: token.id,
            account: token.account.clone(),
            name: token.name.clone(),
            since: token.since,
            used: token.used,
        };
        self.core.put_pass(Book::ApiTokens, &pass)
    }

    /// It was used just now; nothing when there is none. May be lost in a crash.
    pub fn touch_api_token(&self, id: &[u8; 32], now: UnixSecs) -> Result<(), Error> {
        self.core.touch_pass(Book::ApiTokens, id, now)
    }

    pub fn remove_api_token(&self, id: &[u8; 32]) -> Result<(), Error> {
        self.core.remove_passes(Book::ApiTokens, &[*id])
    }
}

pub(super) fn read_account(name: &[u8], raw: &[u8]) -> Result<Account, Error> {
    let read = |raw: &mut Row| {
        let role = if raw.byte()? == 1 {
            Role::Owner
        } else {
            Role::Member
        };
        Some(Account {
            name: String::from_utf8(name.to_vec()).ok()?,
            role,
            added: raw.u64()?,
            password: raw.text()?,
        })
    };
    read(&mut Row(raw)).ok_or_else(|| Error::Damaged(format!("account {}", String::from_utf8_lossy(name))))
}
