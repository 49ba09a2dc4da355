//! What devices and other servers send to ports 67 and 68.

use std::{fs, net::Ipv4Addr, path::Path};

use proto::dhcp::{
    HandOut, Kind, Mode, Packet, Pool, Serving, Table, decide, label, read_arp, read_udp, shown,
};

use super::seen;

const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 2);

/// What real clients sent.
pub(super) fn packets() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/dhcp");
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = files.filter_map(|file| fs::read_to_string(file.path()).ok());
    texts
        .filter_map(|text| {
            let digits: String = text.split_whitespace().collect();
            data_encoding::HEXLOWER.decode(digits.as_bytes()).ok()
        })
        .collect()
}

fn serving(mode: Mode) -> Serving {
    Serving {
        mode,
        own: OWN,
        prefix: 24,
        lease_secs: 86_400,
        hand_out: HandOut {
            router: Some(Ipv4Addr::new(192, 168, 7, 1)),
            resolvers: vec![OWN],
            domain: "home.arpa".into(),
            wpad: Some("http://192.168.7.2/wpad.dat".into()),
            ..HandOut::default()
        },
        reserved: [([2, 0, 0, 0, 0, 9], Ipv4Addr::new(192, 168, 7, 50))].into(),
        taken: [Ipv4Addr::new(192, 168, 7, 1)].into(),
        beside: [].into(),
        durable: true,
    }
}

/// A server hears the input twice, as a question and as a frame.
pub(super) fn packet(input: &[u8]) -> u64 {
    let frame = read_udp(input).map(|datagram| datagram.to_port);
    let read = Packet::read(input);
    let Ok(packet) = &read else {
        return seen(&(frame, read_arp(input).is_some(), read));
    };
    let name = shown(packet);
    if let Some(name) = &name {
        assert!(
            name.chars()
                .all(|letter| letter.is_alphanumeric() || " -_.'()".contains(letter))
        );
        assert!(label(name).is_none_or(|label| label.len() <= 63 && !label.starts_with("wpad")));
    }
    let mut table = Table::new(Pool {
        first: Ipv4Addr::new(192, 168, 7, 100),
        last: Ipv4Addr::new(192, 168, 7, 103),
    });
    let mut said = Vec::new();
    for (mode, now) in [(Mode::Inform, 1), (Mode::Lease, 2), (Mode::Lease, 3)] {
        let decision = decide(packet, Ipv4Addr::UNSPECIFIED, &table, &serving(mode), now);
        table.apply(decision.change, now);
        if let Ok(answer) = &decision.answer {
            assert!(answer.bytes.len() <= packet.size_max().max(300));
            let reply = Packet::read(&answer.bytes).expect("what we say is well formed");
            assert!(reply.reply && reply.kind == answer.kind && reply.xid == packet.xid);
            assert!(mode == Mode::Lease || packet.kind == Kind::Inform);
        }
        said.push(decision.answer.map(|answer| (answer.kind, answer.to)));
    }
    assert!(table.rows().count() <= 1);
    seen(&(packet.kind, name.is_some(), said))
}
