//! Health of the web half: what the house's own `health` says, and a watchdog that is tied to the store.

use std::time::Duration;

pub use house::health::{Health, say_ready, say_reloading, say_stopping};
use sd_notify::NotifyState;
use tracing::warn;

use crate::{db::Db, tasks::Tasks};

/// Pings systemd's watchdog at half its period, each time after the store has answered: a hanging disk must not look
/// healthy.
pub fn watch(db: &Db, tasks: &Tasks) {
    let Some(period) = sd_notify::watchdog_enabled() else {
        return;
    };
    let db = db.clone();
    tasks.spawn("health.watchdog", async move {
        let every = (period / 2).max(Duration::from_millis(500));
        loop {
            match tokio::time::timeout(every, db.run(|store| store.setting("health"))).await {
                Ok(Ok(_)) => {
                    let _ = sd_notify::notify(&[NotifyState::Watchdog]);
                }
                Ok(Err(err)) => warn!(%err, "the store does not answer; the watchdog is not fed"),
                Err(_) => warn!("the store is too slow; the watchdog is not fed"),
            }
            tokio::time::sleep(every).await;
        }
    });
}
