//! The message of DNS as multicast DNS uses it (RFC 1035 4, RFC 6762 18): names with any bytes, the two top bits of the class,
//! comparisons without regard to case. Reads without trust: every count and every jump is bounded.
//!
//! Ordinary one-shot questions are asked with it too; the resolver has a codec of its own, made for speed.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

pub const A: u16 = 1;
pub const SOA: u16 = 6;
pub const PTR: u16 = 12;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;
pub const NSEC: u16 = 47;
pub const ANY: u16 = 255;
pub const CLASS_IN: u16 = 1;
pub const CLASS_CHAOS: u16 = 3;
const CLASS_ANY: u16 = 255;

/// QR and AA.
pub const RESPONSE: u16 = 0x8400;
pub const TRUNCATED: u16 = 0x0200;
pub const RECURSION: u16 = 0x0100;

const QUESTIONS_MAX: usize = 64;
const RECORDS_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 255;
/// Bytes of all names of one message together: compression must not turn a packet into a mountain.
const UNPACKED_BYTES_MAX: usize = 64 * 1024;

/// A domain name: labels with their lengths, without the empty one at the end. Equal without regard to ASCII case.
#[derive(Clone, Default)]
pub struct Name(Vec<u8>);

impl Name {
    /// From labels of 1 to 63 bytes; what does not fit is cut, so that the result is always a name.
    pub fn of(labels: &[&str]) -> Self {
        let mut bytes = Vec::new();
        for label in labels {
            let label = &label.as_bytes()[..label.len().min(63)];
            if !label.is_empty() && bytes.len() + label.len() + 2 <= NAME_BYTES_MAX {
                bytes.push(label.len() as u8);
                bytes.extend(label);
            }
        }
        Self(bytes)
    }

    /// From text with dots.
    pub fn text(text: &str) -> Self {
        Self::of(&text.split('.').collect::<Vec<_>>())
    }

    fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (&len, after) = rest.split_first()?;
            let (label, after) = after.split_at_checked(usize::from(len))?;
            rest = after;
            Some(label)
        })
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<_> = self
            .labels()
            .map(|label| label.escape_ascii().to_string())
            .collect();
        write!(f, "{:?}", labels.join("."))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub name: Name,
    pub kind: u16,
    pub class: u16,
    /// The answer may come to the asker alone (RFC 6762 5.4).
    pub unicast: bool,
}

impl Question {
    /// Does a record of type `kind` answer it?
    pub fn wants(&self, kind: u16) -> bool {
        matches!(self.class, CLASS_IN | CLASS_ANY) && (self.kind == kind || self.kind == ANY)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub name: Name,
    pub kind: u16,
    pub class: u16,
    /// These are all there are: forget others of the same name and type (RFC 6762 10.2).
    pub flush: bool,
    pub ttl: u32,
    /// Names inside are written out, so that equal records have equal bytes.
    pub data: Vec<u8>,
}

impl Record {
    /// Same name, type, class and data.
    pub fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.class == other.class
            && self.name == other.name
            && self.has_data_of(other)
    }

    fn has_data_of(&self, other: &Self) -> bool {
        match self.kind {
            PTR | SRV => self.data.eq_ignore_ascii_case(&other.data),
            _ => self.data == other.data,
        }
    }

    /// The address of an A or AAAA record.
    pub fn addr(&self) -> Option<IpAddr> {
        match self.kind {
            A => <[u8; 4]>::try_from(&self.data[..])
                .ok()
                .map(|bytes| Ipv4Addr::from(bytes).into()),
            AAAA => <[u8; 16]>::try_from(&self.data[..])
                .ok()
                .map(|bytes| Ipv6Addr::from(bytes).into()),
            _ => None,
        }
    }
}

/// Where both halves of a record's data come from.
pub fn data_of_addr(addr: IpAddr) -> (u16, Vec<u8>) {
    match addr {
        IpAddr::V4(addr) => (A, addr.octets().to_vec()),
        IpAddr::V6(addr) => (AAAA, addr.octets().to_vec()),
    }
}

pub fn data_of_name(name: &Name) -> Vec<u8> {
    let mut data = name.0.clone();
    data.push(0);
    data
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    pub id: u16,
    pub flags: u16,
    pub questions: Vec<Question>,
    pub answers: Vec<Record>,
    pub authorities: Vec<Record>,
    pub additionals: Vec<Record>,
}

impl Message {
    pub fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    pub fn opcode(&self) -> u16 {
        (self.flags >> 11) & 0xf
    }

    pub fn rcode(&self) -> u16 {
        self.flags & 0xf
    }

    /// Reads a whole message; `None` when anything in it is not as it must be.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let mut reader = Reader {
            packet,
            at: 0,
            unpacked: 0,
        };
        let (id, flags) = (reader.u16()?, reader.u16()?);
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?].map(usize::from);
        if counts[0] > QUESTIONS_MAX || counts[1..].iter().sum::<usize>() > RECORDS_MAX {
            return None;
        }
        let questions = (0..counts[0]).map(|_| reader.question()).collect::<Option<_>>()?;
        let mut section = |count: usize| (0..count).map(|_| reader.record()).collect::<Option<_>>();
        Some(Self {
            id,
            flags,
            questions,
            answers: section(counts[1])?,
            authorities: section(counts[2])?,
            additionals: section(counts[3])?,
        })
    }

    /// Names of records are compressed, names inside of them are not (RFC 6762 18.14 allows both).
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let count = |len: usize| u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
        out.extend(self.id.to_be_bytes());
        out.extend(self.flags.to_be_bytes());
        let sections = [&self.answers, &self.authorities, &self.additionals];
        out.extend(count(self.questions.len()));
        sections
            .iter()
            .for_each(|section| out.extend(count(section.len())));
        let mut known = Vec::new();
        for question in &self.questions {
            put_name(&mut out, &question.name, &mut known);
            out.extend(question.kind.to_be_bytes());
            out.extend(top_bit(question.class, question.unicast));
        }
        for record in sections.into_iter().flatten() {
            put_name(&mut out, &record.name, &mut known);
            out.extend(record.kind.to_be_bytes());
            out.extend(match record.kind {
                OPT => record.class.to_be_bytes(),
                _ => top_bit(record.class, record.flush),
            });
            out.extend(record.ttl.to_be_bytes());
            out.extend(count(record.data.len()));
            out.extend(&record.data);
        }
        out
    }
}

/// RFC 6891: where others have a class, it has the size of packets, and no bit of ours.
const OPT: u16 = 41;

fn top_bit(class: u16, set: bool) -> [u8; 2] {
    ((class & 0x7fff) | if set { 0x8000 } else { 0 }).to_be_bytes()
}

/// Writes a name, or its beginning and a pointer to where its end was written before.
fn put_name(out: &mut Vec<u8>, name: &Name, known: &mut Vec<(Name, u16)>) {
    let mut rest = &name.0[..];
    while let Some((&len, _)) = rest.split_first() {
        if let Some((_, at)) = known.iter().find(|(tail, _)| tail.0 == rest) {
            out.extend((0xc000 | at).to_be_bytes());
            return;
        }
        if let Ok(at) = u16::try_from(out.len())
            && at < 0x4000
        {
            known.push((Name(rest.to_vec()), at));
        }
        let (label, after) = rest.split_at((usize::from(len) + 1).min(rest.len()));
        out.extend(label);
        rest = after;
    }
    out.push(0);
}

struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
    unpacked: usize,
}

impl Reader<'_> {
    fn u8(&mut self) -> Option<u8> {
        let byte = *self.packet.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    fn u32(&mut self) -> Option<u32> {
        Some((u32::from(self.u16()?) << 16) | u32::from(self.u16()?))
    }

    fn question(&mut self) -> Option<Question> {
        let name = self.name()?;
        let (kind, class) = (self.u16()?, self.u16()?);
        Some(Question {
            name,
            kind,
            class: class & 0x7fff,
            unicast: class & 0x8000 != 0,
        })
    }

    fn record(&mut self) -> Option<Record> {
        let name = self.name()?;
        let (kind, class, ttl) = (self.u16()?, self.u16()?, self.u32()?);
        let len = usize::from(self.u16()?);
        let end = self.at + len;
        let raw = self.packet.get(self.at..end)?;
        let data = match kind {
            PTR => data_of_name(&self.name()?),
            SRV => {
                let head = raw.get(..6)?;
                self.at += 6;
                [head, &data_of_name(&self.name()?)].concat()
            }
            // The bitmap follows the name (RFC 4034 4.1).
            NSEC => {
                let next = data_of_name(&self.name()?);
                [&next[..], self.packet.get(self.at..end)?].concat()
            }
            _ => raw.to_vec(),
        };
        if matches!(kind, PTR | SRV) && self.at != end {
            return None;
        }
        self.at = end;
        let plain = kind == OPT;
        Some(Record {
            name,
            kind,
            class: if plain { class } else { class & 0x7fff },
            flush: !plain && class & 0x8000 != 0,
            ttl,
            data,
        })
    }

    /// Each pointer must point before the place where this name, or the part before the pointer, began: so there is an end.
    fn name(&mut self) -> Option<Name> {
        let (mut at, mut begin, mut after) = (self.at, self.at, None);
        let mut bytes = Vec::new();
        loop {
            let len = *self.packet.get(at)?;
            match len {
                0 => break,
                1..=63 => {
                    let label = self.packet.get(at..at + 1 + usize::from(len))?;
                    bytes.extend(label);
                    if bytes.len() >= NAME_BYTES_MAX {
                        return None;
                    }
                    at += label.len();
                }
                0xc0.. => {
                    let to = usize::from(u16::from_be_bytes([len, *self.packet.get(at + 1)?]) & 0x3fff);
                    after.get_or_insert(at + 2);
                    if to >= begin {
                        return None;
                    }
                    (at, begin) = (to, to);
                }
                _ => return None,
            }
        }
        self.at = after.unwrap_or(at + 1);
        self.unpacked += bytes.len() + 1;
        (self.unpacked <= UNPACKED_BYTES_MAX).then_some(Name(bytes))
    }
}
