//! The control socket of the lan half: HTTP/1.1 and JSON on a Unix socket that only this user and its group may open. What
//! stands in `api` is served here.
//!
//! Must not know how any room does its work.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixListener, sync::Semaphore};
use tracing::debug;

use crate::{
    api::{Linked, Pause, Refused},
    lan::Rooms,
    settings::Settings,
};

/// Clients at once: the web half, and a person's commands.
const CONNECTIONS_MAX: usize = 16;
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// A request that is not whole by then is given up.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// The settings with all their lists at the bounds are below it.
const BODY_BYTES_MAX: usize = 2 << 20;

type Reply = Response<Full<Bytes>>;

/// Opens the socket with mode 0660 and serves it until the tasks are stopped. A socket file left by a crash is replaced.
pub fn start(path: &Path, rooms: Arc<Rooms>) -> io::Result<()> {
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    let tasks = rooms.house.tasks.clone();
    let connections = tasks.child();
    tasks.spawn("control.accept", async move {
        let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(seat) = seats.clone().acquire_owned().await else {
                return;
            };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(err) => {
                    debug!(%err, "control connection not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let rooms = rooms.clone();
            connections.spawn("control.connection", async move {
                let _seat = seat;
                let service = service_fn(move |request| {
                    let rooms = rooms.clone();
                    async move { Ok::<_, std::convert::Infallible>(answer(&rooms, request).await) }
                });
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_DEADLINE)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                if let Err(err) = served {
                    debug!(%err, "control connection ended early");
                }
            });
        }
    });
    Ok(())
}

async fn answer(rooms: &Rooms, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/v1/status") => json(&rooms.status()),
        (&Method::GET, "/v1/settings") => json(&*rooms.house.settings()),
        (&Method::GET, "/v1/devices") => json(&rooms.devices()),
        (&Method::GET, "/v1/block/top") => json(&rooms.top()),
        (&Method::POST, "/v1/reload") => refusable(rooms.reload()),
        (&Method::POST, "/v1/block/reload") => {
            rooms.reload_blocklist();
            json(&rooms.status())
        }
        (&Method::POST, "/v1/survey") => json(&rooms.survey().await),
        (&Method::PUT, "/v1/settings") => match read::<Settings>(body).await {
            Ok(settings) => refusable(rooms.change(settings)),
            Err(reply) => *reply,
        },
        (&Method::PUT, "/v1/linked") => match read::<Linked>(body).await {
            Ok(linked) => {
                rooms.linked(linked);
                json(&serde_json::json!({}))
            }
            Err(reply) => *reply,
        },
        (&Method::POST, "/v1/block/pause") => match read::<Pause>(body).await {
            Ok(pause) => {
                rooms.pause(pause.secs);
                json(&rooms.status())
            }
            Err(reply) => *reply,
        },
        _ => refuse(
            StatusCode::NOT_FOUND,
            format!("there is no {} {}", head.method, head.uri.path()),
        ),
    }
}

async fn read<T: DeserializeOwned>(body: Incoming) -> Result<T, Box<Reply>> {
    let bad = |text: String| Box::new(refuse(StatusCode::BAD_REQUEST, text));
    let whole = tokio::time::timeout(BODY_DEADLINE, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    let bytes = match whole {
        Ok(Ok(whole)) => whole.to_bytes(),
        Ok(Err(err)) => return Err(bad(format!("the request could not be read: {err}"))),
        Err(_) => return Err(bad("the request was not whole in time".into())),
    };
    serde_json::from_slice(&bytes).map_err(|err| bad(format!("the request is not understood: {err}")))
}

fn refusable<T: Serialize>(outcome: Result<T, Vec<String>>) -> Reply {
    match outcome {
        Ok(value) => json(&value),
        Err(faults) => reply(StatusCode::BAD_REQUEST, &Refused { faults }),
    }
}

fn refuse(status: StatusCode, fault: String) -> Reply {
    reply(status, &Refused { faults: vec![fault] })
}

fn json<T: Serialize>(value: &T) -> Reply {
    reply(StatusCode::OK, value)
}

fn reply<T: Serialize>(status: StatusCode, value: &T) -> Reply {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    reply.headers_mut().insert(
        hyper::header::CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/json"),
    );
    reply
}
