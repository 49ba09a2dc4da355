//! One look at one subscription: what the network says of it, noted in its row.

use std::{sync::Arc, time::Duration};

use proto::{
    feed::{
        due::{self, Past},
        state::SILENT_LOOKS,
    },
    id::{InfoHash, Target},
    key::PublicKey,
    name::Address,
    record::{Meaning, Verdict},
};
use store::{Owner, RecordRow, Subscription, VersionState};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    Error, Parts,
    bring::{OF_VERSION, PRIVATE},
    subject::Subject,
    turns::Work,
    versions,
};
use crate::swarm::records;

/// A look for a record or link is over by then; most of it is waiting for a turn when many look at once.
const LOOK: Duration = Duration::from_secs(60);
/// The search for a new version's list of files goes on behind; the next look finds it further.
const METADATA: Duration = Duration::from_secs(10);
/// Nodes forget a record two hours after it was put (BEP 44). One that is found when ours was put longer ago was put by
/// somebody else.
const PUT_LASTS: u64 = 9_000;
/// More copies than one put makes: somebody else puts it too (BEP 44's first condition).
const COPIES_OF_ONE_PUT: u32 = 8;
/// A version whose files nobody has told us yet is looked for again after the time it has been known, but not sooner.
const METADATA_AGAIN: u64 = 60;

/// Who was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The record was found; whether there is a sign that somebody besides us put it.
    Record { publisher: bool },
    /// The network answered and has none.
    Nobody,
    /// The network did not answer: that says nothing about the publisher.
    NoNetwork,
}

/// What the network says.
#[derive(Debug, Clone)]
pub struct Found {
    pub heard: Heard,
    /// The torrent the address means now.
    pub named: Option<InfoHash>,
    /// Why there is less than hoped; empty: there is not.
    pub trouble: String,
    /// When each version was first seen, newest first.
    pub seen: Vec<u64>,
    pub ours: bool,
    /// For linked domains: how long the link counts, seconds.
    pub ttl: Option<u32>,
}

impl Work for Arc<Parts> {
    async fn look(&self, id: Target) -> Option<u64> {
        match self.look_at(id).await {
            Ok(next) => next,
            Err(err) => {
                // The store is in trouble, and has said so in a place where people look.
                warn!(site = %id.short(), %err, "a subscription could not be looked at");
                Some(self.clock.now_secs() + due::jitter(due::INTERVAL_MIN, rand::random()))
            }
        }
    }
}

impl Parts {
    async fn look_at(self: &Arc<Self>, id: Target) -> Result<Option<u64>, Error> {
        let Some(row) = self.active(id).await? else {
            return Ok(None);
        };
        let deadline = Instant::now() + LOOK;
        // A record that names a private torrent is not kept alive.
        let private = row.trouble == PRIVATE;
        let owner = if private { Owner::Visited } else { Owner::Followed };
        let found = match Subject::of(&row)? {
            Subject::Key { key, salt } => self.of_key(&key, &salt, owner, deadline).await,
            Subject::Domain(domain) => self.of_domain(&row, &domain, owner, deadline).await,
        };
        let now = self.clock.now_secs();
        let noted = found.clone();
        if self.change(id, move |row| note(row, &noted, now)).await? == Some(true) {
            info!(site = %id.short(), "a followed site has a new version");
            if private {
                self.set_owner(&row, Owner::Followed).await?;
            }
        }
        // The owner may have paused or blocked it while we looked.
        let Some(row) = self.active(id).await? else {
            return Ok(None);
        };
        let waiting = self.bring(&row, Instant::now() + METADATA).await?;
        self.plan(id, &found, waiting).await
    }

    /// When the next look is; written down with what was found.
    async fn plan(&self, id: Target, found: &Found, waiting: Option<String>) -> Result<Option<u64>, Error> {
        let (now, random) = (self.clock.now_secs(), rand::random());
        let found = found.clone();
        self.change(id, move |row| {
            let past = Past {
                seen: &found.seen,
                ours: found.ours,
                failures: row.failures,
            };
            let mut secs = due::interval(&past, now);
            if let Some(ttl) = found.ttl {
                secs = secs.min(u64::from(ttl).max(due::INTERVAL_MIN));
            }
            if let Some(why) = &waiting {
                let known = now.saturating_sub(row.last_changed);
                secs = secs.min(known.max(METADATA_AGAIN));
                if row.trouble.is_empty() {
                    row.trouble.clone_from(why);
                }
            }
            row.interval_secs = secs;
            now + due::jitter(secs, random)
        })
        .await
    }

    /// Asks for the record of a key, with what is known of it in any case.
    pub async fn of_key(&self, key: &PublicKey, salt: &[u8], owner: Owner, deadline: Instant) -> Found {
        let target = Target(key.target(salt));
        let looked = self.swarm.records().look(key, salt, owner, deadline).await;
        let now = self.clock.now_secs();
        match looked {
            Ok(looked) => {
                let row = &looked.outcome.row;
                let newer = matches!(looked.outcome.verdict, Verdict::New | Verdict::Newer);
                let elsewhere =
                    looked.copies > COPIES_OF_ONE_PUT || now.saturating_sub(row.last_put) > PUT_LASTS;
                let heard = match (looked.heard, looked.answered) {
                    (true, _) => Heard::Record {
                        publisher: newer || elsewhere,
                    },
                    (false, 0) => Heard::NoNetwork,
                    (false, _) => Heard::Nobody,
                };
                of_record(row, heard)
            }
            Err(err) => {
                let (heard, trouble) = self.explain(&err);
                let known = self.db.store().record(&target).ok().flatten();
                let mut found = known.map_or_else(Found::nothing, |row| of_record(&row, heard));
                (found.heard, found.trouble) = (heard, trouble);
                found
            }
        }
    }

    fn explain(&self, err: &records::Error) -> (Heard, String) {
        let online = self.swarm.status().dht_nodes > 0;
        match err {
            records::Error::Silent(_) if online => (Heard::Nobody, NOBODY.into()),
            records::Error::Silent(_) => (Heard::NoNetwork, NO_NETWORK.into()),
            records::Error::Off => (
                Heard::NoNetwork,
                "this Granary runs without the DHT, so it cannot look for new versions".into(),
            ),
            records::Error::Refused(why) => (Heard::Nobody, why.clone()),
            err => (Heard::NoNetwork, err.to_string()),
        }
    }

    /// The link of a domain, and the record it leads to.
    async fn of_domain(&self, row: &Subscription, domain: &str, owner: Owner, deadline: Instant) -> Found {
        let link = match self.links.look(domain, deadline).await {
            Ok(link) => link,
            Err(err) => {
                let heard = match err {
                    crate::links::Error::Unresolved { .. } => Heard::NoNetwork,
                    _ => Heard::Nobody,
                };
                return Found {
                    heard,
                    trouble: format!("{err}; the versions here stay"),
                    seen: (row.last_changed > 0)
                        .then_some(row.last_changed)
                        .into_iter()
                        .collect(),
                    ..Found::nothing()
                };
            }
        };
        let ttl = Some(link.ttl_secs);
        match link.address {
            Address::Key { key, salt } => {
                self.remember_link(row.id, Some(Target(key.target(&salt)))).await;
                let found = self.of_key(&key, &salt, owner, deadline).await;
                Found { ttl, ..found }
            }
            Address::Torrent(ih) => {
                self.remember_link(row.id, None).await;
                let changed = match row.versions.first() {
                    Some((first, _)) if *first == ih => row.last_changed,
                    _ => self.clock.now_secs(),
                };
                Found {
                    heard: Heard::Record { publisher: true },
                    named: Some(ih),
                    seen: vec![changed],
                    ttl,
                    ..Found::nothing()
                }
            }
            _ => Found {
                heard: Heard::Record { publisher: true },
                trouble: format!("{domain} links to something that is no site of ours"),
                ttl,
                ..Found::nothing()
            },
        }
    }
}

const NOBODY: &str = "nobody in the DHT has this record now; what is here stays";
const NO_NETWORK: &str = "no node of the DHT answered; is the box connected to the Internet?";

impl Found {
    fn nothing() -> Self {
        Self {
            heard: Heard::Nobody,
            named: None,
            trouble: String::new(),
            seen: Vec::new(),
            ours: false,
            ttl: None,
        }
    }
}

fn of_record(row: &RecordRow, heard: Heard) -> Found {
    let (named, trouble) = match row.item.meaning() {
        Meaning::Torrent(ih) => (Some(ih), ""),
        Meaning::Packet(_) => (
            None,
            "this key holds names of the ordinary web (a signed DNS packet, as pkarr makes them), no site",
        ),
        Meaning::Other => (None, "the publisher's newest record names no torrent"),
    };
    let trouble = match heard {
        _ if !trouble.is_empty() => trouble,
        Heard::Nobody => NOBODY,
        Heard::NoNetwork => NO_NETWORK,
        Heard::Record { .. } => "",
    };
    Found {
        heard,
        named,
        trouble: trouble.into(),
        seen: row.history.iter().map(|version| version.seen).collect(),
        ours: row.owner == Owner::Me,
        ttl: None,
    }
}

/// Notes a look in the row; `true` when there is a new version.
fn note(row: &mut Subscription, found: &Found, now: u64) -> bool {
    let news = found.named.is_some_and(|ih| versions::offer(row, ih));
    // Why a version was turned down stays true until there is another one.
    let declined = row
        .versions
        .first()
        .is_some_and(|(_, state)| *state == VersionState::Declined);
    if news || !found.trouble.is_empty() || !declined || !row.trouble.starts_with(OF_VERSION) {
        row.trouble.clone_from(&found.trouble);
    }
    match found.heard {
        Heard::Record { publisher } if publisher || row.last_heard == 0 => {
            (row.last_checked, row.last_heard) = (now, now);
            row.failures = 0;
        }
        Heard::Record { .. } => {
            row.last_checked = now;
            // The network had lost the record, and what it has now is what this box put back.
            if row.failures > 0 {
                row.failures = row.failures.max(SILENT_LOOKS);
            }
        }
        Heard::Nobody => {
            row.last_checked = now;
            row.failures = row.failures.saturating_add(1);
        }
        Heard::NoNetwork => {}
    }
    if news {
        row.last_changed = now;
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::fixture;

    const NOW: u64 = 1_777_788_000;

    fn heard(heard: Heard) -> Found {
        Found {
            heard,
            ..Found::nothing()
        }
    }

    #[test]
    fn a_network_that_does_not_answer_says_nothing_about_the_publisher() {
        let mut row = fixture::row(1);
        (row.last_heard, row.last_checked) = (NOW - 60, NOW - 60);
        let before = row.clone();
        assert!(!note(&mut row, &heard(Heard::NoNetwork), NOW));
        assert_eq!(row, before);
        note(&mut row, &heard(Heard::Nobody), NOW);
        assert_eq!(
            (row.failures, row.last_heard, row.last_checked),
            (1, NOW - 60, NOW)
        );
    }

    #[test]
    fn a_record_that_only_we_keep_alive_is_no_sign_of_the_publisher() {
        let mut row = fixture::row(1);
        note(&mut row, &heard(Heard::Record { publisher: false }), NOW);
        assert_eq!(row.last_heard, NOW, "the first time counts in any case");
        note(&mut row, &heard(Heard::Record { publisher: false }), NOW + 9);
        assert_eq!((row.last_heard, row.last_checked), (NOW, NOW + 9));
        note(&mut row, &heard(Heard::Nobody), NOW + 10);
        note(&mut row, &heard(Heard::Record { publisher: false }), NOW + 11);
        assert!(
            row.failures >= SILENT_LOOKS,
            "we put back what the network had lost"
        );
        note(&mut row, &heard(Heard::Record { publisher: true }), NOW + 12);
        assert_eq!((row.last_heard, row.failures), (NOW + 12, 0));
    }

    #[test]
    fn why_a_version_was_turned_down_is_said_until_there_is_another_one() {
        let mut row = fixture::row(1);
        versions::set(&mut row, InfoHash([7; 20]), VersionState::Declined);
        row.trouble = PRIVATE.into();
        let of = |byte: u8| Found {
            named: Some(InfoHash([byte; 20])),
            ..heard(Heard::Record { publisher: true })
        };
        assert!(!note(&mut row, &of(7), NOW));
        assert_eq!(row.trouble, PRIVATE);
        assert!(note(&mut row, &of(8), NOW));
        assert_eq!(row.trouble, "");
    }

    #[test]
    fn a_new_version_is_news_once() {
        let mut row = fixture::row(1);
        let found = Found {
            named: Some(InfoHash([7; 20])),
            ..heard(Heard::Record { publisher: true })
        };
        assert!(note(&mut row, &found, NOW));
        assert!(!note(&mut row, &found, NOW + 900));
        assert_eq!(row.last_changed, NOW);
    }
}
