//! Devices of the LAN, put together from what each room saw: who asked the resolver, whose hardware address the kernel or a
//! lease knows, what the household calls it.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use crate::{
    api::DeviceFacts,
    dns::Seen,
    settings::{Device, parse_mac},
};

/// Addresses told of one device.
const ADDRS_MAX: usize = 16;

/// Which of the household's devices are left alone, by the addresses they have now.
pub fn bypassed(named: &[Device], neighbours: &HashMap<IpAddr, [u8; 6]>) -> Vec<IpAddr> {
    let macs: Vec<[u8; 6]> = named
        .iter()
        .filter(|device| device.bypass)
        .filter_map(|device| parse_mac(&device.mac))
        .collect();
    let addrs = neighbours.iter().filter(|(_, mac)| macs.contains(mac));
    addrs.map(|(addr, _)| *addr).collect()
}

/// One row for each device; `more`: what other rooms know (leases), with their hardware addresses.
pub fn join(
    named: &[Device],
    neighbours: &HashMap<IpAddr, [u8; 6]>,
    seen: &[(IpAddr, Seen)],
    more: Vec<DeviceFacts>,
) -> Vec<DeviceFacts> {
    let mut rows: BTreeMap<String, DeviceFacts> = BTreeMap::new();
    for row in more {
        let key = row.mac.clone().unwrap_or_else(|| format!("{:?}", row.addrs));
        rows.insert(key, row);
    }
    for (addr, seen) in seen {
        let mac = neighbours.get(addr).map(|mac| text_of(*mac));
        let key = mac.clone().unwrap_or_else(|| addr.to_string());
        let row = rows.entry(key).or_insert_with(|| DeviceFacts {
            mac,
            ..DeviceFacts::default()
        });
        if !row.addrs.contains(addr) && row.addrs.len() < ADDRS_MAX {
            row.addrs.push(*addr);
        }
        let ago = row.dns_secs_ago.unwrap_or(u64::MAX).min(seen.secs_ago);
        row.dns_secs_ago = Some(ago);
        row.dns_queries += seen.queries;
        row.dns_encrypted |= seen.encrypted;
        row.looked_up_wpad |= seen.looked_up_wpad;
    }
    for device in named {
        let Some(mac) = parse_mac(&device.mac).map(text_of) else {
            continue;
        };
        let row = rows.entry(mac.clone()).or_insert_with(|| DeviceFacts {
            mac: Some(mac),
            ..DeviceFacts::default()
        });
        row.bypass = device.bypass;
        if !device.name.is_empty() {
            row.name = Some(device.name.clone());
        }
    }
    rows.into_values().collect()
}

fn text_of(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rooms_know_of_a_device_becomes_one_row() {
        let mac = [2, 0, 0, 0, 0, 9];
        let addrs: [IpAddr; 2] = [
            IpAddr::from([192, 168, 1, 7]),
            "fd00::7".parse().expect("an address"),
        ];
        let neighbours = HashMap::from(addrs.map(|addr| (addr, mac)));
        let named = [Device {
            mac: "02-00-00-00-00-09".into(),
            name: "Anna's phone".into(),
            bypass: true,
        }];
        let seen = |secs_ago, encrypted| Seen {
            secs_ago,
            queries: 3,
            encrypted,
            looked_up_wpad: !encrypted,
        };
        let seen = [(addrs[0], seen(9, false)), (addrs[1], seen(4, true))];
        let lease = DeviceFacts {
            mac: Some("02:00:00:00:00:09".into()),
            addrs: vec![addrs[0]],
            name: Some("android-1".into()),
            asked_wpad: true,
            ..DeviceFacts::default()
        };
        let rows = join(&named, &neighbours, &seen, vec![lease]);
        let expected = DeviceFacts {
            mac: Some("02:00:00:00:00:09".into()),
            addrs: addrs.to_vec(),
            name: Some("Anna's phone".into()),
            bypass: true,
            lease_ends_in_secs: None,
            dns_secs_ago: Some(4),
            dns_queries: 6,
            dns_encrypted: true,
            asked_wpad: true,
            looked_up_wpad: true,
        };
        assert_eq!(rows, [expected]);
        let mut bypassed = bypassed(&named, &neighbours);
        bypassed.sort();
        assert_eq!(bypassed, addrs);
    }

    #[test]
    fn a_device_that_only_asked_is_known_by_its_address() {
        let addr = IpAddr::from([192, 168, 1, 7]);
        let rows = join(&[], &HashMap::new(), &[(addr, Seen::default())], Vec::new());
        assert_eq!(
            (rows.len(), &rows[0].mac, &rows[0].addrs),
            (1, &None, &vec![addr])
        );
    }
}
