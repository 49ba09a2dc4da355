//! Every request.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/v1/status` | what runs, where it listens, what is stored, what is wrong |
//! | `GET /api/v1/sites?after=IH&max=N` | rows, in infohash order |
//! | `GET /api/v1/sites/IH?deadline=SECS` | opens the site: name, files, what is held |
//! | `GET /api/v1/sites/IH/info` | the raw info dictionary |
//! | `GET /api/v1/sites/IH/bytes?file=N&offset=N` | the verified bytes of a file |
//! | `POST /api/v1/sites/IH/peers` `{"peers":[…]}` | asks them too |
//! | `POST /api/v1/sites/IH/keep` | fetches all of it and keeps it |
//! | `POST /api/v1/sites/IH/rate` `{"upload_bytes_per_sec":N}` | its own upload limit until the next start; 0: none |
//! | `DELETE /api/v1/sites/IH` | forgets it |
//! | `POST /api/v1/seed` `{"path":…,"name":…,"torrent":…}` | one JSON line per step, the last one with the infohash |

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::CONTENT_TYPE,
};
use proto::id::InfoHash;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Caller, Handles,
    reply::{File, Opened, PeersBody, RateBody, SeedBody, SeedStep, SiteRow, Status, Task, Trouble},
};
use crate::{
    sites::{self, Site},
    swarm,
};

/// Larger bodies are refused: every body here is a few lines.
const BODY_MAX: usize = 64 << 10;
/// Per read of a site's file.
const READ_BYTES: usize = 1 << 20;
const SITES_MAX: usize = 1000;
const DEADLINE_DEFAULT: Duration = Duration::from_secs(30);
const DEADLINE_MAX: Duration = Duration::from_secs(600);

pub type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// A status and a sentence.
struct Refusal(StatusCode, String);

/// Answers one request; never fails, so that every trouble has words.
pub async fn answer(
    handles: Handles,
    caller: Caller,
    request: Request<Incoming>,
) -> Result<Reply, Infallible> {
    Ok(match route(handles, caller, request).await {
        Ok(reply) => reply,
        Err(Refusal(status, text)) => json(status, &serde_json::json!({ "error": text })),
    })
}

async fn route(handles: Handles, caller: Caller, request: Request<Incoming>) -> Result<Reply, Refusal> {
    let _ = caller;
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_string();
    let query = parts.uri.query().unwrap_or_default().to_string();
    let words: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (&parts.method, words.as_slice()) {
        (&Method::GET, ["api", "v1", "status"]) => status(&handles).await,
        (&Method::GET, ["api", "v1", "sites"]) => list(&handles, &query).await,
        (&Method::GET, ["api", "v1", "sites", ih]) => open(&handles, infohash(ih)?, &query).await,
        (&Method::GET, ["api", "v1", "sites", ih, "info"]) => {
            let site = find(&handles, infohash(ih)?, &query).await?;
            Ok(raw(
                Full::new(site.torrent.raw_info.clone()).boxed_unsync(),
                "application/x-bittorrent",
            ))
        }
        (&Method::GET, ["api", "v1", "sites", ih, "bytes"]) => {
            file_bytes(&handles, infohash(ih)?, &query).await
        }
        (&Method::DELETE, ["api", "v1", "sites", ih]) => {
            handles.sites.evict(infohash(ih)?).await.map_err(refuse_site)?;
            Ok(done())
        }
        (&Method::POST, ["api", "v1", "sites", ih, "keep"]) => {
            handles.swarm.keep(infohash(ih)?).await.map_err(refuse_swarm)?;
            Ok(done())
        }
        (&Method::POST, ["api", "v1", "sites", ih, "rate"]) => {
            let RateBody {
                upload_bytes_per_sec: up,
            } = read(body).await?;
            let own = (up > 0).then_some(up);
            handles.swarm.limits().set_torrent(infohash(ih)?, own);
            Ok(done())
        }
        (&Method::POST, ["api", "v1", "sites", ih, "peers"]) => {
            let body: PeersBody = read(body).await?;
            handles.swarm.add_peers(infohash(ih)?, &body.peers);
            Ok(done())
        }
        (&Method::POST, ["api", "v1", "seed"]) => Ok(seed(&handles, read(body).await?)),
        _ => Err(Refusal(
            StatusCode::NOT_FOUND,
            format!(
                "{} {path} is no request of this interface; see the man page",
                parts.method
            ),
        )),
    }
}

async fn status(handles: &Handles) -> Result<Reply, Refusal> {
    let usage = handles
        .db
        .run(|store| store.usage())
        .await
        .map_err(refuse_store)?;
    let troubles = handles.health.troubles().into_iter();
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        addresses: handles.addresses.as_ref().clone(),
        uptime_secs: handles.started.elapsed().as_secs(),
        now: handles.clock.now_secs(),
        troubles: troubles.map(|(room, reason)| Trouble { room, reason }).collect(),
        store: usage.into(),
        line: (&handles.swarm.status()).into(),
        tasks: handles
            .tasks
            .list()
            .into_iter()
            .map(|row| Task {
                name: row.name,
                age_secs: row.age.as_secs(),
            })
            .collect(),
    };
    Ok(json(StatusCode::OK, &status))
}

async fn list(handles: &Handles, query: &str) -> Result<Reply, Refusal> {
    let after = match value(query, "after") {
        Some(text) => Some(infohash(text)?),
        None => None,
    };
    let max = value(query, "max")
        .and_then(|n| n.parse().ok())
        .unwrap_or(SITES_MAX)
        .min(SITES_MAX);
    let rows = handles
        .db
        .run(move |store| store.sites(after, max))
        .await
        .map_err(refuse_store)?;
    let rows: Vec<SiteRow> = rows
        .into_iter()
        .map(|row| {
            let progress = handles.sites.progress(row.infohash);
            let mut row = SiteRow::from(row);
            row.peers = progress.as_ref().map(|p| p.peers);
            row.down_bytes_per_sec = progress.map(|p| p.down_bps);
            row
        })
        .collect();
    Ok(json(StatusCode::OK, &rows))
}

/// Opens a site with what the query says: `deadline` in seconds, `peer` (repeatable).
async fn find(handles: &Handles, ih: InfoHash, query: &str) -> Result<Site, Refusal> {
    let peers: Vec<SocketAddr> = values(query, "peer")
        .filter_map(|peer| peer.parse().ok())
        .take(50)
        .collect();
    let hints = swarm::Hints {
        peers,
        ..Default::default()
    };
    let opened = handles
        .sites
        .open(ih, &hints, false, Instant::now() + deadline(query))
        .await;
    opened.map_err(refuse_site)
}

fn deadline(query: &str) -> Duration {
    let secs = value(query, "deadline").and_then(|secs| secs.parse().ok());
    secs.map_or(DEADLINE_DEFAULT, |secs| {
        Duration::from_secs(secs).min(DEADLINE_MAX)
    })
}

/// Streams the verified bytes of file number `file` from `offset` on. Ends early when they do not arrive in time: the
/// reader counts.
async fn file_bytes(handles: &Handles, ih: InfoHash, query: &str) -> Result<Reply, Refusal> {
    let number = |key| value(query, key).and_then(|text| text.parse::<u64>().ok());
    let site = find(handles, ih, query).await?;
    let file = number("file").unwrap_or(0) as usize;
    let Some(length) = site.torrent.info.files.get(file).map(|file| file.length) else {
        return Err(Refusal(
            StatusCode::NOT_FOUND,
            format!("{ih} has no file number {file}"),
        ));
    };
    let until = Instant::now() + deadline(query);
    let (parts, mut read) = mpsc::channel::<Bytes>(2);
    let sites = handles.sites.clone();
    let mut at = number("offset").unwrap_or(0);
    handles.tasks.spawn("api.bytes", async move {
        while at < length {
            let Ok(part) = sites.read(&site, file, at, READ_BYTES, until).await else {
                return;
            };
            at += part.len() as u64;
            if part.is_empty() || parts.send(part).await.is_err() {
                return;
            }
        }
    });
    let stream =
        futures_util::stream::poll_fn(move |cx| read.poll_recv(cx).map(|part| Some(Ok(Frame::data(part?)))));
    Ok(raw(
        StreamBody::new(stream).boxed_unsync(),
        "application/octet-stream",
    ))
}

async fn open(handles: &Handles, ih: InfoHash, query: &str) -> Result<Reply, Refusal> {
    let site = find(handles, ih, query).await?;
    let info = &site.torrent.info;
    let files = info.files.iter().enumerate().filter(|(_, file)| !file.pad);
    let opened = Opened {
        infohash: ih.to_string(),
        name: info.name.clone(),
        total: info.total,
        pieces: info.pieces.len() as u32,
        files: files
            .map(|(index, file)| File {
                path: file.path.join("/"),
                length: file.length,
                held: handles.sites.held_bytes(&site, index),
            })
            .collect(),
    };
    Ok(json(StatusCode::OK, &opened))
}

/// Streams one line per step: hashing a large folder takes minutes, and a person wants to see it move.
fn seed(handles: &Handles, body: SeedBody) -> Reply {
    let (steps, mut lines) = mpsc::channel::<SeedStep>(16);
    let publish = handles.publish.clone();
    handles.tasks.spawn("api.seed", async move {
        let tell = steps.clone();
        let told = move |done, total| {
            // A slow reader misses steps; the last one is sent with patience below.
            let _ = tell.try_send(SeedStep {
                done,
                total,
                ..SeedStep::default()
            });
        };
        let sealed = match &body.torrent {
            Some(file) => publish.torrent_file(&body.path, file).await,
            None => publish.folder(&body.path, body.name.as_deref(), told).await,
        };
        let last = match sealed {
            Ok(ih) => SeedStep {
                infohash: Some(ih.to_string()),
                ..SeedStep::default()
            },
            Err(err) => SeedStep {
                error: Some(err.to_string()),
                ..SeedStep::default()
            },
        };
        let _ = steps.send(last).await;
    });
    let stream = futures_util::stream::poll_fn(move |cx| {
        lines.poll_recv(cx).map(|step| {
            let mut line = serde_json::to_vec(&step?).unwrap_or_default();
            line.push(b'\n');
            Some(Ok(Frame::data(Bytes::from(line))))
        })
    });
    raw(StreamBody::new(stream).boxed_unsync(), "application/x-ndjson")
}

async fn read<T: DeserializeOwned>(body: Incoming) -> Result<T, Refusal> {
    let collected =
        tokio::time::timeout(Duration::from_secs(10), Limited::new(body, BODY_MAX).collect()).await;
    let bytes = match collected {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return Err(Refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is too large".into(),
            ));
        }
        Err(_) => {
            return Err(Refusal(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive in 10 s".into(),
            ));
        }
    };
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text).map_err(|err| {
        Refusal(
            StatusCode::BAD_REQUEST,
            format!("the body is not understood: {err}"),
        )
    })
}

fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    let mut reply = raw(Full::new(Bytes::from(text)).boxed_unsync(), "application/json");
    *reply.status_mut() = status;
    reply
}

fn raw(body: UnsyncBoxBody<Bytes, Infallible>, kind: &'static str) -> Reply {
    let mut reply = Response::new(body);
    let kind = hyper::header::HeaderValue::from_static(kind);
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}

fn done() -> Reply {
    json(StatusCode::OK, &serde_json::json!({ "done": true }))
}

fn infohash(text: &str) -> Result<InfoHash, Refusal> {
    InfoHash::from_hex(text).ok_or_else(|| {
        Refusal(
            StatusCode::BAD_REQUEST,
            format!("{text:?} is no infohash of 40 hex digits"),
        )
    })
}

fn value<'q>(query: &'q str, key: &'q str) -> Option<&'q str> {
    values(query, key).next()
}

fn values<'q>(query: &'q str, key: &'q str) -> impl Iterator<Item = &'q str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(move |(k, _)| *k == key)
        .map(|(_, v)| v)
}

fn refuse_store(err: store::Error) -> Refusal {
    let status = match &err {
        store::Error::Unknown(_) => StatusCode::NOT_FOUND,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Refusal(status, err.to_string())
}

fn refuse_swarm(err: swarm::Error) -> Refusal {
    match err {
        swarm::Error::Store(err) => refuse_store(err),
        err @ (swarm::Error::NoPeers(_) | swarm::Error::MissingPieces(_)) => {
            Refusal(StatusCode::GATEWAY_TIMEOUT, err.to_string())
        }
        err @ swarm::Error::Refused { .. } => Refusal(StatusCode::UNPROCESSABLE_ENTITY, err.to_string()),
        err => Refusal(StatusCode::SERVICE_UNAVAILABLE, err.to_string()),
    }
}

fn refuse_site(err: sites::Error) -> Refusal {
    let status = match &err {
        sites::Error::Silent(_) | sites::Error::Incomplete(_) => StatusCode::GATEWAY_TIMEOUT,
        sites::Error::NotASite(_) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Refusal(status, err.to_string())
}
