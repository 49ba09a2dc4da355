//! One interface: what is announced there, to whom it is answered, what is heard.

use std::{
    io,
    net::Ipv6Addr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use proto::{
    dhcp6,
    ra::{self, ALL_NODES, ALL_ROUTERS, Ours, Pace},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::{debug, info};

use super::{Part, Shared, socket::Icmp, stateless::Stateless, ula};

/// A socket that did not open is tried again after it, or when the network or the settings change.
const RETRY: Duration = Duration::from_secs(30);
/// Longest packet read; an advertisement fits one frame.
const PACKET_BYTES_MAX: usize = 1500;
/// The last words are said twice: one packet may be lost on the air.
const LAST_WORDS: usize = 2;
const BETWEEN_LAST_WORDS: Duration = Duration::from_millis(200);
const SEND_DEADLINE: Duration = Duration::from_secs(1);

pub(super) struct Link {
    shared: Arc<Shared>,
    name: String,
    index: u32,
    /// What the box made up for itself here.
    own: Ipv6Addr,
    started: Instant,
}

/// What is announced now.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    mac: Option<[u8; 6]>,
    resolver: Ipv6Addr,
    search: String,
    on_link: Option<Ipv6Addr>,
}

impl Said {
    fn packet(&self, stays: bool) -> Vec<u8> {
        Ours {
            mac: self.mac,
            resolver: self.resolver,
            search: &[&self.search],
            on_link: self.on_link,
            stays,
        }
        .encode()
    }
}

/// The state while the household wants us to announce.
struct Speaking {
    said: Said,
    pace: Pace,
    stateless: Option<Stateless>,
}

impl Link {
    pub fn new(shared: Arc<Shared>, name: &str, index: u32) -> Self {
        Self {
            own: shared.prefix.on(name),
            shared,
            name: name.into(),
            index,
            started: Instant::now(),
        }
    }

    /// Until the interface goes, or the goodbye is said.
    pub async fn run(self, mut stop: watch::Receiver<bool>, mut ask: watch::Receiver<u64>) {
        let mut interfaces = self.shared.house.interfaces.clone();
        let mut settings = self.shared.house.watch_settings();
        while !*stop.borrow() {
            match Icmp::open(&self.name, self.index) {
                Ok(icmp) => match self.serve(&icmp, &mut stop, &mut ask).await {
                    Ok(()) => return,
                    Err(err) => self.cannot("router advertisements are not heard or sent", &err),
                },
                Err(err) => self.cannot("router advertisements can neither be heard nor sent", &err),
            }
            self.shared.announces(&self.name, None);
            tokio::select! {
                () = sleep(RETRY) => {}
                () = interfaces.changed() => sleep(Duration::from_secs(1)).await,
                _ = settings.changed() => {}
                _ = stop.changed() => {}
            }
        }
    }

    fn cannot(&self, what: &str, err: &io::Error) {
        let why = match err.kind() {
            io::ErrorKind::PermissionDenied => "CAP_NET_RAW is needed".into(),
            _ => err.to_string(),
        };
        self.set_reason(Part::Advertisements, Some(format!("{what} ({why})")));
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn set_reason(&self, part: Part, reason: Option<String>) {
        self.shared.set_reason(&self.name, part, reason);
    }

    async fn serve(
        &self,
        icmp: &Icmp,
        stop: &mut watch::Receiver<bool>,
        ask: &mut watch::Receiver<u64>,
    ) -> io::Result<()> {
        let mut interfaces = self.shared.house.interfaces.clone();
        let mut settings = self.shared.house.watch_settings();
        let mut packet = [0; PACKET_BYTES_MAX];
        self.set_reason(Part::Advertisements, None);
        let mut speaking: Option<Speaking> = None;
        loop {
            self.bring_in_line(icmp, &mut speaking).await;
            let due = speaking
                .as_ref()
                .map(|one| self.started + Duration::from_millis(one.pace.due()));
            tokio::select! {
                got = icmp.receive(&mut packet) => {
                    let (len, from) = got?;
                    if let Some(one) = &mut speaking
                        && ra::is_solicitation(&packet[..len], from)
                    {
                        one.pace.asked(self.now(), rand::random());
                    } else if let Some(heard) = ra::heard(&packet[..len]) {
                        self.heard(from, heard);
                    }
                }
                () = at(due) => if let Some(one) = &mut speaking {
                    self.speak(icmp, one).await;
                },
                answered = answer(speaking.as_ref()) => if let Err(err) = answered {
                    debug!(%err, "a DHCPv6 question was not answered");
                },
                () = interfaces.changed() => {}
                _ = settings.changed() => {}
                _ = ask.changed() => {
                    let solicitation = [ra::SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
                    self.send(icmp, ALL_ROUTERS, &solicitation).await;
                }
                _ = stop.changed() => {
                    if let Some(one) = speaking {
                        self.last_words(icmp, &one.said).await;
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Starts, changes or ends what is announced, as settings and addresses now are.
    async fn bring_in_line(&self, icmp: &Icmp, speaking: &mut Option<Speaking>) {
        let Some(said) = self.wanted() else {
            if let Some(one) = speaking.take() {
                self.last_words(icmp, &one.said).await;
                self.give_up_own();
            }
            self.shared.announces(&self.name, None);
            return;
        };
        self.shared.announces(&self.name, Some(said.resolver));
        match speaking {
            None => {
                info!(interface = self.name, resolver = %said.resolver, "announced by IPv6 as resolver");
                let stateless = Stateless::open(&self.name, self.index);
                let text = |err| format!("questions by DHCPv6 stay unanswered ({err})");
                self.set_reason(Part::Stateless, stateless.as_ref().err().map(text));
                *speaking = Some(Speaking {
                    said,
                    pace: Pace::start(self.now()),
                    stateless: stateless.ok(),
                });
            }
            Some(one) if one.said != said => {
                // What no longer holds is taken back first, else devices would keep both for ten minutes.
                self.send(icmp, ALL_NODES, &one.said.packet(false)).await;
                if said.resolver != self.own && one.said.resolver == self.own {
                    self.give_up_own();
                }
                one.said = said;
                one.pace.changed(self.now());
            }
            Some(_) => {}
        }
    }

    /// What is to be announced; `None`: nothing, because it is off or the interface has no IPv6.
    fn wanted(&self) -> Option<Said> {
        let settings = self.shared.house.settings();
        let view = self.shared.house.interfaces.now();
        let interface = view.by_index(self.index)?;
        if !settings.ra.enabled {
            self.set_reason(Part::Address, None);
            self.set_reason(Part::Stateless, None);
            return None;
        }
        let Some(link_local) = interface.link_local() else {
            let text = "the interface has no IPv6 address, so nothing is announced there";
            self.set_reason(Part::Address, Some(text.into()));
            return None;
        };
        let ours = |addr: &Ipv6Addr| *addr == self.own;
        let addrs = || interface.v6.iter().map(|(addr, _)| *addr);
        let said = |resolver, on_link| Said {
            mac: interface.mac,
            resolver,
            search: settings.names.domain.clone(),
            on_link,
        };
        // Devices have a way to a prefix that the router announces; to our own we must show it.
        // Of several the lowest is most likely the one somebody chose; those made of random bits come and go.
        if let Some(addr) = addrs().filter(|addr| addr.is_unique_local() && !ours(addr)).min() {
            self.set_reason(Part::Address, None);
            return Some(said(addr, None));
        }
        if !addrs().any(|addr| ours(&addr))
            && let Err(err) = ula::set(self.index, self.own)
        {
            let text = format!(
                "no unique local address could be added ({err}), so the link-local one is announced; CAP_NET_ADMIN is needed"
            );
            self.set_reason(Part::Address, Some(text));
            return Some(said(link_local, None));
        }
        self.set_reason(Part::Address, None);
        Some(said(self.own, Some(self.own)))
    }

    fn give_up_own(&self) {
        if let Err(err) = ula::remove(self.index, self.own) {
            debug!(interface = self.name, %err, "the box's own address was not there to be removed");
        }
    }

    async fn speak(&self, icmp: &Icmp, one: &mut Speaking) {
        if one.said.resolver == self.own
            && let Err(err) = ula::set(self.index, self.own)
        {
            debug!(interface = self.name, %err, "the box's own address was not renewed");
        }
        self.send(icmp, ALL_NODES, &one.said.packet(true)).await;
        one.pace.sent(self.now(), rand::random());
    }

    async fn last_words(&self, icmp: &Icmp, said: &Said) {
        for round in 0..LAST_WORDS {
            if round > 0 {
                sleep(BETWEEN_LAST_WORDS).await;
            }
            self.send(icmp, ALL_NODES, &said.packet(false)).await;
        }
        self.shared.announces(&self.name, None);
    }

    async fn send(&self, icmp: &Icmp, to: Ipv6Addr, packet: &[u8]) {
        match timeout(SEND_DEADLINE, icmp.send(to, packet)).await {
            Ok(Ok(())) => {
                if packet.first() == Some(&ra::ADVERTISEMENT) {
                    self.shared.sent.fetch_add(1, Ordering::Relaxed);
                }
            }
            // No address yet, no carrier: the next one is due soon enough.
            Ok(Err(err)) => debug!(interface = self.name, %err, "a packet of IPv6 assist was not sent"),
            Err(_) => debug!(
                interface = self.name,
                "a packet of IPv6 assist could not be sent in time"
            ),
        }
    }

    fn heard(&self, from: Ipv6Addr, heard: ra::Heard) {
        let own = self.shared.house.interfaces.now().is_own(from.into());
        if from.is_unicast_link_local() && !own {
            self.shared.heard(self.index, from, heard);
        }
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn answer(speaking: Option<&Speaking>) -> io::Result<()> {
    let Some(Speaking {
        said,
        stateless: Some(stateless),
        ..
    }) = speaking
    else {
        return std::future::pending().await;
    };
    let duid = dhcp6::duid(said.mac.unwrap_or_default());
    stateless.answer(&duid, &[said.resolver], &[&said.search]).await
}
