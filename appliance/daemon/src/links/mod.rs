//! Links: which address a domain of the ordinary web names in its TXT records, by our resolver or by DoH.
//!
//! Asked only for domains somebody opened through us: ordinary browsing is none of our business. Must not know sites, swarm
//! or HTTP pages. Reading order: this file (from a domain to an address), `ask` (one question to the DNS), `memory`
//! (answers kept for their time), `packet` (link records inside a key's own DNS packet).

mod ask;
#[cfg(test)]
mod foreign_tests;
mod memory;
pub mod packet;
#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use proto::{
    link::{self, Kind},
    name::{Address, is_domain},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use self::{
    ask::{Answer, Resolver},
    memory::Memory,
};

/// Domains on the way to an address (DNSLink's limit).
const VIA_MAX: usize = 32;
/// Look-ups under way at once; more wait. More: a page of many links crowds the resolver.
const LOOKS_MAX: usize = 8;
/// How long an answer counts, whatever its TTL says, seconds. Shorter than the least: a question per click.
const TTL_MIN: u32 = 60;
const TTL_MAX: u32 = 86_400;

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
    /// Never a domain.
    pub address: Address,
    /// Which record said so; of several domains on the way, the last one's.
    pub kind: Kind,
    /// Every answer on the way was signed and its signature is good (DNSSEC).
    pub signed: bool,
    /// The domains on the way, the asked one first.
    pub via: Vec<String>,
    /// How long it may be used without asking again, seconds.
    pub ttl_secs: u32,
}

/// Where to ask.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Resolvers, by UDP and TCP. Empty: those of the system.
    pub upstream: Vec<SocketAddr>,
    /// A DoH resolver (RFC 8484), asked instead: `https://1.2.3.4/dns-query`. The host must be an address, because a
    /// name would have to be looked up first.
    pub doh: Option<String>,
    /// Certificates (PEM) that may have signed the DoH resolver's, besides the system's.
    pub doh_ca: Option<PathBuf>,
    /// DNSSEC trust anchors in a file of DNSKEY records. None: the root's.
    pub trust_anchor: Option<PathBuf>,
}

/// What a person who starts us can correct.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// Cheap to clone.
#[derive(Clone)]
pub struct Links {
    inner: Arc<Inner>,
}

struct Inner {
    resolver: Resolver,
    memory: Mutex<Memory>,
    places: Semaphore,
}

impl Links {
    /// Asks nobody yet.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self {
            inner: Arc::new(Inner {
                resolver: Resolver::new(config)?,
                memory: Mutex::default(),
                places: Semaphore::new(LOOKS_MAX),
            }),
        })
    }

    /// The torrent, key or item that `domain` names, through as many domains as it takes.
    pub async fn look(&self, domain: &str, deadline: Instant) -> Result<Link, Error> {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        if !is_domain(&domain) {
            return Err(Error::None(domain));
        }
        let mut link = Link {
            address: Address::Domain(domain.clone()),
            kind: Kind::Btlink,
            signed: true,
            via: Vec::new(),
            ttl_secs: TTL_MAX,
        };
        while let Address::Domain(next) = &link.address {
            if link.via.len() >= VIA_MAX || link.via.contains(next) {
                return Err(Error::Circle(domain));
            }
            let next = next.clone();
            let found = self.one(&next, deadline).await?;
            link.via.push(next);
            link.address = found.address;
            link.kind = found.kind;
            link.signed &= found.signed;
            link.ttl_secs = link.ttl_secs.min(found.ttl_secs);
        }
        Ok(link)
    }

    /// One domain: what is remembered, else three questions at once.
    async fn one(&self, domain: &str, deadline: Instant) -> Result<Found, Error> {
        if let Some(known) = self.memory().get(domain, Instant::now()) {
            return known.ok_or_else(|| Error::None(domain.to_owned()));
        }
        let late = || Error::Unresolved {
            domain: domain.to_owned(),
            reason: "the resolver did not answer in time".into(),
        };
        let looking = async {
            // Closed never: the semaphore lives as long as we do.
            let _place = self.inner.places.acquire().await;
            let ask = |kind: Kind| self.inner.resolver.txt(kind.name(domain));
            tokio::join!(ask(Kind::Btlink), ask(Kind::Dnslink), ask(Kind::Wtpkey))
        };
        let (btlink, dnslink, wtpkey) = timeout_at(deadline, looking).await.map_err(|_| late())?;
        let answers = [btlink, dnslink, wtpkey];
        let found = Kind::ALL.into_iter().zip(&answers).find_map(|(kind, answer)| {
            let answer = answer.as_ref().ok()?;
            read(kind, answer)
        });
        let trouble = answers.iter().find_map(|answer| answer.as_ref().err());
        match (found, trouble) {
            (None, Some(reason)) => Err(Error::Unresolved {
                domain: domain.to_owned(),
                reason: reason.clone(),
            }),
            (found, _) => {
                self.memory().put(domain, found.clone(), Instant::now());
                found.ok_or_else(|| Error::None(domain.to_owned()))
            }
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.inner.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one domain's records say.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    address: Address,
    kind: Kind,
    signed: bool,
    ttl_secs: u32,
}

fn read(kind: Kind, answer: &Answer) -> Option<Found> {
    Some(Found {
        address: link::read(kind, &answer.records)?,
        kind,
        signed: answer.signed,
        ttl_secs: answer.ttl_secs.clamp(TTL_MIN, TTL_MAX),
    })
}
