//! Names (DNS): what was answered, who is asked outside, what is blocked.
//!
//! Reading order: this file (paths), `overview`, `settings`, `blocking`, `lists` (of others), `names` (lists of names).

pub mod blocking;
pub mod lists;
pub mod names;
pub mod overview;
pub mod settings;

use std::convert::Infallible;

use super::{Answer, Visit, household};
use crate::admin::{form::Form, look::words};

/// Longer pauses are forgotten by whoever made them.
const PAUSE_SECS_MAX: u64 = 86_400;
/// Characters of a refused list that are shown again.
const TYPED_MAX: usize = 4_000;

pub async fn show(visit: Visit<'_>) -> Answer {
    if !visit.rest.is_empty() && !visit.owner() {
        return Answer::owners_only();
    }
    if let ["lists", rest @ ..] = visit.rest {
        return lists::show(&visit, rest);
    }
    let (status, settings) = match household::both(&visit).await {
        Ok(both) => both,
        Err(answer) => return answer,
    };
    match visit.rest {
        [] => {
            let top = if settings.block.count_names {
                visit.handles.home.top().await.ok()
            } else {
                None
            };
            let facts = overview::Facts {
                status: &status,
                settings: &settings,
                top: top.as_ref(),
                token: visit.owner().then(|| visit.token()),
            };
            Answer::page("Names (DNS)", overview::draw(&facts))
        }
        ["settings"] => {
            let typed = settings::Typed::of(&settings.dns);
            Answer::page(
                "How names are found",
                settings::draw(&typed, &settings, visit.token()),
            )
        }
        ["blocking"] => {
            let body = blocking::draw(
                &settings,
                &status.block,
                &lists::summary(&visit.handles.blocklists.facts()),
                visit.token(),
            );
            Answer::page("Blocking", body)
        }
        ["names", word] => match names::List::read(word) {
            Some(list) => {
                let typed = names::Typed::default();
                Answer::page(
                    list.title(),
                    names::draw(list, &settings, &typed, visit.page(), visit.token()),
                )
            }
            None => Answer::nowhere(),
        },
        _ => Answer::nowhere(),
    }
}

pub async fn act(visit: Visit<'_>, form: &Form) -> Answer {
    match visit.rest {
        ["pause"] => pause(&visit, form).await,
        ["lists", rest @ ..] => lists::act(&visit, rest, form).await,
        ["settings"] => {
            let mut typed = settings::Typed::from(form);
            let done = household::change(&visit, "How names are found", |before| typed.read(before)).await;
            match household::done(done, "/dns", "Saved. It counts from now on.") {
                Ok(answer) => answer,
                Err(errors) => {
                    typed.errors = errors;
                    match household::settings(&visit).await {
                        Ok(settings) => {
                            let body = settings::draw(&typed, &settings, visit.token());
                            Answer::refused("How names are found", body)
                        }
                        Err(answer) => answer,
                    }
                }
            }
        }
        ["blocking"] => {
            let edit =
                |before: &lan::settings::Settings| Ok::<_, Infallible>(blocking::changed(form, before));
            let done = household::change(&visit, "Blocking", edit).await;
            household::done(done, "/dns/blocking", "Saved. It counts from now on.")
                .unwrap_or_else(|never| match never {})
        }
        ["names", word] => match names::List::read(word) {
            Some(list) => change_names(&visit, list, form).await,
            None => Answer::nowhere(),
        },
        _ => Answer::nowhere(),
    }
}

async fn change_names(visit: &Visit<'_>, list: names::List, form: &Form) -> Answer {
    let path = format!("/dns/names/{}", list.word());
    let done = household::change(visit, list.title(), |before| names::changed(list, form, before)).await;
    let error = match household::done(done, &path, "Saved. It counts from now on.") {
        Ok(answer) => return answer,
        Err(error) => error,
    };
    let names = form.text("names").unwrap_or_default().chars().take(TYPED_MAX);
    let typed = names::Typed {
        names: names.collect(),
        error: Some(error),
    };
    match household::settings(visit).await {
        Ok(settings) => {
            let body = names::draw(list, &settings, &typed, 0, visit.token());
            Answer::refused(list.title(), body)
        }
        Err(answer) => answer,
    }
}

async fn pause(visit: &Visit<'_>, form: &Form) -> Answer {
    let secs = form.text("secs").and_then(|secs| secs.parse::<u64>().ok());
    let Some(secs) = secs.filter(|secs| *secs <= PAUSE_SECS_MAX) else {
        return Answer::incomplete();
    };
    match visit.handles.home.pause(secs).await {
        Ok(_) if secs == 0 => Answer::see("/dns", "Names are blocked again."),
        Ok(_) => Answer::see("/dns", format!("Nothing is blocked for {}.", words::span(secs))),
        Err(err) => household::unavailable(&err),
    }
}
