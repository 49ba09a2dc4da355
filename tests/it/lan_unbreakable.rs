//! Whatever breaks on our side, ordinary names keep resolving. `cargo run -p granary-tests --bin unbreakable` is the long run.

use std::time::Duration;

use harness::unbreakable::{self, Row};

#[test]
fn ordinary_names_keep_resolving_whatever_breaks() {
    eprintln!("{}", unbreakable::HEAD);
    let rows = unbreakable::run(Duration::from_secs(2), |row| eprintln!("{row}"));
    let broken: Vec<String> = rows
        .iter()
        .filter(|row| !row.is_kept())
        .map(Row::to_string)
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
