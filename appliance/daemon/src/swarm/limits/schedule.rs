//! Rates by the minute of the week: "slow while the family is awake". Pure.

use super::Rates;

/// Minutes in a week.
const WEEK: u16 = 7 * 24 * 60;

/// Most spans kept: one for each hour of the week.
const SPANS_MAX: usize = 168;

/// A part of the week and the rates during it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First minute, 0..10080; 0 is Monday 00:00 in the household's time.
    pub from: u16,
    /// The minute at which it ends; smaller than or equal to `from`: it runs over the week's end.
    pub until: u16,
    pub rates: Rates,
}

/// The first span that covers a minute decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    spans: Vec<Span>,
}

impl Schedule {
    /// Minutes are taken modulo the week; spans past the 168th are dropped.
    pub fn new(mut spans: Vec<Span>) -> Self {
        spans.truncate(SPANS_MAX);
        for span in &mut spans {
            span.from %= WEEK;
            span.until %= WEEK;
        }
        Self { spans }
    }

    /// `None`: no span covers this minute.
    pub fn rates_at(&self, minute_of_week: u16) -> Option<Rates> {
        let minute = minute_of_week % WEEK;
        self.spans
            .iter()
            .find(|span| match span.from < span.until {
                true => (span.from..span.until).contains(&minute),
                false => minute >= span.from || minute < span.until,
            })
            .map(|span| span.rates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_span_that_covers_the_minute_decides() {
        let rates = |up| Rates { up, down: 0 };
        let span = |from, until, up| Span {
            from,
            until,
            rates: rates(up),
        };
        let schedule = Schedule::new(vec![span(8, 22, 1), span(0, 24, 2), span(10_072, 4, 3)]);
        let up = |hour| schedule.rates_at(hour).map(|r| r.up);
        assert_eq!(
            [7, 8, 21, 22, 23].map(up),
            [Some(2), Some(1), Some(1), Some(2), Some(2)]
        );
        assert_eq!(
            [24, 10_071, 10_072, 10_079, 10_080].map(up),
            [None, None, Some(3), Some(3), Some(2)]
        );
        assert_eq!(Schedule::default().rates_at(5), None);
        // A span whose end is its beginning covers the whole week.
        assert_eq!(Schedule::new(vec![span(5, 5, 9)]).rates_at(4), Some(rates(9)));
    }
}
