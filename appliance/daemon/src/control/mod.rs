//! The control socket: HTTP/1.1 and JSON on a Unix socket that only the owner's user may open. Scripts, the command line
//! and, on the appliance, the other process ask here. No token: the file's mode is the key.
//!
//! Must not know: browsers, pages, how any room does its work. Reading order: this file (socket and server), `routes` (every
//! request on one page), `reply` (shapes of the JSON), `client` (the other end, for the command line).
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/v1/status` | what runs, where it listens, what is stored, what is wrong |
//! | `GET /api/v1/sites?after=IH&max=N` | rows, in infohash order |
//! | `GET /api/v1/sites/IH?deadline=SECS` | opens the site: name, files, what is held |
//! | `GET /api/v1/sites/IH/info` | the raw info dictionary |
//! | `GET /api/v1/sites/IH/bytes?file=N&offset=N` | the verified bytes of a file |
//! | `POST /api/v1/sites/IH/peers` `{"peers":[…]}` | asks them too |
//! | `POST /api/v1/sites/IH/keep` | fetches all of it and keeps it |
//! | `POST /api/v1/sites/IH/rate` `{"upload_bytes_per_sec":N}` | its own upload limit until the next start; 0: none |
//! | `DELETE /api/v1/sites/IH` | forgets it |
//! | `POST /api/v1/seed` `{"path":…,"name":…,"torrent":…}` | one JSON line per step, the last one with the infohash |

pub mod client;
mod reply;
mod routes;

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::UnixListener, sync::Semaphore};
use tracing::debug;

use crate::{
    clock::Clock, db::Db, health::Health, publish::Publish, sites::Sites, swarm::Swarm, tasks::Tasks,
};

pub use reply::{Addresses, Line};

/// Clients at once. More: a script that leaks connections costs more. Fewer: the household's tools wait.
const CONNECTIONS_MAX: usize = 32;
/// A client that says nothing for so long is cut off.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// What a person can do about it: give another path, or stop the other Granary.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("another Granary answers on {0}")]
    InUse(PathBuf),
    #[error("open the control socket {path}: {reason}")]
    Open { path: PathBuf, reason: io::Error },
}

/// Everything the requests need. Cheap to clone.
#[derive(Clone)]
pub struct Handles {
    pub swarm: Swarm,
    pub sites: Sites,
    pub publish: Publish,
    pub db: Db,
    pub clock: Clock,
    pub health: Health,
    pub tasks: Tasks,
    pub addresses: Arc<Addresses>,
    pub started: tokio::time::Instant,
}

/// Opens the socket with mode 0600 and serves it until `tasks` is stopped. A socket file left by a crash is replaced.
pub fn start(path: &Path, handles: Handles, tasks: &Tasks) -> Result<(), Error> {
    let open_error = |reason| Error::Open {
        path: path.into(),
        reason,
    };
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(Error::InUse(path.into()));
        }
        fs::remove_file(path).map_err(open_error)?;
    }
    let listener = UnixListener::bind(path).map_err(open_error)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(open_error)?;
    let socket = Removed(path.into());
    let connections = tasks.child();
    tasks.spawn("control.accept", async move {
        let _socket = socket;
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
            let handles = handles.clone();
            connections.spawn("control.connection", async move {
                let _seat = seat;
                let service = service_fn(move |request| routes::answer(handles.clone(), request));
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

/// Takes the socket file away when the server ends.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
