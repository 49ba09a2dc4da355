//! What every page promises, drawn from a household of 500 subscriptions with hostile names.

mod lan_pages;
mod sample;

use std::time::{Duration, Instant};

use maud::Markup;
use proto::{
    feed::{changes::Changes, state::State},
    name::Address,
};
use store::Role;

use self::sample::HOSTILE;
use super::{
    about, add, home,
    log::{self, Least},
    network, sharing, sites, start, storage, subscription, subscriptions,
};
use crate::{
    admin::{access::Person, form::Form, look},
    api::Addresses,
    feeds::Preview,
    journal::Line,
    links::Link,
    sharing::{Given, Settings},
};

const BYTES_MAX: usize = 30_000;

fn query(fields: &[(&str, &str)]) -> Form {
    Form(
        fields
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
    )
}

fn preview(follows: bool) -> Preview {
    Preview {
        address: if follows {
            Address::Domain(HOSTILE.into())
        } else {
            Address::Torrent(sample::hash(1))
        },
        id: None,
        link: Some(Link {
            address: Address::Torrent(sample::hash(1)),
            kind: proto::link::Kind::Btlink,
            signed: false,
            via: vec![HOSTILE.into(); 3],
            ttl_secs: 60,
        }),
        infohash: Some(sample::hash(1)),
        name: Some(HOSTILE.repeat(9)),
        bytes: Some(34_000_000),
        held_bytes: 1_000_000,
        files: Some(312),
        peers: 4,
        record: Some(Box::new(sample::record(3))),
        followed: false,
        changes: follows,
        asks: true,
        trouble: Some(HOSTILE.into()),
        unfinished: false,
    }
}

/// Every page by name, as full and as hostile as it gets.
fn pages() -> Vec<(&'static str, Markup)> {
    let token = &"a7".repeat(32);
    let mut pages = of_subscriptions(token);
    pages.extend(of_adding(token));
    pages.extend(of_the_box(token));
    pages.extend(lan_pages::pages(token));
    pages
}

fn changes() -> Changes {
    let many = |count: usize| {
        (0..count)
            .map(|n| (format!("{n}/{}", HOSTILE.repeat(9)), 1_000_000))
            .collect::<Vec<_>>()
    };
    Changes {
        added: many(500),
        removed: many(500),
        changed: many(500)
            .into_iter()
            .map(|(path, size)| (path, size, size))
            .collect(),
        perhaps: many(500),
        more: 7,
    }
}

fn of_subscriptions(token: &str) -> Vec<(&'static str, Markup)> {
    use subscription::{asking, drawing, versions};
    let views = || sample::household(500);
    let one = sample::view(7, HOSTILE, State::Asking { bytes: 3_000_000_000 });
    let typed = drawing::Typed {
        title: HOSTILE.into(),
        petname: HOSTILE.into(),
        quota: HOSTILE.into(),
        keep: HOSTILE.into(),
        errors: ["title", "petname", "quota", "keep"]
            .map(|field| (field, HOSTILE.into()))
            .into(),
    };
    let shown = drawing::Shown { token, page: 0 };
    let choice = |fields: &[(&str, &str)]| subscriptions::Choice::read(&query(fields));
    let searched = choice(&[("find", HOSTILE), ("sort", "size"), ("page", "3")]);
    let (old, new) = (sample::hash(1), sample::hash(0));
    vec![
        ("subscriptions", subscriptions::draw(views(), &choice(&[]))),
        ("subscriptions, searched", subscriptions::draw(views(), &searched)),
        (
            "subscriptions, none",
            subscriptions::draw(Vec::new(), &choice(&[])),
        ),
        ("subscription", drawing::draw(&one, &typed, &shown)),
        ("unfollow", asking::unfollow(&one, token)),
        ("block", asking::block(&one, token)),
        ("remove a version", asking::remove(&one, sample::hash(3), token)),
        ("changes", versions::changes(&one, old, new, Ok(&changes()))),
        (
            "no changes",
            versions::changes(&one, old, new, Err(HOSTILE.into())),
        ),
    ]
}

fn of_adding(token: &str) -> Vec<(&'static str, Markup)> {
    let asked = |follows| add::Asked {
        text: HOSTILE,
        token,
        follows,
        id: None,
    };
    let turned = sites::Choice::read(&query(&[("sort", HOSTILE), ("page", "2")]));
    vec![
        ("add", add::blank(HOSTILE, Some(HOSTILE))),
        ("looking", asked(true).waiting()),
        ("preview", asked(true).draw(&preview(true))),
        ("preview of a torrent", asked(false).draw(&preview(false))),
        (
            "sites",
            sites::draw((0..5_000).map(sample::site).collect(), &turned),
        ),
        ("site", sites::one(&sample::site(3), token)),
        ("remove a site", sites::asking(&sample::site(2), token)),
    ]
}

fn of_the_box(token: &str) -> Vec<(&'static str, Markup)> {
    let lines: Vec<Line> = (0..2_000)
        .map(|at| Line {
            at: sample::NOW - at,
            level: ["error", "warn", "info"][at as usize % 3],
            room: HOSTILE.into(),
            text: HOSTILE.repeat(40),
        })
        .collect();
    let proxy = ([192, 168, 1, 2], 42080).into();
    let typed = sharing::Typed::from(&query(&[("up", HOSTILE), ("from1", HOSTILE)]));
    let (settings, given) = (Settings::default(), Given::default());
    let limits = storage::Typed {
        errors: vec![("quota", HOSTILE.into())],
        ..storage::Typed::from(&query(&[("quota", HOSTILE), ("keep", HOSTILE)]))
    };
    let facts = about::Facts {
        version: "1",
        up_secs: 5,
        now: sample::NOW,
    };
    vec![
        ("start", start::draw(proxy, true)),
        ("start, not claimed", start::draw(proxy, false)),
        ("home", home::draw(&sample::home(sample::household(500)))),
        ("home, empty", home::draw(&sample::home(Vec::new()))),
        (
            "storage",
            storage::draw(&sample::usage(), Some(HOSTILE), &limits, Some(token)),
        ),
        (
            "reach",
            network::reach::draw(&Addresses::default(), &sample::network(), proxy),
        ),
        ("sharing", sharing::draw(&settings, &given, &typed, Some(token))),
        ("log", log::draw(&lines, Least::Info)),
        ("about", about::draw(&facts)),
    ]
}

fn whole(title: &str, body: Markup) -> String {
    let person = Person {
        name: HOSTILE.into(),
        role: Role::Owner,
        token: "t".repeat(64),
    };
    look::page(&look::Frame {
        title,
        body,
        person: Some(&person),
        here: "/",
        notice: Some(HOSTILE),
    })
}

/// The tags of a page as written.
fn tags(page: &str) -> impl Iterator<Item = &str> {
    page.split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag))
}

/// The value of an attribute of a tag.
fn value<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

#[test]
fn nothing_that_strangers_wrote_leaves_its_place() {
    for (name, body) in pages() {
        let page = whole(name, body);
        let style = page.find("</style>").expect("every page has one");
        for tag in tags(&page[style + 8..]) {
            let word = tag.split([' ', '\n']).next().unwrap_or_default();
            assert!(
                !matches!(word, "script" | "img" | "style" | "iframe" | "object"),
                "{name}: <{tag}>"
            );
            // Values are quoted and quotes in them escaped, so that what is left are names.
            let names: String = tag.split('"').step_by(2).collect();
            assert!(!names.contains(" on"), "{name}: <{tag}>");
            for link in [value(tag, "href"), value(tag, "action")].into_iter().flatten() {
                assert!(link.starts_with(['/', '#', '?']), "{name}: a link to {link}");
            }
        }
    }
}

#[test]
fn every_page_is_below_30_kilobytes_also_with_500_subscriptions() {
    for (name, body) in pages() {
        let bytes = whole(name, body).len();
        println!("{name}: {bytes} bytes");
        assert!(bytes < BYTES_MAX, "{name}: {bytes} bytes");
    }
}

#[test]
fn every_field_has_a_label_and_every_page_one_heading() {
    for (name, body) in pages() {
        let page = body.into_string();
        assert_eq!(page.matches("<h1").count(), 1, "{name}");
        let labels: Vec<&str> = tags(&page)
            .filter(|tag| tag.starts_with("label "))
            .filter_map(|tag| value(tag, "for"))
            .collect();
        let mut ids: Vec<&str> = tags(&page).filter_map(|tag| value(tag, "id")).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{name}: an id stands twice");
        for tag in tags(&page) {
            let field = ["input ", "textarea ", "select "]
                .iter()
                .any(|word| tag.starts_with(word));
            if !field || value(tag, "type") == Some("hidden") {
                continue;
            }
            let labelled = value(tag, "id").is_some_and(|id| labels.contains(&id));
            assert!(
                labelled || tag.contains("aria-label="),
                "{name}: no label for <{tag}>"
            );
        }
        for about in tags(&page).filter_map(|tag| value(tag, "aria-describedby")) {
            assert!(
                about.split(' ').all(|id| ids.contains(&id)),
                "{name}: nothing has the id {about}"
            );
        }
    }
}

#[test]
fn every_form_that_changes_something_carries_the_token() {
    for (name, body) in pages() {
        let page = body.into_string();
        for form in page.split("<form ").skip(1) {
            let form = form.split("</form>").next().unwrap_or_default();
            let posts = form
                .split('>')
                .next()
                .unwrap_or_default()
                .contains("method=\"post\"");
            assert_eq!(
                posts,
                form.contains("name=\"token\" value=\"a7"),
                "{name}: {form}"
            );
        }
    }
}

#[test]
fn five_hundred_subscriptions_are_drawn_in_a_fifth_of_a_second() {
    let choice = subscriptions::Choice::read(&query(&[("sort", "changed")]));
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let (views, facts) = (sample::household(500), sample::home(sample::household(500)));
        let began = Instant::now();
        let list = whole("Subscriptions", subscriptions::draw(views, &choice));
        let first = whole("Home", home::draw(&facts));
        assert!(list.len() + first.len() > 10_000);
        best = best.min(began.elapsed());
    }
    println!("list and home of 500: {best:?}");
    assert!(best < Duration::from_millis(200), "{best:?}");
}

#[test]
fn five_hundred_subscriptions_can_be_sorted_searched_and_turned_over() {
    let views = || {
        (0..500)
            .map(|n| sample::view(n, &format!("Site {n}"), State::UpToDate))
            .collect::<Vec<_>>()
    };
    let draw = |fields: &[(&str, &str)]| {
        subscriptions::draw(views(), &subscriptions::Choice::read(&query(fields))).into_string()
    };
    let names = |page: &str| -> Vec<String> {
        page.split("scope=\"row\"")
            .skip(1)
            .filter_map(|row| Some(row.split_once("\">")?.1.split_once('<')?.0.to_owned()))
            .collect()
    };
    assert_eq!(names(&draw(&[]))[..3], ["Site 0", "Site 1", "Site 2"]);
    assert_eq!(names(&draw(&[("page", "2")]))[0], "Site 48");
    assert_eq!(
        names(&draw(&[("page", "999")])).len(),
        500 % 48,
        "beyond the end is the last page"
    );
    assert_eq!(names(&draw(&[("find", "SITE 49")])).len(), 11);
    assert_eq!(
        names(&draw(&[("sort", "changed"), ("page", "11")]))[19],
        "Site 499"
    );
    assert!(draw(&[("find", "nothing like it")]).contains("No subscription fits"));
    let turned = draw(&[("find", "site"), ("sort", "size"), ("page", "2")]);
    assert!(
        turned.contains("/subscriptions?sort=size&amp;page=3&amp;find=site"),
        "{turned}"
    );
}

#[test]
fn the_light_is_told_in_words_with_its_reasons() {
    let mut facts = sample::home(Vec::new());
    facts.troubles.clear();
    facts.given.resting = false;
    assert_eq!(home::light(&facts).0, home::Light::Well);
    assert!(home::draw(&facts).into_string().contains("All is well"));
    facts.line.dht_nodes = 0;
    assert_eq!(home::light(&facts).0, home::Light::Look);
    facts.usage.free_bytes = 1;
    facts.lan = Some("no answer".into());
    let (light, reasons) = home::light(&facts);
    assert_eq!((light, reasons.len()), (home::Light::Act, 3));
    assert!(home::draw(&facts).into_string().contains("does not run"));
    assert!(home::draw(&facts).into_string().contains("nearly full"));
}

#[test]
fn whether_others_reach_the_box_is_never_guessed() {
    use crate::api::network::{Reach, reach};
    let reach = |words: &str, outside: Option<[u8; 4]>| reach(None, outside.map(Into::into), words);
    let opened = "the router opened port 6881 (UPnP)";
    assert_eq!(reach(opened, Some([203, 0, 113, 9])), Reach::Open);
    assert_eq!(reach(opened, Some([100, 64, 0, 1])), Reach::Behind);
    assert_eq!(reach(opened, Some([192, 168, 0, 1])), Reach::Behind);
    assert_eq!(reach("no router answered", None), Reach::Unknown);
    assert_eq!(reach("", None), Reach::Unknown);
}
