//! Storage: how full the disk is, with what, and what is wrong with it.

use maud::{Markup, html};
use store::Usage;

use super::{Answer, Visit};
use crate::{
    admin::{
        form::Form,
        look::{self, Field, words},
    },
    feeds::House,
};

const MEGA: u64 = 1_000_000;
/// More versions than a subscription remembers are not kept.
const VERSIONS_MAX: u32 = 50;

pub async fn show(visit: Visit<'_>) -> Answer {
    match visit.handles.feeds.house().await {
        Ok(house) => page(&visit, &Typed::of(house)).await,
        Err(err) => Answer::unavailable(&err.to_string()),
    }
}

/// The household's limits for what it follows.
pub async fn act(visit: Visit<'_>, form: &Form) -> Answer {
    let mut typed = Typed::from(form);
    match typed.read() {
        Ok(house) => match visit.handles.feeds.set_house(house).await {
            Ok(()) => Answer::see("/storage", "Saved. It counts from the next version on."),
            Err(err) => Answer::unavailable(&err.to_string()),
        },
        Err(errors) => {
            typed.errors = errors;
            page(&visit, &typed).await
        }
    }
}

async fn page(visit: &Visit<'_>, typed: &Typed) -> Answer {
    let troubles = visit.handles.health.troubles();
    let trouble = troubles
        .into_iter()
        .find(|(room, _)| *room == "store")
        .map(|(_, text)| text);
    let token = visit.owner().then(|| visit.token());
    match visit.handles.db.run(|store| store.usage()).await {
        Ok(usage) => {
            let body = draw(&usage, trouble.as_deref(), typed, token);
            if typed.errors.is_empty() {
                Answer::page("Storage", body)
            } else {
                Answer::refused("Storage", body)
            }
        }
        Err(err) => Answer::unavailable(&err.to_string()),
    }
}

/// The limits as they stand in the form.
#[derive(Debug, Default, Clone)]
pub struct Typed {
    pub quota: String,
    pub keep: String,
    /// Field and sentence.
    pub errors: Vec<(&'static str, String)>,
}

impl Typed {
    pub fn of(house: House) -> Self {
        Self {
            quota: house.quota_bytes.div_ceil(MEGA).to_string(),
            keep: house.keep_versions.to_string(),
            errors: Vec::new(),
        }
    }

    pub fn from(form: &Form) -> Self {
        let text = |name: &str| form.text(name).unwrap_or_default().to_owned();
        Self {
            quota: text("quota"),
            keep: text("keep"),
            errors: Vec::new(),
        }
    }

    pub fn read(&self) -> Result<House, Vec<(&'static str, String)>> {
        let quota = self.quota.parse::<u64>().ok().filter(|mega| *mega >= 1);
        let quota_bytes = quota.and_then(|mega| mega.checked_mul(MEGA));
        let keep = self.keep.parse::<u32>().ok().filter(|keep| *keep <= VERSIONS_MAX);
        match (quota_bytes, keep) {
            (Some(quota_bytes), Some(keep_versions)) => Ok(House {
                quota_bytes,
                keep_versions,
            }),
            (quota, keep) => {
                let wrong_quota = quota.is_none().then(|| {
                    let text = format!("“{}” is no size: write whole megabytes, at least 1.", self.quota);
                    ("quota", text)
                });
                let wrong_keep = keep.is_none().then(|| {
                    let text = format!(
                        "“{}” is no number of versions: write 0 to {VERSIONS_MAX}.",
                        self.keep
                    );
                    ("keep", text)
                });
                Err(wrong_quota.into_iter().chain(wrong_keep).collect())
            }
        }
    }

    fn error(&self, field: &str) -> Option<&str> {
        let found = self.errors.iter().find(|(name, _)| *name == field);
        found.map(|(_, text)| text.as_str())
    }
}

/// `token`: present for whoever may change the limits.
pub fn draw(usage: &Usage, trouble: Option<&str>, typed: &Typed, token: Option<&str>) -> Markup {
    let errors: Vec<(&str, &str)> = typed
        .errors
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let room = usage.disk_bytes.saturating_add(usage.free_bytes);
    let used = words::percent(usage.disk_bytes, room.max(1));
    html! {
        (look::errors(&errors))
        h1 { "Storage" }
        p.lead { (words::size(usage.disk_bytes)) " used by Granary, " (words::size(usage.free_bytes)) " free on the disk." }
        (look::bar(used, "How much of the room is used"))
        @match trouble {
            Some(text) => div.light.is-bad {
                h2 { "! The disk is in trouble" }
                p { (text) }
                p { "What is held can still be read where possible, and nothing wrong is ever shown. Free some space or look at the disk; the box goes on by itself when it is well again." }
            },
            None => p { "The disk answers and nothing damaged was found." },
        }
        h2 { "What it is used for" }
        (look::facts(&[
            ("Kept sites", html! { (words::size(usage.kept_bytes)) " – stay until you remove them" }),
            ("Visited sites", html! { (words::size(usage.visited_bytes)) " – make room by themselves, the longest unused first" }),
            ("Sites", html! { a href="/sites" { (words::count(usage.sites, "site", "sites")) } ", in " (words::count(usage.pieces, "piece", "pieces")) }),
            ("Counted once", html! { (words::size(usage.live_bytes)) " – what several versions share is stored once" }),
            ("On the disk", html! { (words::size(usage.disk_bytes)) " with everything around it" }),
        ]))
        h2 { "To free space" }
        p { "Remove what you no longer need: " a href="/sites?sort=size" { "the largest sites" } ", or " a href="/sites?sort=used&only=visited" { "what was only visited" } ". Each asks before it removes anything." }
        h2 { "Limits for what is followed" }
        @match token {
            Some(token) => form action="/storage" method="post" {
                (look::hidden("token", token))
                (Field::new("quota", "Ask before a version larger than, in MB").short().value(&typed.quota).error(typed.error("quota"))
                    .hint("Until you say yes, only its list of files is here. A subscription may have a limit of its own.").draw())
                (Field::new("keep", "Older versions to keep").short().value(&typed.keep).error(typed.error("keep"))
                    .hint("For what you follow from now on, besides the newest one and what you pinned.").draw())
                button type="submit" { "Save" }
            },
            None => p { "Versions larger than " (typed.quota) " MB wait for the owner's word; " (typed.keep) " older ones are kept." },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_are_shown_and_nonsense_is_refused() {
        let house = House {
            quota_bytes: 250 * MEGA,
            keep_versions: 7,
        };
        assert_eq!(Typed::of(house).read(), Ok(house));
        for (quota, keep, wrong) in [
            ("", "3", &["quota"][..]),
            ("0", "3", &["quota"]),
            ("99999999999999999999", "3", &["quota"]),
            ("18446744073709551615", "3", &["quota"]),
            ("10", "51", &["keep"]),
            ("ten", "-1", &["quota", "keep"]),
        ] {
            let typed = Typed {
                quota: quota.into(),
                keep: keep.into(),
                errors: Vec::new(),
            };
            let errors = typed.read().expect_err(quota);
            let fields: Vec<_> = errors.iter().map(|(field, _)| *field).collect();
            assert_eq!(fields, wrong, "{quota} {keep}");
        }
    }
}
