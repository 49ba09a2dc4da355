//! Stateless DHCPv6 (RFC 8415 18.3.6): who asks for settings without addresses is told the resolver and the search domain.
//! Anything else is left to others; the box never leases an IPv6 address.

use std::net::Ipv6Addr;

use crate::ra::labels;

/// `ff02::1:2`, all relay agents and servers.
pub const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
pub const SERVER_PORT: u16 = 547;

const INFORMATION_REQUEST: u8 = 11;
const REPLY: u8 = 7;
const CLIENT_ID: u16 = 1;
const SERVER_ID: u16 = 2;
const IA_NA: u16 = 3;
const IA_TA: u16 = 4;
const REQUESTED: u16 = 6;
const DNS: u16 = 23;
const SEARCH: u16 = 24;
const IA_PD: u16 = 25;
const REFRESH: u16 = 32;

/// Devices ask again after it: the shortest that is allowed (IRT_MINIMUM), because there is no goodbye.
const REFRESH_SECS: u32 = 600;
/// Longest identifier that is repeated to its owner (RFC 8415 11.1).
const DUID_BYTES_MAX: usize = 130;

/// Who we are to clients: an identifier made of the hardware address (DUID-LL, RFC 8415 11.4).
pub fn duid(mac: [u8; 6]) -> Vec<u8> {
    let mut duid = vec![0, 3, 0, 1];
    duid.extend(mac);
    duid
}

/// The answer to `request`, or silence: for anything but a well-made Information-request that is not meant for another server
/// and asks for no address (RFC 8415 16.12).
pub fn reply(request: &[u8], duid: &[u8], dns: &[Ipv6Addr], search: &[&str]) -> Option<Vec<u8>> {
    let (head, mut options) = request.split_at_checked(4)?;
    if head[0] != INFORMATION_REQUEST {
        return None;
    }
    let (mut client, mut requested) = (None, None);
    while !options.is_empty() {
        let (code, body, rest) = option(options)?;
        options = rest;
        match code {
            CLIENT_ID if client.is_none() && body.len() <= DUID_BYTES_MAX => client = Some(body),
            CLIENT_ID | IA_NA | IA_TA | IA_PD => return None,
            SERVER_ID if body != duid => return None,
            REQUESTED => requested = Some(body),
            _ => {}
        }
    }
    let wants = |code: u16| {
        requested.is_none_or(|codes| codes.chunks_exact(2).any(|pair| pair == code.to_be_bytes()))
    };
    let mut out = vec![REPLY, head[1], head[2], head[3]];
    put(&mut out, SERVER_ID, duid);
    if let Some(client) = client {
        put(&mut out, CLIENT_ID, client);
    }
    if wants(DNS) && !dns.is_empty() {
        let addrs: Vec<u8> = dns.iter().flat_map(Ipv6Addr::octets).collect();
        put(&mut out, DNS, &addrs);
    }
    let names: Vec<u8> = search.iter().filter_map(|name| labels(name)).flatten().collect();
    if wants(SEARCH) && !names.is_empty() {
        put(&mut out, SEARCH, &names);
    }
    if wants(REFRESH) {
        put(&mut out, REFRESH, &REFRESH_SECS.to_be_bytes());
    }
    Some(out)
}

fn option(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(4)?;
    let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let (body, rest) = rest.split_at_checked(len)?;
    Some((u16::from_be_bytes([head[0], head[1]]), body, rest))
}

fn put(out: &mut Vec<u8>, code: u16, body: &[u8]) {
    let Ok(len) = u16::try_from(body.len()) else {
        return;
    };
    out.extend(code.to_be_bytes());
    out.extend(len.to_be_bytes());
    out.extend(body);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Client identifier (DUID-EN), elapsed time, and the wish for 23, 24, 31, 56, 32, 82, 83.
    const REQUEST: &str = "0ba1b2c30001000e000200000ab11122334455667788000800020000000600\
        0e0017001800\
        1f0038002000520053";

    fn bytes(hex: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex")
    }

    fn ask(request: &[u8]) -> Option<Vec<u8>> {
        let dns = ["fd12::53".parse().expect("an address")];
        reply(request, &duid([2, 0, 0, 0, 0, 0x53]), &dns, &["home.arpa"])
    }

    #[test]
    fn a_device_that_asks_for_settings_is_told_resolver_and_search_domain() {
        let answer = ask(&bytes(REQUEST)).expect("it is a good question");
        let expected = concat!(
            "07a1b2c3",
            "0002000a00030001020000000053",
            "0001000e000200000ab11122334455667788",
            "00170010fd120000000000000000000000000053",
            "0018000b04686f6d65046172706100",
            "0020000400000258"
        );
        assert_eq!(data_encoding::HEXLOWER.encode(&answer), expected);
    }

    #[test]
    fn only_what_was_requested_is_told() {
        let answer = ask(&bytes("0b000001000600020018")).expect("a good question");
        assert_eq!(
            data_encoding::HEXLOWER.encode(&answer),
            "070000010002000a000300010200000000530018000b04686f6d65046172706100"
        );
        assert!(ask(&bytes("0b000001")).is_some_and(|all| all.len() > answer.len()));
    }

    #[test]
    fn requests_for_addresses_for_others_or_through_relays_are_left_alone() {
        for (what, hex) in [
            ("nothing", ""),
            ("a head cut short", "0b0000"),
            ("Solicit", "01000001"),
            ("Request", "03000001"),
            ("Reply", "07000001"),
            ("Relay-forward", "0c000000"),
            ("an option cut short", "0b000001000600040018"),
            ("an option's head cut short", "0b0000010006"),
            ("IA_NA", "0b0000010003000c000000010000000000000000"),
            ("IA_PD", "0b0000010019000c000000010000000000000000"),
            ("another server's id", "0b0000010002000a00030001020000000099"),
            ("two client ids", "0b00000100010002000100010002ffff"),
        ] {
            assert_eq!(ask(&bytes(hex)), None, "{what}");
        }
        let ours = format!("0b0000010002000a{}", "00030001020000000053");
        assert!(ask(&bytes(&ours)).is_some());
        let long = [bytes("0b0000010001"), 131u16.to_be_bytes().to_vec(), vec![7; 131]].concat();
        assert_eq!(ask(&long), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn an_answer_never_grows_much_beyond_its_question(request: Vec<u8>) {
            let mut request = request;
            if let Some(kind) = request.first_mut() { *kind = INFORMATION_REQUEST; }
            if let Some(answer) = ask(&request) {
                prop_assert!(answer.len() <= request.len() + 80);
            }
        }

        /// At least 300 damaged requests.
        #[test]
        fn damaged_requests_get_an_answer_or_silence(
            hits in proptest::collection::vec((0usize..48, any::<u8>()), 1..6),
            cut in 0usize..=48,
        ) {
            let mut request = bytes(REQUEST);
            for (at, byte) in hits {
                if let Some(place) = request.get_mut(at) { *place = byte; }
            }
            request.truncate(cut);
            if let Some(answer) = ask(&request) {
                prop_assert_eq!(&answer[1..4], &request[1..4]);
            }
        }
    }
}
