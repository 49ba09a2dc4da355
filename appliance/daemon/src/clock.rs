//! The wall clock. Waiting is `tokio::time`'s; the date comes only from here, so that tests and boards without a battery
//! clock can be given another one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// Cheap to clone; all clones show the same time.
#[derive(Clone, Default)]
pub struct Clock {
    offset_secs: Arc<AtomicI64>,
}

impl Clock {
    /// A clock that runs `offset_secs` ahead of (or, negative, behind) the system's.
    pub fn with_offset(offset_secs: i64) -> Self {
        Self {
            offset_secs: Arc::new(AtomicI64::new(offset_secs)),
        }
    }

    /// Seconds since the Unix epoch; 0 when the system clock stands before it.
    pub fn now_secs(&self) -> u64 {
        // The one place that may ask the system for the date.
        #[allow(clippy::disallowed_methods)]
        let system = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        system.saturating_add_signed(self.offset_secs.load(Ordering::Relaxed))
    }
}
