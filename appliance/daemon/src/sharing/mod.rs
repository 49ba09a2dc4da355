//! Sharing: what the household gives to others: on or off, how fast, at which hours, how much in a month. Settings live in
//! the store, are changed on pages, and take effect at once.
//!
//! Must not know: pages, peers.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Clock,
    db::Db,
    swarm::{Swarm, limits},
    tasks::Tasks,
};

/// As the owner sets it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Settings {
    /// Others get what we hold. Off: no seeding, no announces, and our DHT node only asks (BEP 43).
    pub upload: bool,
    /// Bytes per second for everything together; 0: no limit.
    pub upload_bytes_per_sec: u64,
    pub download_bytes_per_sec: u64,
    /// Hours with other limits.
    pub schedule: Vec<Hours>,
    /// Bytes given in a calendar month; 0: no limit. When they are used up, upload rests until the next month.
    pub monthly_bytes: u64,
}

/// Local time; `until` may lie before `from`: then it is after midnight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Hours {
    /// `HH:MM`.
    pub from: String,
    pub until: String,
    pub upload_bytes_per_sec: u64,
    pub download_bytes_per_sec: u64,
}

/// What has been given.
#[derive(Debug, Clone, Default, Serialize, schemars::JsonSchema)]
pub struct Given {
    pub month_bytes: u64,
    pub total_bytes: u64,
    /// Upload rests because the month's budget is used up.
    pub resting: bool,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Sharing {
    swarm: Swarm,
    db: Db,
    clock: Clock,
}

impl Sharing {
    /// `config`: what the configuration file says; counts until the owner changes a setting.
    pub fn start(config: limits::Settings, swarm: Swarm, db: Db, clock: Clock, tasks: &Tasks) -> Self {
        let _ = (config, tasks);
        Self { swarm, db, clock }
    }

    pub fn settings(&self) -> Settings {
        let _ = (&self.swarm, &self.db, &self.clock);
        todo!()
    }

    /// Takes effect at once. The error is a sentence about the field.
    pub async fn set(&self, settings: Settings) -> Result<(), String> {
        let _ = settings;
        todo!()
    }

    pub fn given(&self) -> Given {
        todo!()
    }
}
