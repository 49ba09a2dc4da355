//! Our address as others see it (the `ip` field of BEP 42), by vote: one node alone could make us change our id at will.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

/// Latest votes kept, one per voter.
const VOTES_MAX: usize = 40;
/// Votes one address needs, of which three quarters must agree.
const VOTES_NEEDED: usize = 8;

/// Votes of one network.
#[derive(Debug, Default)]
pub struct External {
    votes: VecDeque<(IpAddr, IpAddr)>,
    agreed: Option<IpAddr>,
}

impl External {
    /// The address most voters agree on.
    pub fn agreed(&self) -> Option<IpAddr> {
        self.agreed
    }

    /// Counts the vote of a node we had asked. True when the agreed address is another one now.
    pub fn vote(&mut self, voter: IpAddr, claim: SocketAddr) -> bool {
        if voter.is_ipv4() != claim.is_ipv4() {
            return false;
        }
        self.votes.retain(|(who, _)| *who != voter);
        self.votes.push_back((voter, claim.ip()));
        if self.votes.len() > VOTES_MAX {
            self.votes.pop_front();
        }
        let agree = self.votes.iter().filter(|(_, ip)| *ip == claim.ip()).count();
        let won = agree >= VOTES_NEEDED && agree * 4 >= self.votes.len() * 3;
        let news = won && self.agreed != Some(claim.ip());
        if news {
            self.agreed = Some(claim.ip());
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([198, 51, 100, n])
    }

    #[test]
    fn our_address_is_what_three_quarters_of_at_least_eight_say() {
        let home: SocketAddr = "203.0.113.7:6881".parse().expect("address");
        let lie: SocketAddr = "203.0.113.66:6881".parse().expect("address");
        let mut external = External::default();
        for _ in 0..100 {
            assert!(!external.vote(ip(0), lie), "one voter has one vote");
        }
        let news: Vec<_> = (1..=12).filter(|n| external.vote(ip(*n), home)).collect();
        assert_eq!(news, [8]);
        assert_eq!(external.agreed(), Some(home.ip()));
        assert!(
            (20..28).all(|n| !external.vote(ip(n), lie)),
            "eight of twenty-one are not enough"
        );
        assert_eq!(
            (30..70).filter(|n| external.vote(ip(*n), lie)).count(),
            1,
            "a new lease is believed in time"
        );
        assert_eq!(external.agreed(), Some(lie.ip()));
    }
}
