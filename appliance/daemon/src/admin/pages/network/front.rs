//! The front of the Network page.

use lan::{api::Status, settings::Settings};
use maud::{Markup, html};

use super::{advice, choices, scene};
use crate::{
    admin::look::{self, words},
    arrangement::{Before, Seen, Tried, Verdict},
};

/// What the page is drawn from.
pub struct Facts<'a> {
    /// `Err`: why the lan half does not answer.
    pub both: Result<&'a (Status, Settings), &'a str>,
    pub seen: &'a Seen,
    pub tried: &'a Tried,
    pub before: Option<&'a Before>,
    /// Present for whoever may change something.
    pub token: Option<&'a str>,
}

pub fn draw(facts: &Facts<'_>) -> Markup {
    let survey = facts.seen.survey.as_ref().map(|(_, survey)| survey);
    html! {
        h1 { "Network" }
        p.lead { "How the devices of this home find the box. Whatever you choose can be undone with one click." }
        @match facts.both {
            Err(reason) => (absent(reason)),
            Ok((status, settings)) => {
                (troubles(status))
                @if let Some(survey) = survey { (advice::draw(survey, settings, facts.token.is_some())) }
                (scene::draw(status, settings, facts.seen, facts.token))
                (choices::draw(settings, survey, facts.token))
                h2 { "Try it" }
                (trials(facts.tried, facts.token))
                (undo(facts.before, facts.token))
                @if facts.token.is_none() { p { "Only the owner of the box changes these." } }
            },
        }
        h2 { "More" }
        ul {
            li { a href="/devices" { "Devices" } " – how each one finds the box" }
            li { a href="/dns" { "Names (DNS)" } " – who is asked outside, and what is blocked" }
            @if facts.token.is_some() && facts.both.is_ok() {
                li { a href="/network/names" { "Names in this home" } " – what the box and other devices are called" }
                li { a href="/network/addresses" { "Handing out addresses" } " – which, and for how long" }
            }
            li { a href="/network/guide" { "Guides for routers" } }
            li { a href="/network/reach" { "The rest of the world" } " – peers, ports, and whether others reach the box" }
        }
    }
}

/// The lan half is not there: what that means, and what to do.
pub fn absent(reason: &str) -> Markup {
    html! {
        div.light.is-bad {
            h2 { "■ The part of the box that serves this network does not run" }
            p { "Devices that use the box as resolver cannot open new names until it does; if it handed out addresses, none are given. Browsers that use the proxy still open ." (proto::name::TLD) " sites." }
            p { "It begins again by itself within moments when it has only stumbled. If this stays: switch the box off and on." }
            p.soft { (words::sentence(&words::short(reason, 300))) }
        }
    }
}

fn troubles(status: &Status) -> Markup {
    html! {
        @for trouble in status.troubles.iter().take(4) {
            div.light.is-warn { h2 { "▲ Something does not work" } p { (words::sentence(&words::short(&trouble.reason, 160))) } }
        }
    }
}

/// The page that follows the button; it looks again until all is tried.
pub fn tried(tried: &Tried, token: Option<&str>) -> Markup {
    html! {
        h1 { "Try it" }
        (trials(tried, token))
        p { a href="/network" { "Back to Network" } }
    }
}

fn trials(tried: &Tried, token: Option<&str>) -> Markup {
    html! {
        @if tried.trying { p.notice role="status" { "Trying; that takes up to three seconds. This page looks again by itself." } }
        @if let Some((at, trials)) = &tried.trials {
            dl.facts {
                @for trial in trials {
                    div {
                        dt { (trial.question) }
                        dd {
                            @match trial.verdict {
                                Verdict::Good => strong { "✓ " },
                                Verdict::Bad => strong.ill { "✗ " },
                                Verdict::Open => strong { "– " },
                            }
                            (trial.words)
                        }
                    }
                }
            }
            p.soft { "Tried " (words::date(*at)) "." }
        } @else if !tried.trying {
            p { "The box asks itself, the router and its own proxy file, and says what came of it. Nothing is changed." }
        }
        @if let Some(token) = token.filter(|_| !tried.trying) { div.deeds { (look::send("/network/test", token, &[], "quiet", if tried.trials.is_some() { "Try again" } else { "Try it" })) } }
    }
}

/// One click back.
fn undo(before: Option<&Before>, token: Option<&str>) -> Markup {
    html! {
        @if let Some(before) = before {
            h2 { "Undo" }
            p { "Last change: “" (words::short(&before.words, 120)) "”, " (words::date(before.at)) ". One click brings back what was before." }
            @if let Some(token) = token { div.deeds { (look::send("/network/undo", token, &[], "quiet", "Undo")) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrangement::Trial;

    fn drawn(
        both: Result<&(Status, Settings), &str>,
        tried: &Tried,
        before: Option<&Before>,
        token: Option<&str>,
    ) -> String {
        let seen = Seen::default();
        draw(&Facts {
            both,
            seen: &seen,
            tried,
            before,
            token,
        })
        .into_string()
    }

    #[test]
    fn without_the_lan_half_the_page_says_what_that_means() {
        let text = drawn(Err("nobody <answers>"), &Tried::default(), None, Some("t"));
        assert!(
            text.contains("does not run") && text.contains("Nobody &lt;answers&gt;."),
            "{text}"
        );
        assert!(!text.contains("<form"), "nothing can be chosen");
    }

    #[test]
    fn trials_and_the_last_change_are_shown_with_their_buttons_to_the_owner_alone() {
        let both = (Status::default(), Settings::default());
        let trial = Trial {
            question: "Does it?".into(),
            verdict: Verdict::Bad,
            words: "No: <b>.".into(),
        };
        let tried = Tried {
            trying: false,
            trials: Some((1_795_224_000, vec![trial])),
        };
        let before = Before {
            at: 1_795_224_000,
            words: "Blocking".into(),
            settings: Settings::default(),
        };
        let owner = drawn(Ok(&both), &tried, Some(&before), Some("t"));
        for part in [
            "✗",
            "No: &lt;b&gt;.",
            "Try again",
            "“Blocking”",
            "action=\"/network/undo\"",
        ] {
            assert!(owner.contains(part), "{part} in {owner}");
        }
        assert!(!drawn(Ok(&both), &tried, Some(&before), None).contains("<form"));
    }
}
