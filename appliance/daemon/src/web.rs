//! One HTTP or HTTPS request to a server a stranger named. The name is resolved here, each address is judged, and the
//! connection goes to exactly the address that was judged; redirects start over from the beginning.
//!
//! No connection is kept: trackers are asked once in half an hour, and an idle connection is one more thing to hold. Knows no
//! room and nothing of what is fetched.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{CONNECTION, CONTENT_TYPE, ETAG, HOST, LOCATION, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use proto::guard::{self, Host, Policy, Reason, Scheme, Url};
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Redirects followed before giving up.
const REDIRECTS_MAX: usize = 3;

/// Addresses of one name that are tried. More: a name with many dead addresses uses up the deadline.
const ADDRESSES_MAX: usize = 4;

/// How long one address may take to connect, TLS included.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

const AGENT: &str = concat!("Granary/", env!("CARGO_PKG_VERSION"));

/// Why there is no answer, split by what the caller can do: drop the URL, or come back later.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL, an address behind it or a redirect leads where strangers must not send us.
    #[error("refused: {0}")]
    Refused(#[from] Reason),
    #[error("{0}")]
    Unreachable(String),
    #[error("answered with status {0}")]
    Status(u16),
    /// What arrived could not be put where the caller wants it.
    #[error("keep the answer: {0}")]
    Kept(std::io::Error),
}

/// What to ask; `extra` headers are sent as they are.
pub struct Ask<'a> {
    pub body: Option<(&'static str, String)>,
    pub extra: &'a [(&'static str, &'a str)],
    /// Longest body read, bytes.
    pub answer_bytes_max: usize,
    /// For everything together, redirects included.
    pub deadline: Duration,
}

/// What a server gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Given {
    /// The whole body; with the server's mark of this version, when it has one.
    Body { etag: Option<String> },
    /// 304: what the caller has is what it would give.
    Same,
}

/// Where a body goes.
pub type Sink<'a> = &'a mut (dyn AsyncWrite + Send + Unpin);

/// GETs (or POSTs, when there is a body) `url` and returns the body of a 200 answer.
pub async fn fetch(url: Url, policy: &Policy, ask: &Ask<'_>) -> Result<Bytes, Error> {
    let mut body = Vec::new();
    match download(url, policy, ask, &mut body).await? {
        Given::Body { .. } => Ok(body.into()),
        Given::Same => Err(Error::Status(StatusCode::NOT_MODIFIED.as_u16())),
    }
}

/// Like [`fetch`], piece by piece into `sink`. After an error it holds a part of something.
pub async fn download(url: Url, policy: &Policy, ask: &Ask<'_>, sink: Sink<'_>) -> Result<Given, Error> {
    let late = |_| Error::Unreachable(format!("no answer in {} s", ask.deadline.as_secs()));
    timeout(ask.deadline, follow(url, policy, ask, sink))
        .await
        .map_err(late)?
}

/// The addresses `url`'s host has and may be connected to, judged.
pub async fn resolve(url: &Url, policy: &Policy) -> Result<Vec<SocketAddr>, Error> {
    let policy = policy.for_web();
    let found: Vec<SocketAddr> = match &url.host {
        Host::Ip(ip) => vec![SocketAddr::new(*ip, url.port)],
        Host::Name(name) => tokio::net::lookup_host((name.as_str(), url.port))
            .await
            .map_err(|err| Error::Unreachable(format!("look up {name}: {err}")))?
            .collect(),
    };
    let mut refusal = None;
    let mut good: Vec<SocketAddr> = Vec::new();
    for addr in found {
        match guard::allowed(addr, &policy) {
            Ok(()) if good.len() < ADDRESSES_MAX => good.push(addr),
            Ok(()) => {}
            Err(reason) => refusal = Some(reason),
        }
    }
    match refusal {
        Some(reason) if good.is_empty() => Err(reason.into()),
        None if good.is_empty() => Err(Error::Unreachable(format!("{} has no address", url.host))),
        _ => Ok(good),
    }
}

async fn follow(mut url: Url, policy: &Policy, ask: &Ask<'_>, sink: Sink<'_>) -> Result<Given, Error> {
    for _ in 0..=REDIRECTS_MAX {
        match once(&url, policy, ask, sink).await? {
            Answer::Given(given) => return Ok(given),
            Answer::Elsewhere(place) => url = relative(&url, &place, policy)?,
        }
    }
    Err(Error::Unreachable(format!("more than {REDIRECTS_MAX} redirects")))
}

enum Answer {
    Given(Given),
    Elsewhere(String),
}

/// `Location` may be absolute, or a path on the same server; other relative forms are refused.
fn relative(base: &Url, place: &str, policy: &Policy) -> Result<Url, Error> {
    let text = if place.starts_with('/') && !place.starts_with("//") {
        format!("{}://{}:{}{place}", base.scheme, base.host, base.port)
    } else {
        place.to_owned()
    };
    let url = guard::allowed_url(&text, policy)?;
    match url.scheme {
        Scheme::Udp => Err(Reason::Scheme.into()),
        _ => Ok(url),
    }
}

async fn once(url: &Url, policy: &Policy, ask: &Ask<'_>, sink: Sink<'_>) -> Result<Answer, Error> {
    let mut last = Error::Unreachable("no address".into());
    for addr in resolve(url, policy).await? {
        match timeout(CONNECT_WAIT, connect(addr, url)).await {
            Ok(Ok(stream)) => return exchange(stream, url, ask, sink).await,
            Ok(Err(err)) => last = err,
            Err(_) => last = Error::Unreachable(format!("connect {addr}: no answer")),
        }
    }
    Err(last)
}

/// What hyper needs of a connection, plain or TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(addr: SocketAddr, url: &Url) -> Result<Box<dyn Stream>, Error> {
    let broken = |err: std::io::Error| Error::Unreachable(format!("connect {addr}: {err}"));
    let tcp = TcpStream::connect(addr).await.map_err(broken)?;
    if url.scheme != Scheme::Https {
        return Ok(Box::new(tcp));
    }
    let name = match &url.host {
        Host::Ip(ip) => ServerName::IpAddress(IpAddr::into(*ip)),
        Host::Name(name) => ServerName::try_from(name.clone())
            .map_err(|_| Error::Unreachable(format!("{name} is no TLS server name")))?,
    };
    let stream = connector()?.connect(name, tcp).await.map_err(broken)?;
    Ok(Box::new(stream))
}

/// Verifies with the system's certificate authorities, loaded on first use.
fn connector() -> Result<TlsConnector, Error> {
    static CONFIG: OnceLock<Option<Arc<rustls::ClientConfig>>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .ok()?;
        Some(Arc::new(
            builder.with_platform_verifier().ok()?.with_no_client_auth(),
        ))
    });
    match config {
        Some(config) => Ok(TlsConnector::from(config.clone())),
        None => Err(Error::Unreachable(
            "this system has no certificate authorities (install ca-certificates)".into(),
        )),
    }
}

async fn exchange(
    stream: Box<dyn Stream>,
    url: &Url,
    ask: &Ask<'_>,
    sink: Sink<'_>,
) -> Result<Answer, Error> {
    let broken = |err: hyper::Error| Error::Unreachable(format!("{}: {err}", url.host));
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(64 << 10)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let request = request(url, ask)?;
    let asking = std::pin::pin!(async {
        let answer = sender.send_request(request).await.map_err(broken)?;
        read(answer, ask.answer_bytes_max, sink).await
    });
    // The connection is driven here and not by a task of its own, so that nothing outlives the deadline.
    match select(asking, std::pin::pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        Either::Right((_, asking)) => asking.await,
    }
}

fn request(url: &Url, ask: &Ask<'_>) -> Result<Request<Full<Bytes>>, Error> {
    let host = match (url.scheme, url.port) {
        (Scheme::Http, 80) | (Scheme::Https, 443) => url.host.to_string(),
        _ => format!("{}:{}", url.host, url.port),
    };
    let mut builder = Request::builder()
        .uri(&url.target)
        .header(HOST, host)
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close");
    for (name, value) in ask.extra {
        builder = builder.header(*name, *value);
    }
    let body = match &ask.body {
        None => Full::default(),
        Some((kind, text)) => {
            builder = builder.method(Method::POST).header(CONTENT_TYPE, *kind);
            Full::new(Bytes::from(text.clone()))
        }
    };
    builder
        .body(body)
        .map_err(|err| Error::Unreachable(format!("build the request: {err}")))
}

async fn read(answer: hyper::Response<Incoming>, bytes_max: usize, sink: Sink<'_>) -> Result<Answer, Error> {
    let status = answer.status();
    let header = |name| {
        let value = answer.headers().get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    if status == StatusCode::NOT_MODIFIED {
        return Ok(Answer::Given(Given::Same));
    }
    if status.is_redirection() {
        let place = header(LOCATION);
        return place.map(Answer::Elsewhere).ok_or(Error::Status(status.as_u16()));
    }
    if status != StatusCode::OK {
        return Err(Error::Status(status.as_u16()));
    }
    let etag = header(ETAG);
    let mut body = Limited::new(answer.into_body(), bytes_max);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|err| Error::Unreachable(format!("read the answer: {err}")))?;
        if let Ok(bytes) = frame.into_data() {
            sink.write_all(&bytes).await.map_err(Error::Kept)?;
        }
    }
    sink.flush().await.map_err(Error::Kept)?;
    Ok(Answer::Given(Given::Body { etag }))
}
