//! Sharing: what the household gives to others: on or off, how fast, at which hours, how much in a month.

use maud::{Markup, html};

use super::{Answer, Visit};
use crate::{
    admin::{
        form::Form,
        look::{self, Field, words},
    },
    sharing::{Given, Hours, Settings},
};

/// Bytes per second of a megabit per second, in which lines are sold.
const MBIT: f64 = 125_000.0;
const GIGA: u64 = 1_000_000_000;
/// Rows for hours with other limits.
const SPANS: usize = 3;
/// Faster than any home's line; larger numbers are slips.
const MBIT_MAX: f64 = 100_000.0;
const GB_MAX: u64 = 10_000_000;

pub async fn show(visit: Visit<'_>) -> Answer {
    let settings = visit.handles.sharing.settings();
    let typed = Typed::of(&settings);
    Answer::page(
        "Sharing",
        draw(&settings, &visit.handles.sharing.given(), &typed, editor(&visit)),
    )
}

pub async fn act(visit: Visit<'_>, form: &Form) -> Answer {
    if !visit.owner() {
        return Answer::owners_only();
    }
    let mut typed = Typed::from(form);
    let settings = visit.handles.sharing.settings();
    let why = match typed.read(&settings) {
        Ok(wanted) => match visit.handles.sharing.set(wanted).await {
            Ok(()) => return Answer::see("/sharing", "Saved. It counts from now on."),
            Err(why) => vec![("up".to_owned(), why)],
        },
        Err(errors) => errors,
    };
    typed.errors = why;
    Answer::refused(
        "Sharing",
        draw(&settings, &visit.handles.sharing.given(), &typed, editor(&visit)),
    )
}

/// The token, for whoever may change something here.
fn editor<'a>(visit: &'a Visit<'_>) -> Option<&'a str> {
    visit.owner().then(|| visit.token())
}

/// The fields as they stand in the form.
#[derive(Debug, Default, Clone)]
pub struct Typed {
    pub upload: bool,
    pub up: String,
    pub down: String,
    pub month: String,
    /// From, until, up, down.
    pub spans: Vec<[String; 4]>,
    /// Field and sentence.
    pub errors: Vec<(String, String)>,
}

const SPAN_FIELDS: [&str; 4] = ["from", "until", "up", "down"];

impl Typed {
    pub fn of(settings: &Settings) -> Self {
        let span = |hours: &Hours| {
            [
                hours.from.clone(),
                hours.until.clone(),
                mbit(hours.upload_bytes_per_sec),
                mbit(hours.download_bytes_per_sec),
            ]
        };
        let mut spans: Vec<[String; 4]> = settings.schedule.iter().take(SPANS).map(span).collect();
        spans.resize_with(SPANS, Default::default);
        Self {
            upload: settings.upload,
            up: mbit(settings.upload_bytes_per_sec),
            down: mbit(settings.download_bytes_per_sec),
            month: match settings.monthly_bytes {
                0 => String::new(),
                bytes => bytes.div_ceil(GIGA).to_string(),
            },
            spans,
            errors: Vec::new(),
        }
    }

    pub fn from(form: &Form) -> Self {
        let text = |name: &str| form.text(name).unwrap_or_default().to_owned();
        Self {
            upload: form.has("upload"),
            up: text("up"),
            down: text("down"),
            month: text("month"),
            spans: (1..=SPANS)
                .map(|row| SPAN_FIELDS.map(|field| text(&format!("{field}{row}"))))
                .collect(),
            errors: Vec::new(),
        }
    }

    /// `before`: what the form does not show stays as it was.
    pub fn read(&self, before: &Settings) -> Result<Settings, Vec<(String, String)>> {
        let mut errors = Vec::new();
        let mut rate = |field: String, text: &str| {
            bytes_per_sec(text).unwrap_or_else(|| {
                errors.push((
                    field,
                    format!("“{text}” is no speed in Mbit/s. Leave it empty for no limit."),
                ));
                0
            })
        };
        let upload_bytes_per_sec = rate("up".into(), &self.up);
        let download_bytes_per_sec = rate("down".into(), &self.down);
        let mut schedule = Vec::new();
        let mut wrong_hours = Vec::new();
        for (row, [from, until, up, down]) in self.spans.iter().enumerate() {
            if [from, until, up, down].iter().all(|text| text.is_empty()) {
                continue;
            }
            let row = row + 1;
            for (field, text) in [("from", from), ("until", until)] {
                if !is_hour(text) {
                    wrong_hours.push((
                        format!("{field}{row}"),
                        format!("Row {row}: “{text}” is no time of day. Write it as 22:00."),
                    ));
                }
            }
            schedule.push(Hours {
                // Days are not on the form: they stay as they were.
                days: before
                    .schedule
                    .get(row - 1)
                    .map_or_else(Vec::new, |hours| hours.days.clone()),
                from: from.clone(),
                until: until.clone(),
                upload_bytes_per_sec: rate(format!("up{row}"), up),
                download_bytes_per_sec: rate(format!("down{row}"), down),
            });
        }
        schedule.extend(before.schedule.iter().skip(SPANS).cloned());
        errors.extend(wrong_hours);
        let month = if self.month.is_empty() {
            Some(0)
        } else {
            self.month.parse::<u64>().ok().filter(|gb| *gb <= GB_MAX)
        };
        if month.is_none() {
            errors.push((
                "month".into(),
                format!(
                    "“{}” is no whole number of GB. Leave it empty for no limit.",
                    self.month
                ),
            ));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Settings {
            upload: self.upload,
            upload_bytes_per_sec,
            download_bytes_per_sec,
            schedule,
            monthly_bytes: month.unwrap_or_default() * GIGA,
        })
    }

    fn error(&self, name: &str) -> Option<&str> {
        self.errors
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, text)| text.as_str())
    }
}

/// `12.5`; empty for no limit.
fn mbit(bytes_per_sec: u64) -> String {
    if bytes_per_sec == 0 {
        return String::new();
    }
    let text = format!("{:.2}", bytes_per_sec as f64 / MBIT);
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// Nothing and 0 are no limit; a comma is read as a point.
fn bytes_per_sec(text: &str) -> Option<u64> {
    if text.is_empty() {
        return Some(0);
    }
    let number: f64 = text.replace(',', ".").parse().ok()?;
    (0.0..=MBIT_MAX)
        .contains(&number)
        .then(|| (number * MBIT).round() as u64)
}

fn is_hour(text: &str) -> bool {
    let number =
        |text: &str, max: u8| text.len() == 2 && text.parse::<u8>().is_ok_and(|number| number <= max);
    text.split_once(':')
        .is_some_and(|(hour, minute)| number(hour, 23) && number(minute, 59))
}

/// `token`: present for whoever may change something.
pub fn draw(settings: &Settings, given: &Given, typed: &Typed, token: Option<&str>) -> Markup {
    let errors: Vec<(&str, &str)> = typed
        .errors
        .iter()
        .map(|(field, text)| (field.as_str(), text.as_str()))
        .collect();
    html! {
        (look::errors(&errors))
        h1 { "Sharing" }
        p.lead { "BitTorrent works because everybody gives a little. The box gives pieces of what it holds to others who ask for them." }
        (now(settings, given))
        @match token {
            Some(token) => (form(typed, token)),
            None => p { "Only the owner of the box changes these." },
        }
        h2 { "What others see" }
        p { "They see this home's Internet address as a supplier of the sites you keep and follow. Turning sharing off hides nothing about sites you open, but nothing is given any more." }
    }
}

fn now(settings: &Settings, given: &Given) -> Markup {
    let limit = |bytes: u64| {
        if bytes == 0 {
            "no limit".to_owned()
        } else {
            format!("{} Mbit/s", mbit(bytes))
        }
    };
    html! {
        @if given.resting {
            div.light.is-warn { h2 { "Sharing rests until next month" } p { "The month's budget of " (words::size(settings.monthly_bytes)) " is used up. Sites still open and stay fresh." } }
        }
        (look::facts(&[
            ("Sharing", html! { @if settings.upload { "on" } @else { "off: the box takes and gives nothing" } }),
            ("Given this month", html! { (words::size(given.month_bytes)) @if settings.monthly_bytes > 0 { " of " (words::size(settings.monthly_bytes)) } }),
            ("Given in all", html! { (words::size(given.total_bytes)) }),
            ("Fastest upload", html! { (limit(settings.upload_bytes_per_sec)) }),
            ("Fastest download", html! { (limit(settings.download_bytes_per_sec)) }),
        ]))
    }
}

fn form(typed: &Typed, token: &str) -> Markup {
    html! {
        h2 { "Change it" }
        form action="/sharing" method="post" {
            (look::hidden("token", token))
            div.field { input.check #upload type="checkbox" name="upload" checked[typed.upload]; label.inline for="upload" { "Give to others" } }
            (Field::new("up", "Upload at most, in Mbit/s").short().value(&typed.up).error(typed.error("up"))
                .hint("Empty: no limit. A third of what your line can send is a good start: video calls stay smooth.").draw())
            (Field::new("down", "Download at most, in Mbit/s").short().value(&typed.down).error(typed.error("down")).hint("Empty: no limit.").draw())
            (Field::new("month", "Give at most in a month, in GB").short().value(&typed.month).error(typed.error("month"))
                .hint("Empty: no limit. When it is used up, giving rests until the first of the next month.").draw())
            fieldset {
                legend { "Hours with other limits" }
                p.hint { "Every day, in the time of this home: for example 07:00 to 23:00 with 2 Mbit/s up, so that evenings are not slow. Empty rows are left out; empty limits are none." }
                @for (index, span) in typed.spans.iter().enumerate() { (span_row(index + 1, span, typed)) }
            }
            button type="submit" { "Save" }
        }
        p.hint { "To undo it, write the old values again. It counts at once and survives a restart." }
    }
}

fn span_row(row: usize, [from, until, up, down]: &[String; 4], typed: &Typed) -> Markup {
    let cell = |name: &str, label: &str, value: &str| {
        let id = format!("{name}{row}");
        let wrong = typed.error(&id);
        html! {
            span.cell {
                label for=(id) { (label) }
                input.short id=(id) name=(id) value=(value) autocomplete="off" aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| format!("{id}-error"))];
                @if let Some(wrong) = wrong { span.error id=(format!("{id}-error")) { (wrong) } }
            }
        }
    };
    html! {
        div.span role="group" aria-label=(format!("Hours, row {row}")) {
            (cell("from", "From", from)) (cell("until", "Until", until)) (cell("up", "Up, Mbit/s", up)) (cell("down", "Down, Mbit/s", down))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed() -> Typed {
        Typed::of(&Settings {
            upload: true,
            upload_bytes_per_sec: 1_500_000,
            download_bytes_per_sec: 0,
            schedule: vec![Hours {
                days: Vec::new(),
                from: "22:00".into(),
                until: "06:00".into(),
                upload_bytes_per_sec: 0,
                download_bytes_per_sec: 312_500,
            }],
            monthly_bytes: 300 * GIGA,
        })
    }

    #[test]
    fn what_the_form_shows_is_what_it_saves() {
        let typed = typed();
        assert_eq!((&*typed.up, &*typed.down, &*typed.month), ("12", "", "300"));
        assert_eq!(typed.spans[0], ["22:00", "06:00", "", "2.5"]);
        let settings = typed.read(&Settings::default()).expect("nothing is wrong");
        assert_eq!(Typed::of(&settings).spans, typed.spans);
        assert_eq!(settings.upload_bytes_per_sec, 1_500_000);
        assert_eq!(settings.schedule.len(), 1);
    }

    #[test]
    fn each_wrong_field_is_named_and_keeps_its_text() {
        let mut typed = typed();
        typed.up = "<b>fast".into();
        typed.month = "-1".into();
        typed.spans[1] = ["25:00".into(), String::new(), "1e999".into(), "nan".into()];
        let errors = typed.read(&Settings::default()).expect_err("five are wrong");
        let fields: Vec<&str> = errors.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["up", "up2", "down2", "from2", "until2", "month"]);
        typed.errors = errors;
        let text = draw(&Settings::default(), &Given::default(), &typed, Some("t")).into_string();
        assert!(
            text.contains("value=\"&lt;b&gt;fast\"") && !text.contains("<b>"),
            "{text}"
        );
        for field in fields_of(&typed) {
            assert!(
                text.contains(&format!("href=\"#{field}\""))
                    && text.contains(&format!("id=\"{field}-error\"")),
                "{field}"
            );
        }
    }

    fn fields_of(typed: &Typed) -> Vec<String> {
        typed.errors.iter().map(|(field, _)| field.clone()).collect()
    }

    #[test]
    fn a_member_sees_figures_without_a_form() {
        let text = draw(&Settings::default(), &Given::default(), &typed(), None).into_string();
        assert!(!text.contains("<form") && text.contains("Only the owner"));
    }

    #[test]
    fn commas_and_empty_fields_are_understood() {
        assert_eq!(bytes_per_sec("2,5"), Some(312_500));
        assert_eq!(bytes_per_sec(""), Some(0));
        assert_eq!(bytes_per_sec("-1"), None);
        assert_eq!(bytes_per_sec("inf"), None);
    }
}
