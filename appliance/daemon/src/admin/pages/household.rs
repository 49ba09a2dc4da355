//! What the pages about the lan half share: reading and changing its settings, and what is said when it is not there.

use hyper::StatusCode;
use lan::{
    api::{Saved, Status},
    settings::Settings,
};

use super::{Answer, Visit};
use crate::{admin::look::words, arrangement::Refused, home::Error};

/// Settings to draw a form from.
pub async fn settings(visit: &Visit<'_>) -> Result<Settings, Answer> {
    visit
        .handles
        .home
        .settings()
        .await
        .map_err(|err| unavailable(&err))
}

/// The same, and how it stands.
pub async fn both(visit: &Visit<'_>) -> Result<(Status, Settings), Answer> {
    let status = visit
        .handles
        .home
        .status()
        .await
        .map_err(|err| unavailable(&err))?;
    Ok((status, settings(visit).await?))
}

/// Changes the settings; what was before is kept for the button “Undo”.
pub async fn change<E>(
    visit: &Visit<'_>,
    words: &str,
    edit: impl FnOnce(&Settings) -> Result<Settings, E>,
) -> Result<Saved, Refused<E>> {
    visit.handles.arrangement.change(words, edit).await
}

/// After a change: on to `path`. `Err`: what was wrong, to draw the form with.
pub fn done<E>(outcome: Result<Saved, Refused<E>>, path: &str, notice: &str) -> Result<Answer, E> {
    match outcome {
        Ok(saved) => Ok(self::saved(path, &saved, notice)),
        Err(Refused::Wrong(errors)) => Err(errors),
        Err(Refused::Home(err)) => Ok(unavailable(&err)),
    }
}

/// What was saved counts; a disk that cannot be written is said.
pub fn saved(path: &str, saved: &Saved, notice: &str) -> Answer {
    match &saved.not_saved {
        None => Answer::see(path, notice),
        Some(why) => Answer::see(path, words::sentence(why)),
    }
}

/// The lan half does not answer, or refuses what no form lets through.
pub fn unavailable(err: &Error) -> Answer {
    match err {
        Error::Refused(faults) => Answer::Trouble {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            title: "This cannot be set".into(),
            words: format!(
                "{}. Nothing was changed. Go back and correct it.",
                words::short(&faults.join("; "), 1000)
            ),
        },
        err => Answer::Trouble {
            status: StatusCode::SERVICE_UNAVAILABLE,
            title: "The network’s part of the box does not answer".into(),
            words: format!(
                "{} Nothing was changed. It begins again by itself within moments when it has only stumbled; if this stays, switch the box off and on.",
                words::sentence(&err.to_string())
            ),
        },
    }
}
