//! The first owner of a box that has none: the PIN that only the holder of the box sees, a name, a password.

use hyper::StatusCode;
use maud::{Markup, html};

use super::{Answer, Entry, login::person};
use crate::{
    admin::{
        access::Trouble,
        form::Form,
        look::{Field, errors, hidden},
    },
    claim::Stand,
};

pub async fn show(entry: Entry<'_>) -> Answer {
    match entry.handles.claim.stand() {
        Stand::Owned => Answer::See {
            path: "/login".into(),
            notice: None,
        },
        Stand::Shut => shut(),
        Stand::Open => Answer::page("Set up this box", draw(entry.token, "", None)),
    }
}

pub async fn act(entry: Entry<'_>, form: &Form) -> Answer {
    let (Some(pin), Some((name, password)), Some(again)) =
        (form.only("pin"), person(form), form.only("again"))
    else {
        return Answer::incomplete();
    };
    match entry.access.claim(pin, name, (password, again)).await {
        Ok(cookie) => Answer::SeeWith {
            path: "/".into(),
            cookie,
        },
        Err(Trouble::Shut) => shut(),
        Err(Trouble::Owned) => Answer::Trouble {
            status: StatusCode::CONFLICT,
            title: "This box has an owner already".into(),
            words: "Nothing was changed. Log in, or ask the owner to add you.".into(),
        },
        Err(trouble) => match field(&trouble) {
            Some(field) => Answer::refused(
                "Set up this box",
                draw(entry.token, name, Some((field, &trouble.to_string()))),
            ),
            None => Answer::denied(&trouble),
        },
    }
}

/// Which field a trouble is about.
pub fn field(trouble: &Trouble) -> Option<&'static str> {
    match trouble {
        Trouble::Pin { .. } => Some("pin"),
        Trouble::Name | Trouble::Taken => Some("name"),
        Trouble::Unfit(_) => Some("password"),
        _ => None,
    }
}

fn shut() -> Answer {
    Answer::Trouble {
        status: StatusCode::FORBIDDEN,
        title: "Setting up is closed".into(),
        words: "This box has no owner yet, but the half hour or the ten tries for setting it up are over. Nothing was \
                changed. Restart the box: it then shows a new PIN for half an hour."
            .into(),
    }
}

fn draw(token: &str, name: &str, wrong: Option<(&str, &str)>) -> Markup {
    let error = |field: &str| wrong.and_then(|(wrong, words)| (wrong == field).then_some(words));
    let found: Vec<_> = wrong.into_iter().collect();
    html! {
        h1 { "Set up this box" }
        (errors(&found))
        p.lead { "You become its owner: only owners change how the box works and who may enter. Reading needs no account." }
        form action="/claim" method="post" {
            (hidden("token", token))
            (Field::new("pin", "PIN")
                .hint("Eight digits. They stand where the box was started: in its log, and in what the command granary status prints there.")
                .autocomplete("one-time-code").short().required().error(error("pin")).draw())
            (Field::new("name", "Your name")
                .hint("To log in with. Up to 24 letters and digits.")
                .value(name).autocomplete("username").required().error(error("name")).draw())
            (passwords(error("password")))
            button type="submit" { "Become the owner" }
        }
        p.hint { "Somebody else set it up? Then restart the box within the half hour and use its new PIN first." }
    }
}

/// A new password, twice.
pub fn passwords(error: Option<&str>) -> Markup {
    html! {
        (Field::new("password", "Password").kind("password")
            .hint("At least 8 characters. Four words that do not belong together are good. Write it down and keep it at home.")
            .autocomplete("new-password").required().error(error).draw())
        (Field::new("again", "The same password again").kind("password")
            .autocomplete("new-password").required().draw())
    }
}
