//! Whose cookie and whose token came with a request.

use cookie::{Cookie, SameSite};
use hyper::{HeaderMap, header};
use store::{Error, Role};

use super::{Access, Person, secret::Secret};
use crate::api::Caller;

/// Of somebody who is signed in.
const SESSION: &str = "granary";
/// Of a browser in front of the door, so that the forms there are bound to it too.
const DOOR: &str = "granary-door";
/// A session that is not used for so long ends.
pub const IDLE_SECS: u64 = 30 * 86_400;
/// However much it is used.
const ABSOLUTE_SECS: u64 = 180 * 86_400;
/// That it was used is written this seldom: memory cards wear out.
const TOUCH_SECS: u64 = 3_600;
/// Cookies of our names that are looked at; another server on this machine may have set some.
const TRIES_MAX: usize = 4;

/// The browser, and who sits in front of it.
pub struct Seen {
    pub person: Option<Person>,
    secret: Secret,
    /// The door cookie is new and has to be set.
    fresh: bool,
}

impl Seen {
    /// Stands in forms.
    pub fn token(&self) -> String {
        self.secret.form_token()
    }

    pub fn id(&self) -> [u8; 32] {
        self.secret.id()
    }

    /// `Set-Cookie` for a browser that has none of ours.
    pub fn door_cookie(&self) -> Option<String> {
        self.fresh.then(|| set(DOOR, &self.secret.text(), None))
    }
}

/// Of a new session.
pub fn cookie(secret: &Secret) -> String {
    set(SESSION, &secret.text(), Some(ABSOLUTE_SECS))
}

/// Takes the session's cookie away.
pub fn farewell() -> String {
    set(SESSION, "", Some(0))
}

/// HttpOnly and Strict; not `Secure`, because a home's box has no certificate that browsers trust.
fn set(name: &str, value: &str, max_age_secs: Option<u64>) -> String {
    let mut cookie = Cookie::new(name, value);
    cookie.set_http_only(true);
    cookie.set_same_site(SameSite::Strict);
    cookie.set_path("/");
    let text = cookie.to_string();
    match max_age_secs {
        Some(secs) => format!("{text}; Max-Age={secs}"),
        None => text,
    }
}

fn secrets(headers: &HeaderMap, name: &str) -> Vec<Secret> {
    let all = headers.get_all(header::COOKIE).iter();
    let pairs = all
        .filter_map(|value| value.to_str().ok())
        .flat_map(Cookie::split_parse);
    pairs
        .flatten()
        .filter(|pair| pair.name() == name)
        .filter_map(|pair| Secret::read(pair.value()))
        .take(TRIES_MAX)
        .collect()
}

impl Access {
    /// Who sends this.
    pub async fn see(&self, headers: &HeaderMap) -> Result<Seen, Error> {
        for secret in secrets(headers, SESSION) {
            if let Some(person) = self.person(&secret).await? {
                return Ok(Seen {
                    person: Some(person),
                    secret,
                    fresh: false,
                });
            }
        }
        let door = secrets(headers, DOOR).into_iter().next();
        Ok(Seen {
            person: None,
            fresh: door.is_none(),
            secret: door.unwrap_or_else(Secret::random),
        })
    }

    async fn person(&self, secret: &Secret) -> Result<Option<Person>, Error> {
        let (store, id) = (self.handles.db.store(), secret.id());
        let Some(session) = store.session(&id)? else {
            return Ok(None);
        };
        let now = self.handles.clock.now_secs();
        // A clock that went back (boards without a battery) makes nothing older.
        let old =
            now.saturating_sub(session.used) > IDLE_SECS || now.saturating_sub(session.since) > ABSOLUTE_SECS;
        if old {
            return Ok(None);
        }
        if now.saturating_sub(session.used) > TOUCH_SECS {
            let touch = move |store: &store::Store| store.touch_session(&id, now);
            self.handles.db.run(touch).await?;
        }
        Ok(store.account(&session.account)?.map(|account| Person {
            name: account.name,
            role: account.role,
            token: secret.form_token(),
        }))
    }

    /// Who a program speaks for. No token: nobody; a wrong one is refused, so that a program notices.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Option<Caller>, Error> {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Ok(Some(Caller::Nobody));
        };
        let text = value.to_str().unwrap_or_default();
        let Some((scheme, token)) = text.split_once(' ') else {
            return Ok(None);
        };
        let Some(secret) = Secret::read(token.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))
        else {
            return Ok(None);
        };
        let (store, id, now) = (
            self.handles.db.store(),
            secret.id(),
            self.handles.clock.now_secs(),
        );
        let Some(token) = store.api_token(&id)? else {
            return Ok(None);
        };
        if now.saturating_sub(token.used) > TOUCH_SECS {
            let touch = move |store: &store::Store| store.touch_api_token(&id, now);
            self.handles.db.run(touch).await?;
        }
        Ok(store.account(&token.account)?.map(|account| match account.role {
            Role::Owner => Caller::Owner,
            Role::Member => Caller::Member,
        }))
    }
}
