//! Messages to bytes, always with sorted keys.

use std::net::SocketAddr;

use super::{Ask, Body, Code, Extra, Message, Put, Query, Reply};
use crate::dht::id::{Contact, write_compact};

impl Message<'_> {
    pub fn encode(&self) -> Vec<u8> {
        let mut top = Dict::with(&self.extra);
        match &self.body {
            Body::Query(query) => {
                top.raw(b"a", query.arguments());
                top.bytes(b"q", query.ask.method());
                top.bytes(b"y", b"q");
            }
            Body::Reply(reply) => {
                top.raw(b"r", reply.response());
                top.bytes(b"y", b"r");
            }
            Body::Error { code, text } => {
                let mut list = format!("li{code}e").into_bytes();
                string(&mut list, text);
                list.push(b'e');
                top.raw(b"e", list);
                top.bytes(b"y", b"e");
            }
        }
        if let Some(ip) = &self.ip {
            top.bytes(b"ip", &compact(ip));
        }
        if self.read_only {
            top.int(b"ro", 1);
        }
        top.bytes(b"t", self.tid);
        if let Some(version) = self.version {
            top.bytes(b"v", version);
        }
        top.finish()
    }
}

/// An error message with the text other implementations print.
pub fn error(tid: &[u8], code: Code, text: &str) -> Vec<u8> {
    Message::new(
        tid,
        Body::Error {
            code: code as i64,
            text: text.as_bytes(),
        },
    )
    .encode()
}

impl Query<'_> {
    fn arguments(&self) -> Vec<u8> {
        let mut a = Dict::with(&self.extra);
        a.bytes(b"id", &self.id.0);
        match &self.ask {
            Ask::Ping | Ask::Other(_) => {}
            Ask::FindNode { target } | Ask::SampleInfohashes { target } => a.bytes(b"target", &target.0),
            Ask::GetPeers {
                info_hash,
                scrape,
                noseed,
            } => {
                a.bytes(b"info_hash", &info_hash.0);
                a.flag(b"scrape", *scrape);
                a.flag(b"noseed", *noseed);
            }
            Ask::AnnouncePeer(announce) => {
                a.flag(b"implied_port", announce.implied_port);
                a.bytes(b"info_hash", &announce.info_hash.0);
                a.int(b"port", i64::from(announce.port));
                a.flag(b"seed", announce.seed);
                a.bytes(b"token", announce.token);
            }
            Ask::Get { target, seq } => {
                a.bytes(b"target", &target.0);
                a.optional(b"seq", *seq);
            }
            Ask::Put(put) => a.put(put),
        }
        if self.want.v4 || self.want.v6 {
            let names = [(self.want.v4, "2:n4"), (self.want.v6, "2:n6")];
            let list: String = names
                .iter()
                .filter(|(wanted, _)| *wanted)
                .map(|(_, name)| *name)
                .collect();
            a.raw(b"want", format!("l{list}e").into_bytes());
        }
        a.finish()
    }
}

impl Reply<'_> {
    fn response(&self) -> Vec<u8> {
        let mut r = Dict::with(&self.extra);
        r.bytes(b"id", &self.id.0);
        for (key, nodes) in [(&b"nodes"[..], &self.nodes), (b"nodes6", &self.nodes6)] {
            if let Some(nodes) = nodes {
                r.bytes(key, &compact_nodes(nodes));
            }
        }
        let strings: [(&[u8], Option<&[u8]>); 5] = [
            (b"token", self.token),
            (b"BFsd", self.seeds.map(|b| &b[..])),
            (b"BFpe", self.peers.map(|b| &b[..])),
            (b"k", self.key.map(|b| &b[..])),
            (b"sig", self.sig.map(|b| &b[..])),
        ];
        for (key, value) in strings {
            if let Some(value) = value {
                r.bytes(key, value);
            }
        }
        if let Some(values) = &self.values {
            let mut list = vec![b'l'];
            values.iter().for_each(|addr| string(&mut list, &compact(addr)));
            list.push(b'e');
            r.raw(b"values", list);
        }
        if let Some(samples) = &self.samples {
            r.int(b"interval", samples.interval_secs);
            r.int(b"num", samples.num);
            r.bytes(b"samples", samples.hashes);
        }
        if let Some(v) = self.v {
            r.raw(b"v", v.to_vec());
        }
        r.optional(b"seq", self.seq);
        r.finish()
    }
}

/// 26 or 38 bytes per node.
pub fn compact_nodes(nodes: &[Contact]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nodes.len() * 38);
    for node in nodes {
        out.extend_from_slice(&node.id.0);
        write_compact(&node.addr, &mut out);
    }
    out
}

fn compact(addr: &SocketAddr) -> Vec<u8> {
    let mut out = Vec::with_capacity(18);
    write_compact(addr, &mut out);
    out
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(bytes);
}

/// Entries in any order; sorted when finished.
struct Dict<'a> {
    entries: Vec<(&'a [u8], Vec<u8>)>,
}

impl<'a> Dict<'a> {
    fn with(extra: &Extra<'a>) -> Self {
        Self {
            entries: extra.iter().map(|(key, raw)| (*key, raw.to_vec())).collect(),
        }
    }

    fn raw(&mut self, key: &'a [u8], raw: Vec<u8>) {
        self.entries.push((key, raw));
    }

    fn bytes(&mut self, key: &'a [u8], value: &[u8]) {
        let mut raw = Vec::with_capacity(value.len() + 4);
        string(&mut raw, value);
        self.raw(key, raw);
    }

    fn int(&mut self, key: &'a [u8], value: i64) {
        self.raw(key, format!("i{value}e").into_bytes());
    }

    fn flag(&mut self, key: &'a [u8], set: bool) {
        if set {
            self.int(key, 1);
        }
    }

    fn optional(&mut self, key: &'a [u8], value: Option<i64>) {
        if let Some(value) = value {
            self.int(key, value);
        }
    }

    fn put(&mut self, put: &Put<'_>) {
        self.optional(b"cas", put.cas);
        if let Some(signed) = &put.signed {
            self.bytes(b"k", signed.key);
            if !signed.salt.is_empty() {
                self.bytes(b"salt", signed.salt);
            }
            self.int(b"seq", signed.seq);
            self.bytes(b"sig", signed.sig);
        }
        self.bytes(b"token", put.token);
        self.raw(b"v", put.v.to_vec());
    }

    fn finish(mut self) -> Vec<u8> {
        self.entries.sort_by(|a, b| a.0.cmp(b.0));
        let mut out = vec![b'd'];
        for (key, raw) in &self.entries {
            string(&mut out, key);
            out.extend_from_slice(raw);
        }
        out.push(b'e');
        out
    }
}
