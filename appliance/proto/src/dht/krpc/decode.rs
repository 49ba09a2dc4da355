//! Bytes to messages. Allocates only for what is there: a datagram bounds everything.

use super::{
    Announce, Ask, Body, Extra, Message, Put, Query, Refusal, Reply, Samples, Signed, TID_MAX, Want,
};
use crate::{
    bencode::{self, Node},
    dht::id::{Contact, Family, Id, read_compact},
};

type Entries<'n, 'a> = &'n [(&'a [u8], Node<'a>)];

/// Reads one datagram. Unsorted keys are tolerated and marked, because old nodes send them.
pub fn decode(datagram: &[u8]) -> Result<Message<'_>, Refusal<'_>> {
    let refuse = |reason| Refusal { tid: None, reason };
    let (root, canonical) = match bencode::parse(datagram) {
        Ok(root) => (root, true),
        Err(bencode::Error::Keys(_)) => (
            bencode::parse_unsorted(datagram).map_err(|_| refuse("no bencoding"))?,
            false,
        ),
        Err(_) => return Err(refuse("no bencoding")),
    };
    let top = root.dict().ok_or(refuse("no dictionary"))?;
    let tid = bytes(top, b"t").filter(|t| (1..=TID_MAX).contains(&t.len()));
    let tid = tid.ok_or(refuse("no transaction id"))?;
    let kind = bytes(top, b"y");
    let body = match kind {
        Some(b"q") => query(top).map(Body::Query),
        Some(b"r") => reply(top).map(|r| Body::Reply(Box::new(r))),
        Some(b"e") => error(top),
        _ => Err("no message type"),
    };
    let body = body.map_err(|reason| Refusal {
        tid: (kind == Some(b"q")).then_some(tid),
        reason,
    })?;
    let section: &[u8] = match body {
        Body::Query(_) => b"a",
        Body::Reply(_) => b"r",
        Body::Error { .. } => b"e",
    };
    let ip_node = bytes(top, b"ip");
    let ip = ip_node.and_then(read_compact);
    let read_only = int(top, b"ro") == Some(1);
    let mut known: Vec<&[u8]> = vec![b"t", b"y", section];
    if matches!(body, Body::Query(_)) {
        known.push(b"q");
    }
    let version = bytes(top, b"v");
    // A key that does not have the expected form is not understood, hence kept as it is.
    known.extend(version.map(|_| &b"v"[..]));
    known.extend(ip.map(|_| &b"ip"[..]));
    known.extend(read_only.then_some(&b"ro"[..]));
    Ok(Message {
        tid,
        body,
        version,
        ip,
        read_only,
        canonical,
        extra: extra(top, &known),
    })
}

fn query<'a>(top: Entries<'_, 'a>) -> Result<Query<'a>, &'static str> {
    let method = bytes(top, b"q").ok_or("no method")?;
    let args = find(top, b"a").and_then(Node::dict).ok_or("no arguments")?;
    let id = id(args, b"id").ok_or("no node id")?;
    let mut known: Vec<&[u8]> = vec![b"id"];
    let ask = ask(method, args, &mut known)?;
    let want = find(args, b"want").and_then(Node::list).map(|list| {
        let names: Vec<_> = list.iter().filter_map(Node::bytes).collect();
        Want {
            v4: names.contains(&&b"n4"[..]),
            v6: names.contains(&&b"n6"[..]),
        }
    });
    let want = want.filter(|want| *want != Want::default());
    known.extend(want.map(|_| &b"want"[..]));
    Ok(Query {
        id,
        ask,
        want: want.unwrap_or_default(),
        extra: extra(args, &known),
    })
}

fn ask<'a>(method: &'a [u8], args: Entries<'_, 'a>, known: &mut Vec<&[u8]>) -> Result<Ask<'a>, &'static str> {
    let target = |key| id(args, key).ok_or("no target of 20 bytes");
    Ok(match method {
        b"ping" => Ask::Ping,
        b"find_node" => {
            known.push(b"target");
            Ask::FindNode {
                target: target(b"target")?,
            }
        }
        b"get_peers" => {
            let scrape = int(args, b"scrape") == Some(1);
            let noseed = int(args, b"noseed") == Some(1);
            known.push(b"info_hash");
            known.extend(scrape.then_some(&b"scrape"[..]));
            known.extend(noseed.then_some(&b"noseed"[..]));
            Ask::GetPeers {
                info_hash: target(b"info_hash")?,
                scrape,
                noseed,
            }
        }
        b"announce_peer" => Ask::AnnouncePeer(announce(args, known)?),
        b"sample_infohashes" => {
            known.push(b"target");
            Ask::SampleInfohashes {
                target: target(b"target")?,
            }
        }
        b"get" => {
            let seq = int(args, b"seq");
            known.push(b"target");
            known.extend(seq.map(|_| &b"seq"[..]));
            Ask::Get {
                target: target(b"target")?,
                seq,
            }
        }
        b"put" => Ask::Put(put(args, known)?),
        other => Ask::Other(other),
    })
}

fn announce<'a>(args: Entries<'_, 'a>, known: &mut Vec<&[u8]>) -> Result<Announce<'a>, &'static str> {
    let implied_port = int(args, b"implied_port").is_some_and(|n| n != 0);
    let seed = int(args, b"seed") == Some(1);
    // With an implied port the written one is only a courtesy and may be nonsense.
    let port = int(args, b"port").and_then(|n| u16::try_from(n).ok());
    let port = port.or(implied_port.then_some(0)).ok_or("no port")?;
    known.extend([&b"info_hash"[..], b"port", b"token"]);
    known.extend(implied_port.then_some(&b"implied_port"[..]));
    known.extend(seed.then_some(&b"seed"[..]));
    Ok(Announce {
        info_hash: id(args, b"info_hash").ok_or("no info_hash of 20 bytes")?,
        port,
        implied_port,
        seed,
        token: bytes(args, b"token").ok_or("no token")?,
    })
}

fn put<'a>(args: Entries<'_, 'a>, known: &mut Vec<&[u8]>) -> Result<Put<'a>, &'static str> {
    let token = bytes(args, b"token").ok_or("no token")?;
    let v = find(args, b"v").ok_or("no value")?.raw;
    let cas = int(args, b"cas");
    known.extend([&b"token"[..], b"v"]);
    known.extend(cas.map(|_| &b"cas"[..]));
    let signed = match find(args, b"k") {
        None => None,
        Some(_) => {
            let salt = bytes(args, b"salt");
            known.extend([&b"k"[..], b"seq", b"sig"]);
            known.extend(salt.filter(|salt| !salt.is_empty()).map(|_| &b"salt"[..]));
            Some(Signed {
                key: fixed(args, b"k").ok_or("no key of 32 bytes")?,
                salt: salt.unwrap_or_default(),
                seq: int(args, b"seq").ok_or("no sequence number")?,
                sig: fixed(args, b"sig").ok_or("no signature of 64 bytes")?,
            })
        }
    };
    Ok(Put {
        token,
        v,
        signed,
        cas,
    })
}

fn reply<'a>(top: Entries<'_, 'a>) -> Result<Reply<'a>, &'static str> {
    let r = find(top, b"r").and_then(Node::dict).ok_or("no response")?;
    let samples = match (int(r, b"interval"), int(r, b"num"), bytes(r, b"samples")) {
        (Some(interval_secs), Some(num), Some(hashes)) if hashes.len() % 20 == 0 => Some(Samples {
            interval_secs,
            num,
            hashes,
        }),
        _ => None,
    };
    let values = find(r, b"values").and_then(Node::list);
    let mut reply = Reply {
        id: id(r, b"id").ok_or("no node id")?,
        nodes: bytes(r, b"nodes").map(|b| contacts(b, Family::V4)),
        nodes6: bytes(r, b"nodes6").map(|b| contacts(b, Family::V6)),
        token: bytes(r, b"token"),
        values: values.map(|list| {
            list.iter()
                .filter_map(Node::bytes)
                .filter_map(read_compact)
                .collect()
        }),
        seeds: fixed(r, b"BFsd"),
        peers: fixed(r, b"BFpe"),
        samples,
        v: find(r, b"v").map(|node| node.raw),
        key: fixed(r, b"k"),
        sig: fixed(r, b"sig"),
        seq: int(r, b"seq"),
        extra: Vec::new(),
    };
    reply.extra = extra(r, &understood(&reply));
    Ok(reply)
}

fn understood(reply: &Reply<'_>) -> Vec<&'static [u8]> {
    let mut known: Vec<&'static [u8]> = vec![b"id"];
    let fields: [(bool, &'static [u8]); 10] = [
        (reply.nodes.is_some(), b"nodes"),
        (reply.nodes6.is_some(), b"nodes6"),
        (reply.token.is_some(), b"token"),
        (reply.values.is_some(), b"values"),
        (reply.seeds.is_some(), b"BFsd"),
        (reply.peers.is_some(), b"BFpe"),
        (reply.v.is_some(), b"v"),
        (reply.key.is_some(), b"k"),
        (reply.sig.is_some(), b"sig"),
        (reply.seq.is_some(), b"seq"),
    ];
    known.extend(fields.iter().filter(|(there, _)| *there).map(|(_, key)| *key));
    if reply.samples.is_some() {
        known.extend([&b"interval"[..], b"num", b"samples"]);
    }
    known
}

fn error<'a>(top: Entries<'_, 'a>) -> Result<Body<'a>, &'static str> {
    let list = find(top, b"e").and_then(Node::list).ok_or("no error list")?;
    let code = list.first().and_then(Node::int).ok_or("no error code")?;
    Ok(Body::Error {
        code,
        text: list.get(1).and_then(Node::bytes).unwrap_or_default(),
    })
}

/// Whole entries only; a rest that is too short is not a node.
fn contacts(bytes: &[u8], family: Family) -> Vec<Contact> {
    let entries = bytes.chunks_exact(20 + family.compact_len());
    let read = |entry: &[u8]| {
        Some(Contact {
            id: Id::from_slice(&entry[..20])?,
            addr: read_compact(&entry[20..])?,
        })
    };
    entries.filter_map(read).collect()
}

fn find<'n, 'a>(entries: Entries<'n, 'a>, key: &[u8]) -> Option<&'n Node<'a>> {
    entries.iter().find(|(k, _)| *k == key).map(|(_, node)| node)
}

fn bytes<'a>(entries: Entries<'_, 'a>, key: &[u8]) -> Option<&'a [u8]> {
    find(entries, key)?.bytes()
}

fn int(entries: Entries<'_, '_>, key: &[u8]) -> Option<i64> {
    find(entries, key)?.int()
}

fn id(entries: Entries<'_, '_>, key: &[u8]) -> Option<Id> {
    Id::from_slice(bytes(entries, key)?)
}

fn fixed<'a, const N: usize>(entries: Entries<'_, 'a>, key: &[u8]) -> Option<&'a [u8; N]> {
    bytes(entries, key)?.try_into().ok()
}

fn extra<'a>(entries: Entries<'_, 'a>, known: &[&[u8]]) -> Extra<'a> {
    entries
        .iter()
        .filter(|(k, _)| !known.contains(k))
        .map(|(k, node)| (*k, node.raw))
        .collect()
}
