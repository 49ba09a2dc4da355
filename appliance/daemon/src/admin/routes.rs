//! Every page and its path.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Response;

use super::access::Access;
use crate::{
    api::Handles,
    gateway::{OwnReply, OwnRequest},
};

pub async fn answer(handles: &Handles, access: &Access, request: OwnRequest) -> OwnReply {
    let _ = (handles, access, request);
    let body: Full<Bytes> = Full::default();
    Response::new(body.map_err(|never: Infallible| match never {}).boxed_unsync())
}
