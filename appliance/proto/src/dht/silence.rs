//! Nodes that lately did not answer. Others go on naming a dead node for a quarter of an hour; asking it again in every
//! lookup would cost each of them a wait.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

/// Silent nodes remembered at once.
const NODES_MAX: usize = 512;
/// A node is left alone so long per query it did not answer, in a row.
const PER_SILENCE: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(600);

/// Whom not to ask for a while; bounded.
#[derive(Debug, Default)]
pub struct Silence {
    until: BTreeMap<SocketAddr, (u32, Duration)>,
    heard: Duration,
}

impl Silence {
    /// A node has said something: it is there, and so is our own line.
    pub fn broken(&mut self, addr: &SocketAddr, now: Duration) {
        self.until.remove(addr);
        self.heard = now;
    }

    /// A query sent at `sent` was not answered. When nobody at all was heard since, it is our own line that is silent.
    pub fn kept(&mut self, addr: SocketAddr, sent: Duration, now: Duration) {
        if let Some((count, until)) = self.entry(addr, sent, now) {
            *count += 1;
            *until = now + (PER_SILENCE * *count).min(LONGEST);
        }
    }

    /// A query sent at `sent` takes unusually long: other lookups need not find that out again before `until`, when it is
    /// answered or given up.
    pub fn suspect(&mut self, addr: SocketAddr, sent: Duration, now: Duration, until: Duration) {
        if let Some((_, known)) = self.entry(addr, sent, now) {
            *known = until.max(*known);
        }
    }

    fn entry(&mut self, addr: SocketAddr, sent: Duration, now: Duration) -> Option<&mut (u32, Duration)> {
        if self.heard <= sent {
            return None;
        }
        if self.until.len() >= NODES_MAX && !self.until.contains_key(&addr) {
            self.forget(now);
            if self.until.len() >= NODES_MAX {
                return None;
            }
        }
        Some(self.until.entry(addr).or_default())
    }

    /// Whether to leave `addr` alone.
    pub fn lasts(&self, addr: &SocketAddr, now: Duration) -> bool {
        self.until.get(addr).is_some_and(|(_, until)| now < *until)
    }

    /// Call every minute.
    pub fn forget(&mut self, now: Duration) {
        self.until.retain(|_, (_, until)| now < *until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], n))
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_silent_node_is_left_alone_for_a_while_but_not_when_our_line_is_silent() {
        let mut silence = Silence::default();
        silence.kept(node(1), secs(1), secs(2));
        assert!(!silence.lasts(&node(1), secs(2)), "nobody was heard");
        silence.broken(&node(2), secs(3));
        silence.kept(node(1), secs(2), secs(4));
        assert!(silence.lasts(&node(1), secs(63)) && !silence.lasts(&node(1), secs(64)));
        silence.kept(node(1), secs(2), secs(70));
        assert!(silence.lasts(&node(1), secs(189)), "longer the second time");
        silence.broken(&node(1), secs(71));
        assert!(!silence.lasts(&node(1), secs(72)));
        silence.suspect(node(3), secs(70), secs(72), secs(75));
        assert!(silence.lasts(&node(3), secs(74)) && !silence.lasts(&node(3), secs(75)));
        (0..5_000).for_each(|n| silence.kept(node(n), secs(70), secs(72)));
        assert_eq!(silence.until.len(), NODES_MAX);
        silence.forget(secs(200));
        assert!(silence.until.is_empty());
    }
}
