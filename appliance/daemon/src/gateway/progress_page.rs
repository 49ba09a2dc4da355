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
};
use crate::swarm::Progress;

/// Seconds between looks. Shorter: the page opens sooner. Longer: fewer requests while a swarm is slow.
const AGAIN_SECS: &str = "2";

/// 202. `info`: the list of files is known already.
pub fn reply(ask: &Ask<'_>, ih: &InfoHash, info: Option<&Info>, progress: Option<&Progress>) -> Reply {
    let html = draw(&stop_link(ask), ih, info, progress);
    let mut reply = reply::page(StatusCode::ACCEPTED, page::CSP, html);
    let headers = reply.headers_mut();
    headers.insert(header::REFRESH, HeaderValue::from_static(AGAIN_SECS));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static(AGAIN_SECS));
    headers.insert(reply::X_BT_ROOTS, reply::value(&ih.to_string()));
    reply
}

fn stop_link(ask: &Ask<'_>) -> String {
    let path = ask.path();
    match ask.query() {
        "" => format!("{path}?btlink-stop"),
        query => format!("{path}?{query}&btlink-stop"),
    }
}

fn draw(stop: &str, ih: &InfoHash, info: Option<&Info>, progress: Option<&Progress>) -> String {
    let peers = progress.map_or(0, |progress| progress.peers);
    let title = info.map_or_else(|| format!("Looking for {}", ih.short()), |info| info.name.clone());
    page::page(
        &title,
        html! {
            h1 { (title) }
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
