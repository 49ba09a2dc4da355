//! A folder or file of this machine becomes a site.

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::{
    answer::{self, Reply},
    operation::{Call, Nothing},
    refusal::Refusal,
    reply::{SeedBody, SeedStep},
};

/// Streams one line per step: hashing a large folder takes minutes, and a person wants to see it move.
pub async fn seed(call: Call, _: Nothing, body: SeedBody) -> Result<Reply, Refusal> {
    let (steps, mut lines) = mpsc::channel::<SeedStep>(16);
    let publish = call.handles.publish.clone();
    call.handles.tasks.spawn("api.seed", async move {
        let tell = steps.clone();
        let told = move |done, total| {
            // A slow reader misses steps; the last one is sent with patience below.
            let _ = tell.try_send(SeedStep {
                done,
                total,
                ..SeedStep::default()
            });
        };
        let sealed = match &body.torrent {
            Some(file) => publish.torrent_file(&body.path, file).await,
            None => publish.folder(&body.path, body.name.as_deref(), told).await,
        };
        let last = match sealed {
            Ok(ih) => SeedStep {
                infohash: Some(ih.to_string()),
                ..SeedStep::default()
            },
            Err(err) => SeedStep {
                error: Some(err.to_string()),
                ..SeedStep::default()
            },
        };
        let _ = steps.send(last).await;
    });
    let stream = futures_util::stream::poll_fn(move |cx| {
        lines.poll_recv(cx).map(|step| {
            let mut line = serde_json::to_vec(&step?).unwrap_or_default();
            line.push(b'\n');
            Some(Ok(Frame::data(Bytes::from(line))))
        })
    });
    Ok(answer::raw(
        StreamBody::new(stream).boxed_unsync(),
        "application/x-ndjson",
    ))
}
