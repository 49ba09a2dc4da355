//! UPnP Internet Gateway Device: SSDP search, device description, and three SOAP calls. The XML is only searched for the
//! few elements we need; nothing in it is executed or followed except the control URL, on the very machine that answered.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use proto::guard::{self, Host, Policy, Scheme, Url};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};
use tracing::debug;

use super::{Door, Granted};
use crate::web::{self, Ask};

/// Services that can map ports, the usual one first.
const SERVICES: [&str; 3] = [
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
];

/// How long answers to the search are collected, and how many devices are looked at.
const SEARCH_FOR: Duration = Duration::from_secs(3);
const DEVICES_MAX: usize = 4;

/// Longest description or SOAP answer, bytes.
const XML_BYTES_MAX: usize = 128 << 10;

const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// A router's port mapping service.
#[derive(Debug, Clone)]
pub(super) struct Device {
    control: Url,
    service: &'static str,
    /// Our address on the router's side.
    local: Ipv4Addr,
    policy: Policy,
}

/// Searches the network; every device whose description names a service we know.
pub(super) async fn discover(ssdp: SocketAddr, policy: &Policy) -> Vec<Device> {
    let policy = policy.for_neighbours();
    let mut devices = Vec::new();
    for (place, from) in search(ssdp).await.unwrap_or_default() {
        match describe(&place, from, &policy).await {
            Some(device) => devices.push(device),
            None => debug!(addr = %from, "no port mapping service there"),
        }
    }
    devices
}

/// Locations and who named them.
async fn search(ssdp: SocketAddr) -> Option<HashSet<(String, IpAddr)>> {
    let socket = UdpSocket::bind("0.0.0.0:0").await.ok()?;
    for service in SERVICES {
        let question = format!(
            "M-SEARCH * HTTP/1.1\r\nHOST: {ssdp}\r\nMAN: \"ssdp:discover\"\r\nMX: 2\r\nST: {service}\r\n\r\n"
        );
        socket.send_to(question.as_bytes(), ssdp).await.ok()?;
    }
    let end = Instant::now() + SEARCH_FOR;
    let mut found = HashSet::new();
    let mut buf = [0; 2048];
    while found.len() < DEVICES_MAX {
        let Ok(Ok((len, from))) = timeout_at(end, socket.recv_from(&mut buf)).await else {
            break;
        };
        let text = String::from_utf8_lossy(&buf[..len]);
        if let Some(place) = location(&text) {
            found.insert((place.to_owned(), from.ip()));
        }
    }
    Some(found)
}

fn location(answer: &str) -> Option<&str> {
    let mut lines = answer.lines();
    if !lines.next()?.starts_with("HTTP/1.1 200") {
        return None;
    }
    let mut headers = lines.filter_map(|line| line.split_once(':'));
    headers
        .find(|(name, _)| name.eq_ignore_ascii_case("location"))
        .map(|(_, value)| value.trim())
}

async fn describe(place: &str, from: IpAddr, policy: &Policy) -> Option<Device> {
    let url = guard::allowed_url(place, policy).ok()?;
    // Any machine can answer a search; it may speak only for itself.
    if url.scheme != Scheme::Http || url.host != Host::Ip(from) {
        return None;
    }
    let xml = call(&url, policy, None).await?;
    let (service, control) = control_of(&xml)?;
    let control = if control.starts_with("http://") {
        let control = guard::allowed_url(control, policy).ok()?;
        (control.host == url.host).then_some(control)?
    } else {
        let text = format!(
            "http://{}:{}/{}",
            url.host,
            url.port,
            control.trim_start_matches('/')
        );
        guard::allowed_url(&text, policy).ok()?
    };
    Some(Device {
        local: local_towards(from, control.port).await?,
        control,
        service,
        policy: policy.clone(),
    })
}

/// The service type and control URL of the first `<service>` that can map ports.
fn control_of(xml: &str) -> Option<(&'static str, &str)> {
    SERVICES.iter().find_map(|service| {
        let mut parts = xml.split("<service>").skip(1);
        let part = parts.find(|part| element(part, "serviceType") == Some(service))?;
        Some((*service, element(part, "controlURL")?))
    })
}

/// The text of the first `<name>`, with or without a namespace prefix, attributes not expected.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let open = format!("<{name}>");
    let start = xml.find(&open)? + open.len();
    let end = start + xml[start..].find("</")?;
    Some(xml[start..end].trim())
}

async fn local_towards(router: IpAddr, port: u16) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0").await.ok()?;
    socket.connect((router, port)).await.ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

impl Device {
    /// Opens all doors; `None` when the router refuses one.
    pub(super) async fn open(&self, doors: &[Door], lease: Duration) -> Option<Granted> {
        for door in doors {
            // Error 725: some routers know only mappings without end.
            if self.add(door, lease.as_secs()).await.is_none() {
                self.add(door, 0).await?;
            }
        }
        let answer = self.soap("GetExternalIPAddress", "").await;
        let external = answer
            .as_deref()
            .and_then(|xml| element(xml, "NewExternalIPAddress")?.parse().ok());
        Some(Granted {
            external,
            port: doors.first()?.port,
        })
    }

    pub(super) async fn close(&self, doors: &[Door]) {
        for door in doors {
            let arguments = format!(
                "<NewRemoteHost></NewRemoteHost><NewExternalPort>{}</NewExternalPort><NewProtocol>{}</NewProtocol>",
                door.port,
                protocol(door),
            );
            let _ = self.soap("DeletePortMapping", &arguments).await;
        }
    }

    async fn add(&self, door: &Door, lease_secs: u64) -> Option<String> {
        let arguments = format!(
            "<NewRemoteHost></NewRemoteHost><NewExternalPort>{port}</NewExternalPort><NewProtocol>{protocol}</NewProtocol>\
             <NewInternalPort>{port}</NewInternalPort><NewInternalClient>{local}</NewInternalClient><NewEnabled>1</NewEnabled>\
             <NewPortMappingDescription>Granary</NewPortMappingDescription><NewLeaseDuration>{lease_secs}</NewLeaseDuration>",
            port = door.port,
            protocol = protocol(door),
            local = self.local,
        );
        self.soap("AddPortMapping", &arguments).await
    }

    async fn soap(&self, action: &str, arguments: &str) -> Option<String> {
        let service = self.service;
        let body = format!(
            "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:{action} xmlns:u=\"{service}\">\
             {arguments}</u:{action}></s:Body></s:Envelope>\r\n"
        );
        call(
            &self.control,
            &self.policy,
            Some((&format!("\"{service}#{action}\""), body)),
        )
        .await
    }
}

fn protocol(door: &Door) -> &'static str {
    if door.tcp { "TCP" } else { "UDP" }
}

/// GETs a description, or POSTs a SOAP call.
async fn call(url: &Url, policy: &Policy, soap: Option<(&str, String)>) -> Option<String> {
    let (action, body) = soap.map_or((None, None), |(action, body)| {
        (Some(("SOAPAction", action)), Some(body))
    });
    let ask = Ask {
        body: body.map(|body| ("text/xml; charset=\"utf-8\"", body)),
        extra: action.as_slice(),
        answer_bytes_max: XML_BYTES_MAX,
        deadline: CALL_DEADLINE,
    };
    match web::fetch(url.clone(), policy, &ask).await {
        Ok(bytes) => String::from_utf8(bytes.to_vec()).ok(),
        Err(err) => {
            debug!(%err, "router does not do it");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_url_is_found_in_a_nested_description() {
        let xml = "<root><device><serviceList><service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType>\
                   <controlURL>/l3</controlURL></service></serviceList><deviceList><device><serviceList><service>\
                   <serviceType>urn:schemas-upnp-org:service:WANPPPConnection:1</serviceType><SCPDURL>/x</SCPDURL>\
                   <controlURL> /ctl/ppp </controlURL></service></serviceList></device></deviceList></device></root>";
        assert_eq!(control_of(xml), Some((SERVICES[2], "/ctl/ppp")));
        for broken in [
            "",
            "<service>",
            "<service><serviceType>",
            "<service><serviceType>x</serviceType><controlURL>/",
        ] {
            assert_eq!(control_of(broken), None);
        }
    }

    #[test]
    fn only_an_ok_answer_has_a_location() {
        assert_eq!(
            location("HTTP/1.1 200 OK\r\nST: x\r\nLoCation:  http://a/ \r\n\r\n"),
            Some("http://a/")
        );
        assert_eq!(location("NOTIFY * HTTP/1.1\r\nLocation: http://a/\r\n\r\n"), None);
        assert_eq!(location("HTTP/1.1 200 OK\r\n\r\n"), None);
    }
}
