//! Announces over HTTP: BEP 3, compact replies (BEP 23), IPv6 peers (BEP 7).

use std::{net::SocketAddr, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::{Announce, Error, Event, Peers, Reply, one_line};
use crate::{
    bencode::{self, Node},
    id::InfoHash,
};

/// Most parameters read from a query.
const PARAMETERS_MAX: usize = 64;

/// RFC 3986 unreserved characters stay as they are.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The path and query to ask for: `target` (a tracker URL's path and own query, passkeys included) with our parameters.
pub fn target(target: &str, announce: &Announce) -> String {
    let join = match target.rsplit_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    let Announce {
        port,
        uploaded,
        downloaded,
        left,
        numwant,
        key,
        ..
    } = announce;
    let mut text = format!(
        "{target}{join}info_hash={}&peer_id={}&port={port}&uploaded={uploaded}&downloaded={downloaded}&left={left}\
         &compact=1&no_peer_id=1&numwant={numwant}&key={key:08x}",
        percent_encode(&announce.infohash.0, ESCAPED),
        percent_encode(&announce.peer_id, ESCAPED),
    );
    if announce.event != Event::None {
        text.push_str("&event=");
        text.push_str(announce.event.word());
    }
    if let Some(ip) = announce.ipv6 {
        text.push_str("&ipv6=");
        text.extend(percent_encode(ip.to_string().as_bytes(), ESCAPED));
    }
    text
}

/// Reads an announce's query string (the part behind `?`), as a tracker. Unknown parameters are ignored; of repeated ones
/// the first counts. `infohash`, `peer_id` and `port` must be there.
pub fn parse_query(query: &str) -> Result<Announce, Error> {
    let find = |name: &str| {
        let mut pairs = query
            .split('&')
            .take(PARAMETERS_MAX)
            .filter_map(|p| p.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let bytes20 = |name| {
        let bytes: Vec<u8> = percent_decode_str(find(name)?).take(21).collect();
        <[u8; 20]>::try_from(bytes).ok()
    };
    let number = |name| find(name).and_then(|n| n.parse::<u64>().ok());
    let port = number("port").and_then(|p| u16::try_from(p).ok());
    Ok(Announce {
        infohash: InfoHash(bytes20("info_hash").ok_or(Error::Malformed("info_hash"))?),
        peer_id: bytes20("peer_id").ok_or(Error::Malformed("peer_id"))?,
        port: port.ok_or(Error::Malformed("port"))?,
        uploaded: number("uploaded").unwrap_or(0),
        downloaded: number("downloaded").unwrap_or(0),
        left: number("left").unwrap_or(0),
        event: match find("event") {
            Some("started") => Event::Started,
            Some("completed") => Event::Completed,
            Some("stopped") => Event::Stopped,
            _ => Event::None,
        },
        numwant: number("numwant").map_or(50, |n| n.min(u64::from(u16::MAX)) as u16),
        key: find("key")
            .and_then(|k| u32::from_str_radix(k, 16).ok())
            .unwrap_or(0),
        ipv6: None,
    })
}

/// Reads a tracker's answer: compact or list of dictionaries, `peers6`, keys in any order.
pub fn parse_reply(body: &[u8]) -> Result<Reply, Error> {
    let root = bencode::parse_unsorted(body)?;
    if root.dict().is_none() {
        return Err(Error::Malformed("not a dictionary"));
    }
    let bytes = |key: &[u8]| root.get(key).and_then(Node::bytes);
    if let Some(reason) = bytes(b"failure reason") {
        return Err(Error::Refused(one_line(reason)));
    }
    let mut peers = Peers::default();
    match root.get(b"peers") {
        Some(node) if node.bytes().is_some() => peers.add_compact_v4(node.bytes().unwrap_or_default()),
        Some(node) if node.list().is_some() => {
            for peer in node.list().unwrap_or_default() {
                add_listed(&mut peers, peer);
            }
        }
        Some(_) => return Err(Error::Malformed("peers is neither bytes nor a list")),
        None => {}
    }
    peers.add_compact_v6(bytes(b"peers6").unwrap_or_default());
    let number = |key: &[u8]| root.get(key).and_then(Node::int);
    if peers.list.is_empty() && number(b"interval").is_none() && root.get(b"peers").is_none() {
        return Err(Error::Malformed("neither peers nor interval"));
    }
    let warning = bytes(b"warning message").map(one_line);
    Ok(Reply::bounded(
        number(b"interval"),
        number(b"min interval"),
        peers.list,
        warning,
    ))
}

/// A compact answer, as a tracker: IPv4 peers under `peers`, IPv6 ones under `peers6` when there are any.
pub fn encode_reply(interval: Duration, min_interval: Option<Duration>, peers: &[SocketAddr]) -> Vec<u8> {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for peer in peers {
        match peer {
            SocketAddr::V4(a) => v4.extend([&a.ip().octets()[..], &a.port().to_be_bytes()].concat()),
            SocketAddr::V6(a) => v6.extend([&a.ip().octets()[..], &a.port().to_be_bytes()].concat()),
        }
    }
    let mut out = format!("d8:intervali{}e", interval.as_secs()).into_bytes();
    if let Some(min) = min_interval {
        out.extend(format!("12:min intervali{}e", min.as_secs()).into_bytes());
    }
    let mut string = |key: &str, value: &[u8]| {
        out.extend(format!("{}:{key}{}:", key.len(), value.len()).into_bytes());
        out.extend(value);
    };
    string("peers", &v4);
    if !v6.is_empty() {
        string("peers6", &v6);
    }
    out.push(b'e');
    out
}

/// A refusal, as a tracker.
pub fn encode_failure(reason: &str) -> Vec<u8> {
    format!("d14:failure reason{}:{reason}e", reason.len()).into_bytes()
}

/// One dictionary of the old list form. Host names are allowed by BEP 3 but not resolved: nobody sends them, and each would
/// be a lookup a stranger can order.
fn add_listed(peers: &mut Peers, peer: &Node<'_>) {
    let ip = peer
        .get(b"ip")
        .and_then(Node::text)
        .and_then(|ip| ip.parse().ok());
    let port = peer
        .get(b"port")
        .and_then(Node::int)
        .and_then(|p| u16::try_from(p).ok());
    if let (Some(ip), Some(port)) = (ip, port) {
        peers.add(ip, port);
    }
}
