//! From a request to its operation: path, method, who may, query, body; then its work, within its time.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::Value;

use super::{
    Caller, Handles,
    operation::{Call, Operation},
    query,
    refusal::Refusal,
    reply::Problem,
    table,
};

/// Larger bodies are refused unless the operation says otherwise: most are a few lines.
pub const BODY_MAX: usize = 64 << 10;
const BODY_DEADLINE: Duration = Duration::from_secs(10);
const DRAIN_DEADLINE: Duration = Duration::from_secs(1);

pub type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What every answer carries: no other origin may read it, frame it or run it, and nobody keeps it.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Answers one request; never fails, so that every trouble has words.
pub async fn answer(
    handles: Handles,
    caller: Caller,
    request: Request<Incoming>,
) -> Result<Reply, Infallible> {
    let mut reply = work(handles, caller, request).await.unwrap_or_else(refused);
    for (name, value) in HEADERS {
        reply.headers_mut().insert(name, value);
    }
    Ok(reply)
}

/// The same for a command that runs its own Granary: the JSON of the answer, or the sentence of the refusal.
pub async fn ask(
    handles: Handles,
    method: &Method,
    target: &str,
    body: Option<&Value>,
) -> Result<Value, String> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let done = async {
        let (operation, places) = find(table::operations(), method, path)?;
        let query = query::read(&operation.query, query)?;
        run(operation, (handles, Caller::Control, places), query, body).await
    };
    let reply = done.await.map_err(|refusal| refusal.text)?;
    let Ok(body) = reply.into_body().collect().await;
    serde_json::from_slice(&body.to_bytes()).map_err(|err| err.to_string())
}

async fn work(handles: Handles, caller: Caller, request: Request<Incoming>) -> Result<Reply, Refusal> {
    let (parts, body) = request.into_parts();
    let understood = || {
        let (operation, places) = find(table::operations(), &parts.method, parts.uri.path())?;
        admit(operation, caller)?;
        let query = query::read(&operation.query, parts.uri.query().unwrap_or_default())?;
        Ok((operation, places, query))
    };
    let (operation, places, query) = match understood() {
        Ok(understood) => understood,
        Err(refusal) => {
            drain(body).await;
            return Err(refusal);
        }
    };
    let body = if operation.method == Method::GET {
        Bytes::new()
    } else {
        read_body(&parts.headers, body, operation.body_max).await?
    };
    run(operation, (handles, caller, places), query, body).await
}

async fn run(
    operation: &Operation,
    (handles, caller, places): (Handles, Caller, Places),
    query: Value,
    body: Bytes,
) -> Result<Reply, Refusal> {
    let call = Call {
        handles,
        caller,
        places,
    };
    match tokio::time::timeout(operation.within, (operation.run)(call, query, body)).await {
        Ok(result) => result,
        Err(_) => {
            let secs = operation.within.as_secs();
            Err(Refusal::not_now(format!(
                "it was not done within {secs} s; try again later"
            )))
        }
    }
}

type Places = Vec<(&'static str, String)>;

/// The operation of a path and method. 404: no such path. 405: the path has other methods.
fn find<'t>(
    operations: &'t [Operation],
    method: &Method,
    path: &str,
) -> Result<(&'t Operation, Places), Refusal> {
    let mut others: Vec<&str> = Vec::new();
    for operation in operations {
        match places(operation.path, path) {
            Some(places) if operation.method == *method => return Ok((operation, places)),
            Some(_) => others.push(operation.method.as_str()),
            None => {}
        }
    }
    if others.is_empty() {
        return Err(Refusal::unknown(
            "no request of this interface has this path; see /api/v1/openapi.json",
        ));
    }
    others.sort_unstable();
    let allow = others.join(", ");
    Err(Refusal {
        allow: Some(allow.clone()),
        ..Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("this path takes {allow}"))
    })
}

/// What stands in the pattern's braces; `None`: another path.
fn places(pattern: &'static str, path: &str) -> Option<Places> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut places = Places::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(places),
            (Some(wanted), Some(given)) => match wanted.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
                Some(_) if given.is_empty() => return None,
                Some(name) => {
                    // What is no UTF-8 fits no name and no number: its operation says so.
                    let text = percent_decode_str(given).decode_utf8_lossy();
                    places.push((name, text.into_owned()));
                }
                None if wanted == given => {}
                None => return None,
            },
            _ => return None,
        }
    }
}

fn admit(operation: &Operation, caller: Caller) -> Result<(), Refusal> {
    if caller >= operation.least {
        return Ok(());
    }
    let forbidden = |text| Err(Refusal::new(StatusCode::FORBIDDEN, text));
    match operation.least {
        _ if caller == Caller::Nobody => Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "this needs a token: send it as Authorization: Bearer …",
        )),
        Caller::Control => forbidden("this is only done on the box itself, on its control socket"),
        _ => forbidden("only an owner may do this; the token is a member's"),
    }
}

/// Takes what is on its way, so that whoever is still sending can read the answer. Bounded.
async fn drain(body: Incoming) {
    let _ = tokio::time::timeout(DRAIN_DEADLINE, Limited::new(body, BODY_MAX).collect()).await;
}

/// A body has to say that it is JSON: no form of a web page can.
async fn read_body(headers: &HeaderMap, body: Incoming, max: usize) -> Result<Bytes, Refusal> {
    let limited = Limited::new(body, max).collect();
    let bytes = match tokio::time::timeout(BODY_DEADLINE, limited).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(err)) if err.is::<http_body_util::LengthLimitError>() => {
            let words = format!("the body is larger than {max} bytes");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, words));
        }
        Ok(Err(_)) => return Err(Refusal::asked_wrongly("the body broke off")),
        Err(_) => {
            let words = "the body did not arrive in 10 s";
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, words));
        }
    };
    if bytes.is_empty() || is_json(headers) {
        return Ok(bytes);
    }
    Err(Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "the body must be JSON and say so: Content-Type: application/json",
    ))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

fn refused(refusal: Refusal) -> Reply {
    let mut reply = json(&Problem { error: refusal.text });
    *reply.status_mut() = refusal.status;
    if refusal.status == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer");
        reply.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
    }
    if let Some(allow) = refusal.allow.and_then(|allow| allow.parse().ok()) {
        reply.headers_mut().insert(header::ALLOW, allow);
    }
    reply
}

/// 200 with a JSON value and a line end.
pub fn json(value: &impl Serialize) -> Reply {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    raw(Full::new(Bytes::from(text)).boxed_unsync(), "application/json")
}

/// 200 with a body of that media type.
pub fn raw(body: UnsyncBoxBody<Bytes, Infallible>, kind: &'static str) -> Reply {
    let mut reply = Response::new(body);
    let kind = HeaderValue::from_static(kind);
    reply.headers_mut().insert(header::CONTENT_TYPE, kind);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_fits_its_pattern_whole_or_not_at_all() {
        let fits = |path| places("/api/v1/sites/{infohash}/info", path);
        assert_eq!(
            fits("/api/v1/sites/a%20b/info"),
            Some(vec![("infohash", "a b".into())])
        );
        for other in [
            "/api/v1/sites//info",
            "/api/v1/sites/a/info/",
            "/api/v1/sites/a",
            "//api/v1/sites/a/info",
            "",
        ] {
            assert_eq!(fits(other), None, "{other}");
        }
    }

    #[test]
    fn a_path_with_other_methods_names_them() {
        let found = |method, path| find(table::operations(), &method, path).map(|(found, _)| found.summary);
        let refused = found(Method::PATCH, "/api/v1/sharing").expect_err("there is no such operation");
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.allow.as_deref(), Some("DELETE, GET, PUT"));
        let refused = found(Method::GET, "/api/v1/nothing").expect_err("there is no such path");
        assert_eq!(refused.status, StatusCode::NOT_FOUND);
        assert!(found(Method::GET, "/api/v1/status").is_ok());
    }

    #[test]
    fn no_two_operations_are_reached_by_one_request() {
        let all = table::operations();
        for (index, one) in all.iter().enumerate() {
            let (found, _) = find(all, &one.method, one.path).expect("its own path finds it");
            assert!(std::ptr::eq(found, one), "{} {} is hidden", one.method, one.path);
            for other in &all[index + 1..] {
                assert!(one.method != other.method || places(one.path, other.path).is_none());
            }
        }
    }

    #[test]
    fn only_json_that_says_so_is_json() {
        let says = |kind: &'static str| {
            is_json(&HeaderMap::from_iter([(
                header::CONTENT_TYPE,
                HeaderValue::from_static(kind),
            )]))
        };
        assert!(says("application/json") && says("Application/JSON; charset=utf-8"));
        assert!(
            !says("text/plain") && !says("application/x-www-form-urlencoded") && !says("application/jsonp")
        );
        assert!(!is_json(&HeaderMap::new()));
    }
}
