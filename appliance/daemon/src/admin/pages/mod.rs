//! One file per page. Each has `show` (GET) and, when it changes something, `act` (POST): both get a [`Visit`], those in
//! front of the door (start, claim, login) an [`Entry`]. What draws is pure: plain data in, HTML out.

pub mod about;
pub mod add;
pub mod claim;
pub mod devices;
pub mod dns;
pub mod home;
pub mod household;
pub mod log;
pub mod login;
pub mod network;
pub mod password;
pub mod people;
pub mod sharing;
pub mod sites;
pub mod start;
pub mod storage;
pub mod subscription;
pub mod subscriptions;

#[cfg(test)]
mod tests;

use hyper::StatusCode;
use maud::Markup;
use store::Role;

use super::{
    access::{Access, Person, Trouble},
    form::Form,
};
use crate::api::Handles;

/// What a page needs to answer anybody.
pub struct Entry<'a> {
    pub handles: &'a Handles,
    pub access: &'a Access,
    /// Stands as the hidden field `token` in every form of such a page.
    pub token: &'a str,
    /// The query, decoded.
    pub query: &'a Form,
    pub peer: std::net::SocketAddr,
    /// What this browser is known by.
    pub browser: [u8; 32],
    /// Where this device's PAC and proxy are.
    pub proxy: std::net::SocketAddr,
}

/// What a page needs to answer somebody who has logged in.
pub struct Visit<'a> {
    pub handles: &'a Handles,
    pub access: &'a Access,
    pub person: &'a Person,
    pub peer: std::net::SocketAddr,
    /// The id of this browser's session.
    pub browser: [u8; 32],
    /// The path below the page's own, split at `/`.
    pub rest: &'a [&'a str],
    /// The query, decoded.
    pub query: &'a Form,
    /// Where this device's PAC and proxy are.
    pub proxy: std::net::SocketAddr,
    /// The device came by a name that only PAC or DNS gives it: it is set up.
    pub named: bool,
}

impl Visit<'_> {
    pub fn owner(&self) -> bool {
        self.person.role == Role::Owner
    }

    pub fn token(&self) -> &str {
        &self.person.token
    }

    /// The page of a long list that is asked for, from 0.
    pub fn page(&self) -> usize {
        let page = self
            .query
            .text("page")
            .and_then(|page| page.parse::<usize>().ok());
        page.unwrap_or(1).saturating_sub(1)
    }
}

/// What a page answers with; `routes` makes the response, with every header.
pub enum Answer {
    Page {
        status: StatusCode,
        title: String,
        body: Markup,
        /// The page looks again by itself after so many seconds.
        refresh_secs: Option<u32>,
    },
    /// 303, after every change. `notice` is shown on the next page.
    See { path: String, notice: Option<String> },
    /// 303 with a cookie: somebody came or went.
    SeeWith { path: String, cookie: String },
    /// One of the error pages: a status, what happened, what we did, what you can do.
    Trouble {
        status: StatusCode,
        title: String,
        words: String,
    },
}

impl Answer {
    pub fn page(title: impl Into<String>, body: Markup) -> Self {
        Answer::Page {
            status: StatusCode::OK,
            title: title.into(),
            body,
            refresh_secs: None,
        }
    }

    /// A form that is shown again with what was wrong.
    pub fn refused(title: &str, body: Markup) -> Self {
        Answer::Page {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            title: format!("Please correct: {title}"),
            body,
            refresh_secs: None,
        }
    }

    pub fn see(path: impl Into<String>, notice: impl Into<String>) -> Self {
        Answer::See {
            path: path.into(),
            notice: Some(notice.into()),
        }
    }

    pub fn nowhere() -> Self {
        Answer::Trouble {
            status: StatusCode::NOT_FOUND,
            title: "No such page".into(),
            words: "There is no page of this name on this box. Nothing was changed. Choose one of the pages above.".into(),
        }
    }

    /// A form that lacks a field or has one twice: not one of ours.
    pub fn incomplete() -> Self {
        Answer::Trouble {
            status: StatusCode::BAD_REQUEST,
            title: "This form was not understood".into(),
            words: "A field is missing or stands there twice. Nothing was changed. Send it from the page of this box.".into(),
        }
    }

    /// What nobody can correct in a form.
    pub fn denied(trouble: &Trouble) -> Self {
        let status = match trouble {
            Trouble::Wait { .. } => StatusCode::TOO_MANY_REQUESTS,
            Trouble::Busy | Trouble::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::FORBIDDEN,
        };
        Answer::Trouble {
            status,
            title: "Not now".into(),
            words: format!("{trouble} Nothing was changed."),
        }
    }

    pub fn owners_only() -> Self {
        Answer::Trouble {
            status: StatusCode::FORBIDDEN,
            title: "Only the owner can do this".into(),
            words: "This changes how the box works. Nothing was changed. Ask the person who set up the box."
                .into(),
        }
    }

    /// The disk or a room of the box is in trouble.
    pub fn unavailable(reason: &str) -> Self {
        Answer::Trouble {
            status: StatusCode::SERVICE_UNAVAILABLE,
            title: "This cannot be read now".into(),
            words: format!(
                "The box could not read its own data: {reason}. Nothing was changed. Try again in a minute; if it stays, look at the Storage page."
            ),
        }
    }
}
