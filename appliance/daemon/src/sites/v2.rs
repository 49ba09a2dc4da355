//! Torrents by their v2 infohash (BEP 52): rows are kept by the 20-byte one, so an index is made when somebody asks.

use std::{collections::HashMap, sync::Arc, time::Duration};

use proto::{id::InfoHash, metainfo};
use tokio::{sync::Mutex, time::Instant};

use super::{Error, Sites, unavailable};

/// A site that came since the index was made is found after so long. Shorter: whoever asks for unknown hashes costs more.
const RENEW: Duration = Duration::from_secs(10);
/// Rows read at once.
const BATCH: usize = 64;

#[derive(Default)]
struct Index {
    by_v2: HashMap<[u8; 32], InfoHash>,
    /// When it was made, and how many sites there were.
    made: Option<(Instant, u64)>,
}

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct V2(Arc<Mutex<Index>>);

#[cfg(test)]
impl V2 {
    /// As if the index were old.
    pub async fn forget(&self) {
        self.0.lock().await.made = None;
    }
}

impl Sites {
    /// The v1 infohash of a torrent in the store whose v2 infohash this is. Reads all metadata when it does not know.
    pub(super) async fn v1_of(&self, hash: &[u8; 32]) -> Result<InfoHash, Error> {
        // Held while the index is made: whoever else asks waits for it instead of making another.
        let mut index = self.v2.0.lock().await;
        if let Some(infohash) = index.by_v2.get(hash) {
            return Ok(*infohash);
        }
        let sites = self.db.store().usage().map_err(unavailable)?.sites;
        let current = index
            .made
            .is_some_and(|(made, count)| made.elapsed() < if count == sites { RENEW * 30 } else { RENEW });
        if !current {
            index.by_v2 = self.db.run(all).await.map_err(unavailable)?;
            index.made = Some((Instant::now(), sites));
        }
        let found = index.by_v2.get(hash).copied();
        found.ok_or_else(|| {
            Error::Unknown(
                "no site here has this infohash of version 2, and the network is not asked by it".into(),
            )
        })
    }
}

fn all(store: &store::Store) -> Result<HashMap<[u8; 32], InfoHash>, store::Error> {
    let (mut found, mut after) = (HashMap::new(), None);
    loop {
        let rows = store.sites(after, BATCH)?;
        let Some(last) = rows.last() else {
            return Ok(found);
        };
        after = Some(last.infohash);
        for row in rows {
            let Some(raw) = store.raw_info(&row.infohash)? else {
                continue;
            };
            // Parsing costs more than a search, and most torrents have no such key.
            let v2 = raw.windows(VERSION.len()).any(|part| part == VERSION);
            if let Some(hash) = v2.then(|| metainfo::parse_info(&raw).ok()?.infohash_v2).flatten() {
                found.insert(hash, row.infohash);
            }
        }
    }
}

const VERSION: &[u8] = b"12:meta versioni2e";
