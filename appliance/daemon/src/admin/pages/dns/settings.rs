//! Who is asked outside, and how answers are judged: the form of the DNS page.

use std::net::{IpAddr, SocketAddr};

use lan::settings::{Dns, Resolving, Settings};
use maud::{Markup, html};

use crate::admin::{
    form::Form,
    look::{self, Field},
};

/// More resolvers than this make nothing faster.
const UPSTREAMS_MAX: usize = 8;
/// Longest line that is read as a resolver.
const UPSTREAM_BYTES_MAX: usize = 300;
/// What the lan half takes, answers.
const CACHE_MAX: u32 = 1_000_000;
/// Faster than any device of a home asks.
const RATE_MAX: u32 = 100_000;

/// The fields as they stand in the form.
#[derive(Debug, Default, Clone)]
pub struct Typed {
    /// `learned`, `chosen` or `recursive`.
    pub way: String,
    /// One resolver a line.
    pub upstreams: String,
    pub validate: bool,
    pub rebind: bool,
    pub markers: bool,
    pub firefox: bool,
    pub relay: bool,
    pub rate: String,
    pub cache: String,
    /// Field and sentence.
    pub errors: Vec<(String, String)>,
}

impl Typed {
    pub fn of(dns: &Dns) -> Self {
        let way = match dns.resolving {
            Resolving::Recursive => "recursive",
            Resolving::Forward if dns.upstreams.is_empty() => "learned",
            Resolving::Forward => "chosen",
        };
        Self {
            way: way.into(),
            upstreams: dns.upstreams.join("\n"),
            validate: dns.validate,
            rebind: dns.rebind_protection,
            markers: dns.markers,
            firefox: dns.canary_firefox,
            relay: dns.canary_relay,
            rate: dns.device_queries_per_sec.to_string(),
            cache: dns.cache_entries_max.to_string(),
            errors: Vec::new(),
        }
    }

    pub fn from(form: &Form) -> Self {
        let text = |name: &str| form.text(name).unwrap_or_default().to_owned();
        Self {
            way: text("way"),
            upstreams: text("upstreams"),
            validate: form.has("validate"),
            rebind: form.has("rebind"),
            markers: form.has("markers"),
            firefox: form.has("firefox"),
            relay: form.has("relay"),
            rate: text("rate"),
            cache: text("cache"),
            errors: Vec::new(),
        }
    }

    /// `before`: what the form does not show stays as it was. All faults at once.
    pub fn read(&self, before: &Settings) -> Result<Settings, Vec<(String, String)>> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, text: String| errors.push((field.to_owned(), text));
        let listed: Vec<&str> = self.upstreams.split_whitespace().collect();
        let (resolving, upstreams) = match self.way.as_str() {
            "learned" => (Resolving::Forward, Vec::new()),
            "recursive" => (Resolving::Recursive, Vec::new()),
            "chosen" => {
                for one in listed.iter().filter(|one| !is_upstream(one)) {
                    let shown: String = one.chars().take(60).collect();
                    wrong(
                        "upstreams",
                        format!("“{shown}” is no resolver as described above the field."),
                    );
                }
                if listed.is_empty() || listed.len() > UPSTREAMS_MAX {
                    wrong(
                        "upstreams",
                        format!("Write 1 to {UPSTREAMS_MAX} resolvers, one a line."),
                    );
                }
                (
                    Resolving::Forward,
                    listed.iter().map(|one| (*one).to_owned()).collect(),
                )
            }
            _ => {
                wrong("way", "Choose who is asked.".into());
                (Resolving::Forward, Vec::new())
            }
        };
        let mut number = |field: &str, text: &str, max: u32| {
            let number = text.parse::<u32>().ok().filter(|number| *number <= max);
            if number.is_none() {
                wrong(field, format!("“{text}” is no whole number from 0 to {max}."));
            }
            number.unwrap_or_default()
        };
        let device_queries_per_sec = number("rate", &self.rate, RATE_MAX);
        let cache_entries_max = number("cache", &self.cache, CACHE_MAX);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut settings = before.clone();
        settings.dns = Dns {
            resolving,
            upstreams,
            validate: self.validate,
            rebind_protection: self.rebind,
            rebind_allow: before.dns.rebind_allow.clone(),
            markers: self.markers,
            canary_firefox: self.firefox,
            canary_relay: self.relay,
            device_queries_per_sec,
            cache_entries_max,
        };
        Ok(settings)
    }

    fn error(&self, name: &str) -> Option<&str> {
        let found = self.errors.iter().find(|(field, _)| field == name);
        found.map(|(_, text)| text.as_str())
    }
}

/// Only the shape, so that a slip is told next to its field; the lan half judges the rest.
fn is_upstream(text: &str) -> bool {
    let addressed = |host: &str| {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        bare.unwrap_or(host).parse::<IpAddr>().is_ok() || host.parse::<SocketAddr>().is_ok()
    };
    text.len() <= UPSTREAM_BYTES_MAX
        && match text.split_once("://") {
            None => addressed(text),
            Some((scheme, rest)) => {
                let host = rest.split(['#', '/']).next().unwrap_or_default();
                matches!(scheme, "udp" | "tcp" | "tls" | "https" | "quic") && addressed(host)
            }
        }
}

pub fn draw(typed: &Typed, settings: &Settings, token: &str) -> Markup {
    let errors: Vec<(&str, &str)> = typed
        .errors
        .iter()
        .map(|(field, text)| (field.as_str(), text.as_str()))
        .collect();
    html! {
        (look::errors(&errors))
        h1 { "How names are found" }
        p.lead { "It counts at once. What you had before can be brought back with one click on " a href="/network" { "Network" } "." }
        form action="/dns/settings" method="post" {
            (look::hidden("token", token))
            fieldset #way {
                legend { "Who is asked" }
                @if let Some(error) = typed.error("way") { p.error id="way-error" { (error) } }
                (radio(typed, "learned", "Whoever the network names", "Mostly your router, and behind it your provider. Nothing to set up."))
                (radio(typed, "chosen", "These resolvers", "Written below. With TLS, HTTPS or QUIC your provider cannot read the names; the resolver can."))
                (radio(typed, "recursive", "Nobody in particular", "The box asks the servers of each domain itself. Slower for names that are new; your provider can read them."))
            }
            (Field::new("upstreams", "Resolvers, one a line").kind("area").value(&typed.upstreams).error(typed.error("upstreams"))
                .hint("Counts only with “These resolvers”. 192.0.2.1 · 192.0.2.1:5353 · tcp://192.0.2.1 · tls://192.0.2.1#dns.example · https://192.0.2.1/dns-query#dns.example · quic://192.0.2.1#dns.example — behind # stands the name on its certificate.").draw())
            fieldset {
                legend { "How answers are judged" }
                (check("validate", typed.validate, "Check signatures (DNSSEC)", "Forged answers of signed domains are thrown away. New names take a little longer, and a domain that signed wrongly does not open."))
                (check("rebind", typed.rebind, "Keep strangers from pointing into this home", "Names of the Internet that lead to addresses of this home are not answered."))
                p.hint { a href="/dns/names/rebind" { (exceptions(settings.dns.rebind_allow.len())) } }
            }
            fieldset {
                legend { "Requests to devices" }
                (check("firefox", typed.firefox, "Ask Firefox to use this home’s resolver", "Firefox may ask a resolver of its own, which knows no .btlink. Only where nobody chose that resolver by hand."))
                (check("relay", typed.relay, "Ask Apple devices to turn Private Relay off here", "It hides names and addresses from this home, the box included. Whoever uses it for that reason is told that this network does not allow it."))
                (check("markers", typed.markers, "Find sites behind ordinary domains by themselves", "The automatic proxy asks the box about every new domain. Only for homes where the box is the resolver: an unplugged box would make every new name wait 10 to 13 seconds."))
            }
            (Field::new("rate", "Most questions of one device in a second").short().value(&typed.rate).error(typed.error("rate"))
                .hint("0: no limit. A device that has gone mad cannot take the answers away from others.").draw())
            (Field::new("cache", "Answers to remember").short().value(&typed.cache).error(typed.error("cache"))
                .hint("About 250 bytes of memory each.").draw())
            button type="submit" { "Save" }
        }
        p { a href="/dns" { "Back to names" } }
    }
}

fn exceptions(count: usize) -> String {
    match count {
        0 => "Exceptions: none yet".into(),
        1 => "Exceptions: 1 domain".into(),
        count => format!("Exceptions: {count} domains"),
    }
}

fn radio(typed: &Typed, value: &str, label: &str, hint: &str) -> Markup {
    let id = format!("way-{value}");
    html! {
        div.field {
            input.check id=(id) type="radio" name="way" value=(value) checked[typed.way == value] aria-describedby=(format!("{id}-hint"));
            label.inline for=(id) { (label) }
            p.hint id=(format!("{id}-hint")) { (hint) }
        }
    }
}

/// A check box with the sentence that says what it costs.
pub fn check(name: &str, checked: bool, label: &str, hint: &str) -> Markup {
    html! {
        div.field {
            input.check id=(name) type="checkbox" name=(name) value="1" checked[checked] aria-describedby=(format!("{name}-hint"));
            label.inline for=(name) { (label) }
            p.hint id=(format!("{name}-hint")) { (hint) }
        }
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
    fn what_the_form_shows_is_what_it_saves() {
        let mut settings = Settings::default();
        settings.dns.upstreams = vec!["tls://192.0.2.1#dns.example".into(), "[2001:db8::1]:53".into()];
        settings.dns.rebind_allow = vec!["plex.direct".into()];
        settings.dns.validate = true;
        settings.block.deny = vec!["ads.example".into()];
        let typed = Typed::of(&settings.dns);
        assert_eq!(typed.way, "chosen");
        assert_eq!(typed.read(&settings), Ok(settings));
    }

    #[test]
    fn resolvers_count_only_when_they_are_chosen() {
        let typed = Typed::from(&form(&[
            ("way", "learned"),
            ("upstreams", "nonsense"),
            ("rate", "0"),
            ("cache", "0"),
        ]));
        let settings = typed.read(&Settings::default()).expect("nonsense does not count");
        assert!(settings.dns.upstreams.is_empty() && !settings.dns.rebind_protection);
    }

    #[test]
    fn all_faults_are_told_at_once_next_to_their_field() {
        let typed = Typed::from(&form(&[
            ("way", "chosen"),
            ("upstreams", "1.1.1\ngopher://1.2.3.4"),
            ("rate", "-1"),
            ("cache", "many"),
        ]));
        let errors = typed.read(&Settings::default()).expect_err("four");
        let fields: Vec<&str> = errors.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["upstreams", "upstreams", "rate", "cache"]);
        let none = Typed {
            way: "else".into(),
            ..Typed::of(&Dns::default())
        };
        assert_eq!(none.read(&Settings::default()).expect_err("no way").len(), 1);
    }

    #[test]
    fn resolvers_are_known_by_their_shape() {
        for good in [
            "1.2.3.4",
            "1.2.3.4:5353",
            "tcp://1.2.3.4",
            "tls://1.2.3.4#name",
            "https://1.2.3.4/dns-query#name",
            "quic://[2001:db8::1]:853#name",
            "2001:db8::1",
        ] {
            assert!(is_upstream(good), "{good}");
        }
        for bad in [
            "",
            "dns.example",
            "1.2.3.4/x",
            "1.2.3.4#name",
            "ftp://1.2.3.4",
            "tls://",
            "https://dns.example/",
        ] {
            assert!(!is_upstream(bad), "{bad}");
        }
    }
}
