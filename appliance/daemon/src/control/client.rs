//! The command line's end of the control socket.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::tasks::Tasks;

/// What the caller can do: start a Granary, or read what it said.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no Granary answers on {socket}: {reason}")]
    Nobody { socket: String, reason: String },
    #[error("the running Granary broke off: {0}")]
    Broken(String),
    /// The sentence of the running Granary.
    #[error("{0}")]
    Refused(String),
}

/// A way to a running Granary.
pub struct Client {
    socket: std::path::PathBuf,
    tasks: Tasks,
}

impl Client {
    /// `None` when nobody listens there.
    pub async fn connect(socket: &Path, tasks: &Tasks) -> Option<Self> {
        UnixStream::connect(socket).await.ok()?;
        Some(Self {
            socket: socket.into(),
            tasks: tasks.clone(),
        })
    }

    /// One request; the JSON of the answer.
    pub async fn ask(&self, method: Method, target: &str, body: Option<&Value>) -> Result<Value, Error> {
        let reply = self.send(method, target, body).await?;
        if !reply.status().is_success() {
            return Err(refused(reply).await);
        }
        let bytes = reply
            .into_body()
            .collect()
            .await
            .map_err(|err| Error::Broken(err.to_string()))?
            .to_bytes();
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// One request whose answer is a JSON value per line; `each` sees them as they come.
    pub async fn lines(
        &self,
        method: Method,
        target: &str,
        body: &Value,
        mut each: impl FnMut(Value),
    ) -> Result<(), Error> {
        let mut text = Vec::new();
        self.stream(method, target, Some(body), |part| {
            text.extend_from_slice(part);
            while let Some(end) = text.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                each(serde_json::from_slice(&line).unwrap_or_default());
            }
        })
        .await
    }

    /// One request whose answer is bytes; `each` sees them as they come.
    pub async fn stream(
        &self,
        method: Method,
        target: &str,
        body: Option<&Value>,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        let reply = self.send(method, target, body).await?;
        if !reply.status().is_success() {
            return Err(refused(reply).await);
        }
        let mut body = reply.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|err| Error::Broken(err.to_string()))?;
            each(frame.data_ref().map_or(&[][..], |data| data));
        }
        Ok(())
    }

    async fn send(
        &self,
        method: Method,
        target: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, Error> {
        let nobody = |reason: String| Error::Nobody {
            socket: self.socket.display().to_string(),
            reason,
        };
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|err| nobody(err.to_string()))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|err| nobody(err.to_string()))?;
        self.tasks.spawn("control.client", async move {
            let _ = connection.await;
        });
        let body = body.map(|value| value.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "granary")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|err| Error::Broken(err.to_string()))?;
        // Longer than the longest deadline a request may carry.
        tokio::time::timeout(Duration::from_secs(660), sender.send_request(request))
            .await
            .map_err(|_| Error::Broken("no answer in 660 s".into()))?
            .map_err(|err| Error::Broken(err.to_string()))
    }
}

/// The sentence in an answer that is not a success.
async fn refused(reply: Response<Incoming>) -> Error {
    let status = reply.status();
    let bytes = match reply.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(err) => return Error::Broken(err.to_string()),
    };
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    Error::Refused(
        value["error"]
            .as_str()
            .map_or_else(|| format!("it answered {status}"), String::from),
    )
}
