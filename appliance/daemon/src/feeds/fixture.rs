//! What the tests of this room share.

use proto::id::Target;
use store::Subscription;

/// A subscription about which nothing is known.
pub fn row(number: u16) -> Subscription {
    let mut id = [0; 20];
    id[..2].copy_from_slice(&number.to_be_bytes());
    Subscription {
        id: Target(id),
        address: String::new(),
        title: String::new(),
        name: String::new(),
        added: 0,
        paused: false,
        blocked: false,
        quota_bytes: 0,
        keep_versions: 3,
        pinned: Vec::new(),
        versions: Vec::new(),
        whole: None,
        trackers: Vec::new(),
        last_checked: 0,
        last_heard: 0,
        last_changed: 0,
        interval_secs: 0,
        trouble: String::new(),
        failures: 0,
    }
}
