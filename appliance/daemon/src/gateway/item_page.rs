//! Items of the DHT (BEP 44) as they are: a tree for people, JSON or the exact bytes for programs. Never run, never styled by
//! their author.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};
use maud::{Markup, PreEscaped, html};
use proto::{
    bencode::{self, show},
    id::{InfoHash, Target},
    name::{Address, TLD},
    record::Meaning,
    site::{cache, date},
};
use store::RecordRow;
use tokio::time::Instant;

use super::{
    SiteSource,
    answer::Shared,
    error_page, page, progress_page,
    reply::{self, Ask, Reply},
};
use crate::sites::{Error, Item};

/// A person sees that the network is asked after this.
const PATIENCE_PAGE: Duration = Duration::from_secs(2);
const PATIENCE_PART: Duration = Duration::from_secs(25);
/// An item has at most 1000 bytes; deep nesting makes more of them.
const SHOWN_MAX: usize = 64 << 10;
/// The item's own page needs even less than ours: no pictures, no forms, no origin.
const CSP: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; \
                   base-uri 'none'; sandbox allow-downloads allow-top-navigation-by-user-activation";

/// `base`: the URL path before the item's own, empty on its host.
pub async fn serve<S: SiteSource>(
    shared: &Arc<Shared<S>>,
    ask: &Ask<'_>,
    target: Target,
    base: &str,
    raw: &str,
) -> Reply {
    if raw != "/" {
        return error_page::nothing_special("An item of the DHT has no files: it is one value.", base)
            .reply(ask);
    }
    let patience = if ask.top { PATIENCE_PAGE } else { PATIENCE_PART };
    let stop = ask.query_value("btlink-stop").is_some();
    let local = ask.only_if_cached() || stop;
    let until = Instant::now() + patience;
    let item = match shared.shelf.source().item(target, local, until).await {
        Ok(item) => item,
        Err(Error::NoRecord(_)) if stop => return error_page::stopped(ask.path()).reply(ask),
        Err(Error::NoRecord(_)) if local => return error_page::not_stored().reply(ask),
        Err(Error::Looking(_)) if ask.top => return progress_page::asking(ask),
        Err(Error::NoRecord(_) | Error::Looking(_)) => return error_page::no_item().reply(ask),
        Err(err) => return error_page::of_site(&err, error_page::Known::default()).reply(ask),
    };
    let here = base.is_empty();
    show(ask, target, &item, &|bytes| link(bytes, here))
}

type Link<'a> = &'a dyn Fn(&[u8]) -> Option<String>;

fn show(ask: &Ask<'_>, target: Target, item: &Item, link: Link<'_>) -> Reply {
    let (value, row) = match item {
        Item::Immutable(value) => (value.clone(), None),
        Item::Mutable(row) => (Bytes::copy_from_slice(&row.item.value), Some(row.as_ref())),
    };
    let format = Format::of(ask);
    let (lasts, etag) = match row {
        None => (cache::IMMUTABLE, format!("\"{target}-{}\"", format.word())),
        Some(row) => (
            cache::MUTABLE,
            format!("\"{target}-{}-{}\"", row.item.seq, format.word()),
        ),
    };
    let mut reply = match draw(format, target, &value, row, link) {
        Some(reply) => reply,
        // Nothing is both stored and no bencoding: the network's items were checked. Their bytes are still theirs to have.
        None => as_bytes(target, value),
    };
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(lasts));
    headers.insert(header::ETAG, reply::value(&etag));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(reply::X_BT_ROOTS, reply::value(&target.to_string()));
    if let Some(row) = row {
        headers.insert(reply::X_BT_SEQ, HeaderValue::from(row.item.seq));
    }
    let unchanged = |tags: &str| cache::none_match(tags, &etag);
    if ask.header(&header::IF_NONE_MATCH).is_some_and(unchanged) {
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        reply.headers_mut().remove(header::CONTENT_TYPE);
        *reply.body_mut() = super::body::Body::empty();
    }
    reply
}

#[derive(Clone, Copy)]
enum Format {
    Html,
    Json,
    Raw,
}

impl Format {
    /// `?format=` counts, then what the client wants; a program that says nothing gets JSON.
    fn of(ask: &Ask<'_>) -> Self {
        match ask.query_value("format").as_deref() {
            Some("raw") => Self::Raw,
            Some("json") => Self::Json,
            Some("html") => Self::Html,
            _ if ask.page => Self::Html,
            _ => Self::Json,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Json => "json",
            Self::Raw => "raw",
        }
    }
}

fn draw(
    format: Format,
    target: Target,
    value: &Bytes,
    row: Option<&RecordRow>,
    link: Link<'_>,
) -> Option<Reply> {
    if let Format::Raw = format {
        return Some(as_bytes(target, value.clone()));
    }
    let node = bencode::parse(value).ok()?;
    Some(match format {
        Format::Json => {
            let json = show::json(&node, SHOWN_MAX)?;
            reply::data(reply::JSON, cache::NEVER, format!("{json}\n"))
        }
        _ => {
            let tree = show::html(&node, SHOWN_MAX, link)?;
            reply::page(StatusCode::OK, CSP, page_of(target, value.len(), &tree, row))
        }
    })
}

fn as_bytes(target: Target, value: Bytes) -> Reply {
    let kind = HeaderValue::from_static("application/octet-stream");
    let mut reply = reply::data(kind, cache::NEVER, value);
    let name = format!("attachment; filename=\"{target}.bencode\"");
    reply
        .headers_mut()
        .insert(header::CONTENT_DISPOSITION, reply::value(&name));
    reply
}

/// Twenty bytes are most likely an infohash. `named`: the reader came by a name, so that sites' own hosts open too.
fn link(bytes: &[u8], named: bool) -> Option<String> {
    let ih = InfoHash(bytes.try_into().ok()?);
    if !named {
        return Some(format!("/btih/{ih}/"));
    }
    let host = Address::Torrent(ih).host(TLD)?;
    Some(format!("http://{host}/"))
}

fn page_of(target: Target, length: usize, tree: &str, row: Option<&RecordRow>) -> String {
    page::page(
        "An item of the DHT",
        html! {
            h1 { "An item of the DHT" }
            @match row {
                None => p { "This value never changes: its address is its own hash." },
                Some(row) => (about(row)),
            }
            (PreEscaped(tree))
            p.soft { (length) " bytes · " a href="?format=json" { "JSON" } " · " a href="?format=raw" { "exact bytes" } }
            footer.soft { "Granary · " code { (target) } }
        },
    )
}

fn about(row: &RecordRow) -> Markup {
    let key = data_encoding::HEXLOWER.encode(&row.item.key.0);
    let address = Address::Key {
        key: row.item.key,
        salt: row.item.salt.clone(),
    };
    let host = address
        .host(TLD)
        .filter(|_| matches!(row.item.meaning(), Meaning::Torrent(_)));
    html! {
        p { "A signed record: number " (row.item.seq) ", changed on " (date::day(row.last_changed)) "." }
        p.soft { "Key " code { (key) }
            @if !row.item.salt.is_empty() { ", salt " code { (data_encoding::HEXLOWER.encode(&row.item.salt)) } } }
        @if let Some(host) = host { p { a.button href={ "http://" (host) "/" } { "Open the site it names" } } }
    }
}
