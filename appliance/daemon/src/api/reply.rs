//! The shapes of the JSON. Field names are part of the stable face: they are added to, never renamed.

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::journal::Line as LogLine;
use crate::{health, sharing, swarm};

/// Where everything listens; the body of the ready file.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Addresses {
    pub pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bt: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dht: Option<SocketAddr>,
    /// The home's resolver, when the lan half runs in the same process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<SocketAddr>,
    /// The same over TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dot: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pac_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// What makes the first owner; only while the box waits for one, and only where the holder of the box looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_pin: Option<String>,
    /// Infohash of the starter site, when it is seeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starter: Option<String>,
}

impl Addresses {
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What every refusal is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Problem {
    /// What happened, in a sentence.
    pub error: String,
}

/// It is done.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Done {
    done: bool,
}

impl Default for Done {
    fn default() -> Self {
        Self { done: true }
    }
}

/// The status, as far as whoever asks may see it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Told {
    Status(Box<Status>),
    Glance(Glance),
}

/// What anybody on the home's network may see.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Glance {
    pub version: &'static str,
    pub sites: u64,
    #[serde(flatten)]
    pub line: Line,
}

/// How well the box is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Light {
    /// All is well.
    Green,
    /// Goes on with less; the troubles say with what.
    Yellow,
    /// Nothing new can be stored.
    Red,
}

impl Light {
    pub fn of(health: &health::Health) -> Self {
        let troubles = health.troubles();
        match troubles.iter().any(|(room, _)| *room == "store") {
            true => Self::Red,
            false if troubles.is_empty() => Self::Green,
            false => Self::Yellow,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    pub light: Light,
    pub troubles: Vec<Trouble>,
}

/// Settings and figures of sharing.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SharingView {
    #[serde(flatten)]
    pub settings: sharing::Settings,
    pub given: sharing::Given,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    pub version: &'static str,
    #[serde(flatten)]
    pub addresses: Addresses,
    pub uptime_secs: u64,
    pub now: u64,
    pub light: Light,
    pub troubles: Vec<Trouble>,
    pub store: Usage,
    #[serde(flatten)]
    pub line: Line,
    /// What others get, in a sentence.
    pub sharing: String,
    pub subscriptions: Following,
    /// What somebody should read: publishers that signed two things under one number, versions that wait for a word.
    pub warnings: Vec<String>,
    pub tasks: Vec<Task>,
}

/// How many addresses are followed, and how they are.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Following {
    pub count: usize,
    /// How many are in each state: `up-to-date`, `updating`, `asking`, `silent`, `never-seen`, `paused`, `blocked`,
    /// `not-a-site`.
    pub states: std::collections::BTreeMap<&'static str, usize>,
}

/// What goes over the line; the same words on the control socket and on the household's door.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Line {
    pub peers: u32,
    pub dht_nodes: usize,
    pub down_bytes_per_sec: u64,
    pub up_bytes_per_sec: u64,
    /// Since the start.
    pub downloaded: u64,
    pub uploaded: u64,
    /// The limits in force at this hour; 0: none.
    pub download_bytes_per_sec_max: u64,
    pub upload_bytes_per_sec_max: u64,
    /// Sites being fetched.
    pub fetching: usize,
    /// What became of opening the router's port, in a sentence.
    pub port_mapping: String,
    /// The port others are told, after the router's translation.
    pub bt_port_outside: u16,
    /// Our address as the router sees it from outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_outside: Option<IpAddr>,
    /// Network interfaces that local peer discovery listens on.
    pub lsd_interfaces: usize,
    /// Searches for peers under way.
    pub searches: usize,
    /// Trackers that are left alone for a while because they did not answer.
    pub trackers_resting: usize,
}

impl From<&swarm::Status> for Line {
    fn from(status: &swarm::Status) -> Self {
        Self {
            peers: status.peers,
            dht_nodes: status.dht_nodes,
            down_bytes_per_sec: status.down_bps,
            up_bytes_per_sec: status.up_bps,
            downloaded: status.downloaded,
            uploaded: status.uploaded,
            download_bytes_per_sec_max: status.rates.down,
            upload_bytes_per_sec_max: status.rates.up,
            fetching: status.fetching.len(),
            port_mapping: status.found.port_mapping.clone(),
            bt_port_outside: status.found.port,
            address_outside: status.found.external,
            lsd_interfaces: status.found.lsd_interfaces,
            searches: status.found.searches,
            trackers_resting: status.found.trackers_resting,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Trouble {
    pub room: &'static str,
    pub reason: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Task {
    pub name: &'static str,
    pub age_secs: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Usage {
    pub sites: u64,
    pub pieces: u64,
    pub live_bytes: u64,
    pub disk_bytes: u64,
    pub kept_bytes: u64,
    pub visited_bytes: u64,
    pub free_bytes: u64,
}

impl From<store::Usage> for Usage {
    fn from(usage: store::Usage) -> Self {
        Self {
            sites: usage.sites,
            pieces: usage.pieces,
            live_bytes: usage.live_bytes,
            disk_bytes: usage.disk_bytes,
            kept_bytes: usage.kept_bytes,
            visited_bytes: usage.visited_bytes,
            free_bytes: usage.free_bytes,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct SiteRow {
    pub infohash: String,
    pub name: String,
    pub kept: bool,
    pub private: bool,
    pub complete: bool,
    pub total: u64,
    pub pieces: u32,
    pub held: u32,
    pub uploaded: u64,
    pub downloaded: u64,
    pub added: u64,
    pub used: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down_bytes_per_sec: Option<u64>,
}

impl From<store::SiteRow> for SiteRow {
    fn from(row: store::SiteRow) -> Self {
        Self {
            infohash: row.infohash.to_string(),
            complete: row.complete(),
            kept: row.keep == store::Keep::Kept,
            name: row.name,
            private: row.private,
            total: row.total,
            pieces: row.pieces,
            held: row.held,
            uploaded: row.uploaded,
            downloaded: row.downloaded,
            added: row.added,
            used: row.used,
            peers: None,
            down_bytes_per_sec: None,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Opened {
    pub infohash: String,
    pub name: String,
    pub total: u64,
    pub pieces: u32,
    pub files: Vec<File>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct File {
    pub path: String,
    pub length: u64,
    pub held: u64,
}

/// Body of `POST /api/v1/sites/IH/peers`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeersBody {
    #[serde(default)]
    pub peers: Vec<SocketAddr>,
}

/// Body of `POST /api/v1/sites/IH/rate`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateBody {
    /// Bytes per second this site may be uploaded with, below the limit of all; 0 lifts it.
    pub upload_bytes_per_sec: u64,
}

/// Body of `POST /api/v1/seed`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedBody {
    pub path: std::path::PathBuf,
    #[serde(default)]
    pub name: Option<String>,
    /// A torrent file whose content lies below `path`.
    #[serde(default)]
    pub torrent: Option<std::path::PathBuf>,
}

/// One line of the answer to `POST /api/v1/seed`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct SeedStep {
    pub done: u64,
    pub total: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub infohash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}
