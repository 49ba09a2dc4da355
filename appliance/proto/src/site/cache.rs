//! Validators and ranges (RFC 9110 §8.8, §13, §14): what is unchanged, which part was asked for.

use crate::id::InfoHash;

/// `-ih` files, bytes as they are: the infohash is a hash of the content, so they never change.
pub const IMMUTABLE: &str = "public, max-age=29030400, immutable";
/// A folder page whose files are all held; a new release may draw it differently.
pub const LISTING: &str = "public, max-age=86400";
/// A folder page that shows progress: kept, but asked about each time.
pub const LISTING_GROWING: &str = "no-cache";
/// Errors, progress, administration.
pub const NEVER: &str = "no-store";

/// What a mutable address shows: asked about every minute, and shown while it is asked about.
pub const MUTABLE: &str = "public, max-age=60, stale-while-revalidate=86400";

/// Changes when the look of folder pages changes.
pub const LISTING_VERSION: u32 = 1;

/// How long a publisher's record is used without asking the network again, seconds: a minute just after a change, a quarter of
/// an hour when the last change is hours ago.
pub fn record_fresh_secs(since_change_secs: u64) -> u64 {
    (since_change_secs / 8).clamp(60, 900)
}

/// Strong: same infohash and file, same bytes, for ever.
pub fn file_etag(infohash: &InfoHash, file: usize) -> String {
    format!("\"{infohash}-{file}\"")
}

/// `key` is a checksum over everything a folder page shows besides the torrent itself: path, query, progress.
pub fn listing_etag(infohash: &InfoHash, key: u32) -> String {
    format!("\"DirIndex-{LISTING_VERSION}_{infohash}-{key:08x}\"")
}

/// Does `If-None-Match` hold `etag`? Weak comparison (RFC 9110 §13.1.2). At most 64 candidates are read.
pub fn none_match(header: &str, etag: &str) -> bool {
    header.trim() == "*"
        || header
            .split(',')
            .take(64)
            .map(|tag| tag.trim())
            .any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// May `Range` be honoured beside this `If-Range`? Strong comparison only; dates never match, since we send none.
pub fn if_range(header: Option<&str>, etag: &str) -> bool {
    header.is_none_or(|tag| tag.trim() == etag)
}

/// What a `Range` header means for a file of known length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// No range, another unit, or nonsense: RFC 9110 says to ignore it.
    Whole,
    /// Bytes `start .. start + len`; `len` ≥ 1.
    Part { start: u64, len: u64 },
    /// 416.
    Unsatisfiable,
}

/// More ranges in one header than any real reader sends: a flood, answered with the whole file.
const RANGES_MAX: usize = 16;

/// Reads `bytes=…`. Of several ranges the first satisfiable one is answered, as a single part: a server may send a subset
/// (RFC 9110 §14.2), and it keeps one request from costing more than one.
pub fn range(header: Option<&str>, total: u64) -> Range {
    let Some(list) = header.and_then(|text| text.trim().strip_prefix("bytes=")) else {
        return Range::Whole;
    };
    let mut first = None;
    let mut count = 0;
    for spec in list.split(',').map(str::trim).filter(|spec| !spec.is_empty()) {
        count += 1;
        let Some(one) = single(spec, total).filter(|_| count <= RANGES_MAX) else {
            return Range::Whole;
        };
        if first.is_none() && one != Range::Unsatisfiable {
            first = Some(one);
        }
    }
    match first {
        Some(part) => part,
        None if count > 0 => Range::Unsatisfiable,
        None => Range::Whole,
    }
}

/// One `a-b`, `a-` or `-n`; `None` when it breaks the grammar.
fn single(spec: &str, total: u64) -> Option<Range> {
    let (from, to) = spec.split_once('-')?;
    let (from, to) = (from.trim(), to.trim());
    if from.is_empty() {
        let len = number(to)?.min(total);
        return Some(if len == 0 {
            Range::Unsatisfiable
        } else {
            Range::Part {
                start: total - len,
                len,
            }
        });
    }
    let start = number(from)?;
    let last = if to.is_empty() { u64::MAX } else { number(to)? };
    if last < start {
        return None;
    }
    Some(if start >= total {
        Range::Unsatisfiable
    } else {
        let last = last.min(total - 1);
        Range::Part {
            start,
            len: last - start + 1,
        }
    })
}

/// Decimal digits only; beyond 2^64 counts as "to the end", which is what it means.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Does `Cache-Control` of a request hold this directive?
pub fn directive(header: &str, name: &str) -> bool {
    header
        .split(',')
        .any(|part| part.trim().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(start: u64, len: u64) -> Range {
        Range::Part { start, len }
    }

    #[test]
    fn a_range_is_read_as_rfc_9110_says() {
        for (text, want) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-", part(0, 100)),
            ("bytes=99-", part(99, 1)),
            ("bytes=10-19", part(10, 10)),
            ("bytes=10-1000", part(10, 90)),
            ("bytes=-1", part(99, 1)),
            ("bytes=-1000", part(0, 100)),
            ("bytes=5-99999999999999999999999", part(5, 95)),
            (" bytes=0-1 ", part(0, 2)),
            ("bytes=100-", Range::Unsatisfiable),
            ("bytes=-0", Range::Unsatisfiable),
            ("bytes=99999999999999999999999-", Range::Unsatisfiable),
            ("bytes=200-300,400-500", Range::Unsatisfiable),
            ("bytes=0-1,5-6", part(0, 2)),
            ("bytes=200-,5-6", part(5, 2)),
            ("bytes=5-4", Range::Whole),
            ("bytes=a-b", Range::Whole),
            ("bytes=-", Range::Whole),
            ("bytes=", Range::Whole),
            ("bytes=1", Range::Whole),
            ("bytes=+1-2", Range::Whole),
            ("bytes=0x1-2", Range::Whole),
            ("items=0-1", Range::Whole),
            ("", Range::Whole),
        ] {
            assert_eq!(range(Some(text), 100), want, "{text:?}");
        }
        assert_eq!(range(None, 100), Range::Whole);
        assert_eq!(range(Some("bytes=0-"), 0), Range::Unsatisfiable);
        let flood = format!("bytes={}", "0-0,".repeat(17));
        assert_eq!(range(Some(&flood), 100), Range::Whole);
    }

    #[test]
    fn a_record_stays_fresh_for_a_minute_up_to_a_quarter_of_an_hour() {
        for (since_change, fresh) in [(0, 60), (480, 60), (960, 120), (7_200, 900), (u64::MAX, 900)] {
            assert_eq!(record_fresh_secs(since_change), fresh, "{since_change}");
        }
    }

    #[test]
    fn validators_compare_as_rfc_9110_says() {
        let hash = InfoHash([0xab; 20]);
        let tag = file_etag(&hash, 3);
        assert_eq!(tag, format!("\"{}-3\"", "ab".repeat(20)));
        assert!(none_match(&tag, &tag));
        assert!(none_match(&format!("\"x\", W/{tag}"), &tag));
        assert!(none_match("*", &tag));
        assert!(!none_match("\"x\"", &tag));
        assert!(if_range(None, &tag));
        assert!(if_range(Some(&tag), &tag));
        assert!(!if_range(Some(&format!("W/{tag}")), &tag));
        assert!(!if_range(Some("Wed, 21 Oct 2015 07:28:00 GMT"), &tag));
        assert!(listing_etag(&hash, 7).starts_with("\"DirIndex-1_abab"));
        assert!(directive("max-age=0, Only-If-Cached", "only-if-cached"));
        assert!(!directive("max-age=0", "only-if-cached"));
    }
}
