//! About: the version, the licences, whom to tell.

use maud::{Markup, html};

use super::{Answer, Visit};
use crate::admin::look::{self, words};

pub async fn show(visit: Visit<'_>) -> Answer {
    let facts = Facts {
        version: env!("CARGO_PKG_VERSION"),
        up_secs: visit.handles.started.elapsed().as_secs(),
        now: visit.handles.clock.now_secs(),
    };
    Answer::page("About", draw(&facts))
}

pub struct Facts {
    pub version: &'static str,
    pub up_secs: u64,
    pub now: u64,
}

pub fn draw(facts: &Facts) -> Markup {
    html! {
        h1 { "About Granary" }
        p.lead { "Granary opens web sites that live in BitTorrent for every device of a home, and keeps the ones you choose." }
        (look::facts(&[
            ("Version", html! { (facts.version) }),
            ("Running for", html! { (words::span(facts.up_secs)) }),
            ("The box's clock", words::date(facts.now)),
            ("Licence", html! { "Apache License 2.0. You may use, study, change and pass on Granary." }),
        ]))
        h2 { "What others see" }
        p { "Whoever opens or shares a site in BitTorrent is seen by the others who have it: they see this home's Internet address as a supplier of that site. No list of what you read is kept." }
        p { a href="/sharing" { "Sharing" } " turns giving off; opening sites still asks the network for them." }
        h2 { "When something is wrong" }
        ol {
            li { "Look at " a href="/" { "Home" } " and at " a href="/log?level=warn" { "the warnings of the log" } "." }
            li { "On the box, " code { "granary doctor" } " looks for causes and says what to do." }
            li { "To report a fault to whoever gave you this box, add the version above and the lines of the log. They hold no page anybody read." }
            li { "A hole in security: tell them before you tell others, so that it can be closed first." }
        }
        h2 { "Made of" }
        p { "librqbit (Apache-2.0) fetches torrents, redb (MIT or Apache-2.0) stores them, hyper and tokio (MIT) carry pages, rustls (Apache-2.0, ISC or MIT) and aws-lc (ISC and Apache-2.0) do the cryptography, ed25519-dalek (BSD-3-Clause) checks signatures, hickory (MIT or Apache-2.0) looks up names. Thank you." }
    }
}
