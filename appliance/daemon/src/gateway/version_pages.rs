//! `/.<tld>/record` and `/.<tld>/versions`: the signed record, and what came before.

use std::sync::Arc;

use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};
use maud::{Markup, html};
use proto::{
    feed::changes::{self, Changes},
    id::InfoHash,
    name::TLD,
    site::{cache, date, listing},
};
use serde_json::{Value, json};

use super::{
    SiteSource,
    answer::Shared,
    error_page, page,
    reply::{self, Ask, Reply},
    shown::{Shown, version_link},
    site::Visit,
};
use crate::sites::{Current, Held, Version};

/// Files listed of what changed. More: a longer page.
const CHANGES_MAX: usize = 300;

/// The record as others can check and put it again: bencoded `k`, `salt`, `seq`, `sig`, `v`.
pub fn record<S: SiteSource>(visit: &Visit<'_, S>, shown: &Shown) -> Reply {
    let Some(row) = &shown.current.record else {
        let words = "No signed record is known for this address: what it shows was named by its infohash.";
        return error_page::nothing_special(words, &visit.base).reply(visit.ask);
    };
    let target = row.item.target();
    let etag = format!("\"{target}-{}\"", row.item.seq);
    let kind = HeaderValue::from_static("application/octet-stream");
    let mut reply = reply::data(kind, cache::MUTABLE, row.item.encode());
    reply::site_headers(reply.headers_mut(), &visit.shared.walls, visit.wall);
    let name = format!("attachment; filename=\"{target}.record\"");
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_DISPOSITION, reply::value(&name));
    headers.insert(header::ETAG, reply::value(&etag));
    reply
}

/// All versions that are known: a table for people, JSON for programs.
pub async fn versions<S: SiteSource>(visit: &Visit<'_, S>, shown: &Shown) -> Reply {
    let source = visit.shared.shelf.source();
    let versions = match source.versions(&shown.current).await {
        Ok(versions) => versions,
        Err(err) => return visit.trouble(&err, false),
    };
    if let Some(wanted) = visit.ask.query_value("changes") {
        return changes(visit, shown, &wanted).await;
    }
    if !visit.ask.page {
        let rows: Vec<Value> = versions
            .iter()
            .map(|one| row(one, &shown.current, &visit.base))
            .collect();
        let json = format!("{}\n", Value::Array(rows));
        let mut reply = reply::data(reply::JSON, "no-cache", json);
        reply::site_headers(reply.headers_mut(), &visit.shared.walls, visit.wall);
        return reply;
    }
    let html = page::page(
        "Versions",
        html! {
            h1 { "Versions of this site" }
            (conflict(&shown.current))
            (table(&versions, &shown.current, &visit.base))
            p { a.button href={ (visit.base) "/" } { "Open the site" } }
            footer.soft { "Granary" }
        },
    );
    reply::page(StatusCode::OK, page::CSP, html)
}

/// What changed in the version of this infohash since the one before it. Both lists of files must be here.
async fn changes<S: SiteSource>(visit: &Visit<'_, S>, shown: &Shown, wanted: &str) -> Reply {
    let ih = InfoHash::from_hex(wanted);
    let pair = ih.and_then(|ih| Some((ih, shown.before(ih)?)));
    let Some((new, old)) = pair else {
        return unknown(visit.shared, visit.ask, &shown.current, &visit.base).await;
    };
    let shelf = &visit.shared.shelf;
    let (Some(after), Some(before)) = (shelf.open_local(new).await, shelf.open_local(old).await) else {
        let words = "The list of files of one of the two versions is not here. Open both versions once, then ask again.";
        return error_page::nothing_special(words, &visit.base).reply(visit.ask);
    };
    let found = changes::between(before.info(), after.info(), CHANGES_MAX);
    if !visit.ask.page {
        let json = format!("{}\n", changes_json(&found, old, new));
        let mut reply = reply::data(reply::JSON, "no-cache", json);
        reply::site_headers(reply.headers_mut(), &visit.shared.walls, visit.wall);
        return reply;
    }
    let html = page::page("What changed", changes_page(&found, &visit.base));
    reply::page(StatusCode::OK, page::CSP, html)
}

fn changes_json(found: &Changes, old: InfoHash, new: InfoHash) -> Value {
    let sized = |rows: &[(String, u64)]| -> Vec<Value> {
        rows.iter()
            .map(|(path, size)| json!({ "path": path, "size": size }))
            .collect()
    };
    let changed: Vec<Value> = found
        .changed
        .iter()
        .map(|(path, was, is)| json!({ "path": path, "was": was, "size": is }))
        .collect();
    json!({
        "from": old.to_string(),
        "to": new.to_string(),
        "added": sized(&found.added),
        "removed": sized(&found.removed),
        "changed": changed,
        "perhaps": sized(&found.perhaps),
        "more": found.more,
    })
}

fn changes_page(found: &Changes, base: &str) -> Markup {
    let size = listing::size;
    html! {
        h1 { "What changed" }
        @for (words, rows) in [
            ("New files", &found.added), ("Removed files", &found.removed), ("Perhaps changed files", &found.perhaps),
        ] {
            @if !rows.is_empty() {
                h2 { (words) }
                table { tbody { @for (path, length) in rows { tr { td { (path) } td.n { (size(*length)) } } } } }
            }
        }
        @if !found.changed.is_empty() {
            h2 { "Changed files" }
            table { tbody { @for (path, was, is) in &found.changed {
                tr { td { (path) } td.n { (size(*was)) " → " (size(*is)) } }
            } } }
        }
        @if found.more > 0 { p { "And " (found.more) " more." } }
        @if *found == Changes::default() { p { "No file differs." } }
        p { a.button href={ (base) "/." (TLD) "/versions" } { "All versions" } }
        footer.soft { "Granary" }
    }
}

/// 404 for a version that is none of this address: with the list of those that are.
pub async fn unknown<S: SiteSource>(
    shared: &Arc<Shared<S>>,
    ask: &Ask<'_>,
    current: &Current,
    base: &str,
) -> Reply {
    let trouble = error_page::no_such_version(base);
    if !ask.page {
        return trouble.reply(ask);
    }
    let versions = shared.shelf.source().versions(current).await.unwrap_or_default();
    trouble.with(table(&versions, current, base)).reply(ask)
}

/// Two values under one number: the first seen is shown, and people are told.
fn conflict(current: &Current) -> Markup {
    let row = current.record.as_deref();
    let found = row.and_then(|row| row.conflict.as_ref().map(|conflict| (row, conflict)));
    html! {
        @if let Some((row, conflict)) = found {
            p { strong { "Warning: " }
                "two different records with the number " (conflict.item.seq) " were seen, the second one on "
                (date::day(conflict.seen)) ". The first one is used. The publisher made a mistake, or somebody else has the "
                "publisher's key. The newest number now is " (row.item.seq) "." }
        }
    }
}

/// One paragraph per version rather than a table: it must fit a phone.
fn table(versions: &[Version], current: &Current, base: &str) -> Markup {
    html! {
        @for (at, one) in versions.iter().enumerate() {
            h2 {
                @match one.seq { Some(seq) => { "Number " (seq) }, None => "This version" }
                @if one.infohash == Some(current.infohash) { " · shown now" }
            }
            p {
                @if let Some(seen) = one.seen { "First seen on " (date::minute(seen)) ". " }
                (state(one)) br;
                @if let Some(ih) = &one.infohash {
                    code { (ih) } br;
                    a href=(version_link(&format!("{base}/"), ih)) { "Open" }
                    @if versions[at + 1..].iter().any(|older| older.infohash.is_some_and(|older| older != *ih)) {
                        " · " a href={ (base) "/." (TLD) "/versions?changes=" (ih) } { "What changed" }
                    }
                }
            }
        }
    }
}

fn state(version: &Version) -> String {
    match (version.infohash, version.held) {
        (None, _) => "The record named no site.".into(),
        (_, Held::Whole) => "All of it is here.".into(),
        (_, Held::Part(percent)) => format!("{percent} % of it is here."),
        (_, Held::Nothing) => "Nothing of it is here yet.".into(),
    }
}

fn row(version: &Version, current: &Current, base: &str) -> Value {
    let percent = match version.held {
        Held::Whole => 100,
        Held::Part(percent) => percent,
        Held::Nothing => 0,
    };
    let infohash = version.infohash;
    json!({
        "seq": version.seq,
        "infohash": infohash.map(|ih| ih.to_string()),
        "seen": version.seen,
        "held_percent": percent,
        "shown": infohash == Some(current.infohash),
        "open": infohash.map(|ih| version_link(&format!("{base}/"), &ih)),
    })
}
