//! One operation: what may be asked, by whom, and what comes back. The types of its handler are its description, so that
//! what is answered and what is documented cannot drift apart.

use std::{any::TypeId, future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use hyper::Method;
use proto::id::{InfoHash, Target};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Caller, Handles,
    answer::{self, Reply},
    query::Parameter,
    refusal::Refusal,
};

/// An operation that says nothing else is over by then.
const WITHIN: Duration = Duration::from_secs(30);
/// One that carries a deadline of its own is; the longest deadline that may be asked for is a little shorter.
const WITHIN_SLOW: Duration = Duration::from_secs(630);
/// The longest `deadline` of a request.
const DEADLINE_MAX: Duration = Duration::from_secs(600);
const DEADLINE_DEFAULT: Duration = Duration::from_secs(30);

/// No query, or no body.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// What an operation's work gets besides its query and body.
pub struct Call {
    pub handles: Handles,
    pub caller: Caller,
    /// The parts of the path that stand in braces, decoded.
    pub places: Vec<(&'static str, String)>,
}

impl Call {
    /// The part of the path that stands in `{name}`.
    pub fn place(&self, name: &str) -> &str {
        let found = self.places.iter().find(|(place, _)| *place == name);
        found.map_or("", |(_, text)| text)
    }

    /// `{infohash}` of the path.
    pub fn infohash(&self) -> Result<InfoHash, Refusal> {
        infohash(self.place("infohash"))
    }

    /// `{id}` of the path: a target of 20 bytes.
    pub fn id(&self) -> Result<Target, Refusal> {
        let text = self.place("id");
        Target::from_hex(text)
            .ok_or_else(|| Refusal::asked_wrongly(format!("{text:?} is no id of 40 hex digits")))
    }
}

pub fn infohash(text: &str) -> Result<InfoHash, Refusal> {
    InfoHash::from_hex(text)
        .ok_or_else(|| Refusal::asked_wrongly(format!("{text:?} is no infohash of 40 hex digits")))
}

/// When work with a `deadline` in seconds has to be over; larger ones count as ten minutes.
pub fn until(deadline: Option<u64>) -> tokio::time::Instant {
    let wait = deadline.map_or(DEADLINE_DEFAULT, |secs| {
        Duration::from_secs(secs).min(DEADLINE_MAX)
    });
    tokio::time::Instant::now() + wait
}

/// What a success is.
pub enum Success {
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// One JSON value per line.
    Lines(fn(&mut SchemaGenerator) -> Schema),
    /// Bytes of this media type.
    Bytes(&'static str),
}

type Work = Pin<Box<dyn Future<Output = Result<Reply, Refusal>> + Send>>;

/// A line of the table.
pub struct Operation {
    pub method: Method,
    /// With places in braces: `/api/v1/sites/{infohash}`.
    pub path: &'static str,
    /// The least that may.
    pub least: Caller,
    pub summary: &'static str,
    /// Which refusals its own work knows; those of every operation are not listed.
    pub refusals: &'static [u16],
    pub within: Duration,
    /// The longest body, bytes.
    pub body_max: usize,
    pub query: Vec<Parameter>,
    /// Schema of the body; `None`: there is none to send.
    pub body: Option<Schema>,
    pub success: Success,
    /// The query as a JSON object and the body as it came.
    pub run: Box<dyn Fn(Call, Value, Bytes) -> Work + Send + Sync>,
}

/// An operation whose work is not named yet.
pub struct Draft {
    method: Method,
    path: &'static str,
    least: Caller,
    summary: &'static str,
    refusals: &'static [u16],
    within: Duration,
    body_max: usize,
}

pub fn get(path: &'static str, least: Caller, summary: &'static str) -> Draft {
    Draft::new(Method::GET, path, least, summary)
}

pub fn post(path: &'static str, least: Caller, summary: &'static str) -> Draft {
    Draft::new(Method::POST, path, least, summary)
}

pub fn put(path: &'static str, least: Caller, summary: &'static str) -> Draft {
    Draft::new(Method::PUT, path, least, summary)
}

pub fn patch(path: &'static str, least: Caller, summary: &'static str) -> Draft {
    Draft::new(Method::PATCH, path, least, summary)
}

pub fn delete(path: &'static str, least: Caller, summary: &'static str) -> Draft {
    Draft::new(Method::DELETE, path, least, summary)
}

impl Draft {
    fn new(method: Method, path: &'static str, least: Caller, summary: &'static str) -> Self {
        Self {
            method,
            path,
            least,
            summary,
            refusals: &[],
            within: WITHIN,
            body_max: answer::BODY_MAX,
        }
    }

    /// Statuses its work may refuse with.
    pub fn refuses(mut self, statuses: &'static [u16]) -> Self {
        self.refusals = statuses;
        self
    }

    /// It waits for the network until a deadline of its own.
    pub fn waits(mut self) -> Self {
        self.within = WITHIN_SLOW;
        self
    }

    /// Its body may be larger than most.
    pub fn large(mut self, bytes: usize) -> Self {
        self.body_max = bytes;
        self
    }

    /// Its work gets the query as `Q` and the body as `B` ([`Nothing`]: none) and answers with JSON.
    pub fn json<Q, B, A, F>(self, work: fn(Call, Q, B) -> F) -> Operation
    where
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        B: DeserializeOwned + JsonSchema + Send + 'static,
        A: Serialize + JsonSchema + 'static,
        F: Future<Output = Result<A, Refusal>> + Send + 'static,
    {
        let success = Success::Json(|generator| generator.subschema_for::<A>());
        self.operation::<Q, B>(success, move |call, query, body| {
            Box::pin(async move { Ok(answer::json(&work(call, read(query)?, parse(&body)?).await?)) })
        })
    }

    /// The same for work that makes the whole response itself.
    pub fn streams<Q, B, F>(self, success: Success, work: fn(Call, Q, B) -> F) -> Operation
    where
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        B: DeserializeOwned + JsonSchema + Send + 'static,
        F: Future<Output = Result<Reply, Refusal>> + Send + 'static,
    {
        self.operation::<Q, B>(success, move |call, query, body| {
            Box::pin(async move { work(call, read(query)?, parse(&body)?).await })
        })
    }

    fn operation<Q: JsonSchema + 'static, B: JsonSchema + 'static>(
        self,
        success: Success,
        run: impl Fn(Call, Value, Bytes) -> Work + Send + Sync + 'static,
    ) -> Operation {
        let takes = TypeId::of::<B>() != TypeId::of::<Nothing>();
        Operation {
            method: self.method,
            path: self.path,
            least: self.least,
            summary: self.summary,
            refusals: self.refusals,
            within: self.within,
            body_max: self.body_max,
            query: Parameter::all(&received::<Q>()),
            body: takes.then(received::<B>),
            success,
            run: Box::new(run),
        }
    }
}

/// The schema of what a client sends, without references.
fn received<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let settings = settings.with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>()
}

fn read<T: DeserializeOwned>(query: Value) -> Result<T, Refusal> {
    serde_json::from_value(query)
        .map_err(|err| Refusal::asked_wrongly(format!("the query is not understood: {err}")))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let text = if body.is_empty() { b"{}" } else { body };
    // A list of values in the right order would also make a struct.
    if !text.trim_ascii_start().starts_with(b"{") {
        return Err(Refusal::asked_wrongly("the body must be a JSON object"));
    }
    serde_json::from_slice(text)
        .map_err(|err| Refusal::asked_wrongly(format!("the body is not understood: {err}")))
}
