//! Which blocks are asked for, which are here, and who may be lying.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use proto::{
    id::InfoHash,
    peer::metadata::{Assembly, Error as Lie},
};
use tokio::{sync::Notify, time::Instant};

use super::Error;

/// A block asked for this long ago is asked for again, from somebody else.
const BLOCK_DEADLINE: Duration = Duration::from_secs(5);

/// Sizes that peers claim, each with its own assembly: honest peers claim one, liars fill the rest.
const SIZES_MAX: usize = 4;

pub struct Board {
    infohash: InfoHash,
    state: Mutex<State>,
    done: Notify,
}

#[derive(Default)]
struct State {
    rounds: Vec<Round>,
    /// Peers that spoke to us at all.
    answered: bool,
    suspects: HashSet<SocketAddr>,
    whole: Option<Bytes>,
}

/// One claimed size, put together by everyone who claims it, or by a suspect alone.
struct Round {
    alone: Option<SocketAddr>,
    assembly: Assembly,
    asked: HashMap<u32, (SocketAddr, Instant)>,
    gave: HashSet<SocketAddr>,
}

impl Board {
    pub fn new(infohash: InfoHash) -> Self {
        Self {
            infohash,
            state: Mutex::default(),
            done: Notify::new(),
        }
    }

    pub fn infohash(&self) -> InfoHash {
        self.infohash
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A peer sent a handshake for the right torrent.
    pub fn answered(&self) {
        self.state().answered = true;
    }

    /// The next block to ask `peer` for; `None`: nothing for it now.
    pub fn next(&self, peer: SocketAddr, size: u64) -> Result<Option<u32>, Lie> {
        let mut state = self.state();
        let round = state.round(self.infohash, peer, size)?;
        let Some(round) = round else {
            return Ok(None);
        };
        let now = Instant::now();
        let block = (0..round.assembly.count()).find(|block| {
            let asked = round.asked.get(block);
            !round.assembly.has(*block) && asked.is_none_or(|(_, at)| now - *at >= BLOCK_DEADLINE)
        });
        if let Some(block) = block {
            round.asked.insert(block, (peer, now));
        }
        Ok(block)
    }

    /// A block came. An error: the peer lies and has to go.
    pub fn put(&self, peer: SocketAddr, size: u64, block: u32, data: &[u8]) -> Result<(), Lie> {
        let mut state = self.state();
        if state.whole.is_some() {
            return Ok(());
        }
        let Some(round) = state.round(self.infohash, peer, size)? else {
            return Ok(());
        };
        round.assembly.put(block, data)?;
        round.gave.insert(peer);
        round.asked.remove(&block);
        match round.assembly.finish() {
            Ok(None) => Ok(()),
            Ok(Some(raw)) => {
                state.whole = Some(raw.into());
                self.done.notify_one();
                Ok(())
            }
            Err(lie) => {
                let gave = std::mem::take(&mut round.gave);
                round.asked.clear();
                let alone = gave.len() == 1;
                state.suspects.extend(gave);
                // Who gave everything alone is the liar; among several, each gets a chance to prove itself alone.
                if alone { Err(lie) } else { Ok(()) }
            }
        }
    }

    /// The connection ended: what it was asked for is free again.
    pub fn gone(&self, peer: SocketAddr) {
        let mut state = self.state();
        for round in &mut state.rounds {
            round.asked.retain(|_, (asked, _)| *asked != peer);
        }
        state.rounds.retain(|round| round.alone != Some(peer));
    }

    /// Waits for the dictionary.
    pub async fn whole(&self) -> Bytes {
        loop {
            if let Some(raw) = &self.state().whole {
                return raw.clone();
            }
            self.done.notified().await;
        }
    }

    pub fn verdict(&self) -> Error {
        match self.state().answered {
            true => Error::Refused(self.infohash),
            false => Error::Silent(self.infohash),
        }
    }
}

impl State {
    /// The round `peer` works on; `None`: all places for claimed sizes are taken.
    fn round(&mut self, infohash: InfoHash, peer: SocketAddr, size: u64) -> Result<Option<&mut Round>, Lie> {
        let alone = self.suspects.contains(&peer).then_some(peer);
        let mine = |round: &Round| round.alone == alone && round.assembly.size() == size;
        let at = match self.rounds.iter().position(mine) {
            Some(at) => at,
            None => {
                let assembly = Assembly::new(infohash, size)?;
                if self.rounds.len() >= SIZES_MAX {
                    return Ok(None);
                }
                self.rounds.push(Round {
                    alone,
                    assembly,
                    asked: HashMap::new(),
                    gave: HashSet::new(),
                });
                self.rounds.len() - 1
            }
        };
        Ok(self.rounds.get_mut(at))
    }
}
