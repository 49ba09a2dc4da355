//! Every page, its path, and who may see it.

use std::{future::Future, net::SocketAddr, pin::Pin};

use hyper::{Method, Request, StatusCode, body::Incoming, http::request::Parts};

use store::Role;
use tracing::warn;

use super::{
    access::{self, Access, Seen},
    form::Form,
    look::{self, Frame},
    pages::{
        Answer, Entry, Visit, about, add, claim, devices, dns, home, log, login, network, password, people,
        sharing, sites, start, storage, subscription, subscriptions,
    },
    reply,
};
use crate::{
    api::{self, Handles},
    gateway::{OwnReply, OwnRequest},
};

type Answering<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Who may, and what answers.
enum Way {
    /// Anybody, GET.
    Open(for<'a> fn(Entry<'a>) -> Answering<'a>),
    /// Anybody, POST.
    Enter(for<'a> fn(Entry<'a>, &'a Form) -> Answering<'a>),
    /// Members and owners, GET.
    Show(for<'a> fn(Visit<'a>) -> Answering<'a>),
    /// Members and owners, POST.
    Act(for<'a> fn(Visit<'a>, &'a Form) -> Answering<'a>),
    /// Owners, GET.
    OwnerShow(for<'a> fn(Visit<'a>) -> Answering<'a>),
    /// Owners, POST.
    OwnerAct(for<'a> fn(Visit<'a>, &'a Form) -> Answering<'a>),
}

use Way::{Act, Enter, Open, OwnerAct, OwnerShow, Show};

/// A path that ends in `/*` stands for itself and everything below it ([`Visit::rest`]). Of two rows with one path and
/// method, the one for anybody answers whoever has not logged in.
const PAGES: &[(&str, Way)] = &[
    ("/", Open(|entry| Box::pin(start::show(entry)))),
    ("/", Show(|visit| Box::pin(home::show(visit)))),
    ("/claim", Open(|entry| Box::pin(claim::show(entry)))),
    ("/claim", Enter(|entry, form| Box::pin(claim::act(entry, form)))),
    ("/login", Open(|entry| Box::pin(login::show(entry)))),
    ("/login", Enter(|entry, form| Box::pin(login::act(entry, form)))),
    ("/logout", Act(|visit, form| Box::pin(login::out(visit, form)))),
    ("/password", Show(|visit| Box::pin(password::show(visit)))),
    (
        "/password",
        Act(|visit, form| Box::pin(password::act(visit, form))),
    ),
    ("/people/*", Show(|visit| Box::pin(people::show(visit)))),
    ("/people/*", Act(|visit, form| Box::pin(people::act(visit, form)))),
    ("/add", Show(|visit| Box::pin(add::show(visit)))),
    ("/add", Act(|visit, form| Box::pin(add::act(visit, form)))),
    (
        "/subscriptions",
        Show(|visit| Box::pin(subscriptions::show(visit))),
    ),
    (
        "/subscriptions/*",
        Show(|visit| Box::pin(subscription::show(visit))),
    ),
    (
        "/subscriptions/*",
        Act(|visit, form| Box::pin(subscription::act(visit, form))),
    ),
    ("/sites/*", Show(|visit| Box::pin(sites::show(visit)))),
    ("/sites/*", Act(|visit, form| Box::pin(sites::act(visit, form)))),
    ("/storage", Show(|visit| Box::pin(storage::show(visit)))),
    (
        "/storage",
        OwnerAct(|visit, form| Box::pin(storage::act(visit, form))),
    ),
    ("/network/*", Show(|visit| Box::pin(network::show(visit)))),
    (
        "/network/*",
        OwnerAct(|visit, form| Box::pin(network::act(visit, form))),
    ),
    ("/devices/*", Show(|visit| Box::pin(devices::show(visit)))),
    (
        "/devices/*",
        OwnerAct(|visit, form| Box::pin(devices::act(visit, form))),
    ),
    ("/dns/*", Show(|visit| Box::pin(dns::show(visit)))),
    ("/dns/*", OwnerAct(|visit, form| Box::pin(dns::act(visit, form)))),
    ("/sharing", Show(|visit| Box::pin(sharing::show(visit)))),
    (
        "/sharing",
        OwnerAct(|visit, form| Box::pin(sharing::act(visit, form))),
    ),
    ("/log", OwnerShow(|visit| Box::pin(log::show(visit)))),
    ("/about", Show(|visit| Box::pin(about::show(visit)))),
];

impl Way {
    fn method(&self) -> Method {
        match self {
            Open(_) | Show(_) | OwnerShow(_) => Method::GET,
            Enter(_) | Act(_) | OwnerAct(_) => Method::POST,
        }
    }

    fn for_anybody(&self) -> bool {
        matches!(self, Open(_) | Enter(_))
    }

    fn for_owners(&self) -> bool {
        matches!(self, OwnerShow(_) | OwnerAct(_))
    }
}

/// The rows of this path, each with what lies below it. A row for exactly this path goes before those for all below one.
fn rows(path: &str) -> Vec<(&'static Way, Vec<&str>)> {
    let exact: Vec<_> = PAGES.iter().filter(|(pattern, _)| *pattern == path).collect();
    if !exact.is_empty() {
        return exact.into_iter().map(|(_, way)| (way, Vec::new())).collect();
    }
    let below = |pattern: &str| -> Option<Vec<&str>> {
        let rest = path.strip_prefix(pattern.strip_suffix("/*")?)?;
        match rest.strip_prefix('/') {
            Some(rest) => Some(rest.split('/').filter(|part| !part.is_empty()).collect()),
            None => rest.is_empty().then(Vec::new),
        }
    };
    PAGES
        .iter()
        .filter_map(|(pattern, way)| Some((way, below(pattern)?)))
        .collect()
}

/// The row for this method; of several, the one for whoever asks.
fn choose<'r, 'p>(
    rows: &'r [(&'static Way, Vec<&'p str>)],
    method: &Method,
    signed_in: bool,
) -> Option<&'r (&'static Way, Vec<&'p str>)> {
    let fits = |way: &Way| way.method() == *method;
    let meant = |way: &Way| fits(way) && way.for_anybody() != signed_in;
    let found = rows.iter().find(|(way, _)| meant(way));
    found.or_else(|| rows.iter().find(|(way, _)| fits(way)))
}

/// Answers one request on the box's own names. Its Host has been checked.
pub async fn answer(handles: &Handles, access: &Access, request: OwnRequest) -> OwnReply {
    let OwnRequest {
        request,
        peer,
        proxy,
        named,
        ..
    } = request;
    let path = request.uri().path().to_owned();
    if path == "/api" || path.starts_with("/api/") {
        return program(handles, access, request).await;
    }
    let rows = rows(&path);
    if rows.is_empty() {
        return missing();
    }
    let method = match *request.method() {
        Method::HEAD => Method::GET,
        ref other => other.clone(),
    };
    if choose(&rows, &method, false).is_none() {
        return other_method(&method, &rows);
    }
    if method == Method::POST && !access::is_ours(request.uri(), request.headers()) {
        return reply::trouble(
            StatusCode::FORBIDDEN,
            "Not from a page of this box",
            "Another site asked for a change here. Nothing was changed. If it was you: open the box's page and do it there.",
            None,
            &path,
        );
    }
    let seen = match access.see(request.headers()).await {
        Ok(seen) => seen,
        Err(err) => return unreadable(&err),
    };
    let Some((way, rest)) = choose(&rows, &method, seen.person.is_some()) else {
        return missing();
    };
    let place = Place {
        handles,
        access,
        seen: &seen,
        peer,
        proxy,
        named,
        path: &path,
        rest,
    };
    let mut reply = place.serve(way, request).await;
    if let Some(cookie) = seen.door_cookie().filter(|_| way.for_anybody()) {
        reply::set_cookie(&mut reply, &cookie);
    }
    reply
}

/// The JSON API: who asks is said by a token, never by a cookie, so that no page of others can ask.
async fn program(handles: &Handles, access: &Access, request: Request<Incoming>) -> OwnReply {
    match access.caller(request.headers()).await {
        Err(err) => unreadable(&err),
        Ok(None) => reply::wrong_token(),
        Ok(Some(caller)) => match api::answer(handles.clone(), caller, request).await {
            Ok(reply) => reply::api(reply),
        },
    }
}

/// A request that has found its page.
struct Place<'a> {
    handles: &'a Handles,
    access: &'a Access,
    seen: &'a Seen,
    peer: SocketAddr,
    proxy: SocketAddr,
    named: bool,
    path: &'a str,
    rest: &'a [&'a str],
}

impl Place<'_> {
    async fn serve(&self, way: &Way, request: Request<Incoming>) -> OwnReply {
        let (parts, body) = request.into_parts();
        let Some(query) = Form::parse(parts.uri.query().unwrap_or_default().as_bytes()) else {
            return self.trouble(
                StatusCode::BAD_REQUEST,
                "This address is not well formed",
                "What follows the question mark is no text. Nothing was changed.",
            );
        };
        if let Err(refused) = self.may(way) {
            return self.reply(refused);
        }
        let form = match way.method() {
            Method::POST => match self.form(&parts, body).await {
                Ok(form) => form,
                Err(refused) => return self.reply(refused),
            },
            _ => Form::default(),
        };
        let answer = self.ask(way, &query, &form).await;
        self.reply(answer)
    }

    async fn ask(&self, way: &Way, query: &Form, form: &Form) -> Answer {
        let token = self.seen.token();
        let entry = Entry {
            handles: self.handles,
            access: self.access,
            browser: self.seen.id(),
            token: &token,
            query,
            peer: self.peer,
            proxy: self.proxy,
        };
        match way {
            Open(page) => return page(entry).await,
            Enter(page) => return page(entry, form).await,
            _ => {}
        }
        let Some(person) = &self.seen.person else {
            return Answer::nowhere();
        };
        let visit = Visit {
            handles: self.handles,
            access: self.access,
            named: self.named,
            peer: self.peer,
            browser: self.seen.id(),
            person,
            rest: self.rest,
            query,
            proxy: self.proxy,
        };
        match way {
            Show(page) | OwnerShow(page) => page(visit).await,
            Act(page) | OwnerAct(page) => page(visit, form).await,
            Open(_) | Enter(_) => Answer::nowhere(),
        }
    }

    /// May whoever asks see this page?
    fn may(&self, way: &Way) -> Result<(), Answer> {
        match &self.seen.person {
            _ if way.for_anybody() => Ok(()),
            None if way.method() == Method::GET => Err(Answer::See {
                path: self.access.door(self.path),
                notice: None,
            }),
            None => Err(forbidden(
                "You are not logged in",
                "Nothing was changed. Log in, then do it once more.",
            )),
            Some(person) if way.for_owners() && person.role != Role::Owner => Err(Answer::owners_only()),
            Some(_) => Ok(()),
        }
    }

    /// Reads a form that one of our own pages gave to this browser.
    async fn form(&self, parts: &Parts, body: Incoming) -> Result<Form, Answer> {
        let form = Form::read(&parts.headers, body)
            .await
            .map_err(|why| Answer::Trouble {
                status: why.status(),
                title: "This form was not understood".into(),
                words: format!("{why} Nothing was changed. Send it from the page of this box."),
            })?;
        let token = form.only("token").unwrap_or_default();
        if access::same(token, &self.seen.token()) {
            return Ok(form);
        }
        Err(forbidden(
            "This form is out of date",
            "It was made for another browser or before you logged in or out. Nothing was changed. Go back, load the page \
             again, and send it once more. The box needs a cookie to know its forms: allow it if your browser asks.",
        ))
    }

    fn trouble(&self, status: StatusCode, title: &str, words: &str) -> OwnReply {
        reply::trouble(status, title, words, self.seen.person.as_ref(), self.path)
    }

    fn reply(&self, answer: Answer) -> OwnReply {
        match answer {
            Answer::Page {
                status,
                title,
                body,
                refresh_secs,
            } => {
                let notice = self.access.take_notice(self.seen);
                let frame = Frame {
                    title: &title,
                    body,
                    person: self.seen.person.as_ref(),
                    here: self.path,
                    notice: notice.as_deref(),
                };
                let mut reply = reply::page(status, look::page(&frame));
                if let Some(secs) = refresh_secs {
                    reply::again(&mut reply, secs);
                }
                reply
            }
            Answer::See { path, notice } => {
                if let Some(words) = notice {
                    self.access.leave_notice(self.seen, words);
                }
                reply::see(&path)
            }
            Answer::SeeWith { path, cookie } => {
                let mut reply = reply::see(&path);
                reply::set_cookie(&mut reply, &cookie);
                reply
            }
            Answer::Trouble { status, title, words } => self.trouble(status, &title, &words),
        }
    }
}

fn forbidden(title: &str, words: &str) -> Answer {
    Answer::Trouble {
        status: StatusCode::FORBIDDEN,
        title: title.into(),
        words: words.into(),
    }
}

fn other_method(method: &Method, rows: &[(&Way, Vec<&str>)]) -> OwnReply {
    let (get, post) = (
        rows.iter().any(|(way, _)| way.method() == Method::GET),
        rows.iter().any(|(way, _)| way.method() == Method::POST),
    );
    let methods = match (get, post) {
        (true, true) => "GET, HEAD, POST, OPTIONS",
        (true, false) => "GET, HEAD, OPTIONS",
        _ => "POST, OPTIONS",
    };
    if *method == Method::OPTIONS {
        return reply::options(methods);
    }
    let refused = reply::trouble(
        StatusCode::METHOD_NOT_ALLOWED,
        "This page cannot do that",
        "The request's method is not one this page knows. Nothing was changed.",
        None,
        "",
    );
    reply::allow(refused, methods)
}

fn missing() -> OwnReply {
    reply::trouble(
        StatusCode::NOT_FOUND,
        "No such page",
        "The box has no page of this name. Open the start page.",
        None,
        "",
    )
}

fn unreadable(err: &store::Error) -> OwnReply {
    warn!(%err, "who may do what could not be read");
    reply::trouble(
        StatusCode::SERVICE_UNAVAILABLE,
        "The box cannot read its store",
        "Nothing was changed. Wait a minute and load the page again; if it stays so, restart the box.",
        None,
        "",
    )
}
