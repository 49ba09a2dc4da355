//! Trouble becomes a status and a sentence. The only file of the API that knows which trouble is which status.

use hyper::StatusCode;

use crate::{blocklists, home, sites, swarm};

/// A status and a sentence.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    pub text: String,
    /// The methods a path knows, for 405.
    pub allow: Option<String>,
}

impl Refusal {
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            allow: None,
        }
    }

    /// 400: a field is missing, unknown, or not what it should be.
    pub fn asked_wrongly(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 404: nothing of that name.
    pub fn unknown(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 422: understood, and cannot be done as it stands.
    pub fn unacceptable(text: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, text)
    }

    /// 503: not now.
    pub fn not_now(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// 504: nobody answered in time.
    pub fn silent(text: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, text)
    }
}

impl From<store::Error> for Refusal {
    fn from(err: store::Error) -> Self {
        match err {
            err @ store::Error::Unknown(_) => Self::unknown(err.to_string()),
            err => Self::not_now(err.to_string()),
        }
    }
}

impl From<blocklists::Error> for Refusal {
    fn from(err: blocklists::Error) -> Self {
        match err {
            blocklists::Error::Refused(why) => Self::unacceptable(why),
            err @ blocklists::Error::Unknown => Self::unknown(err.to_string()),
            err @ blocklists::Error::Store(_) => Self::not_now(err.to_string()),
        }
    }
}

impl From<home::Error> for Refusal {
    fn from(err: home::Error) -> Self {
        match err {
            home::Error::Refused(faults) => Self::unacceptable(faults.join("; ")),
            err => Self::not_now(err.to_string()),
        }
    }
}

impl From<swarm::Error> for Refusal {
    fn from(err: swarm::Error) -> Self {
        match err {
            swarm::Error::Store(err) => err.into(),
            err @ (swarm::Error::NoPeers(_) | swarm::Error::MissingPieces(_)) => {
                Self::silent(err.to_string())
            }
            err @ swarm::Error::Refused { .. } => Self::unacceptable(err.to_string()),
            err => Self::not_now(err.to_string()),
        }
    }
}

impl From<sites::Error> for Refusal {
    fn from(err: sites::Error) -> Self {
        use sites::Error as Trouble;
        let status = match &err {
            Trouble::Silent(_) | Trouble::Incomplete(_) | Trouble::Unresolved(_) => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Trouble::NoRecord(_) | Trouble::Looking(_) => StatusCode::GATEWAY_TIMEOUT,
            Trouble::NotASite(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Trouble::Unknown(_) => StatusCode::NOT_FOUND,
            Trouble::Blocked => StatusCode::CONFLICT,
            Trouble::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, err.to_string())
    }
}
