//! A file's bytes over HTTP: ready-made headers, ranges, validators, and a body that is read one chunk at a time.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderValue},
};
use proto::site::{
    cache::{self, Range},
    mime, path,
};
use tokio::time::Instant;

use super::{
    SiteSource,
    body::Body,
    error_page,
    opened::{FileHead, Opened, SMALL},
    reply::{self, Reply},
    site::Visit,
};
use crate::sites::Error;

/// What is read at once. Larger: fewer calls per MiB. Smaller: less memory per slow client.
const CHUNK: usize = 256 << 10;
/// How long a body under way waits for its next piece.
const NEXT_CHUNK: Duration = Duration::from_secs(120);

impl<S: SiteSource> Visit<'_, S> {
    /// A whole file of at most a few chunks.
    pub async fn whole(&self, opened: &Opened<S>, file: usize) -> Result<Vec<u8>, Error> {
        let length = opened.info().files[file].length;
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < length {
            let chunk = self.read(opened, file, bytes.len() as u64, CHUNK).await?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    async fn read(&self, opened: &Opened<S>, file: usize, offset: u64, len: usize) -> Result<Bytes, Error> {
        let source = self.shared.shelf.source();
        let reading = source.read(&opened.site, file, offset, len, self.until);
        // The deadline is the source's to keep; the grace only guards against one that does not.
        let chunk = tokio::time::timeout_at(self.until + Duration::from_secs(1), reading)
            .await
            .unwrap_or(Err(Error::Incomplete(opened.ih)))?;
        if chunk.is_empty() {
            return Err(Error::Unavailable("the file ended early".into()));
        }
        Ok(chunk)
    }

    /// What to say when the bytes did not come.
    pub fn unread(&self, opened: &Arc<Opened<S>>, err: &Error, file: usize, offset: u64) -> Reply {
        let late = matches!(err, Error::Silent(_) | Error::Incomplete(_));
        if late && self.ask.top && Instant::now() + Duration::from_millis(50) >= self.until {
            if self.ask.query_value("btlink-stop").is_some() {
                return error_page::stopped(self.ask.path()).reply(self.ask);
            }
            self.shared.shelf.fetch_on(opened, file, offset);
            return self.progress(Some(opened));
        }
        self.trouble(err, true)
    }

    /// A file's bytes, or the part asked for. `status` other than 200: the site's page for something missing, always whole.
    pub async fn file(&self, opened: &Arc<Opened<S>>, file: usize, status: StatusCode) -> Reply {
        let length = opened.info().files[file].length;
        if self.ask.only_if_cached() && self.shared.shelf.source().held_bytes(&opened.site, file) < length {
            return error_page::not_stored().reply(self.ask);
        }
        let head = match self.head(opened, file).await {
            Ok(head) => head,
            Err(err) => return self.unread(opened, &err, file, 0),
        };
        let plain = status == StatusCode::OK;
        let unchanged = |tags: &str| cache::none_match(tags, &head.etag);
        if plain && self.ask.header(&header::IF_NONE_MATCH).is_some_and(unchanged) {
            return bodiless(StatusCode::NOT_MODIFIED, &head.headers);
        }
        let mut range = Range::Whole;
        if plain && cache::if_range(self.ask.header(&header::IF_RANGE), &head.etag) {
            range = cache::range(self.ask.header(&header::RANGE), length);
        }
        let (start, len) = match range {
            Range::Whole => (0, length),
            Range::Part { start, len } => (start, len),
            Range::Unsatisfiable => return self.past_the_end(length),
        };
        let body = match self.body(opened, file, start, len).await {
            Ok(body) => body,
            Err(reply) => return *reply,
        };
        let mut reply = Response::new(body);
        *reply.headers_mut() = head.headers.clone();
        *reply.status_mut() = status;
        self.adorn(&mut reply, status);
        if range != Range::Whole {
            *reply.status_mut() = StatusCode::PARTIAL_CONTENT;
            let text = format!("bytes {start}-{}/{length}", start + len - 1);
            reply
                .headers_mut()
                .insert(header::CONTENT_RANGE, reply::value(&text));
        }
        reply
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(len));
        reply
    }

    /// What a query or an unusual status changes in the ready-made headers.
    fn adorn(&self, reply: &mut Reply, status: StatusCode) {
        let headers = reply.headers_mut();
        if status != StatusCode::OK {
            headers.remove(header::ETAG);
            headers.insert(
                header::CACHE_CONTROL,
                HeaderValue::from_static("public, max-age=60"),
            );
        }
        if self.ask.parts.uri.query().is_none() {
            return;
        }
        let name = self.ask.query_value("filename");
        let download = self
            .ask
            .query_value("download")
            .is_some_and(|text| text == "true");
        if name.is_some() || download {
            let saved = headers
                .get(reply::X_BT_PATH)
                .and_then(|value| value.to_str().ok());
            let saved = saved.and_then(|path| path.rsplit('/').next()).map(str::to_owned);
            headers.insert(header::CONTENT_DISPOSITION, disposition(name, saved, download));
        }
    }

    async fn body(
        &self,
        opened: &Arc<Opened<S>>,
        file: usize,
        start: u64,
        len: u64,
    ) -> Result<Body, Box<Reply>> {
        let whole = start == 0 && len == opened.info().files[file].length;
        if self.ask.is_head() || len == 0 {
            return Ok(Body::empty());
        }
        if whole && let Some(body) = opened.body(file) {
            return Ok(Body::bytes(body));
        }
        let source = self.shared.shelf.source();
        if self.ask.only_if_cached()
            && source.held_bytes(&opened.site, file) < opened.info().files[file].length
        {
            return Err(Box::new(error_page::not_stored().reply(self.ask)));
        }
        let want = usize::try_from(len).unwrap_or(CHUNK).min(CHUNK);
        let first = self.read(opened, file, start, want).await;
        let first = first.map_err(|err| Box::new(self.unread(opened, &err, file, start)))?;
        if first.len() as u64 >= len {
            if whole && len <= SMALL {
                opened.keep_body(file, &first);
            }
            return Ok(Body::bytes(first.slice(..len as usize)));
        }
        Ok(stream_file(
            source.clone(),
            opened.clone(),
            file,
            start,
            len,
            first,
        ))
    }

    fn past_the_end(&self, length: u64) -> Reply {
        let mut reply = error_page::unsatisfiable().reply(self.ask);
        let text = format!("bytes */{length}");
        reply
            .headers_mut()
            .insert(header::CONTENT_RANGE, reply::value(&text));
        reply
    }

    async fn head(&self, opened: &Arc<Opened<S>>, file: usize) -> Result<Arc<FileHead>, Error> {
        if let Some(head) = opened.head(file, self.wall) {
            return Ok(head);
        }
        let info = opened.info();
        let shown = opened.tree.shown(info, file);
        let name = shown.last().map(String::as_str).unwrap_or_default();
        let kind = match mime::by_name(name) {
            Some(kind) => kind,
            None if info.files[file].length == 0 => "text/plain; charset=utf-8",
            None => mime::by_content(&self.read(opened, file, 0, mime::LOOK).await?),
        };
        let head = Arc::new(self.make_head(opened, file, kind));
        opened.keep_head(file, self.wall, &head);
        Ok(head)
    }

    fn make_head(&self, opened: &Opened<S>, file: usize, kind: &'static str) -> FileHead {
        let etag = cache::file_etag(&self.ih, file);
        let shown = path::join(opened.tree.shown(opened.info(), file));
        let (name, ih) = (path::escape(&opened.info().name), self.ih);
        let mut headers = HeaderMap::with_capacity(20);
        reply::site_headers(&mut headers, &self.shared.walls, self.wall);
        let fixed = HeaderValue::from_static;
        headers.insert(header::CONTENT_TYPE, fixed(kind));
        headers.insert(header::CACHE_CONTROL, fixed(cache::IMMUTABLE));
        headers.insert(header::ACCEPT_RANGES, fixed("bytes"));
        headers.insert(header::ETAG, reply::value(&etag));
        headers.insert(reply::X_BT_ROOTS, reply::value(&ih.to_string()));
        let canonical = format!("<bittorrent://{ih}{shown}>; rel=\"canonical\"");
        let magnet = format!("<magnet:?xt=urn:btih:{ih}&dn={name}>; rel=\"alternate\"");
        headers.insert(header::LINK, reply::value(&format!("{canonical}, {magnet}")));
        headers.insert(reply::X_BT_PATH, reply::value(&shown));
        if kind == mime::UNKNOWN {
            headers.insert(header::CONTENT_DISPOSITION, fixed("attachment"));
        }
        FileHead { headers, etag }
    }
}

fn bodiless(status: StatusCode, headers: &HeaderMap) -> Reply {
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = status;
    *reply.headers_mut() = headers.clone();
    reply.headers_mut().remove(header::CONTENT_TYPE);
    reply
}

/// RFC 6266: an ASCII name for old clients, the true one escaped.
fn disposition(asked: Option<String>, saved: Option<String>, download: bool) -> HeaderValue {
    let kind = if download { "attachment" } else { "inline" };
    let asked = asked.map(|name| name.replace(['/', '\\'], "_"));
    let escaped = match asked
        .as_deref()
        .filter(|name| !name.is_empty() && name.len() <= 255)
    {
        Some(name) => path::escape(name).to_string().replace('\'', "%27"),
        None => saved.unwrap_or_default().replace('\'', "%27"),
    };
    let plain: String = escaped
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    reply::value(&format!(
        "{kind}; filename=\"{plain}\"; filename*=UTF-8''{escaped}"
    ))
}

/// The rest of a file after its first chunk: the next chunk is read when the client has taken the one before.
fn stream_file<S: SiteSource>(
    source: Arc<S>,
    opened: Arc<Opened<S>>,
    file: usize,
    start: u64,
    len: u64,
    first: Bytes,
) -> Body {
    let rest = (start, len, Some(first));
    let chunks = stream::try_unfold(rest, move |(at, left, first)| {
        let (source, opened) = (source.clone(), opened.clone());
        async move {
            if left == 0 {
                return Ok(None);
            }
            let chunk = match first {
                Some(chunk) => chunk,
                None => {
                    let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
                    next_chunk(&*source, &opened, file, at, want).await?
                }
            };
            let taken = (chunk.len() as u64).min(left);
            Ok(Some((chunk, (at + taken, left - taken, None))))
        }
    });
    Body::chunks(len, chunks)
}

/// Up to `want` bytes for a body under way.
pub async fn next_chunk<S: SiteSource>(
    source: &S,
    opened: &Opened<S>,
    file: usize,
    at: u64,
    want: usize,
) -> io::Result<Bytes> {
    let deadline = Instant::now() + NEXT_CHUNK;
    let reading = source.read(&opened.site, file, at, want, deadline);
    match tokio::time::timeout_at(deadline, reading).await {
        Ok(Ok(chunk)) if !chunk.is_empty() => Ok(chunk),
        Ok(Ok(_)) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(Err(err)) => Err(io::Error::other(err)),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
