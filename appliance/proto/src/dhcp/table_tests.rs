//! Whatever clients do in whatever order, no address is ever two clients'.

use std::{collections::HashMap, net::Ipv4Addr};

use proptest::prelude::*;

use super::{
    scene::{OWN, addr, serving},
    *,
};

#[derive(Debug, Clone)]
enum Step {
    Discover(u8, Option<u8>),
    Request(u8, u8),
    Renew(u8, u8),
    Release(u8, u8),
    Decline(u8, u8),
    Wait(u16),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (client, last) = (0..12u8, 95..112u8);
    let one = prop_oneof![
        3 => (client.clone(), prop::option::of(last.clone())).prop_map(|(c, a)| Step::Discover(c, a)),
        4 => (client.clone(), last.clone()).prop_map(|(c, a)| Step::Request(c, a)),
        2 => (client.clone(), last.clone()).prop_map(|(c, a)| Step::Renew(c, a)),
        1 => (client.clone(), last.clone()).prop_map(|(c, a)| Step::Release(c, a)),
        1 => (client, last).prop_map(|(c, a)| Step::Decline(c, a)),
        2 => (0..400u16).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(one, 0..200)
}

fn packet(kind: Kind, client: u8, ciaddr: Option<u8>, options: &[(u8, &[u8])]) -> Packet {
    let mut bytes = vec![0; 240];
    bytes[..3].copy_from_slice(&[1, 1, 6]);
    bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, client]);
    if let Some(last) = ciaddr {
        bytes[12..16].copy_from_slice(&addr(last).octets());
    }
    bytes[236..].copy_from_slice(&MAGIC);
    bytes.extend([53, 1, kind as u8]);
    for (code, value) in options {
        bytes.extend([*code, value.len() as u8]);
        bytes.extend(*value);
    }
    bytes.push(255);
    Packet::read(&bytes).expect("it is good")
}

fn spoken(step: &Step) -> Option<Packet> {
    let (server, at) = (OWN.octets(), |last: u8| addr(last).octets());
    Some(match step {
        Step::Discover(client, None) => packet(Kind::Discover, *client, None, &[]),
        Step::Discover(client, Some(last)) => packet(Kind::Discover, *client, None, &[(50, &at(*last))]),
        Step::Request(client, last) => {
            packet(Kind::Request, *client, None, &[(50, &at(*last)), (54, &server)])
        }
        Step::Renew(client, last) => packet(Kind::Request, *client, Some(*last), &[]),
        Step::Release(client, last) => packet(Kind::Release, *client, Some(*last), &[(54, &server)]),
        Step::Decline(client, last) => {
            packet(Kind::Decline, *client, None, &[(50, &at(*last)), (54, &server)])
        }
        Step::Wait(_) | Step::Restart => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_address_is_ever_two_clients(steps in steps()) {
        let pool = Pool { first: addr(100), last: addr(107) };
        let serving = Serving { lease_secs: 300, reserved: [([2, 0, 0, 0, 0, 5], addr(110))].into(), ..serving() };
        let (mut table, mut now) = (Table::new(pool), 5_000);
        let mut disk: HashMap<Ipv4Addr, Lease> = HashMap::new();
        // What clients believe: address → client and the end of its lease.
        let mut believed: HashMap<Ipv4Addr, (Mac, Secs)> = HashMap::new();
        for step in steps {
            match &step {
                Step::Wait(secs) => now += Secs::from(*secs),
                Step::Restart => {
                    table = Table::new(pool);
                    disk.values().cloned().for_each(|lease| table.restore(lease));
                }
                _ => {}
            }
            let Some(packet) = spoken(&step) else { continue };
            let decision = decide(&packet, Ipv4Addr::UNSPECIFIED, &table, &serving, now);
            if let Some(row) = table.apply(decision.change.clone(), now) {
                disk.insert(row.addr, row);
            }
            match (&decision.change, &decision.answer) {
                (Change::Bind(lease), Ok(answer)) if answer.kind == Kind::Ack => {
                    prop_assert!(lease.addr == addr(110) || pool.contains(lease.addr));
                    let before = believed.insert(lease.addr, (packet.mac, lease.ends));
                    if let Some((mac, ends)) = before {
                        prop_assert!(mac == packet.mac || ends <= now, "{} had two clients", lease.addr);
                    }
                }
                (Change::End(addr) | Change::Unusable(addr), _) => {
                    let owner = believed.get(addr).map(|(mac, _)| *mac);
                    prop_assert!(owner.is_none_or(|mac| mac == packet.mac) || !matches!(packet.kind, Kind::Release | Kind::Decline) || believed[addr].1 <= now);
                    believed.remove(addr);
                }
                _ => {}
            }
            prop_assert!(table.rows().count() <= 9);
        }
    }
}

#[test]
fn an_ended_lease_is_given_anew_only_when_nothing_else_is_left() {
    let pool = Pool {
        first: addr(100),
        last: addr(102),
    };
    let mut table = Table::new(pool);
    let row = |last, client, ends| Lease {
        addr: addr(last),
        key: ClientKey::new(None, [client; 6]),
        mac: [client; 6],
        since: 1,
        ends,
        kept: Kept::Bound,
        written: 0,
        name: None,
    };
    table.restore(row(100, 2, 50));
    table.restore(row(101, 4, 40));
    let next = |table: &Table, now| table.next(now, |_| true).collect::<Vec<_>>();
    assert_eq!(next(&table, 100), [addr(102), addr(101), addr(100)]);
    assert_eq!(next(&table, 45), [addr(102), addr(101)]);
    table.restore(row(102, 6, 900));
    assert_eq!(next(&table, 45), [addr(101)]);
    assert!(next(&table, 30).is_empty());
}

#[test]
fn of_two_rows_of_one_client_the_younger_counts() {
    let pool = Pool {
        first: addr(100),
        last: addr(109),
    };
    let row = |last, since| Lease {
        addr: addr(last),
        key: ClientKey::new(None, [2; 6]),
        mac: [2; 6],
        since,
        ends: 900,
        kept: Kept::Bound,
        written: 0,
        name: None,
    };
    for order in [[row(100, 5), row(101, 9)], [row(101, 9), row(100, 5)]] {
        let mut table = Table::new(pool);
        order.into_iter().for_each(|lease| table.restore(lease));
        assert_eq!(
            table.of(&ClientKey::new(None, [2; 6])).map(|row| row.addr),
            Some(addr(101))
        );
        assert!(!table.is_free(addr(100), 800), "it may still be believed");
    }
}
