//! `granary openapi`: the JSON API as an OpenAPI 3.1 document, for the version that prints it.

use crate::{api, fault::Fault};

#[derive(clap::Args)]
pub struct Args {}

pub fn run(Args {}: Args) -> Result<(), Fault> {
    let text = format!("{:#}\n", api::document());
    super::manual::print(text.as_bytes())
}
