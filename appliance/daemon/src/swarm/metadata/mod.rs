//! The info dictionary from peers (BEP 9): what turns an infohash into a torrent. Must not know where peers come from or
//! what the dictionary says.
//!
//! A few peers are asked at once, each for different blocks. When the result does not have the infohash, everyone who sent
//! a block is suspect, and from then on each peer has to deliver the whole alone: a liar can spoil one round, not two.
//!
//! Reading order: this file (who is asked), `board` (which blocks are asked for), `peer` (one connection).

mod board;
mod peer;

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use proto::id::InfoHash;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tracing::debug;

use board::Board;
pub use peer::open as dial;

/// Peers asked at once. Larger: faster when most are dead. Smaller: fewer connections per opened site.
const CONNECTIONS_MAX: usize = 16;

/// Peers tried for one torrent: a flood of addresses ends here.
const PEERS_MAX: usize = 1000;

/// One peer may take this long for everything; others are tried meanwhile.
const PEER_DEADLINE: Duration = Duration::from_secs(30);

/// A peer that hung up is asked again after this: it may still be checking its own files.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// How often one address is asked. More: dead ones cost more connections. Fewer: a peer that just started is given up.
const ASKS_MAX: u32 = 6;

/// Addresses that wait for a free connection.
const WAITING_MAX: usize = 200;

/// Split by what the caller can do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// No address came, or none of them answered: look elsewhere or later.
    #[error("no peer of {0} answered in time")]
    Silent(InfoHash),
    /// Peers answered, but none had or gave the metadata: more peers may help.
    #[error("peers of {0} do not give its metadata")]
    Refused(InfoHash),
}

/// Asks peers until one round of blocks has the infohash. `peers` gives candidates, already guarded; the search goes on
/// until `deadline` while it is open. Returns the raw info dictionary, at most 4 MiB.
pub async fn fetch(
    infohash: InfoHash,
    mut peers: mpsc::Receiver<Vec<SocketAddr>>,
    deadline: Instant,
) -> Result<Bytes, Error> {
    let board = Arc::new(Board::new(infohash));
    let mut known: HashMap<SocketAddr, u32> = HashMap::new();
    let mut waiting = Vec::new();
    let mut later: VecDeque<(Instant, SocketAddr)> = VecDeque::new();
    let mut running = JoinSet::new();
    let mut open = true;
    loop {
        while running.len() < CONNECTIONS_MAX
            && let Some(addr) = waiting.pop()
        {
            let board = board.clone();
            ask(&mut running, addr, board);
        }
        if running.is_empty() && later.is_empty() && !open {
            return Err(board.verdict());
        }
        tokio::select! {
            more = timeout_at(deadline, peers.recv()), if open => match more {
                Ok(Some(addrs)) => {
                    let new = addrs.into_iter().filter(|addr| known.len() < PEERS_MAX && known.insert(*addr, 1).is_none());
                    waiting.extend(new.take(WAITING_MAX));
                    waiting.truncate(WAITING_MAX);
                }
                Ok(None) => open = false,
                Err(_) => return Err(board.verdict()),
            },
            ended = timeout_at(deadline, running.join_next()), if !running.is_empty() => {
                match ended {
                    Err(_) => return Err(board.verdict()),
                    Ok(Some(Ok(Some(addr)))) => {
                        let asks = known.entry(addr).or_insert(1);
                        if *asks < ASKS_MAX {
                            *asks += 1;
                            later.push_back((Instant::now() + ASK_AGAIN, addr));
                        }
                    }
                    Ok(_) => {}
                }
            }
            () = tokio::time::sleep_until(later.front().map_or(deadline, |(at, _)| *at)), if !later.is_empty() => {
                waiting.extend(later.pop_front().map(|(_, addr)| addr));
            }
            raw = board.whole() => return Ok(raw),
        }
    }
}

/// Yields the address when the peer hung up without answering. The set owns the connections: when the fetch ends or is dropped, so are they.
fn ask(running: &mut JoinSet<Option<SocketAddr>>, addr: SocketAddr, board: Arc<Board>) {
    // Not `tasks.spawn`: these end with this call, and their number is bounded by it.
    #[allow(clippy::disallowed_methods)]
    running.spawn(async move {
        let asked = tokio::time::timeout(PEER_DEADLINE, peer::ask(addr, &board)).await;
        board.gone(addr);
        match asked {
            Ok(Ok(())) => None,
            Ok(Err(err)) => {
                debug!(peer = %addr, %err, "no metadata from this peer");
                Some(addr)
            }
            Err(_) => {
                debug!(peer = %addr, "no metadata from this peer in time");
                None
            }
        }
    });
}

#[cfg(test)]
mod tests;
