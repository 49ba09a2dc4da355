//! Who may do what: the claim of a new box, logins, sessions, bearer tokens, throttling, CSRF.
//!
//! Reading order: `secret` (cookies, tokens and what the store keeps of them), `origin` (did a page of ours send this),
//! `session` (whose cookie, whose token), `password` (which are accepted, Argon2id), `throttle` (how often they may be
//! tried), `accounts` (claim, login and what owners change), `notices` (what the next page says first).

mod accounts;
mod notices;
mod origin;
mod password;
use crate::api::secret;
mod session;
mod throttle;

use std::sync::{Mutex, MutexGuard, PoisonError};

use store::Role;

use crate::api::Handles;

pub use accounts::Trouble;
pub use origin::is_ours;
pub use secret::same;
pub use session::{Seen, farewell};

/// Whoever is in front of the page.
#[derive(Debug, Clone)]
pub struct Person {
    pub name: String,
    pub role: Role,
    /// Stands as the hidden field `token` in every form that changes something; bound to the session.
    pub token: String,
}

pub struct Access {
    handles: Handles,
    notices: notices::Notices,
    hashing: password::Hashing,
    throttle: Mutex<throttle::Throttle>,
    /// Held by changes that look at all accounts first.
    changing: tokio::sync::Mutex<()>,
}

impl Access {
    pub fn new(handles: &Handles) -> Self {
        Self {
            handles: handles.clone(),
            notices: notices::Notices::default(),
            hashing: password::Hashing::new(handles.db.clone()),
            throttle: Mutex::new(Self::kept(&handles.db)),
            changing: tokio::sync::Mutex::default(),
        }
    }

    fn throttle(&self) -> MutexGuard<'_, throttle::Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where somebody who has not logged in is sent who wanted to see `path`.
    pub fn door(&self, path: &str) -> String {
        if self.handles.claim.owned() {
            format!("/login?then={path}")
        } else {
            "/claim".into()
        }
    }

    /// What the next page of this browser says first.
    pub fn leave_notice(&self, seen: &Seen, words: String) {
        self.notices.leave(seen.id(), words);
    }

    pub fn take_notice(&self, seen: &Seen) -> Option<String> {
        self.notices.take(&seen.id())
    }
}
