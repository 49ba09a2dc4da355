//! The control socket: HTTP/1.1 and JSON on a Unix socket that only the owner's user may open. Scripts, the command line
//! and, on the appliance, the other process ask here. No token: the file's mode is the key.
//!
//! Must not know: browsers, pages, what the requests mean (`api` does). Reading order: this file (socket and server), `client` (the
//! other end, for the command line).

pub mod client;

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
    api::{self, Caller, Handles},
    tasks::Tasks,
};

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
                let service =
                    service_fn(move |request| api::answer(handles.clone(), Caller::Control, request));
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
