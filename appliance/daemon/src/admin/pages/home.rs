//! Home: what is new, how the box is, a place to paste.

use std::net::SocketAddr;

use maud::{Markup, html};
use proto::{feed::state::State, id::InfoHash};
use store::{Usage, VersionState};

use super::{Answer, Visit, start, subscriptions};
use crate::{
    admin::look::{self, words},
    api::Line,
    feeds::View,
    sharing::Given,
};

/// News older than this are no news.
const NEWS_SECS: u64 = 14 * 86_400;
const NEWS_MAX: usize = 15;
/// Below this the disk is nearly full.
const ROOM_LEAST: u64 = 1_000_000_000;
/// What the household notices of it.
const NO_LAN: &str = "The part of the box that serves this home's network does not run: devices that ask the box for names open \
                      nothing new. Browsers that use the proxy go on.";
/// The network needs a moment after the start.
const START_SECS: u64 = 120;

pub async fn show(visit: Visit<'_>) -> Answer {
    let handles = visit.handles;
    let views = match handles.feeds.list().await {
        Ok(views) => views,
        Err(err) => return Answer::unavailable(&err.to_string()),
    };
    let usage = match handles.db.run(|store| store.usage()).await {
        Ok(usage) => usage,
        Err(err) => return Answer::unavailable(&err.to_string()),
    };
    let lan = handles.home.status().await.err().map(|err| err.to_string());
    let facts = Facts {
        lan,
        views,
        usage,
        line: Line::from(&handles.swarm.status()),
        given: handles.sharing.given(),
        sharing: handles.sharing.settings().upload,
        troubles: handles
            .health
            .troubles()
            .into_iter()
            // Said better below.
            .filter(|(room, _)| *room != "lan")
            .map(|(_, text)| text)
            .collect(),
        now: handles.clock.now_secs(),
        up_secs: handles.started.elapsed().as_secs(),
        device: (!visit.named).then_some(visit.proxy),
    };
    Answer::page("Granary", draw(&facts))
}

/// What the page is drawn from.
pub struct Facts {
    pub views: Vec<View>,
    pub usage: Usage,
    pub line: Line,
    pub given: Given,
    pub sharing: bool,
    /// Why the lan half does not answer, if it does not.
    pub lan: Option<String>,
    /// What does not work, in words.
    pub troubles: Vec<String>,
    pub now: u64,
    pub up_secs: u64,
    /// Where the PAC is, for a device that is not set up.
    pub device: Option<SocketAddr>,
}

/// One of three, never told by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Light {
    Well,
    Look,
    Act,
}

/// A sentence, and a page where it can be settled.
type Reason = (Light, String, Option<(&'static str, &'static str)>);

pub fn light(facts: &Facts) -> (Light, Vec<Reason>) {
    let mut reasons: Vec<Reason> = Vec::new();
    let troubles = facts.troubles.iter();
    reasons.extend(troubles.map(|text| {
        (
            Light::Act,
            format!("Something does not work: {text}"),
            Some(("/storage", "Storage")),
        )
    }));
    if facts.lan.is_some() {
        reasons.push((Light::Act, NO_LAN.into(), Some(("/network", "What this means"))));
    }
    if facts.usage.free_bytes < ROOM_LEAST {
        let text = format!(
            "The disk is nearly full: {} are free.",
            words::size(facts.usage.free_bytes)
        );
        reasons.push((Light::Act, text, Some(("/storage", "Storage"))));
    }
    let waiting = facts
        .views
        .iter()
        .filter(|view| subscriptions::waits(view))
        .count() as u64;
    if waiting > 0 {
        let text = format!(
            "{} for your word.",
            words::count(waiting, "subscription waits", "subscriptions wait")
        );
        reasons.push((Light::Look, text, Some(("/subscriptions?look=1", "Show"))));
    }
    if facts.line.dht_nodes == 0 {
        let text = if facts.up_secs < START_SECS {
            "The box started a moment ago and is still finding others in the network.".into()
        } else {
            "Nobody in the network answers: new sites cannot be found. What is here still opens. Is the Internet connected?".into()
        };
        reasons.push((Light::Look, text, Some(("/network/reach", "Show"))));
    }
    if facts.given.resting {
        reasons.push((
            Light::Look,
            "Sharing rests: this month's budget is used up.".into(),
            Some(("/sharing", "Sharing")),
        ));
    }
    let worst = reasons
        .iter()
        .map(|(light, ..)| *light)
        .max()
        .unwrap_or(Light::Well);
    (worst, reasons)
}

/// A version that arrived.
struct News<'a> {
    view: &'a View,
    seq: i64,
    seen: u64,
    infohash: InfoHash,
    before: Option<InfoHash>,
    here: bool,
}

fn news(facts: &Facts) -> Vec<News<'_>> {
    let mut news: Vec<News<'_>> = Vec::new();
    for view in &facts.views {
        let Some(record) = &view.record else { continue };
        let history: Vec<_> = record
            .history
            .iter()
            .filter(|version| version.infohash.is_some())
            .collect();
        for (index, version) in history.iter().enumerate().take(3) {
            let Some(infohash) = version.infohash else {
                continue;
            };
            if version.seen + NEWS_SECS < facts.now {
                break;
            }
            let state = view.row.versions.iter().find(|(one, _)| *one == infohash);
            news.push(News {
                view,
                seq: version.seq,
                seen: version.seen,
                infohash,
                before: history.get(index + 1).and_then(|version| version.infohash),
                here: state.is_some_and(|(_, state)| *state == VersionState::Here),
            });
        }
    }
    news.sort_by_key(|one| std::cmp::Reverse(one.seen));
    news.truncate(NEWS_MAX);
    news
}

pub fn draw(facts: &Facts) -> Markup {
    html! {
        h1 { "Home" }
        (draw_light(facts))
        h2 { "New" }
        (draw_news(facts))
        (start::open())
        h2 { "The box" }
        (figures(facts))
        @if let Some(proxy) = facts.device { (start::device(proxy)) }
    }
}

fn draw_light(facts: &Facts) -> Markup {
    let (light, reasons) = light(facts);
    let (class, words) = match light {
        Light::Well => ("light", "● All is well"),
        Light::Look => ("light is-warn", "▲ Worth a look"),
        Light::Act => ("light is-bad", "■ The box needs you"),
    };
    html! {
        div class=(class) {
            h2 { (words) }
            @if reasons.is_empty() {
                p { "The box is in touch with " (words::count(facts.line.dht_nodes as u64, "node", "nodes")) " of the network, and there is room on the disk." }
            } @else {
                ul { @for (_, text, to) in &reasons {
                    li { (text) @if let Some((path, words)) = to { " " a href=(path) { (words) } } }
                } }
            }
        }
    }
}

fn draw_news(facts: &Facts) -> Markup {
    let news = news(facts);
    html! {
        @if facts.views.is_empty() {
            p { "Nothing is followed yet. Paste what a friend sent you on " a href="/add" { "Add a site" } "; new versions then stand here." }
        } @else if news.is_empty() {
            p { "No new version arrived in the last two weeks. " a href="/subscriptions" { (words::count(facts.views.len() as u64, "site is followed", "sites are followed")) } "." }
        } @else {
            ul.cards { @for one in &news { li { (draw_one(one)) } } }
        }
    }
}

fn draw_one(one: &News<'_>) -> Markup {
    let name = subscriptions::name(one.view);
    let page = format!("/subscriptions/{}", one.view.row.id);
    html! {
        p { strong { a href=(page) { (words::short(name, 80)) } } }
        p.soft {
            "Version " (one.seq) ", " (words::date(one.seen))
            @if !one.here {
                @match one.view.state {
                    State::Updating { percent } => { " – " (percent) "% here" }
                    State::Asking { bytes } => { " – waits for your word, " (words::size(bytes)) }
                    _ => " – not here yet",
                }
            }
        }
        p {
            a href=(look::open_link(&one.infohash.to_string())) aria-label=(format!("Open {}", words::short(name, 60))) { "Open" }
            @if let Some(before) = one.before {
                " · " a href=(format!("{page}/changes?old={before}&new={}", one.infohash)) aria-label=(format!("What changed in {}", words::short(name, 60))) { "What changed" }
            }
        }
    }
}

fn figures(facts: &Facts) -> Markup {
    let line = &facts.line;
    let silent = facts
        .views
        .iter()
        .filter(|view| matches!(view.state, State::Silent { .. }))
        .count() as u64;
    look::facts(&[
        (
            "Followed",
            html! {
                a href="/subscriptions" { (words::count(facts.views.len() as u64, "site", "sites")) }
                @if silent > 0 { ", of which " (silent) " whose publisher is silent: the box keeps them alive" }
            },
        ),
        (
            "Held",
            html! { a href="/sites" { (words::count(facts.usage.sites, "site", "sites")) } ", " (words::size(facts.usage.live_bytes)) },
        ),
        (
            "Free on the disk",
            html! { (words::size(facts.usage.free_bytes)) },
        ),
        (
            "Now",
            html! {
                (words::count(line.peers.into(), "peer", "peers")) ", receiving " (words::rate(line.down_bytes_per_sec)) ", giving " (words::rate(line.up_bytes_per_sec))
            },
        ),
        (
            "Given this month",
            html! { (words::size(facts.given.month_bytes)) @if !facts.sharing { " – sharing is off" } },
        ),
    ])
}
