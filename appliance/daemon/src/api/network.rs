//! How the box is reached, and whom it knows.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Handles,
    operation::{Call, Nothing},
    refusal::Refusal,
    reply::Line,
};
use crate::swarm;

/// A peer that came in by itself this long ago still proves that others can.
const LATELY_SECS: u64 = 24 * 3600;

/// Whether others can start a connection to us, as far as the box can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Somebody did, or the router lets them in.
    Open,
    /// The provider shares one address among homes, or a second router stands in front.
    Behind,
    Unknown,
}

/// Facts of the page Network.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Network {
    pub reach: Reach,
    /// The same as a sentence.
    pub reach_words: String,
    /// Seconds since a peer from outside the home came in by itself; not there: none did since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming_secs_ago: Option<u64>,
    pub dht_nodes_v4: usize,
    pub dht_nodes_v6: usize,
    /// Machines of the home with BitTorrent that were heard in the last half hour.
    pub neighbours: usize,
    /// Whether others get anything now; if not, the DHT node only asks.
    pub upload: bool,
    #[serde(flatten)]
    pub line: Line,
}

impl Network {
    pub fn of(handles: &Handles) -> Self {
        Self::from(&handles.swarm.status())
    }
}

impl From<&swarm::Status> for Network {
    fn from(status: &swarm::Status) -> Self {
        let incoming = status.met.map(|met| met.as_secs());
        let reach = reach(incoming, status.found.external, &status.found.port_mapping);
        Self {
            reach,
            reach_words: words(reach, incoming).into(),
            incoming_secs_ago: incoming,
            dht_nodes_v4: status.dht_nodes_v4,
            dht_nodes_v6: status.dht_nodes_v6,
            neighbours: status.found.neighbours,
            upload: status.upload,
            line: status.into(),
        }
    }
}

/// Who came in is believed before what the router says.
pub fn reach(incoming_secs_ago: Option<u64>, outside: Option<IpAddr>, port_mapping: &str) -> Reach {
    if incoming_secs_ago.is_some_and(|secs| secs < LATELY_SECS) {
        return Reach::Open;
    }
    match outside {
        Some(ip) if is_inside(ip) || port_mapping.contains("cannot dial in") => Reach::Behind,
        Some(_) if port_mapping.contains("opened port") => Reach::Open,
        _ => Reach::Unknown,
    }
}

/// No address of the Internet, although the router calls it outside (RFC 1918, RFC 6598, RFC 4193).
fn is_inside(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || (ip.segments()[0] & 0xfe00) == 0xfc00,
    }
}

fn words(reach: Reach, incoming_secs_ago: Option<u64>) -> &'static str {
    match (reach, incoming_secs_ago) {
        (Reach::Open, Some(_)) => "Others can reach this box: somebody did, within the last day.",
        (Reach::Open, None) => "Others can reach this box: the router lets connections in.",
        (Reach::Behind, _) => {
            "Others cannot start a connection to this box: several homes share one address, or a second router stands in \
             front. The box starts connections itself, so everything works; sharing is slower."
        }
        (Reach::Unknown, _) => {
            "It is not known whether others can reach this box. Everything works all the same, because the box starts \
             connections itself."
        }
    }
}

pub async fn show(call: Call, _: Nothing, _: Nothing) -> Result<Network, Refusal> {
    Ok(Network::of(&call.handles))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_in_is_believed_before_what_the_router_says() {
        let ip = |text: &str| text.parse().ok();
        assert_eq!(reach(Some(60), None, ""), Reach::Open);
        assert_eq!(
            reach(Some(60), ip("100.64.1.1"), "opened port 42069"),
            Reach::Open
        );
        assert_eq!(
            reach(Some(LATELY_SECS), ip("100.64.1.1"), "opened port 42069"),
            Reach::Behind
        );
        assert_eq!(reach(None, ip("203.0.113.7"), "opened port 42069"), Reach::Open);
        assert_eq!(reach(None, ip("10.0.0.2"), "opened port 42069"), Reach::Behind);
        assert_eq!(reach(None, None, "no router answered"), Reach::Unknown);
    }
}
