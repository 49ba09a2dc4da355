//! Config: one file, read once, checked whole, unknown keys refused; flags override it. Settings that the household changes
//! on pages are not config: they live in the store.
//!
//! Must not know any service: it only carries numbers and addresses. Reading order: this file, `reader` (TOML with all
//! faults listed at once), `file` (which key sets what), `schedule` (rates by the hour).

mod file;
mod reader;
mod schedule;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

pub use file::parse;
pub use schedule::Hours;

/// Everything a start needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Folder of the state database, and of the content unless `content` names another one.
    pub data: PathBuf,
    /// Folder of the segment files; may be on a removable disk.
    pub content: Option<PathBuf>,
    /// The browsers' door for origin-form requests: PAC, sites by Host, `/btih/…`.
    pub http: Vec<SocketAddr>,
    /// The proxy door that the PAC file names.
    pub proxy: Vec<SocketAddr>,
    /// BitTorrent peers: TCP and, on the same number, uTP. `[::]` is both families.
    pub bt: SocketAddr,
    /// The DHT node's UDP ports; must differ from `bt`, whose UDP port is uTP's.
    pub dht: Vec<SocketAddr>,
    /// The control socket; default `control.sock` in the data folder.
    pub control: Option<PathBuf>,
    /// The control socket of the lan half; default `lan.sock` in the data folder.
    pub lan_control: Option<PathBuf>,
    /// The address that the PAC file names; default: the address the browser asked us on.
    pub advertise: Option<Ipv4Addr>,
    /// `HOST:PORT` of the first DHT nodes. Empty: only remembered nodes and what peers tell.
    pub dht_bootstrap: Vec<String>,
    /// The LAN interface for local peer discovery; default: all.
    pub interface: Option<String>,
    /// Local peer discovery (BEP 14).
    pub lsd: bool,
    /// Port forwarding by UPnP and NAT-PMP. Off unless asked for: it changes the router for everybody at home.
    pub upnp: bool,
    /// Whether others get anything from us. Off: no seeding, no announces, and the DHT node asks without answering.
    pub upload: bool,
    /// `--no-upload`: off for this run, whatever is set on a page.
    pub upload_never: bool,
    /// Resolvers for the link records of domains. Empty: those of the system.
    pub dns_upstream: Vec<SocketAddr>,
    /// `https://ADDRESS/dns-query`: a DoH resolver instead. The resolver sees which linked domains are opened.
    pub dns_doh: Option<String>,
    /// Certificates (PEM) of a private DoH resolver.
    pub dns_doh_ca: Option<PathBuf>,
    /// DNSSEC trust anchors, a file of DNSKEY records; default: the root's.
    pub dns_trust_anchor: Option<PathBuf>,
    /// Peers that every torrent is asked from.
    pub peers: Vec<SocketAddr>,
    /// Bytes per second for uploads, all torrents together; 0: no limit. Smaller: the home's line stays free for others.
    pub upload_bytes_per_sec: u64,
    /// Bytes per second for downloads, all torrents together; 0: no limit.
    pub download_bytes_per_sec: u64,
    /// Bytes given to others in a calendar month, then upload rests; 0: no limit. Smaller: fits a line with a volume limit.
    pub upload_bytes_per_month: u64,
    /// Other rates at some hours of the week; the first entry that covers an hour decides.
    pub schedule: Vec<Hours>,
    /// Visited sites may use this much. Larger: more stays readable offline. Smaller: the disk stays free.
    pub visited_bytes_max: u64,
    /// Below this many free bytes only deletions go through.
    pub free_floor_bytes: u64,
    /// Unwritten bytes in memory. Larger: fewer, larger commits. Smaller: less memory, writers wait sooner.
    pub pending_bytes_max: u64,
    /// How far our clock is ahead of the system's, seconds; for trials of dates.
    pub clock_offset_secs: i64,
    /// `tracing` filter.
    pub log: String,
}

impl Default for Config {
    /// What `granary run` uses on a laptop: unprivileged ports, doors on loopback only.
    fn default() -> Self {
        Self {
            data: PathBuf::from("."),
            content: None,
            http: vec![SocketAddr::from(([127, 0, 0, 1], 42081))],
            proxy: vec![SocketAddr::from(([127, 0, 0, 1], 42080))],
            bt: SocketAddr::from(([0u16; 8], 42069)),
            dht: vec![
                SocketAddr::from(([0, 0, 0, 0], 42070)),
                SocketAddr::from(([0u16; 8], 42070)),
            ],
            control: None,
            lan_control: None,
            advertise: None,
            dht_bootstrap: [
                "router.bittorrent.com:6881",
                "dht.transmissionbt.com:6881",
                "dht.libtorrent.org:25401",
            ]
            .map(String::from)
            .into(),
            interface: None,
            lsd: true,
            upnp: false,
            upload: true,
            upload_never: false,
            dns_upstream: Vec::new(),
            dns_doh: None,
            dns_doh_ca: None,
            dns_trust_anchor: None,
            peers: Vec::new(),
            upload_bytes_per_sec: 0,
            download_bytes_per_sec: 0,
            upload_bytes_per_month: 0,
            schedule: Vec::new(),
            visited_bytes_max: 20 << 30,
            free_floor_bytes: 512 << 20,
            pending_bytes_max: 64 << 20,
            clock_offset_secs: 0,
            log: "info".into(),
        }
    }
}

impl Config {
    pub fn control_socket(&self) -> PathBuf {
        self.control
            .clone()
            .unwrap_or_else(|| self.data.join("control.sock"))
    }

    pub fn lan_socket(&self) -> PathBuf {
        self.lan_control
            .clone()
            .unwrap_or_else(|| self.data.join("lan.sock"))
    }

    /// What the store is opened with.
    pub fn store(&self) -> store::Config {
        let content = self.content.clone().unwrap_or_else(|| self.data.join("content"));
        store::Config {
            state_dir: self.data.clone(),
            content_dir: content,
            segment_bytes_max: 4 << 30,
            pending_bytes_max: usize::try_from(self.pending_bytes_max).unwrap_or(usize::MAX),
            visited_bytes_max: self.visited_bytes_max,
            free_floor_bytes: self.free_floor_bytes,
        }
    }

    /// Rules that span several values. All that are broken, each as one sentence.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let port = self.bt.port();
        if port != 0 && self.dht.iter().any(|dht| dht.port() == port) {
            faults.push(format!(
                "listen.bt and listen.dht are both on port {port}, but uTP needs the UDP port of listen.bt: choose another one"
            ));
        }
        for (family, is) in [
            ("IPv4", SocketAddr::is_ipv4 as fn(&SocketAddr) -> bool),
            ("IPv6", SocketAddr::is_ipv6),
        ] {
            if self.dht.iter().filter(|addr| is(addr)).count() > 1 {
                faults.push(format!(
                    "listen.dht has more than one {family} address; the DHT node has one of each family"
                ));
            }
        }
        if self.pending_bytes_max < 1 << 20 {
            faults.push("store.pending_bytes_max must be at least 1048576 (1 MiB)".into());
        }
        let scheduled = self
            .schedule
            .iter()
            .flat_map(|hours| [hours.up, hours.down])
            .flatten();
        for limit in [self.upload_bytes_per_sec, self.download_bytes_per_sec]
            .into_iter()
            .chain(scheduled)
        {
            if limit != 0 && limit < 1024 {
                faults.push(format!(
                    "a rate of {limit} bytes per second is below 1024: no block would ever pass; 0 means no limit"
                ));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests;
