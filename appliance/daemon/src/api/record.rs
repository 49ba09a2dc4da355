//! The shape of a record: what pages and programs see of it.

use data_encoding::HEXLOWER;
use proto::{
    key::PublicKey,
    magnet::Magnet,
    name::{Address, TLD},
    record::{Meaning, meaning},
};
use schemars::JsonSchema;
use serde::Serialize;
use store::{Owner, RecordRow};

/// A record of a mutable address, and what is known about it. Times are Unix seconds; 0: never.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Record {
    /// Where the DHT keeps it, 40 hex digits.
    pub target: String,
    /// The publisher's key, 64 hex digits.
    pub key: String,
    /// Hex; empty when there is none.
    pub salt: String,
    pub seq: i64,
    /// The bencoded value and its signature, hex.
    pub value: String,
    pub sig: String,
    /// `torrent` (BEP 46), `packet` (a signed DNS packet) or `other`.
    pub holds: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infohash: Option<String>,
    pub magnet: String,
    /// Its host; none when no host fits its salt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// For whom it is kept: `me`, `followed` or `visited`.
    pub owner: &'static str,
    /// Nodes that held the newest number at the last look.
    pub copies: u32,
    /// The same in words.
    pub kept: String,
    pub first_seen: u64,
    pub last_checked: u64,
    pub last_heard: u64,
    pub last_changed: u64,
    pub last_put: u64,
    /// Newest first, the present one included.
    pub history: Vec<Version>,
    /// Another value under the same number: two worlds saw two things.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Other>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Version {
    pub seq: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infohash: Option<String>,
    pub seen: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Other {
    pub value: String,
    pub sig: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infohash: Option<String>,
    pub seen: u64,
}

impl From<&RecordRow> for Record {
    fn from(row: &RecordRow) -> Self {
        let item = &row.item;
        let (holds, infohash) = holds(&item.value);
        Self {
            target: item.target().to_string(),
            key: item.key.to_string(),
            salt: HEXLOWER.encode(&item.salt),
            seq: item.seq,
            value: HEXLOWER.encode(&item.value),
            sig: HEXLOWER.encode(&item.sig),
            holds,
            infohash,
            magnet: magnet(&item.key, &item.salt),
            host: host(&item.key, &item.salt),
            owner: match row.owner {
                Owner::Me => "me",
                Owner::Followed => "followed",
                Owner::Visited => "visited",
            },
            copies: row.last_copies,
            kept: kept(row.last_copies),
            first_seen: row.first_seen,
            last_checked: row.last_checked,
            last_heard: row.last_heard,
            last_changed: row.last_changed,
            last_put: row.last_put,
            history: row.history.iter().map(Version::from).collect(),
            conflict: row.conflict.as_ref().map(|conflict| Other {
                value: HEXLOWER.encode(&conflict.item.value),
                sig: HEXLOWER.encode(&conflict.item.sig),
                infohash: holds_torrent(&conflict.item.value),
                seen: conflict.seen,
            }),
        }
    }
}

impl From<&store::Version> for Version {
    fn from(version: &store::Version) -> Self {
        Self {
            seq: version.seq,
            infohash: version.infohash.map(|ih| ih.to_string()),
            seen: version.seen,
        }
    }
}

/// How well a record is kept, in words.
pub fn kept(copies: u32) -> String {
    match copies {
        0 => "no node was seen to hold it".into(),
        1 => "kept alive by 1 node".into(),
        copies => format!("kept alive by {copies} nodes"),
    }
}

/// What a value is, and the torrent it names.
pub fn holds(value: &[u8]) -> (&'static str, Option<String>) {
    match meaning(value) {
        Meaning::Torrent(ih) => ("torrent", Some(ih.to_string())),
        Meaning::Packet(_) => ("packet", None),
        Meaning::Other => ("other", None),
    }
}

fn holds_torrent(value: &[u8]) -> Option<String> {
    holds(value).1
}

/// How a key is written in a link.
pub fn magnet(key: &PublicKey, salt: &[u8]) -> String {
    let magnet = Magnet {
        key: Some(*key),
        salt: salt.to_vec(),
        ..Magnet::default()
    };
    magnet.to_string()
}

/// How a key is written in a browser.
pub fn host(key: &PublicKey, salt: &[u8]) -> Option<String> {
    let (key, salt) = (*key, salt.to_vec());
    Address::Key { key, salt }.host(TLD)
}
