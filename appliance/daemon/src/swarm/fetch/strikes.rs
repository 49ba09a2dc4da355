//! Who sends wrong data. librqbit drops the connection of a peer whose piece had a wrong hash, but tries it again later
//! and tells nobody. So we compare: pieces were spoiled since the last look, and these peers' error counts have grown.

use std::{collections::HashMap, net::SocketAddr};

use super::plan::STRIKES_MAX;

/// What librqbit counts about one peer.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    pub addr: SocketAddr,
    pub errors: u32,
    pub fetched: u64,
}

/// One torrent's suspects; as many as librqbit knows peers of it.
#[derive(Debug, Default)]
pub struct Strikes {
    seen: HashMap<SocketAddr, u32>,
    strikes: HashMap<SocketAddr, u8>,
}

impl Strikes {
    /// Takes in the counts; `spoiled`: whether pieces were spoiled since the last call. Returns who has to go.
    pub fn look(&mut self, counts: &[Count], spoiled: bool) -> Vec<SocketAddr> {
        let mut banned = Vec::new();
        for count in counts {
            let before = self.seen.insert(count.addr, count.errors).unwrap_or(0);
            if !spoiled || count.errors <= before || count.fetched == 0 {
                continue;
            }
            let strikes = self.strikes.entry(count.addr).or_default();
            *strikes = strikes.saturating_add(1);
            if *strikes >= STRIKES_MAX {
                banned.push(count.addr);
            }
        }
        banned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(port: u16, errors: u32, fetched: u64) -> Count {
        Count {
            addr: SocketAddr::from(([127, 0, 0, 1], port)),
            errors,
            fetched,
        }
    }

    #[test]
    fn a_peer_goes_at_its_third_spoiled_piece_and_a_flaky_one_stays() {
        let mut strikes = Strikes::default();
        for round in 1..3 {
            assert!(
                strikes
                    .look(&[count(1, round, 9), count(2, 0, 9)], true)
                    .is_empty()
            );
            assert!(
                strikes.look(&[count(2, round, 9)], false).is_empty(),
                "no spoiled piece"
            );
        }
        assert_eq!(
            strikes.look(&[count(1, 3, 9), count(2, 2, 9)], true),
            [count(1, 0, 0).addr]
        );
    }

    #[test]
    fn a_peer_that_never_sent_anything_is_not_suspected() {
        let mut strikes = Strikes::default();
        for round in 1..10 {
            assert!(strikes.look(&[count(1, round, 0)], true).is_empty());
        }
    }
}
