//! Announces over UDP: BEP 15, with the URL's path as BEP 41 options. All numbers are big-endian.

use super::{Announce, Error, Peers, Reply, one_line};

/// The constant that opens every connect request.
const PROTOCOL_ID: u64 = 0x0417_2710_1980;

/// Longest datagram worth reading: header and [`super::PEERS_MAX`] IPv6 peers.
pub const DATAGRAM_BYTES_MAX: usize = 20 + 18 * super::PEERS_MAX;

const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const ERROR: u32 = 3;

/// BEP 41 option types.
const URL_DATA: u8 = 2;

/// The address family of the tracker decides how long its peer entries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// Asks for a connection id (16 bytes).
pub fn connect(transaction: u32) -> [u8; 16] {
    let mut packet = [0; 16];
    packet[..8].copy_from_slice(&PROTOCOL_ID.to_be_bytes());
    packet[12..].copy_from_slice(&transaction.to_be_bytes());
    packet
}

/// The connection id of a connect answer.
pub fn parse_connect(packet: &[u8], transaction: u32) -> Result<u64, Error> {
    let body = body(packet, CONNECT, transaction)?;
    let id = body
        .first_chunk()
        .ok_or(Error::Malformed("connect answer is short"))?;
    Ok(u64::from_be_bytes(*id))
}

/// An announce of 98 bytes, followed by `target` (the URL's path and query) when it is more than `/`.
pub fn announce(connection: u64, transaction: u32, announce: &Announce, target: &str) -> Vec<u8> {
    let mut packet = Vec::with_capacity(98 + target.len() + 8);
    packet.extend(connection.to_be_bytes());
    packet.extend(ANNOUNCE.to_be_bytes());
    packet.extend(transaction.to_be_bytes());
    packet.extend(announce.infohash.0);
    packet.extend(announce.peer_id);
    packet.extend(announce.downloaded.to_be_bytes());
    packet.extend(announce.left.to_be_bytes());
    packet.extend(announce.uploaded.to_be_bytes());
    packet.extend((announce.event as u32).to_be_bytes());
    // Our address: 0, the tracker takes the one the packet came from.
    packet.extend([0; 4]);
    packet.extend(announce.key.to_be_bytes());
    packet.extend(u32::from(announce.numwant).to_be_bytes());
    packet.extend(announce.port.to_be_bytes());
    if target.len() > 1 {
        for part in target.as_bytes().chunks(255) {
            packet.extend([URL_DATA, part.len() as u8]);
            packet.extend(part);
        }
        // EndOfOptions (type 0).
        packet.push(0);
    }
    packet
}

/// Peers and interval of an announce answer.
pub fn parse_announce(packet: &[u8], transaction: u32, family: Family) -> Result<Reply, Error> {
    let body = body(packet, ANNOUNCE, transaction)?;
    // interval, leechers, seeders, then the peers.
    let (head, entries) = body
        .split_first_chunk::<12>()
        .ok_or(Error::Malformed("announce answer is short"))?;
    let interval = i32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let mut peers = Peers::default();
    match family {
        Family::V4 => peers.add_compact_v4(entries),
        Family::V6 => peers.add_compact_v6(entries),
    }
    Ok(Reply::bounded(Some(interval.into()), None, peers.list, None))
}

/// Checks action and transaction, and turns the tracker's error packet into ours. A foreign transaction is
/// [`Error::Malformed`] with the text `"transaction"`: the caller goes on waiting, somebody may be guessing.
fn body(packet: &[u8], action: u32, transaction: u32) -> Result<&[u8], Error> {
    let (head, body) = packet
        .split_first_chunk::<8>()
        .ok_or(Error::Malformed("short packet"))?;
    let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    if word(4) != transaction {
        return Err(Error::Malformed("transaction"));
    }
    match word(0) {
        ERROR => Err(Error::Refused(one_line(body))),
        found if found == action => Ok(body),
        _ => Err(Error::Malformed("action")),
    }
}
