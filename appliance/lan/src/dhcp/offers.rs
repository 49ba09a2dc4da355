//! What other servers say: read from their offers, in words for people.

use std::net::Ipv4Addr;

use dhcproto::{
    Decodable, Decoder, Encodable,
    v4::{DhcpOption, Flags, Message, MessageType, OptionCode},
};
use proto::dhcp::{CLIENT_PORT, Datagram, Kind, Mac, Packet, SERVER_PORT, code, udp_frame};

use super::wire::EVERYBODY;
use crate::api::{DhcpServer, spelled};

/// An offer or acknowledgement of a server.
#[derive(Debug, Clone)]
pub struct Heard {
    pub server: Ipv4Addr,
    pub mac: Mac,
    pub packet: Packet,
}

impl Heard {
    /// `None`: no reply of a server that gives or confirms addresses.
    pub fn read(datagram: &Datagram<'_>) -> Option<Self> {
        let packet = Packet::read(datagram.payload).ok()?;
        if !packet.reply || !matches!(packet.kind, Kind::Offer | Kind::Ack) {
            return None;
        }
        Some(Self {
            server: packet.addr(code::SERVER).unwrap_or(datagram.source),
            mac: datagram.from_mac,
            packet,
        })
    }

    /// It hands out addresses, and does not just answer INFORM.
    pub fn gives_addresses(&self) -> bool {
        self.packet.kind == Kind::Offer || !self.packet.yiaddr.is_unspecified()
    }

    pub fn facts(&self) -> DhcpServer {
        let packet = &self.packet;
        let text = |code| {
            let text: String = String::from_utf8_lossy(packet.option(code)?)
                .chars()
                .filter(|letter| letter.is_ascii_graphic())
                .take(255)
                .collect();
            (!text.is_empty()).then_some(text)
        };
        DhcpServer {
            server: Some(self.server),
            mac: Some(spelled(self.mac)),
            offered: Some(packet.yiaddr).filter(|addr| !addr.is_unspecified()),
            mask: packet.addr(code::MASK),
            router: packet.addrs(code::ROUTER),
            dns: packet.addrs(code::RESOLVER),
            domain: text(code::DOMAIN),
            wpad: text(code::WPAD),
            lease_secs: packet.number(code::LEASE),
            heard_secs_ago: 0,
        }
    }

    /// Every option: number, name, meaning.
    pub fn options(&self) -> Vec<(u8, String, String)> {
        let words = |(code, value): (u8, &[u8])| (code, name(code), meaning(code, value));
        self.packet.options().map(words).collect()
    }
}

/// A DISCOVER as a frame to everybody. It comes from a hardware address that no device has, and is never followed by a request:
/// no server gives anything away for longer than its offer lasts.
pub fn discover_frame(mac: Mac, probe: Mac, xid: u32) -> Vec<u8> {
    let nobody = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new_with_id(xid, nobody, nobody, nobody, nobody, &probe);
    // The answer must be heard although nobody has the offered address.
    message.set_flags(Flags::default().set_broadcast());
    let options = message.opts_mut();
    options.insert(DhcpOption::MessageType(MessageType::Discover));
    let wanted = [
        1, 3, 6, 12, 15, 26, 28, 33, 42, 43, 44, 51, 54, 58, 59, 66, 67, 108, 114, 119, 121, 162, 249, 252,
    ];
    options.insert(DhcpOption::ParameterRequestList(
        wanted.map(OptionCode::from).to_vec(),
    ));
    let mut bytes = message.to_vec().unwrap_or_default();
    // RFC 1542, 2.1: some servers and relays drop anything shorter.
    bytes.resize(bytes.len().max(300), 0);
    udp_frame(
        (mac, nobody, CLIENT_PORT),
        (EVERYBODY, Ipv4Addr::BROADCAST, SERVER_PORT),
        &bytes,
    )
}

/// A hardware address of our own making: locally administered, no group.
pub fn made_up() -> Mac {
    let mut mac: Mac = rand::random();
    mac[0] = mac[0] & 0xfc | 2;
    mac
}

fn name(number: u8) -> String {
    let known = match number {
        code::WPAD => "Proxy auto-config",
        code::ROUTES_MS => "Classless routes (Microsoft)",
        114 => "Captive portal",
        108 => "IPv6-only preferred",
        162 => "Encrypted resolvers",
        _ => "",
    };
    if !known.is_empty() {
        return known.into();
    }
    let mut words = String::new();
    for letter in format!("{:?}", OptionCode::from(number)).chars() {
        if letter.is_ascii_uppercase() && words.ends_with(|last: char| last.is_ascii_lowercase()) {
            words.push(' ');
            words.push(letter.to_ascii_lowercase());
        } else {
            words.push(letter);
        }
    }
    words
}

/// Each option is decoded alone, so that one that means nothing hides no other.
fn meaning(number: u8, value: &[u8]) -> String {
    let raw = || {
        let text = std::str::from_utf8(value)
            .ok()
            .map(|text| text.trim_end_matches(['\0', '\n']));
        match text {
            Some(text)
                if !text.is_empty()
                    && text
                        .chars()
                        .all(|letter| letter.is_ascii_graphic() || letter == ' ') =>
            {
                text.to_owned()
            }
            _ => value.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    };
    let Ok(len) = u8::try_from(value.len()) else {
        return raw();
    };
    let alone = [&[number, len], value].concat();
    let Ok(option) = DhcpOption::decode(&mut Decoder::new(&alone)) else {
        return raw();
    };
    let list = |addrs: &[Ipv4Addr]| {
        addrs
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    use DhcpOption as O;
    match option {
        O::MessageType(kind) => format!("{kind:?}"),
        O::SubnetMask(addr) | O::ServerIdentifier(addr) | O::BroadcastAddr(addr) => addr.to_string(),
        O::Router(addrs) | O::DomainNameServer(addrs) | O::NtpServers(addrs) | O::TimeServer(addrs) => {
            list(&addrs)
        }
        O::AddressLeaseTime(secs) | O::Renewal(secs) | O::Rebinding(secs) => format!("{secs} s"),
        O::InterfaceMtu(mtu) => mtu.to_string(),
        O::DomainSearch(names) => names
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        O::ClasslessStaticRoute(routes) => {
            let routes = routes
                .iter()
                .map(|(network, gateway)| format!("{network} by {gateway}"));
            routes.collect::<Vec<_>>().join(", ")
        }
        _ => raw(),
    }
}

#[cfg(test)]
mod tests {
    use proto::dhcp::read_udp;

    use super::*;

    #[test]
    fn our_question_is_a_good_discover() {
        let frame = discover_frame([2; 6], made_up(), 0x0102_0304);
        let datagram = read_udp(&frame).expect("it is a datagram");
        let packet = Packet::read(datagram.payload).expect("it is good");
        assert_eq!(
            (packet.kind, packet.xid, datagram.to_port),
            (Kind::Discover, [1, 2, 3, 4], 67)
        );
        assert!(packet.wants_broadcast() && packet.mac[0] & 3 == 2);
        assert!(Heard::read(&datagram).is_none(), "it is no server's");
    }

    #[test]
    fn options_are_told_in_words_and_never_as_raw_text() {
        for (number, value, expected) in [
            (1, &[255, 255, 255, 0][..], "255.255.255.0"),
            (3, &[192, 168, 1, 1], "192.168.1.1"),
            (6, &[192, 168, 1, 1, 9, 9, 9, 9], "192.168.1.1, 9.9.9.9"),
            (51, &[0, 1, 0x51, 0x80], "86400 s"),
            (
                252,
                b"http://192.168.1.2/wpad.dat\n",
                "http://192.168.1.2/wpad.dat",
            ),
            (43, &[1, 2, 255], "0102ff"),
            (15, b"\x1b[2J", "1b5b324a"),
            (1, &[1, 2], "0102"),
        ] {
            assert_eq!(meaning(number, value), expected, "option {number}");
        }
        assert_eq!(name(54), "Server identifier");
    }
}
