//! Sites kept: every torrent of which the box holds something, kept or only visited.

use std::collections::HashMap;

use maud::{Markup, html};
use proto::{id::InfoHash, site::listing::natural};
use store::{Keep, SiteRow};

use super::{Answer, Visit, subscriptions};
use crate::{
    admin::{
        form::Form,
        look::{self, Confirm, words},
    },
    sites,
    swarm::Progress,
};

const ROWS: usize = 40;
/// Rows read in one go, and at most: more sites than that are not sorted on one page.
const READ: usize = 1_000;
const READ_MAX: usize = 50_000;
const NAME_MAX: usize = 60;
const AGAIN_SECS: u32 = 5;

/// One site as the pages show it.
#[derive(Debug, Clone)]
pub struct Row {
    pub site: SiteRow,
    /// While something of it is fetched.
    pub progress: Option<Progress>,
    /// The subscription it is a version of: its page and its name.
    pub of: Option<(String, String)>,
}

impl Row {
    fn bytes_held(&self) -> u64 {
        let held = u128::from(self.site.total) * u128::from(self.site.held);
        (held / u128::from(self.site.pieces.max(1))) as u64
    }

    fn name(&self) -> &str {
        if self.site.name.is_empty() {
            "without a name"
        } else {
            &self.site.name
        }
    }
}

pub async fn show(visit: Visit<'_>) -> Answer {
    let (ih, ask) = match visit.rest {
        [] => return list(&visit).await,
        [ih] => (ih, false),
        [ih, "remove"] => (ih, true),
        _ => return Answer::nowhere(),
    };
    let row = match find(&visit, ih).await {
        Ok(row) => row,
        Err(answer) => return answer,
    };
    let title = words::short(row.name(), 60);
    if ask {
        return Answer::page(title, asking(&row, visit.token()));
    }
    Answer::Page {
        status: hyper::StatusCode::OK,
        title,
        refresh_secs: (row.progress.is_some() && !row.site.complete() && !visit.query.has("stay"))
            .then_some(AGAIN_SECS),
        body: one(&row, visit.token()),
    }
}

pub async fn act(visit: Visit<'_>, form: &Form) -> Answer {
    let (ih, remove) = match visit.rest {
        [ih] if form.text("do") == Some("keep") => (ih, false),
        [ih, "remove"] => (ih, true),
        _ => return Answer::nowhere(),
    };
    let row = match find(&visit, ih).await {
        Ok(row) => row,
        Err(answer) => return answer,
    };
    let ih = row.site.infohash;
    let done = if remove {
        visit
            .handles
            .sites
            .evict(ih)
            .await
            .map_err(|err: sites::Error| err.to_string())
    } else {
        visit.handles.swarm.keep(ih).await.map_err(|err| err.to_string())
    };
    match done {
        Ok(()) if remove => Answer::see(
            "/sites",
            format!("“{}” was removed.", words::short(row.name(), 80)),
        ),
        Ok(()) => Answer::see(
            format!("/sites/{ih}"),
            "Kept: the box fetches all of it and shares it until you remove it.",
        ),
        Err(why) => Answer::unavailable(&why),
    }
}

async fn find(visit: &Visit<'_>, ih: &str) -> Result<Row, Answer> {
    let ih = InfoHash::from_hex(ih).ok_or_else(Answer::nowhere)?;
    let site = visit.handles.db.run(move |store| store.site(&ih)).await;
    let site = site.map_err(|err| Answer::unavailable(&err.to_string()))?;
    let site = site.ok_or_else(|| Answer::Trouble {
        status: hyper::StatusCode::NOT_FOUND,
        title: "This site is not here".into(),
        words: "The box holds nothing of this torrent, perhaps no longer. Nothing was changed. The page Sites kept shows what it holds.".into(),
    })?;
    Ok(Row {
        progress: visit.handles.sites.progress(ih),
        of: followed(visit).await.remove(&ih),
        site,
    })
}

/// Which subscription a torrent is a version of.
async fn followed(visit: &Visit<'_>) -> HashMap<InfoHash, (String, String)> {
    let views = visit.handles.feeds.list().await.unwrap_or_default();
    let of = |view: &crate::feeds::View| {
        let place = (
            format!("/subscriptions/{}", view.row.id),
            subscriptions::name(view).to_owned(),
        );
        view.row
            .versions
            .iter()
            .map(|(ih, _)| (*ih, place.clone()))
            .collect::<Vec<_>>()
    };
    views.iter().flat_map(of).collect()
}

async fn list(visit: &Visit<'_>) -> Answer {
    let read = visit.handles.db.run(|store| {
        let mut all: Vec<SiteRow> = Vec::new();
        while all.len() < READ_MAX {
            let part = store.sites(all.last().map(|row| row.infohash), READ)?;
            let last = part.len() < READ;
            all.extend(part);
            if last {
                break;
            }
        }
        Ok(all)
    });
    let all = match read.await {
        Ok(all) => all,
        Err(err) => return Answer::unavailable(&err.to_string()),
    };
    let mut followed = followed(visit).await;
    let rows = all.into_iter().map(|site| Row {
        progress: visit.handles.sites.progress(site.infohash),
        of: followed.remove(&site.infohash),
        site,
    });
    Answer::page("Sites kept", draw(rows.collect(), &Choice::read(visit.query)))
}

/// What the reader chose to see.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    sort: usize,
    page: usize,
    /// `kept`, `visited` or everything.
    only: Option<Keep>,
}

const SORTS: [&str; 4] = ["name", "size", "used", "given"];
const SORT_WORDS: [&str; 4] = ["name", "size", "last use", "given to others"];

impl Choice {
    pub fn read(query: &Form) -> Self {
        let sort = query
            .text("sort")
            .and_then(|word| SORTS.iter().position(|one| *one == word));
        let page = query.text("page").and_then(|page| page.parse::<usize>().ok());
        Self {
            sort: sort.unwrap_or_default(),
            page: page.unwrap_or(1).saturating_sub(1),
            only: match query.text("only") {
                Some("kept") => Some(Keep::Kept),
                Some("visited") => Some(Keep::Visited),
                _ => None,
            },
        }
    }

    fn link(&self, sort: usize, page: usize, only: Option<Keep>) -> String {
        let only = match only {
            Some(Keep::Kept) => "&only=kept",
            Some(Keep::Visited) => "&only=visited",
            None => "",
        };
        format!("/sites?sort={}&page={}{only}", SORTS[sort], page + 1)
    }
}

pub fn draw(mut rows: Vec<Row>, choice: &Choice) -> Markup {
    let all = rows.len();
    let kept = rows.iter().filter(|row| row.site.keep == Keep::Kept).count();
    rows.retain(|row| choice.only.is_none_or(|only| row.site.keep == only));
    match choice.sort {
        1 => rows.sort_by_key(|row| std::cmp::Reverse(row.site.total)),
        2 => rows.sort_by_key(|row| std::cmp::Reverse(row.site.used)),
        3 => rows.sort_by_key(|row| std::cmp::Reverse(row.site.uploaded)),
        _ => rows.sort_by(|a, b| natural(a.name(), b.name())),
    }
    let pages = rows.len().div_ceil(ROWS).max(1);
    let page = choice.page.min(pages - 1);
    let which = [
        (None, format!("All {all}")),
        (Some(Keep::Kept), format!("Kept {kept}")),
        (Some(Keep::Visited), format!("Visited {}", all - kept)),
    ];
    html! {
        h1 { "Sites kept" }
        p.lead { "What the box holds. Kept sites stay until you remove them; visited ones make room for newer ones by themselves." }
        @if all == 0 {
            p { "Nothing is here yet. " a href="/add" { "Add a site" } " or open one: what is opened is remembered for a while." }
        } @else {
            p.sort {
                span.soft { "Show" }
                @for (only, words) in &which {
                    @if *only == choice.only { strong { (words) } } @else { a href=(choice.link(choice.sort, 0, *only)) { (words) } }
                }
            }
            p.sort {
                span.soft { "Sorted by" }
                @for (sort, words) in SORT_WORDS.iter().enumerate() {
                    @if sort == choice.sort { strong { (words) } } @else { a href=(choice.link(sort, 0, choice.only)) { (words) } }
                }
            }
            @if rows.is_empty() { p { "None of this kind." } } @else { (table(rows.iter().skip(page * ROWS).take(ROWS))) }
            (look::pager(page, pages, |page| choice.link(choice.sort, page, choice.only)).unwrap_or_default())
        }
    }
}

fn table<'a>(rows: impl Iterator<Item = &'a Row>) -> Markup {
    html! {
        table.stack {
            caption { "Received and given are counted since the site came here." }
            thead { tr { th scope="col" { "Name" } th scope="col" { "State" } th.n scope="col" { "Size" } th.n scope="col" { "Received" } th.n scope="col" { "Given" } } }
            tbody { @for row in rows {
                tr {
                    th scope="row" { a href=(format!("/sites/{}", row.site.infohash)) { (words::short(row.name(), NAME_MAX)) } }
                    td { (state(row)) }
                    td.n data-is="Size" { (words::size(row.site.total)) }
                    td.n data-is="Received" { (words::size(row.site.downloaded)) }
                    td.n data-is="Given" { (words::size(row.site.uploaded)) }
                }
            } }
        }
    }
}

fn state(row: &Row) -> Markup {
    html! {
        @if row.site.keep == Keep::Kept { "Kept" } @else { "Visited" }
        @if row.site.complete() { ", all here" }
        @else { ", " (words::percent(row.site.held.into(), row.site.pieces.into())) "% here" }
        @if let Some(progress) = &row.progress {
            @if !row.site.complete() { ", " (words::count(progress.peers.into(), "holder", "holders")) ", " (words::rate(progress.down_bps)) }
        }
    }
}

pub fn one(row: &Row, token: &str) -> Markup {
    let site = &row.site;
    let path = format!("/sites/{}", site.infohash);
    let kept = site.keep == Keep::Kept;
    let percent = words::percent(site.held.into(), site.pieces.into());
    html! {
        p.soft { a href="/sites" { "Sites kept" } }
        h1 { (words::short(row.name(), 120)) }
        p.lead {
            @if kept { "Kept until you remove it, and shared with others." }
            @else { "Visited: it stays until its place is needed for newer ones." }
        }
        @if !site.complete() {
            (look::bar(percent, "How much of it is here"))
            p { (percent) "% is here: " (words::size(row.bytes_held())) " of " (words::size(site.total)) "." }
            @if row.progress.is_some() { p.hint { "This page looks again by itself every " (AGAIN_SECS) " seconds. " a href="?stay" { "Stop that" } } }
        }
        @if let Some((to, name)) = &row.of { p { "A version of " a href=(to) { (words::short(name, 80)) } ", which the box follows." } }
        div.deeds {
            a.button href=(look::open_link(&site.infohash.to_string())) { "Open" }
            @if !kept { (look::send(&path, token, &[("do", "keep")], "quiet", &format!("Keep, {} in all", words::size(site.total)))) }
            a.button.loss href=(format!("{path}/remove")) { "Remove …" }
        }
        (facts(row))
    }
}

fn facts(row: &Row) -> Markup {
    let site = &row.site;
    let mut facts = vec![
        ("Torrent", html! { code { (site.infohash) } }),
        (
            "Size",
            html! { (words::size(site.total)) ", " (words::size(row.bytes_held())) " here" },
        ),
        ("Received", html! { (words::size(site.downloaded)) }),
        ("Given to others", html! { (words::size(site.uploaded)) }),
        ("Here since", words::date(site.added)),
        ("Last used", words::date(site.used)),
    ];
    if let Some(progress) = &row.progress {
        facts.push(("Holders connected", html! { (progress.peers) }));
        facts.push((
            "Now",
            html! { "receiving " (words::rate(progress.down_bps)) ", giving " (words::rate(progress.up_bps)) },
        ));
    }
    if site.private {
        facts.push(("Private", html! { "yes: only its own trackers are told of it" }));
    }
    look::facts(&facts)
}

pub fn asking(row: &Row, token: &str) -> Markup {
    let path = format!("/sites/{}", row.site.infohash);
    let mut changes = vec![
        format!(
            "{} go from the disk, unless another site uses the same files.",
            words::size(row.bytes_held())
        ),
        "The box no longer shares it with others.".into(),
    ];
    if let Some((_, name)) = &row.of {
        changes.push(format!(
            "It is a version of “{}”, which stays followed: its newest version may be fetched again.",
            words::short(name, 80)
        ));
    }
    Confirm {
        question: &format!("Remove “{}”?", words::short(row.name(), 80)),
        changes: &changes,
        undo: "Open it again: it is then fetched from whoever still has it, perhaps nobody.",
        action: &format!("{path}/remove"),
        token,
        fields: &[],
        button: "Remove",
        back: &path,
    }
    .draw()
}
