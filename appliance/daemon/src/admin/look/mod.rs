//! Layout of every admin page: one style, no script, nothing loaded from anywhere; the same page for a television, a text
//! browser and a printer.
//!
//! Reading order: this file (the page around the content), `style`, `form` (fields with their labels and errors, the page
//! that asks before something is lost), `words` (dates, sizes, counts).

mod form;
mod style;
pub mod words;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use form::{Confirm, Field, errors, hidden, send};

use super::access::Person;
use crate::gateway;

/// The ways from every page, in reading order.
pub const WAYS: [(&str, &str); 12] = [
    ("/", "Home"),
    ("/add", "Add a site"),
    ("/subscriptions", "Subscriptions"),
    ("/sites", "Sites kept"),
    ("/storage", "Storage"),
    ("/network", "Network"),
    ("/devices", "Devices"),
    ("/dns", "Names"),
    ("/sharing", "Sharing"),
    ("/people", "People"),
    ("/log", "Log"),
    ("/about", "About"),
];

/// An ear of grain; inside the page, so that no browser asks for another file.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' \
                    height='16' rx='3' fill='%230b6b4f'/%3E%3Cpath d='M8 2v12M8 6 5 4m3 5L5 7m3 5-3-2m3-4 3-2M8 9l3-2m-3 5 3-2' \
                    stroke='%23fff' fill='none'/%3E%3C/svg%3E";

/// What stands around a page's content.
pub struct Frame<'a> {
    pub title: &'a str,
    pub body: Markup,
    /// Without one: no ways, no way out.
    pub person: Option<&'a Person>,
    /// The page's path, which marks its way.
    pub here: &'a str,
    /// What the last change did.
    pub notice: Option<&'a str>,
}

/// A whole page.
pub fn page(frame: &Frame<'_>) -> String {
    let Frame {
        title, body, person, ..
    } = frame;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                link rel="icon" href=(ICON);
                title { (title) @if *title != "Granary" { " – Granary" } }
                style { (PreEscaped(gateway::STYLE)) (PreEscaped(style::STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.brand href="/" { "Granary" }
                    @if let Some(person) = person {
                        form action="/logout" method="post" {
                            (hidden("token", &person.token))
                            span.soft { (person.name) " " }
                            button.quiet type="submit" { "Log out" }
                        }
                    }
                }
                @if person.is_some() { (ways(frame.here)) }
                main id="main" tabindex="-1" {
                    @if let Some(notice) = frame.notice { p.notice role="status" { (notice) } }
                    (body)
                }
            }
        }
    }
    .into_string()
}

fn ways(here: &str) -> Markup {
    let current = |path: &str| match path {
        "/" => here == "/",
        path => here == path || here.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')),
    };
    html! {
        nav aria-label="Pages" {
            ul {
                @for (path, words) in WAYS {
                    li { a href=(path) aria-current=[current(path).then_some("page")] { (words) } }
                }
            }
        }
    }
}

/// Rows of a name and what it is, as on Storage and Network.
pub fn facts(rows: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts { @for (name, value) in rows { div { dt { (name) } dd { (value) } } } }
    }
}

/// Where a site opens, by the way this device can go: the gateway decides.
pub fn open_link(address: &str) -> String {
    let escaped: String = form_urlencoded::byte_serialize(address.as_bytes()).collect();
    format!("/open?uri={escaped}")
}

/// How far something is: a bar that a text browser reads as words.
pub fn bar(percent: u8, label: &str) -> Markup {
    html! { progress max="100" value=(percent) aria-label=(label) { (percent) "%" } }
}

/// A link to another page of a long list; `None` when there is one page only.
pub fn pager(page: usize, pages: usize, to: impl Fn(usize) -> String) -> Option<Markup> {
    (pages > 1).then(|| {
        html! {
            nav.pager aria-label="Pages of this list" {
                @if page > 0 { a rel="prev" href=(to(page - 1)) { "← Before" } }
                span { "Page " (page + 1) " of " (pages) }
                @if page + 1 < pages { a rel="next" href=(to(page + 1)) { "Next →" } }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(person: Option<&Person>) -> String {
        page(&Frame {
            title: "<b>&\"'",
            body: html! { h1 { "x" } },
            person,
            here: "/subscriptions/00",
            notice: Some("<img src=x>"),
        })
    }

    #[test]
    fn what_strangers_named_is_only_text() {
        let text = draw(Some(&Person {
            name: "\"><i>".into(),
            role: store::Role::Owner,
            token: "\"><u>".into(),
        }));
        for raw in ["<b>", "<img", "<i>", "<u>"] {
            assert!(!text.contains(raw), "{raw} in {text}");
        }
    }

    #[test]
    fn the_way_to_this_page_is_marked_also_below_it() {
        let owner = Person {
            name: "owner".into(),
            role: store::Role::Owner,
            token: "t".into(),
        };
        let text = draw(Some(&owner));
        assert_eq!(text.matches("aria-current=").count(), 1);
        assert!(text.contains(r#"href="/subscriptions" aria-current="page""#));
        assert!(!draw(None).contains("<nav"), "a stranger sees no ways");
    }

    #[test]
    fn the_empty_page_leaves_room_for_content() {
        assert!(draw(None).len() < 8_000, "{}", draw(None).len());
    }
}
