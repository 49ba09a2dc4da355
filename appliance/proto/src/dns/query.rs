//! One question as a device sends it, read in place: no allocation, every byte looked at once.

use super::{
    Rcode,
    edns::{self, Edns},
    name::NAME_MAX,
    rtype,
};

/// Bits of the second 16-bit word of a header (RFC 1035 §4.1.1, RFC 4035 §3).
pub mod bits {
    pub const QR: u16 = 0x8000;
    pub const OPCODE: u16 = 0x7800;
    pub const AA: u16 = 0x0400;
    pub const TC: u16 = 0x0200;
    pub const RD: u16 = 0x0100;
    pub const RA: u16 = 0x0080;
    pub const AD: u16 = 0x0020;
    pub const CD: u16 = 0x0010;
}

pub const HEADER_LEN: usize = 12;

/// A question that can be answered.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    pub id: u16,
    /// The header's flags as they came.
    pub flags: u16,
    /// The question section as it came: name in the device's letters, type, class.
    pub question: &'a [u8],
    pub name: Name,
    pub qtype: u16,
    pub qclass: u16,
    pub edns: Option<Edns>,
}

/// A name in lower case that lies in place.
#[derive(Clone)]
pub struct Name {
    bytes: [u8; NAME_MAX],
    len: u8,
    /// Where the last label before the root begins, and how many labels there are.
    top: u8,
    labels: u8,
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&super::name::to_text(self.wire()))
    }
}

impl Name {
    pub fn wire(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The last label without its length byte; empty for the root.
    pub fn top(&self) -> &[u8] {
        let top = usize::from(self.top);
        self.bytes
            .get(top + 1..usize::from(self.len) - 1)
            .unwrap_or_default()
    }

    /// The first label without its length byte; empty for the root.
    pub fn first(&self) -> &[u8] {
        &self.bytes[1..=usize::from(self.bytes[0])]
    }

    pub fn labels(&self) -> usize {
        usize::from(self.labels)
    }

    /// Where the name without its first `skip` labels begins.
    pub fn offset(&self, skip: usize) -> usize {
        let mut at = 0;
        for _ in 0..skip.min(self.labels()) {
            at += 1 + usize::from(self.bytes[at]);
        }
        at
    }

    /// Reads a name that stands at the beginning of `bytes`; no compression: a question has nothing to point to.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut name = Name {
            bytes: [0; NAME_MAX],
            len: 0,
            top: 0,
            labels: 0,
        };
        let mut at = 0;
        loop {
            let len = usize::from(*bytes.get(at)?);
            if len == 0 {
                break;
            }
            // Also a pointer (RFC 1035 §4.1.4) is longer than any label. One byte is left for the root.
            if len > super::name::LABEL_MAX || at + 1 + len >= NAME_MAX {
                return None;
            }
            let end = at + 1 + len;
            let label = bytes.get(at + 1..end)?;
            name.bytes[at] = len as u8;
            for (to, from) in name.bytes[at + 1..end].iter_mut().zip(label) {
                *to = from.to_ascii_lowercase();
            }
            name.top = at as u8;
            name.labels += 1;
            at = end;
        }
        name.len = at as u8 + 1;
        Some(name)
    }
}

/// Why a packet is no question that can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is sent: it is too short, or itself a response, and answering could go on for ever.
    Silent,
    /// Answered with a bare header.
    Answer(Rcode),
}

/// Reads a packet. What is wrong in it is told as the code to answer with.
pub fn read(packet: &[u8]) -> Result<Query<'_>, Fault> {
    const WRONG: Fault = Fault::Answer(Rcode::FormErr);
    let header: &[u8; HEADER_LEN] = packet.first_chunk().ok_or(Fault::Silent)?;
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let flags = word(2);
    if flags & bits::QR != 0 {
        return Err(Fault::Silent);
    }
    if flags & bits::OPCODE != 0 {
        return Err(Fault::Answer(Rcode::NotImp));
    }
    // One question (RFC 9619), no answers, at most the OPT record behind it.
    if flags & bits::TC != 0 || word(4) != 1 || word(6) != 0 || word(8) != 0 || word(10) > 1 {
        return Err(WRONG);
    }
    let name = Name::read(&packet[HEADER_LEN..]).ok_or(WRONG)?;
    let end = HEADER_LEN + name.wire().len() + 4;
    let question = packet.get(HEADER_LEN..end).ok_or(WRONG)?;
    let Some((_, &[t1, t2, c1, c2])) = question.split_last_chunk::<4>() else {
        return Err(WRONG);
    };
    let qtype = u16::from_be_bytes([t1, t2]);
    if qtype == 0 || qtype == rtype::OPT {
        return Err(WRONG);
    }
    let edns = match word(10) {
        0 => None,
        _ => Some(edns::read(&packet[end..]).ok_or(WRONG)?),
    };
    Ok(Query {
        id: word(0),
        flags,
        question,
        name,
        qtype,
        qclass: u16::from_be_bytes([c1, c2]),
        edns,
    })
}

impl Query<'_> {
    pub fn wants_recursion(&self) -> bool {
        self.flags & bits::RD != 0
    }

    pub fn checking_disabled(&self) -> bool {
        self.flags & bits::CD != 0
    }

    pub fn dnssec_ok(&self) -> bool {
        self.edns.as_ref().is_some_and(|edns| edns.dnssec_ok)
    }

    /// May the answer say that it is authentic (RFC 6840 §5.7 and §5.8)?
    pub fn wants_ad(&self) -> bool {
        self.flags & bits::AD != 0 || self.dnssec_ok()
    }

    /// Most bytes of an answer over UDP.
    pub fn udp_limit(&self) -> usize {
        usize::from(match &self.edns {
            None => super::UDP_PLAIN_MAX,
            Some(edns) => edns.udp_size.clamp(super::UDP_PLAIN_MAX, super::UDP_MAX),
        })
    }
}

/// Writes the bare header that answers a packet which is no question. Nothing for one that gets no answer.
pub fn write_fault(packet: &[u8], rcode: Rcode, out: &mut Vec<u8>) {
    out.clear();
    if let Some([i1, i2, f1, f2, ..]) = packet.first_chunk::<HEADER_LEN>() {
        let kept = u16::from_be_bytes([*f1, *f2]) & (bits::OPCODE | bits::RD | bits::CD);
        let flags = kept | bits::QR | bits::RA | (rcode as u16 & 0xf);
        out.extend([*i1, *i2]);
        out.extend(flags.to_be_bytes());
        out.extend([0; 8]);
    }
}

#[cfg(test)]
#[path = "tests/query.rs"]
mod tests;
