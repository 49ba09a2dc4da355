//! What every room of the lan half is given: how it was started, the house services, the settings.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use house::{clock::Clock, health::Health, tasks::Tasks};
use tokio::sync::watch;

use crate::{
    interfaces::Interfaces,
    settings::{DhcpMode, Settings},
};

/// What a start needs to know; the household's choices are [`Settings`].
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of the settings, the leases and the compiled block list.
    pub state: PathBuf,
    /// The settings file; default `lan.toml` in the folder.
    pub settings: Option<PathBuf>,
    pub control: PathBuf,
    /// UDP and TCP.
    pub dns: Vec<SocketAddr>,
    pub dot: Vec<SocketAddr>,
    pub doh: Vec<SocketAddr>,
    /// What DNS, PAC and DHCP name as the box; default: the address of the interface a question came by.
    pub advertise: Option<Ipv4Addr>,
    /// Interfaces to serve; empty: every Ethernet-like one.
    pub interfaces: Vec<String>,
    /// Upstream resolvers over those of the settings.
    pub upstreams: Vec<String>,
    /// The DHCP mode over that of the settings.
    pub dhcp: Option<DhcpMode>,
    /// Where the pages of the box and the PAC are, for option 252 and mDNS.
    pub http_port: u16,
}

/// House services of the lan half, given to every room. Cheap to clone.
#[derive(Clone)]
pub struct House {
    pub config: Arc<Config>,
    pub tasks: Tasks,
    pub clock: Clock,
    pub health: Health,
    pub interfaces: Interfaces,
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
}

impl House {
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// Wakes when the settings change.
    pub fn watch_settings(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.clone()
    }
}
