//! One line of the schedule: `mon-fri 7-23 up=100000 down=500000`.

/// Hours of a week and the rates during them, bytes per second; 0: no limit. A rate that is not given stays what it is
/// outside the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// First hour, 0..168; 0 is Monday 00:00 in the household's time.
    pub from: u16,
    /// The hour at which they end, 0..168; smaller than `from`: over the week's end.
    pub until: u16,
    pub up: Option<u64>,
    pub down: Option<u64>,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const WEEK: u16 = 168;

/// One entry per day; `None`: not understood. Days are `mon`, `mon-fri` or `daily`; hours are `7-23`, or `22-6` for a night
/// that ends on the next day.
pub fn parse(line: &str) -> Option<Vec<Hours>> {
    let mut words = line.split_whitespace();
    let days = days(words.next()?)?;
    let (from, until) = words.next()?.split_once('-')?;
    let (from, until): (u16, u16) = (from.parse().ok()?, until.parse().ok()?);
    if from > 23 || until > 24 || from == until {
        return None;
    }
    let (mut up, mut down) = (None, None);
    for word in words {
        let (name, rate) = word.split_once('=')?;
        let rate = Some(rate.parse().ok()?);
        match name {
            "up" => up = rate,
            "down" => down = rate,
            _ => return None,
        }
    }
    let span = |day: u16| Hours {
        from: day * 24 + from,
        until: (day * 24 + until + if until < from { 24 } else { 0 }) % WEEK,
        up,
        down,
    };
    (up.is_some() || down.is_some()).then(|| days.into_iter().map(span).collect())
}

fn days(text: &str) -> Option<Vec<u16>> {
    let day = |name: &str| DAYS.iter().position(|day| *day == name).map(|day| day as u16);
    if text == "daily" {
        return Some((0..7).collect());
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (day(first)?, day(last)?);
    // `sat-mon` runs over the week's end.
    let count = (last + 7 - first) % 7 + 1;
    Some((first..first + count).map(|day| day % 7).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_nights_become_hours_of_the_week() {
        let spans = |line| {
            parse(line).map(|all| {
                all.iter()
                    .map(|hours| (hours.from, hours.until))
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(spans("tue 7-23 up=1"), Some(vec![(31, 47)]));
        assert_eq!(
            spans("sat-mon 22-6 up=1"),
            Some(vec![(142, 150), (166, 6), (22, 30)])
        );
        assert_eq!(spans("sun 0-24 down=0"), Some(vec![(144, 0)]));
        assert_eq!(spans("daily 1-2 down=9").map(|all| all.len()), Some(7));
        let one = parse("mon 1-2 up=5").expect("a line")[0];
        assert_eq!((one.up, one.down), (Some(5), None));
    }

    #[test]
    fn what_is_not_understood_is_no_schedule() {
        for line in [
            "",
            "mon",
            "mon 7-23",
            "mon 7-7 up=1",
            "mon 7-25 up=1",
            "day 1-2 up=1",
            "mon 1-2 up=x",
            "mon 1-2 left=1",
            "mon 1 up=1",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }
}
