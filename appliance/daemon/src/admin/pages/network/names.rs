//! What things are called in this home: the box, its domain, and further names with their addresses.

use std::net::IpAddr;

use lan::settings::{Host, Settings};
use maud::{Markup, html};

use crate::admin::{
    form::Form,
    look::{self, Field, words},
    pages::dns::settings::check,
};

/// Names on one page: with the longest names there are, it stays below 30 kB.
const PER_PAGE: usize = 20;
const HOSTS_MAX: usize = 512;

/// The fields as they stand in the form.
#[derive(Debug, Default, Clone)]
pub struct Typed {
    pub host: String,
    pub domain: String,
    pub mdns: bool,
    pub name: String,
    pub addr: String,
    /// Field and sentence.
    pub errors: Vec<(&'static str, String)>,
}

impl Typed {
    pub fn of(settings: &Settings) -> Self {
        Self {
            host: settings.names.host.clone(),
            domain: settings.names.domain.clone(),
            mdns: settings.mdns.enabled,
            ..Self::default()
        }
    }

    /// What was sent, on top of what stands in the forms that were not.
    pub fn from(form: &Form, before: &Settings) -> Self {
        let text = |name: &str| form.text(name).unwrap_or_default().to_lowercase();
        let mut typed = Self::of(before);
        if form.has("host") {
            (typed.host, typed.domain, typed.mdns) = (text("host"), text("domain"), form.has("mdns"));
        }
        (typed.name, typed.addr) = (text("name"), text("addr"));
        typed
    }

    pub fn read(&self, form: &Form, before: &Settings) -> Result<Settings, Vec<(&'static str, String)>> {
        let mut settings = before.clone();
        if form.has("remove") {
            let marked = |host: &Host| {
                form.0
                    .iter()
                    .any(|(key, value)| key == "mark" && *value == mark(host))
            };
            settings.names.hosts.retain(|host| !marked(host));
            return Ok(settings);
        }
        let mut errors = Vec::new();
        if form.has("add") {
            let addr = self.addr.parse::<IpAddr>().ok();
            if addr.is_none() {
                errors.push((
                    "addr",
                    format!("“{}” is no address. Write it as 192.168.1.20.", self.addr),
                ));
            }
            let taken = self.name.starts_with("wpad");
            if taken || !self.name.split('.').all(is_label) || self.name.len() > 253 {
                errors.push((
                    "name",
                    format!(
                        "“{}” is no name that can be given. Write it as printer or printer.{}.",
                        self.name, self.domain
                    ),
                ));
            }
            if settings.names.hosts.len() >= HOSTS_MAX {
                errors.push((
                    "name",
                    format!("{HOSTS_MAX} names are here already. Take one away first."),
                ));
            }
            if let Some(addr) = addr {
                let host = Host {
                    name: self.name.clone(),
                    addr,
                };
                if !settings.names.hosts.contains(&host) {
                    settings.names.hosts.push(host);
                }
            }
        } else {
            if !is_label(&self.host) || self.host == "wpad" {
                errors.push((
                    "host",
                    format!("“{}” is no name of letters, digits and hyphens.", self.host),
                ));
            }
            if !self.domain.split('.').all(is_label) || self.domain.len() > 253 {
                errors.push((
                    "domain",
                    format!("“{}” is no domain. home.arpa is made for homes.", self.domain),
                ));
            }
            settings.names.host.clone_from(&self.host);
            settings.names.domain.clone_from(&self.domain);
            settings.mdns.enabled = self.mdns;
        }
        if errors.is_empty() {
            Ok(settings)
        } else {
            Err(errors)
        }
    }

    fn error(&self, field: &str) -> Option<&str> {
        let found = self.errors.iter().find(|(name, _)| *name == field);
        found.map(|(_, text)| text.as_str())
    }
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn mark(host: &Host) -> String {
    format!("{} {}", host.name, host.addr)
}

pub fn draw(typed: &Typed, settings: &Settings, page: usize, token: &str) -> Markup {
    let errors: Vec<(&str, &str)> = typed
        .errors
        .iter()
        .map(|(field, text)| (*field, text.as_str()))
        .collect();
    html! {
        (look::errors(&errors))
        h1 { "Names in this home" }
        p.lead { "The box is called " code { (settings.names.host) ".local" } " by devices that ask around, and " code { (settings.names.host) "." (settings.names.domain) } " by those that ask the box." }
        form action="/network/names" method="post" {
            (look::hidden("token", token))
            (Field::new("host", "Name of the box").short().value(&typed.host).error(typed.error("host"))
                .hint("If another device has it already, the box calls itself the same with -2 behind it.").draw())
            (Field::new("domain", "Domain of this home").value(&typed.domain).error(typed.error("domain"))
                .hint("home.arpa is made for homes. It is handed out with addresses.").draw())
            (check("mdns", typed.mdns, "Answer for the name ending in .local (mDNS)", "The only thing the box says in this home by itself. Without it people need its address."))
            button type="submit" { "Save" }
        }
        h2 { "Further names" }
        p { "For devices that ask this box: a printer, a disk, another computer." }
        form action="/network/names" method="post" {
            (look::hidden("token", token))
            (Field::new("name", "Name").value(&typed.name).error(typed.error("name")).draw())
            (Field::new("addr", "Address").value(&typed.addr).error(typed.error("addr")).draw())
            button type="submit" name="add" value="1" { "Add" }
        }
        (hosts(&settings.names.hosts, page, token))
        p { a href="/network" { "Back to Network" } }
    }
}

fn hosts(hosts: &[Host], page: usize, token: &str) -> Markup {
    let pages = hosts.len().div_ceil(PER_PAGE).max(1);
    let page = page.min(pages - 1);
    html! {
        @if hosts.is_empty() { p { "None yet." } }
        @else {
            form.rows action="/network/names" method="post" {
                (look::hidden("token", token))
                ul.cards {
                    @for (index, host) in hosts.iter().skip(page * PER_PAGE).take(PER_PAGE).enumerate() {
                        @let id = format!("h{index}");
                        li { input.check id=(id) type="checkbox" name="mark" value=(mark(host)); label for=(id) { (words::short(&host.name, 120)) " – " (host.addr) } }
                    }
                }
                div.deeds { button.loss type="submit" name="remove" value="1" { "Take the marked ones away" } }
            }
            (look::pager(page, pages, |page| format!("/network/names?page={}", page + 1)).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(fields: &[(&str, &str)], before: &Settings) -> Result<Settings, Vec<(&'static str, String)>> {
        let form = Form(
            fields
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
        );
        Typed::from(&form, before).read(&form, before)
    }

    #[test]
    fn the_box_gets_a_name_and_so_does_a_printer() {
        let before = Settings::default();
        let named = sent(&[("host", "Barn"), ("domain", "home.arpa")], &before).expect("good");
        assert_eq!((named.names.host.as_str(), named.mdns.enabled), ("barn", false));
        let more = sent(
            &[("add", "1"), ("name", "printer"), ("addr", "192.168.1.20")],
            &named,
        )
        .expect("good");
        assert_eq!(more.names.hosts.len(), 1);
        assert_eq!(more.names.host, "barn", "the other form stays");
        let none = sent(&[("remove", "1"), ("mark", "printer 192.168.1.20")], &more).expect("good");
        assert!(none.names.hosts.is_empty());
    }

    #[test]
    fn names_that_cannot_be_given_are_refused_with_all_their_faults() {
        let fields = |outcome: Result<Settings, Vec<(&'static str, String)>>| -> Vec<&'static str> {
            outcome
                .expect_err("wrong")
                .into_iter()
                .map(|(field, _)| field)
                .collect()
        };
        let before = Settings::default();
        assert_eq!(
            fields(sent(&[("host", "wpad"), ("domain", "a..b")], &before)),
            ["host", "domain"]
        );
        assert_eq!(
            fields(sent(
                &[("add", "1"), ("name", "wpad.home.arpa"), ("addr", "x")],
                &before
            )),
            ["addr", "name"]
        );
    }
}
