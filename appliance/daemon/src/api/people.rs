//! Who may manage the box, and the tokens of programs. Passwords are set on pages only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{ApiToken, Role};

use super::{
    operation::{Call, Nothing},
    refusal::Refusal,
    reply::Done,
    secret::Secret,
};

const TOKENS_MAX: usize = 200;
const NAME_BYTES_MAX: usize = 60;

/// A person.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AccountView {
    pub name: String,
    /// `owner` or `member`.
    pub role: &'static str,
    pub added: u64,
}

/// A token; its text is not known to the box.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TokenView {
    /// 64 hex digits.
    pub id: String,
    pub name: String,
    pub account: String,
    pub since: u64,
    /// When it was last used, to the minute or so.
    pub used: u64,
}

pub async fn accounts(call: Call, _: Nothing, _: Nothing) -> Result<Vec<AccountView>, Refusal> {
    let accounts = call.handles.db.run(|store| store.accounts()).await?;
    let view = |account: store::Account| AccountView {
        role: match account.role {
            Role::Owner => "owner",
            Role::Member => "member",
        },
        name: account.name,
        added: account.added,
    };
    Ok(accounts.into_iter().map(view).collect())
}

pub async fn tokens(call: Call, _: Nothing, _: Nothing) -> Result<Vec<TokenView>, Refusal> {
    let tokens = call.handles.db.run(|store| store.api_tokens()).await?;
    Ok(tokens.iter().map(view).collect())
}

fn view(token: &ApiToken) -> TokenView {
    TokenView {
        id: data_encoding::HEXLOWER.encode(&token.id),
        name: token.name.clone(),
        account: token.account.clone(),
        since: token.since,
        used: token.used,
    }
}

/// A token to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenBody {
    /// What it is for; up to 60 bytes.
    name: String,
    /// Whose rights it has.
    account: String,
}

/// A token, shown this once.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TokenMade {
    /// Sent as `Authorization: Bearer …`.
    pub token: String,
    #[serde(flatten)]
    pub view: TokenView,
}

pub async fn make_token(call: Call, _: Nothing, body: TokenBody) -> Result<TokenMade, Refusal> {
    let name = body.name.trim().to_owned();
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
        let words = format!("a token is named in 1 to {NAME_BYTES_MAX} bytes without line breaks");
        return Err(Refusal::unacceptable(words));
    }
    let (secret, now) = (Secret::random(), call.handles.clock.now_secs());
    let token = ApiToken {
        id: secret.id(),
        name,
        account: body.account,
        since: now,
        used: now,
    };
    let made = view(&token);
    let put = move |store: &store::Store| {
        if store.account(&token.account)?.is_none() {
            return Ok(Err(Refusal::unknown(format!(
                "nobody here is called {:?}",
                token.account
            ))));
        }
        if store.api_tokens()?.len() >= TOKENS_MAX {
            let words = format!("there are {TOKENS_MAX} tokens already; remove one first");
            return Ok(Err(Refusal::unacceptable(words)));
        }
        store.put_api_token(&token).map(Ok)
    };
    call.handles.db.run(put).await??;
    Ok(TokenMade {
        token: secret.text(),
        view: made,
    })
}

pub async fn remove_token(call: Call, _: Nothing, _: Nothing) -> Result<Done, Refusal> {
    let text = call.place("token");
    let id = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    let Some(id) = id.and_then(|id| <[u8; 32]>::try_from(id).ok()) else {
        return Err(Refusal::asked_wrongly(format!(
            "{text:?} is no id of 64 hex digits"
        )));
    };
    let remove = move |store: &store::Store| {
        let known = store.api_token(&id)?.is_some();
        store.remove_api_token(&id)?;
        Ok(known)
    };
    match call.handles.db.run(remove).await? {
        true => Ok(Done::default()),
        false => Err(Refusal::unknown("there is no such token")),
    }
}
