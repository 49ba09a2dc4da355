//! What can be followed: from a pasted text to an address that may change.

use proto::{
    id::Target,
    key::PublicKey,
    magnet::{Magnet, Pasted, paste},
    name::{Address, Domains, TLD},
};
use store::{Store, Subscription};

use super::Error;
use crate::{sites::domain_id, swarm::Hints};

/// Petnames that lead on to each other end here.
const HOPS_MAX: usize = 4;

/// A followed address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Key { key: PublicKey, salt: Vec<u8> },
    Domain(String),
}

impl Subject {
    pub fn id(&self) -> Target {
        match self {
            Subject::Key { key, salt } => Target(key.target(salt)),
            Subject::Domain(domain) => domain_id(domain),
        }
    }

    pub fn address(&self) -> Address {
        match self.clone() {
            Subject::Key { key, salt } => Address::Key { key, salt },
            Subject::Domain(domain) => Address::Domain(domain),
        }
    }

    /// As a row holds it: a host, or a magnet where no host fits.
    pub fn text(&self) -> Result<String, Error> {
        text_of(&self.address())
            .ok_or_else(|| Error::Refused("this domain is too long to have an address here".into()))
    }

    /// What [`Subject::text`] wrote.
    pub fn of(row: &Subscription) -> Result<Self, Error> {
        let damaged = || Error::Unavailable(format!("the row of {} names no address", row.id));
        match read(&row.address).ok_or_else(damaged)? {
            Address::Key { key, salt } => Ok(Subject::Key { key, salt }),
            Address::Domain(domain) => Ok(Subject::Domain(domain)),
            _ => Err(damaged()),
        }
    }
}

/// What was pasted, as an address, and whom its magnet names as peers and trackers.
pub fn address(pasted: &Pasted) -> (Address, Hints) {
    match pasted {
        Pasted::Site { address, .. } => (address.clone(), Hints::default()),
        Pasted::Magnet(magnet) => {
            let hints = Hints {
                peers: magnet.peers.clone(),
                trackers: magnet.trackers.clone(),
            };
            (of_magnet(magnet), hints)
        }
    }
}

/// The key leads; a magnet names at least one of the three.
fn of_magnet(magnet: &Magnet) -> Address {
    match (magnet.key, magnet.infohash, magnet.infohash_v2) {
        (Some(key), ..) => Address::Key {
            key,
            salt: magnet.salt.clone(),
        },
        (None, Some(infohash), _) => Address::Torrent(infohash),
        (None, None, hash) => Address::TorrentV2(hash.unwrap_or_default()),
    }
}

/// What a name of the household leads to; other addresses are what they are.
pub fn named(store: &Store, address: Address) -> Result<Address, Error> {
    let mut at = address;
    for _ in 0..HOPS_MAX {
        let Address::Petname(name) = &at else {
            return Ok(at);
        };
        let text = store.petname(name)?;
        at = text.as_deref().and_then(read).ok_or_else(|| {
            Error::Refused(format!(
                "this home has no site called \"{name}\"; paste the site's own address"
            ))
        })?;
    }
    Err(Error::Refused("these names lead in a circle".into()))
}

/// Only what may change can be followed.
pub fn subject(address: Address) -> Result<Subject, Error> {
    let refused = |why: &str| Err(Error::Refused(why.into()));
    match address {
        Address::Key { key, salt } => Ok(Subject::Key { key, salt }),
        Address::Domain(domain) => Ok(Subject::Domain(domain)),
        Address::Torrent(_) | Address::TorrentV2(_) => {
            refused("this is one torrent, which never changes: there is nothing to follow. Keep it instead.")
        }
        Address::Item(_) => refused("this is a single item of the DHT, which never changes"),
        Address::Petname(name) => Err(Error::Refused(format!("this home has no site called \"{name}\""))),
    }
}

/// An address as rows hold it.
pub fn text_of(address: &Address) -> Option<String> {
    let magnet = || match address {
        Address::Key { key, salt } => Some(Magnet {
            key: Some(*key),
            salt: salt.clone(),
            ..Magnet::default()
        }),
        _ => None,
    };
    address.host(TLD).or_else(|| Some(magnet()?.to_string()))
}

/// What [`text_of`] wrote.
pub fn read(text: &str) -> Option<Address> {
    let pasted = paste(text, &Domains::default()).ok()?;
    Some(address(&pasted).0)
}

/// Trackers and peers as one list of texts, as a row keeps them.
pub fn hints_to_row(hints: &Hints) -> Vec<String> {
    let peers = hints.peers.iter().map(ToString::to_string);
    hints.trackers.iter().cloned().chain(peers).collect()
}

/// What [`hints_to_row`] wrote.
pub fn hints_of(row: &Subscription) -> Hints {
    let mut hints = Hints::default();
    for text in &row.trackers {
        match text.parse() {
            Ok(peer) => hints.peers.push(peer),
            Err(_) => hints.trackers.push(text.clone()),
        }
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::fixture;

    const KEY: &str = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e";

    fn pasted(text: &str) -> Pasted {
        paste(text, &Domains::default()).expect("it can be read")
    }

    #[test]
    fn keys_and_domains_can_be_followed_and_torrents_cannot() {
        let followed = |text: &str| subject(address(&pasted(text)).0);
        let magnet = format!("magnet:?xs=urn:btpk:{KEY}&s=6e&xt=urn:btih:{}", "a".repeat(40));
        let found = followed(&magnet).expect("the key leads");
        assert_eq!(found.id().to_string(), "59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f");
        assert!(followed(KEY).is_ok());
        assert!(followed("http://chromecast-link-dl.btlink/").is_ok());
        for text in [&"a".repeat(40), &format!("{}-44.btlink", "a".repeat(40))] {
            assert!(matches!(followed(text), Err(Error::Refused(_))), "{text}");
        }
    }

    #[test]
    fn a_row_gives_back_what_it_was_made_of() {
        for salt in [&b""[..], b"blog", &[0xff; 64], b"a.b"] {
            let key = PublicKey::from_text(KEY).expect("a key");
            let before = Subject::Key {
                key,
                salt: salt.to_vec(),
            };
            let mut row = fixture::row(1);
            row.address = before.text().expect("it fits");
            assert_eq!(Subject::of(&row).expect("it reads"), before);
        }
        let domain = Subject::Domain("chromecast.link".into());
        let mut row = fixture::row(1);
        row.address = domain.text().expect("it fits");
        assert_eq!(Subject::of(&row).expect("it reads"), domain);
        row.address = "nonsense".into();
        assert!(Subject::of(&row).is_err());
    }

    #[test]
    fn peers_and_trackers_of_the_pasted_link_survive_in_one_list() {
        let text = format!("magnet:?xs=urn:btpk:{KEY}&x.pe=192.0.2.1:6881&tr=udp%3A%2F%2Ft.example%3A1");
        let hints = address(&pasted(&text)).1;
        let mut row = fixture::row(1);
        row.trackers = hints_to_row(&hints);
        let back = hints_of(&row);
        assert_eq!((back.peers, back.trackers), (hints.peers, hints.trackers));
    }
}
