//! A version that a reader came to by a key, a domain or a name: its headers, and its place in the history.

use hyper::header::{self, HeaderName, HeaderValue};
use proto::{
    id::InfoHash,
    key::PublicKey,
    name::{Address, Domains, Host},
    site::{cache, date},
};
use store::RecordRow;

use super::reply::{self, Ask, Reply};
use crate::sites::Current;

const CREDENTIALS: HeaderName = header::ACCESS_CONTROL_ALLOW_CREDENTIALS;

/// How the reader came to the version shown.
pub struct Shown {
    pub current: Current,
    /// An earlier version, asked for by `?btlink-version=`.
    pub old: Option<InfoHash>,
}

impl Shown {
    /// The version to show.
    pub fn infohash(&self) -> InfoHash {
        self.old.unwrap_or(self.current.infohash)
    }

    fn record(&self) -> Option<&RecordRow> {
        self.current.record.as_deref()
    }

    /// `The publisher's record number 7, of 3 May 2026, was found.`
    pub fn found(&self) -> Option<String> {
        let row = self.record()?;
        let wanted = self.infohash();
        let one = row.history.iter().find(|one| one.infohash == Some(wanted));
        let (seq, seen) = one.map_or((row.item.seq, row.last_changed), |one| (one.seq, one.seen));
        Some(format!(
            "The publisher's record number {seq}, of {}, was found.",
            date::day(seen)
        ))
    }

    /// The torrent before this one in the history.
    pub fn before(&self, wanted: InfoHash) -> Option<InfoHash> {
        let history = &self.record()?.history;
        let at = history.iter().position(|one| one.infohash == Some(wanted))?;
        let mut before = history[at + 1..].iter().filter_map(|one| one.infohash);
        before.find(|ih| *ih != wanted)
    }

    /// Makes an answer for an infohash one for an address that changes.
    pub fn dress(&self, reply: &mut Reply, ask: &Ask<'_>, domains: &Domains, base: &str) {
        let headers = reply.headers_mut();
        let lasting = [cache::IMMUTABLE, cache::LISTING].map(HeaderValue::from_static);
        let kept = headers.get(header::CACHE_CONTROL);
        if kept.is_some_and(|kept| lasting.contains(kept)) {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache::MUTABLE));
            if self.record().is_some() {
                headers.insert(header::AGE, HeaderValue::from(self.current.age_secs));
            }
        }
        if let Some(row) = self.record() {
            let shown = row
                .history
                .iter()
                .find(|one| one.infohash == Some(self.infohash()));
            let seq = shown.map_or(row.item.seq, |one| one.seq);
            headers.insert(reply::X_BT_SEQ, HeaderValue::from(seq));
            let checked = date::header(row.last_checked.max(row.last_changed));
            headers.insert(reply::X_BT_CHECKED, reply::value(&checked));
        }
        if let Some(links) = headers.get(header::LINK).and_then(|value| value.to_str().ok()) {
            let links = self.links(links, ask.path(), base);
            headers.insert(header::LINK, reply::value(&links));
        }
        self.allow(reply, ask, domains);
    }

    /// The magnet names the key too; the versions before and after are named (RFC 5829).
    fn links(&self, of_torrent: &str, path: &str, base: &str) -> String {
        let Address::Key { key, salt } = &self.current.address else {
            return of_torrent.to_owned();
        };
        let magnet = format!("magnet:?{}&xt=urn:btih:", key_query(key, salt));
        let mut links = of_torrent.replacen("magnet:?xt=urn:btih:", &magnet, 1);
        if let Some(before) = self.before(self.infohash()) {
            links += &format!(", <{}>; rel=\"predecessor-version\"", version_link(path, &before));
        }
        if self.old.is_some() {
            links += &format!(", <{path}>; rel=\"latest-version\"");
        }
        links
            + &format!(
                ", <{base}/.{}/versions>; rel=\"version-history\"",
                proto::name::TLD
            )
    }

    /// Adds what is known of the record to a description.
    pub fn tell(&self, value: &mut serde_json::Value) {
        let current = &self.current;
        if let Address::Key { key, salt } = &current.address {
            value["key"] = data_encoding::HEXLOWER.encode(&key.0).into();
            value["salt"] = data_encoding::HEXLOWER.encode(salt).into();
            value["magnet"] = format!("magnet:?{}", key_query(key, salt)).into();
        }
        value["newer"] = current.newer.map(|ih| ih.to_string()).into();
        value["stale"] = current.stale.into();
        if let Some(link) = &current.link {
            value["via"] = link.via.clone().into();
            value["dnssec"] = link.signed.into();
        }
        let Some(row) = self.record() else { return };
        let wanted = self.infohash();
        let one = row.history.iter().find(|one| one.infohash == Some(wanted));
        value["seq"] = one.map_or(row.item.seq, |one| one.seq).into();
        value["newest_seq"] = row.item.seq.into();
        for (name, time) in [
            ("first_seen", row.first_seen),
            ("last_checked", row.last_checked),
            ("last_heard", row.last_heard),
            ("last_changed", row.last_changed),
        ] {
            value[name] = time.into();
        }
        value["copies"] = row.last_copies.into();
        value["conflict"] = row.conflict.as_ref().map(|other| other.item.seq).into();
    }

    fn allow(&self, reply: &mut Reply, ask: &Ask<'_>, domains: &Domains) {
        let Address::Key { key, .. } = &self.current.address else {
            return;
        };
        allow_same_key(reply, ask, key, domains);
    }
}

/// Who may read the answer with credentials: pages of the same key, which its owner wrote (salted or not). All others read
/// it without.
pub fn allow_same_key(reply: &mut Reply, ask: &Ask<'_>, key: &PublicKey, domains: &Domains) {
    let headers = reply.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let origin = ask.parts.headers.get(header::ORIGIN);
    let same = origin
        .and_then(|origin| origin.to_str().ok())
        .is_some_and(|origin| is_of_key(origin, key, domains));
    if let Some(origin) = origin.filter(|_| same) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(CREDENTIALS, HeaderValue::from_static("true"));
    }
}

fn is_of_key(origin: &str, key: &PublicKey, domains: &Domains) -> bool {
    let host = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    let read = host.and_then(|host| domains.read(host).ok());
    matches!(read, Some(Host::Site { address: Address::Key { key: theirs, .. }, .. }) if theirs == *key)
}

/// `xs=urn:btpk:<hex>[&s=<hex>]`.
pub fn key_query(key: &PublicKey, salt: &[u8]) -> String {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    match salt {
        [] => format!("xs=urn:btpk:{}", hex(&key.0)),
        salt => format!("xs=urn:btpk:{}&s={}", hex(&key.0), hex(salt)),
    }
}

/// The same page in another version.
pub fn version_link(path: &str, ih: &InfoHash) -> String {
    format!("{path}?btlink-version={ih}")
}
