//! How an upstream resolver is written down: `1.2.3.4`, `1.2.3.4:5353`, `tcp://1.2.3.4`, `tls://1.2.3.4#name`,
//! `https://1.2.3.4/dns-query#name`, `quic://1.2.3.4#name`. Hosts are addresses, because a name would have to be looked up
//! first; IPv6 ones stand in brackets wherever a port or a path may follow.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP, and TCP where an answer does not fit.
    Plain,
    Tcp,
    /// RFC 7858
    Tls,
    /// RFC 8484
    Https,
    /// RFC 9250
    Quic,
}

impl Transport {
    fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Tcp => "tcp://",
            Self::Tls => "tls://",
            Self::Https => "https://",
            Self::Quic => "quic://",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Plain | Self::Tcp => 53,
            Self::Tls | Self::Quic => 853,
            Self::Https => 443,
        }
    }

    /// The server has shown a certificate, so what it says of DNSSEC was not changed on the way.
    pub fn is_authenticated(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Quic)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    pub transport: Transport,
    pub addr: SocketAddr,
    /// What the certificate must say; not there: the address.
    pub name: Option<String>,
    /// Of HTTPS.
    pub path: Option<String>,
}

impl Address {
    pub fn plain(addr: SocketAddr) -> Self {
        Self {
            transport: Transport::Plain,
            addr,
            name: None,
            path: None,
        }
    }

    /// What the certificate must say.
    pub fn server_name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.addr.ip().to_string())
    }
}

/// Why a text is no upstream: one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no upstream resolver: write an address in digits, such as 1.2.3.4, 1.2.3.4:5353, tcp://1.2.3.4, \
     tls://1.2.3.4#name, https://1.2.3.4/dns-query#name or quic://1.2.3.4#name"
)]
pub struct Fault(String);

impl FromStr for Address {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        read(text).ok_or_else(|| Fault(text.chars().take(100).collect()))
    }
}

fn read(text: &str) -> Option<Address> {
    use Transport::{Https, Plain, Quic, Tcp, Tls};
    let (transport, rest) = [Tcp, Tls, Https, Quic]
        .into_iter()
        .find_map(|one| Some((one, text.strip_prefix(one.scheme())?)))
        .unwrap_or((Plain, text));
    let (rest, name) = match rest.split_once('#') {
        Some((rest, name)) if transport.is_authenticated() && is_name(name) => (rest, Some(name.to_owned())),
        Some(_) => return None,
        None => (rest, None),
    };
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) if transport == Https && is_path(path) => (host, Some(format!("/{path}"))),
        Some(_) => return None,
        None => (rest, None),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let addr = match bare.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, transport.port()),
        Err(_) => host.parse().ok()?,
    };
    let useful = !addr.ip().is_unspecified() && !addr.ip().is_multicast() && addr.port() != 0;
    useful.then_some(Address {
        transport,
        addr,
        name,
        path: path.or_else(|| (transport == Https).then(|| "/dns-query".into())),
    })
}

fn is_name(text: &str) -> bool {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':'));
    plain && !text.is_empty() && text.len() <= 253
}

fn is_path(text: &str) -> bool {
    text.len() <= 200
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'#' | b'{' | b'}'))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.transport.scheme())?;
        match (self.addr.port() == self.transport.port(), self.addr.ip()) {
            (true, IpAddr::V6(ip)) if self.transport != Transport::Plain => write!(f, "[{ip}]")?,
            (true, ip) => write!(f, "{ip}")?,
            (false, _) => write!(f, "{}", self.addr)?,
        }
        if let Some(path) = &self.path {
            f.write_str(path)?;
        }
        match &self.name {
            Some(name) => write!(f, "#{name}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_upstream_is_read_and_written_again() {
        for (text, addr, name) in [
            ("1.2.3.4", "1.2.3.4:53", None),
            ("1.2.3.4:5353", "1.2.3.4:5353", None),
            ("2001:db8::1", "[2001:db8::1]:53", None),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353", None),
            ("tcp://1.2.3.4", "1.2.3.4:53", None),
            ("tcp://[2001:db8::1]", "[2001:db8::1]:53", None),
            ("tls://1.2.3.4#dns.example", "1.2.3.4:853", Some("dns.example")),
            (
                "tls://1.2.3.4:8853#dns.example",
                "1.2.3.4:8853",
                Some("dns.example"),
            ),
            (
                "https://1.2.3.4/dns-query#dns.example",
                "1.2.3.4:443",
                Some("dns.example"),
            ),
            (
                "quic://[2001:db8::1]#dns.example",
                "[2001:db8::1]:853",
                Some("dns.example"),
            ),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.addr, addr.parse().expect("an address"), "{text}");
            assert_eq!(address.name.as_deref(), name, "{text}");
            assert_eq!(address.to_string(), text);
        }
        let short: Address = "https://1.2.3.4".parse().expect("a short form");
        assert_eq!(short.to_string(), "https://1.2.3.4/dns-query");
        assert_eq!(short.server_name(), "1.2.3.4");
    }

    #[test]
    fn what_would_have_to_be_looked_up_or_leads_nowhere_is_refused() {
        for bad in [
            "",
            "dns.example",
            "tls://dns.example",
            "1.2.3.4#name",
            "1.2.3.4/path",
            "tls://1.2.3.4/path",
            "tls://1.2.3.4#",
            "udp://1.2.3.4",
            "0.0.0.0",
            "224.0.0.251",
            "1.2.3.4:0",
            "1.2.3.4:99999",
            "https://1.2.3.4/a b",
            "1.2.3.4 5.6.7.8",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }
}
