//! DNS over HTTPS (RFC 8484), HTTP/1.1 and HTTP/2.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use house::tasks::Tasks;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    rt::Executor,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use proto::dns::message::{Message, Section};
use tokio::{net::TcpListener, net::TcpStream, sync::mpsc, time::timeout};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tracing::debug;

use super::{
    Shared,
    flight::To,
    seats::{Seat, Seats},
    state::{Door, From, Outcome},
    stream::{self, HANDSHAKE_DEADLINE},
};

const PATH: &str = "/dns-query";
const MESSAGE: &str = "application/dns-message";
/// A longer question is none.
const QUESTION_MAX: usize = 4096;
const IDLE: Duration = Duration::from_secs(30);
/// Upstreams have shorter deadlines.
const ANSWER_DEADLINE: Duration = Duration::from_secs(16);
const BODY_DEADLINE: Duration = Duration::from_secs(5);
/// Questions of one connection at once.
const STREAMS_MAX: u32 = 32;

type Reply = Response<Full<Bytes>>;

pub(super) async fn accept(listener: TcpListener, tls: Arc<ServerConfig>, seats: Seats, shared: Arc<Shared>) {
    let tasks = shared.house.tasks.clone();
    loop {
        let Some((stream, peer)) = stream::next(&listener, &shared).await else {
            continue;
        };
        let (tls, shared) = (tls.clone(), shared.clone());
        let seat = Arc::new(seats.take(peer.ip().to_canonical()));
        tasks.spawn("dns.connection", async move {
            tokio::select! {
                () = seat.ended.cancelled() => {}
                () = seat.quiet(IDLE) => {}
                () = serve(stream, peer, tls, seat.clone(), shared) => {}
            }
        });
    }
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Arc<ServerConfig>,
    seat: Arc<Seat>,
    shared: Arc<Shared>,
) {
    let Ok(local) = stream.local_addr() else { return };
    let from = stream::from(local.ip(), peer, Door::Http, &shared);
    let stream = match timeout(HANDSHAKE_DEADLINE, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => stream,
        _ => return,
    };
    let tasks = shared.house.tasks.child();
    let service = service_fn(move |request| {
        let (seat, shared) = (seat.clone(), shared.clone());
        async move {
            seat.used();
            Ok::<_, Infallible>(answer(&shared, &from, request).await)
        }
    });
    let mut builder = auto::Builder::new(Streams(tasks));
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(16 << 10);
    if let Err(err) = builder.serve_connection(TokioIo::new(stream), service).await {
        debug!(%err, "a connection of a device ended early");
    }
}

/// Gives hyper's HTTP/2 streams a name and an end.
#[derive(Clone)]
struct Streams(Tasks);

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        self.0.spawn("dns.stream", async move {
            stream.await;
        });
    }
}

async fn answer(shared: &Arc<Shared>, from: &From, request: Request<Incoming>) -> Reply {
    let packet = match question(request).await {
        Ok(packet) => packet,
        Err(status) => return refuse(status),
    };
    let (sender, mut receiver) = mpsc::channel(1);
    let (mut reply, now) = (Vec::new(), shared.now());
    let outcome = shared
        .lock()
        .handle(shared, &packet, from, now, &mut reply, || To::Stream(sender));
    match outcome {
        Outcome::Reply => {}
        Outcome::Silent => return refuse(StatusCode::BAD_REQUEST),
        Outcome::Waits => match timeout(ANSWER_DEADLINE, receiver.recv()).await {
            Ok(Some(later)) => reply = later,
            _ => return refuse(StatusCode::GATEWAY_TIMEOUT),
        },
    }
    let age = format!("max-age={}", shortest_ttl(&reply));
    let mut response = Response::new(Full::new(Bytes::from(reply)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MESSAGE));
    if let Ok(age) = HeaderValue::from_str(&age) {
        headers.insert(CACHE_CONTROL, age);
    }
    response
}

/// The packet of a request (RFC 8484 §4.1).
async fn question(request: Request<Incoming>) -> Result<Vec<u8>, StatusCode> {
    if request.uri().path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    match *request.method() {
        Method::GET => {
            let query = request.uri().query().unwrap_or_default();
            let text = query.split('&').find_map(|part| part.strip_prefix("dns="));
            let text = text.ok_or(StatusCode::BAD_REQUEST)?.trim_end_matches('=');
            if text.len() > QUESTION_MAX * 4 / 3 {
                return Err(StatusCode::URI_TOO_LONG);
            }
            BASE64URL_NOPAD
                .decode(text.as_bytes())
                .map_err(|_| StatusCode::BAD_REQUEST)
        }
        Method::POST => {
            let kind = request.headers().get(CONTENT_TYPE);
            if kind.is_none_or(|kind| kind.as_bytes() != MESSAGE.as_bytes()) {
                return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
            let body = Limited::new(request.into_body(), QUESTION_MAX).collect();
            let body = timeout(BODY_DEADLINE, body).await;
            let body = body.map_err(|_| StatusCode::REQUEST_TIMEOUT)?;
            Ok(body
                .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?
                .to_bytes()
                .to_vec())
        }
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// How long an HTTP cache may keep the answer (RFC 8484 §5.1).
fn shortest_ttl(reply: &[u8]) -> u32 {
    let message = Message::read(reply).ok();
    let records = message.iter().flat_map(|message| &message.records);
    let told = records.filter(|record| record.section != Section::Additional);
    told.map(|record| record.ttl_secs).min().unwrap_or(0)
}

fn refuse(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    reply
}
