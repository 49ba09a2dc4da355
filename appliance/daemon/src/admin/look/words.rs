//! Dates, sizes and counts as people read them. Dates are absolute: "yesterday" is wrong on a printed page.

use chrono::{DateTime, Local, TimeZone};
use maud::{Markup, html};
pub use proto::site::listing::{percent, size};
use store::UnixSecs;

/// `21 November 2026, 01:08` in the household's time zone; "never" for 0.
pub fn date(at: UnixSecs) -> Markup {
    match moment(at) {
        Some(at) => {
            html! { time datetime=(at.format("%Y-%m-%dT%H:%M%:z")) { (at.format("%-d %B %Y, %H:%M")) } }
        }
        None => html! { "never" },
    }
}

/// `21 Nov 2026`, for tables.
pub fn day(at: UnixSecs) -> Markup {
    match moment(at) {
        Some(at) => html! { time datetime=(at.format("%Y-%m-%d")) { (at.format("%-d %b %Y")) } },
        None => html! { "never" },
    }
}

/// `01:08:32`, for the log.
pub fn time(at: UnixSecs) -> String {
    moment(at).map_or_else(String::new, |at| at.format("%H:%M:%S").to_string())
}

fn moment(at: UnixSecs) -> Option<DateTime<Local>> {
    let secs = i64::try_from(at).ok().filter(|secs| *secs > 0)?;
    Local.timestamp_opt(secs, 0).single()
}

/// `1 file`, `3 files`.
pub fn count(n: u64, one: &str, many: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{} {many}", grouped(n))
    }
}

/// `1,234,567`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes per second.
pub fn rate(bytes_per_sec: u64) -> String {
    format!("{}/s", size(bytes_per_sec))
}

/// At most so many characters, cut with an ellipsis: strangers choose names.
pub fn short(text: &str, max: usize) -> String {
    if text.chars().nth(max).is_none() {
        return text.into();
    }
    let mut cut: String = text.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Bytes of a text on a page, where some characters are written as names.
pub fn weight(text: &str) -> usize {
    let one = |c: char| match c {
        '"' => 6,
        '&' => 5,
        '<' | '>' => 4,
        c => c.len_utf8(),
    };
    text.chars().map(one).sum()
}

/// Errors and states are written to be joined; here they stand alone.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let dot = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{dot}", letters.as_str())
}

/// A length of time, coarse: `3 days`, `2 hours`, `5 minutes`.
pub fn span(secs: u64) -> String {
    match secs {
        0..60 => count(secs, "second", "seconds"),
        60..5_400 => count(secs / 60, "minute", "minutes"),
        5_400..172_800 => count(secs.div_ceil(3_600).max(2), "hour", "hours"),
        _ => count(secs / 86_400, "day", "days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_out_and_zero_is_never() {
        let text = date(1_795_224_000).into_string();
        assert!(
            text.contains("2026, ") && text.contains("<time datetime=\"2026-"),
            "{text}"
        );
        assert_eq!(date(0).into_string(), "never");
        assert_eq!(date(u64::MAX).into_string(), "never");
    }

    #[test]
    fn names_of_strangers_are_cut_at_characters() {
        assert_eq!(short("ééé", 3), "ééé");
        assert_eq!(short("éééé", 3), "éé…");
        assert_eq!(short("", 3), "");
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(count(1, "piece", "pieces"), "1 piece");
        assert_eq!(count(400_000, "piece", "pieces"), "400,000 pieces");
        assert_eq!(
            [grouped(0), grouped(999), grouped(1_000), grouped(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn spans_are_coarse() {
        assert_eq!(span(1), "1 second");
        assert_eq!(span(90), "1 minute");
        assert_eq!(span(7_200), "2 hours");
        assert_eq!(span(3 * 86_400), "3 days");
    }
}
