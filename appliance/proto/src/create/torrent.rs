//! The `.torrent` file around an info dictionary.

use crate::bencode::Value;

/// What a `.torrent` file says besides the info dictionary; nothing of it changes the infohash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    pub trackers: Vec<String>,
    /// BEP 19: where the files lie on web servers.
    pub web_seeds: Vec<String>,
    pub comment: Option<String>,
    pub created_by: Option<String>,
    /// Seconds since 1970.
    pub created: Option<u64>,
}

/// Writes a `.torrent` file. The info dictionary is copied byte for byte: it is what the infohash covers. `raw_info`
/// must be one bencoded value, as every [`crate::metainfo::Torrent`] and [`super::Made`] holds it.
pub fn encode_torrent(raw_info: &[u8], extras: &Extras) -> Vec<u8> {
    let texts = |list: &[String]| list.iter().map(|text| Value::text(text)).collect::<Vec<_>>();
    let mut entries = vec![("info", Value::Raw(raw_info.to_vec()))];
    entries.extend(
        extras
            .trackers
            .first()
            .map(|first| ("announce", Value::text(first))),
    );
    if extras.trackers.len() > 1 {
        // One tier each: asked in this order.
        let tiers = texts(&extras.trackers)
            .into_iter()
            .map(|url| Value::List(vec![url]))
            .collect();
        entries.push(("announce-list", Value::List(tiers)));
    }
    if !extras.web_seeds.is_empty() {
        entries.push(("url-list", Value::List(texts(&extras.web_seeds))));
    }
    entries.extend(extras.comment.iter().map(|text| ("comment", Value::text(text))));
    entries.extend(
        extras
            .created_by
            .iter()
            .map(|text| ("created by", Value::text(text))),
    );
    let created = extras.created.and_then(|secs| i64::try_from(secs).ok());
    entries.extend(created.map(|secs| ("creation date", Value::Int(secs))));
    Value::dict(entries).encode()
}
