//! Subscriptions: what the household follows, as a list that stays usable with 500 rows.

use maud::{Markup, html};
use proto::{feed::state::State, site::listing::natural};

use super::{Answer, Visit};
use crate::{
    admin::{
        form::Form,
        look::{self, words},
    },
    feeds::View,
};

/// Rows of one page: with 48 of them the longest names stay below 30 KB.
const ROWS: usize = 48;
/// Characters of a name in a list.
const NAME_MAX: usize = 42;

pub async fn show(visit: Visit<'_>) -> Answer {
    match visit.handles.feeds.list().await {
        Ok(views) => Answer::page("Subscriptions", draw(views, &Choice::read(visit.query))),
        Err(err) => Answer::unavailable(&err.to_string()),
    }
}

/// What the reader chose to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    sort: Sort,
    page: usize,
    /// Part of a name.
    find: String,
    /// Only what waits for a person.
    look: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Sort {
    #[default]
    Name,
    Changed,
    State,
    Size,
}

const SORTS: [(Sort, &str, &str); 4] = [
    (Sort::Name, "name", "name"),
    (Sort::Changed, "changed", "last change"),
    (Sort::State, "state", "state"),
    (Sort::Size, "size", "size"),
];

impl Choice {
    pub fn read(query: &Form) -> Self {
        let sort = query.text("sort").unwrap_or_default();
        let page = query.text("page").and_then(|page| page.parse::<usize>().ok());
        Self {
            sort: SORTS
                .iter()
                .find(|(_, word, _)| *word == sort)
                .map_or(Sort::Name, |(sort, ..)| *sort),
            page: page.unwrap_or(1).saturating_sub(1),
            find: words::short(query.text("find").unwrap_or_default(), 100),
            look: query.has("look"),
        }
    }

    fn link(&self, sort: Sort, page: usize) -> String {
        let word = SORTS
            .iter()
            .find(|(one, ..)| *one == sort)
            .map_or("name", |(_, word, _)| word);
        let mut query = form_urlencoded::Serializer::new(String::new());
        if sort != Sort::Name {
            query.append_pair("sort", word);
        }
        if page > 0 {
            query.append_pair("page", &(page + 1).to_string());
        }
        if !self.find.is_empty() {
            query.append_pair("find", &self.find);
        }
        if self.look {
            query.append_pair("look", "1");
        }
        match query.finish() {
            query if query.is_empty() => "/subscriptions".into(),
            query => format!("/subscriptions?{query}"),
        }
    }

    fn wants(&self, view: &View) -> bool {
        let find = self.find.to_lowercase();
        (!self.look || waits(view)) && (find.is_empty() || name(view).to_lowercase().contains(&find))
    }

    fn order(&self, views: &mut [View]) {
        match self.sort {
            Sort::Name => {}
            Sort::Changed => views.sort_by_key(|view| std::cmp::Reverse(view.row.last_changed)),
            Sort::State => views.sort_by_key(|view| (!waits(view), rank(&view.state))),
            Sort::Size => views.sort_by_key(|view| std::cmp::Reverse(view.bytes)),
        }
    }
}

/// What the household calls it, else what its torrent is called, else its address.
pub fn name(view: &View) -> &str {
    [&view.row.title, &view.row.name, &view.row.address]
        .into_iter()
        .map(|text| text.trim())
        .find(|text| !text.is_empty())
        .unwrap_or("without a name")
}

/// A person must decide something.
pub fn waits(view: &View) -> bool {
    let conflict = view
        .record
        .as_ref()
        .is_some_and(|record| record.conflict.is_some());
    conflict || matches!(view.state, State::Asking { .. })
}

fn rank(state: &State) -> u8 {
    match state {
        State::Asking { .. } => 0,
        State::NotASite => 1,
        State::NeverSeen => 2,
        State::Silent { .. } => 3,
        State::Updating { .. } => 4,
        State::UpToDate => 5,
        State::Paused => 6,
        State::Blocked => 7,
    }
}

/// The state in few words; where a person must look, with a mark besides the colour.
pub fn state(view: &View) -> Markup {
    let conflict = view
        .record
        .as_ref()
        .is_some_and(|record| record.conflict.is_some());
    html! {
        @if conflict { span.late { "! Two versions under one number" } br; }
        @match &view.state {
            State::Blocked => "Blocked",
            State::Paused => "Paused",
            State::NeverSeen => "Not seen yet",
            State::Asking { bytes } => span.late { "? Waits for your word: " (words::size(*bytes)) },
            State::Updating { percent } => { "Updating, " (percent) "%" },
            State::Silent { since } => { "Publisher silent since " (words::day(*since)) },
            State::NotASite => span.late { "! Holds no site" },
            State::UpToDate => "Up to date",
        }
    }
}

pub fn draw(mut views: Vec<View>, choice: &Choice) -> Markup {
    let all = views.len();
    let waiting = views.iter().filter(|view| waits(view)).count();
    views.sort_by(|a, b| natural(name(a), name(b)));
    views.retain(|view| choice.wants(view));
    choice.order(&mut views);
    let pages = views.len().div_ceil(ROWS).max(1);
    let page = choice.page.min(pages - 1);
    let rows: Vec<&View> = views.iter().skip(page * ROWS).take(ROWS).collect();
    html! {
        h1 { "Subscriptions" }
        p.lead { "Sites the box follows: it looks for new versions by itself, keeps them, and gives them to others." }
        div.deeds { a.button href="/add" { "Add a site" } }
        @if waiting > 0 && !choice.look {
            p.notice.is-warn { a href="/subscriptions?look=1" { (words::count(waiting as u64, "subscription waits", "subscriptions wait")) " for your word" } }
        }
        @if all == 0 {
            p { "Nothing is followed yet. Paste what a friend sent you – a magnet link, a key or an address – on " a href="/add" { "Add a site" } ". You see what it is and how large before anything is downloaded." }
        } @else {
            @if all > 10 { (finder(choice)) }
            @if views.len() > 1 { (sorts(choice)) }
            @if views.is_empty() {
                p { "No subscription fits. " a href="/subscriptions" { "Show all " (all) } }
            } @else {
                (table(&rows, views.len(), all))
            }
            (look::pager(page, pages, |page| choice.link(choice.sort, page)).unwrap_or_default())
            @if (!choice.find.is_empty() || choice.look) && !views.is_empty() { p { a href="/subscriptions" { "Show all " (all) } } }
        }
    }
}

fn finder(choice: &Choice) -> Markup {
    html! {
        form.ask action="/subscriptions" method="get" role="search" {
            input name="find" type="search" aria-label="Part of a name" placeholder="part of a name" value=(choice.find);
            button.quiet type="submit" { "Find" }
        }
    }
}

fn sorts(choice: &Choice) -> Markup {
    html! {
        p.sort {
            span.soft { "Sorted by" }
            @for (sort, _, words) in SORTS {
                @if sort == choice.sort { strong { (words) } }
                @else { a href=(choice.link(sort, 0)) { (words) } }
            }
        }
    }
}

fn table(rows: &[&View], shown: usize, all: usize) -> Markup {
    html! {
        table.stack {
            caption {
                @if shown == all { (words::count(all as u64, "subscription", "subscriptions")) }
                @else { (shown) " of " (words::count(all as u64, "subscription", "subscriptions")) }
            }
            thead { tr { th scope="col" { "Name" } th scope="col" { "State" } th scope="col" { "Last change" } th.n scope="col" { "Size" } } }
            tbody {
                @for view in rows {
                    tr {
                        th scope="row" { a href=(format!("/subscriptions/{}", view.row.id)) { (words::short(name(view), NAME_MAX)) } }
                        td { (state(view)) }
                        td data-is="Last change" { (words::day(view.row.last_changed)) }
                        td.n data-is="Size" { @match view.bytes { Some(bytes) => (words::size(bytes)), None => "not known" } }
                    }
                }
            }
        }
    }
}
