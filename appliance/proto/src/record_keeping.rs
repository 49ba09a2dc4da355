//! Keeping records alive in the DHT (BEP 44, 46): nodes forget an item after two hours, so whoever is interested in it puts
//! it again, byte for byte and without its key. Here: when that is due, when others do it already, and in which order all
//! records are put after a start.

use std::ops::Range;

use crate::id::Target;

/// Copies beyond which a subscriber may rest (BEP 44: "more than 8 copies").
pub const COPIES_ENOUGH: usize = 8;

/// Seconds between two puts of one record: an hour, give or take a fifth, so that those of one start drift apart. The longest
/// one leaves time for a second try before nodes forget.
pub const PUT_EVERY: Range<u64> = 2_880..4_321;

/// Seconds until the next try when no node took it.
pub const RETRY: Range<u64> = 240..361;

/// Seconds between two put-backs of one record: a node that shows an old number for ever must not make us put for ever.
pub const PUT_BACK_PAUSE: u64 = 600;

/// Why we keep a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// The household signed it: put every hour, whatever others do.
    Ours,
    /// The household follows it: put when others do not.
    Followed,
}

/// What a look at the network found, as far as it decides whether we put.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// The highest number of a checked record.
    pub seq: Option<i64>,
    /// Nodes that hold that number.
    pub copies: usize,
    /// Every eligible one of the (up to 8) closest nodes holds it.
    pub closest_have_it: bool,
    /// Some node holds a lower number.
    pub older_seen: bool,
}

/// BEP 44's three conditions, all of them: more than 8 copies; the 8 closest nodes have it; only nodes with the newest known
/// number count. `seq` is the number we keep.
pub fn others_keep_it(seq: i64, found: &Found) -> bool {
    found.seq == Some(seq) && found.copies > COPIES_ENOUGH && found.closest_have_it
}

/// Whether the network is behind us: nodes show a lower number than ours, which stands.
pub fn network_is_behind(seq: i64, found: &Found) -> bool {
    found.older_seen || found.seq.is_some_and(|theirs| theirs < seq)
}

/// What a look changes about the next put. `last_put` and the result are seconds of the same clock; `None`: what was planned
/// stands.
pub fn replan(
    interest: Interest,
    seq: i64,
    found: &Found,
    last_put: u64,
    now: u64,
    random: u32,
) -> Option<u64> {
    if network_is_behind(seq, found) {
        return (last_put.saturating_add(PUT_BACK_PAUSE) <= now).then_some(now);
    }
    let rests = interest == Interest::Followed && others_keep_it(seq, found);
    rests.then(|| next_put(now, random))
}

/// When a record that was put now (or that others keep) is due again.
pub fn next_put(now: u64, random: u32) -> u64 {
    within(PUT_EVERY, now, random)
}

/// When a record that no node took now is tried again.
pub fn next_try(now: u64, random: u32) -> u64 {
    within(RETRY, now, random)
}

fn within(pause: Range<u64>, now: u64, random: u32) -> u64 {
    now.saturating_add(pause.start + u64::from(random) % (pause.end - pause.start))
}

/// The turns of a start: one record a second, the household's own first.
pub fn turns(ours: &[Target], followed: &[Target], now: u64) -> Vec<(Target, u64)> {
    let all = ours.iter().chain(followed);
    all.zip(now..).map(|(target, due)| (*target, due)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn found(copies: usize, closest_have_it: bool) -> Found {
        Found {
            seq: Some(7),
            copies,
            closest_have_it,
            older_seen: false,
        }
    }

    #[test]
    fn a_subscriber_rests_only_when_all_three_conditions_hold() {
        assert!(others_keep_it(7, &found(9, true)));
        assert!(
            !others_keep_it(7, &found(8, true)),
            "8 copies are not more than 8"
        );
        assert!(
            !others_keep_it(7, &found(40, false)),
            "one of the closest lacks it"
        );
        // Copies of another number are no copies of ours.
        assert!(!others_keep_it(8, &found(40, true)));
        assert!(!others_keep_it(7, &Found::default()));
    }

    #[test]
    fn a_look_postpones_a_followed_record_that_others_keep_but_never_ours() {
        let later = replan(Interest::Followed, 7, &found(9, true), 0, NOW, 0);
        assert_eq!(later, Some(NOW + PUT_EVERY.start));
        assert_eq!(replan(Interest::Ours, 7, &found(9, true), 0, NOW, 0), None);
        assert_eq!(replan(Interest::Followed, 7, &found(3, true), 0, NOW, 0), None);
    }

    #[test]
    fn a_lower_number_in_the_network_makes_us_put_ours_back_but_not_again_and_again() {
        let behind = Found {
            older_seen: true,
            ..found(9, true)
        };
        for interest in [Interest::Ours, Interest::Followed] {
            assert_eq!(replan(interest, 7, &behind, NOW - 600, NOW, 5), Some(NOW));
            assert_eq!(replan(interest, 7, &behind, NOW - 599, NOW, 5), None);
            // Everybody shows a lower number.
            assert_eq!(replan(interest, 8, &found(9, true), 0, NOW, 5), Some(NOW));
        }
    }

    #[test]
    fn after_a_start_ours_go_first_one_a_second() {
        let target = |n| Target([n; 20]);
        let turns = turns(&[target(9), target(8)], &[target(1), target(2)], NOW);
        let due = |n: u8, at: u64| (target(n), NOW + at);
        assert_eq!(turns, [due(9, 0), due(8, 1), due(1, 2), due(2, 3)]);
    }

    proptest! {
        #[test]
        fn the_pause_is_an_hour_give_or_take_a_fifth(random: u32) {
            let pause = next_put(NOW, random) - NOW;
            prop_assert!((2_880..=4_320).contains(&pause));
            // Even two of the longest tries fit before nodes forget.
            prop_assert!(pause + RETRY.end < 7_200);
            prop_assert!((240..=360).contains(&(next_try(NOW, random) - NOW)));
        }
    }
}
