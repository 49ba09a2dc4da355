//! Network: what is seen on this LAN, how devices find the box and how that is changed and undone; behind it, how the box
//! reaches the rest of the world.
//!
//! Reading order: this file (paths), `front`, `scene` (what is seen), `advice`, `choices` (the ways and what they cost), `guides` (for
//! routers), `addresses` and `names` (forms), `reach`.

pub mod addresses;
pub mod advice;
pub mod choices;
pub mod front;
pub mod guides;
pub mod names;
pub mod reach;
pub mod scene;

use std::{convert::Infallible, net::Ipv4Addr};

use hyper::StatusCode;
use lan::{api::Status, settings::Settings};
use maud::Markup;

use self::{choices::Choice, guides::Facts as Guide};
use super::{Answer, Visit, household};
use crate::admin::form::Form;

/// While something is under way the page looks again.
const REFRESH_SECS: u32 = 2;

pub async fn show(visit: Visit<'_>) -> Answer {
    match visit.rest {
        [] => front(&visit).await,
        ["reach"] => reach::show(visit).await,
        ["test"] => {
            let tried = visit.handles.arrangement.tried();
            let body = front::tried(&tried, visit.owner().then(|| visit.token()));
            again("Try it", body, tried.trying)
        }
        ["guide"] => Answer::page("Tell the router", guides::index(&guide(&visit).await)),
        ["guide", kind] => match guides::guide(kind, &guide(&visit).await) {
            Some(body) => Answer::page("Tell the router", body),
            None => Answer::nowhere(),
        },
        _ if !visit.owner() => Answer::owners_only(),
        ["choose", word] => match Choice::read(word) {
            Some(choice) => ask(&visit, choice).await,
            None => Answer::nowhere(),
        },
        ["addresses"] => match household::both(&visit).await {
            Ok((status, settings)) => {
                let typed = addresses::Typed::of(&settings.dhcp);
                Answer::page(
                    "Handing out addresses",
                    addresses::draw(&typed, status.dhcp.pool, visit.token()),
                )
            }
            Err(answer) => answer,
        },
        ["names"] => match household::settings(&visit).await {
            Ok(settings) => {
                let typed = names::Typed::of(&settings);
                Answer::page(
                    "Names in this home",
                    names::draw(&typed, &settings, visit.page(), visit.token()),
                )
            }
            Err(answer) => answer,
        },
        _ => Answer::nowhere(),
    }
}

pub async fn act(visit: Visit<'_>, form: &Form) -> Answer {
    let arrangement = &visit.handles.arrangement;
    match visit.rest {
        ["look"] => {
            arrangement.look();
            Answer::See {
                path: "/network".into(),
                notice: None,
            }
        }
        ["test"] => {
            // A device that is not set up asks the box by its address: that is where the PAC is.
            arrangement.try_all(visit.handles.addresses.http.unwrap_or(visit.proxy));
            Answer::See {
                path: "/network/test".into(),
                notice: None,
            }
        }
        ["undo"] => match arrangement.undo().await {
            Ok(Some(saved)) => {
                arrangement.look();
                household::saved(
                    "/network",
                    &saved,
                    "It is as it was before. Press “Undo” once more to go back to the change.",
                )
            }
            Ok(None) => Answer::see("/network", "There is nothing to undo: nothing was changed yet."),
            Err(err) => household::unavailable(&err),
        },
        ["choose", word] => match Choice::read(word) {
            Some(choice) => choose(&visit, choice, form).await,
            None => Answer::nowhere(),
        },
        ["addresses"] => set_addresses(&visit, form).await,
        ["names"] => set_names(&visit, form).await,
        _ => Answer::nowhere(),
    }
}

async fn set_addresses(visit: &Visit<'_>, form: &Form) -> Answer {
    let mut typed = addresses::Typed::from(form);
    let words = "What is handed out with addresses";
    let done = household::change(visit, words, |before| typed.read(before)).await;
    match household::done(done, "/network", "Saved. Devices get it when they ask next.") {
        Ok(answer) => answer,
        Err(errors) => {
            typed.errors = errors;
            let status = visit.handles.home.status().await.unwrap_or_default();
            let body = addresses::draw(&typed, status.dhcp.pool, visit.token());
            Answer::refused("Handing out addresses", body)
        }
    }
}

async fn set_names(visit: &Visit<'_>, form: &Form) -> Answer {
    let settings = match household::settings(visit).await {
        Ok(settings) => settings,
        Err(answer) => return answer,
    };
    let mut typed = names::Typed::from(form, &settings);
    let done = household::change(visit, "Names in this home", |before| typed.read(form, before)).await;
    match household::done(done, "/network/names", "Saved. It counts from now on.") {
        Ok(answer) => answer,
        Err(errors) => {
            typed.errors = errors;
            let body = names::draw(&typed, &settings, visit.page(), visit.token());
            Answer::refused("Names in this home", body)
        }
    }
}

async fn front(visit: &Visit<'_>) -> Answer {
    let arrangement = &visit.handles.arrangement;
    let (seen, tried) = (arrangement.seen(), arrangement.tried());
    let waiting = seen.looking || tried.trying;
    let before = arrangement.before().await;
    let both = match (
        visit.handles.home.status().await,
        visit.handles.home.settings().await,
    ) {
        (Ok(status), Ok(settings)) => Ok((status, settings)),
        (Err(err), _) | (_, Err(err)) => Err(err.to_string()),
    };
    let facts = front::Facts {
        both: both.as_ref().map_err(String::as_str),
        seen: &seen,
        tried: &tried,
        before: before.as_ref(),
        token: visit.owner().then(|| visit.token()),
    };
    again("Network", front::draw(&facts), waiting)
}

/// A page that looks again by itself while something is under way.
fn again(title: &str, body: Markup, waiting: bool) -> Answer {
    Answer::Page {
        status: StatusCode::OK,
        title: title.into(),
        body,
        refresh_secs: waiting.then_some(REFRESH_SECS),
    }
}

async fn ask(visit: &Visit<'_>, choice: Choice) -> Answer {
    match household::both(visit).await {
        Ok((status, settings)) => {
            let seen = visit.handles.arrangement.seen();
            let survey = seen.survey.as_ref().map(|(_, survey)| survey);
            let blocked = blocked(choice, &status, &seen);
            let body = choices::ask(choice, &settings, survey, blocked.as_deref(), visit.token());
            Answer::page(choice.title(), body)
        }
        Err(answer) => answer,
    }
}

/// Why a choice cannot be made now.
fn blocked(choice: Choice, status: &Status, seen: &crate::arrangement::Seen) -> Option<String> {
    let survey = seen.survey.as_ref().map(|(_, survey)| survey);
    match (choice, survey) {
        (Choice::Lease, None) => {
            Some("The box has not looked at this network yet. Go back and press “Look now” first.".into())
        }
        (Choice::Lease, survey) => choices::rival(status, survey),
        _ => None,
    }
}

async fn choose(visit: &Visit<'_>, choice: Choice, form: &Form) -> Answer {
    let status = match visit.handles.home.status().await {
        Ok(status) => status,
        Err(err) => return household::unavailable(&err),
    };
    let seen = visit.handles.arrangement.seen();
    if blocked(choice, &status, &seen).is_some() {
        return ask(visit, choice).await;
    }
    let gateway = seen.survey.as_ref().and_then(|(_, survey)| survey.gateway);
    let wanted = form.has("second");
    let edit = |before: &Settings| {
        let second = wanted.then(|| gateway.or(before.dhcp.second_resolver)).flatten();
        Ok::<_, Infallible>(choice.apply(before, second))
    };
    let done = household::change(visit, choice.title(), edit).await;
    visit.handles.arrangement.look();
    let notice = match choice {
        Choice::Lease => {
            "The box looks once more whether anybody else hands out addresses, then begins. See below what it does."
        }
        Choice::Router => "The box keeps quiet. Now tell the router: the guide says how.",
        _ => "Done. It counts from now on.",
    };
    household::done(done, "/network", notice).unwrap_or_else(|never| match never {})
}

/// What the guides are filled in with.
async fn guide(visit: &Visit<'_>) -> Guide {
    let seen = visit.handles.arrangement.seen();
    let survey = seen.survey.map(|(_, survey)| survey).unwrap_or_default();
    let here: Option<Ipv4Addr> = match visit.handles.home.status().await {
        Ok(status) => status
            .interfaces
            .iter()
            .filter(|one| one.served)
            .flat_map(|one| &one.addrs)
            .find_map(|addr| addr.split('/').next()?.parse().ok()),
        Err(_) => None,
    };
    Guide {
        addr: survey.addr.or(here),
        router: survey.gateway,
        http_port: visit.handles.addresses.http.map_or(80, |http| http.port()),
    }
}
