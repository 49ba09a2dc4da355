//! The unbreakable home, long: `cargo run -p granary-tests --bin unbreakable [SECONDS]` (root, after `cargo build -p granary`).
//! Prints one row per fault, and ends with 1 when a promise was broken.

use std::{process::ExitCode, time::Duration};

use harness::unbreakable;

fn main() -> ExitCode {
    let secs = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(20);
    println!("{}", unbreakable::HEAD);
    let rows = unbreakable::run(Duration::from_secs(secs), |row| println!("{row}"));
    if rows.iter().all(unbreakable::Row::is_kept) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
