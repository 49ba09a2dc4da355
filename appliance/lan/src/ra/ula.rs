//! An address of the box that no provider can change (RFC 4193): the prefix is made up once and kept in the state folder,
//! the kernel is told by rtnetlink(7).

use std::{
    fs, io,
    net::{Ipv6Addr, UdpSocket},
    path::Path,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, socket_with};

pub(super) const PREFIX_LEN: u8 = 64;
/// The kernel forgets the address after it, unless it is set again with each advertisement: a crash leaves nothing for ever.
const LIFETIME_SECS: u32 = 1800;

/// The /48 of this box, `fd` and 40 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prefix([u8; 5]);

impl Prefix {
    /// From the file `ula` of the folder; made and written when there is none. A folder that cannot be written costs only that
    /// the next start makes up another one.
    pub fn load(state: &Path) -> Self {
        let path = state.join("ula");
        let kept = fs::read_to_string(&path).ok().and_then(|text| Self::parse(&text));
        kept.unwrap_or_else(|| {
            let fresh = Self(rand::random());
            let text = format!("{}/48\n", fresh.address(0, 0));
            let part = path.with_extension("part");
            let written = fs::write(&part, text).and_then(|()| fs::rename(&part, &path));
            if let Err(err) = written {
                tracing::warn!(path = %path.display(), %err, "the box's IPv6 prefix is not kept");
            }
            fresh
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let addr: Ipv6Addr = text.trim().strip_suffix("/48")?.parse().ok()?;
        let [0xfd, a, b, c, d, e, ..] = addr.octets() else {
            return None;
        };
        Some(Self([a, b, c, d, e]))
    }

    fn address(self, subnet: u16, host: u64) -> Ipv6Addr {
        let [a, b, c, d, e] = self.0;
        let head = u64::from_be_bytes([0xfd, a, b, c, d, e, 0, 0]) | u64::from(subnet);
        Ipv6Addr::from_bits((u128::from(head) << 64) | u128::from(host))
    }

    /// The box's address on an interface: each interface has a /64 of its own, the same at each start.
    pub fn on(self, interface: &str) -> Ipv6Addr {
        // FNV-1a: two interfaces of one box should differ, no more is asked.
        let hash = interface.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        self.address((hash ^ (hash >> 16)) as u16, 0x53)
    }
}

/// Gives the address to the interface, or renews it. Needs CAP_NET_ADMIN.
pub(super) fn set(index: u32, addr: Ipv6Addr) -> io::Result<()> {
    const NEW: u16 = 20;
    const CREATE_OR_REPLACE: u16 = 0x400 | 0x100;
    tell(&message(NEW, CREATE_OR_REPLACE, index, addr))
}

pub(super) fn remove(index: u32, addr: Ipv6Addr) -> io::Result<()> {
    const DELETE: u16 = 21;
    tell(&message(DELETE, 0, index, addr))
}

fn message(kind: u16, flags: u16, index: u32, addr: Ipv6Addr) -> Vec<u8> {
    const REQUEST_AND_ACK: u16 = 0x1 | 0x4;
    const INET6: u8 = 10;
    const GLOBAL: u8 = 0;
    let mut body = vec![INET6, PREFIX_LEN, 0, GLOBAL];
    body.extend(index.to_ne_bytes());
    let mut attribute = |kind: u16, data: &[u8]| {
        // IFA_ADDRESS, IFA_LOCAL and IFA_CACHEINFO are all a multiple of four long: no padding.
        body.extend((4 + data.len() as u16).to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(data);
    };
    attribute(1, &addr.octets());
    attribute(2, &addr.octets());
    let times = [LIFETIME_SECS, LIFETIME_SECS, 0, 0];
    attribute(6, &times.map(u32::to_ne_bytes).concat());
    let mut out = Vec::with_capacity(16 + body.len());
    out.extend((16 + body.len() as u32).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend((REQUEST_AND_ACK | flags).to_ne_bytes());
    // Number of the message, and "from: the kernel knows".
    out.extend(1u32.to_ne_bytes());
    out.extend(0u32.to_ne_bytes());
    out.extend(body);
    out
}

/// The kernel works on the message while it is sent: its answer is there when `send` returns.
fn tell(message: &[u8]) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // Protocol 0 is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, 0))?;
    let socket = UdpSocket::from(socket);
    socket.send(message)?;
    let mut answer = [0; 256];
    let len = socket.recv(&mut answer)?;
    match answer
        .get(16..20)
        .filter(|_| len >= 20)
        .and_then(|code| code.try_into().ok())
    {
        Some(code) => match i32::from_ne_bytes(code) {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code.wrapping_neg())),
        },
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_kept_and_each_interface_has_its_own_network() {
        let folder = tempfile::tempdir().expect("a folder");
        let prefix = Prefix::load(folder.path());
        assert_eq!(Prefix::load(folder.path()), prefix);
        let (eth, wlan) = (prefix.on("eth0"), prefix.on("wlan0"));
        assert!(eth.is_unique_local() && eth.octets()[0] == 0xfd && eth.octets()[15] == 0x53);
        assert_ne!(eth.octets()[..8], wlan.octets()[..8]);
        assert_eq!(eth.octets()[..6], wlan.octets()[..6]);
        assert_eq!(prefix.on("eth0"), eth);
    }

    #[test]
    fn a_broken_file_or_a_missing_folder_costs_only_the_old_prefix() {
        let folder = tempfile::tempdir().expect("a folder");
        for text in ["", "fe80::/48", "fd00::", "fd00::/64", "no"] {
            fs::write(folder.path().join("ula"), text).expect("it can be written");
            let prefix = Prefix::load(folder.path());
            assert_eq!(Prefix::load(folder.path()), prefix, "{text:?}");
        }
        assert!(
            Prefix::load(Path::new("/nowhere/at/all"))
                .on("x")
                .is_unique_local()
        );
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernel_is_told_with_these_bytes() {
        let addr = "fd12:3456:789a:1::53".parse().expect("an address");
        let expected = concat!(
            "54000000",
            "1400",
            "0505",
            "0100000000000000",
            "0a40000002000000",
            "14000100fd123456789a00010000000000000053",
            "14000200fd123456789a00010000000000000053",
            "14000600080700000807000000000000000000",
            "00"
        );
        let bytes = message(20, 0x500, 2, addr);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }
}
