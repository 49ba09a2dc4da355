//! One's own password.

use maud::{Markup, html};

use super::{Answer, Visit, claim::passwords};
use crate::admin::{
    access::Trouble,
    form::Form,
    look::{Field, errors, hidden},
};

pub async fn show(visit: Visit<'_>) -> Answer {
    Answer::page("Change your password", draw(visit.token(), None))
}

pub async fn act(visit: Visit<'_>, form: &Form) -> Answer {
    let fields = (form.only("old"), form.only("password"), form.only("again"));
    let (Some(old), Some(new), Some(again)) = fields else {
        return Answer::incomplete();
    };
    let changed = visit
        .access
        .change_password(visit.peer.ip(), visit.person, old, (new, again))
        .await;
    match changed {
        Ok(cookie) => Answer::SeeWith {
            path: "/people".into(),
            cookie,
        },
        Err(trouble @ (Trouble::Wrong | Trouble::Unfit(_))) => {
            let (field, words) = match trouble {
                Trouble::Wrong => ("old", "This is not your present password.".to_owned()),
                other => ("password", other.to_string()),
            };
            let body = draw(visit.token(), Some((field, &words)));
            Answer::refused("Change your password", body)
        }
        Err(trouble) => Answer::denied(&trouble),
    }
}

fn draw(token: &str, wrong: Option<(&str, &str)>) -> Markup {
    let error = |field: &str| wrong.and_then(|(wrong, words)| (wrong == field).then_some(words));
    let found: Vec<_> = wrong.into_iter().collect();
    html! {
        h1 { "Change your password" }
        (errors(&found))
        p { "Every other browser of yours has to log in again." }
        form action="/password" method="post" {
            (hidden("token", token))
            (Field::new("old", "Present password").kind("password")
                .autocomplete("current-password").required().error(error("old")).draw())
            (passwords(error("password")))
            button type="submit" { "Change" }
        }
    }
}
