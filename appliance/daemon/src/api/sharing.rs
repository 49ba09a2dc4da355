//! What the household gives to others.

use super::{
    operation::{Call, Nothing},
    refusal::Refusal,
    reply::SharingView,
};
use crate::sharing::Settings;

pub async fn show(call: Call, _: Nothing, _: Nothing) -> Result<SharingView, Refusal> {
    Ok(view(&call))
}

pub async fn set(call: Call, _: Nothing, settings: Settings) -> Result<SharingView, Refusal> {
    call.handles
        .sharing
        .set(settings)
        .await
        .map_err(Refusal::unacceptable)?;
    Ok(view(&call))
}

pub async fn forget(call: Call, _: Nothing, _: Nothing) -> Result<SharingView, Refusal> {
    call.handles.sharing.forget().await?;
    Ok(view(&call))
}

fn view(call: &Call) -> SharingView {
    SharingView {
        settings: call.handles.sharing.settings(),
        given: call.handles.sharing.given(),
    }
}
