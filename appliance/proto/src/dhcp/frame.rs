//! Ethernet frames: IPv4 and UDP around a message for a client that has no address yet, and ARP, which finds out whether an
//! address is in use (RFC 826, 5227).

use std::net::Ipv4Addr;

use super::Mac;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;

/// A UDP datagram that came as a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    pub from_mac: Mac,
    pub source: Ipv4Addr,
    pub to_port: u16,
    pub payload: &'a [u8],
}

/// The sender's side of an ARP packet, question or answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    pub mac: Mac,
    pub addr: Ipv4Addr,
}

/// A whole frame with one UDP datagram; the checksums are ours, because no kernel looks at it.
pub fn udp_frame(from: (Mac, Ipv4Addr, u16), to: (Mac, Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
    let (from_mac, source, from_port) = from;
    let (to_mac, destination, to_port) = to;
    let udp_len = (UDP + payload.len()) as u16;
    let mut frame = Vec::with_capacity(ETHERNET + IPV4 + UDP + payload.len());
    frame.extend(to_mac);
    frame.extend(from_mac);
    frame.extend([0x08, 0x00]);
    frame.extend([0x45, 0x10]);
    frame.extend((IPV4 as u16 + udp_len).to_be_bytes());
    // No fragments; time to live 64; UDP.
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend(source.octets());
    frame.extend(destination.octets());
    let sum = checksum(0, &frame[ETHERNET..ETHERNET + IPV4]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.extend(from_port.to_be_bytes());
    frame.extend(to_port.to_be_bytes());
    frame.extend(udp_len.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    let pseudo = add(0, &frame[26..34]) + 17 + u32::from(udp_len);
    // 0 would mean "not computed" (RFC 768).
    let sum = match checksum(pseudo, &frame[ETHERNET + IPV4..]) {
        0 => u16::MAX,
        sum => sum,
    };
    frame[40..42].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// The datagram of a frame. Fragments and frames that are cut are nothing.
pub fn read_udp(frame: &[u8]) -> Option<Datagram<'_>> {
    let (ethernet, ip) = frame.split_at_checked(ETHERNET)?;
    if ethernet[12..] != [0x08, 0x00] || ip.first()? >> 4 != 4 {
        return None;
    }
    let header = usize::from(ip[0] & 15) * 4;
    let (ip, udp) = ip.split_at_checked(header)?;
    let whole = ip.len() >= IPV4 && ip[9] == 17 && ip[6] & 0x3f == 0 && ip[7] == 0;
    if !whole || udp.len() < UDP {
        return None;
    }
    let len = usize::from(u16::from_be_bytes([udp[4], udp[5]]));
    Some(Datagram {
        from_mac: ethernet[6..12].try_into().ok()?,
        source: Ipv4Addr::new(ip[12], ip[13], ip[14], ip[15]),
        to_port: u16::from_be_bytes([udp[2], udp[3]]),
        payload: udp.get(UDP..len)?,
    })
}

/// "Who has `addr`?" to everybody. From our own address: some devices do not answer the all-zero sender of RFC 5227.
pub fn arp_request(mac: Mac, own: Ipv4Addr, addr: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(60);
    frame.extend([0xff; 6]);
    frame.extend(mac);
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(own.octets());
    frame.extend([0; 6]);
    frame.extend(addr.octets());
    // The shortest frame of Ethernet without its checksum.
    frame.resize(60, 0);
    frame
}

/// Who sent an ARP packet, and which address it says it has.
pub fn read_arp(frame: &[u8]) -> Option<Arp> {
    let arp = frame.get(ETHERNET..ETHERNET + 28)?;
    if frame[12..ETHERNET] != [0x08, 0x06] || arp[..6] != [0, 1, 0x08, 0x00, 6, 4] {
        return None;
    }
    Some(Arp {
        mac: arp[8..14].try_into().ok()?,
        addr: Ipv4Addr::new(arp[14], arp[15], arp[16], arp[17]),
    })
}

/// Ones' complement sum of 16-bit words (RFC 1071), not yet folded.
fn add(start: u32, bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<2>();
    let sum = words
        .iter()
        .fold(start, |sum, word| sum + u32::from(u16::from_be_bytes(*word)));
    sum + rest.first().map_or(0, |last| u32::from(*last) << 8)
}

fn checksum(start: u32, bytes: &[u8]) -> u16 {
    let mut sum = add(start, bytes);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let mine = ([2, 0, 0, 0, 0, 1], Ipv4Addr::new(192, 168, 1, 2), 67);
        let its = ([2, 0, 0, 0, 0, 9], Ipv4Addr::new(192, 168, 1, 100), 68);
        for payload in [&b"odd"[..], b"even", b""] {
            let frame = udp_frame(mine, its, payload);
            let read = read_udp(&frame).expect("it is one");
            assert_eq!((read.from_mac, read.source, read.to_port), (mine.0, mine.1, 68));
            assert_eq!(read.payload, payload);
            // A correct header sums up to nothing.
            assert_eq!(checksum(0, &frame[14..34]), 0);
            let pseudo = add(0, &frame[26..34]) + 17 + (8 + payload.len() as u32);
            assert_eq!(checksum(pseudo, &frame[34..]), 0);
            for cut in 0..frame.len() - payload.len() {
                assert_eq!(read_udp(&frame[..cut]), None, "cut at {cut}");
            }
        }
    }

    #[test]
    fn an_arp_packet_tells_its_sender() {
        let own = Ipv4Addr::new(10, 0, 0, 1);
        let frame = arp_request([2; 6], own, Ipv4Addr::new(10, 0, 0, 9));
        assert_eq!(
            read_arp(&frame),
            Some(Arp {
                mac: [2; 6],
                addr: own
            })
        );
        assert_eq!(read_arp(&frame[..41]), None);
        assert_eq!(read_arp(&[0; 60]), None);
    }
}
