//! Links: which address a domain of the ordinary web names in its TXT records, by our resolver or by DoH.
//!
//! Asked only for domains somebody opened through us. Must not know sites, swarm or HTTP pages.

use proto::{link::Kind, name::Address};
use tokio::time::Instant;

use crate::tasks::Tasks;

/// Split by what a caller can do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The domain has no link record. Remembered for five minutes.
    #[error("{0} has no link record")]
    None(String),
    /// Links that lead on too often or in a circle.
    #[error("the link records of {0} lead in a circle")]
    Circle(String),
    /// The resolver did not answer, or its answer failed DNSSEC validation.
    #[error("look up {domain}: {reason}")]
    Unresolved { domain: String, reason: String },
}

/// What a domain names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub address: Address,
    pub kind: Kind,
    /// The answer was signed and the signature is good (DNSSEC).
    pub signed: bool,
    /// The domains on the way, the asked one first.
    pub via: Vec<String>,
    /// How long it may be used without asking again, seconds.
    pub ttl_secs: u32,
}

/// Where to ask.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Resolvers (UDP, then TCP). Empty: those of the system.
    pub upstream: Vec<std::net::SocketAddr>,
    /// A DoH resolver (RFC 8484), asked instead: `https://…/dns-query`.
    pub doh: Option<String>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Links {}

impl Links {
    pub fn start(config: Config, tasks: &Tasks) -> Self {
        let _ = (config, tasks);
        Self {}
    }

    pub async fn look(&self, domain: &str, deadline: Instant) -> Result<Link, Error> {
        let _ = (domain, deadline);
        todo!()
    }
}
