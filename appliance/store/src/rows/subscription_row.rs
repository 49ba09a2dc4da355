//! A subscription, and how it is written.

use proto::id::{InfoHash, Target};

use super::encode::{Row, put_list, put_texts, put_u32, put_u64};
use crate::{Error, UnixSecs, tables::put_text};

/// What became of one version's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionState {
    /// Larger than the quota: waits for the owner's word.
    Asking,
    /// Being fetched.
    Fetching,
    /// All of it is here.
    Here,
    /// Gave way to newer ones, or was removed.
    Gone,
    /// The owner said no.
    Declined,
}

/// A followed address. Which sequence number and history it has stands in its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Target of key and salt; for a linked domain, SHA-1 of `dl:` and the domain.
    pub id: Target,
    /// As `proto::name::Address` writes it as a host under the top-level name, or as a btpk magnet where no host fits.
    pub address: String,
    /// What the household calls it; empty: the torrent's own name.
    pub title: String,
    /// The name of the last version's torrent.
    pub name: String,
    pub added: UnixSecs,
    pub paused: bool,
    /// Blocked by the owner: not fetched, not served, not put.
    pub blocked: bool,
    /// Ask before a version larger than this is fetched; 0: the house's limit.
    pub quota_bytes: u64,
    /// Versions kept besides the present one and the pinned ones.
    pub keep_versions: u32,
    /// Never removed.
    pub pinned: Vec<InfoHash>,
    /// Newest first, at most 50: what became of each version.
    pub versions: Vec<(InfoHash, VersionState)>,
    /// The newest version that is all here: what readers get while a newer one is fetched.
    pub whole: Option<InfoHash>,
    /// Mirrors and peers from the pasted link.
    pub trackers: Vec<String>,
    pub last_checked: UnixSecs,
    /// When the publisher's record was last heard of.
    pub last_heard: UnixSecs,
    pub last_changed: UnixSecs,
    /// Seconds between looks, as `proto::feed::due` last decided.
    pub interval_secs: u64,
    /// Why the last look found nothing; empty: it did.
    pub trouble: String,
    pub failures: u32,
}

impl Subscription {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + 21 * self.versions.len());
        for text in [&self.address, &self.title, &self.name] {
            put_text(&mut out, text);
        }
        out.push(u8::from(self.paused) | u8::from(self.blocked) << 1);
        put_u64(&mut out, &[self.added, self.quota_bytes, self.last_changed]);
        put_u32(&mut out, self.keep_versions);
        let pinned: Vec<Vec<u8>> = self.pinned.iter().map(|ih| ih.0.to_vec()).collect();
        put_list(&mut out, 20, &pinned);
        let versions: Vec<Vec<u8>> = self.versions.iter().map(put_version).collect();
        put_list(&mut out, 21, &versions);
        out.push(u8::from(self.whole.is_some()));
        out.extend_from_slice(&self.whole.map_or([0; 20], |ih| ih.0));
        put_texts(&mut out, &self.trackers);
        out.extend_from_slice(&self.look());
        out
    }

    pub(super) fn decode(id: Target, raw: &[u8]) -> Result<Self, Error> {
        read(id, &mut Row(raw)).ok_or_else(|| Error::Damaged(format!("subscription {id}")))
    }

    /// What may be lost: how the last look went.
    pub(super) fn look(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + self.trouble.len());
        put_u64(
            &mut out,
            &[self.last_checked, self.last_heard, self.interval_secs],
        );
        put_u32(&mut out, self.failures);
        put_text(&mut out, &self.trouble);
        out
    }

    pub(super) fn apply_look(&mut self, look: &[u8]) {
        // A damaged look changes nothing that matters.
        let _ = read_look(&mut Row(look), self);
    }

    /// The same but for the last look.
    pub(super) fn same_but_look(&self, other: &Self) -> bool {
        let mut like = other.clone();
        like.apply_look(&self.look());
        *self == like
    }
}

fn read(id: Target, raw: &mut Row) -> Option<Subscription> {
    let (address, title, name) = (raw.text()?, raw.text()?, raw.text()?);
    let flags = raw.byte()?;
    let (added, quota_bytes, last_changed) = (raw.u64()?, raw.u64()?, raw.u64()?);
    let keep_versions = raw.u32()?;
    let pinned = raw.list(|entry| entry.array().map(InfoHash))?;
    let versions = raw.list(read_version)?;
    let has_whole = raw.byte()? == 1;
    let whole = InfoHash(raw.array()?);
    let mut row = Subscription {
        id,
        address,
        title,
        name,
        added,
        paused: flags & 1 != 0,
        blocked: flags & 2 != 0,
        quota_bytes,
        keep_versions,
        pinned,
        versions,
        whole: has_whole.then_some(whole),
        trackers: raw.texts()?,
        last_checked: 0,
        last_heard: 0,
        last_changed,
        interval_secs: 0,
        trouble: String::new(),
        failures: 0,
    };
    read_look(raw, &mut row)?;
    Some(row)
}

fn read_look(raw: &mut Row, row: &mut Subscription) -> Option<()> {
    let words = (raw.u64()?, raw.u64()?, raw.u64()?);
    (row.failures, row.trouble) = (raw.u32()?, raw.text()?);
    (row.last_checked, row.last_heard, row.interval_secs) = words;
    Some(())
}

/// The number stands on disk.
const STATES: [(u8, VersionState); 5] = [
    (1, VersionState::Asking),
    (2, VersionState::Fetching),
    (3, VersionState::Here),
    (4, VersionState::Gone),
    (5, VersionState::Declined),
];

fn put_version((ih, state): &(InfoHash, VersionState)) -> Vec<u8> {
    let byte = STATES.iter().find(|row| row.1 == *state).map_or(4, |row| row.0);
    [&ih.0[..], &[byte]].concat()
}

fn read_version(raw: &mut Row) -> Option<(InfoHash, VersionState)> {
    let ih = InfoHash(raw.array()?);
    let byte = raw.byte()?;
    // What a later release calls a state is fetched again when it is wanted.
    let state = STATES
        .iter()
        .find(|row| row.0 == byte)
        .map_or(VersionState::Gone, |row| row.1);
    Some((ih, state))
}
