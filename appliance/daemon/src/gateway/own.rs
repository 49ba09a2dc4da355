//! Pages and requests on the box's own names that the gateway does not answer itself: given by `daemon.rs`.

use std::{convert::Infallible, future::Future, net::SocketAddr, pin::Pin};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::{Request, Response, body::Incoming};

/// A request for the box itself.
pub struct OwnRequest {
    pub request: Request<Incoming>,
    pub peer: SocketAddr,
    /// The client reached us by a name that only PAC or DNS gives it.
    pub named: bool,
    /// Where the PAC sends this client.
    pub proxy: SocketAddr,
}

pub type OwnReply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Answers them. Any method; the body is not read yet. The Host has been checked: it is one of ours.
pub trait OwnPages: Send + Sync + 'static {
    fn answer(&self, request: OwnRequest) -> Pin<Box<dyn Future<Output = OwnReply> + Send + '_>>;
}
