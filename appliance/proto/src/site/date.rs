//! Days and hours in the words of headers and pages. Universal time: no page may depend on where the box stands.

use std::time::{Duration, UNIX_EPOCH};

/// `3 May 2026`.
pub fn day(unix_secs: u64) -> String {
    let text = header(unix_secs);
    let mut words = text.split(' ').skip(1);
    let (day, month, year) = (words.next(), words.next(), words.next());
    let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
    format!(
        "{} {} {}",
        word(day).trim_start_matches('0'),
        word(month),
        word(year)
    )
}

/// `3 May 2026, 14:05 UTC`.
pub fn minute(unix_secs: u64) -> String {
    let text = header(unix_secs);
    let time = text
        .split(' ')
        .nth(4)
        .and_then(|time| time.get(..5))
        .unwrap_or_default();
    format!("{}, {time} UTC", day(unix_secs))
}

/// As HTTP headers have it (RFC 9110 §5.6.7): `Sun, 03 May 2026 14:05:00 GMT`. Years after 9999 are shown as its last second.
pub fn header(unix_secs: u64) -> String {
    /// 9999-12-31T23:59:59Z: what comes after has no such form.
    const LAST: u64 = 253_402_300_799;
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(unix_secs.min(LAST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_three_forms() {
        assert_eq!(header(1_777_817_100), "Sun, 03 May 2026 14:05:00 GMT");
        assert_eq!(day(1_777_817_100), "3 May 2026");
        assert_eq!(minute(1_777_817_100), "3 May 2026, 14:05 UTC");
        assert_eq!(day(0), "1 Jan 1970");
        assert_eq!(day(u64::MAX), "31 Dec 9999");
    }
}
