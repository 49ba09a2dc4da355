//! What a subscription's state is, in words for people and a word for programs.

use std::time::{Duration, UNIX_EPOCH};

use crate::site::listing::size;

/// So many looks in a row without a record, and the publisher counts as silent; one alone may be our own line.
pub const SILENT_LOOKS: u32 = 2;

/// A publisher of whom there was no sign for so long is silent even though the record is found: we keep it alive. A week
/// is no pause of a computer that sleeps at night, and time enough to see a put that was not ours.
const SILENT_SECS: u64 = 7 * 86_400;

/// In the order in which one hides another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Blocked,
    Paused,
    /// No record was ever found.
    NeverSeen,
    /// A version of so many bytes waits for the owner's word.
    Asking {
        bytes: u64,
    },
    Updating {
        percent: u8,
    },
    /// The publisher was last heard of at this time (Unix seconds).
    Silent {
        since: u64,
    },
    /// The record holds something that is no site.
    NotASite,
    UpToDate,
}

/// What the state is made of.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub blocked: bool,
    pub paused: bool,
    /// A record, or a version, was ever found.
    pub seen: bool,
    /// Bytes of the version that waits for the owner's word.
    pub asking: Option<u64>,
    /// How much of the version being fetched is here, percent.
    pub fetching: Option<u8>,
    /// When the publisher was last heard of, and when the network last answered a look, Unix seconds.
    pub last_heard: u64,
    pub last_checked: u64,
    /// Looks in a row that found no record although the network answered.
    pub failures: u32,
    /// The record holds something that is no site.
    pub not_a_site: bool,
}

impl State {
    pub fn of(facts: &Facts) -> Self {
        // Not by today's date: a box that was off for a month has not looked, and silence is what a look finds.
        let quiet = facts.last_checked.saturating_sub(facts.last_heard);
        let silent = facts.failures >= SILENT_LOOKS || quiet > SILENT_SECS;
        match facts {
            Facts { blocked: true, .. } => State::Blocked,
            Facts { paused: true, .. } => State::Paused,
            Facts { seen: false, .. } => State::NeverSeen,
            Facts {
                asking: Some(bytes), ..
            } => State::Asking { bytes: *bytes },
            Facts {
                fetching: Some(percent),
                ..
            } => State::Updating { percent: *percent },
            _ if silent => State::Silent {
                since: facts.last_heard,
            },
            Facts { not_a_site: true, .. } => State::NotASite,
            _ => State::UpToDate,
        }
    }

    /// One word for programs: `blocked`, `paused`, `never-seen`, `asking`, `updating`, `silent`, `not-a-site`, `up-to-date`.
    pub fn word(&self) -> &'static str {
        match self {
            State::Blocked => "blocked",
            State::Paused => "paused",
            State::NeverSeen => "never-seen",
            State::Asking { .. } => "asking",
            State::Updating { .. } => "updating",
            State::Silent { .. } => "silent",
            State::NotASite => "not-a-site",
            State::UpToDate => "up-to-date",
        }
    }

    /// For people: begins with a small letter and has no full stop.
    pub fn words(&self) -> String {
        match self {
            State::Blocked => "blocked".into(),
            State::Paused => "paused".into(),
            State::NeverSeen => "never seen".into(),
            State::Asking { bytes } => format!("asks: the new version has {}", size(*bytes)),
            State::Updating { percent } => format!("updating {percent} %"),
            State::Silent { since: 0 } => "publisher silent".into(),
            State::Silent { since } => format!("publisher silent since {}", day(*since)),
            State::NotASite => "this address holds something that is no site".into(),
            State::UpToDate => "up to date".into(),
        }
    }
}

/// `3 May 2026`, by UTC. Times past the year 9999 are shown as that year's last day.
pub fn day(secs: u64) -> String {
    const LAST: u64 = 253_402_300_799;
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(secs.min(LAST)));
    // "Sun, 03 May 2026 10:00:00 GMT" (RFC 9110 §5.6.7) has each part at its place.
    let mut parts = date.split(' ').skip(1);
    let mut part = || parts.next().unwrap_or_default();
    let (day, month, year) = (part(), part(), part());
    let month = MONTHS
        .iter()
        .find(|name| name.starts_with(month))
        .unwrap_or(&month);
    format!("{} {month} {year}", day.trim_start_matches('0'))
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAY: u64 = 1_777_788_000;

    fn good() -> Facts {
        Facts {
            seen: true,
            last_heard: MAY,
            last_checked: MAY,
            ..Facts::default()
        }
    }

    #[test]
    fn every_state_has_its_sentence() {
        let says = |facts: Facts| State::of(&facts).words();
        assert_eq!(says(Facts::default()), "never seen");
        assert_eq!(says(good()), "up to date");
        let (fetching, failures, asking) = (Some(43), 2, Some(1_200_000_000));
        let (blocked, paused, not_a_site) = (true, true, true);
        assert_eq!(says(Facts { fetching, ..good() }), "updating 43 %");
        let silent = says(Facts { failures, ..good() });
        assert_eq!(silent, "publisher silent since 3 May 2026");
        assert_eq!(says(Facts { blocked, ..good() }), "blocked");
        assert_eq!(says(Facts { paused, ..good() }), "paused");
        let asks = says(Facts { asking, ..good() });
        assert_eq!(asks, "asks: the new version has 1.2 GB");
        let other = says(Facts { not_a_site, ..good() });
        assert_eq!(other, "this address holds something that is no site");
    }

    #[test]
    fn one_look_without_an_answer_is_not_silence_and_a_week_without_the_publisher_is() {
        assert_eq!(
            State::of(&Facts {
                failures: 1,
                ..good()
            }),
            State::UpToDate
        );
        let looked = |secs| {
            State::of(&Facts {
                last_checked: MAY + secs,
                ..good()
            })
        };
        assert_eq!(looked(7 * 86_400), State::UpToDate);
        assert_eq!(looked(7 * 86_400 + 1), State::Silent { since: MAY });
    }

    #[test]
    fn what_the_owner_decided_hides_what_the_network_says() {
        let all = Facts {
            blocked: true,
            paused: true,
            asking: Some(1),
            fetching: Some(1),
            failures: 9,
            not_a_site: true,
            ..Facts::default()
        };
        assert_eq!(State::of(&all), State::Blocked);
        let unblocked = Facts {
            blocked: false,
            ..all
        };
        assert_eq!(State::of(&unblocked), State::Paused);
        let running = Facts {
            paused: false,
            ..unblocked
        };
        assert_eq!(State::of(&running), State::NeverSeen);
    }

    #[test]
    fn days_are_written_as_people_write_them() {
        assert_eq!(day(0), "1 January 1970");
        assert_eq!(day(MAY), "3 May 2026");
        assert_eq!(day(951_782_400), "29 February 2000");
        assert_eq!(day(u64::MAX), "31 December 9999");
    }

    proptest! {
        #[test]
        fn no_facts_are_without_words(
            bits in any::<u8>(), bytes in any::<u64>(), percent in any::<u8>(), heard in any::<u64>(),
            failures in any::<u32>(), checked in any::<u64>(),
        ) {
            let bit = |n: u8| bits & (1 << n) != 0;
            let facts = Facts {
                blocked: bit(0),
                paused: bit(1),
                seen: bit(2),
                asking: bit(3).then_some(bytes),
                fetching: bit(4).then_some(percent),
                last_heard: heard,
                last_checked: checked,
                failures,
                not_a_site: bit(5),
            };
            let state = State::of(&facts);
            prop_assert!(!state.words().is_empty());
            prop_assert!(state.word().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
        }
    }
}
