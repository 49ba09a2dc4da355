//! The page that stands in while the swarm is asked: refreshes itself without a script, says what is known.

use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};
use maud::html;
use proto::{id::InfoHash, metainfo::Info, site::listing};

use super::{
    page,
    reply::{self, Ask, Reply},
    shown::Shown,
};
use crate::swarm::Progress;

/// Seconds between looks. Shorter: the page opens sooner. Longer: fewer requests while a swarm is slow.
const AGAIN_SECS: &str = "2";

/// What is known of the version that is waited for.
pub struct Known<'a> {
    /// The list of files.
    pub info: Option<&'a Info>,
    pub progress: Option<&'a Progress>,
    /// How the reader came to this version, when not by its infohash.
    pub shown: Option<&'a Shown>,
    /// The way to an earlier version that is here.
    pub earlier: Option<String>,
}

/// 202.
pub fn reply(ask: &Ask<'_>, ih: &InfoHash, known: &Known<'_>) -> Reply {
    let mut reply = accepted(draw(&stop_link(ask), ih, known));
    let headers = reply.headers_mut();
    headers.insert(reply::X_BT_ROOTS, reply::value(&ih.to_string()));
    reply
}

/// 202: which version a publisher's key or a domain means is not known yet.
pub fn asking(ask: &Ask<'_>) -> Reply {
    let html = page::page(
        "Looking for the newest version",
        html! {
            h1 { "Looking for the newest version" }
            p { "Asking the network for this publisher's newest record." }
            progress {}
            p { "This page looks again by itself every two seconds. " a href=(stop_link(ask)) { "Stop waiting" } }
            footer.soft { "Granary" }
        },
    );
    accepted(html)
}

fn accepted(html: String) -> Reply {
    let mut reply = reply::page(StatusCode::ACCEPTED, page::CSP, html);
    let headers = reply.headers_mut();
    headers.insert(header::REFRESH, HeaderValue::from_static(AGAIN_SECS));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static(AGAIN_SECS));
    reply
}

fn stop_link(ask: &Ask<'_>) -> String {
    let path = ask.path();
    match ask.query() {
        "" => format!("{path}?btlink-stop"),
        query => format!("{path}?{query}&btlink-stop"),
    }
}

fn draw(stop: &str, ih: &InfoHash, known: &Known<'_>) -> String {
    let (info, progress) = (known.info, known.progress);
    let peers = progress.map_or(0, |progress| progress.peers);
    let title = info.map_or_else(|| format!("Looking for {}", ih.short()), |info| info.name.clone());
    page::page(
        &title,
        html! {
            h1 { (title) }
            @if let Some(found) = known.shown.and_then(Shown::found) { p { (found) } }
            p { (words(peers, info.is_some())) }
            @match (info, progress) {
                (Some(info), Some(progress)) if progress.pieces > 0 => {
                    @let percent = listing::percent(progress.held.into(), progress.pieces.into());
                    progress max="100" value=(percent) {}
                    p.soft {
                        (percent) "% of " (listing::size(info.total)) " stored here · "
                        (peers) @if peers == 1 { " holder" } @else { " holders" } " connected · "
                        (listing::size(progress.down_bps)) "/s"
                    }
                }
                _ => {
                    progress {}
                    p.soft { (peers) @if peers == 1 { " holder" } @else { " holders" } " connected so far" }
                }
            }
            p { "This page looks again by itself every two seconds. " a href=(stop) { "Stop waiting" } }
            @if let Some(earlier) = &known.earlier { p { a href=(earlier) { "Open an earlier version meanwhile" } } }
            footer.soft { "Granary · " code { (ih) } }
        },
    )
}

fn words(peers: u32, known: bool) -> &'static str {
    match (known, peers) {
        (false, 0) => "Asking the BitTorrent network, trackers and the local network who has this site.",
        (false, _) => "Found holders; waiting for the list of files.",
        (true, 0) => "The site is known. Looking for a holder who is online.",
        (true, _) => "Fetching the first part of this page.",
    }
}
