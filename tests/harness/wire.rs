//! DNS messages as the tests see them (RFC 1035, RFC 6891): written on their own, so that nothing of ours vouches for
//! itself. Record data is text in the usual form (`1.2.3.4`, `www.example.com`); kinds without one are hex digits.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

pub const QR: u16 = 0x8000;
pub const AA: u16 = 0x0400;
pub const TC: u16 = 0x0200;
pub const RD: u16 = 0x0100;
pub const RA: u16 = 0x0080;
pub const AD: u16 = 0x0020;
pub const CD: u16 = 0x0010;

const KINDS: &[(&str, u16)] = &[
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("DNAME", 39),
    ("OPT", 41),
    ("DS", 43),
    ("RRSIG", 46),
    ("DNSKEY", 48),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("ANY", 255),
];
const RCODES: &[&str] = &[
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
    "NOTAUTH",
];

/// A query or an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    pub id: u16,
    /// The second word of the header as it is, rcode included.
    pub flags: u16,
    pub questions: Vec<Question>,
    pub answers: Vec<Record>,
    pub authority: Vec<Record>,
    /// Without OPT.
    pub additional: Vec<Record>,
    pub edns: Option<Edns>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// As it stands in the packet, with its case, without the last dot.
    pub name: String,
    pub kind: u16,
    pub class: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub name: String,
    pub kind: u16,
    pub class: u16,
    pub ttl: u32,
    pub data: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edns {
    pub size: u16,
    /// Upper eight bits of the response code.
    pub high: u8,
    pub version: u8,
    /// DO and the bits that nobody has given a meaning.
    pub flags: u16,
    pub options: Vec<(u16, Vec<u8>)>,
}

pub fn kind(name: &str) -> u16 {
    let known = KINDS.iter().find(|(known, _)| *known == name);
    known.map_or_else(
        || name.trim_start_matches("TYPE").parse().unwrap_or(0),
        |(_, kind)| *kind,
    )
}

pub fn kind_name(kind: u16) -> String {
    let known = KINDS.iter().find(|(_, known)| *known == kind);
    known.map_or_else(|| format!("TYPE{kind}"), |(name, _)| (*name).to_string())
}

pub fn rcode(name: &str) -> u16 {
    RCODES
        .iter()
        .position(|known| *known == name)
        .expect("a response code") as u16
}

impl Message {
    /// A query with RD and EDNS 1232, as stub resolvers send it.
    pub fn query(name: &str, kind_name: &str) -> Self {
        Self {
            id: rand::random(),
            flags: RD,
            questions: vec![Question {
                name: name.trim_end_matches('.').into(),
                kind: kind(kind_name),
                class: 1,
            }],
            edns: Some(Edns {
                size: 1232,
                ..Edns::default()
            }),
            ..Self::default()
        }
    }

    /// An empty answer to this query: same number, question, RD and CD, EDNS if it has it.
    pub fn reply(&self) -> Self {
        Self {
            id: self.id,
            flags: QR | RA | self.flags & (RD | CD),
            questions: self.questions.clone(),
            edns: self.edns.as_ref().map(|edns| Edns {
                size: 1232,
                flags: edns.flags & 0x8000,
                ..Edns::default()
            }),
            ..Self::default()
        }
    }

    /// The name asked for, in lower case.
    pub fn name(&self) -> String {
        self.questions
            .first()
            .map(|q| q.name.to_lowercase())
            .unwrap_or_default()
    }

    pub fn kind(&self) -> u16 {
        self.questions.first().map_or(0, |q| q.kind)
    }

    pub fn rcode(&self) -> String {
        let code = self.flags & 15 | u16::from(self.edns.as_ref().map_or(0, |edns| edns.high)) << 4;
        match RCODES.get(usize::from(code)) {
            Some(name) => (*name).to_string(),
            None if code == 16 => "BADVERS".into(),
            None if code == 23 => "BADCOOKIE".into(),
            None => format!("RCODE{code}"),
        }
    }

    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// The data of all answers of that kind.
    pub fn data(&self, kind_name: &str) -> Vec<&str> {
        let kind = kind(kind_name);
        let of_kind = self.answers.iter().filter(|record| record.kind == kind);
        of_kind.map(|record| record.data.as_str()).collect()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let more = self.additional.len() + usize::from(self.edns.is_some());
        for word in [
            self.id,
            self.flags,
            self.questions.len() as u16,
            self.answers.len() as u16,
            self.authority.len() as u16,
            more as u16,
        ] {
            out.extend(word.to_be_bytes());
        }
        for question in &self.questions {
            put_name(&mut out, &question.name);
            out.extend(question.kind.to_be_bytes());
            out.extend(question.class.to_be_bytes());
        }
        for record in self.answers.iter().chain(&self.authority).chain(&self.additional) {
            record.put(&mut out);
        }
        if let Some(edns) = &self.edns {
            out.extend([0, 0, 41]);
            out.extend(edns.size.to_be_bytes());
            out.extend([edns.high, edns.version]);
            out.extend(edns.flags.to_be_bytes());
            let length: usize = edns.options.iter().map(|(_, data)| data.len() + 4).sum();
            out.extend((length as u16).to_be_bytes());
            for (code, data) in &edns.options {
                out.extend(code.to_be_bytes());
                out.extend((data.len() as u16).to_be_bytes());
                out.extend(data);
            }
        }
        out
    }

    /// Strict: everything must be there, nothing may follow.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader { bytes, at: 0 };
        let (id, flags) = (reader.word()?, reader.word()?);
        let questions = reader.word()?;
        let sections = [reader.word()?, reader.word()?, reader.word()?];
        let mut message = Self {
            id,
            flags,
            ..Self::default()
        };
        for _ in 0..questions {
            message.questions.push(Question {
                name: reader.name()?,
                kind: reader.word()?,
                class: reader.word()?,
            });
        }
        let lists = [
            &mut message.answers,
            &mut message.authority,
            &mut message.additional,
        ];
        for (list, count) in lists.into_iter().zip(sections) {
            for _ in 0..count {
                list.extend(reader.record(&mut message.edns)?);
            }
        }
        ensure!(
            reader.at == bytes.len(),
            "{} bytes follow",
            bytes.len() - reader.at
        );
        Ok(message)
    }
}

impl Record {
    pub fn new(name: &str, kind_name: &str, ttl: u32, data: &str) -> Self {
        Self {
            name: name.trim_end_matches('.').into(),
            kind: kind(kind_name),
            class: 1,
            ttl,
            data: data.into(),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_name(out, &self.name);
        out.extend(self.kind.to_be_bytes());
        out.extend(self.class.to_be_bytes());
        out.extend(self.ttl.to_be_bytes());
        let mut data = Vec::new();
        match self.kind {
            1 => data.extend(self.data.parse::<Ipv4Addr>().expect("an address").octets()),
            28 => data.extend(self.data.parse::<Ipv6Addr>().expect("an address").octets()),
            2 | 5 | 12 | 39 => put_name(&mut data, &self.data),
            6 => {
                let words: Vec<&str> = self.data.split(' ').collect();
                put_name(&mut data, words[0]);
                put_name(&mut data, words[1]);
                for number in &words[2..7] {
                    data.extend(number.parse::<u32>().expect("a number").to_be_bytes());
                }
            }
            16 => {
                for part in self.data.as_bytes().chunks(255) {
                    data.push(part.len() as u8);
                    data.extend(part);
                }
            }
            _ => {
                data = data_encoding::HEXLOWER
                    .decode(self.data.as_bytes())
                    .expect("hex digits")
            }
        }
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
    }
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    for label in name
        .trim_end_matches('.')
        .split('.')
        .filter(|label| !label.is_empty())
    {
        out.push(label.len() as u8);
        out.extend(label.as_bytes());
    }
    out.push(0);
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, length: usize) -> Result<&[u8]> {
        let part = self
            .bytes
            .get(self.at..self.at + length)
            .context("the packet ends early")?;
        self.at += length;
        Ok(part)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn word(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.take(2)?.try_into()?))
    }

    fn long(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.take(4)?.try_into()?))
    }

    fn name(&mut self) -> Result<String> {
        let mut labels = Vec::new();
        let mut back = None;
        for _ in 0..128 {
            let length = self.byte()?;
            if length >= 0xc0 {
                let target = usize::from(length & 0x3f) << 8 | usize::from(self.byte()?);
                back.get_or_insert(self.at);
                self.at = target;
            } else if length == 0 {
                self.at = back.unwrap_or(self.at);
                return Ok(labels.join("."));
            } else {
                ensure!(length < 64, "a label of a kind nobody uses");
                labels.push(String::from_utf8_lossy(self.take(length.into())?).into_owned());
            }
        }
        bail!("a name without an end")
    }

    /// `None` for OPT, which goes into `edns`.
    fn record(&mut self, edns: &mut Option<Edns>) -> Result<Option<Record>> {
        let name = self.name()?;
        let (kind, class) = (self.word()?, self.word()?);
        let ttl = self.long()?;
        let length = usize::from(self.word()?);
        let end = self.at + length;
        ensure!(end <= self.bytes.len(), "record data end after the packet");
        if kind == 41 {
            ensure!(
                name.is_empty() && edns.is_none(),
                "OPT must stand once, at the root"
            );
            let mut options = Vec::new();
            while self.at < end {
                let (code, length) = (self.word()?, self.word()?);
                options.push((code, self.take(length.into())?.to_vec()));
            }
            *edns = Some(Edns {
                size: class,
                high: (ttl >> 24) as u8,
                version: (ttl >> 16) as u8,
                flags: ttl as u16,
                options,
            });
            return Ok(None);
        }
        let data = match kind {
            1 => Ipv4Addr::from(self.long()?).to_string(),
            28 => Ipv6Addr::from(<[u8; 16]>::try_from(self.take(16)?)?).to_string(),
            2 | 5 | 12 | 39 => self.name()?,
            6 => {
                let mut words = vec![self.name()?, self.name()?];
                for _ in 0..5 {
                    words.push(self.long()?.to_string());
                }
                words.join(" ")
            }
            16 => {
                let mut text = String::new();
                while self.at < end {
                    let length = self.byte()?;
                    text += &String::from_utf8_lossy(self.take(length.into())?);
                }
                text
            }
            _ => data_encoding::HEXLOWER.encode(self.take(length)?),
        };
        ensure!(self.at == end, "record data of the wrong length");
        Ok(Some(Record {
            name,
            kind,
            class,
            ttl,
            data,
        }))
    }
}

/// Sends one UDP query and waits for the answer with its number.
pub fn ask(server: SocketAddr, query: &Message, deadline: Duration) -> Result<Message> {
    let local: SocketAddr = if server.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(local)?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(deadline))?;
    socket.send(&query.bytes())?;
    let mut buffer = [0; 65535];
    let length = socket.recv(&mut buffer).context("no answer by UDP")?;
    let answer = Message::parse(&buffer[..length])?;
    ensure!(
        answer.id == query.id && answer.has(QR),
        "an answer to something else"
    );
    Ok(answer)
}

/// The same over a TCP connection of its own.
pub fn ask_tcp(server: SocketAddr, query: &Message, deadline: Duration) -> Result<Message> {
    let mut stream = TcpStream::connect_timeout(&server, deadline)?;
    stream.set_read_timeout(Some(deadline))?;
    let bytes = query.bytes();
    let mut whole = (bytes.len() as u16).to_be_bytes().to_vec();
    whole.extend(bytes);
    stream.write_all(&whole)?;
    let answer = Message::parse(&read_framed(&mut stream).context("no answer by TCP")?)?;
    ensure!(
        answer.id == query.id && answer.has(QR),
        "an answer to something else"
    );
    Ok(answer)
}

/// One message with its length before it (RFC 1035 section 4.2.2).
pub fn read_framed(stream: &mut impl Read) -> Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
