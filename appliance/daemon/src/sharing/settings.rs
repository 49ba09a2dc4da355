//! What may be set, and what of it is nonsense.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::swarm::limits::{self, Caps, RATE_MIN, Rates, Schedule, Span};

/// Faster than any line; larger numbers are slips of the finger.
const RATE_MAX: u64 = 1_000_000_000_000;
const MONTHLY_MAX: u64 = 1_000_000_000_000_000_000;
/// Spans of hours: each day of a week may have a handful.
const SPANS_MAX: usize = 50;
const DAY: u16 = 24 * 60;

/// As the owner sets it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Others get what we hold. Off: no seeding, no announces, and our DHT node only asks (BEP 43).
    pub upload: bool,
    /// Bytes per second for everything together; 0: no limit.
    pub upload_bytes_per_sec: u64,
    pub download_bytes_per_sec: u64,
    /// Hours with other limits; the first entry that covers a minute decides.
    pub schedule: Vec<Hours>,
    /// Bytes given in a calendar month; 0: no limit. When they are used up, upload rests until the next month.
    pub monthly_bytes: u64,
}

/// Local time; `until` may lie before `from`: then it is on the next day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// On which days they begin; none named: on every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// `HH:MM`.
    pub from: String,
    /// `HH:MM`, up to `24:00`.
    pub until: String,
    pub upload_bytes_per_sec: u64,
    pub download_bytes_per_sec: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    pub const ALL: [Self; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];
}

impl Settings {
    /// A sentence about the first thing that cannot be.
    pub fn check(&self) -> Result<(), String> {
        check_rate("the upload limit", self.upload_bytes_per_sec)?;
        check_rate("the download limit", self.download_bytes_per_sec)?;
        if self.monthly_bytes > MONTHLY_MAX {
            return Err(format!(
                "a budget of {} bytes a month is more than anybody has",
                self.monthly_bytes
            ));
        }
        if self.schedule.len() > SPANS_MAX {
            return Err(format!("more than {SPANS_MAX} entries of hours are not kept"));
        }
        self.schedule.iter().try_for_each(Hours::check)
    }

    /// In the words of the swarm.
    pub fn limits(&self, caps: Caps) -> limits::Settings {
        limits::Settings {
            rates: Rates {
                up: self.upload_bytes_per_sec,
                down: self.download_bytes_per_sec,
            },
            caps,
            schedule: Schedule::new(self.schedule.iter().flat_map(Hours::spans).collect()),
        }
    }
}

impl Hours {
    fn check(&self) -> Result<(), String> {
        let read = |text: &str| {
            minutes(text).ok_or_else(|| format!("{text:?} is no time of day. Write it as 22:00."))
        };
        let (from, until) = (read(&self.from)?, read(&self.until)?);
        if from == DAY {
            return Err("hours begin at 23:59 at the latest; write 00:00 for midnight".into());
        }
        if from == until {
            return Err(format!(
                "from {} until {} is no time at all",
                self.from, self.until
            ));
        }
        if self.days.len() > Day::ALL.len() {
            return Err("a week has seven days".into());
        }
        check_rate("the upload limit of some hours", self.upload_bytes_per_sec)?;
        check_rate("the download limit of some hours", self.download_bytes_per_sec)
    }

    /// One per day, in minutes of the week. Nothing when it is not understood.
    fn spans(&self) -> Vec<Span> {
        let Some((from, until)) = minutes(&self.from).zip(minutes(&self.until)) else {
            return Vec::new();
        };
        let length = if until > from {
            until - from
        } else {
            until + DAY - from
        };
        let days = if self.days.is_empty() {
            &Day::ALL[..]
        } else {
            &self.days
        };
        let span = |day: &Day| {
            let begin = *day as u16 * DAY + from;
            Span {
                from: begin,
                until: (begin + length) % (7 * DAY),
                rates: Rates {
                    up: self.upload_bytes_per_sec,
                    down: self.download_bytes_per_sec,
                },
            }
        };
        days.iter().map(span).collect()
    }
}

/// `HH:MM` as minutes of the day, up to `24:00`.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str| text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(hours) || !digits(minutes) || minutes.len() != 2 {
        return None;
    }
    let all = hours.parse::<u16>().ok()? * 60 + minutes.parse::<u16>().ok().filter(|m| *m < 60)?;
    (all <= DAY).then_some(all)
}

fn check_rate(what: &str, rate: u64) -> Result<(), String> {
    match rate {
        0 | RATE_MIN..=RATE_MAX => Ok(()),
        rate if rate < RATE_MIN => Err(format!(
            "{what} of {rate} bytes per second is below {RATE_MIN}, the least that works; 0 means no limit"
        )),
        rate => Err(format!(
            "{what} of {rate} bytes per second is faster than any line; 0 means no limit"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(days: &[Day], from: &str, until: &str) -> Hours {
        Hours {
            days: days.to_vec(),
            from: from.into(),
            until: until.into(),
            upload_bytes_per_sec: 100_000,
            download_bytes_per_sec: 0,
        }
    }

    #[test]
    fn hours_become_minutes_of_the_week() {
        let spans = |hours: Hours| {
            hours
                .spans()
                .iter()
                .map(|s| (s.from, s.until))
                .collect::<Vec<_>>()
        };
        assert_eq!(spans(hours(&[Day::Tue], "7:05", "23:00")), [(1865, 2820)]);
        assert_eq!(spans(hours(&[Day::Sun], "22:30", "06:00")), [(9990, 360)]);
        assert_eq!(spans(hours(&[Day::Sun], "00:00", "24:00")), [(8640, 0)]);
        assert_eq!(spans(hours(&[], "01:00", "02:00")).len(), 7);
    }

    #[test]
    fn nonsense_is_refused_with_a_sentence_about_it() {
        for time in [
            "", "7", "7:5", "24:01", "12:60", "-1:00", "+7:00", "007:00", "ab:cd", "7:00:00", "７:00",
        ] {
            assert!(hours(&[], time, "06:00").check().is_err(), "{time:?}");
        }
        assert!(hours(&[], "24:00", "06:00").check().is_err());
        assert!(hours(&[], "06:00", "6:00").check().is_err());
        assert!(hours(&[], "06:00", "24:00").check().is_ok());
        let with = |up| Settings {
            upload_bytes_per_sec: up,
            ..Settings::default()
        };
        for rate in [1, RATE_MIN - 1, RATE_MAX + 1, u64::MAX] {
            assert!(with(rate).check().is_err(), "{rate}");
        }
        assert!(with(0).check().is_ok() && with(RATE_MIN).check().is_ok());
        let many = Settings {
            schedule: vec![hours(&[], "06:00", "07:00"); SPANS_MAX + 1],
            ..Settings::default()
        };
        assert!(many.check().is_err());
        let rich = Settings {
            monthly_bytes: u64::MAX,
            ..Settings::default()
        };
        assert!(rich.check().is_err());
    }

    #[test]
    fn the_swarm_is_told_in_its_own_words() {
        let settings = Settings {
            upload_bytes_per_sec: 500_000,
            schedule: vec![hours(&[Day::Mon], "00:00", "01:30")],
            ..Settings::default()
        };
        let limits = settings.limits(Caps::default());
        assert_eq!(limits.rates.up, 500_000);
        assert_eq!(limits.schedule.rates_at(89).map(|rates| rates.up), Some(100_000));
        assert_eq!(limits.schedule.rates_at(90), None);
    }
}
