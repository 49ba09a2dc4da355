//! Who may manage the box. Secrets are stored as hashes only.

use crate::{Error, Store, UnixSecs};

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
        let _ = name;
        todo!()
    }
    pub fn accounts(&self) -> Result<Vec<Account>, Error> {
        todo!()
    }
    /// Inserts or replaces, durably.
    pub fn put_account(&self, account: &Account) -> Result<(), Error> {
        let _ = account;
        todo!()
    }
    /// With its sessions and tokens.
    pub fn remove_account(&self, name: &str) -> Result<(), Error> {
        let _ = name;
        todo!()
    }
    pub fn session(&self, id: &[u8; 32]) -> Result<Option<Session>, Error> {
        let _ = id;
        todo!()
    }
    pub fn put_session(&self, session: &Session) -> Result<(), Error> {
        let _ = session;
        todo!()
    }
    pub fn remove_session(&self, id: &[u8; 32]) -> Result<(), Error> {
        let _ = id;
        todo!()
    }
    /// Removes those of an account, or (`None`) those not used since `before`.
    pub fn remove_sessions(&self, account: Option<&str>, before: UnixSecs) -> Result<(), Error> {
        let _ = (account, before);
        todo!()
    }
    pub fn api_tokens(&self) -> Result<Vec<ApiToken>, Error> {
        todo!()
    }
    pub fn api_token(&self, id: &[u8; 32]) -> Result<Option<ApiToken>, Error> {
        let _ = id;
        todo!()
    }
    pub fn put_api_token(&self, token: &ApiToken) -> Result<(), Error> {
        let _ = token;
        todo!()
    }
    pub fn remove_api_token(&self, id: &[u8; 32]) -> Result<(), Error> {
        let _ = id;
        todo!()
    }
}
