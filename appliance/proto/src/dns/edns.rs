//! The OPT record of a question (RFC 6891) and the one of an answer.

use super::{UDP_MAX, Why, rtype};

/// Options we know (IANA DNS EDNS0 option codes).
mod code {
    pub const COOKIE: u16 = 10;
    pub const KEEPALIVE: u16 = 11;
    pub const PADDING: u16 = 12;
    pub const WHY: u16 = 15;
}

/// Answers over TLS are padded to multiples of it (RFC 8467 §4.1).
const PADDING_BLOCK: usize = 468;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edns {
    pub udp_size: u16,
    pub version: u8,
    pub dnssec_ok: bool,
    pub cookie: Option<Cookie>,
    /// The client padded its question, so that only lengths in steps are seen on the wire.
    pub padding: bool,
    /// It asks how long a connection may idle (RFC 7828).
    pub keepalive: bool,
}

/// What a client sent as cookie (RFC 7873 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie {
    pub client: [u8; 8],
    /// Ours have 16 bytes; one of another length is none of ours.
    pub server: Option<[u8; 16]>,
}

/// Reads the one additional record of a question; `None` when it is no OPT record or broken. What comes behind it is not
/// looked at.
pub(super) fn read(bytes: &[u8]) -> Option<Edns> {
    let (head, rest) = bytes.split_first_chunk::<11>()?;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    if head[0] != 0 || word(1) != rtype::OPT {
        return None;
    }
    let options = rest.get(..usize::from(word(9)))?;
    let mut edns = Edns {
        udp_size: word(3),
        version: head[6],
        dnssec_ok: head[7] & 0x80 != 0,
        cookie: None,
        padding: false,
        keepalive: false,
    };
    // Of a version we do not know only the version is understood.
    if edns.version == 0 {
        read_options(&mut edns, options)?;
    }
    Some(edns)
}

fn read_options(edns: &mut Edns, mut rest: &[u8]) -> Option<()> {
    while !rest.is_empty() {
        let (&[c1, c2, l1, l2], after) = rest.split_first_chunk::<4>()?;
        let (data, left) = after.split_at_checked(usize::from(u16::from_be_bytes([l1, l2])))?;
        rest = left;
        match u16::from_be_bytes([c1, c2]) {
            // The first one counts (RFC 7873 §5.2).
            code::COOKIE if edns.cookie.is_none() => {
                let (client, server) = data.split_first_chunk::<8>()?;
                if !(server.is_empty() || (8..=32).contains(&server.len())) {
                    return None;
                }
                edns.cookie = Some(Cookie {
                    client: *client,
                    server: server.try_into().ok(),
                });
            }
            code::PADDING => edns.padding = true,
            code::KEEPALIVE => edns.keepalive = true,
            _ => {}
        }
    }
    Some(())
}

/// What our OPT record carries.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ours {
    /// The upper eight bits of the response code.
    pub extended_rcode: u8,
    pub dnssec_ok: bool,
    /// Client and server cookie.
    pub cookie: Option<[u8; 24]>,
    pub why: Option<Why>,
    /// Seconds a connection may idle.
    pub keepalive: Option<u8>,
    pub pad: bool,
}

impl Ours {
    /// Bytes without padding.
    pub(super) fn len(&self) -> usize {
        11 + self.cookie.map_or(0, |_| 28) + self.why.map_or(0, |_| 6) + self.keepalive.map_or(0, |_| 6)
    }

    /// Appends the record. With padding the whole message becomes a multiple of the block, where `limit` allows it.
    pub(super) fn write(&self, out: &mut Vec<u8>, limit: usize) {
        let [t1, t2] = rtype::OPT.to_be_bytes();
        let [s1, s2] = UDP_MAX.to_be_bytes();
        let dnssec_ok = u8::from(self.dnssec_ok) << 7;
        out.extend([0, t1, t2, s1, s2, self.extended_rcode, 0, dnssec_ok, 0, 0, 0]);
        let start = out.len();
        let mut option = |code: u16, data: &[u8]| {
            out.extend(code.to_be_bytes());
            out.extend((data.len() as u16).to_be_bytes());
            out.extend_from_slice(data);
        };
        if let Some(cookie) = &self.cookie {
            option(code::COOKIE, cookie);
        }
        if let Some(why) = self.why {
            option(code::WHY, &(why as u16).to_be_bytes());
        }
        if let Some(secs) = self.keepalive {
            // In units of 100 ms (RFC 7828 §3.1).
            option(code::KEEPALIVE, &(u16::from(secs) * 10).to_be_bytes());
        }
        if self.pad {
            let whole = (out.len() + 4).next_multiple_of(PADDING_BLOCK).min(limit);
            if let Some(padding) = whole.checked_sub(out.len() + 4) {
                out.extend(code::PADDING.to_be_bytes());
                out.extend((padding as u16).to_be_bytes());
                out.resize(whole, 0);
            }
        }
        let len = ((out.len() - start) as u16).to_be_bytes();
        out[start - 2..start].copy_from_slice(&len);
    }
}
