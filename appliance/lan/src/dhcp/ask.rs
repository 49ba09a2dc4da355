//! A look around for people: who offers addresses here, and everything they say.

use std::{io, net::Ipv4Addr, time::Duration};

use proto::dhcp::read_udp;
use rand::random;
use tokio::time::{Instant, timeout_at};

use super::{
    offers::{Heard, discover_frame, made_up},
    wire::Raw,
};
use crate::{api::DhcpServer, interfaces};

/// Asked again within the deadline, against lost frames and servers that probe before they offer.
const EVERY: Duration = Duration::from_secs(1);
const SERVERS_MAX: usize = 16;

/// A server and all options of its offer: number, name, meaning.
#[derive(Debug, Clone)]
pub struct Found {
    pub server: DhcpServer,
    pub options: Vec<(u8, String, String)>,
}

/// Asks everybody on `interface` for an address until the deadline, and takes none. Needs `CAP_NET_RAW`.
pub async fn ask(interface: &str, deadline: Duration) -> io::Result<Vec<Found>> {
    let name = interface.to_owned();
    let view = interfaces::read(&[name]);
    let mac = view
        .all
        .iter()
        .find(|one| one.name == interface)
        .ok_or(io::ErrorKind::NotFound)?
        .mac
        .ok_or(io::ErrorKind::Unsupported)?;
    let raw = Raw::open(interface)?;
    let (probe, xid): (_, u32) = (made_up(), random());
    let end = Instant::now() + deadline;
    let mut next = Instant::now();
    let mut found: Vec<(Ipv4Addr, [u8; 6], Found)> = Vec::new();
    let mut buffer = vec![0; 4096];
    while Instant::now() < end {
        if Instant::now() >= next {
            raw.send(&discover_frame(mac, probe, xid))?;
            next += EVERY;
        }
        if timeout_at(next.min(end), raw.ear.readable()).await.is_err() {
            continue;
        }
        while let Ok(len) = raw.ear.try_recv(&mut buffer) {
            let Some(heard) = read_udp(&buffer[..len]).and_then(|datagram| Heard::read(&datagram)) else {
                continue;
            };
            let known = found
                .iter()
                .any(|(addr, mac, _)| (*addr, *mac) == (heard.server, heard.mac));
            if heard.packet.xid == xid.to_be_bytes() && !known && found.len() < SERVERS_MAX {
                let what = Found {
                    server: heard.facts(),
                    options: heard.options(),
                };
                found.push((heard.server, heard.mac, what));
            }
        }
    }
    Ok(found.into_iter().map(|(.., found)| found).collect())
}
