//! The ownership of the box, for whoever holds the box itself.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    operation::{Call, Nothing},
    refusal::Refusal,
};
use crate::claim;

/// A window for setting up the box again.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Reopened {
    /// What the new owner types on the page; shown here only.
    pub claim_pin: String,
    /// Where.
    pub claim_url: String,
    pub window_secs: u64,
    /// Wrong tries that shut the window.
    pub tries: u32,
}

/// Opens the claim again. Nobody loses anything until somebody uses the PIN.
pub async fn reset(call: Call, _: Nothing, _: Nothing) -> Result<Reopened, Refusal> {
    let handles = call.handles;
    let Some(url) = &handles.addresses.admin_url else {
        return Err(Refusal::not_now("this Granary has no pages"));
    };
    Ok(Reopened {
        claim_pin: handles.claim.open(&handles.tasks),
        claim_url: format!("{url}claim"),
        window_secs: claim::WINDOW.as_secs(),
        tries: claim::TRIES_MAX,
    })
}
