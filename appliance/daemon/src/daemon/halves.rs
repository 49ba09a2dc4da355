//! The lan half beside the web half: `granary run` starts it in the same process. A lan half that does not start is a trouble
//! that pages show; the web half goes on without it.

use std::time::Duration;

use house::net::Inherited;
use tracing::{info, warn};

use crate::{clock::Clock, health::Health, tasks::Tasks};

/// Goodbyes on the LAN are said within it.
const GOODBYE: Duration = Duration::from_secs(2);

/// The lan half in this process.
pub struct Beside {
    lan: lan::Lan,
    tasks: Tasks,
}

impl Beside {
    /// Starts it; `None` when it cannot be, and then the trouble is noted.
    pub async fn start(
        config: lan::Config,
        inherited: Vec<(String, Inherited)>,
        clock: &Clock,
        health: &Health,
        tasks: &Tasks,
    ) -> Option<Self> {
        let tasks = tasks.child();
        // It tells its troubles over its control socket, wherever it runs.
        let own = Health::default();
        match lan::Lan::start(config, inherited, clock.clone(), own, &tasks).await {
            Ok(lan) => {
                info!(listen = ?lan.status().listen, "the home's network is answered");
                Some(Self { lan, tasks })
            }
            Err(err) => {
                tasks.cancel();
                let reason = err.to_string().replace("Nothing was started. ", "");
                health.set(
                    "lan",
                    Some(format!("the home's network is not answered: {reason}")),
                );
                None
            }
        }
    }

    pub fn listening(&self) -> lan::api::Listening {
        self.lan.status().listen
    }

    /// Its settings file is read again.
    pub fn reload(&self) {
        self.lan.reload();
    }

    /// Says goodbye on the LAN, then ends its tasks.
    pub async fn stop(self) {
        if tokio::time::timeout(GOODBYE * 2, self.lan.stop(GOODBYE))
            .await
            .is_err()
        {
            warn!("the home's network was left without a goodbye");
        }
        self.tasks.cancel();
    }
}
