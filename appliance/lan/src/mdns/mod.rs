//! The name of the box that needs no server: `<host>.local`, and "Granary" in lists of web servers.
//!
//! Must not know DNS, DHCP or pages; what is answered when is `proto::mdns`. One task owns the responder, one more per socket
//! reads.
//!
//! Reading order: this file, `socket`.

mod socket;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use house::tasks::Tasks;
use proto::mdns::{GROUP_V4, GROUP_V6, Output, PACKET_BYTES_MAX, PORT, Responder, Service, To};
use tokio::{
    net::UdpSocket,
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::debug;

use crate::{
    api::MdnsFacts,
    frame::House,
    interfaces::{Interface, Interfaces},
};

/// How the box calls itself in lists of services.
const INSTANCE: &str = "Granary";
const LINKS_MAX: usize = 16;
/// Addresses announced for one interface.
const ADDRS_MAX: usize = 8;
/// Packets that wait for the responder; more are dropped, as the network may drop any.
const QUEUE: usize = 64;
/// Sockets that did not open are tried again after it.
const RETRY: Duration = Duration::from_secs(30);
const SEND_DEADLINE: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub struct Handle {
    facts: Arc<Mutex<MdnsFacts>>,
    stop: watch::Sender<bool>,
}

impl Handle {
    pub fn facts(&self) -> MdnsFacts {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the name back; nothing is answered afterwards.
    pub async fn goodbye(&self, deadline: Duration) {
        self.stop.send_replace(true);
        let _ = timeout(deadline, self.stop.closed()).await;
    }
}

/// Follows settings and interfaces until the end.
pub fn start(house: &House) -> Handle {
    let handle = Handle {
        facts: Arc::default(),
        stop: watch::Sender::new(false),
    };
    let (sender, packets) = mpsc::channel(QUEUE);
    let room = Room {
        facts: handle.facts.clone(),
        house: house.clone(),
        started: Instant::now(),
        links: BTreeMap::new(),
        sender,
        packets,
        troubles: Vec::new(),
        last_try: None,
    };
    house.tasks.spawn("mdns", room.run(handle.stop.subscribe()));
    handle
}

struct Packet {
    link: u32,
    from: SocketAddr,
    bytes: Vec<u8>,
}

/// The sockets of one interface, and the tasks that read them.
struct Link {
    name: String,
    v4: Option<Arc<UdpSocket>>,
    v6: Option<Arc<UdpSocket>>,
    group: Tasks,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.group.cancel();
    }
}

struct Room {
    facts: Arc<Mutex<MdnsFacts>>,
    house: House,
    started: Instant,
    links: BTreeMap<u32, Link>,
    sender: mpsc::Sender<Packet>,
    packets: mpsc::Receiver<Packet>,
    troubles: Vec<String>,
    last_try: Option<Instant>,
}

impl Room {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut interfaces = self.house.interfaces.clone();
        let mut settings = self.house.watch_settings();
        let mut responder: Option<Responder> = None;
        let mut host = String::new();
        while !*stop.borrow() {
            let now = settings.borrow_and_update().clone();
            if responder.is_some() && (!now.mdns.enabled || host != now.names.host) {
                self.end(&mut responder).await;
            }
            if now.mdns.enabled {
                host.clone_from(&now.names.host);
                let current = responder.get_or_insert_with(|| {
                    Responder::new(Service {
                        host: host.clone(),
                        instance: INSTANCE.into(),
                        port: self.house.config.http_port,
                    })
                });
                let addrs = self.open(&interfaces);
                current.set_links(self.now(), rand::random(), &addrs);
                let out = current.tick(self.now());
                self.send(out).await;
            }
            self.tell(now.mdns.enabled, responder.as_ref());
            let due = responder.as_ref().and_then(Responder::due);
            let due = due.map(|due| self.started + Duration::from_millis(due));
            let retry = self
                .last_try
                .map(|at| at + RETRY)
                .filter(|_| !self.troubles.is_empty());
            tokio::select! {
                Some(packet) = self.packets.recv() => if let Some(responder) = &mut responder {
                    responder.heard(self.now(), rand::random(), packet.link, packet.from, &packet.bytes);
                },
                () = at(due) => {}
                () = at(retry) => {}
                () = interfaces.changed() => {}
                _ = settings.changed() => {}
                _ = stop.changed() => {}
            }
        }
        self.end(&mut responder).await;
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Opens what is missing, closes what is gone, and says which addresses are to be announced where.
    fn open(&mut self, interfaces: &Interfaces) -> Vec<(u32, Vec<IpAddr>)> {
        let view = interfaces.now();
        let served: Vec<_> = view
            .served()
            .filter(|one| !one.loopback)
            .take(LINKS_MAX)
            .collect();
        self.links.retain(|index, link| {
            served
                .iter()
                .any(|one| one.index == *index && one.name == link.name)
        });
        let wait = self.last_try.is_some_and(|at| at.elapsed() < RETRY);
        let mut troubles = Vec::new();
        for one in &served {
            let (v4, v6) = (!one.v4.is_empty(), !one.v6.is_empty());
            let link = self.links.get(&one.index);
            let has = |socket: fn(&Link) -> bool| link.is_some_and(socket);
            let complete = (!v4 || has(|link| link.v4.is_some())) && (!v6 || has(|link| link.v6.is_some()));
            // Only what did not open waits; an address that came later is served at once.
            let label = format!("{}:", one.name);
            let failed = self.troubles.iter().any(|text| text.starts_with(&label));
            let retry = !wait || !failed;
            if !complete && retry {
                self.links.remove(&one.index);
                self.last_try = Some(Instant::now());
                let (link, trouble) = self.link(one, v4, v6);
                troubles.extend(trouble);
                self.links.insert(one.index, link);
            } else if !complete {
                troubles.extend(
                    self.troubles
                        .iter()
                        .filter(|text| text.starts_with(&label))
                        .cloned(),
                );
            }
        }
        self.troubles = troubles;
        served
            .iter()
            .map(|one| (one.index, published(one)))
            .filter(|(_, addrs)| !addrs.is_empty())
            .collect()
    }

    fn link(&self, one: &Interface, v4: bool, v6: bool) -> (Link, Option<String>) {
        let mut trouble = None;
        let group = self.house.tasks.child();
        let mut open = |wanted: bool, open: fn(&str, u32) -> std::io::Result<UdpSocket>| {
            let socket = wanted.then(|| open(&one.name, one.index))?;
            let socket = socket
                .map_err(|err| {
                    trouble = Some(format!("{}: the name is not announced there ({err})", one.name));
                })
                .ok()?;
            let socket = Arc::new(socket);
            let (reader, sender) = (socket.clone(), self.sender.clone());
            group.spawn(
                "mdns.read",
                read(reader, one.index, self.house.interfaces.clone(), sender),
            );
            Some(socket)
        };
        let (v4, v6) = (open(v4, socket::open_v4), open(v6, socket::open_v6));
        let link = Link {
            name: one.name.clone(),
            v4,
            v6,
            group,
        };
        (link, trouble)
    }

    async fn send(&self, out: Vec<Output>) {
        for output in out {
            let Some(link) = self.links.get(&output.link) else {
                continue;
            };
            let group_v4 = SocketAddr::from((GROUP_V4, PORT));
            let group_v6 = SocketAddr::V6(SocketAddrV6::new(GROUP_V6, PORT, 0, output.link));
            let places = match output.to {
                To::Group => [(&link.v4, Some(group_v4)), (&link.v6, Some(group_v6))],
                To::One(to) => [
                    (&link.v4, Some(to).filter(SocketAddr::is_ipv4)),
                    (&link.v6, Some(to).filter(SocketAddr::is_ipv6)),
                ],
            };
            for (socket, to) in places {
                let (Some(socket), Some(to)) = (socket, to) else {
                    continue;
                };
                match timeout(SEND_DEADLINE, socket.send_to(&output.packet, to)).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(err)) => debug!(interface = link.name, %err, "an mDNS packet was not sent"),
                    Err(_) => debug!(interface = link.name, "an mDNS packet could not be sent in time"),
                }
            }
        }
    }

    /// Says goodbye and closes all sockets.
    async fn end(&mut self, responder: &mut Option<Responder>) {
        if let Some(mut responder) = responder.take() {
            let out = responder.goodbye();
            self.send(out).await;
        }
        self.links.clear();
        self.troubles.clear();
        self.last_try = None;
    }

    fn tell(&self, enabled: bool, responder: Option<&Responder>) {
        let reason = (!self.troubles.is_empty()).then(|| self.troubles.join("; "));
        self.house.health.set("mdns", reason.clone());
        let facts = MdnsFacts {
            enabled,
            name: responder.and_then(Responder::name),
            reason,
        };
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = facts;
    }
}

/// Addresses that a device can use as they are come first; link-local ones only when there are no others, because no browser
/// takes one without the name of its interface.
fn published(interface: &Interface) -> Vec<IpAddr> {
    let v4 = || interface.v4.iter().map(|(addr, _)| *addr);
    let v6 = || interface.v6.iter().map(|(addr, _)| *addr);
    let mut addrs: Vec<IpAddr> = v4()
        .filter(|addr| !addr.is_link_local())
        .map(IpAddr::V4)
        .collect();
    addrs.extend(v6().filter(|addr| !addr.is_unicast_link_local()).map(IpAddr::V6));
    if addrs.is_empty() {
        addrs.extend(v4().map(IpAddr::V4));
        addrs.extend(v6().map(IpAddr::V6));
    }
    addrs.truncate(ADDRS_MAX);
    addrs
}

/// Passes on what neighbours send (RFC 6762 11: nobody else).
async fn read(socket: Arc<UdpSocket>, link: u32, interfaces: Interfaces, sender: mpsc::Sender<Packet>) {
    let mut buffer = vec![0; PACKET_BYTES_MAX];
    loop {
        let (len, from) = match socket.recv_from(&mut buffer).await {
            Ok(got) => got,
            Err(err) => {
                debug!(%err, "an mDNS packet was not read");
                sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let view = interfaces.now();
        let neighbour = view.by_index(link).is_some_and(|one| one.is_on_link(from.ip()));
        if neighbour {
            let bytes = buffer[..len].to_vec();
            // A full queue drops the packet, as the network might have.
            let _ = sender.try_send(Packet { link, from, bytes });
        }
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_browsers_can_use_are_announced() {
        let mut one = Interface {
            v4: vec![("169.254.7.7".parse().expect("v4"), 16)],
            v6: vec![("fe80::1".parse().expect("v6"), 64)],
            ..Interface::default()
        };
        let texts = |one: &Interface| published(one).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(&one), ["169.254.7.7", "fe80::1"]);
        one.v6.push(("fd12::53".parse().expect("v6"), 64));
        assert_eq!(texts(&one), ["fd12::53"]);
        one.v4.push(("192.168.1.2".parse().expect("v4"), 24));
        assert_eq!(texts(&one), ["192.168.1.2", "fd12::53"]);
    }
}
