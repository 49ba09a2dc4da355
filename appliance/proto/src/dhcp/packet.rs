//! The fixed fields and the raw options of a message (RFC 2131, 2). Options are found by their lengths alone: one that means
//! nothing, such as a host name in Latin-1, never hides those behind it.

use std::net::Ipv4Addr;

use super::{ClientKey, Mac};

/// The four bytes before the options.
pub const MAGIC: [u8; 4] = [99, 130, 83, 99];
/// Everything before the magic.
pub(super) const FIXED: usize = 236;
/// Longer than any frame of a home; a datagram that was put together from fragments is refused above it.
const BYTES_MAX: usize = 4096;

/// Option codes that are looked at or sent.
pub mod code {
    pub const MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const RESOLVER: u8 = 6;
    pub const HOST: u8 = 12;
    pub const DOMAIN: u8 = 15;
    pub const MTU: u8 = 26;
    pub const BROADCAST: u8 = 28;
    pub const NTP: u8 = 42;
    pub const REQUESTED: u8 = 50;
    pub const LEASE: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const KIND: u8 = 53;
    pub const SERVER: u8 = 54;
    pub const WANTED: u8 = 55;
    pub const MESSAGE: u8 = 56;
    pub const SIZE: u8 = 57;
    pub const RENEW: u8 = 58;
    pub const REBIND: u8 = 59;
    pub const CLIENT: u8 = 61;
    pub const FQDN: u8 = 81;
    pub const RELAY: u8 = 82;
    pub const SEARCH: u8 = 119;
    pub const ROUTES: u8 = 121;
    pub const ROUTES_MS: u8 = 249;
    pub const WPAD: u8 = 252;
}

/// Option 53.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Discover = 1,
    Offer = 2,
    Request = 3,
    Decline = 4,
    Ack = 5,
    Nak = 6,
    Release = 7,
    Inform = 8,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        use Kind::{Ack, Decline, Discover, Inform, Nak, Offer, Release, Request};
        [Discover, Offer, Request, Decline, Ack, Nak, Release, Inform]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Why a packet is no DHCP message of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("{0} bytes are no DHCP message")]
    Size(usize),
    #[error("no DHCP options follow (BOOTP)")]
    NoMagic,
    #[error("neither a question nor a reply")]
    Op,
    #[error("hardware of type {0} with addresses of {1} bytes")]
    Hardware(u8, u8),
    #[error("the hardware address is none of a device")]
    NoDevice,
    #[error("an option goes beyond the end")]
    Cut,
    #[error("option {0} has an impossible length")]
    Length(u8),
    #[error("no message type (BOOTP)")]
    NoKind,
}

/// A message, from either side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub reply: bool,
    pub kind: Kind,
    pub htype: u8,
    pub xid: [u8; 4],
    pub secs: u16,
    pub flags: u16,
    pub ciaddr: Ipv4Addr,
    pub yiaddr: Ipv4Addr,
    pub siaddr: Ipv4Addr,
    pub giaddr: Ipv4Addr,
    pub mac: Mac,
    options: Options,
}

/// Codes with their values. A code that stands several times is one value in pieces (RFC 3396, 7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Options {
    values: Vec<u8>,
    /// Code, beginning and end in `values`, in the order in which they came.
    index: Vec<(u8, u16, u16)>,
}

impl Packet {
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let len = bytes.len();
        let (fixed, rest) = bytes
            .split_first_chunk::<FIXED>()
            .filter(|_| len <= BYTES_MAX)
            .ok_or(Malformed::Size(len))?;
        let area = rest.strip_prefix(&MAGIC).ok_or(Malformed::NoMagic)?;
        let reply = match fixed[0] {
            1 => false,
            2 => true,
            _ => return Err(Malformed::Op),
        };
        // 1 is Ethernet and Wi-Fi, 6 other IEEE 802 networks.
        if !matches!(fixed[1], 1 | 6) || fixed[2] != 6 {
            return Err(Malformed::Hardware(fixed[1], fixed[2]));
        }
        let options = Options::read(area, &fixed[108..236], &fixed[44..108])?;
        let kind = match options.get(code::KIND) {
            Some(&[byte]) => Kind::of(byte).ok_or(Malformed::NoKind)?,
            Some(_) => return Err(Malformed::Length(code::KIND)),
            None => return Err(Malformed::NoKind),
        };
        let addr = |at: usize| Ipv4Addr::new(fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]);
        let mut mac = [0; 6];
        mac.copy_from_slice(&fixed[28..34]);
        // A group address or none at all can have no lease: a reply to it would reach nobody or everybody.
        if mac == [0; 6] || mac[0] & 1 == 1 {
            return Err(Malformed::NoDevice);
        }
        let packet = Self {
            reply,
            kind,
            htype: fixed[1],
            xid: [fixed[4], fixed[5], fixed[6], fixed[7]],
            secs: u16::from_be_bytes([fixed[8], fixed[9]]),
            flags: u16::from_be_bytes([fixed[10], fixed[11]]),
            ciaddr: addr(12),
            yiaddr: addr(16),
            siaddr: addr(20),
            giaddr: addr(24),
            mac,
            options,
        };
        packet.check_lengths()?;
        Ok(packet)
    }

    /// Options whose meaning we use have the lengths that RFC 2132 gives them.
    fn check_lengths(&self) -> Result<(), Malformed> {
        for (code, lens) in [
            (code::REQUESTED, 4..=4),
            (code::LEASE, 4..=4),
            (code::SERVER, 4..=4),
            (code::WANTED, 1..=255),
            (code::SIZE, 2..=2),
            (code::CLIENT, 2..=255),
            (code::RELAY, 2..=255),
        ] {
            if self
                .option(code)
                .is_some_and(|value| !lens.contains(&value.len()))
            {
                return Err(Malformed::Length(code));
            }
        }
        Ok(())
    }

    pub fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.get(code)
    }

    /// All options in the order in which they came.
    pub fn options(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.options
            .index
            .iter()
            .map(|(code, start, end)| (*code, self.options.slice(*start, *end)))
    }

    pub fn addr(&self, code: u8) -> Option<Ipv4Addr> {
        let bytes: [u8; 4] = self.option(code)?.try_into().ok()?;
        Some(bytes.into())
    }

    /// An option that holds addresses, such as 3 and 6; at most 8 of them.
    pub fn addrs(&self, code: u8) -> Vec<Ipv4Addr> {
        let value = self.option(code).unwrap_or_default();
        value
            .as_chunks::<4>()
            .0
            .iter()
            .take(8)
            .map(|four| (*four).into())
            .collect()
    }

    pub fn number(&self, code: u8) -> Option<u32> {
        let bytes: [u8; 4] = self.option(code)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    }

    /// The client asks for replies as broadcasts (RFC 2131, 4.1).
    pub fn wants_broadcast(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    pub fn key(&self) -> ClientKey {
        ClientKey::new(self.option(code::CLIENT), self.mac)
    }

    /// Bytes of a whole DHCP message that the client takes: option 57 counts the IP and UDP headers (28), 576 always fit.
    pub fn size_max(&self) -> usize {
        let told = match self.option(code::SIZE) {
            Some(&[high, low]) => u16::from_be_bytes([high, low]),
            _ => 0,
        };
        usize::from(told.clamp(576, 1500)) - 28
    }
}

impl Options {
    fn read(area: &[u8], file: &[u8], sname: &[u8]) -> Result<Self, Malformed> {
        let mut options = Self::default();
        options.scan(area)?;
        // RFC 2131, 4.1: overloaded fields are read after the options, `file` before `sname`.
        match options.get(code::OVERLOAD) {
            None => {}
            Some(&[1]) => options.scan(file)?,
            Some(&[2]) => options.scan(sname)?,
            Some(&[3]) => {
                options.scan(file)?;
                options.scan(sname)?;
            }
            Some(_) => return Err(Malformed::Length(code::OVERLOAD)),
        }
        Ok(options)
    }

    fn scan(&mut self, mut rest: &[u8]) -> Result<(), Malformed> {
        while let [code, behind @ ..] = rest {
            match code {
                0 => rest = behind,
                255 => break,
                code => {
                    let (len, behind) = behind.split_first().ok_or(Malformed::Cut)?;
                    let value = behind.get(..usize::from(*len)).ok_or(Malformed::Cut)?;
                    self.add(*code, value)?;
                    rest = &behind[value.len()..];
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, code: u8, value: &[u8]) -> Result<(), Malformed> {
        let place = self.index.iter().position(|(other, ..)| *other == code);
        let start = self.values.len();
        if let Some(place) = place {
            let (_, from, to) = self.index[place];
            self.values.extend_from_within(usize::from(from)..usize::from(to));
        }
        self.values.extend_from_slice(value);
        // Many small pieces copy what came before again and again: no client does that.
        let (Ok(start), Ok(end)) = (u16::try_from(start), u16::try_from(self.values.len())) else {
            return Err(Malformed::Length(code));
        };
        match place {
            Some(place) => self.index[place] = (code, start, end),
            None => self.index.push((code, start, end)),
        }
        Ok(())
    }

    fn slice(&self, start: u16, end: u16) -> &[u8] {
        &self.values[usize::from(start)..usize::from(end)]
    }

    fn get(&self, code: u8) -> Option<&[u8]> {
        let (_, start, end) = self.index.iter().find(|(other, ..)| *other == code)?;
        Some(self.slice(*start, *end))
    }
}
