//! Who may do what: the claim of a new box, logins, sessions, bearer tokens, throttling, CSRF.
//!
//! Reading order: `secret` (cookies, tokens and what the store keeps of them), `origin` (did a page of ours send this),
//! `session` (whose cookie, whose token).

mod notices;
mod origin;
mod secret;
mod session;

use store::Role;

use crate::api::Handles;

pub use origin::is_ours;
pub use secret::same;
pub use session::Seen;

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
}

impl Access {
    pub fn new(handles: &Handles) -> Self {
        Self {
            handles: handles.clone(),
            notices: notices::Notices::default(),
        }
    }

    /// Where somebody who is not signed in is sent who wanted to see `path`.
    pub fn door(&self, path: &str) -> String {
        format!("/login?then={path}")
    }

    /// What the next page of this browser says first.
    pub fn leave_notice(&self, seen: &Seen, words: String) {
        self.notices.leave(seen.id(), words);
    }

    pub fn take_notice(&self, seen: &Seen) -> Option<String> {
        self.notices.take(&seen.id())
    }
}
