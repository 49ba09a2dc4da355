//! Logging in and out.

use maud::{Markup, html};

use super::{Answer, Entry, Visit};
use crate::{
    admin::{
        access::{self, Trouble},
        form::Form,
        look::{Field, errors, hidden},
    },
    claim::Stand,
};

pub async fn show(entry: Entry<'_>) -> Answer {
    if !entry.handles.claim.owned() {
        return Answer::See {
            path: "/claim".into(),
            notice: None,
        };
    }
    let then = local(entry.query.text("then"));
    Answer::page("Log in", draw(&entry, then, "", None))
}

pub async fn act(entry: Entry<'_>, form: &Form) -> Answer {
    let Some((name, password)) = person(form) else {
        return Answer::incomplete();
    };
    let then = local(form.text("then"));
    match entry
        .access
        .login(entry.peer.ip(), name, password, entry.browser)
        .await
    {
        Ok(cookie) => Answer::SeeWith {
            path: then.into(),
            cookie,
        },
        Err(trouble @ Trouble::Wrong) => {
            Answer::refused("Log in", draw(&entry, then, name, Some(&trouble.to_string())))
        }
        Err(trouble) => Answer::denied(&trouble),
    }
}

/// Ends this browser's session.
pub async fn out(visit: Visit<'_>, _: &Form) -> Answer {
    match visit.access.end_session(visit.browser).await {
        Ok(()) => Answer::SeeWith {
            path: "/".into(),
            cookie: access::farewell(),
        },
        Err(trouble) => Answer::denied(&trouble),
    }
}

/// Name and password of a form that has each once.
pub fn person(form: &Form) -> Option<(&str, &str)> {
    Some((form.only("name")?, form.only("password")?))
}

/// A path of this box, else the first page: nobody is sent elsewhere from here.
fn local(then: Option<&str>) -> &str {
    let fits = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
    };
    then.filter(fits).unwrap_or("/")
}

fn draw(entry: &Entry<'_>, then: &str, name: &str, wrong: Option<&str>) -> Markup {
    let found: Vec<_> = wrong.map(|words| ("name", words)).into_iter().collect();
    html! {
        h1 { "Log in" }
        (errors(&found))
        @if entry.handles.claim.stand() == Stand::Open {
            p.notice { "The ownership of this box was opened again. " a href="/claim" { "Set it up with the PIN" } "." }
        }
        form action="/login" method="post" {
            (hidden("token", entry.token))
            (hidden("then", then))
            (Field::new("name", "Your name").value(name).autocomplete("username").required().draw())
            (Field::new("password", "Password").kind("password").autocomplete("current-password").required().draw())
            button type="submit" { "Log in" }
        }
        h2 { "Password forgotten?" }
        p { "An owner can give you a new one on the page People. If the owner forgot it: on the box itself, "
            code { "granary reset-owner" } " shows a new PIN for setting it up again. Everything else stays as it is." }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere_after_logging_in() {
        for path in ["/", "/people", "/sites?sort=name&page=2"] {
            assert_eq!(local(Some(path)), path);
        }
        for path in [
            "//evil.example",
            "http://evil.example/",
            "/\\evil.example",
            "evil",
            "",
            "/a\r\nb",
            "/ö",
            "\\/x",
            " /",
        ] {
            assert_eq!(local(Some(path)), "/", "{path}");
        }
    }
}
