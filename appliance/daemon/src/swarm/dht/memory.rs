//! What the node remembers over a restart, in the store: its ids and nodes in one row, others' items in rows of their own.

use std::time::Duration;

use proto::{
    dht::{id::Id, items::Row, node::Node},
    id::Target,
};
use store::DhtItem;
use tracing::{debug, warn};

use crate::{clock::Clock, db::Db};

/// Others' items are saved so often. Shorter: more writes to an SD card. Longer: a power cut costs more of them, until
/// whoever put them puts them again.
pub const SAVE_ITEMS: Duration = Duration::from_secs(300);
const DEADLINE: Duration = Duration::from_secs(2);
/// The row that holds ids and nodes.
const SETTING: &str = "dht.nodes";
/// Rows written or read at once.
const BATCH: usize = 512;
/// As many as `proto::dht::items` keeps.
const ITEMS_MAX: usize = 4_096;

/// Cheap to clone.
#[derive(Clone)]
pub struct Memory {
    pub db: Db,
    pub clock: Clock,
}

impl Memory {
    /// Gives a node that has just been made, at its moment zero, what an earlier one knew.
    pub async fn recall(&self, node: &mut Node) {
        match self.db.run(|store| store.setting(SETTING)).await {
            Ok(Some(snapshot)) => node.restore(&snapshot, Duration::ZERO),
            Ok(None) => {}
            Err(err) => warn!(%err, "the DHT starts without the nodes it knew"),
        }
        let now = self.clock.now_secs();
        match self.db.run(move |store| store.dht_items(now, ITEMS_MAX)).await {
            Ok(items) => {
                debug!(count = items.len(), "DHT items of others remembered");
                let rows = items.into_iter().map(|item| Row {
                    target: Id::from(item.target),
                    raw: item.raw.to_vec(),
                    expires: Duration::from_secs(item.expires.saturating_sub(now)),
                });
                node.restore_items(rows, Duration::ZERO);
            }
            Err(err) => warn!(%err, "the DHT starts without the items others had stored"),
        }
    }

    pub async fn save_nodes(&self, snapshot: Vec<u8>) {
        let write = self.db.run(move |store| store.set_setting(SETTING, &snapshot));
        match tokio::time::timeout(DEADLINE, write).await {
            Ok(Ok(())) => {}
            Ok(Err(err)) => warn!(%err, "the nodes the DHT knows are not saved"),
            Err(_) => warn!("the nodes the DHT knows are not saved in time"),
        }
    }

    /// `now` is the node's; its times become dates here. What is not saved in time is lost with the next restart, until
    /// somebody puts it again.
    pub async fn save_items(&self, rows: Vec<Row>, now: Duration) {
        let today = self.clock.now_secs();
        let date = |expires: Duration| today + expires.saturating_sub(now).as_secs();
        let items = rows.into_iter().map(|row| DhtItem {
            target: Target(row.target.0),
            expires: date(row.expires),
            raw: row.raw.into(),
        });
        let items: Vec<_> = items.collect();
        let write = async {
            for batch in items.chunks(BATCH) {
                let batch = batch.to_vec();
                self.db.run(move |store| store.set_dht_items(&batch)).await?;
            }
            Ok::<_, store::Error>(())
        };
        match tokio::time::timeout(DEADLINE, write).await {
            Ok(Ok(())) => {}
            Ok(Err(err)) => warn!(%err, "the items others stored with us are not saved"),
            Err(_) => warn!("the items others stored with us are not saved in time"),
        }
    }
}
