//! Answers kept for their time, those that say "none" too. Bounded.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::Found;

/// Domains remembered. More: memory, about 300 bytes each. Fewer: more questions of busy households.
const DOMAINS_MAX: usize = 1_000;
/// How long "no link record" counts. Longer: a new record is seen later. Shorter: more questions.
const NONE_FOR: Duration = Duration::from_secs(300);

#[derive(Default)]
pub(super) struct Memory {
    domains: HashMap<String, (Option<Found>, Instant)>,
}

impl Memory {
    /// `None`: not known, or no longer.
    pub fn get(&self, domain: &str, now: Instant) -> Option<Option<Found>> {
        let (found, until) = self.domains.get(domain)?;
        let left = until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        // What is left of the time is the time the caller may use it.
        Some(found.clone().map(|found| Found {
            ttl_secs: left.as_secs().max(1) as u32,
            ..found
        }))
    }

    pub fn put(&mut self, domain: &str, found: Option<Found>, now: Instant) {
        if self.domains.len() >= DOMAINS_MAX {
            self.domains.retain(|_, (_, until)| *until > now);
        }
        if self.domains.len() >= DOMAINS_MAX {
            // All are fresh: the one that ends soonest gives way.
            let soonest = self.domains.iter().min_by_key(|(_, (_, until))| *until);
            if let Some(name) = soonest.map(|(name, _)| name.clone()) {
                self.domains.remove(&name);
            }
        }
        let lasts = found
            .as_ref()
            .map_or(NONE_FOR, |found| Duration::from_secs(found.ttl_secs.into()));
        self.domains.insert(domain.to_owned(), (found, now + lasts));
    }
}
