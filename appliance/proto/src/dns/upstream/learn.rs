//! Which resolvers the network told this box: the files of those who manage its network, read.

use std::net::IpAddr;

/// More are not asked.
pub const SERVERS_MAX: usize = 8;

/// A resolver as it stands in a file. The zone is the interface of a link-local address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub ip: IpAddr,
    pub zone: Option<String>,
}

/// `nameserver` lines of resolv.conf(5).
pub fn resolv_conf(text: &str) -> Vec<Server> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next())?
    });
    collect(servers)
}

/// `DNS=` of `/run/systemd/netif/state`: addresses with an optional port, interface and name
/// (`[fe80::1]:53%eth0#name`), between spaces.
pub fn networkd_state(text: &str) -> Vec<Server> {
    let servers = text
        .lines()
        .filter_map(|line| line.strip_prefix("DNS="))
        .flat_map(str::split_whitespace);
    collect(servers)
}

fn collect<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Server> {
    let mut servers: Vec<Server> = Vec::new();
    for server in texts.filter_map(read) {
        if servers.len() < SERVERS_MAX && !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

fn read(text: &str) -> Option<Server> {
    let text = text.split('#').next()?;
    let (text, zone) = match text.split_once('%') {
        Some((text, zone)) => (text, Some(zone)),
        None => (text, None),
    };
    let (text, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => match text.split_once(':') {
            // One colon only: a port behind an IPv4 address.
            Some((ip, port)) if !port.contains(':') => (ip, port),
            _ => (text, ""),
        },
    };
    let port = port.trim_start_matches(':');
    // Who answers on another port than DNS's own is a local helper of somebody else.
    (port.is_empty() || port == "53").then_some(())?;
    let zone = zone.map(str::to_owned).filter(|zone| zone.len() <= 15);
    Some(Server {
        ip: text.parse().ok()?,
        zone,
    })
}

/// The servers of the first file that names any but ourselves. Loopback is always ourselves: who listens there (such as
/// systemd-resolved) asks the same servers, or us.
pub fn choose(
    sources: impl IntoIterator<Item = Vec<Server>>,
    is_own: impl Fn(IpAddr) -> bool,
) -> Vec<Server> {
    sources
        .into_iter()
        .map(|mut servers| {
            servers.retain(|server| {
                let ip = server.ip.to_canonical();
                let odd = ip.is_loopback() || ip.is_unspecified() || ip.is_multicast();
                !odd && !is_own(ip)
            });
            servers
        })
        .find(|servers| !servers.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(servers: &[Server]) -> Vec<String> {
        servers.iter().map(|server| server.ip.to_string()).collect()
    }

    #[test]
    fn nameservers_are_read_from_a_resolv_conf() {
        let text = "# made by hand\nsearch lan\nnameserver 192.168.1.1\n nameserver\t2001:db8::1 \nnameserver fe80::1%eth0\n\
                    nameserver nonsense\noptions ndots:1\nnameserver 192.168.1.1\n";
        let servers = resolv_conf(text);
        assert_eq!(ips(&servers), ["192.168.1.1", "2001:db8::1", "fe80::1"]);
        assert_eq!(servers[2].zone.as_deref(), Some("eth0"));
        let many: String = (0..50).map(|n| format!("nameserver 10.0.0.{n}\n")).collect();
        assert_eq!(resolv_conf(&many).len(), SERVERS_MAX);
    }

    #[test]
    fn servers_are_read_from_what_networkd_writes() {
        let text = "ADMIN_STATE=configured\nDNS=192.168.1.1 9.9.9.9#dns.example [2001:db8::1]:53%eth0#x 10.0.0.1:5353\nNTP=1.2.3.4\n";
        assert_eq!(
            ips(&networkd_state(text)),
            ["192.168.1.1", "9.9.9.9", "2001:db8::1"]
        );
    }

    #[test]
    fn we_never_learn_ourselves() {
        let own: IpAddr = "192.168.1.2".parse().expect("an address");
        let sources = [
            resolv_conf("nameserver 127.0.0.53\nnameserver ::1\nnameserver 0.0.0.0"),
            resolv_conf("nameserver 192.168.1.2\nnameserver ::ffff:192.168.1.2\nnameserver 192.168.1.1"),
            resolv_conf("nameserver 8.8.8.8"),
        ];
        assert_eq!(ips(&choose(sources, |ip| ip == own)), ["192.168.1.1"]);
        assert!(choose([Vec::new()], |_| false).is_empty());
    }
}
