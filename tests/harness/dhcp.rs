//! DHCP clients: five real ones by a script, and a crowd of made-up devices that speak through one socket.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, UdpSocket},
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{Granary, netns::Host, soon, wait_for};

/// Lets a real client join, renew and leave. Returns what it printed: the first word of each line and the rest.
/// `client`: `udhcpc`, `dhclient`, `dhcpcd`, `networkd` or `networkmanager`.
#[track_caller]
pub fn real_client(host: &Host, client: &str) -> BTreeMap<String, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/dhcp_client.sh");
    let script = script.display().to_string();
    let printed = host.run("unshare", &["-m", "bash", &script, client]);
    let line = |line: &str| {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        (word.to_owned(), rest.to_owned())
    };
    printed.lines().map(line).collect()
}

/// What the LAN half says of its DHCP.
#[track_caller]
pub fn facts(lan: &Granary) -> Value {
    lan.control("GET", "/v1/status", &Value::Null).json()["dhcp"].clone()
}

/// Waits until the server is `serving`, `silent` and so on.
#[track_caller]
pub fn wait_for_state(lan: &Granary, state: &str) {
    wait_for(&format!("DHCP to be {state}"), soon(), || {
        facts(lan)["state"] == state
    });
}

/// Address → hardware address of the leases in force.
#[track_caller]
pub fn leases(lan: &Granary) -> BTreeMap<String, String> {
    let facts = facts(lan);
    let rows = facts["leases"].as_array().cloned().unwrap_or_default();
    rows.iter()
        .filter(|row| row["ends_in_secs"].as_i64().is_some_and(|left| left > 0))
        .map(|row| {
            let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
            (text("addr"), text("mac"))
        })
        .collect()
}

/// A message of a device that wants broadcast replies.
pub fn message(kind: u8, mac: [u8; 6], options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut packet = vec![0; 236];
    packet[..4].copy_from_slice(&[1, 1, 6, 0]);
    packet[4..8].copy_from_slice(&mac[2..]);
    packet[10] = 0x80;
    packet[28..34].copy_from_slice(&mac);
    packet.extend([99, 130, 83, 99, 53, 1, kind]);
    for (code, value) in options {
        packet.extend([*code, value.len() as u8]);
        packet.extend(*value);
    }
    packet.push(255);
    packet.resize(packet.len().max(300), 0);
    packet
}

/// The data of an option.
pub fn option(packet: &[u8], code: u8) -> Option<&[u8]> {
    let mut rest = packet.get(240..)?;
    while let [found, tail @ ..] = rest {
        if *found == 0 {
            rest = tail;
            continue;
        }
        let (length, tail) = tail.split_first()?;
        let data = tail.get(..usize::from(*length))?;
        if *found == code {
            return Some(data);
        }
        rest = &tail[data.len()..];
    }
    None
}

/// Many made-up devices behind one socket on port 68 of a host.
pub struct Crowd {
    socket: UdpSocket,
    /// Devices whose lease was acknowledged: address → hardware address.
    pub confirmed: BTreeMap<String, String>,
}

impl Crowd {
    /// The host needs an address, or its broadcasts have no way out.
    #[track_caller]
    pub fn on(host: &Host) -> Self {
        let socket = host.within(|| UdpSocket::bind("0.0.0.0:68").expect("a host of its own has every port"));
        socket.set_broadcast(true).expect("allowed");
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .expect("not zero");
        Self {
            socket,
            confirmed: BTreeMap::new(),
        }
    }

    fn say(&self, packet: &[u8]) {
        let _ = self.socket.send_to(packet, (Ipv4Addr::BROADCAST, 67));
    }

    /// This many devices ask for an address; what they are offered they request, until the deadline.
    pub fn join(&mut self, macs: impl Iterator<Item = [u8; 6]>, deadline: Duration) {
        for mac in macs {
            self.say(&message(1, mac, &[]));
        }
        let end = Instant::now() + deadline;
        let mut buffer = [0; 1500];
        while Instant::now() < end {
            let Ok((length, _)) = self.socket.recv_from(&mut buffer) else {
                continue;
            };
            let packet = &buffer[..length];
            let (Some(kind), Some(mac), Some(addr)) =
                (option(packet, 53), packet.get(28..34), packet.get(16..20))
            else {
                continue;
            };
            let mac: [u8; 6] = mac.try_into().expect("six bytes were taken");
            match (kind, option(packet, 54)) {
                ([2], Some(server)) => self.say(&message(3, mac, &[(50, addr), (54, server)])),
                ([5], _) => {
                    let addr = Ipv4Addr::new(addr[0], addr[1], addr[2], addr[3]);
                    let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
                    self.confirmed.insert(addr.to_string(), mac);
                }
                _ => {}
            }
        }
    }
}
