//! What a pasted text opens, told before anything but its list of files is downloaded. Whoever pastes waits: every part has
//! its share of the deadline, and what is not known by then is said in a sentence.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use proto::{
    id::{InfoHash, Target},
    key::PublicKey,
    magnet::Pasted,
    name::Address,
};
use store::{Keep, Owner};
use tokio::time::Instant;

use super::{Error, Parts, Preview, look::Heard, subject, view::held_bytes};
use crate::swarm::{self, Hints};

/// How long peers are counted.
const COUNT: Duration = Duration::from_secs(2);

/// Things asked for lately that are remembered.
const ASKED_MAX: usize = 64;
/// Searches that last longer have found nobody so far, and the person is told what is known.
const YOUNG: Duration = Duration::from_secs(20);
/// Whoever asks again after so long begins anew.
const FORGOTTEN: Duration = Duration::from_secs(120);

/// Since when people have been waiting for what. Each request is short, because a page reloads itself instead of hanging;
/// all of them together are the wait.
#[derive(Default)]
pub struct Patience {
    asked: Mutex<VecDeque<(u64, Instant)>>,
}

impl Patience {
    /// Whether this has been asked for only a short while.
    fn young(&self, pasted: &Pasted) -> bool {
        let mut hasher = DefaultHasher::new();
        format!("{pasted:?}").hash(&mut hasher);
        let (key, now) = (hasher.finish(), Instant::now());
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|(_, since)| now.duration_since(*since) < FORGOTTEN);
        if let Some((_, since)) = asked.iter().find(|(known, _)| *known == key) {
            return now.duration_since(*since) < YOUNG;
        }
        asked.truncate(ASKED_MAX - 1);
        asked.push_front((key, now));
        true
    }
}

impl Parts {
    pub async fn preview(&self, pasted: &Pasted, deadline: Instant) -> Result<Preview, Error> {
        let (address, hints) = subject::address(pasted);
        let named = self.db.run(move |store| Ok(subject::named(store, address)));
        let address = named.await??;
        let mut preview = blank(address.clone());
        let subject = subject::subject(address.clone()).ok();
        if let Some(subject) = &subject {
            preview.changes = true;
            preview.id = Some(subject.id());
            preview.followed = self.follows(subject.id()).await?;
        }
        let beside = match pasted {
            Pasted::Magnet(magnet) => magnet.infohash,
            Pasted::Site { .. } => None,
        };
        match address {
            Address::Torrent(ih) => preview.infohash = Some(ih),
            Address::TorrentV2(_) => {
                let why = "this names a torrent by its v2 infohash alone; ask for a link that also has the v1 infohash";
                preview.trouble = Some(why.into());
            }
            Address::Item(_) => {
                preview.trouble =
                    Some("this is a single item of the DHT, no site; open its address to read it".into());
            }
            Address::Petname(_) => {}
            Address::Key { key, salt } => self.of_a_key(&mut preview, &key, &salt, deadline).await,
            Address::Domain(domain) => self.of_a_domain(&mut preview, &domain, deadline).await,
        }
        if preview.infohash.is_none() && beside.is_some() {
            preview.infohash = beside;
            let why = "the publisher's record was not found yet. The link also names this torrent, but nothing proves \
                       that it is the publisher's.";
            preview.trouble = Some(why.into());
        }
        let unknown = match preview.infohash {
            Some(ih) => !self.of_a_torrent(&mut preview, ih, &hints, deadline).await?,
            None => preview.changes && preview.record.is_none(),
        };
        preview.unfinished = unknown && self.patience.young(pasted);
        let limit = self.house().await?.quota_bytes;
        preview.asks = preview.changes && preview.bytes.is_some_and(|bytes| bytes > limit);
        Ok(preview)
    }

    async fn follows(&self, id: Target) -> Result<bool, Error> {
        let found = self.db.run(move |store| store.subscription(&id)).await?;
        Ok(found.is_some())
    }

    async fn of_a_key(&self, preview: &mut Preview, key: &PublicKey, salt: &[u8], deadline: Instant) {
        // Half of the time, so that there is some left for the list of files.
        let now = Instant::now();
        let half = now + deadline.saturating_duration_since(now) / 2;
        let found = self.of_key(key, salt, Owner::Visited, half).await;
        let target = Target(key.target(salt));
        preview.record = self.db.store().record(&target).ok().flatten().map(Box::new);
        preview.infohash = found.named;
        preview.trouble = Some(found.trouble).filter(|why| !why.is_empty());
        if preview.record.is_none() {
            let why = match found.heard {
                Heard::NoNetwork => "no node of the DHT answered; is the box connected to the Internet? ",
                _ => "nobody in the DHT has a record of this key yet. ",
            };
            preview.trouble = Some(format!(
                "{why}It can be followed all the same; the box goes on looking."
            ));
        }
    }

    async fn of_a_domain(&self, preview: &mut Preview, domain: &str, deadline: Instant) {
        let link = match self.links.look(domain, deadline).await {
            Ok(link) => link,
            Err(err) => {
                preview.trouble = Some(format!(
                    "{err}. It can be followed all the same; the box goes on looking."
                ));
                return;
            }
        };
        preview.link = Some(link.clone());
        preview.address = link.address.clone();
        match link.address {
            Address::Torrent(ih) => preview.infohash = Some(ih),
            Address::Key { key, salt } => self.of_a_key(preview, &key, &salt, deadline).await,
            _ => preview.trouble = Some(format!("{domain} links to something that is no site of ours")),
        }
    }

    /// `true` when more asking would tell nothing more.
    async fn of_a_torrent(
        &self,
        preview: &mut Preview,
        ih: InfoHash,
        hints: &Hints,
        deadline: Instant,
    ) -> Result<bool, Error> {
        let mut settled = true;
        let counted = deadline.min(Instant::now() + COUNT);
        let (opened, peers) = tokio::join!(
            self.swarm.open(ih, hints, deadline),
            self.swarm.count_peers(ih, &hints.trackers, counted)
        );
        preview.peers = peers;
        match opened {
            Ok(torrent) => {
                preview.name = Some(torrent.info.name.clone());
                preview.bytes = Some(torrent.info.total);
                preview.files = Some(torrent.info.files.iter().filter(|file| !file.pad).count());
            }
            Err(swarm::Error::Store(err)) => return Err(err.into()),
            Err(swarm::Error::Refused { reason, .. }) => {
                preview.trouble = Some(format!("this is no site: {reason}"))
            }
            Err(_) => {
                settled = false;
                let why = "nobody who has these files answered yet, so their number and size are not known";
                preview.trouble = Some(why.into());
            }
        }
        if let Some(site) = self.db.run(move |store| store.site(&ih)).await? {
            preview.held_bytes = held_bytes(&site);
            if !preview.changes {
                preview.followed = site.keep == Keep::Kept;
            }
        }
        Ok(settled)
    }
}

fn blank(address: Address) -> Preview {
    Preview {
        address,
        id: None,
        link: None,
        infohash: None,
        name: None,
        bytes: None,
        held_bytes: 0,
        files: None,
        peers: 0,
        record: None,
        followed: false,
        changes: false,
        asks: false,
        trouble: None,
        unfinished: false,
    }
}
