//! The one file of the lan half. It is read at start and on reload, and written by this process alone (the pages of the
//! box ask over the control socket).
//!
//! A file that is broken never keeps the home without names: at start the last good copy counts, then the factory state, and
//! the trouble is told.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything the household can choose about the LAN. The default is the factory state: nothing is advertised but the mDNS
/// name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "LanSettings")]
pub struct Settings {
    pub names: Names,
    pub dns: Dns,
    pub block: Block,
    pub dhcp: Dhcp,
    pub ra: Ra,
    pub mdns: Mdns,
    pub wpad: Wpad,
    /// Devices the household named or treats in a way of their own; at most 512.
    pub devices: Vec<Device>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Names {
    /// One label: the box is `<host>.local` by mDNS and `<host>.<domain>` by DNS.
    pub host: String,
    /// The domain of the home (RFC 8375). DHCP hands it out; `wpad.<domain>` is ours, other `wpad.*` never are.
    pub domain: String,
    /// Further names of this LAN with their addresses; at most 512.
    pub hosts: Vec<Host>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    pub name: String,
    pub addr: IpAddr,
}

/// How ordinary names are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Resolving {
    /// Ask upstream resolvers.
    #[default]
    Forward,
    /// Ask the root and downwards ourselves.
    Recursive,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    pub resolving: Resolving,
    /// Resolvers to ask: `1.2.3.4`, `1.2.3.4:5353`, `tcp://1.2.3.4`, `tls://1.2.3.4#name`, `https://1.2.3.4/dns-query#name`,
    /// `quic://1.2.3.4#name`. Empty: those that the network told the box. At most 8.
    pub upstreams: Vec<String>,
    /// Check DNSSEC ourselves. Bogus names then get SERVFAIL; more work per new name.
    pub validate: bool,
    /// Drop private addresses in answers of public names.
    pub rebind_protection: bool,
    /// Domains (with everything below) that may point into the home, such as `plex.direct`; at most 256.
    pub rebind_allow: Vec<String>,
    /// Answer the synthetic names of the marker PAC: linked domains open by themselves.
    pub markers: bool,
    /// Ask Firefox not to bypass the home's resolver by default (`use-application-dns.net` is NXDOMAIN).
    pub canary_firefox: bool,
    /// Ask Apple devices to turn Private Relay off in this home (`mask.icloud.com` is NXDOMAIN).
    pub canary_relay: bool,
    /// Queries per second of one device, all in all; 0: no limit. Smaller: a mad device hurts others less.
    pub device_queries_per_sec: u32,
    /// Answers kept in memory. More: fewer waits, about 250 bytes each.
    pub cache_entries_max: u32,
}

/// What a blocked name is answered with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Blocked {
    /// 0.0.0.0 and ::, which fails at once.
    #[default]
    Zero,
    /// The name does not exist.
    Nxdomain,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Block {
    pub enabled: bool,
    pub answer: Blocked,
    /// Names (with everything below) that no list may block; at most 4096.
    pub allow: Vec<String>,
    /// Names (with everything below) that are blocked besides the lists; at most 4096.
    pub deny: Vec<String>,
    /// Count blocked names in memory, so that the page can show the most frequent ones. Never on disk.
    pub count_names: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DhcpMode {
    #[default]
    Off,
    /// Answer nothing but DHCPINFORM: proxy settings without leases.
    Inform,
    /// Be the home's DHCP server.
    Lease,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dhcp {
    pub mode: DhcpMode,
    /// First and last address of the pool; not there: chosen from the interface's network, away from its ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
    /// Seconds, 120 to 604800. Longer: the home keeps its addresses while the box is away. Shorter: changes arrive sooner.
    pub lease_secs: u32,
    /// The router that devices are told; not there: the box's own default gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router: Option<Ipv4Addr>,
    /// A second resolver behind the box. An unplugged box then costs devices seconds per new name instead of all names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_resolver: Option<Ipv4Addr>,
    /// Option 42.
    pub ntp: Vec<Ipv4Addr>,
    /// Option 26; not there: not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// Option 121 besides the default route; at most 16.
    pub routes: Vec<Route>,
    /// At most 512.
    pub reservations: Vec<Reservation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    pub first: Ipv4Addr,
    pub last: Ipv4Addr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// `10.0.0.0/8`
    pub network: String,
    pub gateway: Ipv4Addr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// `aa:bb:cc:dd:ee:ff`
    pub mac: String,
    pub addr: Ipv4Addr,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ra {
    /// Router advertisements with lifetime 0: the box as resolver by IPv6, never as router.
    pub enabled: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mdns {
    pub enabled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Wpad {
    /// The script that devices find by themselves or were given sends our names to the proxy. Off: it still comes, because
    /// devices keep asking for it, and says that nothing needs a proxy.
    pub enabled: bool,
}

impl Default for Wpad {
    fn default() -> Self {
        Self { enabled: true }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Device {
    /// `aa:bb:cc:dd:ee:ff`
    pub mac: String,
    /// What the household calls it; may be empty.
    pub name: String,
    /// "Leave this device alone": nothing is blocked for it, and DHCP gives it the router's resolver and no proxy.
    pub bypass: bool,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            host: "granary".into(),
            domain: "home.arpa".into(),
            hosts: Vec::new(),
        }
    }
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            resolving: Resolving::Forward,
            upstreams: Vec::new(),
            validate: false,
            rebind_protection: true,
            rebind_allow: Vec::new(),
            markers: false,
            canary_firefox: false,
            canary_relay: false,
            device_queries_per_sec: 1000,
            cache_entries_max: 10_000,
        }
    }
}

impl Default for Dhcp {
    fn default() -> Self {
        Self {
            mode: DhcpMode::Off,
            pool: None,
            lease_secs: 24 * 3600,
            router: None,
            second_resolver: None,
            ntp: Vec::new(),
            mtu: None,
            routes: Vec::new(),
            reservations: Vec::new(),
        }
    }
}

impl Default for Mdns {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Settings {
    /// Reads TOML. All faults at once, each as one sentence.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let settings: Self =
            toml::from_str(text).map_err(|err| vec![err.to_string().trim().replace('\n', " ")])?;
        match settings.faults() {
            faults if faults.is_empty() => Ok(settings),
            faults => Err(faults),
        }
    }

    /// Rules that a type cannot hold. All that are broken, each as one sentence.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |good: bool, text: String| {
            if !good {
                faults.push(text);
            }
        };
        let host = &self.names.host;
        check(
            is_label(host) && host != "wpad",
            format!("names.host {host:?} must be one label of letters, digits and hyphens, and not wpad"),
        );
        let domain = &self.names.domain;
        check(
            is_domain(domain),
            format!("names.domain {domain:?} is not a domain name"),
        );
        for entry in &self.names.hosts {
            check(
                is_domain(&entry.name) && !entry.name.starts_with("wpad"),
                format!(
                    "names.hosts: {:?} is not a host name that can be given",
                    entry.name
                ),
            );
        }
        for (what, names) in [
            ("dns.rebind_allow", &self.dns.rebind_allow),
            ("block.allow", &self.block.allow),
            ("block.deny", &self.block.deny),
        ] {
            for name in names {
                check(is_domain(name), format!("{what}: {name:?} is not a domain name"));
            }
        }
        for text in &self.dns.upstreams {
            let read = text.parse::<proto::dns::upstream::address::Address>();
            check(
                read.is_ok(),
                read.err()
                    .map_or_else(String::new, |fault| format!("dns.upstreams: {fault}")),
            );
        }
        for (what, count, most) in [
            ("names.hosts", self.names.hosts.len(), 512),
            ("dns.upstreams", self.dns.upstreams.len(), 8),
            ("dns.rebind_allow", self.dns.rebind_allow.len(), 256),
            ("block.allow", self.block.allow.len(), 4096),
            ("block.deny", self.block.deny.len(), 4096),
            ("dhcp.reservations", self.dhcp.reservations.len(), 512),
            ("dhcp.routes", self.dhcp.routes.len(), 16),
            ("dhcp.ntp", self.dhcp.ntp.len(), 4),
            ("devices", self.devices.len(), 512),
        ] {
            check(
                count <= most,
                format!("{what} has {count} entries; {most} are allowed"),
            );
        }
        check(
            (120..=604_800).contains(&self.dhcp.lease_secs),
            format!("dhcp.lease_secs {} must be 120 to 604800", self.dhcp.lease_secs),
        );
        check(
            self.dns.cache_entries_max <= 1_000_000,
            "dns.cache_entries_max must be at most 1000000".into(),
        );
        for mac in self
            .devices
            .iter()
            .map(|device| &device.mac)
            .chain(self.dhcp.reservations.iter().map(|one| &one.mac))
        {
            check(
                parse_mac(mac).is_some(),
                format!("{mac:?} is not a hardware address such as aa:bb:cc:dd:ee:ff"),
            );
        }
        faults
    }

    /// `path` and, beside it, the last copy that was good. Never keeps the house from starting: `Err` carries what is wrong
    /// and the settings to go on with.
    pub fn load(path: &Path) -> Result<Self, (String, Box<Self>)> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(err) => return Err((format!("read {}: {err}", path.display()), Self::last_good(path))),
        };
        Self::parse(&text).map_err(|faults| {
            let text = format!(
                "{} is not understood: {}. The last good settings are in force; correct the file or save the settings again.",
                path.display(),
                faults.join("; ")
            );
            (text, Self::last_good(path))
        })
    }

    fn last_good(path: &Path) -> Box<Self> {
        let kept = fs::read_to_string(good_copy(path))
            .ok()
            .and_then(|text| Self::parse(&text).ok());
        Box::new(kept.unwrap_or_default())
    }

    /// Writes the file and its good copy, each whole or not at all, on disk when this returns.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        write_whole(path, &text)?;
        write_whole(&good_copy(path), &text)
    }
}

fn good_copy(path: &Path) -> PathBuf {
    path.with_extension("good.toml")
}

/// Temporary file, fsync, rename, fsync of the folder.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = fs::File::create(&part)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// `aa:bb:cc:dd:ee:ff`, any case, also with hyphens.
pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2)?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

fn is_label(text: &str) -> bool {
    let inner = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    inner && (1..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_domain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factory_state_advertises_nothing_but_the_mdns_name() {
        let factory = Settings::default();
        assert_eq!(factory.dhcp.mode, DhcpMode::Off);
        assert!(!factory.ra.enabled && !factory.block.enabled && !factory.dns.markers);
        assert!(factory.mdns.enabled && factory.dns.rebind_protection);
        assert!(factory.faults().is_empty());
    }

    #[test]
    fn what_is_saved_is_what_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lan.toml");
        let mut settings = Settings::default();
        settings.dhcp.mode = DhcpMode::Lease;
        settings.dhcp.pool = Some(Pool {
            first: Ipv4Addr::new(192, 168, 1, 100),
            last: Ipv4Addr::new(192, 168, 1, 199),
        });
        settings.block.deny.push("ads.example".into());
        settings.devices.push(Device {
            mac: "aa:bb:cc:dd:ee:ff".into(),
            name: "Anna's phone".into(),
            bypass: true,
        });
        settings.save(&path).expect("it can be written");
        assert_eq!(Settings::load(&path).expect("it is good"), settings);

        fs::write(&path, "[dns]\nvalidate = 7\n").expect("it can be written");
        let (trouble, kept) = Settings::load(&path).expect_err("it is broken");
        assert!(trouble.contains("lan.toml"), "{trouble}");
        assert_eq!(*kept, settings);
    }

    #[test]
    fn all_faults_are_listed_at_once() {
        let text = "[names]\nhost = \"wpad\"\ndomain = \"a..b\"\n[dhcp]\nlease_secs = 5\n";
        let faults = Settings::parse(text).expect_err("three faults");
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(Settings::parse("surprise = 1").is_err());
    }

    #[test]
    fn hardware_addresses_are_read_strictly() {
        assert_eq!(
            parse_mac("AA-bb:0c:00:11:22"),
            Some([0xaa, 0xbb, 0x0c, 0, 0x11, 0x22])
        );
        for bad in [
            "",
            "aa:bb:cc:dd:ee",
            "aa:bb:cc:dd:ee:ff:00",
            "a:bb:cc:dd:ee:ff",
            "+a:bb:cc:dd:ee:ff0",
        ] {
            assert_eq!(parse_mac(bad), None, "{bad}");
        }
    }
}
