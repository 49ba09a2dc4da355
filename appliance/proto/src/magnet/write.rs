//! From a [`Magnet`] to text that every client reads.

use std::fmt;

use data_encoding::HEXLOWER;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Magnet;

/// Unreserved characters stay (RFC 3986 2.3), and `:` and `/`, which a query may hold and which keep addresses readable.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'/');

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<(&str, String)> = Vec::new();
        parts.extend(
            self.infohash
                .iter()
                .map(|hash| ("xt", format!("urn:btih:{hash}"))),
        );
        let v2 = self.infohash_v2.iter();
        parts.extend(v2.map(|hash| ("xt", format!("urn:btmh:1220{}", HEXLOWER.encode(hash)))));
        if let Some(key) = self.key {
            parts.push(("xs", format!("urn:btpk:{key}")));
            if !self.salt.is_empty() {
                parts.push(("s", HEXLOWER.encode(&self.salt)));
            }
        }
        parts.extend(self.name.iter().map(|name| ("dn", name.clone())));
        let lists = [
            ("tr", &self.trackers),
            ("ws", &self.web_seeds),
            ("xs", &self.sources),
        ];
        for (key, list) in lists {
            parts.extend(list.iter().map(|value| (key, value.clone())));
        }
        parts.extend(self.peers.iter().map(|peer| ("x.pe", peer.to_string())));
        if !self.select.is_empty() {
            let ranges: Vec<String> = self.select.iter().map(range).collect();
            // Commas are the format's own and every reader splits before it unescapes or after: left as they are.
            return write_parts(f, &parts).and_then(|()| write!(f, "&so={}", ranges.join(",")));
        }
        write_parts(f, &parts)
    }
}

fn write_parts(f: &mut fmt::Formatter<'_>, parts: &[(&str, String)]) -> fmt::Result {
    for (place, (key, value)) in parts.iter().enumerate() {
        let mark = if place == 0 { "magnet:?" } else { "&" };
        write!(f, "{mark}{key}={}", utf8_percent_encode(value, ESCAPED))?;
    }
    Ok(())
}

fn range(range: &std::ops::RangeInclusive<u32>) -> String {
    if range.start() == range.end() {
        range.start().to_string()
    } else {
        format!("{}-{}", range.start(), range.end())
    }
}
