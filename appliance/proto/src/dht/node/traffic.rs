//! What comes in from the network.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{Event, Node, Pending, Why};
use crate::dht::{
    K,
    id::{Contact, Family, is_secure, secure},
    krpc::{self, Body, Message, Reply},
    limits::Dropped,
    server::{Asked, View},
};

/// Pings under way to nodes that asked us or were named to us.
const PINGS_MAX: usize = 16;
/// Length of a ping of ours, for the budget towards unproven sources.
const PING_LEN: usize = 70;

impl Node {
    /// Takes one datagram; replies and further queries wait in the outbox afterwards.
    pub fn on_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) {
        if !self.allowed(&from) || self.side(Family::of(&from)).is_none() {
            self.stats.ignored += 1;
            return;
        }
        match krpc::decode(datagram) {
            Ok(Message {
                tid,
                body: Body::Query(query),
                read_only,
                canonical,
                ..
            }) => {
                self.stats.queries_in.count(query.ask.method());
                let asked = Asked {
                    from,
                    tid,
                    query: &query,
                    datagram_len: datagram.len(),
                    canonical,
                };
                self.on_query(&asked, read_only, now);
            }
            Ok(Message {
                tid,
                body: Body::Reply(reply),
                ip,
                ..
            }) => {
                if let Some(pending) = self.take_pending(from, tid) {
                    self.on_reply(&pending, &reply, ip, now);
                }
            }
            Ok(Message {
                tid,
                body: Body::Error { code, text },
                ..
            }) => {
                if let Some(pending) = self.take_pending(from, tid) {
                    self.silence.broken(&from, now);
                    if let Why::Store(number) = pending.why {
                        self.on_put_refused(number, code, text);
                    }
                    self.on_no_answer(&pending, now);
                }
            }
            Err(krpc::Refusal {
                tid: Some(tid),
                reason,
            }) if !self.config.read_only => {
                let refusal = self.server.refuse(from, tid, reason, now);
                self.send_reply(from, refusal);
            }
            Err(_) => self.stats.ignored += 1,
        }
    }

    /// A node refused our query or stayed silent.
    pub(super) fn on_no_answer(&mut self, pending: &Pending, now: Duration) {
        match pending.why {
            Why::Ping => {}
            Why::Lookup(number) => {
                if let Some(search) = self.searches.get_mut(&number) {
                    search.lookup.on_silence(&pending.to);
                }
                self.advance(number, now);
            }
            Why::Store(number) => self.confirmed(number, &pending.to, false, now),
        }
    }

    fn on_query(&mut self, asked: &Asked<'_>, read_only: bool, now: Duration) {
        if self.config.read_only {
            return;
        }
        let [v4, v6] = &self.sides;
        let view = View {
            v4: v4.as_ref().map(|side| &side.table),
            v6: v6.as_ref().map(|side| &side.table),
            policy: &self.config.policy,
            version: &self.config.version,
        };
        let reply = self.server.answer(asked, &view, now, &mut self.random);
        let answered = reply.is_ok();
        self.send_reply(asked.from, reply);
        self.silence.broken(&asked.from, now);
        if answered && !read_only {
            self.meet(
                &Contact {
                    id: asked.query.id,
                    addr: asked.from,
                },
                now,
            );
        }
    }

    fn send_reply(&mut self, to: SocketAddr, reply: Result<Vec<u8>, Dropped>) {
        match reply {
            Ok(bytes) => {
                self.stats.replies_out += 1;
                self.stats.reply_bytes_out += bytes.len() as u64;
                if self.outbox.len() < super::QUEUE_MAX {
                    self.outbox.push_back((to, bytes));
                }
            }
            Err(Dropped::Source) => self.stats.dropped_source += 1,
            Err(Dropped::Unverified) => self.stats.dropped_unverified += 1,
            Err(Dropped::Total) => self.stats.dropped_total += 1,
        }
    }

    /// A node we have not asked ourselves: pinged when the table could use it.
    fn meet(&mut self, contact: &Contact, now: Duration) {
        let side = self.side_mut(Family::of(&contact.addr));
        if !side.is_some_and(|side| side.table.heard(contact, now)) {
            return;
        }
        let pings = self.pending.values().filter(|p| p.why == Why::Ping);
        let (count, same) = pings.fold((0, false), |(n, same), p| (n + 1, same || p.to == contact.addr));
        // Its address may be forged, so the ping is paid from the same budget as replies are.
        if count < PINGS_MAX && !same && self.server.limits.reply(PING_LEN, false, now).is_ok() {
            self.ping(contact.addr, now);
        }
    }

    /// The query this answers, if `from` was asked it.
    fn take_pending(&mut self, from: SocketAddr, tid: &[u8]) -> Option<Pending> {
        let found = tid
            .try_into()
            .ok()
            .filter(|tid| self.pending.get(tid).is_some_and(|p| p.to == from));
        let pending = found.and_then(|tid: [u8; 4]| self.pending.remove(&tid));
        let counter = if pending.is_some() {
            &mut self.stats.replies_in
        } else {
            &mut self.stats.ignored
        };
        *counter += 1;
        pending
    }

    fn on_reply(&mut self, pending: &Pending, reply: &Reply<'_>, ip: Option<SocketAddr>, now: Duration) {
        self.silence.broken(&pending.to, now);
        let contact = Contact {
            id: reply.id,
            addr: pending.to,
        };
        if let Some(side) = self.side_mut(Family::of(&contact.addr)) {
            side.rtt.learn(now.saturating_sub(pending.sent));
            side.table.answered(contact, now);
        }
        if let Some(ip) = ip {
            self.vote(contact.addr, ip, now);
        }
        match pending.why {
            Why::Ping => {}
            Why::Lookup(number) => self.on_lookup_reply(number, &contact, reply, now),
            Why::Store(number) => self.confirmed(number, &contact.addr, true, now),
        }
    }

    fn on_lookup_reply(&mut self, number: u64, from: &Contact, reply: &Reply<'_>, now: Duration) {
        let family = Family::of(&from.addr);
        let contacts = |list: &Option<Vec<Contact>>| list.clone().unwrap_or_default();
        let (mut same, mut other) = (contacts(&reply.nodes), contacts(&reply.nodes6));
        if family == Family::V6 {
            std::mem::swap(&mut same, &mut other);
        }
        let own = self.id(family);
        let overdue = self.overdue(family, now);
        same.retain(|contact| {
            let silent = self.silence.lasts(&contact.addr, now) || overdue.contains(&contact.addr);
            Some(contact.id) != own && self.allowed(&contact.addr) && !silent
        });
        let job = self.searches.get(&number).and_then(|search| search.job);
        if let (Some(values), Some(job)) = (&reply.values, job) {
            let values = values
                .iter()
                .filter(|addr| Family::of(addr) == family && self.allowed(addr));
            let values: Vec<_> = values.copied().collect();
            self.tell_peers(job, values);
        }
        let expected = self
            .searches
            .get_mut(&number)
            .is_some_and(|search| search.lookup.on_reply(from, reply.token, &same, now));
        if let Some(job) = job.filter(|_| expected) {
            self.on_item(job, from, reply);
            self.straggler(number, now);
        }
        self.advance(number, now);
        // The other network's nodes are only worth a ping while we know few of them.
        if self
            .side(family.other())
            .is_some_and(|side| side.table.len() < 2 * K)
        {
            other.iter().take(2).for_each(|contact| self.meet(contact, now));
        }
    }

    /// How a node we had asked sees us. When most agree on an address our id is not valid at, we take one that is.
    fn vote(&mut self, voter: SocketAddr, claim: SocketAddr, now: Duration) {
        let family = Family::of(&voter);
        if !self.allowed(&claim) {
            return;
        }
        let Some(side) = self.sides[family as usize].as_mut() else {
            return;
        };
        if side.external.vote(voter.ip(), claim) {
            self.live_at(claim.ip(), now);
        }
    }

    /// From now on we ask but do not answer (BEP 43), or answer again.
    pub fn set_read_only(&mut self, on: bool) {
        self.config.read_only = on;
    }

    /// Our address as the home's router knows it. Ignored when it is not public, and when most nodes see another one: then a
    /// second router stands in front.
    pub fn set_external(&mut self, ip: IpAddr, now: Duration) {
        // The guard judges ports too; this one is nobody's.
        let addr = SocketAddr::new(ip, 6881);
        let seen = self
            .side(Family::of(&addr))
            .and_then(|side| side.external.agreed());
        if self.allowed(&addr) && seen.is_none_or(|seen| seen == ip) {
            self.live_at(ip, now);
        }
    }

    /// Takes an id that is valid at `ip`, unless ours is.
    fn live_at(&mut self, ip: IpAddr, now: Duration) {
        let family = Family::of(&SocketAddr::new(ip, 1));
        let Some(side) = self.sides[family as usize].as_mut() else {
            return;
        };
        if !is_secure(&side.table.own(), ip) {
            let id = secure(ip, &mut self.random);
            side.table.rekey(id, now);
            self.tell(Event::Rekeyed);
            self.start_search(id, family, None, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dht::node::Config;

    #[test]
    fn the_id_becomes_valid_at_the_address_the_router_tells_unless_it_is_private() {
        let mut node = Node::new(Config::default(), [7; 32], Duration::ZERO);
        node.enable(Family::V4);
        let first = node.id(Family::V4).expect("enabled");
        let told = |ip: [u8; 4]| IpAddr::from(ip);
        for private in [[192, 168, 1, 1], [100, 64, 0, 1], [127, 0, 0, 1]] {
            node.set_external(told(private), Duration::ZERO);
        }
        assert_eq!(node.id(Family::V4), Some(first));
        node.set_external(told([9, 8, 7, 6]), Duration::ZERO);
        let second = node.id(Family::V4).expect("enabled");
        assert!(is_secure(&second, told([9, 8, 7, 6])) && second != first);
        assert_eq!(node.take_event(), Some(Event::Rekeyed));
        node.set_external(told([9, 8, 7, 6]), Duration::ZERO);
        assert_eq!(node.id(Family::V4), Some(second), "a valid id stays");
        assert_eq!(node.take_event(), None);

        // Eight nodes see us elsewhere: the router knows only the corridor.
        let seen = SocketAddr::from(([9, 9, 9, 9], 6881));
        for n in 1..=8 {
            node.vote(SocketAddr::from(([8, 8, 8, n], 6881)), seen, Duration::ZERO);
        }
        node.set_external(told([9, 8, 7, 6]), Duration::ZERO);
        assert!(is_secure(&node.id(Family::V4).expect("enabled"), seen.ip()));
    }
}
