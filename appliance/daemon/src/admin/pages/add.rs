//! Add a site: what was pasted, what it is and how large, before anything but a list of files is downloaded; then follow it,
//! keep it, or just open it.

use std::time::Duration;

use maud::{Markup, html};
use proto::{
    id::Target,
    magnet::{self, Pasted},
    name::{Address, Domains, TLD},
};
use tokio::time::Instant;

use super::{Answer, Visit};
use crate::{
    admin::{
        form::Form,
        look::{self, Field, hidden, words},
    },
    feeds::{Change, Error, Preview, address_text},
    swarm::Hints,
};

/// A page answers within two seconds; what is not known by then, it looks for again.
const WAIT: Duration = Duration::from_millis(1_800);
/// To keep a torrent whose list of files came while the person read the page.
const KEEP_WAIT: Duration = Duration::from_secs(20);
const AGAIN_SECS: u32 = 3;
const TITLE_MAX: usize = 200;

pub async fn show(visit: Visit<'_>) -> Answer {
    let Some(text) = visit.query.text("uri").filter(|text| !text.is_empty()) else {
        return Answer::page("Add a site", blank("", None));
    };
    let pasted = match magnet::paste(text, &Domains::default()) {
        Ok(pasted) => pasted,
        Err(why) => return refused(text, &why.to_string()),
    };
    let found = visit.handles.feeds.preview(&pasted, Instant::now() + WAIT).await;
    let preview = match found {
        Ok(preview) => preview,
        Err(Error::Refused(why)) => return refused(text, &why),
        Err(err) => return Answer::unavailable(&err.to_string()),
    };
    let asked = Asked {
        text,
        token: visit.token(),
        follows: preview.changes,
        id: known(&visit, &preview).await,
    };
    if preview.unfinished {
        return Answer::Page {
            status: hyper::StatusCode::OK,
            title: "Looking for it".into(),
            body: asked.waiting(),
            refresh_secs: Some(AGAIN_SECS),
        };
    }
    Answer::page("Is it this?", asked.draw(&preview))
}

/// The subscription this address has already.
async fn known(visit: &Visit<'_>, preview: &Preview) -> Option<Target> {
    let address = address_text(&preview.address).filter(|_| preview.followed && preview.changes)?;
    let views = visit.handles.feeds.list().await.ok()?;
    views
        .iter()
        .find(|view| view.row.address == address)
        .map(|view| view.row.id)
}

pub async fn act(visit: Visit<'_>, form: &Form) -> Answer {
    let text = form.text("uri").unwrap_or_default();
    let pasted = match magnet::paste(text, &Domains::default()) {
        Ok(pasted) => pasted,
        Err(why) => return refused(text, &why.to_string()),
    };
    if form.has("keep") {
        return keep(&visit, &pasted, text).await;
    }
    let title = form.text("title").unwrap_or_default();
    let change = Change {
        title: (!title.is_empty()).then(|| title.chars().take(TITLE_MAX).collect()),
        ..Change::default()
    };
    match visit.handles.feeds.follow(&pasted, change).await {
        Ok(view) => {
            let path = format!("/subscriptions/{}", view.row.id);
            Answer::see(path, "Followed. The box keeps it fresh from now on.")
        }
        Err(Error::Refused(why)) => refused(text, &why),
        Err(err) => Answer::unavailable(&err.to_string()),
    }
}

/// Fetches a fixed torrent whole and keeps it.
async fn keep(visit: &Visit<'_>, pasted: &Pasted, text: &str) -> Answer {
    let (infohash, hints) = match pasted {
        Pasted::Magnet(magnet) => (
            magnet.infohash,
            Hints {
                peers: magnet.peers.clone(),
                trackers: magnet.trackers.clone(),
            },
        ),
        Pasted::Site {
            address: Address::Torrent(infohash),
            ..
        } => (Some(*infohash), Hints::default()),
        Pasted::Site { .. } => (None, Hints::default()),
    };
    let Some(infohash) = infohash else {
        return refused(
            text,
            "only a torrent can be kept as it is; an address that changes can be followed",
        );
    };
    let open = visit
        .handles
        .sites
        .open(infohash, &hints, false, Instant::now() + KEEP_WAIT);
    if let Err(err) = open.await {
        return refused(text, &format!("{err}; nothing was kept, try again later"));
    }
    match visit.handles.swarm.keep(infohash).await {
        Ok(()) => Answer::see(
            format!("/sites/{infohash}"),
            "Kept: the box fetches all of it and shares it until you remove it.",
        ),
        Err(err) => Answer::unavailable(&err.to_string()),
    }
}

/// The empty page, or with what was refused.
pub fn blank(text: &str, error: Option<&str>) -> Markup {
    let errors: Vec<(&str, &str)> = error.iter().map(|error| ("uri", *error)).collect();
    html! {
        (look::errors(&errors))
        h1 { "Add a site" }
        p.lead { "Paste what a friend sent you. You see what it is and how large, before anything is downloaded." }
        form action="/add" method="get" {
            (Field::new("uri", "Magnet link, key, address or domain").kind("area").required().value(text).error(error).draw())
            button type="submit" { "Look at it" }
        }
        h2 { "What can be pasted" }
        ul {
            li { "A magnet link: " code { "magnet:?xs=urn:btpk:…" } " or " code { "magnet:?xt=urn:btih:…" } }
            li { "An address that ends in " code { "." (TLD) } }
            li { "A key, or the infohash of a torrent" }
            li { "A domain that also lives in BitTorrent, such as " code { "example.org" } }
        }
    }
}

fn refused(text: &str, why: &str) -> Answer {
    Answer::refused("Add a site", blank(text, Some(&words::sentence(why))))
}

/// What the person pasted, as the forms carry it on.
pub struct Asked<'a> {
    pub text: &'a str,
    pub token: &'a str,
    /// It has versions to follow.
    pub follows: bool,
    /// Of its subscription, when it is followed already.
    pub id: Option<Target>,
}

impl Asked<'_> {
    pub fn waiting(&self) -> Markup {
        html! {
            h1 { "Looking for it" }
            p.lead { "The box is asking the network what this is. Nothing is downloaded but its list of files." }
            progress aria-label="Looking" {}
            p { "This page looks again by itself every " (AGAIN_SECS) " seconds. It can take a minute; when nobody who has it is online, it takes until somebody is." }
            p { "You pasted:" }
            pre { (words::short(self.text, 500)) }
            div.deeds {
                @if self.follows { (look::send("/add", self.token, &[("uri", self.text), ("follow", "1")], "quiet", "Follow it without waiting")) }
                a.button.quiet href="/add" { "Stop" }
            }
            @if self.follows { p.hint { "Followed without waiting, it is looked for until it is found. You are still asked before a large download." } }
        }
    }

    pub fn draw(&self, preview: &Preview) -> Markup {
        let name = preview.name.as_deref().unwrap_or("A site without a name");
        html! {
            h1 { (words::short(name, 120)) }
            p.lead {
                @match preview.bytes {
                    Some(bytes) => { (words::size(bytes)) @if let Some(files) = preview.files { " in " (words::count(files as u64, "file", "files")) } ". " }
                    None => "Its size is not known yet. ",
                }
                @if preview.held_bytes > 0 { (words::size(preview.held_bytes)) " of it are here already; nothing was downloaded now." }
                @else { "Nothing of it was downloaded yet." }
            }
            @if let Some(trouble) = &preview.trouble { p.notice.is-warn { (words::sentence(trouble)) } }
            (facts(preview))
            @if preview.followed { (self.known(preview)) } @else { (self.deeds(preview)) }
        }
    }

    fn known(&self, preview: &Preview) -> Markup {
        let to = match (self.id, preview.infohash) {
            (Some(id), _) if self.follows => format!("/subscriptions/{id}"),
            (_, Some(infohash)) if !self.follows => format!("/sites/{infohash}"),
            _ => "/subscriptions".into(),
        };
        html! {
            p.notice { "The box " @if self.follows { "follows" } @else { "keeps" } " this already." }
            div.deeds { a.button href=(to) { "Show it" } a.button.quiet href=(look::open_link(self.text)) { "Open it" } }
        }
    }

    fn deeds(&self, preview: &Preview) -> Markup {
        let size = preview.bytes.map(words::size);
        let open = html! { a.button.quiet href=(look::open_link(self.text)) { "Just open it" } };
        html! {
            @if self.follows {
                h2 { "Follow it" }
                p {
                    "The box looks for new versions by itself, keeps them for this home, and gives them to others. "
                    @if preview.asks { "This is larger than the limit of this box: it will ask you before it downloads." }
                    @else if let Some(size) = &size { "It downloads " (size) " now, and later only what changed." }
                }
                form action="/add" method="post" {
                    (hidden("token", self.token)) (hidden("uri", self.text))
                    (Field::new("title", "What you call it").hint("Empty: the name its publisher gave it.").draw())
                    div.deeds { button name="follow" value="1" type="submit" { "Follow" } (open) a href="/add" { "Not this" } }
                }
                p.hint { "To undo it: unfollow it on its page. You then choose whether its files stay." }
            } @else if preview.infohash.is_none() {
                div.deeds { (open) a.button.quiet href="/add" { "Not this" } }
            } @else {
                h2 { "Keep it" }
                p { "A torrent never changes. The box downloads " @match &size { Some(size) => (size), None => "all of it" } " now, keeps it until you remove it, and gives it to others." }
                form action="/add" method="post" {
                    (hidden("token", self.token)) (hidden("uri", self.text))
                    div.deeds { button name="keep" value="1" type="submit" { "Keep" } (open) a href="/add" { "Not this" } }
                }
                p.hint { "To undo it: remove it on the page Sites kept." }
            }
        }
    }
}

fn facts(preview: &Preview) -> Markup {
    let what = match &preview.address {
        Address::Key { .. } => "A site whose publisher can change it: the box can follow it",
        Address::Torrent(_) | Address::TorrentV2(_) => "A torrent: for ever the same files",
        Address::Item(_) => "A single item of the network, no site",
        Address::Domain(_) | Address::Petname(_) => "A name that leads to a site",
    };
    let mut facts: Vec<(&str, Markup)> = vec![("What it is", html! { (what) })];
    if let Some(host) = preview.address.host(TLD) {
        facts.push(("Address", html! { code { (host) } }));
    }
    if let Some(link) = &preview.link {
        facts.push((
            "Found through",
            html! {
                (link.via.join(" → ")) " – "
                @if link.signed { "the answer was signed (DNSSEC)" }
                @else { "the answer was not signed: whoever runs your name server could have changed it" }
            },
        ));
    }
    if let Some(record) = &preview.record {
        facts.push(("Last change", html! { "first seen by this box on " (words::date(record.last_changed)) ", number " (record.item.seq) }));
    }
    if let Some(infohash) = preview.infohash {
        facts.push(("Torrent", html! { code { (infohash) } }));
    }
    facts.push(("Holders found so far", html! { (preview.peers) }));
    look::facts(&facts)
}
