//! subscription

use super::{Answer, Visit};
use crate::admin::form::Form;

pub async fn show(visit: Visit<'_>) -> Answer {
    let _ = visit;
    Answer::nowhere()
}

pub async fn act(visit: Visit<'_>, form: &Form) -> Answer {
    let _ = (visit, form);
    Answer::nowhere()
}
