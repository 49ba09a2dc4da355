//! Which doors there are: those systemd opened for us, else those of the command line.

use std::{net::SocketAddr, sync::Arc};

use house::net::{Error, Inherited, adopt_tcp, explain, listen_tcp, listen_udp};
use tokio::net::TcpListener;

use super::{Shared, doh, seats::Seats, stream, tls, udp::UdpDoor};
use crate::{House, api};

/// The port of UDP and TCP must be the same; another program may have the TCP side of one the kernel chose.
const ATTEMPTS: usize = 16;

#[derive(Default)]
pub(super) struct Sockets {
    udp: Vec<UdpDoor>,
    tcp: Vec<TcpListener>,
    dot: Vec<TcpListener>,
    doh: Vec<TcpListener>,
}

impl Sockets {
    /// An inherited kind of door is not opened again.
    pub fn open(house: &House, inherited: &mut Vec<(String, Inherited)>) -> Result<Self, Error> {
        let mut sockets = Self::default();
        let (ours, others) = std::mem::take(inherited)
            .into_iter()
            .partition(|(name, _)| matches!(name.as_str(), "dns" | "dot" | "doh"));
        *inherited = others;
        let ours: Vec<(String, Inherited)> = ours;
        let given = |name: &str| ours.iter().any(|(one, _)| one == name);
        let (dns, dot, doh) = (given("dns"), given("dot"), given("doh"));
        for (name, socket) in ours {
            match (name.as_str(), socket) {
                ("dns", Inherited::Udp(socket)) => {
                    let addr = socket.local_addr().unwrap_or(SocketAddr::from(([0; 4], 53)));
                    let door = UdpDoor::open(socket);
                    sockets
                        .udp
                        .push(door.map_err(|err| explain(addr, "--listen-dns", err))?);
                }
                ("dns", Inherited::Tcp(listener)) => sockets.tcp.push(adopt_tcp(listener)?),
                ("dot", Inherited::Tcp(listener)) => sockets.dot.push(adopt_tcp(listener)?),
                (_, Inherited::Tcp(listener)) => sockets.doh.push(adopt_tcp(listener)?),
                (_, Inherited::Udp(_)) => {}
            }
        }
        let config = &house.config;
        for addr in config.dns.iter().filter(|_| !dns) {
            let (udp, tcp) = pair(*addr)?;
            sockets.udp.push(udp);
            sockets.tcp.push(tcp);
        }
        for addr in config.dot.iter().filter(|_| !dot) {
            sockets.dot.push(listen_tcp(*addr, "--listen-dot")?);
        }
        for addr in config.doh.iter().filter(|_| !doh) {
            sockets.doh.push(listen_tcp(*addr, "--listen-doh")?);
        }
        Ok(sockets)
    }

    pub fn listening(&self) -> api::Listening {
        let addrs = |listeners: &[TcpListener]| {
            let addrs = listeners.iter().filter_map(|one| one.local_addr().ok());
            addrs.collect::<Vec<_>>()
        };
        let mut dns: Vec<_> = self.udp.iter().filter_map(|one| one.local_addr().ok()).collect();
        for addr in addrs(&self.tcp) {
            if !dns.contains(&addr) {
                dns.push(addr);
            }
        }
        api::Listening {
            dns,
            dot: addrs(&self.dot),
            doh: addrs(&self.doh),
        }
    }

    pub fn serve(self, shared: &Arc<Shared>) {
        let tasks = &shared.house.tasks;
        for door in self.udp {
            tasks.spawn("dns.udp", Arc::new(door).serve(shared.clone()));
        }
        let seats = Seats::default();
        for listener in self.tcp {
            tasks.spawn(
                "dns.tcp",
                stream::accept(listener, None, seats.clone(), shared.clone()),
            );
        }
        if self.dot.is_empty() && self.doh.is_empty() {
            return;
        }
        let configs = match tls::configs(&shared.house) {
            Ok(configs) => configs,
            Err(err) => {
                let text = format!("no name can be asked for over TLS: {err}");
                shared.house.health.set("dns.tls", Some(text));
                return;
            }
        };
        for listener in self.dot {
            let tls = Some(configs.dot.clone());
            tasks.spawn(
                "dns.dot",
                stream::accept(listener, tls, seats.clone(), shared.clone()),
            );
        }
        for listener in self.doh {
            tasks.spawn(
                "dns.doh",
                doh::accept(listener, configs.doh.clone(), seats.clone(), shared.clone()),
            );
        }
    }
}

fn pair(addr: SocketAddr) -> Result<(UdpDoor, TcpListener), Error> {
    let mut last = None;
    for _ in 0..if addr.port() == 0 { ATTEMPTS } else { 1 } {
        let tcp = listen_tcp(addr, "--listen-dns")?;
        let chosen = tcp.local_addr().unwrap_or(addr);
        let udp = listen_udp(chosen, "--listen-dns")
            .and_then(|socket| UdpDoor::open(socket).map_err(|err| explain(chosen, "--listen-dns", err)));
        match udp {
            Ok(udp) => return Ok((udp, tcp)),
            Err(err) => last = Some(err),
        }
    }
    Err(last.unwrap_or(Error::Taken {
        addr,
        option: "--listen-dns",
    }))
}
