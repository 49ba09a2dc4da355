//! Lists of names that the household writes: what no list may block, what is blocked besides, what may point into the home.

use lan::settings::Settings;
use maud::{Markup, html};

use crate::admin::{
    form::Form,
    look::{self, Field, words},
};

/// Names on one page: with the longest names there are, it stays below 30 kB.
const PER_PAGE: usize = 25;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    Allow,
    Deny,
    Rebind,
}

impl List {
    pub const ALL: [List; 3] = [List::Allow, List::Deny, List::Rebind];

    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|list| list.word() == text)
    }

    pub fn word(self) -> &'static str {
        match self {
            List::Allow => "allow",
            List::Deny => "deny",
            List::Rebind => "rebind",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            List::Allow => "Never blocked",
            List::Deny => "Always blocked",
            List::Rebind => "May point into this home",
        }
    }

    fn about(self) -> &'static str {
        match self {
            List::Allow => "These names, and everything below them, are answered whatever a list says.",
            List::Deny => {
                "These names, and everything below them, are blocked besides the lists, while blocking is on."
            }
            List::Rebind => {
                "Names of the Internet that lead to addresses of this home are not answered, because a strange page could \
                 reach your devices through them. Some devices need it all the same: write their domain here, such as plex.direct."
            }
        }
    }

    fn max(self) -> usize {
        match self {
            List::Rebind => 256,
            List::Allow | List::Deny => 4096,
        }
    }

    fn back(self) -> (&'static str, &'static str) {
        match self {
            List::Rebind => ("/dns/settings", "Back to how names are found"),
            List::Allow | List::Deny => ("/dns/blocking", "Back to blocking"),
        }
    }

    pub fn of(self, settings: &Settings) -> &[String] {
        match self {
            List::Allow => &settings.block.allow,
            List::Deny => &settings.block.deny,
            List::Rebind => &settings.dns.rebind_allow,
        }
    }

    fn of_mut(self, settings: &mut Settings) -> &mut Vec<String> {
        match self {
            List::Allow => &mut settings.block.allow,
            List::Deny => &mut settings.block.deny,
            List::Rebind => &mut settings.dns.rebind_allow,
        }
    }
}

/// What stands in the field, and what was wrong with it.
#[derive(Debug, Default, Clone)]
pub struct Typed {
    pub names: String,
    pub error: Option<String>,
}

/// The settings after a form was sent: names added, or those with a mark taken away. `Err`: a sentence.
pub fn changed(list: List, form: &Form, before: &Settings) -> Result<Settings, String> {
    let mut settings = before.clone();
    let names = list.of_mut(&mut settings);
    if form.has("remove") {
        let marked: Vec<&str> = form
            .0
            .iter()
            .filter(|(key, _)| key == "name")
            .map(|(_, name)| name.as_str())
            .collect();
        names.retain(|name| !marked.contains(&name.as_str()));
        return Ok(settings);
    }
    let mut wrong = Vec::new();
    for name in form
        .text("names")
        .unwrap_or_default()
        .split([' ', ',', ';', '\t', '\r', '\n'])
    {
        let name = name.trim_end_matches('.').trim_start_matches("*.").to_lowercase();
        if name.is_empty() {
            continue;
        }
        if !is_name(&name) {
            wrong.push(words::short(&name, 60));
        } else if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() > list.max() {
        return Err(format!(
            "At most {} names fit here.",
            words::grouped(list.max() as u64)
        ));
    }
    names.sort();
    match wrong.len() {
        0 => Ok(settings),
        1 => Err(format!(
            "“{}” is no domain name. Write it as ads.example.org.",
            wrong[0]
        )),
        many => Err(format!(
            "{many} of these are no domain names, such as “{}” and “{}”.",
            wrong[0], wrong[1]
        )),
    }
}

/// As the lan half judges; a dot has to be in it, so that a slip does not block all of .com.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(label)
}

pub fn draw(list: List, settings: &Settings, typed: &Typed, page: usize, token: &str) -> Markup {
    let names = list.of(settings);
    let pages = names.len().div_ceil(PER_PAGE).max(1);
    let page = page.min(pages - 1);
    let shown = names.iter().skip(page * PER_PAGE).take(PER_PAGE);
    let path = format!("/dns/names/{}", list.word());
    let errors: Vec<(&str, &str)> = typed.error.iter().map(|text| ("names", text.as_str())).collect();
    let (back, back_words) = list.back();
    html! {
        (look::errors(&errors))
        h1 { (list.title()) }
        p.lead { (list.about()) }
        form action=(path) method="post" {
            (look::hidden("token", token))
            (Field::new("names", "Names to add").kind("area").value(&typed.names).error(typed.error.as_deref())
                .hint("One or several, each on a line of its own.").draw())
            button type="submit" { "Add" }
        }
        h2 { (words::count(names.len() as u64, "name", "names")) }
        @if names.is_empty() {
            p { "None yet." }
        } @else {
            form.rows action=(path) method="post" {
                (look::hidden("token", token))
                ul.cards {
                    @for (index, name) in shown.enumerate() {
                        @let id = format!("n{index}");
                        li { input.check id=(id) type="checkbox" name="name" value=(name); label for=(id) { (name) } }
                    }
                }
                div.deeds { button.loss type="submit" name="remove" value="1" { "Take the marked ones away" } }
            }
            (look::pager(page, pages, |page| format!("{path}?page={}", page + 1)).unwrap_or_default())
        }
        p { a href=(back) { (back_words) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> Form {
        Form(
            fields
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
        )
    }

    #[test]
    fn names_are_added_as_people_write_them_and_taken_away_by_their_mark() {
        let add = form(&[(
            "names",
            "Ads.Example.ORG.\r\n*.tracker.example, plex.direct plex.direct",
        )]);
        let settings = changed(List::Deny, &add, &Settings::default()).expect("all are names");
        assert_eq!(
            settings.block.deny,
            ["ads.example.org", "plex.direct", "tracker.example"]
        );
        let remove = form(&[
            ("remove", "1"),
            ("name", "plex.direct"),
            ("name", "nobody.example"),
        ]);
        let settings = changed(List::Deny, &remove, &settings).expect("it can be taken away");
        assert_eq!(settings.block.deny, ["ads.example.org", "tracker.example"]);
    }

    #[test]
    fn what_is_no_name_changes_nothing_and_is_shown() {
        for bad in [
            "com",
            "a b c",
            "-a.example",
            "x..y",
            "<b>.example",
            &"a.".repeat(200),
        ] {
            assert!(
                changed(List::Allow, &form(&[("names", bad)]), &Settings::default()).is_err(),
                "{bad}"
            );
        }
        let many: String = (0..300).map(|n| format!("n{n}.example\n")).collect();
        assert!(changed(List::Rebind, &form(&[("names", &many)]), &Settings::default()).is_err());
        assert!(changed(List::Allow, &form(&[("names", &many)]), &Settings::default()).is_ok());
    }

    #[test]
    fn long_lists_are_turned_over() {
        let mut settings = Settings::default();
        settings.block.deny = (0..60).map(|n| format!("n{n:02}.example")).collect();
        let text = draw(List::Deny, &settings, &Typed::default(), 99, "t").into_string();
        assert!(
            text.contains("n59.example") && !text.contains("n49.example"),
            "{text}"
        );
        assert!(text.contains("Page 3 of 3") && text.contains("60 names"));
    }
}
