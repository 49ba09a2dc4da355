//! A folder without an index page: a table that works without a script, at 320 pixels and in the dark.

use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};
use maud::{Markup, html};
use proto::site::{
    cache,
    listing::{self, Sort, View},
    mime, path,
    path::SitePath,
    tree::Entry,
};
use proto::{id::InfoHash, metainfo::Info};

use super::{
    SiteSource,
    body::Body,
    opened::Opened,
    page,
    reply::{self, Ask, Reply},
};

/// Files whose progress is summed for one folder row. A folder of more shows no figure.
pub const SUMMED_MAX: usize = 2_000;

struct Row<'a> {
    entry: &'a Entry<'a>,
    /// Bytes held; `None` when it would cost too much to know.
    held: Option<u64>,
}

/// Draws `folder`. `base`: the URL path before the site's root. `held`: bytes of a file that are here.
pub fn reply<S: SiteSource>(
    ask: &Ask<'_>,
    opened: &Opened<S>,
    folder: &SitePath,
    base: &str,
    held: impl Fn(usize) -> u64,
) -> Reply {
    let info = opened.info();
    let parts: Vec<&str> = folder.components.iter().map(String::as_str).collect();
    let span = opened.tree.folder(info, &parts).unwrap_or((0, 0));
    let mut entries = opened.tree.entries(info, span, parts.len());
    let total: u64 = entries
        .iter()
        .fold(0, |sum, entry| sum.saturating_add(entry.size));
    let count = entries.len();
    let mut view = View::parse(ask.query());
    let (shown, pages) = listing::page(&mut entries, &mut view);
    let rows: Vec<Row<'_>> = shown
        .iter()
        .map(|entry| Row {
            entry,
            held: (entry.span.1 - entry.span.0 <= SUMMED_MAX)
                .then(|| opened.tree.files(entry.span).map(&held).sum()),
        })
        .collect();
    let whole = rows.iter().all(|row| row.held == Some(row.entry.size));
    let mut sum = crc32fast::Hasher::new();
    sum.update(folder.to_url().as_bytes());
    sum.update(view.query().as_bytes());
    sum.update(base.as_bytes());
    for row in &rows {
        sum.update(&row.held.unwrap_or_default().to_le_bytes());
    }
    let etag = cache::listing_etag(&opened.ih, sum.finalize());
    if ask
        .header(&header::IF_NONE_MATCH)
        .is_some_and(|tags| cache::none_match(tags, &etag))
    {
        let mut reply = Reply::new(Body::empty());
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        mark(&mut reply, &etag, whole, &opened.ih, folder);
        return reply;
    }
    let place = Place {
        info,
        ih: opened.ih,
        folder,
        base,
        view,
        pages,
        count,
        total,
    };
    let mut reply = reply::page(StatusCode::OK, page::CSP, place.draw(&rows));
    mark(&mut reply, &etag, whole, &opened.ih, folder);
    reply
}

fn mark(reply: &mut Reply, etag: &str, whole: bool, ih: &InfoHash, folder: &SitePath) {
    let cache = if whole {
        cache::LISTING
    } else {
        cache::LISTING_GROWING
    };
    let headers = reply.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::ETAG, reply::value(etag));
    headers.insert(reply::X_BT_ROOTS, reply::value(&ih.to_string()));
    headers.insert(reply::X_BT_PATH, reply::value(&folder.to_url()));
}

struct Place<'a> {
    info: &'a Info,
    ih: InfoHash,
    folder: &'a SitePath,
    base: &'a str,
    view: View,
    pages: usize,
    count: usize,
    total: u64,
}

impl Place<'_> {
    fn draw(&self, rows: &[Row<'_>]) -> String {
        let name = &self.info.name;
        let title = self.folder.components.last().unwrap_or(name);
        let archive = |format: &str| {
            let below = path::join(&self.folder.components);
            format!("{}/.{}/{format}?path={below}/", self.base, proto::name::TLD)
        };
        page::page(
            title,
            html! {
                @if !self.folder.components.is_empty() { p.soft { (self.crumbs()) } }
                h1 { (title) }
                p.soft {
                    (self.count) @if self.count == 1 { " entry · " } @else { " entries · " }
                    (listing::size(self.total))
                    " · " a href=(archive("zip")) { "ZIP" } " · " a href=(archive("tar")) { "TAR" }
                }
                table {
                    thead { tr {
                        th { (self.sorted(Sort::Name, "Name")) }
                        th.n { (self.sorted(Sort::Size, "Size")) }
                        th.n { "Here" }
                    } }
                    tbody {
                        @if !self.folder.components.is_empty() {
                            tr { td { a href="../" { "../" } } td {} td {} }
                        }
                        @for row in rows { (draw_row(row)) }
                    }
                }
                @if self.pages > 1 { p { (self.pager()) } }
                footer.soft { "Granary · " code { (self.ih) } }
            },
        )
    }

    /// The way from the site's root to here.
    fn crumbs(&self) -> Markup {
        let parts = &self.folder.components;
        html! {
            a href=(format!("{}/", self.base)) { (self.info.name) }
            @for (index, part) in parts.iter().enumerate() {
                " / "
                @if index + 1 == parts.len() { (part) }
                @else { a href=(format!("{}{}/", self.base, path::join(&parts[..=index]))) { (part) } }
            }
        }
    }

    fn sorted(&self, sort: Sort, words: &str) -> Markup {
        let same = self.view.sort == sort;
        let view = View {
            sort,
            descending: same && !self.view.descending,
            page: 0,
        };
        let arrow = match (same, self.view.descending) {
            (true, false) => " ↑",
            (true, true) => " ↓",
            (false, _) => "",
        };
        html! { a href=(format!("?{}", view.query())) { (words) (arrow) } }
    }

    fn pager(&self) -> Markup {
        let to = |page: usize| format!("?{}", View { page, ..self.view }.query());
        let page = self.view.page;
        html! {
            @if page > 0 { a href=(to(page - 1)) { "← Back" } " " }
            span.soft { "Page " (page + 1) " of " (self.pages) }
            @if page + 1 < self.pages { " " a href=(to(page + 1)) { "Next →" } }
        }
    }
}

fn draw_row(row: &Row<'_>) -> Markup {
    let entry = row.entry;
    let slash = if entry.file.is_none() { "/" } else { "" };
    // `./` keeps a name like `a:b` from being read as a scheme.
    let to = format!("./{}{slash}", path::escape(entry.name));
    let kind = mime::by_name(entry.name).filter(|_| entry.file.is_some());
    html! {
        tr {
            td { a href=(to) type=[kind] { (entry.name) (slash) } }
            td.n { (listing::size(entry.size)) }
            td.n { @match row.held {
                Some(held) => { (listing::percent(held, entry.size)) "%" }
                None => "–"
            } }
        }
    }
}
