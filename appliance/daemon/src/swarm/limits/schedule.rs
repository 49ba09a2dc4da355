//! Rates by the hour of the week: "slow while the family is awake". Pure.

use super::Rates;

/// Hours in a week.
const WEEK: u16 = 168;

/// Most spans kept; one per hour says everything that can be said.
const SPANS_MAX: usize = WEEK as usize;

/// Some hours of the week and the rates during them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First hour, 0..168; 0 is Monday 00:00 in the household's time.
    pub from: u16,
    /// The hour at which it ends; smaller than or equal to `from`: it runs over the week's end.
    pub until: u16,
    pub rates: Rates,
}

/// The first span that covers an hour decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    spans: Vec<Span>,
}

impl Schedule {
    /// Hours are taken modulo the week; spans past the 168th are dropped.
    pub fn new(mut spans: Vec<Span>) -> Self {
        spans.truncate(SPANS_MAX);
        for span in &mut spans {
            span.from %= WEEK;
            span.until %= WEEK;
        }
        Self { spans }
    }

    /// `None`: no span covers this hour.
    pub fn rates_at(&self, hour_of_week: u16) -> Option<Rates> {
        let hour = hour_of_week % WEEK;
        self.spans
            .iter()
            .find(|span| match span.from < span.until {
                true => (span.from..span.until).contains(&hour),
                false => hour >= span.from || hour < span.until,
            })
            .map(|span| span.rates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_span_that_covers_the_hour_decides() {
        let rates = |up| Rates { up, down: 0 };
        let span = |from, until, up| Span {
            from,
            until,
            rates: rates(up),
        };
        let schedule = Schedule::new(vec![span(8, 22, 1), span(0, 24, 2), span(160, 4, 3)]);
        let up = |hour| schedule.rates_at(hour).map(|r| r.up);
        assert_eq!(
            [7, 8, 21, 22, 23].map(up),
            [Some(2), Some(1), Some(1), Some(2), Some(2)]
        );
        assert_eq!(
            [24, 159, 160, 167, 168].map(up),
            [None, None, Some(3), Some(3), Some(2)]
        );
        assert_eq!(Schedule::default().rates_at(5), None);
        // A span whose end is its beginning covers the whole week.
        assert_eq!(Schedule::new(vec![span(5, 5, 9)]).rates_at(4), Some(rates(9)));
    }
}
