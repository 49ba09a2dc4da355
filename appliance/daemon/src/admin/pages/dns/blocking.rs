//! Blocking: on or off, what a blocked name is answered with, whether names are counted.

use lan::{
    api::BlockFacts,
    settings::{Block, Blocked, Settings},
};
use maud::{Markup, html};

use super::{names::List, settings::check};
use crate::admin::{
    form::Form,
    look::{self, words},
};

/// The form's fields on top of what it does not show.
pub fn changed(form: &Form, before: &Settings) -> Settings {
    let mut settings = before.clone();
    settings.block = Block {
        enabled: form.has("enabled"),
        answer: if form.text("answer") == Some("nxdomain") {
            Blocked::Nxdomain
        } else {
            Blocked::Zero
        },
        count_names: form.has("count"),
        ..before.block.clone()
    };
    settings
}

/// `lists`: where names come from.
pub fn draw(settings: &Settings, facts: &BlockFacts, lists: &Markup, token: &str) -> Markup {
    let block = &settings.block;
    html! {
        h1 { "Blocking" }
        p.lead { "Names that only show advertisements or follow people around can be answered with “no”, for every device that asks this box. It costs nothing else: no page is opened or changed." }
        @if block.enabled && facts.names == 0 && block.deny.is_empty() {
            div.light.is-warn { h2 { "▲ Nothing to block yet" } p { "Blocking is on, but no list is here and no name was written down." } }
        }
        form action="/dns/blocking" method="post" {
            (look::hidden("token", token))
            (check("enabled", block.enabled, "Block names", "When something does not open, pause it on the page Names, or write the name down as never blocked."))
            fieldset {
                legend { "A blocked name" }
                (answer(block, Blocked::Zero, "zero", "leads nowhere", "Programs give up at once. Most devices like this best."))
                (answer(block, Blocked::Nxdomain, "nxdomain", "does not exist", "Some programs then try another way to reach it."))
            }
            (check("count", block.count_names, "Count which names are blocked", "So that the page Names can show the most frequent ones. In memory only, without saying which device asked; gone when this is switched off."))
            button type="submit" { "Save" }
        }
        h2 { "Lists" }
        (lists)
        h2 { "Names you wrote down" }
        (look::facts(&[
            (List::Allow.title(), own(List::Allow, settings)),
            (List::Deny.title(), own(List::Deny, settings)),
        ]))
        p.hint { "A single device can be left alone on the page " a href="/devices" { "Devices" } ": nothing is then blocked for it." }
        p { a href="/dns" { "Back to names" } }
    }
}

fn own(list: List, settings: &Settings) -> Markup {
    let count = list.of(settings).len() as u64;
    html! { a href=(format!("/dns/names/{}", list.word())) aria-label=(list.title()) { (words::count(count, "name", "names")) } }
}

fn answer(block: &Block, value: Blocked, word: &str, label: &str, hint: &str) -> Markup {
    let id = format!("answer-{word}");
    html! {
        div.field {
            input.check id=(id) type="radio" name="answer" value=(word) checked[block.answer == value] aria-describedby=(format!("{id}-hint"));
            label.inline for=(id) { (label) }
            p.hint id=(format!("{id}-hint")) { (hint) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saving_keeps_the_names_that_stand_on_other_pages() {
        let mut before = Settings::default();
        before.block.deny = vec!["ads.example".into()];
        let form = Form(vec![
            ("enabled".into(), "1".into()),
            ("answer".into(), "nxdomain".into()),
        ]);
        let after = changed(&form, &before);
        assert!(after.block.enabled && !after.block.count_names);
        assert_eq!(
            (after.block.answer, after.block.deny),
            (Blocked::Nxdomain, vec!["ads.example".into()])
        );
        let text = draw(&before, &BlockFacts::default(), &html! {}, "t").into_string();
        assert!(text.contains("1 name<") && text.contains("0 names<"), "{text}");
    }
}
