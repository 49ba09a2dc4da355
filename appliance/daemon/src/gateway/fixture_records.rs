//! Records, names and items in memory, beside the sites of [`super::fixture`].

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
};

use bytes::Bytes;
use proto::{
    id::{InfoHash, Target},
    name::Address,
    record::{Meaning, Mutable, torrent_value},
    secret::SecretKey,
};
use store::{Owner, RecordRow};
use tokio::time::{Instant, sleep_until};

use crate::sites::{Current, Error, Held, Item, Version};

/// What the network would say.
#[derive(Default)]
pub struct Known {
    records: Mutex<HashMap<Target, RecordRow>>,
    pub items: Mutex<HashMap<Target, Vec<u8>>>,
    pub names: Mutex<HashMap<String, Address>>,
    pub blocked: Mutex<HashSet<Target>>,
    pub age_secs: Mutex<u64>,
    /// How often somebody asked for the newest on purpose.
    pub again: Mutex<u32>,
}

/// 3 May 2026, 14:05 UTC.
pub const MAY: u64 = 1_777_817_100;

impl Known {
    /// A record of the key with this seed; the number is one more than before.
    pub fn publish(&self, seed: u8, salt: &[u8], ih: &str) -> Address {
        let ih = InfoHash::from_hex(ih).unwrap();
        self.put(seed, salt, &torrent_value(&ih))
    }

    pub fn put(&self, seed: u8, salt: &[u8], value: &[u8]) -> Address {
        let secret = SecretKey::from_seed([seed; 32]);
        let key = secret.public();
        let target = Target(key.target(salt));
        let mut records = self.records.lock().unwrap();
        let before = records.remove(&target);
        let seq = before.as_ref().map_or(1, |row| row.item.seq + 1);
        let item = Mutable::sign(&secret, salt, seq, value).unwrap();
        let infohash = match item.meaning() {
            Meaning::Torrent(ih) => Some(ih),
            _ => None,
        };
        let seen = MAY + seq as u64 * 86_400;
        let mut history = vec![store::Version { seq, infohash, seen }];
        history.extend(before.iter().flat_map(|row| row.history.clone()));
        let row = RecordRow {
            item,
            owner: Owner::Visited,
            first_seen: before.map_or(seen, |row| row.first_seen),
            first_infohash: infohash,
            last_checked: seen,
            last_heard: seen,
            last_changed: seen,
            last_put: 0,
            last_copies: 8,
            history,
            conflict: None,
        };
        records.insert(target, row);
        Address::Key {
            key,
            salt: salt.to_vec(),
        }
    }

    pub async fn current(
        &self,
        address: &Address,
        local_only: bool,
        deadline: Instant,
    ) -> Result<Current, Error> {
        let mut address = address.clone();
        if let Address::Petname(name) | Address::Domain(name) = &address {
            let known = self.names.lock().unwrap().get(name).cloned();
            address =
                known.ok_or_else(|| Error::Unknown(format!("this home has no site called \"{name}\"")))?;
        }
        let mut current = Current {
            infohash: InfoHash([0; 20]),
            address: address.clone(),
            record: None,
            link: None,
            stale: false,
            newer: None,
            age_secs: *self.age_secs.lock().unwrap(),
        };
        match address {
            Address::Torrent(ih) => current.infohash = ih,
            Address::Key { key, salt } => {
                let target = Target(key.target(&salt));
                if self.blocked.lock().unwrap().contains(&target) {
                    return Err(Error::Blocked);
                }
                let row = self.records.lock().unwrap().get(&target).cloned();
                let Some(row) = row else {
                    return Err(self.nobody(target, local_only, deadline).await);
                };
                let Meaning::Torrent(ih) = row.item.meaning() else {
                    return Err(Error::NotASite(
                        "its publisher uses this key for something else".into(),
                    ));
                };
                current.infohash = ih;
                current.record = Some(Box::new(row));
            }
            _ => return Err(Error::Unknown("nobody named this".into())),
        }
        Ok(current)
    }

    async fn nobody(&self, target: Target, local_only: bool, deadline: Instant) -> Error {
        if local_only {
            return Error::NoRecord(target);
        }
        sleep_until(deadline).await;
        Error::Looking(target)
    }

    pub fn looked_again(&self) {
        *self.again.lock().unwrap() += 1;
    }

    pub fn versions(&self, current: &Current, held: impl Fn(&InfoHash) -> Held) -> Vec<Version> {
        let history = current.record.iter().flat_map(|row| row.history.clone());
        let version = |one: store::Version| Version {
            seq: Some(one.seq),
            infohash: one.infohash,
            seen: Some(one.seen),
            held: one.infohash.map_or(Held::Nothing, |ih| held(&ih)),
        };
        history.map(version).collect()
    }

    pub async fn item(&self, target: Target, local_only: bool, deadline: Instant) -> Result<Item, Error> {
        if let Some(row) = self.records.lock().unwrap().get(&target) {
            return Ok(Item::Mutable(Box::new(row.clone())));
        }
        let value = self.items.lock().unwrap().get(&target).cloned();
        match value {
            Some(value) => Ok(Item::Immutable(Bytes::from(value))),
            None => Err(self.nobody(target, local_only, deadline).await),
        }
    }
}
