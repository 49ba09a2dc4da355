//! People and programs: who may enter, the browsers they did it with, and the tokens of programs.

use data_encoding::HEXLOWER;
use hyper::StatusCode;
use maud::{Markup, html};
use store::{Account, ApiToken, Role, Session, Store};

use super::{Answer, Visit, claim::passwords, login::person};
use crate::admin::{
    access::Trouble,
    form::Form,
    look::{Confirm, Field, errors, hidden, send, words},
};

pub async fn show(visit: Visit<'_>) -> Answer {
    match visit.rest {
        [] => list(&visit, None, StatusCode::OK).await,
        ["remove"] if visit.owner() => remove_asked(&visit),
        _ => Answer::nowhere(),
    }
}

/// One address per deed; owners' deeds are checked here, because the others share the page.
pub async fn act(visit: Visit<'_>, form: &Form) -> Answer {
    let [deed] = visit.rest else {
        return Answer::nowhere();
    };
    let done = match *deed {
        "session" => end_session(&visit, form).await,
        "everywhere" => return everywhere(&visit).await,
        "add" | "remove" | "password" | "token" | "revoke" if !visit.owner() => return Answer::owners_only(),
        "add" => add(&visit, form).await,
        "remove" => remove(&visit, form).await,
        "password" => set_password(&visit, form).await,
        "token" => add_token(&visit, form).await,
        "revoke" => revoke(&visit, form).await,
        _ => return Answer::nowhere(),
    };
    match done {
        Ok(Some(notice)) => Answer::see("/people", notice),
        Ok(None) => Answer::incomplete(),
        Err(trouble @ (Trouble::Store(_) | Trouble::Busy | Trouble::Wait { .. })) => Answer::denied(&trouble),
        Err(trouble) => {
            let field = match (*deed, &trouble) {
                ("token", _) => "program",
                (_, Trouble::Unfit(_)) => "password",
                _ => "name",
            };
            let words = trouble.to_string();
            list(&visit, Some((field, &words)), StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
}

/// What was done; `None`: the form lacks something.
type Done = Result<Option<String>, Trouble>;

async fn add(visit: &Visit<'_>, form: &Form) -> Done {
    let (Some((name, password)), Some(again)) = (person(form), form.only("again")) else {
        return Ok(None);
    };
    let role = match form.only("role") {
        Some("owner") => Role::Owner,
        _ => Role::Member,
    };
    let name = visit.access.add_account(name, role, (password, again)).await?;
    Ok(Some(format!(
        "{name} can log in now. Tell them the password yourself."
    )))
}

async fn remove(visit: &Visit<'_>, form: &Form) -> Done {
    let Some(name) = form.only("name") else {
        return Ok(None);
    };
    visit.access.remove_account(name).await?;
    Ok(Some(format!(
        "{name} has no account any more, and their programs have no token."
    )))
}

async fn set_password(visit: &Visit<'_>, form: &Form) -> Done {
    let (Some((name, password)), Some(again)) = (person(form), form.only("again")) else {
        return Ok(None);
    };
    visit.access.set_password(name, (password, again)).await?;
    Ok(Some(format!(
        "{name} has a new password and has to log in again everywhere."
    )))
}

async fn add_token(visit: &Visit<'_>, form: &Form) -> Done {
    let (Some(name), Some(account)) = (form.text("program"), form.only("account")) else {
        return Ok(None);
    };
    let text = visit.access.add_token(name, account).await?;
    Ok(Some(format!("The token of {name}, shown only this once: {text}")))
}

async fn revoke(visit: &Visit<'_>, form: &Form) -> Done {
    let Some(id) = id(form) else { return Ok(None) };
    visit.access.remove_token(id).await?;
    Ok(Some("This token opens nothing any more.".into()))
}

async fn end_session(visit: &Visit<'_>, form: &Form) -> Done {
    let Some(id) = id(form) else { return Ok(None) };
    // Only one's own: an id from elsewhere ends nobody's session.
    let own = visit.handles.db.store().session(&id)?;
    if own.is_some_and(|session| session.account == visit.person.name) {
        visit.access.end_session(id).await?;
    }
    Ok(Some("That browser has to log in again.".into()))
}

async fn everywhere(visit: &Visit<'_>) -> Answer {
    match visit.access.end_sessions(&visit.person.name).await {
        Ok(()) => Answer::SeeWith {
            path: "/login".into(),
            cookie: crate::admin::access::farewell(),
        },
        Err(trouble) => Answer::denied(&trouble),
    }
}

fn id(form: &Form) -> Option<[u8; 32]> {
    let bytes = HEXLOWER.decode(form.only("id")?.as_bytes()).ok()?;
    bytes.try_into().ok()
}

/// What the page shows.
struct View {
    accounts: Vec<Account>,
    tokens: Vec<ApiToken>,
    sessions: Vec<Session>,
}

impl View {
    fn read(store: &Store, visit: &Visit<'_>) -> Result<Self, store::Error> {
        let mut sessions = store.sessions()?;
        sessions.retain(|session| session.account == visit.person.name);
        sessions.sort_by_key(|session| std::cmp::Reverse(session.used));
        Ok(Self {
            accounts: store.accounts()?,
            tokens: if visit.owner() {
                store.api_tokens()?
            } else {
                Vec::new()
            },
            sessions,
        })
    }
}

async fn list(visit: &Visit<'_>, wrong: Option<(&str, &str)>, status: StatusCode) -> Answer {
    match View::read(visit.handles.db.store(), visit) {
        Ok(view) => Answer::Page {
            status,
            title: "People and programs".into(),
            body: draw(visit, &view, wrong),
            refresh_secs: None,
        },
        Err(err) => Answer::denied(&Trouble::Store(err)),
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Member => "member",
    }
}

fn draw(visit: &Visit<'_>, view: &View, wrong: Option<(&str, &str)>) -> Markup {
    let found: Vec<_> = wrong.into_iter().collect();
    html! {
        h1 { "People and programs" }
        (errors(&found))
        p.lead { "Owners change everything. Members follow, keep and look. Opening sites needs no account." }
        h2 { "People" }
        table {
            thead { tr { th scope="col" { "Name" } th scope="col" { "May" } th scope="col" { "Since" }
                @if visit.owner() { th scope="col" { span.soft { "Remove" } } } } }
            tbody { @for one in &view.accounts { tr {
                th scope="row" { (one.name) @if one.name == visit.person.name { " (you)" } }
                td { (role(one.role)) }
                td { (words::day(one.added)) }
                @if visit.owner() { td { a href=(remove_path(&one.name)) { "Remove " (one.name) } } }
            } } }
        }
        p { a href="/password" { "Change your password" } }
        (browsers(visit, &view.sessions))
        @if visit.owner() {
            (programs(visit, view))
            (newcomer(visit, view))
        }
    }
}

fn remove_path(name: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("name", name)
        .finish();
    format!("/people/remove?{query}")
}

fn browsers(visit: &Visit<'_>, sessions: &[Session]) -> Markup {
    let token = visit.token();
    html! {
        h2 { "Where you are logged in" }
        ul.cards { @for one in sessions { li {
            p { @if one.id == visit.browser { strong { "This browser" } } @else { "A browser" }
                ", since " (words::date(one.since)) ", last used " (words::date(one.used)) }
            @if one.id != visit.browser {
                div.deeds { (send("/people/session", token, &[("id", &HEXLOWER.encode(&one.id))], "quiet", "Log it out")) }
            }
        } } }
        div.deeds { (send("/people/everywhere", token, &[], "quiet", "Log out everywhere")) }
    }
}

fn programs(visit: &Visit<'_>, view: &View) -> Markup {
    let token = visit.token();
    html! {
        h2 { "Programs" }
        p { "A program shows a token instead of a password, and may what the person may in whose name it works." }
        @if !view.tokens.is_empty() {
            ul.cards { @for one in &view.tokens { li {
                p { strong { (one.name) } " for " (one.account) ", since " (words::date(one.since)) ", last used " (words::date(one.used)) }
                div.deeds { (send("/people/revoke", token, &[("id", &HEXLOWER.encode(&one.id))], "loss", "Revoke")) }
            } } }
        }
        form action="/people/token" method="post" {
            (hidden("token", token))
            (Field::new("program", "Name of the program").hint("So that you know it again.").required().draw())
            (account_choice("account", view, &visit.person.name))
            button type="submit" { "Make a token" }
        }
    }
}

fn account_choice(name: &str, view: &View, chosen: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { "In whose name" }
            select id=(name) name=(name) {
                @for one in &view.accounts {
                    option value=(one.name) selected[one.name == chosen] { (one.name) " (" (role(one.role)) ")" }
                }
            }
        }
    }
}

fn newcomer(visit: &Visit<'_>, view: &View) -> Markup {
    html! {
        h2 { "Add somebody" }
        form action="/people/add" method="post" {
            (hidden("token", visit.token()))
            (Field::new("name", "Name").hint("To log in with. Up to 24 letters and digits.").required().draw())
            fieldset {
                legend { "May" }
                p { label { input.check type="radio" name="role" value="member" checked; " follow, keep and look (member)" } }
                p { label { input.check type="radio" name="role" value="owner"; " change everything (owner)" } }
            }
            (passwords(None))
            button type="submit" { "Add" }
        }
        @if view.accounts.len() > 1 { (others_password(visit, view)) }
    }
}

/// For a member who forgot theirs.
fn others_password(visit: &Visit<'_>, view: &View) -> Markup {
    html! {
        details {
            summary { "Give somebody a new password" }
            form action="/people/password" method="post" {
                (hidden("token", visit.token()))
                div.field {
                    label for="whose" { "Whose" }
                    select id="whose" name="name" { @for one in &view.accounts {
                        @if one.name != visit.person.name { option value=(one.name) { (one.name) } }
                    } }
                }
                div.field { label for="new" { "New password" }
                    input id="new" name="password" type="password" autocomplete="new-password" required; }
                div.field { label for="new-again" { "The same password again" }
                    input id="new-again" name="again" type="password" autocomplete="new-password" required; }
                button type="submit" { "Set the password" }
            }
        }
    }
}

fn remove_asked(visit: &Visit<'_>) -> Answer {
    let name = visit.query.only("name").unwrap_or_default();
    match visit.handles.db.store().account(name) {
        Ok(Some(account)) => {
            let confirm = Confirm {
                question: &format!("Remove {}?", account.name),
                changes: &[
                    "They are logged out everywhere and cannot log in any more.".into(),
                    "Tokens that work in their name are revoked.".into(),
                    "What is followed and kept stays.".into(),
                ],
                undo: "Add them again with a new password.",
                action: "/people/remove",
                token: visit.token(),
                fields: &[("name", &account.name)],
                button: "Remove",
                back: "/people",
            };
            Answer::page("Remove somebody", confirm.draw())
        }
        Ok(None) => Answer::nowhere(),
        Err(err) => Answer::denied(&Trouble::Store(err)),
    }
}
