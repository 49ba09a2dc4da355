//! The lan half, seen from the web half: a cheap handle that asks over the control socket of `lan::api`.
//!
//! Every request has a connection and a deadline of its own, so that a lan half that is dead, hangs or was restarted costs
//! one answer and never more. Must not know what any room of the lan half does, nor pages.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use lan::{
    api::{Devices, Linked, Pause, Refused, Saved, Status, Survey, Top},
    settings::Settings,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

/// A page waits no longer for the lan half.
const DEADLINE: Duration = Duration::from_secs(2);
/// Looking at the LAN takes the lan half up to four seconds.
const SURVEY_DEADLINE: Duration = Duration::from_secs(8);
/// The longest answer, all lists at their bounds, is below it.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Split by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not run, or does not answer in time: say so, and show what is known without it.
    #[error("the part of Granary that answers the home's network does not answer: {0}")]
    Absent(String),
    /// The person asked for something that cannot be: show each fault.
    #[error("{}", .0.join("; "))]
    Refused(Vec<String>),
    /// It answered something we do not understand: another release of Granary runs there.
    #[error("the part of Granary that answers the home's network is not understood: {0}")]
    Odd(String),
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Home {
    socket: Arc<Path>,
}

impl Home {
    /// `socket` need not be there yet, and may come and go.
    pub fn new(socket: PathBuf) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    pub async fn status(&self) -> Result<Status, Error> {
        self.get("/v1/status").await
    }

    pub async fn settings(&self) -> Result<Settings, Error> {
        self.get("/v1/settings").await
    }

    /// Replaces the whole settings. `Refused`: nothing was changed.
    pub async fn set_settings(&self, settings: &Settings) -> Result<Saved, Error> {
        self.send(Method::PUT, "/v1/settings", settings).await
    }

    pub async fn devices(&self) -> Result<Devices, Error> {
        self.get("/v1/devices").await
    }

    /// Blocks nothing for so long; 0 ends the pause.
    pub async fn pause(&self, secs: u64) -> Result<Status, Error> {
        self.send(Method::POST, "/v1/block/pause", &Pause { secs }).await
    }

    /// The compiled block list is opened again.
    pub async fn reload_blocklist(&self) -> Result<Status, Error> {
        self.send(Method::POST, "/v1/block/reload", &()).await
    }

    pub async fn top(&self) -> Result<Top, Error> {
        self.get("/v1/block/top").await
    }

    /// The linked domains that the household follows; replaces those told before.
    pub async fn set_linked(&self, domains: Vec<String>) -> Result<(), Error> {
        let linked = Linked { domains };
        let _: serde_json::Value = self.send(Method::PUT, "/v1/linked", &linked).await?;
        Ok(())
    }

    /// Looks at the LAN now.
    pub async fn survey(&self) -> Result<Survey, Error> {
        self.ask(Method::POST, "/v1/survey", Bytes::new(), SURVEY_DEADLINE)
            .await
    }

    async fn get<T: DeserializeOwned>(&self, target: &str) -> Result<T, Error> {
        self.ask(Method::GET, target, Bytes::new(), DEADLINE).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        target: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(body).map_err(|err| Error::Odd(err.to_string()))?;
        self.ask(method, target, body.into(), DEADLINE).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        target: &str,
        body: Bytes,
        deadline: Duration,
    ) -> Result<T, Error> {
        let whole = tokio::time::timeout(deadline, self.exchange(method, target, body)).await;
        let (status, bytes) = whole
            .map_err(|_| Error::Absent(format!("no answer within {} s", deadline.as_secs())))?
            .map_err(|err| Error::Absent(self.absent(&err)))?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|err| Error::Odd(err.to_string()));
        }
        match serde_json::from_slice::<Refused>(&bytes) {
            Ok(refused) if status.is_client_error() => Err(Error::Refused(refused.faults)),
            _ => Err(Error::Odd(format!("it answered {status}"))),
        }
    }

    fn absent(&self, err: &io::Error) -> String {
        match err.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "it does not run".into(),
            _ => format!("{}: {err}", self.socket.display()),
        }
    }

    /// One connection, one request. The connection is driven here, not by a task: it ends with the answer.
    async fn exchange(&self, method: Method, target: &str, body: Bytes) -> io::Result<(StatusCode, Bytes)> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "granary")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(io::Error::other)?;
        let answer = async move {
            let reply = sender.send_request(request).await.map_err(io::Error::other)?;
            let status = reply.status();
            let body = Limited::new(reply.into_body(), ANSWER_BYTES_MAX);
            let whole = body.collect().await.map_err(io::Error::other)?;
            Ok((status, whole.to_bytes()))
        };
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            // It hung up; what it had sent before is read all the same.
            _ = connection => answer.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use house::{clock::Clock, health::Health, tasks::Tasks};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixListener,
        time::Instant,
    };

    use super::*;

    /// A lan half that opens no port.
    async fn running(folder: &Path, tasks: &Tasks) -> (lan::Lan, Home) {
        let control = folder.join("lan.sock");
        let config = lan::Config {
            state: folder.into(),
            settings: None,
            control: control.clone(),
            dns: Vec::new(),
            dot: Vec::new(),
            doh: Vec::new(),
            advertise: None,
            interfaces: vec!["lo".into()],
            upstreams: Vec::new(),
            dhcp: None,
            http_port: 80,
        };
        let lan = lan::Lan::start(config, Vec::new(), Clock::default(), Health::default(), tasks).await;
        (lan.expect("nothing is in its way"), Home::new(control))
    }

    #[tokio::test]
    async fn what_the_lan_half_says_arrives_and_what_it_refuses_is_told_fault_by_fault() {
        let folder = tempfile::tempdir().expect("a folder");
        let tasks = Tasks::new();
        let (_lan, home) = running(folder.path(), &tasks).await;
        assert_eq!(home.status().await.expect("it runs").pid, std::process::id());

        let mut settings = home.settings().await.expect("it runs");
        settings.dns.markers = true;
        home.set_settings(&settings).await.expect("they are good");
        assert!(home.settings().await.expect("it runs").dns.markers);
        settings.names.host = "wpad".into();
        settings.dhcp.lease_secs = 5;
        match home.set_settings(&settings).await {
            Err(Error::Refused(faults)) => assert_eq!(faults.len(), 2, "{faults:?}"),
            other => panic!("{other:?}"),
        }
        home.set_linked(vec!["linked.example".into()])
            .await
            .expect("it runs");
        home.survey().await.expect("it runs");
        assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
    }

    #[tokio::test]
    async fn a_lan_half_that_is_not_there_is_absent_at_once_and_heard_when_it_comes() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::new(folder.path().join("lan.sock"));
        assert!(matches!(home.status().await, Err(Error::Absent(_))));
        let tasks = Tasks::new();
        let (_lan, _) = running(folder.path(), &tasks).await;
        home.status().await.expect("it runs now");
        tasks.stop(Duration::from_secs(5)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_lan_half_that_hangs_costs_two_seconds() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lan.sock");
        let _silent = UnixListener::bind(&path).expect("the folder is ours");
        let before = Instant::now();
        assert!(matches!(Home::new(path).status().await, Err(Error::Absent(_))));
        assert_eq!(before.elapsed().as_secs(), DEADLINE.as_secs());
    }

    #[tokio::test]
    async fn another_release_is_told_apart_from_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lan.sock");
        let listener = UnixListener::bind(&path).expect("the folder is ours");
        let tasks = Tasks::new();
        tasks.spawn("test.other", async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]")
                    .await;
            }
        });
        assert!(matches!(Home::new(path).status().await, Err(Error::Odd(_))));
        tasks.stop(Duration::from_secs(5)).await;
    }
}
