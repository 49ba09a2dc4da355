//! Waiting for a condition instead of sleeping.

use std::time::{Duration, Instant};

/// How long most things may take on a busy machine with two cores.
pub fn soon() -> Duration {
    Duration::from_secs(30)
}

/// Polls `cond` until it holds. Panics at the deadline with `what`, so that the report says what never happened.
#[track_caller]
pub fn wait_for(what: &str, deadline: Duration, mut cond: impl FnMut() -> bool) {
    let start = Instant::now();
    while !cond() {
        assert!(
            start.elapsed() < deadline,
            "waited {deadline:?} in vain for: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Like [`wait_for`], for a condition that yields a value.
#[track_caller]
pub fn wait_some<T>(what: &str, deadline: Duration, mut cond: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    wait_for(what, deadline, || {
        found = cond();
        found.is_some()
    });
    found.expect("wait_for returns only when it holds")
}
