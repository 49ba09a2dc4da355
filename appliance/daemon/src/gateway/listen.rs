//! Sockets: accept, bound, serve, and end in order.

use std::{
    collections::HashMap,
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{Request, body::Incoming, rt::Executor, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use proto::site::head;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tracing::{debug, warn};

use super::{
    SiteSource,
    answer::{self, Came, Shared},
    wire::{Open, Wire},
};
use crate::tasks::Tasks;

/// Requests under way get this long when the house stops.
const GRACE: Duration = Duration::from_secs(5);
/// HTTP/2 requests at once on one connection. More: one tab can occupy more of the swarm.
const STREAMS_MAX: u32 = 64;
/// What a device over its bound is told; written without waiting.
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 5\r\nconnection: close\r\n\
    content-length: 0\r\n\r\n";

/// Connections at once, in all and per device.
#[derive(Clone)]
pub struct Bounds {
    all: Arc<Semaphore>,
    per_device_max: usize,
    devices: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection's place within the bounds.
struct Place {
    device: IpAddr,
    devices: Arc<Mutex<HashMap<IpAddr, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Bounds {
    pub fn new(connections_max: usize, per_device_max: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(connections_max.max(1))),
            per_device_max: per_device_max.max(1),
            devices: Arc::default(),
        }
    }

    fn enter(&self, device: IpAddr, permit: OwnedSemaphorePermit) -> Option<Place> {
        let device = device.to_canonical();
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let count = devices.entry(device).or_default();
        if *count >= self.per_device_max {
            return None;
        }
        *count += 1;
        Some(Place {
            device,
            devices: self.devices.clone(),
            _permit: permit,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = devices.get_mut(&self.device) {
            *count -= 1;
            if *count == 0 {
                devices.remove(&self.device);
            }
        }
    }
}

/// What every connection of one listener is given.
pub struct Door<S: SiteSource> {
    pub shared: Arc<Shared<S>>,
    pub bounds: Bounds,
    pub idle: Duration,
}

/// Accepts until the tasks are cancelled. At the bound of all connections it stops accepting: the backlog waits.
pub async fn accept<S: SiteSource>(listener: TcpListener, door: Door<S>, tasks: Tasks) {
    loop {
        let Ok(permit) = door.bounds.all.clone().acquire_owned().await else {
            return;
        };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(err) => {
                // Out of descriptors, or the peer is gone already: going on at once would spin.
                warn!(%err, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(place) = door.bounds.enter(peer.ip(), permit) else {
            // Best effort: a full socket buffer on a new connection does not happen.
            let _ = stream.try_write(TOO_MANY);
            continue;
        };
        let (shared, idle, inner) = (door.shared.clone(), door.idle, tasks.clone());
        tasks.spawn_graceful("gateway.connection", async move {
            let _place = place;
            serve(stream, peer, shared, idle, inner).await;
        });
    }
}

async fn serve<S: SiteSource>(
    stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared<S>>,
    idle: Duration,
    tasks: Tasks,
) {
    // Without it the last packet of an answer waits for the client's delayed acknowledgement: 40 ms per request.
    let (Ok(()), Ok(local)) = (stream.set_nodelay(true), stream.local_addr()) else {
        return;
    };
    let open = Open::default();
    let came = Came { local, peer };
    let answering = open.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        answer::answer(shared.clone(), came, answering.enter(), request)
    });
    let io = TokioIo::new(Wire::new(stream, idle, open));
    let builder = builder(tasks.clone());
    let mut connection = std::pin::pin!(builder.serve_connection(io, service));
    let token = tasks.token();
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = token.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(GRACE, connection).await {
                Ok(outcome) => outcome,
                Err(_) => return,
            }
        }
    };
    if let Err(err) = outcome {
        debug!(%peer, %err, "a client hung up or broke the protocol");
    }
}

fn builder(tasks: Tasks) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(Streams(tasks));
    // `wire` keeps the deadlines and has read the head before hyper sees it.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(head::HEAD_MAX * 4)
        .pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(head::HEAD_MAX as u32)
        .max_pending_accept_reset_streams(32)
        .max_send_buf_size(256 << 10)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
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
        self.0.spawn("gateway.stream", async move {
            stream.await;
        });
    }
}
