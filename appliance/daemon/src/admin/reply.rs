//! Responses of the box's own pages and the headers that every one of them carries.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Response, StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use maud::html;

use super::{
    access::Person,
    look::{self, Frame},
};
use crate::gateway::OwnReply;

/// No script, nothing from elsewhere, no frame around it, forms to ourselves only.
const CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'",
);
/// For answers that are no pages.
const CSP_NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// What every answer carries. `Referrer-Policy` is `same-origin`, not `no-referrer`: under the latter browsers send
/// `Origin: null` with our own forms (Fetch, "append a request Origin header"), and their origin could not be checked.
/// Other origins learn nothing by either.
fn common(headers: &mut HeaderMap, csp: HeaderValue) {
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, csp);
    headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
}

fn bare(status: StatusCode, body: impl Into<Bytes>) -> OwnReply {
    let body = Full::new(body.into()).map_err(|never: Infallible| match never {});
    let mut reply = Response::new(body.boxed_unsync());
    *reply.status_mut() = status;
    reply
}

pub fn page(status: StatusCode, html: String) -> OwnReply {
    let mut reply = bare(status, html);
    let headers = reply.headers_mut();
    common(headers, CSP);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    reply
}

/// The page is asked for again by the browser itself: progress without a script.
pub fn again(reply: &mut OwnReply, secs: u32) {
    reply.headers_mut().insert(header::REFRESH, secs.into());
}

/// 303 to a path of ours.
pub fn see(path: &str) -> OwnReply {
    let mut reply = bare(StatusCode::SEE_OTHER, "");
    common(reply.headers_mut(), CSP_NOTHING);
    // A path that cannot stand in a header is a defect of a page, not a reason to break off.
    let to = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    reply.headers_mut().insert(header::LOCATION, to);
    reply
}

/// A status, what happened and what to do now, as a page.
pub fn trouble(
    status: StatusCode,
    title: &str,
    words: &str,
    person: Option<&Person>,
    here: &str,
) -> OwnReply {
    let body = html! {
        h1 { (title) }
        p { (words) }
        p { a.button href="/" { "Start page" } }
        footer.soft { "Granary · " (status.as_str()) }
    };
    let frame = Frame {
        title,
        body,
        person,
        here,
        notice: None,
    };
    page(status, look::page(&frame))
}

/// What may be asked of a path: OPTIONS, or with 405.
pub fn allow(mut reply: OwnReply, methods: &str) -> OwnReply {
    if let Ok(value) = HeaderValue::from_str(methods) {
        reply.headers_mut().insert(header::ALLOW, value);
    }
    reply
}

pub fn options(methods: &str) -> OwnReply {
    let mut reply = bare(StatusCode::NO_CONTENT, "");
    common(reply.headers_mut(), CSP_NOTHING);
    allow(reply, methods)
}

pub fn set_cookie(reply: &mut OwnReply, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        reply.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// An answer of the JSON API, which brings its own policy.
pub fn api(mut reply: OwnReply) -> OwnReply {
    let csp = reply.headers().get(header::CONTENT_SECURITY_POLICY).cloned();
    common(reply.headers_mut(), csp.unwrap_or(CSP_NOTHING));
    if reply.status() == StatusCode::UNAUTHORIZED {
        reply
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    reply
}

/// To a program whose token opens nothing. Never answered as if it had sent none, so that it notices.
pub fn wrong_token() -> OwnReply {
    let words = "this token opens nothing: it was revoked, or is not one of this box";
    let mut reply = bare(
        StatusCode::UNAUTHORIZED,
        serde_json::json!({ "error": words }).to_string(),
    );
    reply
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    api(reply)
}
