//! Local service discovery (BEP 14): "I have this torrent", by multicast on the home network.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::id::InfoHash;

/// The two groups of BEP 14.
pub const GROUP_V4: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 192, 152, 143), 6771);
pub const GROUP_V6: SocketAddrV6 =
    SocketAddrV6::new(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f), 6771, 0, 0);

/// Longest datagram sent or read, bytes (BEP 14: must fit one packet).
pub const DATAGRAM_BYTES_MAX: usize = 1400;

/// Longest cookie understood, bytes.
const COOKIE_BYTES_MAX: usize = 64;

/// One heard announce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The TCP and uTP port of the sender; never 0.
    pub port: u16,
    /// At least one.
    pub infohashes: Vec<InfoHash>,
    /// Whatever the sender puts there to know its own packets.
    pub cookie: Option<String>,
}

/// The datagrams that announce `infohashes` to `group`, each at most [`DATAGRAM_BYTES_MAX`] long. `cookie` is a short
/// token of ours.
pub fn encode(group: SocketAddr, port: u16, infohashes: &[InfoHash], cookie: &str) -> Vec<Vec<u8>> {
    let head = format!("BT-SEARCH * HTTP/1.1\r\nHost: {group}\r\nPort: {port}\r\n");
    let tail = format!("cookie: {cookie}\r\n\r\n\r\n");
    let line = "Infohash: \r\n".len() + 40;
    let per_packet = (DATAGRAM_BYTES_MAX - head.len() - tail.len()) / line;
    let packet = |chunk: &[InfoHash]| {
        let mut text = head.clone();
        for infohash in chunk {
            text.push_str(&format!("Infohash: {}\r\n", infohash.to_string().to_uppercase()));
        }
        text.push_str(&tail);
        text.into_bytes()
    };
    infohashes.chunks(per_packet).map(packet).collect()
}

/// Reads a heard datagram; `None` when it is not a BEP 14 announce. Header names in any case, unknown headers ignored.
pub fn parse(datagram: &[u8]) -> Option<Message> {
    if datagram.len() > DATAGRAM_BYTES_MAX {
        return None;
    }
    let text = std::str::from_utf8(datagram).ok()?;
    let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
    if lines.next()? != "BT-SEARCH * HTTP/1.1" {
        return None;
    }
    let (mut port, mut infohashes, mut cookie) = (None, Vec::new(), None);
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "port" => port = value.parse::<u16>().ok().filter(|p| *p != 0),
            "infohash" => infohashes.extend(InfoHash::from_hex(value)),
            "cookie" if value.len() <= COOKIE_BYTES_MAX => cookie = Some(value.to_owned()),
            _ => {}
        }
    }
    infohashes.dedup();
    let port = port.filter(|_| !infohashes.is_empty())?;
    Some(Message {
        port,
        infohashes,
        cookie,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> InfoHash {
        InfoHash::from_hex("951ead31d09e4049fc1f21f137e233dd0589fcbd").expect("40 digits")
    }

    #[test]
    fn an_announce_has_exactly_these_bytes() {
        let golden = "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\n\
                      Infohash: 951EAD31D09E4049FC1F21F137E233DD0589FCBD\r\ncookie: 1a2b3c4d\r\n\r\n\r\n";
        let packets = encode(GROUP_V4.into(), 6881, &[site()], "1a2b3c4d");
        assert_eq!(packets, [golden.as_bytes()]);
        assert_eq!(golden.len(), 136);
        let heard = parse(golden.as_bytes()).expect("an announce");
        assert_eq!((heard.port, heard.infohashes), (6881, vec![site()]));
        assert_eq!(heard.cookie.as_deref(), Some("1a2b3c4d"));
        let v6 = encode(GROUP_V6.into(), 1, &[site()], "c");
        assert!(v6[0].starts_with(b"BT-SEARCH * HTTP/1.1\r\nHost: [ff15::efc0:988f]:6771\r\nPort: 1\r\n"));
    }

    #[test]
    fn many_torrents_share_packets_that_fit_the_bound() {
        let all: Vec<_> = (0..1000u32)
            .map(|n| {
                let mut hash = [7; 20];
                hash[..4].copy_from_slice(&n.to_be_bytes());
                InfoHash(hash)
            })
            .collect();
        for group in [GROUP_V4.into(), GROUP_V6.into()] {
            let packets = encode(group, 65535, &all, "0123456789abcdef");
            assert!(packets.len() <= 45, "{}", packets.len());
            assert!(packets.iter().all(|p| p.len() <= DATAGRAM_BYTES_MAX));
            let heard: Vec<_> = packets
                .iter()
                .flat_map(|p| parse(p).expect("ours").infohashes)
                .collect();
            assert_eq!(heard, all);
        }
        assert!(encode(GROUP_V4.into(), 1, &[], "c").is_empty());
    }

    #[test]
    fn other_clients_spellings_are_understood() {
        let text = "BT-SEARCH * HTTP/1.1\r\nhost:239.192.152.143:6771\r\nPORT:51413\r\nInfoHash:951ead31d09e4049fc1f21f137e233dd0589fcbd\r\nX: y\r\n\r\n";
        assert_eq!(parse(text.as_bytes()).expect("an announce").port, 51413);
    }

    #[test]
    fn what_is_not_an_announce_is_ignored() {
        let hash = "Infohash: 951EAD31D09E4049FC1F21F137E233DD0589FCBD\r\n";
        for text in [
            "",
            "M-SEARCH * HTTP/1.1\r\nPort: 1\r\n\r\n",
            "BT-SEARCH * HTTP/1.1\r\n\r\n",
            "BT-SEARCH * HTTP/1.1\r\nPort: 6881\r\n\r\n",
            "BT-SEARCH * HTTP/1.1\r\nPort: 6881\r\nInfohash: 95\r\n\r\n",
            &format!("BT-SEARCH * HTTP/1.1\r\n{hash}\r\n"),
            &format!("BT-SEARCH * HTTP/1.1\r\nPort: 0\r\n{hash}\r\n"),
            &format!("BT-SEARCH * HTTP/1.1\r\nPort: 65536\r\n{hash}\r\n"),
            &format!("BT-SEARCH * HTTP/1.1\r\nPort: -1\r\n{hash}\r\n"),
            &format!("BT-SEARCH * HTTP/1.1\r\nPort 6881\r\n{hash}\r\n"),
            &format!("BT-SEARCH * HTTP/1.1\r\n\r\nPort: 6881\r\n{hash}\r\n"),
            &format!("BT-SEARCH * HTTP/1.1\r\nPort: 6881\r\n{}\r\n", hash.repeat(40)),
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300), tail in ".{0,200}") {
            let _ = parse(&bytes);
            let _ = parse(format!("BT-SEARCH * HTTP/1.1\r\n{tail}").as_bytes());
        }
    }
}
