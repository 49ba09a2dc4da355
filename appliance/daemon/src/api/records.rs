//! Records of mutable addresses: read and published.

use data_encoding::HEXLOWER_PERMISSIVE;
use hyper::StatusCode;
use proto::{
    id::Target,
    key::{PublicKey, SALT_MAX},
    record::{Mutable, VALUE_MAX},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{Owner, RecordRow};

use super::{
    operation::{Call, Nothing, until},
    record::Record,
    refusal::Refusal,
};
use crate::swarm::{
    dht::Item,
    records::{self, Looked},
};

const RECORDS_MAX: usize = 500;

/// Which part of the list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Starts after this target: the last one of the part before.
    after: Option<String>,
    /// At most so many, and never more than 500.
    max: Option<usize>,
}

pub async fn list(call: Call, query: ListQuery, _: Nothing) -> Result<Vec<Record>, Refusal> {
    let after = query.after.as_deref().map(target).transpose()?;
    let max = query.max.unwrap_or(RECORDS_MAX).min(RECORDS_MAX);
    let rows = call
        .handles
        .db
        .run(move |store| store.records(Owner::Followed, after, max));
    Ok(rows.await?.iter().map(Record::from).collect())
}

/// How a record is read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordQuery {
    /// Also asks the network.
    #[serde(default)]
    look: bool,
    /// The publisher's key; without it, a record that is not here is looked for by its target alone.
    key: Option<String>,
    /// Hex.
    salt: Option<String>,
    /// Seconds to look for it; 30 when left out, 600 at most.
    deadline: Option<u64>,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Found {
    /// None: it is not here, and nobody who was asked has it.
    pub record: Option<Record>,
    /// Nodes that answered, and whether one of them has a record of this address. Without a look: 0 and false.
    pub answered: u32,
    pub heard: bool,
}

pub async fn show(call: Call, query: RecordQuery, _: Nothing) -> Result<Found, Refusal> {
    let target = call.id()?;
    let salt = salt(query.salt.as_deref())?;
    let records = call.handles.swarm.records();
    let known = records.known(&target).await?;
    if !query.look {
        return Ok(Found::here(known.as_ref()));
    }
    let deadline = until(query.deadline);
    let given = query.key.as_deref().map(key).transpose()?;
    let address = match (given, &known) {
        (Some(key), _) => Some((key, salt.clone())),
        (None, Some(row)) => Some((row.item.key, row.item.salt.clone())),
        (None, None) => match records.find(target, &salt, deadline).await {
            Ok(Item::Mutable(item)) => Some((item.key, item.salt)),
            Ok(Item::Immutable(_)) | Err(records::Error::Silent(_)) => None,
            Err(err) => return Err(err.into()),
        },
    };
    let Some((key, salt)) = address else {
        return Ok(Found::here(None));
    };
    if Target(key.target(&salt)) != target {
        return Err(Refusal::asked_wrongly(
            "the key and the salt do not give this target",
        ));
    }
    match records.look(&key, &salt, Owner::Visited, deadline).await {
        Ok(looked) => Ok(Found::from(&looked)),
        Err(records::Error::Silent(_)) => Ok(Found::here(None)),
        Err(err) => Err(err.into()),
    }
}

impl Found {
    fn here(row: Option<&RecordRow>) -> Self {
        Self {
            record: row.map(Record::from),
            answered: 0,
            heard: false,
        }
    }
}

impl From<&Looked> for Found {
    fn from(looked: &Looked) -> Self {
        Self {
            record: Some(Record::from(&looked.outcome.row)),
            answered: looked.answered,
            heard: looked.heard,
        }
    }
}

/// A record that was signed elsewhere.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishBody {
    /// The record file, `d k salt seq sig v e` bencoded, in hex.
    record: String,
    /// Refused unless this number stands now.
    cas: Option<i64>,
    /// Seconds until it is enough to have tried; 30 when left out, 600 at most.
    deadline: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Published {
    pub record: Record,
    /// Nodes that took it, of those that were asked. 0: it is stored here, and put again later.
    pub stored: u32,
    pub asked: u32,
}

pub async fn publish(call: Call, _: Nothing, body: PublishBody) -> Result<Published, Refusal> {
    let raw = hex(&body.record, "record", VALUE_MAX + 512)?;
    let item = Mutable::decode(&raw).map_err(|err| Refusal::unacceptable(err.to_string()))?;
    let records = call.handles.swarm.records();
    let published = records.publish(item, body.cas, until(body.deadline)).await?;
    Ok(Published {
        record: Record::from(&published.row),
        stored: published.stored,
        asked: published.asked,
    })
}

fn target(text: &str) -> Result<Target, Refusal> {
    Target::from_hex(text)
        .ok_or_else(|| Refusal::asked_wrongly(format!("{text:?} is no target of 40 hex digits")))
}

fn key(text: &str) -> Result<PublicKey, Refusal> {
    PublicKey::from_label(text)
        .ok_or_else(|| Refusal::asked_wrongly(format!("{text:?} is no key of 64 hex digits")))
}

pub fn salt(text: Option<&str>) -> Result<Vec<u8>, Refusal> {
    hex(text.unwrap_or_default(), "salt", SALT_MAX)
}

/// Bytes that were sent as hex.
pub fn hex(text: &str, what: &str, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes());
    bytes
        .ok()
        .filter(|bytes| bytes.len() <= bytes_max)
        .ok_or_else(|| Refusal::asked_wrongly(format!("{what} is not hex of at most {bytes_max} bytes")))
}

impl From<records::Error> for Refusal {
    fn from(err: records::Error) -> Self {
        match err {
            records::Error::Store(err) => err.into(),
            err @ records::Error::Silent(_) => Self::silent(err.to_string()),
            err @ records::Error::Refused(_) => Self::unacceptable(err.to_string()),
            err @ records::Error::Overtaken(_) => Self::new(StatusCode::CONFLICT, err.to_string()),
            err @ records::Error::Off => Self::not_now(err.to_string()),
        }
    }
}
