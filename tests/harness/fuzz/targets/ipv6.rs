//! What neighbours send by ICMPv6, DHCPv6 and multicast DNS.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use proto::{
    dhcp6,
    mdns::{Responder, Service, wire::Message},
    ra::{self, Ours},
};

use super::seen;

const ADDR: Ipv6Addr = Ipv6Addr::new(0xfd12, 0, 0, 0, 0, 0, 0, 0x53);

pub(super) fn advertisements() -> Vec<Vec<u8>> {
    let ours = |stays| Ours {
        mac: Some([2, 0, 0, 0, 0, 1]),
        resolver: ADDR,
        search: &["home.arpa", "lan"],
        on_link: Some(ADDR),
        stays,
    };
    vec![
        ours(true).encode(),
        ours(false).encode(),
        vec![ra::SOLICITATION, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1],
    ]
}

pub(super) fn advertisement(input: &[u8]) -> u64 {
    let asks = ra::is_solicitation(input, Ipv6Addr::UNSPECIFIED);
    let heard = ra::heard(input);
    if let Some(heard) = &heard {
        assert!(heard.dns.len() <= 8 && heard.search.len() <= 8 && heard.prefixes.len() <= 8);
        let plain = |name: &String| {
            name.len() <= 253
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        assert!(heard.search.iter().all(plain));
    }
    seen(&(
        heard.map(|h| {
            (
                vec![(); h.dns.len()],
                vec![(); h.search.len()],
                vec![(); h.prefixes.len()],
            )
        }),
        asks,
    ))
}

pub(super) fn requests() -> Vec<Vec<u8>> {
    vec![
        vec![11, 1, 2, 3],
        vec![
            11, 1, 2, 3, 0, 1, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0, 0, 9, 0, 6, 0, 4, 0, 23, 0, 24, 0, 8, 0, 2, 0,
            0,
        ],
        vec![1, 1, 2, 3, 0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
}

pub(super) fn request(input: &[u8]) -> u64 {
    let reply = dhcp6::reply(input, &dhcp6::duid([2, 0, 0, 0, 0, 1]), &[ADDR], &["home.arpa"]);
    if let Some(reply) = &reply {
        assert!(reply[..4] == [7, input[1], input[2], input[3]] && reply.len() <= input.len() + 80);
    }
    seen(&reply.map(|reply| vec![(); reply.len() / 16]))
}

fn responder() -> Responder {
    let mut responder = Responder::new(Service {
        host: "granary".into(),
        instance: "Granary".into(),
        port: 80,
    });
    responder.set_links(0, 0, &[(2, vec![IpAddr::from([192, 168, 1, 2]), ADDR.into()])]);
    responder
}

/// Everything that is sent until nothing more is due.
fn drain(responder: &mut Responder) -> Vec<Vec<u8>> {
    let mut sent = Vec::new();
    for _ in 0..64 {
        let Some(due) = responder.due() else { break };
        sent.extend(responder.tick(due).into_iter().map(|output| output.packet));
    }
    sent
}

pub(super) fn packets() -> Vec<Vec<u8>> {
    let mut responder = responder();
    let mut packets = drain(&mut responder);
    packets.extend(responder.goodbye().into_iter().map(|output| output.packet));
    packets
}

/// The packet is heard while the name is probed for, and when it is ours.
pub(super) fn packet(input: &[u8]) -> u64 {
    let mut kinds = Vec::new();
    for settled in [false, true] {
        for from in ["192.168.1.9:5353", "192.168.1.9:40000"] {
            let from: SocketAddr = from.parse().expect("an address");
            let mut responder = responder();
            if settled {
                drain(&mut responder);
            }
            responder.heard(20_000, 7, 2, from, input);
            let mut sent: Vec<_> = responder
                .tick(20_000)
                .into_iter()
                .map(|output| output.packet)
                .collect();
            sent.extend(drain(&mut responder));
            assert!(sent.len() <= 12, "{} packets for one", sent.len());
            assert!(responder.due().is_none(), "it comes to rest");
            let answers = sent
                .iter()
                .map(|packet| Message::read(packet).expect("we write what can be read").answers);
            kinds.push(answers.map(|answers| answers.len()).sum::<usize>());
        }
    }
    if let Some(message) = Message::read(input) {
        assert_eq!(Message::read(&message.write()).as_ref(), Some(&message));
    }
    // What was read leads the search, and how much was answered: as so many marks each.
    let shape = Message::read(input).map(|message| {
        let counts = [
            message.questions.len(),
            message.answers.len(),
            message.authorities.len(),
        ];
        counts.map(|count| vec![(); count.min(4)])
    });
    let marks: Vec<_> = kinds.iter().map(|count| vec![(); count.min(&20) / 2]).collect();
    seen(&(shape, marks))
}
