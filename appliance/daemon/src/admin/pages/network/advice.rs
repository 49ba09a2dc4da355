//! The one recommendation, from what the last look showed.

use lan::{api::Survey, settings::Settings};
use maud::{Markup, html};
use proto::advice::Step;

use super::choices::Choice;

/// The heading, and the page where it is done.
fn deed(step: Step) -> (&'static str, Option<(String, &'static str)>) {
    let guide = || Some(("/network/guide".to_owned(), "Show how"));
    let choice = |choice: Choice| Some((format!("/network/choose/{}", choice.word()), choice.title()));
    match step {
        Step::Nothing => ("● Devices find the box", None),
        Step::Connect => ("▲ Connect the box to this network", None),
        Step::Forward => ("Recommended: have the router send names of sites here", guide()),
        Step::AllowPrivate => ("▲ Have the router let the answers through", guide()),
        Step::Resolver => ("Recommended: have the router name the box as resolver", guide()),
        Step::Lease => (
            "Recommended: let the box hand out addresses",
            choice(Choice::Lease),
        ),
        Step::OneServer => (
            "▲ Two devices want to hand out addresses",
            choice(Choice::Nothing),
        ),
        Step::Ipv6 => ("▲ Devices are told otherwise over IPv6", choice(Choice::Announce)),
    }
}

/// `may`: whoever reads it can follow it.
pub fn draw(survey: &Survey, settings: &Settings, may: bool) -> Markup {
    let advice = lan::recommend(survey, settings);
    let (words, to) = deed(advice.step);
    let warns = words.starts_with('▲');
    html! {
        div.light.is-warn[warns] {
            h2 { (words) }
            p { (advice.reason) }
            @if let Some(price) = advice.price { p { "What it costs: " (price) } }
            @if let Some((path, words)) = to.filter(|_| may) { div.deeds { a.button href=(path) { (words) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recommendation_leads_to_the_page_where_it_is_done() {
        let mut survey = Survey {
            addr: Some([192, 168, 1, 2].into()),
            gateway: Some([192, 168, 1, 1].into()),
            router_resolves: true,
            dhcp_looked: true,
            ..Survey::default()
        };
        let drawn = |survey: &Survey, may| draw(survey, &Settings::default(), may).into_string();
        let text = drawn(&survey, true);
        assert!(
            text.contains("href=\"/network/guide\"") && text.contains("7 to 14 seconds"),
            "{text}"
        );
        assert!(!drawn(&survey, false).contains("href"));
        survey.router_resolves = false;
        assert!(drawn(&survey, true).contains("/network/choose/lease"));
        survey.handed_out_as_resolver = true;
        assert!(drawn(&survey, true).contains("Devices find the box"));
    }
}
