//! The history of a subscription: which versions there were, which are here, what changed between two of them.

use maud::{Markup, html};
use proto::{feed::changes::Changes, id::InfoHash};
use store::{RecordRow, VersionState};

use super::{drawing::Shown, path};
use crate::{
    admin::{
        look::{self, words},
        pages::subscriptions::name,
    },
    feeds::View,
};

/// Versions of one page: each has its links and buttons.
const ROWS: usize = 15;
/// All files listed on a page of changes together, and one beside its path.
const BYTES_MAX: usize = 18_000;
const LINE_BYTES: usize = 60;
/// Characters of a path in the list of changes.
const PATH_MAX: usize = 100;

/// One version as the page shows it.
struct Row {
    seq: Option<i64>,
    infohash: InfoHash,
    seen: Option<u64>,
    state: Option<VersionState>,
    /// The version before it, for "what changed".
    before: Option<InfoHash>,
}

/// "first seen, N versions, unbroken": no tick mark, because nobody vouches for a publisher.
pub fn continuity(record: &RecordRow) -> Markup {
    let seen = record.history.len() as u64;
    html! {
        (words::count(seen, "version", "versions")) " seen, all signed by the same key"
        @if record.conflict.is_some() { "; two of them under one number" } @else { ", unbroken" }
    }
}

fn rows(view: &View) -> Vec<Row> {
    let state = |ih: &InfoHash| {
        view.row
            .versions
            .iter()
            .find(|(one, _)| one == ih)
            .map(|(_, state)| *state)
    };
    let mut rows: Vec<Row> = match &view.record {
        Some(record) => record
            .history
            .iter()
            .filter_map(|version| {
                let infohash = version.infohash?;
                Some(Row {
                    seq: Some(version.seq),
                    infohash,
                    seen: Some(version.seen),
                    state: state(&infohash),
                    before: None,
                })
            })
            .collect(),
        // A linked domain that names one torrent has no record.
        None => view
            .row
            .versions
            .iter()
            .map(|(infohash, state)| Row {
                seq: None,
                infohash: *infohash,
                seen: None,
                state: Some(*state),
                before: None,
            })
            .collect(),
    };
    for index in 1..rows.len() {
        rows[index - 1].before = Some(rows[index].infohash);
    }
    rows
}

pub fn draw(view: &View, shown: &Shown<'_>) -> Markup {
    let rows = rows(view);
    let pages = rows.len().div_ceil(ROWS).max(1);
    let page = shown.page.min(pages - 1);
    html! {
        h2 #versions { "Versions" }
        @if rows.is_empty() {
            p { "No version was seen yet." }
        } @else {
            form.rows action=(path(view)) method="post" {
                (look::hidden("token", shown.token))
                table.stack {
                    caption { "Newest first. A pinned version is never removed by itself." }
                    thead { tr { th scope="col" { "Number" } th scope="col" { "Seen" } th scope="col" { "Files" } th scope="col" { "Look" } th scope="col" { "Change" } } }
                    tbody { @for row in rows.iter().skip(page * ROWS).take(ROWS) { (draw_row(view, row)) } }
                }
            }
            (look::pager(page, pages, |page| format!("{}?page={}#versions", path(view), page + 1)).unwrap_or_default())
        }
    }
}

fn draw_row(view: &View, row: &Row) -> Markup {
    let pinned = view.row.pinned.contains(&row.infohash);
    let newest = view.row.whole == Some(row.infohash);
    let here = matches!(row.state, Some(VersionState::Here | VersionState::Fetching));
    let which = row
        .seq
        .map_or_else(|| row.infohash.short(), |seq| seq.to_string());
    let to = |words: &str| format!("{words} version {which}");
    html! {
        tr {
            th scope="row" { @if row.seq.is_some() { "No. " } (which) }
            td data-is="Seen" { @match row.seen { Some(seen) => (words::date(seen)), None => "–" } }
            td data-is="Files" {
                @match row.state {
                    Some(VersionState::Here) => "here",
                    Some(VersionState::Fetching) => "being fetched",
                    Some(VersionState::Asking) => "waits for your word",
                    Some(VersionState::Declined) => "left out by you",
                    Some(VersionState::Gone) | None => "not kept",
                }
                @if newest { ", shown now" }
                @if pinned { ", pinned" }
            }
            td {
                a href=(look::open_link(&row.infohash.to_string())) aria-label=(to("Open")) { "Open" }
                @if let Some(before) = row.before {
                    " · " a href=(format!("{}/changes?old={before}&new={}", path(view), row.infohash)) aria-label=(format!("What changed in version {which}")) { "What changed" }
                }
            }
            td {
                @if pinned { button.quiet name="unpin" value=(row.infohash) aria-label=(to("Unpin")) { "Unpin" } }
                @else if here { button.quiet name="pin" value=(row.infohash) aria-label=(to("Pin")) { "Pin" } }
                @if row.state == Some(VersionState::Here) && !newest { " " a href=(format!("{}/remove?version={}", path(view), row.infohash)) aria-label=(to("Remove")) { "Remove …" } }
            }
        }
    }
}

/// The page "what changed".
pub fn changes(view: &View, old: InfoHash, new: InfoHash, found: Result<&Changes, String>) -> Markup {
    let number = |ih: InfoHash| {
        let history = view
            .record
            .as_ref()
            .map(|record| record.history.as_slice())
            .unwrap_or_default();
        history
            .iter()
            .find(|version| version.infohash == Some(ih))
            .map_or_else(|| ih.short(), |version| format!("no. {}", version.seq))
    };
    html! {
        p.soft { a href="/subscriptions" { "Subscriptions" } " / " a href=(path(view)) { (words::short(name(view), 60)) } }
        h1 { "What changed" }
        p.lead { "From version " (number(old)) " to version " (number(new)) "." }
        p { a href=(look::open_link(&old.to_string())) { "Open the old one" } " · " a href=(look::open_link(&new.to_string())) { "Open the new one" } }
        @match found {
            Err(why) => p { "The lists of files cannot be compared now: " (why) ". Open both versions once, then look again." },
            Ok(changes) => (listed(changes)),
        }
    }
}

fn listed(changes: &Changes) -> Markup {
    let mut room = BYTES_MAX;
    let mut fits = |path: &str| {
        room = room.saturating_sub(words::weight(path) + LINE_BYTES);
        room > 0
    };
    let mut one = |files: &[(String, u64)]| {
        let lines = files
            .iter()
            .map(|(path, size)| (words::short(path, PATH_MAX), words::size(*size)));
        lines.take_while(|(path, _)| fits(path)).collect::<Vec<_>>()
    };
    let lines = (one(&changes.added), one(&changes.removed), one(&changes.perhaps));
    let changed = changes.changed.iter().map(|(path, old, new)| {
        (
            words::short(path, PATH_MAX),
            format!("{} → {}", words::size(*old), words::size(*new)),
        )
    });
    let changed: Vec<_> = changed.take_while(|(path, _)| fits(path)).collect();
    let kinds = [
        ("file added", "files added", changes.added.len(), lines.0),
        ("file changed", "files changed", changes.changed.len(), changed),
        (
            "file perhaps changed",
            "files perhaps changed",
            changes.perhaps.len(),
            lines.2,
        ),
        ("file removed", "files removed", changes.removed.len(), lines.1),
    ];
    html! {
        @if kinds.iter().all(|(_, _, count, _)| *count == 0) && changes.more == 0 { p { "No file differs." } }
        @for (singular, plural, count, files) in &kinds {
            @if *count > 0 {
                h2 { (words::count(*count as u64, singular, plural)) }
                ul {
                    @for (path, size) in files { li { (words::short(path, PATH_MAX)) " " span.soft { (size) } } }
                    @if *count > files.len() { li { @if files.is_empty() { "not listed here: there are too many" } @else { "and " (count - files.len()) " more" } } }
                }
            }
        }
        @if !changes.perhaps.is_empty() { p.hint { "“Perhaps” means: as long as before, but in pieces that changed. Only opening it tells." } }
        @if changes.more > 0 { p { "And " (words::count(changes.more as u64, "change", "changes")) " more that are not listed." } }
    }
}
