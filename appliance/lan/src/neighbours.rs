//! Which hardware address is behind an IP address: the kernel's neighbour tables, read by netlink (rtnetlink(7)).

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, netlink, sockopt};

/// A home's tables are far below it.
const NEIGHBOURS_MAX: usize = 4096;
const HEADER_LEN: usize = 16;
/// `struct ndmsg` behind the header.
const BODY_LEN: usize = 12;
/// Numbers of linux/rtnetlink.h, linux/netlink.h and linux/neighbour.h.
const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;

/// Everything the kernel knows now. Does not wait: the kernel answers while it is asked.
pub fn read() -> io::Result<HashMap<IpAddr, [u8; 6]>> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // Only if the kernel should not answer after all.
    sockopt::set_socket_timeout(
        &socket,
        sockopt::Timeout::Recv,
        Some(std::time::Duration::from_millis(500)),
    )?;
    let mut request = Vec::with_capacity(HEADER_LEN + BODY_LEN);
    request.extend(((HEADER_LEN + BODY_LEN) as u32).to_ne_bytes());
    request.extend(RTM_GETNEIGH.to_ne_bytes());
    request.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    request.resize(HEADER_LEN + BODY_LEN, 0);
    rustix::net::sendto(
        &socket,
        &request,
        SendFlags::empty(),
        &netlink::SocketAddrNetlink::new(0, 0),
    )?;
    let (mut found, mut buffer) = (HashMap::new(), vec![0; 32 << 10]);
    loop {
        let (len, _) = rustix::net::recv(&socket, &mut buffer[..], rustix::net::RecvFlags::empty())?;
        if !take(&buffer[..len.min(buffer.len())], &mut found) || found.len() > NEIGHBOURS_MAX {
            return Ok(found);
        }
    }
}

/// `false`: that was all.
fn take(mut messages: &[u8], found: &mut HashMap<IpAddr, [u8; 6]>) -> bool {
    while let Some(header) = messages.first_chunk::<HEADER_LEN>() {
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let Some(message) = messages.get(..len).filter(|_| len >= HEADER_LEN) else {
            return false;
        };
        match u16::from_ne_bytes([header[4], header[5]]) {
            NLMSG_DONE | NLMSG_ERROR => return false,
            RTM_NEWNEIGH => found.extend(neighbour(&message[HEADER_LEN..])),
            _ => {}
        }
        messages = messages.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    true
}

fn neighbour(body: &[u8]) -> Option<(IpAddr, [u8; 6])> {
    let mut rest = body.get(BODY_LEN..)?;
    let (mut addr, mut mac) = (None, None);
    while let Some((&[l1, l2, k1, k2], after)) = rest.split_first_chunk::<4>() {
        let len = usize::from(u16::from_ne_bytes([l1, l2]));
        let data = after.get(..len.checked_sub(4)?)?;
        match u16::from_ne_bytes([k1, k2]) {
            NDA_DST => {
                addr = match data.len() {
                    4 => data
                        .try_into()
                        .ok()
                        .map(|octets: [u8; 4]| Ipv4Addr::from(octets).into()),
                    _ => data
                        .try_into()
                        .ok()
                        .map(|octets: [u8; 16]| Ipv6Addr::from(octets).into()),
                };
            }
            NDA_LLADDR => mac = data.try_into().ok().filter(|mac| *mac != [0; 6]),
            _ => {}
        }
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    addr.zip(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_the_kernel_is_understood() {
        let mut body = vec![0; BODY_LEN];
        for (kind, data) in [
            (NDA_DST, &[192, 168, 1, 7][..]),
            (NDA_LLADDR, &[2, 0, 0, 0, 0, 9]),
        ] {
            body.extend((4 + data.len() as u16).to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(data);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let expected = (IpAddr::from([192, 168, 1, 7]), [2, 0, 0, 0, 0, 9]);
        assert_eq!(neighbour(&body), Some(expected));
        for len in 0..body.len() {
            let _ = neighbour(&body[..len]);
        }
        let mut whole = ((HEADER_LEN + body.len()) as u32).to_ne_bytes().to_vec();
        whole.extend(RTM_NEWNEIGH.to_ne_bytes());
        whole.resize(HEADER_LEN, 0);
        whole.extend(&body);
        let mut found = HashMap::new();
        assert!(take(&whole, &mut found));
        assert_eq!(found.get(&expected.0), Some(&expected.1));
        assert!(!take(
            &[1, 0, 0, 0, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &mut found
        ));
    }

    #[test]
    fn the_kernel_answers() {
        read().expect("every machine has neighbour tables");
    }
}
