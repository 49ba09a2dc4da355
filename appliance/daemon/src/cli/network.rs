//! Flags of every command that starts a swarm: where it listens, whom it asks.

use std::net::SocketAddr;

use crate::config::Config;

#[derive(clap::Args, Clone, Default)]
pub struct Flags {
    /// Where BitTorrent peers reach us, TCP and uTP
    #[arg(long, value_name = "ADDR")]
    pub listen_bt: Option<SocketAddr>,
    /// Where DHT nodes reach us, UDP (repeatable: one address of each family)
    #[arg(long, value_name = "ADDR")]
    pub listen_dht: Vec<SocketAddr>,
    /// HOST:PORT of a first DHT node (repeatable; `none`: no bootstrap)
    #[arg(long, value_name = "HOST:PORT")]
    pub dht_bootstrap: Vec<String>,
    /// The interface of the home: the LAN part serves it, local peers are looked for on it
    #[arg(long, value_name = "NAME")]
    pub interface: Option<String>,
    /// A peer that every torrent is asked from (repeatable)
    #[arg(long, value_name = "HOST:PORT")]
    pub peer: Vec<SocketAddr>,
    /// A resolver that is asked for the link records of domains (repeatable) [default: the system's]
    #[arg(long, value_name = "ADDR")]
    pub upstream_dns: Vec<SocketAddr>,
    /// A DoH resolver instead: https://ADDRESS/dns-query
    #[arg(long, value_name = "URL")]
    pub doh: Option<String>,
    /// No local peer discovery
    #[arg(long)]
    pub no_lsd: bool,
    /// Ask the router to let peers in, by UPnP or NAT-PMP
    #[arg(long)]
    pub upnp: bool,
    /// No port forwarding by UPnP or NAT-PMP, whatever the config says
    #[arg(long)]
    pub no_upnp: bool,
    /// Give nothing to others in this run, whatever is set on a page: no seeding, no announces
    #[arg(long)]
    pub no_upload: bool,
    /// What is logged, such as `info` or `info,granary=debug`
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

impl Flags {
    /// What was given overrides `config`.
    pub fn apply(&self, config: &mut Config) {
        config.bt = self.listen_bt.unwrap_or(config.bt);
        if !self.listen_dht.is_empty() {
            config.dht.clone_from(&self.listen_dht);
        }
        if !self.dht_bootstrap.is_empty() {
            config.dht_bootstrap = self
                .dht_bootstrap
                .iter()
                .filter(|node| *node != "none")
                .cloned()
                .collect();
        }
        config.interface = self.interface.clone().or(config.interface.take());
        config.peers.extend(&self.peer);
        if !self.upstream_dns.is_empty() {
            config.dns_upstream.clone_from(&self.upstream_dns);
        }
        config.dns_doh = self.doh.clone().or(config.dns_doh.take());
        config.lsd &= !self.no_lsd;
        config.upnp = (config.upnp || self.upnp) && !self.no_upnp;
        config.upload_never |= self.no_upload;
        if let Some(log) = &self.log {
            config.log.clone_from(log);
        }
    }

    /// The log of a command that ends by itself: quiet unless asked.
    pub fn log(&self) -> &str {
        self.log.as_deref().unwrap_or("warn")
    }
}
