//! Block lists: which ones are used, how fresh they are, more of them.

use hyper::StatusCode;
use maud::{Markup, html};

use crate::{
    admin::{
        form::Form,
        look::{self, Confirm, Field, words},
        pages::{Answer, Visit},
    },
    blocklists::{Blocklists, Error, Facts, ListFacts, SUGGESTED},
};

/// Characters shown of an address.
const URL_MAX: usize = 48;
/// And of what a stranger's list is called.
const NAME_MAX: usize = 32;
const PATH: &str = "/dns/lists";
/// While lists are fetched the page looks again.
const REFRESH_SECS: u32 = 3;

/// What stands in the form for a further list.
#[derive(Debug, Default, Clone)]
pub struct Typed {
    pub name: String,
    pub url: String,
    pub text: String,
    pub error: Option<String>,
}

pub fn show(visit: &Visit<'_>, rest: &[&str]) -> Answer {
    let lists = &visit.handles.blocklists;
    match rest {
        [] => page(visit, &Typed::default()),
        [id, "remove"] => match find(lists, id) {
            Some(list) => Answer::page("Remove a list", asking(&list, visit.token())),
            None => Answer::nowhere(),
        },
        _ => Answer::nowhere(),
    }
}

pub async fn act(visit: &Visit<'_>, rest: &[&str], form: &Form) -> Answer {
    let lists = &visit.handles.blocklists;
    let done = match rest {
        ["refresh"] => {
            lists.refresh();
            Ok("Each list is looked at now. This page looks again by itself.")
        }
        ["add"] => return add(visit, form).await,
        [id, "on"] => switch(lists, id, true).await.map(|()| "It counts from now on."),
        [id, "off"] => switch(lists, id, false)
            .await
            .map(|()| "It blocks nothing any more."),
        [id, "remove"] => match id.parse() {
            Ok(id) => lists.remove(id).await.map(|()| "The list was removed."),
            Err(_) => Err(Error::Unknown),
        },
        _ => return Answer::nowhere(),
    };
    match done {
        Ok(notice) => Answer::see(PATH, notice),
        Err(err) => refused(&err),
    }
}

async fn switch(lists: &Blocklists, id: &str, on: bool) -> Result<(), Error> {
    match id.parse() {
        Ok(id) => lists.set_enabled(id, on).await,
        Err(_) => Err(Error::Unknown),
    }
}

async fn add(visit: &Visit<'_>, form: &Form) -> Answer {
    let text = |name: &str| form.text(name).unwrap_or_default().to_owned();
    let mut typed = Typed {
        name: text("name"),
        url: text("url"),
        text: text("text"),
        error: None,
    };
    let lists = &visit.handles.blocklists;
    let added = match (typed.url.as_str(), typed.text.as_str()) {
        ("", "") => Err(Error::Refused("write an address, or paste a list".into())),
        ("", pasted) => lists.add_text(&typed.name, pasted.to_owned().into()).await,
        (url, "") => lists.add_url(&typed.name, url).await,
        _ => Err(Error::Refused(
            "write an address or paste a list, not both".into(),
        )),
    };
    match added {
        Ok(_) => Answer::see(PATH, "Added. It blocks as soon as it is here and blocking is on."),
        Err(Error::Refused(why)) => {
            typed.error = Some(words::sentence(&why));
            // Pasted again by whoever has it: a page stays small.
            typed.text.clear();
            page(visit, &typed)
        }
        Err(err) => refused(&err),
    }
}

fn refused(err: &Error) -> Answer {
    match err {
        Error::Unknown => Answer::nowhere(),
        Error::Refused(why) => Answer::Trouble {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            title: "This cannot be done".into(),
            words: format!("{} Nothing was changed.", words::sentence(why)),
        },
        Error::Store(why) => Answer::unavailable(why),
    }
}

fn page(visit: &Visit<'_>, typed: &Typed) -> Answer {
    let facts = visit.handles.blocklists.facts();
    let body = draw(&facts, typed, visit.token());
    if typed.error.is_some() {
        return Answer::refused("Block lists", body);
    }
    Answer::Page {
        status: StatusCode::OK,
        title: "Block lists".into(),
        body,
        refresh_secs: facts.working.then_some(REFRESH_SECS),
    }
}

/// For the page that leads here.
pub fn summary(facts: &Facts) -> Markup {
    let on = facts.lists.iter().filter(|list| list.enabled).count() as u64;
    html! {
        p {
            a href=(PATH) { @if facts.lists.is_empty() { "Choose a list" } @else { (words::count(facts.lists.len() as u64, "list", "lists")) } }
            @if !facts.lists.is_empty() { ", " (words::grouped(on)) " of them on, with " (words::count(facts.names, "name", "names")) "." }
        }
    }
}

fn find(lists: &Blocklists, id: &str) -> Option<ListFacts> {
    let id: u32 = id.parse().ok()?;
    lists.facts().lists.into_iter().find(|list| list.id == id)
}

pub fn draw(facts: &Facts, typed: &Typed, token: &str) -> Markup {
    let errors: Vec<(&str, &str)> = typed.error.iter().map(|text| ("url", text.as_str())).collect();
    html! {
        (look::errors(&errors))
        h1 { "Block lists" }
        p.lead { "Lists of names that others keep up to date. While blocking is on, each is looked at once a day." }
        @if facts.working { p.notice role="status" { "Lists are being fetched. This page looks again by itself." } }
        @if let Some(trouble) = &facts.trouble { div.light.is-warn { h2 { "▲ Not all is as the lists say" } p { (words::sentence(&words::short(trouble, 300))) } } }
        @if facts.lists.is_empty() { p { "None is used yet." } }
        @else {
            p { (words::count(facts.names, "name", "names")) " in all, each counted once." }
            ul.cards { @for list in &facts.lists { (card(list, token)) } }
            @if !facts.working { div.deeds { (look::send("/dns/lists/refresh", token, &[], "quiet", "Update now")) } }
        }
        (suggestions(facts, token))
        h2 { "Another list" }
        form action="/dns/lists/add" method="post" {
            (look::hidden("token", token))
            (Field::new("name", "What you call it").value(&words::short(&typed.name, 80)).hint("Empty: after its address.").draw())
            (Field::new("url", "Its address").value(&words::short(&typed.url, 300)).error(typed.error.as_deref()).hint("Begins with https://. Hosts files, plain lists of names, and lists for ad blockers are understood.").draw())
            (Field::new("text", "Or paste the list itself").kind("area").value(&typed.text).hint("Up to 1 MB. It then never changes by itself.").draw())
            button type="submit" { "Add" }
        }
        p { a href="/dns/blocking" { "Back to blocking" } }
    }
}

fn card(list: &ListFacts, token: &str) -> Markup {
    let path = format!("{PATH}/{}", list.id);
    html! {
        li {
            p { strong { (words::short(&list.name, NAME_MAX)) } @if !list.enabled { " – off" } }
            @match &list.url { Some(url) => p.soft { (words::short(url, URL_MAX)) }, None => p.soft { "Pasted" } }
            p {
                @match list.fetched_secs { Some(at) => { "From " (words::date(at)) ", " (words::size(list.bytes)) }, None => "Not here yet" }
                @if let Some(names) = list.names { ", " (words::count(names, "name", "names")) }
                @if list.left_out > 0 { ", " (words::grouped(list.left_out)) " lines that DNS cannot follow" }
                "."
            }
            @if let Some(trouble) = &list.trouble { p.late { (words::sentence(&words::short(trouble, 120))) } }
            div.deeds {
                (look::send(&format!("{path}/{}", if list.enabled { "off" } else { "on" }), token, &[], "quiet", if list.enabled { "Switch off" } else { "Switch on" }))
                a href=(format!("{path}/remove")) aria-label=(format!("Remove {}", words::short(&list.name, 40))) { "Remove …" }
            }
        }
    }
}

fn suggestions(facts: &Facts, token: &str) -> Markup {
    let here = |url: &str| facts.lists.iter().any(|list| list.url.as_deref() == Some(url));
    let all: Vec<_> = SUGGESTED.iter().filter(|one| !here(one.url)).collect();
    html! {
        @if !all.is_empty() {
            h2 { "Well-known lists" }
            p.hint { "One is enough for most homes. What they block is their makers’ decision, not this box’s." }
            ul.cards {
                @for one in all {
                    li {
                        p { strong { (one.name) } " – " (one.about) }
                        div.deeds { (look::send("/dns/lists/add", token, &[("name", one.name), ("url", one.url)], "quiet", &format!("Add {}", one.name))) }
                    }
                }
            }
        }
    }
}

fn asking(list: &ListFacts, token: &str) -> Markup {
    Confirm {
        question: &format!("Remove “{}”?", words::short(&list.name, NAME_MAX)),
        changes: &[
            "Its names are no longer blocked, unless another list has them.".into(),
            "Its text goes from the disk.".into(),
        ],
        undo: "Add it again by its address.",
        action: &format!("{PATH}/{}/remove", list.id),
        token,
        fields: &[],
        button: "Remove",
        back: PATH,
    }
    .draw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_how_fresh_it_is_and_a_suggestion_that_is_used_is_not_made_again() {
        let list = ListFacts {
            id: 3,
            name: "<b>ads".into(),
            url: Some(SUGGESTED[0].url.into()),
            enabled: true,
            fetched_secs: Some(1_795_224_000),
            bytes: 1_000_000,
            names: Some(45_000),
            left_out: 12,
            trouble: Some("the server answered 500".into()),
        };
        let facts = Facts {
            lists: vec![list],
            names: 45_000,
            ..Facts::default()
        };
        let text = draw(&facts, &Typed::default(), "t").into_string();
        for part in [
            "&lt;b&gt;ads",
            "45,000 names",
            "12 lines that DNS cannot follow",
            "/dns/lists/3/off",
            "The server answered 500.",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains(&format!("Add {}", SUGGESTED[0].name)));
        assert!(text.contains(&format!("Add {}", SUGGESTED[1].name)));
        assert!(summary(&facts).into_string().contains("1 list"));
        assert!(summary(&Facts::default()).into_string().contains("Choose a list"));
    }
}
