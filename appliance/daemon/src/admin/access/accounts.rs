//! The claim, logins and accounts: what changes who may do what.

use std::net::IpAddr;

use store::{Account, ApiToken, Role, Session};
use tracing::{info, warn};

use super::{
    Access, Person,
    password::{self, Unfit, judge},
    secret::Secret,
    session,
    throttle::{Admitted, Throttle},
};
use crate::claim::{Refused, Stand};

/// The setting that holds the throttle.
const TRIES: &str = "login-tries";
const NAME_CHARS_MAX: usize = 24;
const NAME_BYTES_MAX: usize = 32;
const TOKEN_NAME_BYTES_MAX: usize = 64;

/// Split by what the person can do.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("This is not the PIN. {left} tries are left.")]
    Pin { left: u32 },
    #[error("The time or the tries for setting up this box are used up.")]
    Shut,
    #[error("This box has an owner already.")]
    Owned,
    #[error("Name or password is wrong.")]
    Wrong,
    #[error("Too many wrong passwords were tried. Wait {secs} seconds, then try again.")]
    Wait { secs: u64 },
    #[error("Too many people log in at once. Wait a few seconds, then try again.")]
    Busy,
    #[error("{0}")]
    Unfit(#[from] Unfit),
    #[error(
        "A name has 1 to 24 letters and digits, and may have spaces, dots, dashes and underscores between them."
    )]
    Name,
    #[error("Somebody has this name already. Take another one.")]
    Taken,
    #[error("Nobody of this name has an account.")]
    Unknown,
    #[error("This is the last owner. Make somebody else an owner first.")]
    LastOwner,
    #[error("Give the program a name of up to 64 bytes, so that you know it again.")]
    TokenName,
    #[error("The box cannot write to its store: {0}")]
    Store(#[from] store::Error),
}

impl From<password::Trouble> for Trouble {
    fn from(trouble: password::Trouble) -> Self {
        match trouble {
            password::Trouble::Busy => Self::Busy,
            password::Trouble::Store(err) => Self::Store(err),
        }
    }
}

/// Lower case, in one spelling of its characters.
pub fn account_name(text: &str) -> Result<String, Trouble> {
    let name = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase();
    let fits = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '-' | '_');
    let ends = name.starts_with(char::is_alphanumeric) && name.ends_with(char::is_alphanumeric);
    let short = name.len() <= NAME_BYTES_MAX && name.chars().count() <= NAME_CHARS_MAX;
    (ends && short && name.chars().all(fits))
        .then_some(name)
        .ok_or(Trouble::Name)
}

impl Access {
    /// Makes the first owner; on a box whose ownership was opened again, the only one. Returns the new session's cookie.
    pub async fn claim(&self, pin: &str, name: &str, new: (&str, &str)) -> Result<String, Trouble> {
        let claim = &self.handles.claim;
        match claim.stand() {
            Stand::Owned => return Err(Trouble::Owned),
            Stand::Shut => return Err(Trouble::Shut),
            Stand::Open => {}
        }
        // What can be corrected is told before the PIN is looked at, so that it costs no try.
        let name = account_name(name)?;
        judge(new.0, new.1, &name)?;
        let ticket = claim.redeem(pin).map_err(|refused| match refused {
            Refused::Wrong { left } => Trouble::Pin { left },
            Refused::Shut => Trouble::Shut,
        })?;
        let password = self.hashing.hash(new.0).await?;
        let account = Account {
            name: name.clone(),
            role: Role::Owner,
            password,
            added: self.now(),
        };
        let db = &self.handles.db;
        db.run(move |store| {
            store.remove_account(&account.name)?;
            store.put_account(&account)?;
            for other in store.accounts()? {
                if other.role == Role::Owner && other.name != account.name {
                    store.remove_account(&other.name)?;
                }
            }
            Ok(())
        })
        .await?;
        ticket.done();
        info!("the box has a new owner");
        self.open_session(&name).await
    }

    /// Returns the new session's cookie. `browser` is what it was known by until now; that ends.
    pub async fn login(
        &self,
        from: IpAddr,
        name: &str,
        password: &str,
        browser: [u8; 32],
    ) -> Result<String, Trouble> {
        let admitted = self.admit(from).await?;
        let name = account_name(name).ok();
        let account = match &name {
            Some(name) => self.handles.db.store().account(name)?,
            None => None,
        };
        let phc = account.as_ref().map(|account| account.password.clone());
        let right = self.verify(admitted, password, phc).await?;
        match account {
            Some(account) if right => {
                self.end_session(browser).await?;
                self.open_session(&account.name).await
            }
            _ => {
                warn!(addr = %from, "a login was refused");
                Err(Trouble::Wrong)
            }
        }
    }

    /// A new password for somebody, by themselves: whoever found an open browser does not know the old one.
    pub async fn change_password(
        &self,
        from: IpAddr,
        person: &Person,
        old: &str,
        new: (&str, &str),
    ) -> Result<String, Trouble> {
        judge(new.0, new.1, &person.name)?;
        let admitted = self.admit(from).await?;
        let account = self.handles.db.store().account(&person.name)?;
        let phc = account.map(|account| account.password);
        if !self.verify(admitted, old, phc).await? {
            return Err(Trouble::Wrong);
        }
        self.set_password(&person.name, new).await?;
        self.open_session(&person.name).await
    }

    /// Also ends every session of theirs.
    pub async fn set_password(&self, name: &str, new: (&str, &str)) -> Result<(), Trouble> {
        judge(new.0, new.1, name)?;
        let Some(mut account) = self.handles.db.store().account(name)? else {
            return Err(Trouble::Unknown);
        };
        account.password = self.hashing.hash(new.0).await?;
        let db = &self.handles.db;
        db.run(move |store| {
            store.put_account(&account)?;
            store.remove_sessions(Some(&account.name), 0)
        })
        .await?;
        Ok(())
    }

    pub async fn add_account(&self, name: &str, role: Role, new: (&str, &str)) -> Result<String, Trouble> {
        let name = account_name(name)?;
        judge(new.0, new.1, &name)?;
        if self.handles.db.store().account(&name)?.is_some() {
            return Err(Trouble::Taken);
        }
        let account = Account {
            name: name.clone(),
            role,
            password: self.hashing.hash(new.0).await?,
            added: self.now(),
        };
        let db = &self.handles.db;
        db.run(move |store| store.put_account(&account)).await?;
        Ok(name)
    }

    /// With their sessions and tokens.
    pub async fn remove_account(&self, name: &str) -> Result<(), Trouble> {
        // Two owners who remove each other at the same moment must not both succeed.
        let _turn = self.changing.lock().await;
        let accounts = self.handles.db.store().accounts()?;
        let Some(account) = accounts.iter().find(|account| account.name == name) else {
            return Err(Trouble::Unknown);
        };
        let owners = accounts.iter().filter(|account| account.role == Role::Owner);
        if account.role == Role::Owner && owners.count() == 1 {
            return Err(Trouble::LastOwner);
        }
        let name = name.to_owned();
        let db = &self.handles.db;
        db.run(move |store| store.remove_account(&name)).await?;
        Ok(())
    }

    /// Returns the token's text, which is never shown again.
    pub async fn add_token(&self, name: &str, account: &str) -> Result<String, Trouble> {
        let odd = name.is_empty() || name.len() > TOKEN_NAME_BYTES_MAX || name.contains(char::is_control);
        if odd {
            return Err(Trouble::TokenName);
        }
        if self.handles.db.store().account(account)?.is_none() {
            return Err(Trouble::Unknown);
        }
        let (secret, now) = (Secret::random(), self.now());
        let token = ApiToken {
            id: secret.id(),
            name: name.into(),
            account: account.into(),
            since: now,
            used: now,
        };
        let db = &self.handles.db;
        db.run(move |store| store.put_api_token(&token)).await?;
        Ok(secret.text())
    }

    pub async fn remove_token(&self, id: [u8; 32]) -> Result<(), Trouble> {
        let db = &self.handles.db;
        Ok(db.run(move |store| store.remove_api_token(&id)).await?)
    }

    pub async fn end_session(&self, id: [u8; 32]) -> Result<(), Trouble> {
        let db = &self.handles.db;
        Ok(db.run(move |store| store.remove_session(&id)).await?)
    }

    /// Every browser of this account has to log in again.
    pub async fn end_sessions(&self, account: &str) -> Result<(), Trouble> {
        let (db, account) = (&self.handles.db, account.to_owned());
        Ok(db
            .run(move |store| store.remove_sessions(Some(&account), 0))
            .await?)
    }

    async fn open_session(&self, account: &str) -> Result<String, Trouble> {
        let (secret, now) = (Secret::random(), self.now());
        let session = Session {
            id: secret.id(),
            account: account.into(),
            since: now,
            used: now,
        };
        let db = &self.handles.db;
        db.run(move |store| {
            store.remove_sessions(None, now.saturating_sub(session::IDLE_SECS))?;
            store.put_session(&session)
        })
        .await?;
        Ok(session::cookie(&secret))
    }

    /// Counts a try, and keeps the count before anything is verified: a restart must not give new tries.
    async fn admit(&self, from: IpAddr) -> Result<Admitted, Trouble> {
        let now = self.now();
        let (admitted, kept) = {
            let mut throttle = self.throttle();
            let admitted = throttle.admit(from, now).map_err(|secs| Trouble::Wait { secs })?;
            (admitted, throttle.clone())
        };
        self.keep(kept).await?;
        Ok(admitted)
    }

    async fn verify(&self, admitted: Admitted, password: &str, phc: Option<String>) -> Result<bool, Trouble> {
        let verified = self.hashing.verify(password, phc).await;
        let now = self.now();
        let kept = {
            let mut throttle = self.throttle();
            match verified {
                Ok(true) => throttle.succeeded(admitted, now),
                Ok(false) => {}
                Err(_) => throttle.give_back(admitted),
            }
            throttle.clone()
        };
        let right = verified?;
        if right {
            self.keep(kept).await?;
        }
        Ok(right)
    }

    async fn keep(&self, throttle: Throttle) -> Result<(), Trouble> {
        let value = serde_json::to_vec(&throttle).unwrap_or_default();
        let db = &self.handles.db;
        Ok(db.run(move |store| store.set_setting(TRIES, &value)).await?)
    }

    /// What was counted before the restart; nothing when that cannot be read.
    pub(super) fn kept(db: &crate::db::Db) -> Throttle {
        let value = db.store().setting(TRIES).ok().flatten();
        value
            .and_then(|value| serde_json::from_slice(&value).ok())
            .unwrap_or_default()
    }

    fn now(&self) -> u64 {
        self.handles.clock.now_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        for (text, name) in [
            ("Anna", "anna"),
            ("  Anna   Maria ", "anna maria"),
            ("J.-P.9", "j.-p.9"),
            ("Ömer", "ömer"),
        ] {
            assert_eq!(account_name(text).ok().as_deref(), Some(name));
        }
        for bad in [
            "",
            " ",
            "-a",
            "a.",
            "a\nb\u{0}",
            "<b>",
            "a/b",
            "a\"",
            "a\u{202e}b",
            "abcdefghijklmnopqrstuvwxy",
        ] {
            assert!(account_name(bad).is_err(), "{bad:?}");
        }
    }
}
