//! One error enum, split by what the caller can do, and how redb's and the system's errors map onto it.

use std::io;

use proto::id::InfoHash;

/// What differs per call site can do about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("the disk is full: {0}")]
    Full(String),
    #[error("the disk is read-only: {0}")]
    ReadOnly(String),
    #[error("the content disk is not there: {0}")]
    Gone(String),
    #[error("damaged: {0}")]
    Damaged(String),
    #[error("made by a newer Granary (version {found}, this one knows {known}): {path}")]
    TooNew { found: u32, known: u32, path: String },
    #[error("in use by another Granary: {0}")]
    InUse(String),
    #[error("no permission: {0}")]
    Denied(String),
    #[error("unknown site {0}")]
    Unknown(InfoHash),
    #[error("over the quota: {0}")]
    Quota(String),
    #[error("{0}")]
    Io(String),
}

impl Error {
    /// The same error with the place it came from in front of its text.
    pub(crate) fn at(self, place: &str) -> Self {
        let put = |text: String| format!("{place}: {text}");
        match self {
            Error::Full(text) => Error::Full(put(text)),
            Error::ReadOnly(text) => Error::ReadOnly(put(text)),
            Error::Gone(text) => Error::Gone(put(text)),
            Error::Damaged(text) => Error::Damaged(put(text)),
            Error::Denied(text) => Error::Denied(put(text)),
            Error::Io(text) => Error::Io(put(text)),
            other => other,
        }
    }

    /// Whether the file it came from must be closed and opened again: redb refuses everything after an I/O error.
    pub(crate) fn latches(&self) -> bool {
        !matches!(
            self,
            Error::Unknown(_) | Error::Quota(_) | Error::TooNew { .. } | Error::InUse(_)
        )
    }
}

impl From<io::Error> for Error {
    fn from(err: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let text = err.to_string();
        match err.kind() {
            Kind::StorageFull | Kind::QuotaExceeded => Error::Full(text),
            Kind::ReadOnlyFilesystem => Error::ReadOnly(text),
            Kind::PermissionDenied => Error::Denied(text),
            Kind::NotFound => Error::Gone(text),
            Kind::UnexpectedEof | Kind::InvalidData => Error::Damaged(text),
            _ => match err.raw_os_error() {
                // ENXIO, ENODEV, ESTALE, EHOSTDOWN: the device went away under us.
                Some(6 | 19 | 116 | 112) => Error::Gone(text),
                _ => Error::Io(text),
            },
        }
    }
}

impl From<rustix::io::Errno> for Error {
    fn from(err: rustix::io::Errno) -> Self {
        io::Error::from(err).into()
    }
}

impl From<redb::Error> for Error {
    fn from(err: redb::Error) -> Self {
        match err {
            redb::Error::Io(err) => err.into(),
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
                Error::Io("an earlier disk error closed this file; it is opened again".into())
            }
            redb::Error::DatabaseAlreadyOpen => Error::InUse("the file is locked".into()),
            other => Error::Damaged(other.to_string()),
        }
    }
}

macro_rules! through_redb {
    ($($kind:ty),*) => { $(impl From<$kind> for Error {
        fn from(err: $kind) -> Self {
            redb::Error::from(err).into()
        }
    })* };
}

through_redb!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::DatabaseError
);
