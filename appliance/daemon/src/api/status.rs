//! What runs, what is stored, what is wrong; and the document of the API itself.

use proto::feed::state::State;
use serde_json::Value;

use super::{
    Caller, Handles,
    operation::{Call, Nothing},
    refusal::Refusal,
    reply::{Addresses, Done, Following, Glance, Health, Light, LogLine, Status, Task, Told, Trouble},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Lines of the journal in one answer.
const LINES_MAX: usize = 1000;

pub async fn status(call: Call, _: Nothing, _: Nothing) -> Result<Told, Refusal> {
    let handles = call.handles;
    let usage = handles.db.run(|store| store.usage()).await?;
    let line = (&handles.swarm.status()).into();
    if call.caller == Caller::Nobody {
        return Ok(Told::Glance(Glance {
            version: env!("CARGO_PKG_VERSION"),
            sites: usage.sites,
            line,
        }));
    }
    let (subscriptions, warnings) = following(&handles).await?;
    Ok(Told::Status(Box::new(Status {
        version: env!("CARGO_PKG_VERSION"),
        addresses: Addresses {
            claim_pin: (call.caller == Caller::Control)
                .then(|| handles.claim.pin())
                .flatten(),
            ..handles.addresses.as_ref().clone()
        },
        uptime_secs: handles.started.elapsed().as_secs(),
        now: handles.clock.now_secs(),
        light: Light::of(&handles.health),
        troubles: troubles(&handles),
        store: usage.into(),
        line,
        sharing: handles.sharing.given().words,
        subscriptions,
        warnings,
        tasks: handles
            .tasks
            .list()
            .into_iter()
            .map(|row| Task {
                name: row.name,
                age_secs: row.age.as_secs(),
            })
            .collect(),
    })))
}

/// More warnings than this are counted only.
const WARNINGS_MAX: usize = 20;

async fn following(handles: &Handles) -> Result<(Following, Vec<String>), Refusal> {
    let views = handles.feeds.list().await?;
    let mut following = Following {
        count: views.len(),
        ..Following::default()
    };
    let mut warnings = Vec::new();
    for view in &views {
        *following.states.entry(view.state.word()).or_default() += 1;
        let name = [&view.row.title, &view.row.name, &view.row.address];
        let name = name
            .into_iter()
            .find(|name| !name.is_empty())
            .map_or("", |name| name);
        if view
            .record
            .as_ref()
            .is_some_and(|record| record.conflict.is_some())
        {
            warnings.push(format!(
                "{name}: its publisher signed two things under one number; the first one counts"
            ));
        }
        if matches!(view.state, State::Asking { .. }) {
            warnings.push(format!("{name}: {}", view.words));
        }
    }
    let more = warnings.len().saturating_sub(WARNINGS_MAX);
    warnings.truncate(WARNINGS_MAX);
    if more > 0 {
        warnings.push(format!("and {more} more"));
    }
    Ok((following, warnings))
}

pub async fn health(call: Call, _: Nothing, _: Nothing) -> Result<Health, Refusal> {
    Ok(Health {
        light: Light::of(&call.handles.health),
        // What is wrong is for those who live here.
        troubles: match call.caller {
            Caller::Nobody => Vec::new(),
            _ => troubles(&call.handles),
        },
    })
}

/// A row that means nothing.
const TRIAL: &str = "health";

pub async fn try_store(call: Call, _: Nothing, _: Nothing) -> Result<Done, Refusal> {
    let now = call.handles.clock.now_secs().to_be_bytes();
    let kept = call.handles.db.run(move |store| {
        store.set_setting(TRIAL, &now)?;
        store.setting(TRIAL)
    });
    match kept.await?.as_deref() {
        Some(kept) if kept == now => Ok(Done::default()),
        _ => Err(Refusal::not_now("the store does not give back what it was given")),
    }
}

fn troubles(handles: &Handles) -> Vec<Trouble> {
    let troubles = handles.health.troubles().into_iter();
    troubles.map(|(room, reason)| Trouble { room, reason }).collect()
}

/// How much of the journal.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// At most so many lines, and never more than 1000.
    max: Option<usize>,
}

pub async fn log(call: Call, query: LogQuery, _: Nothing) -> Result<Vec<LogLine>, Refusal> {
    let max = query.max.unwrap_or(LINES_MAX).min(LINES_MAX);
    Ok(call.handles.journal.lines(max))
}

pub async fn openapi(_: Call, _: Nothing, _: Nothing) -> Result<Value, Refusal> {
    Ok(super::document::document())
}
