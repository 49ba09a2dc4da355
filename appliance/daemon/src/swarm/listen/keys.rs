//! Which torrent an encrypted connection names: a table of HASH('req2', infohash) for everything in the store, made when
//! the first such connection comes. 28 bytes per torrent, so 10,000 cost 280 KB and only homes whose peers encrypt.

use std::time::Duration;

use proto::{id::InfoHash, peer::mse};
use tokio::{sync::Mutex, time::Instant};
use tracing::debug;

use super::wire::Keys;
use crate::db::Db;

/// After a miss the table is read again at most this often: strangers must not make us walk the store. Larger: a new
/// torrent is longer unknown to peers that insist on encryption. Smaller: noise costs more reads.
const REFRESH: Duration = Duration::from_secs(15);

/// Rows read in one go, so that a long walk never holds a blocking thread for long.
const PAGE: usize = 1000;

/// Torrents in the table at most.
const TORRENTS_MAX: usize = 1_000_000;

pub struct KeyTable {
    db: Db,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Sorted by the first eight bytes of the hash.
    rows: Vec<([u8; 8], InfoHash)>,
    read: Option<Instant>,
}

impl KeyTable {
    pub fn new(db: Db) -> Self {
        Self {
            db,
            state: Mutex::default(),
        }
    }

    async fn rows(&self) -> Result<Vec<([u8; 8], InfoHash)>, store::Error> {
        let mut rows = Vec::new();
        let mut after = None;
        loop {
            let page = self.db.run(move |store| store.sites(after, PAGE)).await?;
            rows.extend(page.iter().map(|row| (head_of(&row.infohash), row.infohash)));
            match page.last() {
                Some(last) if page.len() == PAGE && rows.len() < TORRENTS_MAX => after = Some(last.infohash),
                _ => break,
            }
        }
        rows.sort_unstable();
        Ok(rows)
    }
}

impl Keys for KeyTable {
    /// The lock is held while the store is walked, so that a crowd of strangers causes one walk; the listener's deadline
    /// bounds the wait.
    async fn find(&self, hash: [u8; 20]) -> Option<InfoHash> {
        let mut state = self.state.lock().await;
        if let Some(found) = state.find(&hash) {
            return Some(found);
        }
        if state.read.is_some_and(|read| read.elapsed() < REFRESH) {
            return None;
        }
        match self.rows().await {
            Ok(rows) => state.rows = rows,
            Err(err) => debug!(%err, "cannot list torrents for encrypted peers"),
        }
        state.read = Some(Instant::now());
        state.find(&hash)
    }
}

impl State {
    fn find(&self, hash: &[u8; 20]) -> Option<InfoHash> {
        let start = self.rows.partition_point(|(head, _)| head[..] < hash[..8]);
        self.rows[start..]
            .iter()
            .take_while(|(head, _)| head[..] == hash[..8])
            .map(|(_, infohash)| *infohash)
            .find(|infohash| mse::key_hash(infohash) == *hash)
    }
}

fn head_of(infohash: &InfoHash) -> [u8; 8] {
    let mut head = [0; 8];
    head.copy_from_slice(&mse::key_hash(infohash)[..8]);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torrent_is_found_by_its_hash_alone() {
        let torrents: Vec<InfoHash> = (0..200u8).map(|i| InfoHash([i; 20])).collect();
        let mut rows: Vec<_> = torrents.iter().map(|ih| (head_of(ih), *ih)).collect();
        rows.sort_unstable();
        let state = State { rows, read: None };
        for infohash in &torrents {
            assert_eq!(state.find(&mse::key_hash(infohash)), Some(*infohash));
        }
        assert_eq!(state.find(&[0; 20]), None);
        assert_eq!(state.find(&[0xff; 20]), None);
    }
}
