//! The shapes of what is followed.

use proto::{feed::changes::Changes, id::InfoHash, name::Address};
use schemars::JsonSchema;
use serde::Serialize;
use store::{Owner, RecordRow, SiteRow, VersionState};

use crate::feeds::{Preview, View, address_text};

/// What a pasted text opens. Fields that are not known are left out.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PreviewView {
    /// A host, or a magnet where no host fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// `key`, `torrent`, `item`, `domain` or `name`.
    pub kind: &'static str,
    /// Its subscription, followed already or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infohash: Option<String>,
    /// The torrent's own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    pub held_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<usize>,
    /// Addresses named as peers while we looked.
    pub peers: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordView>,
    /// Domains on the way, and whether the answer was signed (DNSSEC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkView>,
    /// Followed, or for a torrent kept, already.
    pub followed: bool,
    /// It may change, so it can be followed; else it can be kept.
    pub changes: bool,
    /// Following will ask before it downloads so much.
    pub asks: bool,
    /// Why there is less than hoped, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Asking again soon may tell more.
    pub unfinished: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct LinkView {
    pub via: Vec<String>,
    pub signed: bool,
    pub ttl_secs: u32,
}

/// What is known of a publisher's record.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecordView {
    pub seq: i64,
    pub first_seen: u64,
    pub last_changed: u64,
    /// Versions seen, the present one included.
    pub versions: usize,
    /// Nodes that had it at the last look.
    pub copies: u32,
    /// `me`, `followed` or `visited`.
    pub owner: &'static str,
    /// The key has signed two things under one number.
    pub conflict: bool,
}

impl From<&RecordRow> for RecordView {
    fn from(row: &RecordRow) -> Self {
        Self {
            seq: row.item.seq,
            first_seen: row.first_seen,
            last_changed: row.last_changed,
            versions: row.history.len(),
            copies: row.last_copies,
            owner: match row.owner {
                Owner::Me => "me",
                Owner::Followed => "followed",
                Owner::Visited => "visited",
            },
            conflict: row.conflict.is_some(),
        }
    }
}

impl From<Preview> for PreviewView {
    fn from(preview: Preview) -> Self {
        Self {
            address: address_text(&preview.address),
            kind: match preview.address {
                Address::Key { .. } => "key",
                Address::Torrent(_) | Address::TorrentV2(_) => "torrent",
                Address::Item(_) => "item",
                Address::Domain(_) => "domain",
                Address::Petname(_) => "name",
            },
            id: preview.id.map(|id| id.to_string()),
            infohash: preview.infohash.map(|ih| ih.to_string()),
            name: preview.name,
            bytes: preview.bytes,
            held_bytes: preview.held_bytes,
            files: preview.files,
            peers: preview.peers,
            record: preview.record.as_deref().map(Into::into),
            link: preview.link.map(|link| LinkView {
                via: link.via,
                signed: link.signed,
                ttl_secs: link.ttl_secs,
            }),
            followed: preview.followed,
            changes: preview.changes,
            asks: preview.asks,
            trouble: preview.trouble,
            unfinished: preview.unfinished,
        }
    }
}

/// A subscription. Times are seconds since 1970; 0: never.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SubscriptionView {
    pub id: String,
    /// A host, or a magnet where no host fits.
    pub address: String,
    /// What the household calls it; empty: the torrent's own name counts.
    pub title: String,
    /// The torrent's own name.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub petname: Option<String>,
    /// `blocked`, `paused`, `never-seen`, `asking`, `updating`, `silent`, `not-a-site` or `up-to-date`.
    pub state: &'static str,
    /// The same as a sentence, with a warning when there is one.
    pub words: String,
    /// Why the last look found less than hoped; empty: it did not.
    pub trouble: String,
    pub paused: bool,
    pub blocked: bool,
    /// 0: the house's limit.
    pub quota_bytes: u64,
    pub keep_versions: u32,
    pub pinned: Vec<String>,
    /// The newest version, and the newest one that is all here, which readers get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    pub held_bytes: u64,
    pub peers: u32,
    pub added: u64,
    pub last_checked: u64,
    pub last_heard: u64,
    pub last_changed: u64,
    /// Left out while it is paused or blocked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_look: Option<u64>,
    /// It is being looked at now.
    pub looking: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordView>,
}

impl From<View> for SubscriptionView {
    fn from(view: View) -> Self {
        let row = view.row;
        Self {
            id: row.id.to_string(),
            address: row.address,
            title: row.title,
            name: row.name,
            petname: view.petname,
            state: view.state.word(),
            words: view.words,
            trouble: row.trouble,
            paused: row.paused,
            blocked: row.blocked,
            quota_bytes: row.quota_bytes,
            keep_versions: row.keep_versions,
            pinned: row.pinned.iter().map(ToString::to_string).collect(),
            newest: row.versions.first().map(|(ih, _)| ih.to_string()),
            whole: row.whole.map(|ih| ih.to_string()),
            bytes: view.bytes,
            held_bytes: view.held_bytes,
            peers: view.peers,
            added: row.added,
            last_checked: row.last_checked,
            last_heard: row.last_heard,
            last_changed: row.last_changed,
            next_look: (view.next_look != u64::MAX).then_some(view.next_look),
            looking: view.looking,
            record: view.record.as_deref().map(Into::into),
        }
    }
}

/// One version of a subscription.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VersionView {
    pub infohash: String,
    /// `asking`, `fetching`, `here`, `gone`, `declined`, or `unknown`: seen, and never fetched by us.
    pub state: &'static str,
    /// Its number and when it was first seen, as far as the record's history goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    pub pinned: bool,
    /// Readers get this one.
    pub shown: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Pieces of it that are here, and all of them.
    pub held: u32,
    pub pieces: u32,
}

impl VersionView {
    pub fn new(
        ih: InfoHash,
        state: Option<VersionState>,
        seen: Option<(i64, u64)>,
        pinned: bool,
        shown: bool,
        site: Option<SiteRow>,
    ) -> Self {
        Self {
            infohash: ih.to_string(),
            state: match state {
                Some(VersionState::Asking) => "asking",
                Some(VersionState::Fetching) => "fetching",
                Some(VersionState::Here) => "here",
                Some(VersionState::Gone) => "gone",
                Some(VersionState::Declined) => "declined",
                None => "unknown",
            },
            seq: seen.map(|(seq, _)| seq),
            seen: seen.map(|(_, at)| at),
            pinned,
            shown,
            bytes: site.as_ref().map(|site| site.total),
            held: site.as_ref().map_or(0, |site| site.held),
            pieces: site.map_or(0, |site| site.pieces),
        }
    }
}

/// A file and its length.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FileView {
    pub path: String,
    pub bytes: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct ChangedView {
    pub path: String,
    pub old_bytes: u64,
    pub new_bytes: u64,
}

/// What changed between two versions.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChangesView {
    pub added: Vec<FileView>,
    pub removed: Vec<FileView>,
    pub changed: Vec<ChangedView>,
    /// As long as before; whether they changed cannot be told from what is here.
    pub perhaps: Vec<FileView>,
    /// So many more changes are not listed.
    pub more: usize,
}

impl From<Changes> for ChangesView {
    fn from(changes: Changes) -> Self {
        let files = |list: Vec<(String, u64)>| {
            let file = |(path, bytes)| FileView { path, bytes };
            list.into_iter().map(file).collect()
        };
        let changed = changes.changed.into_iter();
        Self {
            added: files(changes.added),
            removed: files(changes.removed),
            changed: changed
                .map(|(path, old_bytes, new_bytes)| ChangedView {
                    path,
                    old_bytes,
                    new_bytes,
                })
                .collect(),
            perhaps: files(changes.perhaps),
            more: changes.more,
        }
    }
}

/// A name the household gave.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PetnameView {
    pub name: String,
    pub address: String,
}

impl From<(String, String)> for PetnameView {
    fn from((name, address): (String, String)) -> Self {
        Self { name, address }
    }
}
