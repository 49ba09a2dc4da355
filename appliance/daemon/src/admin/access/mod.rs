//! Who may do what: the claim of a new box, logins, sessions, bearer tokens, throttling, CSRF.

use store::Role;

use crate::api::Handles;

/// Whoever is in front of the page.
#[derive(Debug, Clone)]
pub struct Person {
    pub name: String,
    pub role: Role,
    /// Stands as the hidden field `token` in every form that changes something; bound to the session.
    pub token: String,
}

pub struct Access {}

impl Access {
    pub fn new(handles: &Handles) -> Self {
        let _ = handles;
        Self {}
    }
}
