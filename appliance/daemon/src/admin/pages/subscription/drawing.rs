//! The page of one subscription.

use maud::{Markup, html};
use proto::{feed::state::State, name::TLD};
use store::VersionState;

use super::{MEGA, path, versions};
use crate::{
    admin::{
        form::Form,
        look::{self, Field, words},
        pages::{
            Visit,
            subscriptions::{name, waits},
        },
    },
    feeds::View,
};

/// Seconds between looks of a page that shows something under way.
pub const AGAIN_SECS: u32 = 5;

/// What the page needs besides the subscription.
pub struct Shown<'a> {
    pub token: &'a str,
    /// The history from this page of it on.
    pub page: usize,
}

impl<'a> Shown<'a> {
    pub fn of(visit: &'a Visit<'_>) -> Self {
        let page = visit
            .query
            .text("page")
            .and_then(|page| page.parse::<usize>().ok());
        Self {
            token: visit.token(),
            page: page.unwrap_or(1).saturating_sub(1),
        }
    }
}

/// The fields as they stand in the form.
#[derive(Debug, Default)]
pub struct Typed {
    pub title: String,
    pub petname: String,
    pub quota: String,
    pub keep: String,
    pub errors: Vec<(&'static str, String)>,
}

impl Typed {
    pub fn of(view: &View) -> Self {
        Self {
            title: view.row.title.clone(),
            petname: view.petname.clone().unwrap_or_default(),
            quota: match view.row.quota_bytes {
                0 => String::new(),
                bytes => (bytes / MEGA).to_string(),
            },
            keep: view.row.keep_versions.to_string(),
            errors: Vec::new(),
        }
    }

    pub fn from(form: &Form) -> Self {
        let text = |name| form.text(name).unwrap_or_default().to_owned();
        Self {
            title: text("title"),
            petname: text("petname"),
            quota: text("quota"),
            keep: text("keep"),
            errors: Vec::new(),
        }
    }

    fn error(&self, name: &str) -> Option<&str> {
        self.errors
            .iter()
            .find(|(field, _)| *field == name)
            .map(|(_, text)| text.as_str())
    }
}

/// Something is under way that the page should follow. Forms of the pages before a loss must not vanish under a hand.
pub fn moving(view: &View, depth: usize) -> bool {
    depth == 1 && (view.looking || matches!(view.state, State::Updating { .. }))
}

pub fn draw(view: &View, typed: &Typed, shown: &Shown<'_>) -> Markup {
    let errors: Vec<(&str, &str)> = typed
        .errors
        .iter()
        .map(|(field, text)| (*field, text.as_str()))
        .collect();
    html! {
        (look::errors(&errors))
        p.soft { a href="/subscriptions" { "Subscriptions" } }
        h1 { (words::short(name(view), 120)) }
        (state(view))
        (asks(view, shown.token))
        (conflict(view, shown.token))
        (deeds(view, shown.token))
        h2 { "What is known about it" }
        (facts(view))
        (versions::draw(view, shown))
        section.screen {
        (settings(view, typed, shown.token))
        h2 { "Stop" }
        p { "Unfollowing asks first what happens to the files. Blocking keeps everybody in this home from opening it." }
        div.deeds {
            a.button.loss href=(format!("{}/unfollow", path(view))) { "Unfollow …" }
            @if view.row.blocked { (look::send(&path(view), shown.token, &[("do", "unblock")], "quiet", "Unblock")) }
            @else { a.button.loss href=(format!("{}/block", path(view))) { "Block …" } }
        }
        }
    }
}

fn state(view: &View) -> Markup {
    html! {
        p.lead { (words::sentence(&view.words)) }
        @if let State::Updating { percent } = view.state {
            (look::bar(percent, "How much of the new version is here"))
            p.hint { "The version before stays open meanwhile." }
        }
        @if moving(view, 1) { p.hint { @if view.looking { "The box is asking the network now. " } "This page looks again by itself every " (AGAIN_SECS) " seconds. " a href="?stay" { "Stop that" } } }
        @if !view.row.trouble.is_empty() { p.hint { "The last look: " (words::short(&view.row.trouble, 300)) } }
    }
}

/// A version that is larger than the limit.
fn asks(view: &View, token: &str) -> Markup {
    let State::Asking { bytes } = view.state else {
        return html! {};
    };
    let asking = view
        .row
        .versions
        .iter()
        .find(|(_, state)| *state == VersionState::Asking);
    html! {
        @if let Some((version, _)) = asking {
            @let version = version.to_string();
            div.ask-first {
                h2 { "A new version waits for your word" }
                p { "It has " strong { (words::size(bytes)) } ", more than the limit you set. Nothing of it was downloaded yet." }
                div.deeds {
                    (look::send(&path(view), token, &[("approve", &version)], "", &format!("Download {}", words::size(bytes))))
                    (look::send(&path(view), token, &[("decline", &version)], "quiet", "Leave this version out"))
                }
            }
        }
    }
}

fn conflict(view: &View, token: &str) -> Markup {
    let Some((record, conflict)) = view
        .record
        .as_ref()
        .and_then(|record| Some((record, record.conflict.as_ref()?)))
    else {
        return html! {};
    };
    html! {
        div.ask-first.is-bad {
            h2 { "Two different versions under one number" }
            p {
                "On " (words::date(conflict.seen)) " the box saw another value signed by the same publisher, also numbered "
                (record.item.seq) ". Either the publisher made a mistake, or somebody else uses the publisher's key, or different people are shown different things."
            }
            p { "The box keeps showing the one it saw first. A later number from the publisher settles it." }
            (look::send(&path(view), token, &[("do", "settle")], "quiet", "I have read this"))
        }
    }
}

fn deeds(view: &View, token: &str) -> Markup {
    let button = |deed: &str, words: &str| look::send(&path(view), token, &[("do", deed)], "quiet", words);
    html! {
        div.deeds {
            @if !view.row.blocked { a.button href=(look::open_link(&view.row.address)) { "Open" } }
            @if !view.row.blocked && !view.row.paused { (button("check", "Check now")) }
            @if view.row.paused { (button("resume", "Resume")) } @else { (button("pause", "Pause")) }
        }
    }
}

fn facts(view: &View) -> Markup {
    let row = &view.row;
    let mut facts: Vec<(&str, Markup)> = vec![("Address", html! { code { (row.address) } })];
    if let Some(record) = &view.record {
        facts.push(("First seen", words::date(record.first_seen)));
        facts.push(("Continuity", versions::continuity(record)));
        facts.push(("Last change", words::date(record.last_changed)));
        facts.push((
            "Kept alive by",
            html! { (words::count(record.last_copies.into(), "node", "nodes")) " of the network at the last look; this box puts the record again every hour" },
        ));
        facts.push(("Publisher's number", html! { (record.item.seq) }));
    }
    facts.push(("Followed since", words::date(row.added)));
    facts.push(("Last checked", words::date(row.last_checked)));
    if !row.paused && !row.blocked {
        let next = match view.next_look {
            _ if view.looking => html! { "now" },
            0 => html! { "in a moment" },
            at => words::date(at),
        };
        facts.push(("Next look", next));
    }
    facts.push((
        "Size",
        match view.bytes {
            Some(bytes) => {
                html! { (words::size(bytes)) ", of which " (words::size(view.held_bytes)) " are here" }
            }
            None => html! { "not known yet" },
        },
    ));
    facts.push(("Holders connected", html! { (view.peers) }));
    look::facts(&facts)
}

fn settings(view: &View, typed: &Typed, token: &str) -> Markup {
    let text = |name| typed.error(name);
    html! {
        h2 #settings { "Names and limits" }
        form action=(path(view)) method="post" {
            (look::hidden("token", token))
            (Field::new("title", "What you call it").hint("Empty: the name its publisher gave it.").value(&typed.title).error(text("title")).draw())
            (Field::new("petname", "Short name").value(&typed.petname).error(text("petname"))
                .hint(&format!("With “recipes”, every device opens it as http://recipes.{TLD}/")).draw())
            (Field::new("quota", "Ask me before versions larger than, in MB").short().value(&typed.quota).error(text("quota"))
                .hint("Empty or 0: the usual limit of this box.").draw())
            (Field::new("keep", "Older versions to keep").short().value(&typed.keep).error(text("keep"))
                .hint("Besides the newest one and those you pinned. The others go by themselves.").draw())
            button type="submit" { "Save" }
        }
        @if waits(view) { p.hint { "What waits for your word above is not changed by this." } }
    }
}
