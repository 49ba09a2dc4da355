//! What is followed: previewed, listed, changed, and what the household calls it.

use proto::{
    id::InfoHash,
    magnet::{Pasted, paste},
    name::Domains,
};
use schemars::JsonSchema;
use serde::Deserialize;
use store::{RecordRow, VersionState};

use super::{
    feed_reply::{ChangesView, PetnameView, PreviewView, SubscriptionView, VersionView},
    operation::{Call, Nothing, infohash, until},
    refusal::Refusal,
    reply::Done,
};
use crate::feeds::{self, Change, House};

/// Something a person pasted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasteBody {
    /// A magnet link, a key, an address or a host.
    paste: String,
}

/// How long to look.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitQuery {
    /// Seconds; 30 when left out, 600 at most.
    deadline: Option<u64>,
}

pub async fn preview(call: Call, query: WaitQuery, body: PasteBody) -> Result<PreviewView, Refusal> {
    let pasted = read(&body.paste)?;
    let preview = call.handles.feeds.preview(&pasted, until(query.deadline)).await?;
    Ok(preview.into())
}

pub async fn list(call: Call, _: Nothing, _: Nothing) -> Result<Vec<SubscriptionView>, Refusal> {
    let views = call.handles.feeds.list().await?;
    Ok(views.into_iter().map(Into::into).collect())
}

/// What to follow, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FollowBody {
    /// A magnet link, a key, an address or a host.
    paste: String,
    /// What the household calls it.
    title: Option<String>,
    /// A name of its own under the top-level name.
    petname: Option<String>,
    /// Ask before a version with more bytes; 0: the house's limit.
    quota_bytes: Option<u64>,
    /// Versions kept besides the present one.
    keep_versions: Option<u32>,
}

pub async fn follow(call: Call, _: Nothing, body: FollowBody) -> Result<SubscriptionView, Refusal> {
    let change = Change {
        title: body.title,
        petname: body.petname,
        quota_bytes: body.quota_bytes,
        keep_versions: body.keep_versions,
        ..Change::default()
    };
    let pasted = read(&body.paste)?;
    Ok(call.handles.feeds.follow(&pasted, change).await?.into())
}

pub async fn show(call: Call, _: Nothing, _: Nothing) -> Result<SubscriptionView, Refusal> {
    Ok(call.handles.feeds.view(&call.id()?).await?.into())
}

/// What the owner decides about a version that waits for a word.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Word {
    infohash: String,
    fetch: bool,
}

/// What is to change; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeBody {
    title: Option<String>,
    /// Empty: no name any more.
    petname: Option<String>,
    paused: Option<bool>,
    /// Not fetched, not served, not kept alive; what is here of it is removed.
    blocked: Option<bool>,
    /// 0: the house's limit.
    quota_bytes: Option<u64>,
    keep_versions: Option<u32>,
    /// A version that is never to be given up.
    pin: Option<String>,
    unpin: Option<String>,
    /// An old version whose files are to go; never the one that readers get.
    remove: Option<String>,
    approve: Option<Word>,
    /// The warning about two things signed under one number has been read.
    #[serde(default)]
    settle_conflict: bool,
}

pub async fn change(call: Call, _: Nothing, body: ChangeBody) -> Result<SubscriptionView, Refusal> {
    let approve = match body.approve {
        Some(word) => Some((infohash(&word.infohash)?, word.fetch)),
        None => None,
    };
    let change = Change {
        title: body.title,
        petname: body.petname,
        paused: body.paused,
        blocked: body.blocked,
        quota_bytes: body.quota_bytes,
        keep_versions: body.keep_versions,
        pin: body.pin.as_deref().map(infohash).transpose()?,
        unpin: body.unpin.as_deref().map(infohash).transpose()?,
        remove: body.remove.as_deref().map(infohash).transpose()?,
        approve,
        settle_conflict: body.settle_conflict,
    };
    Ok(call.handles.feeds.change(&call.id()?, change).await?.into())
}

/// What becomes of its versions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnfollowQuery {
    /// Also removes them; else they stay as kept sites.
    #[serde(default)]
    remove: bool,
}

pub async fn unfollow(call: Call, query: UnfollowQuery, _: Nothing) -> Result<Done, Refusal> {
    call.handles.feeds.unfollow(&call.id()?, query.remove).await?;
    Ok(Done::default())
}

pub async fn check(call: Call, _: Nothing, _: Nothing) -> Result<Done, Refusal> {
    call.handles.feeds.check_now(&call.id()?).await?;
    Ok(Done::default())
}

pub async fn versions(call: Call, _: Nothing, _: Nothing) -> Result<Vec<VersionView>, Refusal> {
    let view = call.handles.feeds.view(&call.id()?).await?;
    let (row, record) = (view.row, view.record);
    let mut all: Vec<(InfoHash, Option<VersionState>)> = row
        .versions
        .iter()
        .map(|(ih, state)| (*ih, Some(*state)))
        .collect();
    for ih in record
        .iter()
        .flat_map(|record| &record.history)
        .filter_map(|v| v.infohash)
    {
        if !all.iter().any(|(known, _)| *known == ih) {
            all.push((ih, None));
        }
    }
    let read = call.handles.db.run(move |store| {
        let shown = |(ih, state): (InfoHash, Option<VersionState>)| {
            let site = store.site(&ih)?;
            let seen = seen(record.as_deref(), &ih);
            let pinned = row.pinned.contains(&ih);
            Ok(VersionView::new(
                ih,
                state,
                seen,
                pinned,
                row.whole == Some(ih),
                site,
            ))
        };
        all.into_iter().map(shown).collect()
    });
    Ok(read.await?)
}

/// The number and time a version was first seen with.
fn seen(record: Option<&RecordRow>, ih: &InfoHash) -> Option<(i64, u64)> {
    let mut past = record?.history.iter();
    let found = past.find(|version| version.infohash == Some(*ih))?;
    Some((found.seq, found.seen))
}

/// Which versions to compare.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangesQuery {
    /// Infohash of the older one.
    from: String,
    /// Infohash of the newer one.
    to: String,
}

pub async fn changes(call: Call, query: ChangesQuery, _: Nothing) -> Result<ChangesView, Refusal> {
    call.handles.feeds.view(&call.id()?).await?;
    let (from, to) = (infohash(&query.from)?, infohash(&query.to)?);
    Ok(call.handles.feeds.changes(from, to).await?.into())
}

pub async fn house(call: Call, _: Nothing, _: Nothing) -> Result<House, Refusal> {
    Ok(call.handles.feeds.house().await?)
}

pub async fn set_house(call: Call, _: Nothing, body: House) -> Result<House, Refusal> {
    call.handles.feeds.set_house(body).await?;
    Ok(body)
}

pub async fn petnames(call: Call, _: Nothing, _: Nothing) -> Result<Vec<PetnameView>, Refusal> {
    let names = call.handles.feeds.petnames().await?;
    Ok(names.into_iter().map(PetnameView::from).collect())
}

pub async fn petname(call: Call, _: Nothing, _: Nothing) -> Result<PetnameView, Refusal> {
    let name = call.place("name");
    let names = call.handles.feeds.petnames().await?;
    let found = names.into_iter().find(|(known, _)| known == name);
    let found = found.ok_or_else(|| Refusal::unknown(format!("this home has no site called {name:?}")))?;
    Ok(PetnameView::from(found))
}

pub async fn set_petname(call: Call, _: Nothing, body: PasteBody) -> Result<PetnameView, Refusal> {
    let (name, pasted) = (call.place("name").to_owned(), read(&body.paste)?);
    let address = call.handles.feeds.set_petname(&name, &pasted).await?;
    Ok(PetnameView::from((name, address)))
}

pub async fn remove_petname(call: Call, _: Nothing, _: Nothing) -> Result<Done, Refusal> {
    call.handles.feeds.remove_petname(call.place("name")).await?;
    Ok(Done::default())
}

fn read(text: &str) -> Result<Pasted, Refusal> {
    paste(text, &Domains::default()).map_err(|err| Refusal::unacceptable(err.to_string()))
}

impl From<feeds::Error> for Refusal {
    fn from(err: feeds::Error) -> Self {
        match err {
            feeds::Error::Store(err) => err.into(),
            err @ (feeds::Error::Unknown(_) | feeds::Error::Unnamed(_)) => Self::unknown(err.to_string()),
            err @ feeds::Error::Refused(_) => Self::unacceptable(err.to_string()),
            err @ feeds::Error::Unavailable(_) => Self::not_now(err.to_string()),
        }
    }
}
