//! What a subscription's state is, in words for people and a word for programs.

/// In the order in which one hides another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Blocked,
    Paused,
    /// No record was ever found.
    NeverSeen,
    /// A version of so many bytes waits for the owner's word.
    Asking {
        bytes: u64,
    },
    Updating {
        percent: u8,
    },
    /// The publisher was last heard of at this time (Unix seconds).
    Silent {
        since: u64,
    },
    /// The record holds something that is no site.
    NotASite,
    UpToDate,
}

impl State {
    /// One word for programs: `blocked`, `paused`, `never-seen`, `asking`, `updating`, `silent`, `not-a-site`, `up-to-date`.
    pub fn word(&self) -> &'static str {
        match self {
            State::Blocked => "blocked",
            State::Paused => "paused",
            State::NeverSeen => "never-seen",
            State::Asking { .. } => "asking",
            State::Updating { .. } => "updating",
            State::Silent { .. } => "silent",
            State::NotASite => "not-a-site",
            State::UpToDate => "up-to-date",
        }
    }
}
