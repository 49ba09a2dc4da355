//! The current version of an address: which torrent it means now.

use proto::{
    id::{InfoHash, Target},
    key::PublicKey,
    magnet::{self, Pasted},
    name::{Address, Domains},
    record::{self, Meaning},
    site::cache,
};
use store::{Owner, RecordRow, Subscription};
use tokio::time::Instant;

use super::{
    Error, Sites,
    looks::{Failure, NotFound},
    unavailable,
};
use crate::{
    links::{self, Link},
    swarm::records,
};

/// What an address means now.
#[derive(Debug, Clone)]
pub struct Current {
    pub infohash: InfoHash,
    /// The address after petnames and links: a torrent or a key.
    pub address: Address,
    /// For keys: the record as we hold it.
    pub record: Option<Box<RecordRow>>,
    /// For linked domains: how it was found.
    pub link: Option<Link>,
    /// The record is older than its freshness; a look at the network is under way behind.
    pub stale: bool,
    /// A newer version is known than the one shown, because that is not all here yet.
    pub newer: Option<InfoHash>,
    /// Seconds since the network was last asked; 0 for what cannot change.
    pub age_secs: u64,
}

/// Petnames and links that lead on to each other. More: circles cost more.
const HOPS_MAX: usize = 4;
/// Records of a DNS packet that an error page quotes.
const PACKET_SHOWN_MAX: usize = 8;

impl Sites {
    /// Known and fresh: at once. Known and stale: at once, and looked up behind. Unknown: looked up until the deadline;
    /// the look goes on behind it. Followed addresses give the newest version that is whole, while a newer one is fetched.
    pub async fn current(
        &self,
        address: &Address,
        local_only: bool,
        deadline: Instant,
    ) -> Result<Current, Error> {
        let (mut address, mut link) = (address.clone(), None);
        let mut followed = None;
        for _ in 0..HOPS_MAX {
            match address {
                Address::Torrent(infohash) => return Ok(settled(infohash, link, followed)),
                Address::TorrentV2(hash) => {
                    let infohash = self.v1_of(&hash).await?;
                    return Ok(settled(infohash, link, followed));
                }
                Address::Key { key, salt } => match self.newest(key, salt, local_only, deadline).await? {
                    Newest::Here(current) => return Ok(by_link(*current, link, followed)),
                    Newest::On(next) => address = next,
                },
                Address::Petname(name) => address = self.named(&name)?,
                Address::Domain(domain) => {
                    followed = self.followed(&domain_id(&domain))?;
                    match self.linked(&domain, local_only, deadline).await {
                        Ok(found) => {
                            address = found.address.clone();
                            link = Some(found);
                        }
                        // The resolver is silent: what the household holds of a followed domain is still there.
                        Err(err) => {
                            let whole = followed.as_ref().and_then(|row| row.whole).ok_or(err)?;
                            return Ok(Current {
                                stale: true,
                                ..settled(whole, None, None)
                            });
                        }
                    }
                }
                Address::Item(_) => {
                    return Err(Error::NotASite(
                        "it is a single item of the DHT, not a site".into(),
                    ));
                }
            }
        }
        Err(Error::Unknown("its names and links lead in a circle".into()))
    }

    /// For somebody who asks for the newest on purpose: the network is asked about a key however fresh its record is, and
    /// waited for until the deadline. What came of it, [`Sites::current`] tells.
    pub async fn look_again(&self, address: &Address, deadline: Instant) {
        let address = match address {
            Address::Petname(name) => self.named(name).ok(),
            other => Some(other.clone()),
        };
        if let Some(Address::Key { key, salt }) = address {
            let target = Target(key.target(&salt));
            if self.followed(&target).is_ok() {
                self.records.again(target, deadline, self.look(key, salt)).await;
            }
        }
    }

    /// An item of the DHT as it is: a record by its target when we know it, else an immutable one, from the network.
    pub async fn item(&self, target: Target, local_only: bool, deadline: Instant) -> Result<Item, Error> {
        if let Some(row) = self.db.store().record(&target).map_err(unavailable)? {
            return Ok(Item::Mutable(Box::new(row)));
        }
        if let Some(value) = self.items.found(&target, ITEM_KEPT) {
            return Ok(Item::Immutable(value));
        }
        if local_only {
            return Err(Error::NoRecord(target));
        }
        let records = self.swarm.records().clone();
        let look = |deadline| async move {
            let found = records.item(target, deadline).await;
            found.map(Into::into).map_err(failure)
        };
        let found = self.items.wait(target, deadline, look).await;
        found.map(Item::Immutable).map_err(|why| explain(why, target))
    }

    async fn newest(
        &self,
        key: PublicKey,
        salt: Vec<u8>,
        local_only: bool,
        deadline: Instant,
    ) -> Result<Newest, Error> {
        let target = Target(key.target(&salt));
        let followed = self.followed(&target)?;
        let known = self.db.store().record(&target).map_err(unavailable)?;
        let now = self.clock.now_secs();
        // A record that came just now was asked for just now, by whichever way it came.
        let age = |row: &RecordRow| now.saturating_sub(row.last_checked.max(row.last_changed));
        let (row, stale) = match known {
            Some(row) => {
                let since_change = now.saturating_sub(row.last_changed);
                let stale = age(&row) > cache::record_fresh_secs(since_change);
                if stale && !local_only {
                    self.records.behind(target, self.look(key, salt.clone()));
                }
                (row, stale)
            }
            None if local_only => return Err(Error::NoRecord(target)),
            None => {
                let look = self.look(key, salt.clone());
                let looked = self.records.wait(target, deadline, look).await;
                looked.map_err(|why| explain(why, target))?;
                let found = self.db.store().record(&target).map_err(unavailable)?;
                (found.ok_or(Error::NoRecord(target))?, false)
            }
        };
        let whole = followed.and_then(|row| row.whole);
        let newest = match (row.item.meaning(), whole) {
            (Meaning::Torrent(infohash), _) => infohash,
            // What the household holds stays readable when its publisher puts something else.
            (_, Some(whole)) => whole,
            (Meaning::Packet(bytes), None) => return packet_of(&key, &bytes),
            (Meaning::Other, None) => {
                return Err(Error::NotASite(
                    "its publisher's newest record names no torrent".into(),
                ));
            }
        };
        let infohash = whole.unwrap_or(newest);
        Ok(Newest::Here(Box::new(Current {
            infohash,
            address: Address::Key { key, salt },
            age_secs: age(&row),
            record: Some(Box::new(row)),
            link: None,
            stale,
            newer: (infohash != newest).then_some(newest),
        })))
    }

    fn look(
        &self,
        key: PublicKey,
        salt: Vec<u8>,
    ) -> impl FnOnce(Instant) -> futures_util::future::BoxFuture<'static, Result<(), Failure>> + use<> {
        let records = self.swarm.records().clone();
        move |deadline| {
            Box::pin(async move {
                let looked = records.look(&key, &salt, Owner::Visited, deadline).await;
                looked.map(drop).map_err(failure)
            })
        }
    }

    /// The subscription of this id; the household's block stops everything.
    fn followed(&self, id: &Target) -> Result<Option<Subscription>, Error> {
        let row = self.db.store().subscription(id).map_err(unavailable)?;
        match row {
            Some(row) if row.blocked => Err(Error::Blocked),
            row => Ok(row),
        }
    }

    fn named(&self, name: &str) -> Result<Address, Error> {
        let text = self.db.store().petname(name).map_err(unavailable)?;
        let text = text.ok_or_else(|| Error::Unknown(format!("this home has no site called \"{name}\"")))?;
        address_of(&text).ok_or_else(|| Error::Unknown(format!("the name \"{name}\" leads nowhere")))
    }

    async fn linked(&self, domain: &str, local_only: bool, deadline: Instant) -> Result<Link, Error> {
        if local_only {
            return Err(Error::NoRecord(domain_id(domain)));
        }
        self.links.look(domain, deadline).await.map_err(|err| match err {
            crate::links::Error::Unresolved { .. } => Error::Unresolved(err.to_string()),
            err => Error::Unknown(err.to_string()),
        })
    }
}

/// An item of the DHT (BEP 44).
#[derive(Debug, Clone)]
pub enum Item {
    /// Its bencoded value, whose hash is the target.
    Immutable(bytes::Bytes),
    /// The signed record as we hold it.
    Mutable(Box<RecordRow>),
}

/// How long an immutable item is answered from memory: it cannot change, but memory is not for ever.
const ITEM_KEPT: std::time::Duration = std::time::Duration::from_secs(3600);

/// The id of a followed domain's subscription: SHA-1 of `dl:` and the domain.
pub fn domain_id(domain: &str) -> Target {
    record::immutable_target(format!("dl:{domain}").as_bytes())
}

/// A key that a linked domain led to: readers of a followed domain get its newest whole version.
fn by_link(current: Current, link: Option<Link>, followed: Option<Subscription>) -> Current {
    let newest = current.newer.unwrap_or(current.infohash);
    let infohash = followed.and_then(|row| row.whole).unwrap_or(current.infohash);
    Current {
        infohash,
        newer: (infohash != newest).then_some(newest),
        link,
        ..current
    }
}

/// What cannot change, or changes only with the link that led to it.
fn settled(infohash: InfoHash, link: Option<Link>, followed: Option<Subscription>) -> Current {
    let whole = followed.and_then(|row| row.whole).unwrap_or(infohash);
    Current {
        infohash: whole,
        address: Address::Torrent(whole),
        record: None,
        link,
        stale: false,
        newer: (whole != infohash).then_some(infohash),
        age_secs: 0,
    }
}

/// Reads an address as rows of the store hold it: a host or a magnet.
fn address_of(text: &str) -> Option<Address> {
    match magnet::paste(text, &Domains::default()).ok()? {
        Pasted::Site { address, .. } => Some(address),
        Pasted::Magnet(magnet) => match (magnet.key, magnet.infohash) {
            (Some(key), _) => Some(Address::Key {
                key,
                salt: magnet.salt,
            }),
            (None, infohash) => infohash.map(Address::Torrent),
        },
    }
}

/// What a key's newest record says.
enum Newest {
    Here(Box<Current>),
    /// It leads on to another address.
    On(Address),
}

/// A key that signs a DNS packet (pkarr) instead of a torrent: the packet's own link record leads on; without one, the
/// reader is told what the packet says.
fn packet_of(key: &PublicKey, bytes: &[u8]) -> Result<Newest, Error> {
    let what = "its publisher uses this key for names of the ordinary web (a signed DNS packet, as pkarr makes them)";
    let Some(packet) = links::packet::read(key, bytes) else {
        return Err(Error::NotASite(what.into()));
    };
    if let Some(address) = packet.address {
        return Ok(Newest::On(address));
    }
    let records = packet.records.iter().take(PACKET_SHOWN_MAX);
    let says: Vec<String> = records
        .map(|(name, kind, value)| format!("{name} {kind} {value}"))
        .collect();
    let says = if says.is_empty() {
        "nothing".into()
    } else {
        says.join("; ")
    };
    Err(Error::NotASite(format!(
        "{what}, and the packet has no link to a site. It says: {says}"
    )))
}

fn failure(err: records::Error) -> Failure {
    match err {
        records::Error::Silent(_) => Failure::Silent,
        records::Error::Refused(why) => Failure::Refused(why),
        err => Failure::Unavailable(err.to_string()),
    }
}

fn explain(why: NotFound, target: Target) -> Error {
    match why {
        NotFound::Looking => Error::Looking(target),
        NotFound::Busy => {
            Error::Unavailable("too many addresses are being looked for; try again soon".into())
        }
        NotFound::Failed(Failure::Silent) => Error::NoRecord(target),
        NotFound::Failed(Failure::Refused(why)) => Error::NotASite(why),
        NotFound::Failed(Failure::Unavailable(why)) => Error::Unavailable(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_addresses_as_hosts_and_magnets() {
        let hex = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e";
        let key = |salt: &[u8]| Address::Key {
            key: PublicKey::from_text(hex).expect("a key"),
            salt: salt.to_vec(),
        };
        let host = key(b"blog").host(proto::name::TLD).expect("it fits");
        assert_eq!(address_of(&host), Some(key(b"blog")));
        let magnet = format!("magnet:?xs=urn:btpk:{hex}&s=ff");
        assert_eq!(address_of(&magnet), Some(key(&[0xff])));
        assert_eq!(address_of("what is this"), None);
        assert_eq!(address_of(""), None);
    }

    #[test]
    fn a_domain_has_an_id_of_its_own() {
        assert_eq!(
            domain_id("example.org").to_string(),
            "d12fc0a5fdba59ce65aec1dbcacf9abdfbc0b554"
        );
    }
}
