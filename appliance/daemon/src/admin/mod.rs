//! Admin: the household's pages about its box, without any script, and the door of the JSON API.
//!
//! Must not know: how any room does its work; redb. Reading order: `routes` (every page on one page), `access` (who may:
//! claim, login, sessions, tokens, throttling, CSRF), `form` (reading what was sent), `reply` (responses and their
//! headers), `look` (layout and style), `pages` (one file per page).

mod access;
mod form;
mod look;
mod pages;
mod reply;
mod routes;

use std::{future::Future, pin::Pin, sync::Arc};

use crate::{
    api::Handles,
    gateway::{OwnPages, OwnReply, OwnRequest},
};

/// Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    inner: Arc<Inner>,
}

struct Inner {
    handles: Handles,
    access: access::Access,
}

impl Admin {
    pub fn new(handles: Handles) -> Self {
        let access = access::Access::new(&handles);
        Self {
            inner: Arc::new(Inner { handles, access }),
        }
    }
}

impl OwnPages for Admin {
    fn answer(&self, request: OwnRequest) -> Pin<Box<dyn Future<Output = OwnReply> + Send + '_>> {
        Box::pin(routes::answer(&self.inner.handles, &self.inner.access, request))
    }
}
