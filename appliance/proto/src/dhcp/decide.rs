//! Packet, leases, what the interface hands out and the time → what is said, to whom, and what changes (RFC 2131, 4.3).

use std::{
    collections::{HashMap, HashSet},
    net::Ipv4Addr,
};

use super::{
    ClientKey, HandOut, Kept, Kind, Lease, Mac, Packet, Secs, Table,
    name::shown,
    options::Draft,
    packet::code,
    pool::{is_end, on_link},
};

/// A lease while addresses run short, or while leases cannot be written down: it ends soon if nobody renews it.
const SHORT: Secs = 120;
/// Who renewed or came back after this time has shown that it stays.
const PROVEN: Secs = 50;
/// Leases in force of one hardware address under different identifiers.
const PER_DEVICE_MAX: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Answers nothing but DHCPINFORM, and that with option 252 alone.
    Inform,
    /// Is the home's server.
    Lease,
}

/// What one interface serves.
#[derive(Debug, Clone)]
pub struct Serving {
    pub mode: Mode,
    /// The interface's own address: the server identifier.
    pub own: Ipv4Addr,
    pub prefix: u8,
    pub lease_secs: u32,
    pub hand_out: HandOut,
    pub reserved: HashMap<Mac, Ipv4Addr>,
    /// Addresses that are somebody's without a lease: the router, resolvers, time servers.
    pub taken: HashSet<Ipv4Addr>,
    /// Devices that are told the router's resolver and no proxy.
    pub beside: HashSet<Mac>,
    /// Leases can be written down now.
    pub durable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub change: Change,
    pub answer: Result<Answer, Why>,
}

/// What happens to the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    None,
    /// Kept for this client until it asks for it or the offer lapses.
    Hold(Lease),
    /// Given; on disk before the answer leaves.
    Bind(Lease),
    /// Given back, or an offer that was turned down.
    End(Ipv4Addr),
    /// In use by something we do not know.
    Unusable(Ipv4Addr),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub kind: Kind,
    pub to: To,
    /// The DHCP message.
    pub bytes: Vec<u8>,
    /// The address it gives; unspecified when it gives none.
    pub addr: Ipv4Addr,
    /// It may only leave when nobody else uses this address.
    pub probe: bool,
}

/// RFC 2131, 4.1, "where to send".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// A relay on our link, port 67.
    Relay(Ipv4Addr),
    /// A client that has this address, port 68.
    Addr(Ipv4Addr),
    /// A client that does not have it yet: only a frame to its hardware address reaches it.
    Frame(Ipv4Addr),
    Everybody,
}

/// Why nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("it is no question")]
    NoQuestion,
    #[error("this mode does not answer it")]
    Mode,
    #[error("it comes from outside the LAN")]
    Outside,
    #[error("the client chose the server {0}")]
    OtherServer(Ipv4Addr),
    #[error("every address is in use")]
    Full,
    #[error("the device holds too many leases under different names")]
    Greedy,
    #[error("the address was not this client's")]
    NotIts,
    #[error("it needs no answer")]
    Noted,
}

/// `source` is where the datagram came from.
pub fn decide(packet: &Packet, source: Ipv4Addr, table: &Table, serving: &Serving, now: Secs) -> Decision {
    let talk = Talk {
        packet,
        source,
        table,
        serving,
        now,
        key: packet.key(),
    };
    talk.decide().unwrap_or_else(silent)
}

fn silent(why: Why) -> Decision {
    Decision {
        change: Change::None,
        answer: Err(why),
    }
}

struct Talk<'a> {
    packet: &'a Packet,
    source: Ipv4Addr,
    table: &'a Table,
    serving: &'a Serving,
    now: Secs,
    key: ClientKey,
}

impl Talk<'_> {
    fn decide(&self) -> Result<Decision, Why> {
        let packet = self.packet;
        if packet.reply {
            return Err(Why::NoQuestion);
        }
        if self.serving.mode == Mode::Inform && packet.kind != Kind::Inform {
            return Err(Why::Mode);
        }
        let inside = |addr: Ipv4Addr| addr.is_unspecified() || self.is_neighbour(addr);
        // A relay elsewhere would make us hand out addresses of a network we do not know, and send answers out of the home.
        if !inside(packet.giaddr) || !inside(self.source) {
            return Err(Why::Outside);
        }
        match packet.kind {
            Kind::Discover => self.discover(),
            Kind::Request => self.request(),
            Kind::Decline => self.decline(),
            Kind::Release => self.release(),
            Kind::Inform => self.inform(),
            Kind::Offer | Kind::Ack | Kind::Nak => Err(Why::NoQuestion),
        }
    }

    /// RFC 2131, 4.3.1: the client's address, else the one it wants, else the next one.
    fn discover(&self) -> Result<Decision, Why> {
        let addr = self.address()?;
        let lease = self.lease(addr);
        let mine = self.table.of(&self.key).filter(|row| row.addr == addr);
        let probe = mine.is_none_or(|row| row.ends <= self.now);
        let answer = self.answer(Kind::Offer, addr, &lease, probe);
        let in_force = mine.is_some_and(|row| row.kept == Kept::Bound && row.ends > self.now);
        Ok(Decision {
            // A lease in force must not become a mere offer.
            change: if in_force {
                Change::None
            } else {
                Change::Hold(lease)
            },
            answer: Ok(answer),
        })
    }

    fn address(&self) -> Result<Ipv4Addr, Why> {
        if let Some(addr) = self.reserved() {
            return Ok(addr);
        }
        if let Some(row) = self.table.of(&self.key)
            && self.may_have(row.addr)
        {
            return Ok(row.addr);
        }
        if self.table.live_of(self.packet.mac, self.now).count() >= PER_DEVICE_MAX {
            return Err(Why::Greedy);
        }
        if let Some(addr) = self.packet.addr(code::REQUESTED)
            && self.may_have(addr)
        {
            return Ok(addr);
        }
        let given = |addr| self.is_given(addr);
        self.table.next(self.now, given).next().ok_or(Why::Full)
    }

    fn request(&self) -> Result<Decision, Why> {
        let packet = self.packet;
        let requested = packet.addr(code::REQUESTED);
        if let Some(server) = packet.addr(code::SERVER)
            && server != self.serving.own
        {
            // SELECTING, but another server was chosen: what we offered is free again (4.3.2).
            let offered = self.table.of(&self.key).filter(|row| row.kept == Kept::Offered);
            return Ok(Decision {
                change: offered.map_or(Change::None, |row| Change::End(row.addr)),
                answer: Err(Why::OtherServer(server)),
            });
        }
        // SELECTING and INIT-REBOOT name the address in option 50, RENEWING and REBINDING in ciaddr.
        let has = packet.ciaddr;
        let addr = match requested {
            Some(addr) if has.is_unspecified() => addr,
            None if !has.is_unspecified() => has,
            Some(addr) if addr == has => addr,
            _ => return Err(Why::NotIts),
        };
        // We are the only server here, else we would be silent as a whole: so an address that cannot be kept is refused at
        // once, and one that we know nothing of (the router gave it last week) is taken over when nobody else has it.
        let better = self.reserved().is_some_and(|reserved| reserved != addr);
        if better || !self.may_have(addr) {
            return Ok(self.refuse());
        }
        let mine = self
            .table
            .of(&self.key)
            .filter(|row| row.addr == addr && row.ends > self.now);
        if mine.is_none() && self.table.live_of(packet.mac, self.now).count() >= PER_DEVICE_MAX {
            return Ok(self.refuse());
        }
        let lease = self.lease(addr);
        let answer = self.answer(Kind::Ack, addr, &lease, mine.is_none());
        Ok(Decision {
            change: Change::Bind(lease),
            answer: Ok(answer),
        })
    }

    fn decline(&self) -> Result<Decision, Why> {
        self.for_us()?;
        let addr = self.packet.addr(code::REQUESTED).ok_or(Why::NotIts)?;
        self.its_row(addr)?;
        Ok(Decision {
            change: Change::Unusable(addr),
            answer: Err(Why::Noted),
        })
    }

    /// systemd-networkd names no server when it gives an address back; the address and the client say enough.
    fn release(&self) -> Result<Decision, Why> {
        if self.packet.option(code::SERVER).is_some() {
            self.for_us()?;
        }
        self.its_row(self.packet.ciaddr)?;
        Ok(Decision {
            change: Change::End(self.packet.ciaddr),
            answer: Err(Why::Noted),
        })
    }

    /// RFC 2131, 4.3.5: settings for a client that has its address from elsewhere. No lease time, no address, and in INFORM-only
    /// mode nothing but option 252: who gave the address also gave resolver and router.
    fn inform(&self) -> Result<Decision, Why> {
        let packet = self.packet;
        let has = if packet.ciaddr.is_unspecified() {
            self.source
        } else {
            packet.ciaddr
        };
        if !self.is_neighbour(has) {
            return Err(Why::Outside);
        }
        let mut draft = Draft::new(packet, Kind::Ack, self.serving.own);
        draft.ciaddr = packet.ciaddr;
        let beside = self.serving.beside.contains(&packet.mac);
        match self.serving.mode {
            Mode::Lease => draft.hand_out(&self.serving.hand_out, self.serving.prefix, beside),
            Mode::Inform => match &self.serving.hand_out.wpad {
                Some(url) if !beside => draft.option(code::WPAD, url.as_bytes()),
                _ => return Err(Why::Mode),
            },
        }
        Ok(Decision {
            change: Change::None,
            answer: Ok(Answer {
                kind: Kind::Ack,
                to: To::Addr(has),
                bytes: draft.write(),
                addr: Ipv4Addr::UNSPECIFIED,
                probe: false,
            }),
        })
    }

    /// Its own reservation, unless another device still has that address.
    fn reserved(&self) -> Option<Ipv4Addr> {
        let addr = *self.serving.reserved.get(&self.packet.mac)?;
        self.may_have(addr).then_some(addr)
    }

    /// In the network, no special address, and free or this client's already.
    fn may_have(&self, addr: Ipv4Addr) -> bool {
        let serving = self.serving;
        let own_reservation = serving.reserved.get(&self.packet.mac) == Some(&addr);
        if !self.is_neighbour(addr)
            || serving.taken.contains(&addr)
            || !(own_reservation || self.is_given(addr))
        {
            return false;
        }
        match self.table.at(addr) {
            None => true,
            Some(row) => {
                // The same device under another identifier (a boot loader, another system) may take its reservation over.
                let same = row.key == self.key || (own_reservation && row.mac == self.packet.mac);
                row.ends <= self.now || (same && row.kept != Kept::Unusable)
            }
        }
    }

    /// From the pool, and neither reserved for a device nor special.
    fn is_given(&self, addr: Ipv4Addr) -> bool {
        let serving = self.serving;
        self.table.pool().contains(addr)
            && addr != serving.own
            && !serving.taken.contains(&addr)
            && !is_end(addr, serving.prefix)
            && !serving.reserved.values().any(|other| *other == addr)
    }

    fn is_neighbour(&self, addr: Ipv4Addr) -> bool {
        let serving = self.serving;
        on_link(addr, serving.own, serving.prefix) && addr != serving.own && !is_end(addr, serving.prefix)
    }

    fn for_us(&self) -> Result<(), Why> {
        match self.packet.addr(code::SERVER) {
            Some(server) if server != self.serving.own => Err(Why::OtherServer(server)),
            Some(_) => Ok(()),
            None => Err(Why::NotIts),
        }
    }

    /// Some clients leave their identifier out when they give an address back: then the hardware address speaks for it.
    fn its_row(&self, addr: Ipv4Addr) -> Result<(), Why> {
        let row = self.table.at(addr).filter(|row| row.ends > self.now);
        let by_mac = self.packet.option(code::CLIENT).is_none();
        let its = row.is_some_and(|row| row.key == self.key || (by_mac && row.mac == self.packet.mac));
        its.then_some(()).ok_or(Why::NotIts)
    }

    fn lease(&self, addr: Ipv4Addr) -> Lease {
        let serving = self.serving;
        let old = self
            .table
            .of(&self.key)
            .filter(|row| row.addr == addr && row.kept == Kept::Bound);
        let since = old.map_or(self.now, |row| row.since);
        let proven = old.is_some() && self.now >= since + PROVEN;
        let full = Secs::from(serving.lease_secs);
        let secs = if !serving.durable {
            // After a restart we would know only what was written: nobody may believe in more than that for long.
            let left = old.map_or(0, |row| row.written.saturating_sub(self.now));
            left.max(SHORT).min(full)
        } else if !proven && self.table.is_pressed(self.now) {
            full.min(SHORT)
        } else {
            // The client may ask for less, but not for so little that it keeps us busy.
            let asked = self.packet.number(code::LEASE).map(Secs::from);
            asked.map_or(full, |asked| asked.clamp(full.min(SHORT), full))
        };
        Lease {
            addr,
            key: self.key.clone(),
            mac: self.packet.mac,
            since,
            ends: self.now + secs,
            kept: Kept::Bound,
            written: old.map_or(0, |row| row.written),
            name: shown(self.packet).or_else(|| old.and_then(|row| row.name.clone())),
        }
    }

    fn answer(&self, kind: Kind, addr: Ipv4Addr, lease: &Lease, probe: bool) -> Answer {
        let packet = self.packet;
        let mut draft = Draft::new(packet, kind, self.serving.own);
        draft.yiaddr = addr;
        if kind == Kind::Ack {
            draft.ciaddr = packet.ciaddr;
        }
        draft.lease(lease.ends - self.now);
        let beside = self.serving.beside.contains(&packet.mac);
        draft.hand_out(&self.serving.hand_out, self.serving.prefix, beside);
        Answer {
            kind,
            to: self.to(addr),
            bytes: draft.write(),
            addr,
            probe,
        }
    }

    fn to(&self, addr: Ipv4Addr) -> To {
        let packet = self.packet;
        if !packet.giaddr.is_unspecified() {
            To::Relay(packet.giaddr)
        } else if !packet.ciaddr.is_unspecified() {
            To::Addr(packet.ciaddr)
        } else if packet.wants_broadcast() {
            To::Everybody
        } else {
            To::Frame(addr)
        }
    }

    /// DHCPNAK, always where everybody hears it: the client's address is not to be trusted (RFC 2131, 4.3.2).
    fn refuse(&self) -> Decision {
        let packet = self.packet;
        let mut draft = Draft::new(packet, Kind::Nak, self.serving.own);
        draft.option(code::MESSAGE, *b"this address is not yours here");
        let to = match packet.giaddr {
            giaddr if giaddr.is_unspecified() => To::Everybody,
            giaddr => To::Relay(giaddr),
        };
        Decision {
            change: Change::None,
            answer: Ok(Answer {
                kind: Kind::Nak,
                to,
                bytes: draft.write(),
                addr: Ipv4Addr::UNSPECIFIED,
                probe: false,
            }),
        }
    }
}
