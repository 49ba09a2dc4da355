//! Sites: listed, opened, read, kept, forgotten.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use proto::id::InfoHash;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::{sync::mpsc, time::Instant};

use super::{
    answer::{self, Reply},
    operation::{Call, Nothing, infohash, until},
    refusal::Refusal,
    reply::{Done, File, Opened, PeersBody, RateBody, SiteRow},
};
use crate::{sites::Site, swarm};

/// Per read of a site's file.
const READ_BYTES: usize = 1 << 20;
const SITES_MAX: usize = 1000;
/// Peers that a request may name.
const PEERS_MAX: usize = 50;

/// Which part of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Starts after this infohash: the last one of the part before.
    after: Option<String>,
    /// At most so many rows, and never more than 1000.
    max: Option<usize>,
}

pub async fn list(call: Call, query: ListQuery, _: Nothing) -> Result<Vec<SiteRow>, Refusal> {
    let after = query.after.as_deref().map(infohash).transpose()?;
    let max = query.max.unwrap_or(SITES_MAX).min(SITES_MAX);
    let handles = call.handles;
    let rows = handles.db.run(move |store| store.sites(after, max)).await?;
    let with_progress = |row: store::SiteRow| {
        let progress = handles.sites.progress(row.infohash);
        let mut row = SiteRow::from(row);
        row.peers = progress.as_ref().map(|p| p.peers);
        row.down_bytes_per_sec = progress.map(|p| p.down_bps);
        row
    };
    Ok(rows.into_iter().map(with_progress).collect())
}

/// How a site is opened.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenQuery {
    /// Seconds to look for it; 30 when left out, 600 at most.
    deadline: Option<u64>,
    /// A peer to ask too, `HOST:PORT` in numbers; up to 50.
    #[serde(default)]
    peer: Vec<String>,
}

impl OpenQuery {
    fn hints(&self) -> Result<swarm::Hints, Refusal> {
        let read = |peer: &String| {
            peer.parse::<SocketAddr>().map_err(|_| {
                Refusal::asked_wrongly(format!("peer={peer:?} is no address and port in numbers"))
            })
        };
        let peers: Result<Vec<SocketAddr>, Refusal> = self.peer.iter().take(PEERS_MAX).map(read).collect();
        Ok(swarm::Hints {
            peers: peers?,
            ..swarm::Hints::default()
        })
    }
}

/// Opens a site with what the query says.
async fn find(call: &Call, query: &OpenQuery) -> Result<(InfoHash, Site), Refusal> {
    let (ih, hints) = (call.infohash()?, query.hints()?);
    let site = call
        .handles
        .sites
        .open(ih, &hints, false, until(query.deadline))
        .await?;
    Ok((ih, site))
}

pub async fn open(call: Call, query: OpenQuery, _: Nothing) -> Result<Opened, Refusal> {
    let (ih, site) = find(&call, &query).await?;
    let info = &site.torrent.info;
    let files = info.files.iter().enumerate().filter(|(_, file)| !file.pad);
    Ok(Opened {
        infohash: ih.to_string(),
        name: info.name.clone(),
        total: info.total,
        pieces: info.pieces.len() as u32,
        files: files
            .map(|(index, file)| File {
                path: file.path.join("/"),
                length: file.length,
                held: call.handles.sites.held_bytes(&site, index),
            })
            .collect(),
    })
}

pub async fn info(call: Call, query: OpenQuery, _: Nothing) -> Result<Reply, Refusal> {
    let (_, site) = find(&call, &query).await?;
    let raw = Full::new(site.torrent.raw_info.clone()).boxed_unsync();
    Ok(answer::raw(raw, "application/x-bittorrent"))
}

/// Which bytes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BytesQuery {
    /// Number of the file in the torrent, pad files counted; 0 when left out.
    #[serde(default)]
    file: u64,
    /// The first byte; 0 when left out.
    #[serde(default)]
    offset: u64,
    /// Seconds to look for the site, and then to wait for the bytes; 30 when left out, 600 at most.
    deadline: Option<u64>,
    /// A peer to ask too, `HOST:PORT` in numbers; up to 50.
    #[serde(default)]
    peer: Vec<String>,
}

/// Streams the verified bytes of a file. Ends early when they do not arrive in time: the reader counts.
pub async fn bytes(call: Call, query: BytesQuery, _: Nothing) -> Result<Reply, Refusal> {
    let opening = OpenQuery {
        deadline: query.deadline,
        peer: query.peer,
    };
    let (ih, site) = find(&call, &opening).await?;
    let (file, until) = (query.file, until(query.deadline));
    let found = usize::try_from(file).ok();
    let found = found.and_then(|index| Some((index, site.torrent.info.files.get(index)?.length)));
    let Some((file, length)) = found else {
        return Err(Refusal::unknown(format!("{ih} has no file number {file}")));
    };
    let stream = read(&call, site, file, query.offset..length, until);
    Ok(answer::raw(stream, "application/octet-stream"))
}

fn read(
    call: &Call,
    site: Site,
    file: usize,
    range: std::ops::Range<u64>,
    until: Instant,
) -> http_body_util::combinators::UnsyncBoxBody<Bytes, std::convert::Infallible> {
    let (parts, mut read) = mpsc::channel::<Bytes>(2);
    let sites = call.handles.sites.clone();
    call.handles.tasks.spawn("api.bytes", async move {
        let mut at = range.start;
        while at < range.end {
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
    StreamBody::new(stream).boxed_unsync()
}

pub async fn keep(call: Call, _: Nothing, _: Nothing) -> Result<Done, Refusal> {
    call.handles.swarm.keep(call.infohash()?).await?;
    Ok(Done::default())
}

pub async fn forget(call: Call, _: Nothing, _: Nothing) -> Result<Done, Refusal> {
    let ih = call.infohash()?;
    known(&call, ih).await?;
    call.handles.sites.evict(ih).await?;
    Ok(Done::default())
}

pub async fn rate(call: Call, _: Nothing, body: RateBody) -> Result<Done, Refusal> {
    let ih = call.infohash()?;
    known(&call, ih).await?;
    let own = (body.upload_bytes_per_sec > 0).then_some(body.upload_bytes_per_sec);
    call.handles.swarm.limits().set_torrent(ih, own);
    Ok(Done::default())
}

pub async fn peers(call: Call, _: Nothing, body: PeersBody) -> Result<Done, Refusal> {
    let ih = call.infohash()?;
    call.handles.swarm.add_peers(ih, &body.peers);
    Ok(Done::default())
}

/// 404 for what has no row.
async fn known(call: &Call, ih: InfoHash) -> Result<(), Refusal> {
    match call.handles.db.run(move |store| store.site(&ih)).await? {
        Some(_) => Ok(()),
        None => Err(store::Error::Unknown(ih).into()),
    }
}
