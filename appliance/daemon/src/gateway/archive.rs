//! A folder as one file, made while it is read: ZIP (stored, ZIP64 where needed) or TAR (ustar with pax headers). No
//! temporary space; the length is known before the first byte, since nothing is compressed.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use hyper::header::{self, HeaderValue};
use proto::site::{path, path::SitePath};

use super::{
    SiteSource,
    body::Body,
    error_page,
    file::next_chunk,
    opened::Opened,
    reply::{self, Reply},
    site::Visit,
};

mod tar;
mod zip;

/// More files than this make a central directory that would be held in memory for too long.
const FILES_MAX: usize = 100_000;
const CHUNK: usize = 256 << 10;

/// One file of the archive to come.
pub struct Item {
    /// Path within the archive, UTF-8, `/` between components.
    name: String,
    file: usize,
    length: u64,
}

/// Makes one format: the parts between the files' bytes. `finish` of an item is told the CRC of its bytes.
enum Format {
    Zip(zip::Zip),
    Tar,
}

impl Format {
    fn before(&mut self, item: &Item) -> Vec<u8> {
        match self {
            Self::Zip(zip) => zip.before(item),
            Self::Tar => tar::before(item),
        }
    }

    fn after(&mut self, item: &Item, crc: u32) -> Vec<u8> {
        match self {
            Self::Zip(zip) => zip.after(item, crc),
            Self::Tar => tar::after(item),
        }
    }

    fn end(&mut self, items: &[Item]) -> Vec<u8> {
        match self {
            Self::Zip(zip) => zip.end(items),
            Self::Tar => tar::end(),
        }
    }
}

/// `?path=/folder/` limits it to a folder; `?format=tar` makes a ZIP address a TAR.
pub fn serve<S: SiteSource>(visit: &Visit<'_, S>, opened: Arc<Opened<S>>, as_tar: bool) -> Reply {
    let as_tar = as_tar
        || visit
            .ask
            .query_value("format")
            .is_some_and(|format| format == "tar");
    let wanted = visit.ask.query_value("path").unwrap_or_else(|| "/".into());
    // The query was decoded already; escape again what the path reader takes for an escape.
    let Ok(folder) = SitePath::parse(&wanted.replace('%', "%25")) else {
        return error_page::no_such_file(format!("{}/", visit.base)).reply(visit.ask);
    };
    let parts: Vec<&str> = folder.components.iter().map(String::as_str).collect();
    let info = opened.info();
    let Some(span) = opened
        .tree
        .folder(info, &parts)
        .filter(|span| span.1 - span.0 <= FILES_MAX)
    else {
        return error_page::no_such_file(format!("{}/", visit.base)).reply(visit.ask);
    };
    let top = folder.components.last().unwrap_or(&info.name).clone();
    let items: Vec<Item> = opened
        .tree
        .files(span)
        .map(|file| Item {
            name: format!("{top}/{}", opened.tree.shown(info, file)[parts.len()..].join("/")),
            file,
            length: info.files[file].length,
        })
        .collect();
    let (length, format, kind, end) = if as_tar {
        (tar::length(&items), Format::Tar, "application/x-tar", "tar")
    } else {
        (
            zip::length(&items),
            Format::Zip(zip::Zip::default()),
            "application/zip",
            "zip",
        )
    };
    let body = if visit.ask.is_head() {
        Body::empty()
    } else {
        stream(visit.shared.shelf.source().clone(), opened, items, format, length)
    };
    let mut reply = Reply::new(body);
    let headers = reply.headers_mut();
    reply::site_headers(headers, &visit.shared.walls, visit.wall);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("none"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let escaped = path::escape(&top).to_string().replace('\'', "%27");
    let name = format!(
        "attachment; filename=\"{}.{end}\"; filename*=UTF-8''{escaped}.{end}",
        visit.ih
    );
    headers.insert(header::CONTENT_DISPOSITION, reply::value(&name));
    headers.insert(reply::X_BT_ROOTS, reply::value(&visit.ih.to_string()));
    reply
}

struct State<S: SiteSource> {
    source: Arc<S>,
    opened: Arc<Opened<S>>,
    items: Vec<Item>,
    format: Format,
    at: usize,
    /// Bytes of the item sent; `None`: its header comes next.
    sent: Option<u64>,
    crc: crc32fast::Hasher,
    ended: bool,
}

fn stream<S: SiteSource>(
    source: Arc<S>,
    opened: Arc<Opened<S>>,
    items: Vec<Item>,
    format: Format,
    length: u64,
) -> Body {
    let state = State {
        source,
        opened,
        items,
        format,
        at: 0,
        sent: None,
        crc: crc32fast::Hasher::new(),
        ended: false,
    };
    let chunks = stream::try_unfold(state, |mut state| async move {
        let next = state.next().await?;
        Ok::<_, io::Error>(next.map(|bytes| (bytes, state)))
    });
    Body::chunks(length, chunks)
}

impl<S: SiteSource> State<S> {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let Some(item) = self.items.get(self.at) else {
            if self.ended {
                return Ok(None);
            }
            self.ended = true;
            return Ok(Some(self.format.end(&self.items).into()));
        };
        let Some(sent) = self.sent else {
            self.sent = Some(0);
            self.crc = crc32fast::Hasher::new();
            return Ok(Some(self.format.before(item).into()));
        };
        if sent < item.length {
            let want = (item.length - sent).min(CHUNK as u64) as usize;
            let chunk = next_chunk(&*self.source, &self.opened, item.file, sent, want).await?;
            self.crc.update(&chunk);
            self.sent = Some(sent + chunk.len() as u64);
            return Ok(Some(chunk));
        }
        let crc = std::mem::take(&mut self.crc).finalize();
        let bytes = self.format.after(item, crc);
        self.at += 1;
        self.sent = None;
        // A TAR entry of whole blocks has nothing after it; an empty chunk is no frame worth sending, but harmless.
        Ok(Some(bytes.into()))
    }
}
