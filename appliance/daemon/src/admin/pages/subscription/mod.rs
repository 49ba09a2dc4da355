//! One subscription: its state, its versions, what the household set. Its own path is `/subscriptions`; what is asked of it
//! stands behind its id.
//!
//! Reading order: this file (what is asked), `drawing` (the page), `versions` (the history, what changed), `asking` (the pages before a
//! loss).

pub(super) mod asking;
pub(super) mod drawing;
pub(super) mod versions;

use proto::{
    id::{InfoHash, Target},
    name::is_petname,
};

use super::{Answer, Visit, subscriptions::name};
use crate::{
    admin::{form::Form, look::words},
    feeds::{Change, Error, View},
};

/// Bytes of a megabyte, as fields and disks count them.
pub const MEGA: u64 = 1_000_000;
const TITLE_MAX: usize = 256;
/// Versions the owner may ask to keep: a row remembers 50.
const KEEP_MAX: u32 = 49;

pub async fn show(visit: Visit<'_>) -> Answer {
    let view = match look_up(&visit).await {
        Ok(view) => view,
        Err(answer) => return answer,
    };
    let title = words::short(name(&view), 60);
    let page = match visit.rest.get(1..).unwrap_or_default() {
        [] => {
            let shown = drawing::Shown::of(&visit);
            let typed = drawing::Typed::of(&view);
            drawing::draw(&view, &typed, &shown)
        }
        ["changes"] => return changes(&visit, &view).await,
        ["unfollow"] => asking::unfollow(&view, visit.token()),
        ["block"] => asking::block(&view, visit.token()),
        ["remove"] => match hash(visit.query, "version") {
            Some(version) => asking::remove(&view, version, visit.token()),
            None => return Answer::nowhere(),
        },
        _ => return Answer::nowhere(),
    };
    Answer::Page {
        status: hyper::StatusCode::OK,
        title,
        body: page,
        refresh_secs: (drawing::moving(&view, visit.rest.len()) && !visit.query.has("stay"))
            .then_some(drawing::AGAIN_SECS),
    }
}

pub async fn act(visit: Visit<'_>, form: &Form) -> Answer {
    let view = match look_up(&visit).await {
        Ok(view) => view,
        Err(answer) => return answer,
    };
    match visit.rest.get(1..).unwrap_or_default() {
        [] if form.has("title") => set(&visit, &view, form).await,
        [] => deed(&visit, &view, form).await,
        ["unfollow"] => unfollow(&visit, &view, form.text("files") == Some("remove")).await,
        ["block"] => {
            let change = Change {
                blocked: Some(true),
                ..Change::default()
            };
            let said = format!(
                "“{}” is blocked: it is not fetched, not shown and not given to others.",
                name(&view)
            );
            changed(&visit, &view, change, &said).await
        }
        ["remove"] => match hash(form, "version") {
            Some(version) => remove(&visit, &view, version).await,
            None => Answer::nowhere(),
        },
        _ => Answer::nowhere(),
    }
}

async fn look_up(visit: &Visit<'_>) -> Result<View, Answer> {
    let id = visit.rest.first().and_then(|text| Target::from_hex(text));
    let id = id.ok_or_else(Answer::nowhere)?;
    visit.handles.feeds.view(&id).await.map_err(|err| trouble(&err))
}

fn trouble(err: &Error) -> Answer {
    match err {
        Error::Unknown(_) => Answer::Trouble {
            status: hyper::StatusCode::NOT_FOUND,
            title: "This is not followed".into(),
            words: "The box follows nothing at this address, perhaps no longer. Nothing was changed. The page Subscriptions shows what it follows.".into(),
        },
        Error::Refused(why) => Answer::Trouble {
            status: hyper::StatusCode::UNPROCESSABLE_ENTITY,
            title: "This cannot be done".into(),
            words: format!("{why}. Nothing was changed."),
        },
        err => Answer::unavailable(&err.to_string()),
    }
}

fn path(view: &View) -> String {
    format!("/subscriptions/{}", view.row.id)
}

fn hash(form: &Form, field: &str) -> Option<InfoHash> {
    form.text(field).and_then(InfoHash::from_hex)
}

/// The buttons of one press.
async fn deed(visit: &Visit<'_>, view: &View, form: &Form) -> Answer {
    let mut change = Change::default();
    let said = match form.text("do") {
        Some("check") => {
            return match visit.handles.feeds.check_now(&view.row.id).await {
                Ok(()) => Answer::see(
                    path(view),
                    "The box is asking the network for a newer version. This can take half a minute.",
                ),
                Err(err) => trouble(&err),
            };
        }
        Some("pause") => {
            change.paused = Some(true);
            "Paused: the box keeps what it has and does not look for new versions."
        }
        Some("resume") => {
            change.paused = Some(false);
            "The box looks for new versions again."
        }
        Some("unblock") => {
            change.blocked = Some(false);
            "No longer blocked."
        }
        Some("settle") => {
            change.settle_conflict = true;
            "The warning is put away. The version that was seen first stays."
        }
        _ => match by_version(form, &mut change) {
            Some(said) => said,
            None => return Answer::nowhere(),
        },
    };
    changed(visit, view, change, said).await
}

/// The buttons that stand beside a version carry its infohash.
fn by_version(form: &Form, change: &mut Change) -> Option<&'static str> {
    if let Some(version) = hash(form, "approve") {
        change.approve = Some((version, true));
        Some("The box fetches this version now.")
    } else if let Some(version) = hash(form, "decline") {
        change.approve = Some((version, false));
        Some("This version is left out. The box looks for later ones.")
    } else if let Some(version) = hash(form, "pin") {
        change.pin = Some(version);
        Some("Pinned: this version is kept until you unpin it.")
    } else {
        change.unpin = Some(hash(form, "unpin")?);
        Some("Unpinned: this version goes when newer ones need its place.")
    }
}

async fn changed(visit: &Visit<'_>, view: &View, change: Change, said: &str) -> Answer {
    match visit.handles.feeds.change(&view.row.id, change).await {
        Ok(_) => Answer::see(path(view), said),
        Err(err) => trouble(&err),
    }
}

async fn unfollow(visit: &Visit<'_>, view: &View, remove: bool) -> Answer {
    match visit.handles.feeds.unfollow(&view.row.id, remove).await {
        Ok(()) => {
            let kept = if remove {
                "Its files were removed."
            } else {
                "Its files stay; they stand on the page Sites kept."
            };
            Answer::see(
                "/subscriptions",
                format!("“{}” is no longer followed. {kept}", name(view)),
            )
        }
        Err(err) => trouble(&err),
    }
}

async fn remove(visit: &Visit<'_>, view: &View, version: InfoHash) -> Answer {
    let change = Change {
        remove: Some(version),
        ..Change::default()
    };
    let said = "The files of this version were removed. The others stay.";
    changed(visit, view, change, said).await
}

/// The form of names and limits.
async fn set(visit: &Visit<'_>, view: &View, form: &Form) -> Answer {
    let typed = drawing::Typed::from(form);
    match read(&typed) {
        Ok(change) => match visit.handles.feeds.change(&view.row.id, change).await {
            Ok(_) => Answer::see(path(view), "Saved."),
            // What the form looks at may still be refused below: a name that another site has.
            Err(Error::Refused(why)) => {
                let typed = drawing::Typed {
                    errors: vec![("petname", why)],
                    ..typed
                };
                refused(visit, view, &typed)
            }
            Err(err) => trouble(&err),
        },
        Err(errors) => refused(visit, view, &drawing::Typed { errors, ..typed }),
    }
}

fn refused(visit: &Visit<'_>, view: &View, typed: &drawing::Typed) -> Answer {
    let shown = drawing::Shown::of(visit);
    Answer::refused(name(view), drawing::draw(view, typed, &shown))
}

fn read(typed: &drawing::Typed) -> Result<Change, Vec<(&'static str, String)>> {
    let mut errors = Vec::new();
    if typed.title.len() > TITLE_MAX {
        errors.push((
            "title",
            format!("The name is longer than {TITLE_MAX} characters."),
        ));
    }
    let petname = typed.petname.to_lowercase();
    if !petname.is_empty() && !is_petname(&petname) {
        errors.push((
            "petname",
            "The short name may have letters a to z, digits and hyphens inside, at most 32, and must not be one of the box's own names.".into(),
        ));
    }
    let quota = number(&typed.quota, u64::MAX / MEGA);
    if quota.is_none() {
        errors.push((
            "quota",
            format!(
                "“{}” is no number of megabytes. Write 0 for the usual limit.",
                typed.quota
            ),
        ));
    }
    let keep = number(&typed.keep, KEEP_MAX.into());
    if keep.is_none() {
        errors.push((
            "keep",
            format!("“{}” is no number from 0 to {KEEP_MAX}.", typed.keep),
        ));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Change {
        title: Some(typed.title.clone()),
        petname: Some(petname),
        quota_bytes: quota.map(|mega| mega * MEGA),
        keep_versions: keep.and_then(|keep| u32::try_from(keep).ok()),
        ..Change::default()
    })
}

/// Nothing typed counts as 0.
fn number(text: &str, max: u64) -> Option<u64> {
    if text.is_empty() {
        return Some(0);
    }
    text.parse().ok().filter(|number| *number <= max)
}

async fn changes(visit: &Visit<'_>, view: &View) -> Answer {
    let (Some(old), Some(new)) = (hash(visit.query, "old"), hash(visit.query, "new")) else {
        return Answer::nowhere();
    };
    let found = visit.handles.feeds.changes(old, new).await;
    Answer::page(
        format!("What changed in {}", words::short(name(view), 60)),
        versions::changes(view, old, new, found.as_ref().map_err(ToString::to_string)),
    )
}
