//! The gateway: browsers' HTTP door. Which host, which reply, headers, error pages, the PAC.
//!
//! Must not know the DHT, peers, redb, DNS or DHCP: bytes of sites come through [`SiteSource`], the box's own pages
//! through [`OwnPages`], both given by `daemon.rs`.
//!
//! Reading order: `listen` (sockets, bounds), `wire` (each HTTP/1 head read once, strictly, by `proto::site::head`;
//! deadlines), `route` (head -> what is asked, pure), `answer` (the way of a request), `opened` (sites kept open), `site` (a
//! path of a site), `file` (a file's bytes), `mutable` (addresses whose version changes), `shown` (their headers), `special`
//! (`/.btlink/…`), `version_pages` (record and history), `archive` (ZIP and TAR), `item_page` (items of the DHT), `box_pages`
//! (what is pasted on the box's own names), `by_path` (sites on them), `own` (everything else there), `page` (look),
//! `listing_page`, `progress_page`, `pac` (what devices that look for a proxy are told), `seen` (by which ways they came), `error_page` (the only place that knows status codes of troubles), `reply` (headers),
//! `body`.

mod answer;
mod archive;
mod body;
mod box_pages;
mod by_path;
mod error_page;
mod file;
mod item_page;
mod listen;
mod listing_page;
mod mutable;
mod opened;
mod own;
mod pac;
mod page;
mod progress_page;
mod reply;
mod route;
mod seen;
mod shown;
mod site;
mod special;
mod version_pages;
mod wire;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod fixture_records;
#[cfg(test)]
mod host_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod mutable_tests;
#[cfg(test)]
mod pac_tests;
#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod route_tests;
#[cfg(test)]
mod tests;

use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
pub use own::{OwnPages, OwnReply, OwnRequest};
pub use pac::{Network, Resolver, Rules};
pub use page::STYLE;
use proto::{
    id::{InfoHash, Target},
    name::Address,
};
#[cfg(test)]
pub use seen::Way;
pub use seen::{Seen, Ways};
use tokio::{net::TcpListener, time::Instant};

use crate::{
    sites::{Current, Error, Held, Item, Site, Sites, Version},
    swarm::{Hints, Progress, Torrent},
    tasks::Tasks,
};

/// What the gateway needs of `sites`; the rules stand at [`Sites`]' functions of the same names.
pub trait SiteSource: Send + Sync + 'static {
    /// An opened version of a site.
    type Site: Send + Sync + 'static;

    fn torrent(site: &Self::Site) -> &Arc<Torrent>;
    fn open(
        &self,
        ih: InfoHash,
        hints: &Hints,
        local_only: bool,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Site, Error>> + Send;
    fn read(
        &self,
        site: &Self::Site,
        file: usize,
        offset: u64,
        len: usize,
        deadline: Instant,
    ) -> impl Future<Output = Result<Bytes, Error>> + Send;
    fn held_bytes(&self, site: &Self::Site, file: usize) -> u64;
    fn progress(&self, ih: InfoHash) -> Option<Progress>;
    fn current(
        &self,
        address: &Address,
        local_only: bool,
        deadline: Instant,
    ) -> impl Future<Output = Result<Current, Error>> + Send;
    fn look_again(&self, address: &Address, deadline: Instant) -> impl Future<Output = ()> + Send;
    fn versions(&self, current: &Current) -> impl Future<Output = Result<Vec<Version>, Error>> + Send;
    fn held(&self, ih: &InfoHash) -> Held;
    fn item(
        &self,
        target: Target,
        local_only: bool,
        deadline: Instant,
    ) -> impl Future<Output = Result<Item, Error>> + Send;
}

impl SiteSource for Sites {
    type Site = Site;

    fn torrent(site: &Site) -> &Arc<Torrent> {
        &site.torrent
    }

    async fn open(
        &self,
        ih: InfoHash,
        hints: &Hints,
        local_only: bool,
        deadline: Instant,
    ) -> Result<Site, Error> {
        Sites::open(self, ih, hints, local_only, deadline).await
    }

    async fn read(
        &self,
        site: &Site,
        file: usize,
        offset: u64,
        len: usize,
        deadline: Instant,
    ) -> Result<Bytes, Error> {
        Sites::read(self, site, file, offset, len, deadline).await
    }

    fn held_bytes(&self, site: &Site, file: usize) -> u64 {
        Sites::held_bytes(self, site, file)
    }

    fn progress(&self, ih: InfoHash) -> Option<Progress> {
        Sites::progress(self, ih)
    }

    async fn current(
        &self,
        address: &Address,
        local_only: bool,
        deadline: Instant,
    ) -> Result<Current, Error> {
        Sites::current(self, address, local_only, deadline).await
    }

    async fn look_again(&self, address: &Address, deadline: Instant) {
        Sites::look_again(self, address, deadline).await;
    }

    async fn versions(&self, current: &Current) -> Result<Vec<Version>, Error> {
        Sites::versions(self, current).await
    }

    fn held(&self, ih: &InfoHash) -> Held {
        Sites::held(self, ih)
    }

    async fn item(&self, target: Target, local_only: bool, deadline: Instant) -> Result<Item, Error> {
        Sites::item(self, target, local_only, deadline).await
    }
}

#[derive(Debug, Clone)]
pub struct Config {
    /// The address PAC and pages name as the box; `None`: the address the client reached us on.
    pub advertise: Option<IpAddr>,
    /// Domains besides the top-level name whose hosts are sites. A domain that others control here would be theirs.
    pub gateway_domains: Vec<String>,
    /// Further names of the box itself (mDNS name, host name). More: more names open the start page. A name that others
    /// control here would open the box to DNS rebinding.
    pub box_names: Vec<String>,
    /// Connections at once. More: more memory (about 40 KiB each under load). Fewer: a busy home sees refusals.
    pub connections_max: usize,
    /// Connections at once of one device. More: one device can crowd out others. Fewer: old browsers open pages slower.
    pub per_device_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            advertise: None,
            gateway_domains: Vec::new(),
            box_names: vec!["granary.local".into(), "localhost".into()],
            connections_max: 1024,
            per_device_max: 256,
        }
    }
}

/// Split by what the person who starts us can do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("gateway domain: {0}")]
    Domain(#[from] proto::name::Error),
}

/// The open doors. The tasks behind them end with the `Tasks` group given to [`start`].
#[derive(Debug, Clone)]
pub struct Doors {
    /// In the order of [`Sockets::http`], with the ports really used.
    pub http: Vec<SocketAddr>,
    pub proxy: Vec<SocketAddr>,
}

/// Sockets that somebody else opened (systemd, or `net`, whose errors name the flag to change).
#[derive(Default)]
pub struct Sockets {
    pub http: Vec<TcpListener>,
    pub proxy: Vec<TcpListener>,
}

/// Serves sites of `source` and the box's own `pages` on sockets that are open already, as `network` says, until `tasks` is
/// cancelled; requests under way get five seconds.
pub fn start<S: SiteSource>(
    config: &Config,
    sockets: Sockets,
    source: Arc<S>,
    pages: Arc<dyn OwnPages>,
    network: Network,
    tasks: &Tasks,
) -> Result<Doors, StartError> {
    let Sockets { http, proxy } = sockets;
    let addrs = |listeners: &[TcpListener]| -> Vec<SocketAddr> {
        listeners.iter().filter_map(|one| one.local_addr().ok()).collect()
    };
    let doors = Doors {
        http: addrs(&http),
        proxy: addrs(&proxy),
    };
    let shared = answer::Shared::new(config, &doors, source, (pages, network), tasks.clone())?;
    let bounds = listen::Bounds::new(config.connections_max, config.per_device_max);
    for (listeners, idle) in [(http, wire::IDLE_HTTP), (proxy, wire::IDLE_PROXY)] {
        for listener in listeners {
            let door = listen::Door {
                shared: shared.clone(),
                bounds: bounds.clone(),
                idle,
            };
            tasks.spawn("gateway.listen", listen::accept(listener, door, tasks.clone()));
        }
    }
    Ok(doors)
}
