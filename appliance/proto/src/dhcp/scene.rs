//! A server and what clients say to it, written by an independent codec.

use std::net::Ipv4Addr;

use dhcproto::{
    Decodable, Decoder, Encodable,
    v4::{DhcpOption, Message, MessageType, OptionCode},
};

use super::*;

pub(super) const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 2);
pub(super) const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
pub(super) const MAC: Mac = [2, 0, 0, 0, 0, 7];

pub(super) fn addr(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 1, last)
}

pub(super) fn serving() -> Serving {
    Serving {
        mode: Mode::Lease,
        own: OWN,
        prefix: 24,
        lease_secs: 86_400,
        hand_out: HandOut {
            router: Some(addr(1)),
            resolvers: vec![OWN, addr(1)],
            resolvers_beside: vec![addr(1)],
            domain: "home.arpa".into(),
            wpad: Some("http://192.168.1.2/wpad.dat".into()),
            ..HandOut::default()
        },
        reserved: [([2, 0, 0, 0, 0, 0x55], addr(150))].into(),
        taken: [addr(1)].into(),
        beside: [[2, 0, 0, 0, 0, 0x66]].into(),
        durable: true,
    }
}

/// A server and the clock, driven by messages that an independent codec wrote.
pub(super) struct Home {
    pub table: Table,
    pub serving: Serving,
    pub now: Secs,
}

impl Home {
    pub fn new() -> Self {
        let pool = Pool {
            first: addr(100),
            last: addr(199),
        };
        Self {
            table: Table::new(pool),
            serving: serving(),
            now: 1_000_000,
        }
    }

    pub fn raw(&mut self, message: &Message, source: Ipv4Addr) -> Decision {
        let bytes = message.to_vec().expect("it can be written");
        let packet = Packet::read(&bytes).expect("it is good");
        let decision = decide(&packet, source, &self.table, &self.serving, self.now);
        let row = self.table.apply(decision.change.clone(), self.now);
        if let Some(row) = row.filter(|_| self.serving.durable) {
            self.table.written(row.addr, row.ends);
        }
        decision
    }

    pub fn ask(&mut self, message: &Message) -> Result<(Answer, Message), Why> {
        let answer = self.raw(message, NOBODY).answer?;
        let read = Message::decode(&mut Decoder::new(&answer.bytes)).expect("an independent codec reads it");
        Ok((answer, read))
    }

    /// DISCOVER, OFFER, REQUEST, ACK.
    pub fn join(&mut self, mac: Mac) -> Option<Ipv4Addr> {
        let (_, offer) = self.ask(&message(MessageType::Discover, mac)).ok()?;
        let (answer, ack) = self.ask(&selecting(mac, offer.yiaddr())).ok()?;
        (answer.kind == Kind::Ack).then_some(ack.yiaddr())
    }
}

pub(super) fn message(kind: MessageType, mac: Mac) -> Message {
    let mut message = Message::new_with_id(0x1234_5678, NOBODY, NOBODY, NOBODY, NOBODY, &mac);
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    message
}

pub(super) fn with(mut message: Message, option: DhcpOption) -> Message {
    message.opts_mut().insert(option);
    message
}

pub(super) fn selecting(mac: Mac, addr: Ipv4Addr) -> Message {
    let message = with(
        message(MessageType::Request, mac),
        DhcpOption::RequestedIpAddress(addr),
    );
    with(message, DhcpOption::ServerIdentifier(OWN))
}

pub(super) fn renewing(mac: Mac, addr: Ipv4Addr) -> Message {
    let mut message = message(MessageType::Request, mac);
    message.set_ciaddr(addr);
    message
}

pub(super) fn rebooting(mac: Mac, addr: Ipv4Addr) -> Message {
    with(
        message(MessageType::Request, mac),
        DhcpOption::RequestedIpAddress(addr),
    )
}

pub(super) fn wpad(message: &Message) -> Option<Vec<u8>> {
    match message.opts().get(OptionCode::from(252))? {
        DhcpOption::Unknown(option) => Some(option.data().to_vec()),
        _ => None,
    }
}
