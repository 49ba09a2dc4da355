//! A question as it goes to another resolver: random id, random case of letters (0x20), EDNS with a cookie, never the
//! address of a device (ECS).

/// The largest datagram we take (DNS flag day 2020): what passes every path without fragments.
pub const PAYLOAD: u16 = 1232;
/// Header, longest name, type and class, OPT with the longest cookie.
const SENT_MAX: usize = 12 + 255 + 4 + 11 + 4 + 40;

const RD: u8 = 0x01;
const CD: u8 = 0x10;
const DO: u8 = 0x80;
pub(super) const OPT: u16 = 41;
pub(super) const COOKIE: u16 = 10;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// Wire form, lower case, with the root byte.
    pub name: &'a [u8],
    pub qtype: u16,
    pub qclass: u16,
    pub dnssec_ok: bool,
    pub checking_disabled: bool,
}

/// A client cookie and the server's reply to it (RFC 7873 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie {
    pub client: [u8; 8],
    server: [u8; 32],
    length: u8,
}

impl Cookie {
    pub fn new(client: [u8; 8]) -> Self {
        Self {
            client,
            server: [0; 32],
            length: 0,
        }
    }

    /// Empty: the server's is not known.
    pub fn server(&self) -> &[u8] {
        &self.server[..usize::from(self.length)]
    }

    /// 8 to 32 bytes; anything else forgets what was known.
    pub fn set_server(&mut self, server: &[u8]) {
        self.length = 0;
        if (8..=32).contains(&server.len()) {
            self.server[..server.len()].copy_from_slice(server);
            self.length = server.len() as u8;
        }
    }
}

/// How it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Dress {
    pub id: u16,
    /// Bits that choose the case of letters; `None`: lower case, for servers that do not keep it.
    pub case: Option<[u64; 4]>,
    /// `None`: without EDNS, for servers that do not know it.
    pub edns: Option<Edns>,
}

#[derive(Debug, Clone, Copy)]
pub struct Edns {
    pub cookie: Option<Cookie>,
}

/// A question as it was sent, to hold answers against.
#[derive(Clone)]
pub struct Sent {
    bytes: [u8; SENT_MAX],
    length: usize,
    /// Where the question section ends.
    pub(super) question_end: usize,
    pub(super) cookie: Option<Cookie>,
}

impl Sent {
    /// `None`: the name is no name.
    pub fn new(question: &Question<'_>, dress: &Dress) -> Option<Self> {
        if !is_wire_name(question.name) {
            return None;
        }
        let mut sent = Self {
            bytes: [0; SENT_MAX],
            length: 0,
            question_end: 0,
            cookie: None,
        };
        sent.put(&dress.id.to_be_bytes());
        let second = if question.checking_disabled { CD } else { 0 };
        sent.put(&[RD, second, 0, 1, 0, 0, 0, 0, 0, u8::from(dress.edns.is_some())]);
        sent.put(question.name);
        if let Some(bits) = dress.case {
            mix_case(&mut sent.bytes[12..12 + question.name.len()], bits);
        }
        sent.put(&question.qtype.to_be_bytes());
        sent.put(&question.qclass.to_be_bytes());
        sent.question_end = sent.length;
        if let Some(edns) = dress.edns {
            sent.put_opt(edns, question.dnssec_ok);
        }
        Some(sent)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// RFC 6891 6.1.2.
    fn put_opt(&mut self, edns: Edns, dnssec_ok: bool) {
        self.put(&[0]);
        self.put(&OPT.to_be_bytes());
        self.put(&PAYLOAD.to_be_bytes());
        self.put(&[0, 0, if dnssec_ok { DO } else { 0 }, 0]);
        let Some(cookie) = edns.cookie else {
            return self.put(&[0, 0]);
        };
        self.cookie = Some(cookie);
        let length = 8 + cookie.server().len() as u16;
        self.put(&(length + 4).to_be_bytes());
        self.put(&COOKIE.to_be_bytes());
        self.put(&length.to_be_bytes());
        self.put(&cookie.client);
        self.put(cookie.server());
    }
}

fn is_wire_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let [length @ 1..=63, ..] = rest {
        let Some(next) = rest.get(usize::from(*length) + 1..) else {
            return false;
        };
        rest = next;
    }
    rest == [0] && name.len() <= super::name::NAME_MAX
}

/// draft-vixie-dnsext-dns0x20: only letters have a case; bytes that hold lengths are below them.
fn mix_case(name: &mut [u8], bits: [u64; 4]) {
    for (at, byte) in name.iter_mut().enumerate() {
        let upper = (bits[at / 64 % 4] >> (at % 64)) as u8 & 1;
        if byte.is_ascii_lowercase() {
            *byte ^= upper << 5;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: Question<'_> = Question {
        name: b"\x03www\x07example\x03com\x00",
        qtype: 28,
        qclass: 1,
        dnssec_ok: true,
        checking_disabled: true,
    };

    #[test]
    fn a_question_is_written_with_edns_and_cookie_and_nothing_else() {
        let mut cookie = Cookie::new(*b"clientck");
        cookie.set_server(b"servercookie");
        let dress = Dress {
            id: 0x1234,
            case: None,
            edns: Some(Edns { cookie: Some(cookie) }),
        };
        let sent = Sent::new(&QUESTION, &dress).expect("a name");
        let expected = [
            &b"\x12\x34\x01\x10\x00\x01\x00\x00\x00\x00\x00\x01\x03www\x07example\x03com\x00\x00\x1c\x00\x01"
                [..],
            b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x18\x00\x0a\x00\x14clientckservercookie",
        ]
        .concat();
        assert_eq!(sent.as_bytes(), expected);
        let plain = Dress { edns: None, ..dress };
        let sent = Sent::new(&QUESTION, &plain).expect("a name");
        assert_eq!(sent.as_bytes().len(), 12 + 17 + 4);
    }

    #[test]
    fn only_letters_change_their_case() {
        let dress = Dress {
            id: 0,
            case: Some([u64::MAX; 4]),
            edns: None,
        };
        let question = Question {
            name: b"\x06a-1_z.\x02\xc3\xa4\x00",
            ..QUESTION
        };
        let sent = Sent::new(&question, &dress).expect("a name");
        assert_eq!(&sent.as_bytes()[12..23], b"\x06A-1_Z.\x02\xc3\xa4\x00");
    }

    #[test]
    fn what_is_no_name_is_not_asked() {
        let dress = Dress {
            id: 0,
            case: None,
            edns: None,
        };
        let long = [&[1, b'a'].repeat(128)[..], &[0]].concat();
        for name in [&b""[..], b"\x03ww", b"\x03www", b"\xc0\x0c", b"\x00\x00", &long] {
            assert!(
                Sent::new(&Question { name, ..QUESTION }, &dress).is_none(),
                "{name:?}"
            );
        }
        let root = Question {
            name: b"\x00",
            ..QUESTION
        };
        assert!(Sent::new(&root, &dress).is_some());
    }
}
