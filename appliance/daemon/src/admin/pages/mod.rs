//! One file per page. Each has `show` (GET) and, when it changes something, `act` (POST): both get a [`Visit`].

use hyper::StatusCode;
use maud::Markup;

use super::{access::Person, form::Form};
use crate::api::Handles;

/// What a page needs to answer.
pub struct Visit<'a> {
    pub handles: &'a Handles,
    pub person: &'a Person,
    /// The path below the page's own, split at `/`.
    pub rest: &'a [&'a str],
    /// The query, decoded.
    pub query: &'a Form,
    /// Where this device's PAC and proxy are.
    pub proxy: std::net::SocketAddr,
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
    /// One of the error pages: a status, what happened, what we did, what you can do.
    Trouble {
        status: StatusCode,
        title: String,
        words: String,
    },
}
