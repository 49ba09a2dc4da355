//! What we answer to others' queries, and what not: bounded per source and in all, never more than ten times the question
//! to who has not proven to be there, never more than one datagram, nothing stored without a token.

use std::{net::SocketAddr, time::Duration};

use super::{
    DATAGRAM_MAX, K,
    id::{Family, Id},
    item::Item,
    items::Items,
    krpc::{self, Announce, Ask, Body, Code, Message, Put, Query, Reply, Samples, Want},
    limits::{Dropped, Limits},
    peers::{Peers, SAMPLE_INTERVAL},
    random::Random,
    routing::Table,
    token::Tokens,
};
use crate::guard::{self, Policy};

/// A reply is at most so many times as long as its question: a forged source must not make us a cannon.
const AMPLIFICATION_MAX: usize = 10;
/// A reply with an item may be longer than others: a value of 1000 bytes does not fit 1024. Fits IPv6 everywhere but with
/// the longest numbers.
const ITEM_REPLY_MAX: usize = 1_280;

/// What of the rest of the node an answer needs.
pub struct View<'a> {
    pub v4: Option<&'a Table>,
    pub v6: Option<&'a Table>,
    pub policy: &'a Policy,
    pub version: &'a [u8],
}

/// A query as it came in.
pub struct Asked<'a> {
    pub from: SocketAddr,
    pub tid: &'a [u8],
    pub query: &'a Query<'a>,
    pub datagram_len: usize,
    pub canonical: bool,
}

/// What others may have of us.
pub struct Server {
    pub tokens: Tokens,
    pub peers: Peers,
    pub items: Items,
    pub limits: Limits,
}

impl Server {
    /// The reply to one query, or why there is none.
    pub fn answer(
        &mut self,
        asked: &Asked<'_>,
        view: &View<'_>,
        now: Duration,
        random: &mut Random,
    ) -> Result<Vec<u8>, Dropped> {
        self.limits.query(asked.from.ip(), now)?;
        let mut verified = view.knows(asked);
        let reply = match self.respond(asked, view, now, random, &mut verified) {
            Ok(reply) => reply,
            Err((code, text)) => krpc::error(asked.tid, code, text),
        };
        self.limits.reply(reply.len(), verified, now)?;
        Ok(reply)
    }

    /// The error for a query whose arguments make no sense.
    pub fn refuse(
        &mut self,
        from: SocketAddr,
        tid: &[u8],
        why: &str,
        now: Duration,
    ) -> Result<Vec<u8>, Dropped> {
        self.limits.query(from.ip(), now)?;
        let reply = krpc::error(tid, Code::Protocol, why);
        self.limits.reply(reply.len(), false, now)?;
        Ok(reply)
    }

    fn respond(
        &mut self,
        asked: &Asked<'_>,
        view: &View<'_>,
        now: Duration,
        random: &mut Random,
        verified: &mut bool,
    ) -> Result<Vec<u8>, (Code, &'static str)> {
        let id = view.own(asked.from).ok_or((Code::Server, "no node here"))?;
        let mut reply = Reply {
            id,
            ..Reply::default()
        };
        let want = asked.query.want;
        match &asked.query.ask {
            Ask::Ping => {}
            Ask::FindNode { target } => view.add_nodes(&mut reply, target, want, asked.from, now),
            Ask::Get { target, seq } => {
                let token = self.tokens.make(asked.from.ip());
                reply.token = Some(&token);
                view.add_nodes(&mut reply, target, want, asked.from, now);
                let item = self.items.find(target, now);
                return Ok(finish_item(asked, view, reply, item, *seq, *verified));
            }
            Ask::GetPeers {
                info_hash,
                scrape,
                noseed,
            } => {
                let token = self.tokens.make(asked.from.ip());
                reply.token = Some(&token);
                let filters = scrape.then(|| self.peers.scrape(info_hash, now)).flatten();
                // Both filters and both lists together are longer than a datagram.
                let want = if filters.is_some() { Want::default() } else { want };
                view.add_nodes(&mut reply, info_hash, want, asked.from, now);
                if let Some((seeds, peers)) = &filters {
                    reply.seeds = Some(&seeds.0);
                    reply.peers = Some(&peers.0);
                }
                let family = Family::of(&asked.from);
                let max = room(asked, view, &reply) / (family.compact_len() + 3);
                let values = self.peers.get(info_hash, family, *noseed, max, now, random);
                reply.values = (!values.is_empty()).then_some(values);
                return Ok(finish(asked, view, reply));
            }
            Ask::AnnouncePeer(announce) => {
                self.store(asked, announce, view.policy, now)?;
                *verified = true;
            }
            Ask::SampleInfohashes { target } => {
                view.add_nodes(&mut reply, target, want, asked.from, now);
                let num = self.peers.infohashes() as i64;
                let mut samples = Samples {
                    interval_secs: SAMPLE_INTERVAL.as_secs() as i64,
                    num,
                    hashes: &[],
                };
                reply.samples = Some(samples);
                let max = room(asked, view, &reply) / 20;
                let hashes = self.peers.sample(now, random);
                samples.hashes = &hashes[..hashes.len().min(max * 20)];
                reply.samples = Some(samples);
                return Ok(finish(asked, view, reply));
            }
            Ask::Put(_) if !asked.canonical => {
                return Err((Code::Protocol, "dictionary keys are not sorted"));
            }
            Ask::Put(put) => {
                self.store_item(asked, put, now)?;
                *verified = true;
            }
            Ask::Other(_) => return Err((Code::Unknown, "method unknown")),
        }
        Ok(finish(asked, view, reply))
    }

    fn store(
        &mut self,
        asked: &Asked<'_>,
        announce: &Announce<'_>,
        policy: &Policy,
        now: Duration,
    ) -> Result<(), (Code, &'static str)> {
        if !self.tokens.valid(asked.from.ip(), announce.token) {
            return Err((Code::Protocol, "bad token"));
        }
        let mut peer = asked.from;
        if !announce.implied_port {
            peer.set_port(announce.port);
        }
        guard::allowed(peer, policy).map_err(|_| (Code::Protocol, "no peer can listen there"))?;
        self.peers.announce(announce.info_hash, peer, announce.seed, now);
        Ok(())
    }
}

impl Server {
    fn store_item(
        &mut self,
        asked: &Asked<'_>,
        put: &Put<'_>,
        now: Duration,
    ) -> Result<(), (Code, &'static str)> {
        if !self.tokens.valid(asked.from.ip(), put.token) {
            return Err((Code::Protocol, "bad token"));
        }
        self.items.put(put, asked.from.ip(), now)
    }
}

impl View<'_> {
    fn table(&self, family: Family) -> Option<&Table> {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    fn own(&self, from: SocketAddr) -> Option<Id> {
        self.table(Family::of(&from)).map(Table::own)
    }

    /// Whether the source has answered a query of ours, so that its address cannot be forged.
    fn knows(&self, asked: &Asked<'_>) -> bool {
        let table = self.table(Family::of(&asked.from));
        table.is_some_and(|table| table.knows(&asked.query.id, &asked.from))
    }

    fn add_nodes(&self, reply: &mut Reply<'_>, target: &Id, want: Want, from: SocketAddr, now: Duration) {
        let nodes = |family| {
            let wanted = want.includes(family, Family::of(&from));
            let table = self.table(family).filter(|_| wanted)?;
            Some(table.closest_good(target, K, now))
        };
        reply.nodes = nodes(Family::V4);
        reply.nodes6 = nodes(Family::V6);
    }
}

/// Bytes left for a list, its key and ends counted.
fn room(asked: &Asked<'_>, view: &View<'_>, reply: &Reply<'_>) -> usize {
    let used = finish(asked, view, reply.clone()).len() + 16;
    (asked.datagram_len * AMPLIFICATION_MAX)
        .min(DATAGRAM_MAX)
        .saturating_sub(used)
}

/// Encodes with the item, if there is one newer than `seq`. Node lists give way to it; when it does not fit at all, only its
/// number is told, and a node that asks with a longer datagram gets it.
fn finish_item(
    asked: &Asked<'_>,
    view: &View<'_>,
    reply: Reply<'_>,
    item: Option<&Item>,
    seq: Option<i64>,
    verified: bool,
) -> Vec<u8> {
    let Some(item) = item else {
        return finish(asked, view, reply);
    };
    let max = if verified {
        ITEM_REPLY_MAX
    } else {
        ITEM_REPLY_MAX.min(asked.datagram_len * AMPLIFICATION_MAX)
    };
    let number = Reply {
        seq: item.seq(),
        ..reply
    };
    let full = match item {
        _ if item.seq().is_some_and(|held| seq.is_some_and(|seq| held <= seq)) => None,
        Item::Immutable(value) => Some(Reply {
            v: Some(value),
            ..number.clone()
        }),
        Item::Mutable(item) => Some(Reply {
            v: Some(&item.value),
            key: Some(&item.key.0),
            sig: Some(&item.sig),
            ..number.clone()
        }),
    };
    full.and_then(|full| fit(asked, view, full, max))
        .unwrap_or_else(|| finish(asked, view, number))
}

/// `None` when it is longer than `max` even without lists.
fn fit(asked: &Asked<'_>, view: &View<'_>, reply: Reply<'_>, max: usize) -> Option<Vec<u8>> {
    let bytes = encode(asked, view, reply, max);
    (bytes.len() <= max).then_some(bytes)
}

/// Encodes; lists that would make it too long are left out, the less useful ones first.
fn finish(asked: &Asked<'_>, view: &View<'_>, reply: Reply<'_>) -> Vec<u8> {
    let max = (asked.datagram_len * AMPLIFICATION_MAX).min(DATAGRAM_MAX);
    encode(asked, view, reply, max)
}

fn encode(asked: &Asked<'_>, view: &View<'_>, reply: Reply<'_>, max: usize) -> Vec<u8> {
    let mut message = Message::new(asked.tid, Body::Reply(Box::new(reply)));
    message.ip = Some(asked.from);
    message.version = Some(view.version);
    loop {
        let bytes = message.encode();
        let Body::Reply(reply) = &mut message.body else {
            return bytes;
        };
        if bytes.len() <= max {
            return bytes;
        }
        let dropped = reply.seeds.take().is_some() | reply.peers.take().is_some()
            || reply.nodes6.take().is_some()
            || reply.nodes.take().is_some();
        if !dropped {
            return bytes;
        }
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
