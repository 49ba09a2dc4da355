//! Storage: how full the disk is, with what, and what is wrong with it.

use maud::{Markup, html};
use store::Usage;

use super::{Answer, Visit};
use crate::admin::look::{self, words};

pub async fn show(visit: Visit<'_>) -> Answer {
    let troubles = visit.handles.health.troubles();
    let trouble = troubles
        .into_iter()
        .find(|(room, _)| *room == "store")
        .map(|(_, text)| text);
    match visit.handles.db.run(|store| store.usage()).await {
        Ok(usage) => Answer::page("Storage", draw(&usage, trouble.as_deref())),
        Err(err) => Answer::unavailable(&err.to_string()),
    }
}

pub fn draw(usage: &Usage, trouble: Option<&str>) -> Markup {
    let room = usage.disk_bytes.saturating_add(usage.free_bytes);
    let used = words::percent(usage.disk_bytes, room.max(1));
    html! {
        h1 { "Storage" }
        p.lead { (words::size(usage.disk_bytes)) " used by Granary, " (words::size(usage.free_bytes)) " free on the disk." }
        (look::bar(used, "How much of the room is used"))
        @match trouble {
            Some(text) => div.light.is-bad {
                h2 { "! The disk is in trouble" }
                p { (text) }
                p { "What is held can still be read where possible, and nothing wrong is ever shown. Free some space or look at the disk; the box goes on by itself when it is well again." }
            },
            None => p { "The disk answers and nothing damaged was found." },
        }
        h2 { "What it is used for" }
        (look::facts(&[
            ("Kept sites", html! { (words::size(usage.kept_bytes)) " – stay until you remove them" }),
            ("Visited sites", html! { (words::size(usage.visited_bytes)) " – make room by themselves, the longest unused first" }),
            ("Sites", html! { a href="/sites" { (words::count(usage.sites, "site", "sites")) } ", in " (words::count(usage.pieces, "piece", "pieces")) }),
            ("Counted once", html! { (words::size(usage.live_bytes)) " – what several versions share is stored once" }),
            ("On the disk", html! { (words::size(usage.disk_bytes)) " with everything around it" }),
        ]))
        h2 { "To free space" }
        p { "Remove what you no longer need: " a href="/sites?sort=size" { "the largest sites" } ", or " a href="/sites?sort=used&only=visited" { "what was only visited" } ". Each asks before it removes anything." }
    }
}
