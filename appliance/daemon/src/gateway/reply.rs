//! Responses and the headers that every kind of them carries.

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
    http::request::Parts,
};
use proto::{
    name::TLD,
    site::{cache, path},
};

use super::body::Body;

pub type Reply = Response<Body>;

pub const X_REASON: HeaderName = HeaderName::from_static("x-reason");
pub const X_BT_PATH: HeaderName = HeaderName::from_static("x-bt-path");
pub const X_BT_ROOTS: HeaderName = HeaderName::from_static("x-bt-roots");
pub const X_BT_SEQ: HeaderName = HeaderName::from_static("x-bt-seq");
pub const X_BT_CHECKED: HeaderName = HeaderName::from_static("x-bt-checked");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "X-Bt-Path, X-Bt-Roots, X-Bt-Seq, X-Bt-Checked, X-Reason, ETag, Link, Content-Length, Content-Range, Accept-Ranges",
);
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const ANY: HeaderValue = HeaderValue::from_static("*");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Every feature of the browser that a page without scripts and without trust has no use for.
const NO_PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), fullscreen=(self), \
     geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=(), \
     screen-wake-lock=(), serial=(), bluetooth=(), hid=(), local-network-access=()",
);

/// Where a site is shown; decides what its pages may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wall {
    /// On a host of its own: scripts run, but reach neither the LAN nor plain-http strangers.
    Host,
    /// On the box's own origin, beside other sites: no scripts, no origin.
    Path,
}

/// The two policies, made once.
#[derive(Clone)]
pub struct Walls {
    host: HeaderValue,
    path: HeaderValue,
}

impl Walls {
    pub fn new() -> Self {
        // A page of a site counts as local address space in Chromium even when it came through the proxy: without this a
        // stranger's page reaches the router at 192.168.1.1. Chromium honours the last word, Firefox the source list.
        let host = format!(
            "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: https: wss: http://*.{TLD} \
             ws://*.{TLD}; form-action 'self' https: http://*.{TLD}; treat-as-public-address"
        );
        // No treat-as-public-address here: the sandboxed page itself lives on the box's address and must load its parts
        // from there; the source list already names nothing else.
        let path = "sandbox allow-downloads; default-src 'none'; img-src 'self' data:; media-src 'self' data:; \
                    font-src 'self' data:; style-src 'self' 'unsafe-inline'; form-action 'none'; base-uri 'none'";
        Self {
            host: value(&host),
            path: HeaderValue::from_static(path),
        }
    }

    pub fn csp(&self, wall: Wall) -> HeaderValue {
        match wall {
            Wall::Host => self.host.clone(),
            Wall::Path => self.path.clone(),
        }
    }
}

/// The headers that anything of a site carries.
pub fn site_headers(headers: &mut HeaderMap, walls: &Walls, wall: Wall) {
    headers.insert(header::CONTENT_SECURITY_POLICY, walls.csp(wall));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::REFERRER_POLICY, NO_REFERRER);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    if wall == Wall::Path {
        headers.insert(PERMISSIONS, NO_PERMISSIONS);
    }
}

/// A header value of text that we made; what cannot stand in a header is left out.
pub fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

fn bare(status: StatusCode, kind: HeaderValue, cache: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Body::bytes(body.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::REFERRER_POLICY, NO_REFERRER);
    reply
}

/// A page we drew.
pub fn page(status: StatusCode, csp: &'static str, html: String) -> Reply {
    let mut reply = bare(status, HTML, cache::NEVER, html);
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(csp));
    // Lets a page of one site learn from another's errors; they hold nothing but our own words.
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    reply
}

/// One line for programs.
pub fn text(status: StatusCode, line: String) -> Reply {
    let mut reply = bare(status, TEXT, cache::NEVER, line);
    let headers = reply.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(super::page::CSP),
    );
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    reply
}

/// Any other bytes of ours.
pub fn data(kind: HeaderValue, cache: &'static str, bytes: impl Into<Bytes>) -> Reply {
    bare(StatusCode::OK, kind, cache, bytes)
}

/// A redirect; `to` must already be escaped.
pub fn redirect(status: StatusCode, to: &str) -> Reply {
    let mut reply = text(status, format!("moved to {to}\n"));
    reply.headers_mut().insert(header::LOCATION, value(to));
    reply
}

/// No body, and perhaps the answer to a CORS preflight.
pub fn options() -> Reply {
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = StatusCode::NO_CONTENT;
    let headers = reply.headers_mut();
    let methods = HeaderValue::from_static("GET, HEAD, OPTIONS");
    headers.insert(header::ALLOW, methods.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Range, If-Range, If-None-Match, Cache-Control"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(super::page::CSP),
    );
    reply
}

/// The request as the later rooms see it.
pub struct Ask<'a> {
    pub parts: &'a Parts,
    /// A person looks at the answer: a page, not a line of text.
    pub page: bool,
    /// The whole tab waits for it: it may be shown progress.
    pub top: bool,
}

impl<'a> Ask<'a> {
    pub fn new(parts: &'a Parts) -> Self {
        // Browsers send Sec-Fetch-Dest only to https and loopback; elsewhere Accept has to tell.
        let wants_html = get(&parts.headers, &header::ACCEPT).is_some_and(|text| text.contains("text/html"));
        let (page, top) = match parts.headers.get("sec-fetch-dest").map(HeaderValue::as_bytes) {
            Some(b"document") => (true, true),
            Some(b"iframe" | b"frame" | b"embed" | b"object") => (true, false),
            Some(_) => (false, false),
            None => (wants_html, wants_html),
        };
        Self { parts, page, top }
    }

    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        get(&self.parts.headers, name)
    }

    pub fn is_head(&self) -> bool {
        self.parts.method == Method::HEAD
    }

    pub fn path(&self) -> &str {
        self.parts.uri.path()
    }

    pub fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    pub fn query_value(&self, name: &str) -> Option<String> {
        self.parts
            .uri
            .query()
            .and_then(|query| path::query_value(query, name))
    }

    /// A person pressed "reload": they want what is newest, not what is fresh enough.
    pub fn reload(&self) -> bool {
        let said = self.header(&header::CACHE_CONTROL).unwrap_or_default();
        self.top && (cache::directive(said, "no-cache") || cache::directive(said, "max-age=0"))
    }

    pub fn only_if_cached(&self) -> bool {
        self.header(&header::CACHE_CONTROL)
            .is_some_and(|text| cache::directive(text, "only-if-cached"))
    }
}

fn get<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
