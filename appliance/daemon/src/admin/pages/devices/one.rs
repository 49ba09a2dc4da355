//! One device: what is known of it, and the form that names it, leaves it alone or keeps its address.

use std::net::Ipv4Addr;

use lan::{
    api::DeviceFacts,
    settings::{Device, Reservation, Settings, parse_mac},
};
use maud::{Markup, html};

use super::list;
use crate::{
    admin::{
        form::Form,
        look::{self, Field, words},
        pages::dns::settings::check,
    },
    api::lan::DeviceView,
};

/// Longer names fit on no page.
const NAME_MAX: usize = 60;
const DEVICES_MAX: usize = 512;

/// The fields as they stand in the form.
#[derive(Debug, Default, Clone)]
pub struct Typed {
    pub name: String,
    pub bypass: bool,
    pub addr: String,
    /// Field and sentence.
    pub errors: Vec<(&'static str, String)>,
}

impl Typed {
    pub fn of(device: &DeviceFacts, settings: &Settings) -> Self {
        let mac = device.mac.as_deref().and_then(parse_mac);
        let known = settings
            .devices
            .iter()
            .find(|one| mac.is_some() && parse_mac(&one.mac) == mac);
        let reserved = settings
            .dhcp
            .reservations
            .iter()
            .find(|one| mac.is_some() && parse_mac(&one.mac) == mac);
        Self {
            name: known.map(|one| one.name.clone()).unwrap_or_default(),
            bypass: known.is_some_and(|one| one.bypass),
            addr: reserved.map(|one| one.addr.to_string()).unwrap_or_default(),
            errors: Vec::new(),
        }
    }

    pub fn from(form: &Form) -> Self {
        let text = |name: &str| form.text(name).unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            bypass: form.has("bypass"),
            addr: text("addr"),
            errors: Vec::new(),
        }
    }

    /// All faults at once.
    pub fn read(&self, mac: &str, before: &Settings) -> Result<Settings, Vec<(&'static str, String)>> {
        let mut errors = Vec::new();
        let mut settings = before.clone();
        let wanted = parse_mac(mac);
        let is = |text: &str| parse_mac(text) == wanted;
        if self.name.chars().nth(NAME_MAX).is_some() || self.name.chars().any(char::is_control) {
            errors.push(("name", format!("At most {NAME_MAX} characters, on one line.")));
        }
        settings.devices.retain(|one| !is(&one.mac));
        if !self.name.is_empty() || self.bypass {
            settings.devices.push(Device {
                mac: mac.into(),
                name: self.name.clone(),
                bypass: self.bypass,
            });
        }
        if settings.devices.len() > DEVICES_MAX {
            errors.push((
                "name",
                format!("{DEVICES_MAX} devices have names already. Take one away first."),
            ));
        }
        settings.dhcp.reservations.retain(|one| !is(&one.mac));
        match (self.addr.as_str(), self.addr.parse::<Ipv4Addr>()) {
            ("", _) => {}
            (text, Err(_)) => errors.push((
                "addr",
                format!("“{text}” is no address. Write it as 192.168.1.50."),
            )),
            (_, Ok(addr)) => {
                if settings.dhcp.reservations.iter().any(|one| one.addr == addr) {
                    errors.push(("addr", format!("{addr} is kept for another device already.")));
                }
                settings.dhcp.reservations.push(Reservation {
                    mac: mac.into(),
                    addr,
                });
            }
        }
        if settings.dhcp.reservations.len() > DEVICES_MAX {
            errors.push((
                "addr",
                format!("{DEVICES_MAX} addresses are kept already. Take one away first."),
            ));
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

pub fn draw(view: &DeviceView, typed: &Typed, token: Option<&str>) -> Markup {
    let errors: Vec<(&str, &str)> = typed
        .errors
        .iter()
        .map(|(field, text)| (*field, text.as_str()))
        .collect();
    let (device, ways) = (&view.facts, list::ways(view));
    let mac = device.mac.as_deref().unwrap_or_default();
    html! {
        (look::errors(&errors))
        h1 { (list::name(device)) }
        p.lead { (list::addrs(device)) }
        h2 { "How it finds the box" }
        @if ways.is_empty() {
            p { "It does not: it is not here, or it asked the box for nothing yet. If it should, see " a href="/network" { "Network" } "." }
        } @else { ul { @for way in &ways { li { (words::sentence(way)) } } } }
        @if device.dns_queries > 0 { p { (words::count(device.dns_queries, "question", "questions")) " since the box began. Which names it asked for is not kept." } }
        @match token {
            Some(token) => (form(device, typed, mac, token)),
            None => p { "Only the owner of the box changes these." },
        }
        p { a href="/devices" { "Back to devices" } }
    }
}

fn form(device: &DeviceFacts, typed: &Typed, mac: &str, token: &str) -> Markup {
    let here = device.addrs.iter().find(|addr| addr.is_ipv4());
    html! {
        h2 { "Change it" }
        form action=(format!("/devices/{}", words::short(mac, 20))) method="post" {
            (look::hidden("token", token))
            (Field::new("name", "What you call it").value(&typed.name).error(typed.error("name")).hint("Empty: what it calls itself.").draw())
            (check("bypass", typed.bypass, "Leave this device alone", "Nothing is blocked for it, and when the box hands out addresses it gets the router as resolver and no proxy. It then opens .btlink sites only by hand."))
            (Field::new("addr", "Always this address").short().value(&typed.addr).error(typed.error("addr"))
                .hint(&match here {
                    Some(addr) => format!("Counts while the box hands out addresses. Empty: any. Now it has {addr}."),
                    None => "Counts while the box hands out addresses. Empty: any.".into(),
                }).draw())
            button type="submit" { "Save" }
        }
        p.hint { "To undo it, press “Undo” on the page " a href="/network" { "Network" } "." }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: &str = "aa:bb:cc:dd:ee:ff";

    #[test]
    fn a_name_a_bypass_and_an_address_are_saved_and_taken_back() {
        let device = DeviceFacts {
            mac: Some(MAC.into()),
            ..DeviceFacts::default()
        };
        let typed = Typed {
            name: "Anna's phone".into(),
            bypass: true,
            addr: "10.0.0.7".into(),
            ..Typed::default()
        };
        let mut before = Settings::default();
        before.devices.push(Device {
            mac: MAC.to_uppercase(),
            name: "old".into(),
            bypass: false,
        });
        let settings = typed.read(MAC, &before).expect("good");
        assert_eq!((settings.devices.len(), settings.dhcp.reservations.len()), (1, 1));
        let shown = Typed::of(&device, &settings);
        assert_eq!(
            (shown.name.as_str(), shown.bypass, shown.addr.as_str()),
            ("Anna's phone", true, "10.0.0.7")
        );
        assert_eq!(Typed::default().read(MAC, &settings), Ok(Settings::default()));
    }

    #[test]
    fn all_faults_are_told_at_once_next_to_their_field() {
        let mut before = Settings::default();
        before.dhcp.reservations.push(Reservation {
            mac: "00:00:00:00:00:01".into(),
            addr: [10, 0, 0, 7].into(),
        });
        let typed = Typed {
            name: "x".repeat(61),
            addr: "10.0.0.7".into(),
            ..Typed::default()
        };
        let errors = typed.read(MAC, &before).expect_err("two");
        assert_eq!(
            errors.iter().map(|(field, _)| *field).collect::<Vec<_>>(),
            ["name", "addr"]
        );
        let typed = Typed {
            addr: "ten".into(),
            errors: vec![("addr", "<b>".into())],
            ..Typed::default()
        };
        let facts = DeviceFacts {
            mac: Some(MAC.into()),
            ..DeviceFacts::default()
        };
        let device = DeviceView {
            facts,
            ..DeviceView::default()
        };
        assert!(
            draw(&device, &typed, Some("t"))
                .into_string()
                .contains("&lt;b&gt;")
        );
        assert!(!draw(&device, &typed, None).into_string().contains("<form"));
    }
}
