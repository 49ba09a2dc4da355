//! One interface being served: one task that hears, decides and answers, and never waits for anything but its sockets.

use std::{io, net::Ipv4Addr, sync::Arc};

use proto::dhcp::{Change, Decision, Kind, Mode, Packet, Serving, Why, code, decide, read_arp, read_udp};
use rand::random;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tracing::{debug, info, trace, warn};

use super::{
    Shared,
    commit::{Book, Entry, Promise},
    offers::{Heard, discover_frame, made_up},
    probes::Probes,
    rival::Rivals,
    wire::Wire,
};

/// Datagrams taken at one waking; then timers and other sockets have their turn.
const BURST: usize = 64;
/// Requests that came back because the disk did not take their leases.
const BACK_MAX: usize = 256;

/// A request that waits for a probe.
type Waiting = (Packet, Ipv4Addr);

pub struct Link {
    wire: Arc<Wire>,
    serving: Serving,
    shared: Arc<Shared>,
    book: Book,
    /// Not there in INFORM-only mode, which expects another server.
    rivals: Option<Rivals>,
    probes: Probes<Waiting>,
    /// The hardware address of our own questions.
    probe_mac: [u8; 6],
    back: mpsc::Sender<Waiting>,
}

impl Link {
    pub fn new(
        wire: Wire,
        serving: Serving,
        shared: Arc<Shared>,
        book: Book,
    ) -> (Self, mpsc::Receiver<Waiting>) {
        let now = Instant::now();
        let (back, receiver) = mpsc::channel(BACK_MAX);
        let link = Self {
            wire: Arc::new(wire),
            rivals: (serving.mode == Mode::Lease).then(|| Rivals::new(now)),
            serving,
            shared,
            book,
            probes: Probes::new(now),
            probe_mac: made_up(),
            back,
        };
        (link, receiver)
    }

    /// Serves until dropped. `changed` wakes when the household saved its settings.
    pub async fn run(
        mut self,
        mut back: mpsc::Receiver<Waiting>,
        mut changed: tokio::sync::watch::Receiver<Arc<crate::settings::Settings>>,
    ) {
        let wire = self.wire.clone();
        let mut buffer = vec![0; 4096];
        loop {
            self.tick();
            let next = self.next();
            tokio::select! {
                ready = wire.server.readable() => self.hear(&ready, &mut buffer),
                () = heard_arp(&wire) => self.hear_arp(&mut buffer),
                () = heard_ear(&wire) => self.hear_others(&mut buffer),
                Some((packet, source)) = back.recv() => self.answer(packet, source),
                Ok(()) = changed.changed() => {
                    let settings = changed.borrow_and_update().clone();
                    self.serving = self.shared.serving(&settings, self.serving.mode, &self.wire.port);
                    if let Some(rivals) = &mut self.rivals {
                        rivals.look_again(Instant::now());
                    }
                }
                () = sleep_until(next) => {}
            }
        }
    }

    fn next(&self) -> Instant {
        let rivals = self.rivals.as_ref().map(Rivals::next);
        let idle = || Instant::now() + std::time::Duration::from_secs(3600);
        [rivals, self.probes.next()]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or_else(idle)
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let (repeat, ready) = self.probes.tick(now);
        for addr in repeat {
            self.wire.ask_for(addr);
        }
        for (packet, source) in ready {
            self.decided(packet, source, true);
        }
        let Some(rivals) = &mut self.rivals else {
            return self.shared.note_serving(&self.wire.port.name);
        };
        if rivals.tick(now)
            && let Some(raw) = &self.wire.raw
        {
            let frame = discover_frame(self.wire.port.mac, self.probe_mac, random());
            if let Err(err) = raw.send(&frame) {
                debug!(%err, listen = self.wire.port.name, "could not ask for other servers");
            }
        }
        self.shared.note_rivals(&self.wire.port.name, rivals);
    }

    fn hear(&mut self, ready: &io::Result<()>, buffer: &mut [u8]) {
        if ready.is_err() {
            return;
        }
        for _ in 0..BURST {
            let Ok((len, from)) = self.wire.server.try_recv_from(buffer) else {
                return;
            };
            let source = match from.ip().to_canonical() {
                std::net::IpAddr::V4(source) => source,
                std::net::IpAddr::V6(_) => continue,
            };
            match Packet::read(&buffer[..len]) {
                Ok(packet) => self.answer(packet, source),
                Err(reason) => trace!(%reason, %source, "not a DHCP question"),
            }
        }
    }

    fn answer(&mut self, packet: Packet, source: Ipv4Addr) {
        if packet.mac == self.probe_mac {
            return;
        }
        if let Some(list) = packet.option(code::WANTED)
            && list.contains(&code::WPAD)
        {
            self.shared.note_wpad(packet.mac);
        }
        if let (Some(rivals), Some(server)) = (&mut self.rivals, packet.addr(code::SERVER))
            && packet.kind == Kind::Request
            && server != self.serving.own
        {
            rivals.hint(Instant::now());
        }
        if self.rivals.as_ref().is_none_or(Rivals::serves) {
            self.decided(packet, source, false);
        }
    }

    /// `probed`: a moment ago nobody answered for the address that this client was going to get.
    fn decided(&mut self, packet: Packet, source: Ipv4Addr, probed: bool) {
        self.serving.durable = !self.book.is_broken();
        let now = self.shared.now();
        let mut tables = self.shared.tables();
        let Some(table) = tables.get_mut(&self.wire.port.name) else {
            return;
        };
        let Decision { change, answer } = decide(&packet, source, table, &self.serving, now);
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => {
                let row = table.apply(change, now);
                drop(tables);
                if let Some(row) = row {
                    self.book.write(Entry {
                        row: self.shared.on_disk(&row),
                        ends: row.ends,
                        say: None,
                    });
                }
                return self.unanswered(&packet, why);
            }
        };
        let instant = Instant::now();
        if self.probes.is_waited_for(answer.addr) {
            // The client asks again before the probe is over: its first question is answered then.
            return;
        }
        if answer.probe && !probed && !self.probes.take_quiet(answer.addr, instant) {
            // The address is this client's while we ask for it.
            let (Change::Hold(lease) | Change::Bind(lease)) = change else {
                return;
            };
            table.apply(Change::Hold(lease), now);
            drop(tables);
            match self.probes.wait(answer.addr, (packet, source), instant) {
                Ok(true) => self.wire.ask_for(answer.addr),
                Ok(false) => {}
                Err(()) => debug!("too many addresses are asked for; a request was dropped"),
            }
            return self.look_ahead(instant);
        }
        let row = table.apply(change, now);
        drop(tables);
        trace!(kind = ?answer.kind, addr = %answer.addr, "DHCP answer");
        match row {
            Some(row) if self.serving.durable => {
                let taken = self.book.write(Entry {
                    row: self.shared.on_disk(&row),
                    ends: row.ends,
                    say: Some(Promise {
                        wire: self.wire.clone(),
                        packet,
                        source,
                        answer,
                        back: self.back.clone(),
                    }),
                });
                if !taken {
                    debug!("too many leases wait for the disk; a request was dropped");
                }
            }
            _ => self.wire.say(packet.mac, &answer),
        }
        self.look_ahead(instant);
    }

    fn unanswered(&self, packet: &Packet, why: Why) {
        match why {
            Why::Full | Why::Greedy => debug!(reason = %why, "a device got no address"),
            _ => trace!(reason = %why, kind = ?packet.kind, "no answer"),
        }
    }

    fn look_ahead(&mut self, now: Instant) {
        let wanted = self.probes.wanted();
        if wanted == 0 || self.serving.mode == Mode::Inform {
            return;
        }
        let tables = self.shared.tables();
        let Some(table) = tables.get(&self.wire.port.name) else {
            return;
        };
        let serving = &self.serving;
        let given = |addr: Ipv4Addr| {
            addr != serving.own
                && !serving.taken.contains(&addr)
                && !serving.reserved.values().any(|other| *other == addr)
        };
        let new = self
            .probes
            .ahead(table.next(self.shared.now(), given).take(wanted), now);
        drop(tables);
        for addr in new {
            self.wire.ask_for(addr);
        }
    }

    fn hear_arp(&mut self, buffer: &mut [u8]) {
        let wire = self.wire.clone();
        let Some(raw) = &wire.raw else { return };
        for _ in 0..BURST {
            let Ok(len) = raw.arp.try_recv(buffer) else { return };
            let Some(arp) = read_arp(&buffer[..len]).filter(|arp| arp.mac != wire.port.mac) else {
                continue;
            };
            let Some(waiting) = self.probes.answered(arp.addr) else {
                continue;
            };
            let now = self.shared.now();
            // The client itself may answer: it still has the address of its last lease.
            let (its, others): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|(packet, _)| packet.mac == arp.mac);
            if its.is_empty() {
                if let Some(table) = self.shared.tables().get_mut(&wire.port.name) {
                    table.apply(Change::Unusable(arp.addr), now);
                }
                if !others.is_empty() {
                    info!(addr = %arp.addr, "an address of the pool is in use by a device that did not get it here");
                }
            }
            for (packet, source) in its {
                self.decided(packet, source, true);
            }
            for (packet, source) in others {
                self.decided(packet, source, false);
            }
        }
    }

    fn hear_others(&mut self, buffer: &mut [u8]) {
        let wire = self.wire.clone();
        let Some(raw) = &wire.raw else { return };
        for _ in 0..BURST {
            let Ok(len) = raw.ear.try_recv(buffer) else { return };
            let Some(heard) = read_udp(&buffer[..len]).and_then(|datagram| Heard::read(&datagram)) else {
                continue;
            };
            let ours = heard.mac == wire.port.mac || self.shared.is_own(heard.server);
            if ours || !heard.gives_addresses() {
                continue;
            }
            let Some(rivals) = &mut self.rivals else { continue };
            if rivals.heard(&heard, Instant::now()) {
                warn!(addr = %heard.server, listen = wire.port.name, "another DHCP server answers: this one falls silent");
            }
        }
    }
}

async fn heard_arp(wire: &Wire) {
    match &wire.raw {
        Some(raw) => drop(raw.arp.readable().await),
        None => std::future::pending().await,
    }
}

async fn heard_ear(wire: &Wire) {
    match &wire.raw {
        Some(raw) => drop(raw.ear.readable().await),
        None => std::future::pending().await,
    }
}
