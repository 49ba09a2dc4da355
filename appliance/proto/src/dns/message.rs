//! What an upstream says, read with bounds: how many records, how far pointers lead, how much work.

use std::ops::Range;

use super::{
    name::{LABEL_MAX, NAME_MAX},
    query::HEADER_LEN,
};

/// Records of one message at most; an answer that needs more is none a home needs.
const RECORDS_MAX: usize = 1024;
/// Pointers of one name at most: a name has at most 127 labels.
const POINTERS_MAX: usize = 127;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message is malformed")]
pub struct Malformed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Answer,
    Authority,
    Additional,
}

/// One record; its bytes stay in the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub section: Section,
    /// Where the owner's name begins.
    pub owner: usize,
    pub rtype: u16,
    pub class: u16,
    pub ttl_secs: u32,
    pub data: Range<usize>,
}

#[derive(Debug, Clone)]
pub struct Message<'a> {
    pub bytes: &'a [u8],
    pub flags: u16,
    /// Where the question's name ends; its type and class follow.
    pub question_end: usize,
    pub records: Vec<Record>,
}

impl<'a> Message<'a> {
    /// A response with one question. Records are only measured, not looked into.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(Malformed)?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        if word(4) != 1 {
            return Err(Malformed);
        }
        let question_end = skip(bytes, HEADER_LEN).ok_or(Malformed)?;
        let mut at = question_end + 4;
        let counts = [word(6), word(8), word(10)].map(usize::from);
        if counts.iter().sum::<usize>() > RECORDS_MAX || bytes.len() < at {
            return Err(Malformed);
        }
        let mut records = Vec::with_capacity(counts.iter().sum());
        let sections = [Section::Answer, Section::Authority, Section::Additional];
        for (section, count) in sections.into_iter().zip(counts) {
            for _ in 0..count {
                let record = read_record(bytes, at, section).ok_or(Malformed)?;
                at = record.data.end;
                records.push(record);
            }
        }
        Ok(Self {
            bytes,
            flags: word(2),
            question_end,
            records,
        })
    }

    /// The four low bits of the response code.
    pub fn rcode(&self) -> u16 {
        self.flags & 0xf
    }

    /// The name at `at`, without compression, in its own letters.
    pub fn name(&self, at: usize) -> Result<Vec<u8>, Malformed> {
        let mut name = Vec::new();
        self.name_into(at, &mut name)?;
        Ok(name)
    }

    /// Appends the name at `at` to `out`; gives where it ends in the message.
    pub fn name_into(&self, at: usize, out: &mut Vec<u8>) -> Result<usize, Malformed> {
        let (start, mut at, mut end, mut pointers) = (out.len(), at, None, 0);
        loop {
            let len = usize::from(*self.bytes.get(at).ok_or(Malformed)?);
            match len {
                0 => {
                    out.push(0);
                    return Ok(end.unwrap_or(at + 1));
                }
                1..=LABEL_MAX => {
                    let label = self.bytes.get(at..at + 1 + len).ok_or(Malformed)?;
                    if out.len() - start + label.len() >= NAME_MAX {
                        return Err(Malformed);
                    }
                    out.extend_from_slice(label);
                    at += 1 + len;
                }
                0xc0.. => {
                    let low = usize::from(*self.bytes.get(at + 1).ok_or(Malformed)?);
                    let target = (len & 0x3f) << 8 | low;
                    pointers += 1;
                    // Only backwards, so that it ends.
                    if target >= at || pointers > POINTERS_MAX {
                        return Err(Malformed);
                    }
                    end.get_or_insert(at + 2);
                    at = target;
                }
                _ => return Err(Malformed),
            }
        }
    }
}

/// Where the name at `at` ends.
fn skip(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*bytes.get(at)?) {
            0 => return Some(at + 1),
            len @ 1..=LABEL_MAX => at += 1 + len,
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

fn read_record(bytes: &[u8], owner: usize, section: Section) -> Option<Record> {
    let fixed = skip(bytes, owner)?;
    let head: &[u8; 10] = bytes.get(fixed..)?.first_chunk()?;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let ttl_secs = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let data = fixed + 10..fixed + 10 + usize::from(word(8));
    (data.end <= bytes.len()).then_some(Record {
        section,
        owner,
        rtype: word(0),
        class: word(2),
        // The highest bit must not be set (RFC 2181 §8).
        ttl_secs: if ttl_secs >> 31 == 0 { ttl_secs } else { 0 },
        data,
    })
}
