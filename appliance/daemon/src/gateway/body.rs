//! What goes out: nothing, bytes at hand, or chunks that are read one at a time as the client takes them.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::stream::Stream;
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;

use super::wire::Answering;

type Chunks = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

enum Kind {
    Bytes(Bytes),
    Chunks {
        chunks: Chunks,
        left: u64,
    },
    /// Made elsewhere; its length may be unknown.
    Boxed(UnsyncBoxBody<Bytes, Infallible>),
}

/// The length of what the gateway makes is always known. An error half-way ends the connection, so that the client knows the rest is missing.
pub struct Body {
    kind: Kind,
    answering: Option<Answering>,
}

impl Body {
    pub fn empty() -> Self {
        Self::bytes(Bytes::new())
    }

    pub fn bytes(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Bytes(bytes),
            answering: None,
        }
    }

    /// `length`: the sum of all chunks.
    pub fn chunks(length: u64, chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self {
            kind: Kind::Chunks {
                chunks: Box::pin(chunks),
                left: length,
            },
            answering: None,
        }
    }

    pub fn boxed(body: UnsyncBoxBody<Bytes, Infallible>) -> Self {
        Self {
            kind: Kind::Boxed(body),
            answering: None,
        }
    }

    /// The request counts as open until this body is gone.
    pub fn hold(mut self, answering: Answering) -> Self {
        self.answering = Some(answering);
        self
    }

    /// What is still to come, where it is known.
    pub fn len(&self) -> Option<u64> {
        match &self.kind {
            Kind::Bytes(bytes) => Some(bytes.len() as u64),
            Kind::Chunks { left, .. } => Some(*left),
            Kind::Boxed(body) => http_body::Body::size_hint(body).exact(),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.get_mut().kind {
            Kind::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Chunks { left: 0, .. } => Poll::Ready(None),
            Kind::Chunks { chunks, left } => chunks.as_mut().poll_next(cx).map(|next| {
                let chunk = next.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
                Some(chunk.map(|mut chunk| {
                    chunk.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= chunk.len() as u64;
                    Frame::data(chunk)
                }))
            }),
            Kind::Boxed(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never: Infallible| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Boxed(body) => body.is_end_stream(),
            Kind::Bytes(_) | Kind::Chunks { .. } => self.len() == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Boxed(body) => body.size_hint(),
            Kind::Bytes(_) | Kind::Chunks { .. } => SizeHint::with_exact(self.len().unwrap_or_default()),
        }
    }
}
