//! How the program ends when it cannot do what it was asked: an exit code and one line for people.

use std::fmt;

use crate::net;

/// The exit codes scripts rely on (see the man page).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The work was refused or did not succeed.
    Refused = 1,
    /// The command line or the config file is not understood.
    Usage = 2,
    /// Another Granary uses the data folder.
    InUse = 3,
    /// The data is damaged or made by a newer Granary.
    Damaged = 4,
    /// A permission is missing or a port is taken.
    Denied = 5,
}

/// What happened, what we did, what you can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub exit: Exit,
    pub text: String,
}

impl Fault {
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self {
            exit,
            text: text.into(),
        }
    }

    pub fn refused(text: impl Into<String>) -> Self {
        Self::new(Exit::Refused, text)
    }

    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<net::Error> for Fault {
    fn from(err: net::Error) -> Self {
        Self::new(Exit::Denied, err.to_string())
    }
}

impl From<store::Error> for Fault {
    fn from(err: store::Error) -> Self {
        use store::Error as E;
        let (exit, advice) = match &err {
            E::InUse(_) => (
                Exit::InUse,
                "Nothing was changed. Stop the other one, or give this one a folder of its own with --data DIR.",
            ),
            E::TooNew { .. } => (
                Exit::Damaged,
                "Nothing was changed. Run the newer Granary, or give this one a folder of its own with --data DIR.",
            ),
            E::Damaged(_) => (
                Exit::Damaged,
                "Nothing was changed. Copy the folder, then start with a fresh one with --data DIR.",
            ),
            E::Denied(_) | E::ReadOnly(_) => (
                Exit::Denied,
                "Nothing was changed. Give this user the folder, or choose another one with --data DIR.",
            ),
            E::Full(_) => (
                Exit::Refused,
                "Free some space, or choose another disk with --data DIR.",
            ),
            _ => (Exit::Refused, "Nothing was changed."),
        };
        Self::new(exit, format!("{err}. {advice}"))
    }
}
