//! What the box hands out when it hands out addresses: the form behind the Network page.

use std::net::Ipv4Addr;

use lan::settings::{Dhcp, Pool, Settings};
use maud::{Markup, html};

use crate::admin::{
    form::Form,
    look::{self, Field},
};

const HOUR: u32 = 3600;
const HOURS_MAX: u32 = 168;

/// The fields as they stand in the form.
#[derive(Debug, Default, Clone)]
pub struct Typed {
    pub first: String,
    pub last: String,
    pub hours: String,
    pub router: String,
    pub second: String,
    pub ntp: String,
    /// Field and sentence.
    pub errors: Vec<(&'static str, String)>,
}

impl Typed {
    pub fn of(dhcp: &Dhcp) -> Self {
        let text = |addr: Option<Ipv4Addr>| addr.map(|addr| addr.to_string()).unwrap_or_default();
        Self {
            first: text(dhcp.pool.map(|pool| pool.first)),
            last: text(dhcp.pool.map(|pool| pool.last)),
            hours: dhcp.lease_secs.div_ceil(HOUR).to_string(),
            router: text(dhcp.router),
            second: text(dhcp.second_resolver),
            ntp: dhcp
                .ntp
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" "),
            errors: Vec::new(),
        }
    }

    pub fn from(form: &Form) -> Self {
        let text = |name: &str| form.text(name).unwrap_or_default().to_owned();
        Self {
            first: text("first"),
            last: text("last"),
            hours: text("hours"),
            router: text("router"),
            second: text("second"),
            ntp: text("ntp"),
            errors: Vec::new(),
        }
    }

    /// All faults at once; what the form does not show stays as it was.
    pub fn read(&self, before: &Settings) -> Result<Settings, Vec<(&'static str, String)>> {
        let mut errors = Vec::new();
        let mut addr = |field: &'static str, text: &str| match text {
            "" => None,
            text => {
                let addr = text.parse::<Ipv4Addr>().ok();
                if addr.is_none() {
                    errors.push((
                        field,
                        format!("“{text}” is no address. Write it as 192.168.1.100."),
                    ));
                }
                addr
            }
        };
        let (first, last) = (addr("first", &self.first), addr("last", &self.last));
        let (router, second_resolver) = (addr("router", &self.router), addr("second", &self.second));
        let ntp: Vec<Ipv4Addr> = self
            .ntp
            .split([' ', ',', ';'])
            .filter(|one| !one.is_empty())
            .filter_map(|one| addr("ntp", one))
            .collect();
        if self.first.is_empty() != self.last.is_empty() {
            errors.push(("last", "Write both addresses, or none.".into()));
        }
        if first.zip(last).is_some_and(|(first, last)| first > last) {
            errors.push(("last", "The last address lies before the first one.".into()));
        }
        if ntp.len() > 4 {
            errors.push(("ntp", "At most four clocks.".into()));
        }
        let hours = self
            .hours
            .parse::<u32>()
            .ok()
            .filter(|hours| (1..=HOURS_MAX).contains(hours));
        if hours.is_none() {
            errors.push((
                "hours",
                format!("“{}” is no whole number from 1 to {HOURS_MAX}.", self.hours),
            ));
        }
        // A time that the form cannot show is kept unless it is changed.
        let shown = before.dhcp.lease_secs.div_ceil(HOUR);
        let lease_secs = match hours.unwrap_or_default() {
            hours if hours == shown => before.dhcp.lease_secs,
            hours => hours * HOUR,
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut settings = before.clone();
        settings.dhcp = Dhcp {
            pool: first.zip(last).map(|(first, last)| Pool { first, last }),
            lease_secs,
            router,
            second_resolver,
            ntp,
            ..before.dhcp.clone()
        };
        Ok(settings)
    }

    fn error(&self, field: &str) -> Option<&str> {
        let found = self.errors.iter().find(|(name, _)| *name == field);
        found.map(|(_, text)| text.as_str())
    }
}

pub fn draw(typed: &Typed, pool: Option<Pool>, token: &str) -> Markup {
    let errors: Vec<(&str, &str)> = typed
        .errors
        .iter()
        .map(|(field, text)| (*field, text.as_str()))
        .collect();
    let field = |name: &'static str, label: &'static str, value: &str, hint: &str| {
        Field::new(name, label)
            .short()
            .value(value)
            .error(typed.error(name))
            .hint(hint)
            .draw()
    };
    html! {
        (look::errors(&errors))
        h1 { "Handing out addresses" }
        p.lead { "Counts while the box hands out addresses. Empty fields are chosen by the box." }
        @if let Some(pool) = pool { p { "Now: " code { (pool.first) } " to " code { (pool.last) } "." } }
        form action="/network/addresses" method="post" {
            (look::hidden("token", token))
            (field("first", "First address", &typed.first, "Both must lie in this home’s network, and no device with a fixed address between them."))
            (field("last", "Last address", &typed.last, "Both empty: the box chooses, away from the ends of the network."))
            (field("hours", "Hours until a device asks again", &typed.hours, "Longer: devices keep their address while the box is away. Shorter: changes arrive sooner."))
            (field("router", "Router", &typed.router, "The way to the Internet. Empty: the box’s own."))
            (field("second", "Second resolver", &typed.second, "With one, an unplugged box costs 7 to 14 seconds for every new name; without one, no name opens. While the box is on, some devices ask the second one now and then, and do not find .btlink sites with it."))
            (field("ntp", "Clocks (NTP)", &typed.ntp, "Addresses of up to four, with a space between. Mostly empty."))
            button type="submit" { "Save" }
        }
        p.hint { "An address that is always the same for one device is written down on the device’s page, under " a href="/devices" { "Devices" } "." }
        p { a href="/network" { "Back to Network" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_form_shows_is_what_it_saves() {
        let mut settings = Settings::default();
        settings.dhcp.pool = Some(Pool {
            first: [10, 0, 0, 9].into(),
            last: [10, 0, 0, 90].into(),
        });
        settings.dhcp.lease_secs = 5_000;
        settings.dhcp.ntp = vec![[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
        settings.dhcp.second_resolver = Some([10, 0, 0, 1].into());
        assert_eq!(Typed::of(&settings.dhcp).read(&settings), Ok(settings));
    }

    #[test]
    fn all_faults_are_told_at_once_next_to_their_field() {
        let typed = Typed {
            first: "10.0.0.50".into(),
            last: "10.0.0.5".into(),
            hours: "0".into(),
            router: "fritz.box".into(),
            ntp: "1.1.1.1 x".into(),
            ..Typed::default()
        };
        let errors = typed.read(&Settings::default()).expect_err("four are wrong");
        let fields: Vec<&str> = errors.iter().map(|(field, _)| *field).collect();
        assert_eq!(fields, ["router", "ntp", "last", "hours"]);
        let half = Typed {
            first: "10.0.0.5".into(),
            ..Typed::of(&Dhcp::default())
        };
        assert_eq!(
            half.read(&Settings::default()).expect_err("the last is missing")[0].0,
            "last"
        );
    }
}
