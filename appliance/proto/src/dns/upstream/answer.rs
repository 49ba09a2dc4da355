//! Which datagrams are answers to a question, and what in them may go on to the household.

use super::{
    name::{self, Name},
    question::{COOKIE, OPT, Sent},
};

pub const NOERROR: u16 = 0;
pub const FORMERR: u16 = 1;
pub const SERVFAIL: u16 = 2;
pub const NXDOMAIN: u16 = 3;
pub const NOTIMP: u16 = 4;
pub const REFUSED: u16 = 5;
/// RFC 7873 8
pub const BADCOOKIE: u16 = 23;

const CNAME: u16 = 5;
const DNAME: u16 = 39;
/// EDNS options: extended errors (RFC 8914) go on; all else is between us and the server.
const EXTENDED_ERROR: u16 = 15;
const PADDING: u16 = 12;
/// Aliases followed in one answer.
const ALIASES_MAX: usize = 16;
/// Records looked at; no honest answer has more.
const RECORDS_MAX: usize = 4096;

/// Why a datagram is no answer to our question. It is ignored and counted: somebody may be guessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// Too short, or not an answer to a standard query.
    Header,
    Id,
    Question,
    /// The question in other letters: a guess, or a server that does not keep them.
    Case,
    /// Our cookie does not come back.
    Cookie,
    /// The question is ours, the rest is garbage.
    Garbage,
}

/// What an answer says besides its records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// With the upper bits of EDNS.
    pub rcode: u16,
    pub truncated: bool,
    pub authenticated: bool,
    pub edns: bool,
    /// It carries our client cookie.
    pub cookie: bool,
    /// A bare refusal without a question section, as servers send that did not understand.
    pub bare: bool,
    /// Records in the answer section that nobody asked for.
    pub strays: bool,
    pub(super) server_cookie: (u16, u8),
    /// Where options of EDNS begin, and how long they are.
    pub(super) options: (u16, u16),
}

impl Facts {
    /// The server's cookie in the message these facts are about.
    pub fn server_cookie<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        let (at, length) = self.server_cookie;
        let at = usize::from(at);
        message.get(at..at + usize::from(length)).unwrap_or_default()
    }
}

/// Is `message` an answer to what was sent?
pub fn judge(message: &[u8], sent: &Sent) -> Result<Facts, Mismatch> {
    let header = message.first_chunk::<12>().ok_or(Mismatch::Header)?;
    let opcode = header[2] >> 3 & 0xf;
    if header[2] & 0x80 == 0 || opcode != 0 {
        return Err(Mismatch::Header);
    }
    if header[..2] != sent.as_bytes()[..2] {
        return Err(Mismatch::Id);
    }
    let mut facts = Facts {
        rcode: u16::from(header[3] & 0xf),
        truncated: header[2] & 0x02 != 0,
        authenticated: header[3] & 0x20 != 0,
        ..Facts::default()
    };
    let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    if count(4) == 0 {
        facts.bare = matches!(facts.rcode, FORMERR | NOTIMP | SERVFAIL | REFUSED) && count(6) == 0;
        return if facts.bare {
            Ok(facts)
        } else {
            Err(Mismatch::Question)
        };
    }
    let question = &sent.as_bytes()[12..sent.question_end];
    let theirs = message.get(12..sent.question_end).ok_or(Mismatch::Question)?;
    if count(4) != 1 || !theirs.eq_ignore_ascii_case(question) || !same_numbers(theirs, question) {
        return Err(Mismatch::Question);
    }
    if theirs != question {
        return Err(Mismatch::Case);
    }
    // A torn message that says it is torn is asked again by TCP, whatever its rest is.
    if facts.truncated {
        return Ok(facts);
    }
    walk(message, sent, &mut facts).ok_or(Mismatch::Garbage)?;
    match sent.cookie {
        // RFC 7873 5.3: whoever answers with a cookie must have seen ours.
        Some(cookie) if facts.cookie => {
            let (at, _) = facts.server_cookie;
            let ours = usize::from(at)
                .checked_sub(8)
                .and_then(|at| message.get(at..at + 8));
            (ours == Some(&cookie.client[..]))
                .then_some(facts)
                .ok_or(Mismatch::Cookie)
        }
        _ => Ok(facts),
    }
}

/// Letters were compared without case; type and class have none.
fn same_numbers(theirs: &[u8], ours: &[u8]) -> bool {
    theirs.last_chunk::<4>() == ours.last_chunk::<4>()
}

/// Takes out what was between us and the server: the id, the case of letters, and every option of EDNS but extended
/// errors (their bytes become padding, RFC 7830, so that nothing moves).
pub fn clean(message: &mut [u8], facts: &Facts, sent: &Sent) {
    message[..2].fill(0);
    if !facts.bare
        && let Some(question) = message.get_mut(12..sent.question_end - 4)
    {
        question.make_ascii_lowercase();
    }
    let (at, length) = (usize::from(facts.options.0), usize::from(facts.options.1));
    let Some(mut options) = message.get_mut(at..at + length) else {
        return;
    };
    while let Some((head, rest)) = options.split_at_mut_checked(4) {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let Some((body, rest)) = rest.split_at_mut_checked(length) else {
            return;
        };
        if u16::from_be_bytes([head[0], head[1]]) != EXTENDED_ERROR {
            head[..2].copy_from_slice(&PADDING.to_be_bytes());
            body.fill(0);
        }
        options = rest;
    }
}

/// One record as it stands in a message.
struct Row {
    owner: usize,
    rtype: u16,
    ttl: [u8; 4],
    rdata: usize,
    length: usize,
}

impl Row {
    fn read(message: &[u8], owner: usize) -> Option<Self> {
        let at = name::skip(message, owner)?;
        let fixed = message.get(at..at + 10)?;
        let row = Self {
            owner,
            rtype: u16::from_be_bytes([fixed[0], fixed[1]]),
            ttl: [fixed[4], fixed[5], fixed[6], fixed[7]],
            rdata: at + 10,
            length: usize::from(u16::from_be_bytes([fixed[8], fixed[9]])),
        };
        (row.end() <= message.len()).then_some(row)
    }

    fn end(&self) -> usize {
        self.rdata + self.length
    }
}

/// Every record once: is it whole, is it asked for, is it EDNS?
fn walk(message: &[u8], sent: &Sent, facts: &mut Facts) -> Option<()> {
    let count = |at: usize| usize::from(u16::from_be_bytes([message[at], message[at + 1]]));
    let (answers, authority, additional) = (count(6), count(8), count(10));
    if answers + authority + additional > RECORDS_MAX {
        return None;
    }
    let mut at = sent.question_end;
    let mut chain = None;
    for _ in 0..answers {
        let row = Row::read(message, at)?;
        at = row.end();
        // Nearly every record of nearly every answer belongs to the name of the question.
        let direct = message.get(row.owner..row.owner + 2) == Some(&[0xc0, 12]);
        if !direct || matches!(row.rtype, CNAME | DNAME) {
            chain = Some(());
        }
    }
    if chain.is_some() {
        facts.strays = has_strays(message, sent.question_end, answers)?;
    }
    for (last, section) in [(false, authority), (true, additional)] {
        for _ in 0..section {
            let row = Row::read(message, at)?;
            at = row.end();
            if row.rtype == OPT {
                // One, in the last section, for the root (RFC 6891 6.1.1).
                if facts.edns || !last || message[row.owner] != 0 {
                    return None;
                }
                facts.edns = true;
                facts.rcode |= u16::from(row.ttl[0]) << 4;
                read_options(message, &row, facts)?;
            }
        }
    }
    Some(())
}

fn read_options(message: &[u8], row: &Row, facts: &mut Facts) -> Option<()> {
    facts.options = (u16::try_from(row.rdata).ok()?, row.length as u16);
    let mut at = row.rdata;
    while at < row.end() {
        let head = message.get(at..at + 4)?;
        let (code, length) = (
            u16::from_be_bytes([head[0], head[1]]),
            usize::from(u16::from_be_bytes([head[2], head[3]])),
        );
        at += 4;
        if at + length > row.end() {
            return None;
        }
        // RFC 7873 4: 8 bytes of ours, 8 to 32 of the server's.
        if code == COOKIE && (length == 8 || (16..=40).contains(&length)) && !facts.cookie {
            facts.cookie = true;
            facts.server_cookie = (u16::try_from(at + 8).ok()?, (length - 8) as u8);
        }
        at += length;
    }
    Some(())
}

/// Do all records of the answer section hang on the question's name by aliases? Servers that give the aliases in another
/// order exist, so the section is read until nothing new is found.
fn has_strays(message: &[u8], start: usize, answers: usize) -> Option<bool> {
    let (first, _) = Name::read(message, 12)?;
    let mut chain = vec![first];
    loop {
        let (known, mut at, mut strays) = (chain.len(), start, false);
        for _ in 0..answers {
            let row = Row::read(message, at)?;
            at = row.end();
            let (owner, _) = Name::read(message, row.owner)?;
            let listed = chain.iter().any(|name| name.as_wire() == owner.as_wire());
            let above = row.rtype == DNAME && chain.iter().any(|name| name.is_within(owner.as_wire()));
            // RRSIG covers its sibling, and so shares its owner; that of a DNAME stands above too.
            let signs_above = row.rtype == 46
                && message.get(row.rdata..row.rdata + 2) == Some(&DNAME.to_be_bytes())
                && chain.iter().any(|name| name.is_within(owner.as_wire()));
            if !listed && !above && !signs_above {
                strays = true;
            } else if row.rtype == CNAME && listed {
                let (target, end) = Name::read(message, row.rdata)?;
                if end != row.end() {
                    return None;
                }
                let new = !chain.iter().any(|name| name.as_wire() == target.as_wire());
                if new && chain.len() <= ALIASES_MAX {
                    chain.push(target);
                }
            }
        }
        if !strays || chain.len() == known {
            return Some(strays);
        }
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
