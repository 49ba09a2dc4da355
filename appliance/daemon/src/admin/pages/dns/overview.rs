//! The front of the DNS page: what was answered, who is asked outside, what is blocked.

use lan::{
    api::{DnsFacts, Status, Top, Upstream},
    settings::{Resolving, Settings},
};
use maud::{Markup, html};

use crate::admin::look::{self, words};

/// Rows of the most frequently blocked names.
const TOP_MAX: usize = 20;
/// Characters shown of what upstreams and lists are called.
const SHOWN_MAX: usize = 60;
/// The pause that most people want: long enough for the page that does not work.
pub const PAUSE_SECS: u64 = 300;

/// What the page is drawn from.
pub struct Facts<'a> {
    pub status: &'a Status,
    pub settings: &'a Settings,
    pub top: Option<&'a Top>,
    /// Present for whoever may change something.
    pub token: Option<&'a str>,
}

pub fn draw(facts: &Facts<'_>) -> Markup {
    let Facts { status, settings, .. } = facts;
    html! {
        h1 { "Names (DNS)" }
        p.lead { "Before a device opens example.org it asks for that name. Devices that ask this box are answered from its memory, or by a resolver outside." }
        (light(status, settings))
        h2 { "Answered since the start" }
        (counts(&status.dns, status.uptime_secs))
        p.hint { "Only these counts are kept, and only in memory. Nobody can look up here which names were asked." }
        h2 { "Who is asked outside" }
        (upstreams(&status.dns.upstreams, settings))
        @if facts.token.is_some() { p { a href="/dns/settings" { "Choose who is asked, and how" } } }
        h2 { "Blocking" }
        (blocking(facts))
        @if let Some(top) = facts.top.filter(|top| top.counting) { (frequent(top)) }
        @if facts.token.is_none() { p { "Only the owner of the box changes these." } }
    }
}

fn light(status: &Status, settings: &Settings) -> Markup {
    let listens = status.listen.dns.first();
    let nobody = settings.dns.resolving == Resolving::Forward
        && !status.dns.upstreams.is_empty()
        && status.dns.upstreams.iter().all(|one| !one.healthy);
    let troubles: Vec<_> = status
        .troubles
        .iter()
        .filter(|trouble| trouble.room == "dns")
        .take(3)
        .collect();
    html! {
        @match listens {
            None => div.light.is-bad {
                h2 { "■ Names are not answered" }
                p { "The box does not listen for questions. Devices that use it as their resolver cannot open anything new; all others are not concerned." }
            },
            Some(_) if nobody => div.light.is-warn {
                h2 { "▲ Nobody outside answers" }
                p { "Is the Internet connected? Until it is, the box answers with what it remembers, even when that is older than it should be; names of this home go on." }
            },
            Some(_) => div.light {
                h2 { "● Names are answered" }
                @if status.dns.queries == 0 { p { "No device has asked yet. That is how it should be as long as nothing in this home tells them to ask the box: see " a href="/network" { "Network" } "." } }
                @else { p { (words::count(status.dns.queries, "question", "questions")) " since the start " (words::span(status.uptime_secs)) " ago." } }
            },
        }
        @for trouble in troubles { div.light.is-warn { h2 { "▲ Something does not work" } p { (words::sentence(&words::short(&trouble.reason, 160))) } } }
    }
}

fn counts(dns: &DnsFacts, secs: u64) -> Markup {
    let share = |part: u64| {
        let percent = words::percent(part, dns.queries.max(1));
        html! { (words::grouped(part)) @if dns.queries > 0 { " (" (percent) "%)" } }
    };
    look::facts(&[
        (
            "Questions",
            html! { (words::grouped(dns.queries)) " in " (words::span(secs)) },
        ),
        ("From memory", share(dns.cached)),
        (
            "Names of this home",
            html! { (share(dns.own)) " – .btlink, the box, and names that must never leave the home" },
        ),
        ("Asked outside", share(dns.forwarded)),
        ("Blocked", share(dns.blocked)),
        (
            "From memory, although old",
            html! { (share(dns.stale)) @if dns.stale > 0 { " – nobody outside answered; without this they would have failed" } },
        ),
        ("Could not be answered", share(dns.failed)),
        (
            "Turned away",
            html! { (words::grouped(dns.dropped)) " – from outside this home, malformed, or far too many at once" },
        ),
        (
            "Answers remembered",
            html! { (words::grouped(dns.cache_entries)) },
        ),
    ])
}

fn upstreams(upstreams: &[Upstream], settings: &Settings) -> Markup {
    html! {
        @if settings.dns.resolving == Resolving::Recursive {
            p { "Nobody in particular: the box asks the servers of each domain itself, beginning at the root. No single resolver sees all names of this home." }
        } @else if upstreams.is_empty() {
            p { "The network told the box no resolver, and none was chosen: ordinary names cannot be answered." }
        } @else {
            table.stack {
                caption { "The fastest that answers is asked; one that is silent is tried again later." }
                thead { tr { th scope="col" { "Resolver" } th scope="col" { "State" } th scope="col" { "Time" } th scope="col" { "Questions" } th scope="col" { "Silent" } } }
                tbody { @for one in upstreams { (row(one)) } }
            }
        }
    }
}

fn row(one: &Upstream) -> Markup {
    html! {
        tr {
            th scope="row" { (words::short(&one.address, SHOWN_MAX)) @if one.learned { " " span.soft { "(from the network)" } } }
            td data-is="State" { @if one.queries == 0 { "not asked yet" } @else if one.healthy { "answers" } @else { span.late { "does not answer" } } }
            td data-is="Time" { @match one.millis { Some(millis) => { (format!("{millis:.0}")) " ms" } None => "–" } }
            td data-is="Questions" { (words::grouped(one.queries)) }
            td data-is="Silent" { (words::grouped(one.failures)) }
        }
    }
}

fn blocking(facts: &Facts<'_>) -> Markup {
    let block = &facts.status.block;
    let pause = |secs: u64, words: &str| {
        let secs = secs.to_string();
        facts
            .token
            .map(|token| look::send("/dns/pause", token, &[("secs", &secs)], "quiet", words))
    };
    html! {
        @if !block.enabled {
            p { "Off: every name is answered." }
        } @else {
            p { "On: " (words::count(block.names, "name", "names")) " of lists, and the ones you wrote down yourself, are answered with “no”." }
            @match block.paused_secs {
                Some(secs) => {
                    p { strong { "Paused:" } " nothing is blocked for another " (words::span(secs)) ". It then begins again by itself." }
                    div.deeds { @if let Some(button) = pause(0, "Block again now") { (button) } }
                },
                None => div.deeds { @if let Some(button) = pause(PAUSE_SECS, "Pause for 5 minutes") { (button) } },
            }
        }
        @if facts.token.is_some() { p { a href="/dns/blocking" { "Blocking, lists and exceptions" } } }
    }
}

fn frequent(top: &Top) -> Markup {
    html! {
        h2 { "Blocked most often" }
        @if top.names.is_empty() {
            p { "Nothing was blocked since counting began." }
        } @else {
            table {
                caption { "Counted in memory because the owner asked for it; gone at the next restart." }
                thead { tr { th scope="col" { "Name" } th scope="col" { "Times" } } }
                tbody { @for (name, times) in top.names.iter().take(TOP_MAX) {
                    tr { th scope="row" { (words::short(name, SHOWN_MAX)) } td { (words::grouped(*times)) } }
                } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(status: &Status, settings: &Settings, token: Option<&str>) -> String {
        let facts = Facts {
            status,
            settings,
            top: None,
            token,
        };
        draw(&facts).into_string()
    }

    #[test]
    fn a_resolver_that_is_silent_is_said_and_so_is_what_follows() {
        let settings = Settings::default();
        let mut status = Status::default();
        assert!(drawn(&status, &settings, None).contains("Names are not answered"));
        status.listen.dns.push(([127, 0, 0, 1], 53).into());
        assert!(drawn(&status, &settings, None).contains("No device has asked yet"));
        status.dns.upstreams.push(Upstream {
            address: "192.0.2.1".into(),
            learned: true,
            healthy: false,
            millis: None,
            queries: 4,
            failures: 4,
        });
        let text = drawn(&status, &settings, None);
        assert!(
            text.contains("Nobody outside answers") && text.contains("does not answer"),
            "{text}"
        );
        status.dns.upstreams[0].healthy = true;
        assert!(drawn(&status, &settings, None).contains("Names are answered"));
    }

    #[test]
    fn only_the_owner_finds_buttons_and_a_pause_can_be_ended() {
        let settings = Settings::default();
        let mut status = Status::default();
        status.block.enabled = true;
        assert!(!drawn(&status, &settings, None).contains("<form"));
        assert!(drawn(&status, &settings, Some("t")).contains("Pause for 5 minutes"));
        status.block.paused_secs = Some(200);
        let text = drawn(&status, &settings, Some("t"));
        assert!(
            text.contains("3 minutes") && text.contains("Block again now"),
            "{text}"
        );
    }
}
