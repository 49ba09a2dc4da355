//! What of an upstream's answer is kept: the chain from the question to its records, the proof that there are none, and the
//! DNSSEC records about them. It is written anew, so that nothing a stranger sent is passed on that was not understood:
//! extra records, strange flags and EDNS options are left out.

use super::{
    CLASS_IN, Rcode, Why,
    message::{Malformed, Message, Record, Section},
    name,
    query::{HEADER_LEN, bits},
    rebind, rtype,
};

/// Aliases followed in one answer.
const ALIASES_MAX: usize = 16;
/// How long "there is none" counts without a word on it, and at most (RFC 2308 §5).
const NEGATIVE_SECS: u32 = 5;
const NEGATIVE_SECS_MAX: u32 = 3600;
/// No answer counts longer, whatever it says; a mistake is then over in a day.
const TTL_SECS_MAX: u32 = 86_400;
/// How long a withheld answer counts.
const WITHHELD_SECS: u32 = 60;

/// An answer as it is kept: question name in lower case, id 0, no OPT record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    pub image: Vec<u8>,
    /// Where the TTLs stand.
    pub ttls: Vec<u16>,
    /// For how long it counts.
    pub ttl_secs: u32,
    /// Why it is not what the upstream said.
    pub why: Option<Why>,
}

/// What the answer is for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Wire form, lower case.
    pub name: &'a [u8],
    pub qtype: u16,
    pub qclass: u16,
    pub dnssec_ok: bool,
    /// Addresses of the home are withheld.
    pub public: bool,
}

/// `Err`: it is no answer to this question, or only says that the upstream does not work.
pub fn digest(bytes: &[u8], asked: &Asked<'_>) -> Result<Digest, Malformed> {
    let message = Message::read(bytes)?;
    let question = message.name(HEADER_LEN)?;
    let fixed = &bytes[message.question_end..message.question_end + 4];
    let expected = [asked.qtype.to_be_bytes(), asked.qclass.to_be_bytes()].concat();
    if !question.eq_ignore_ascii_case(asked.name) || fixed != expected || message.flags & bits::QR == 0 {
        return Err(Malformed);
    }
    let negative = match message.rcode() {
        code if code == Rcode::NoError as u16 => false,
        code if code == Rcode::NxDomain as u16 => true,
        _ => return Err(Malformed),
    };
    let mut image = Image::new(&message, asked)?;
    let (last, found) = image.chain(asked)?;
    if asked.public && image.withhold {
        return Ok(withheld(asked));
    }
    if negative || !found {
        image.negative(&last, asked)?;
    } else if asked.dnssec_ok {
        image.proofs(asked)?;
    }
    Ok(image.done())
}

/// In place of an answer that points into the home: there is no such record.
fn withheld(asked: &Asked<'_>) -> Digest {
    let mut image = head(bits::QR | bits::RA, asked);
    image[9] = 1;
    let start = image.len();
    image.extend([0xc0, HEADER_LEN as u8]);
    image.extend(rtype::SOA.to_be_bytes());
    image.extend(CLASS_IN.to_be_bytes());
    let ttl = image.len() as u16;
    image.extend(WITHHELD_SECS.to_be_bytes());
    image.extend([0, 0, 0xc0, HEADER_LEN as u8]);
    image.extend(b"\x06nobody\x07invalid\0");
    image.extend(
        [1, 3600, 1200, 604_800, WITHHELD_SECS]
            .iter()
            .flat_map(|n: &u32| n.to_be_bytes()),
    );
    let len = (image.len() - start - 12) as u16;
    image[start + 10..start + 12].copy_from_slice(&len.to_be_bytes());
    Digest {
        image,
        ttls: vec![ttl],
        ttl_secs: WITHHELD_SECS,
        why: Some(Why::Filtered),
    }
}

fn head(flags: u16, asked: &Asked<'_>) -> Vec<u8> {
    let mut image = vec![0, 0];
    image.extend(flags.to_be_bytes());
    image.extend([0, 1, 0, 0, 0, 0, 0, 0]);
    image.extend_from_slice(asked.name);
    image.extend(asked.qtype.to_be_bytes());
    image.extend(asked.qclass.to_be_bytes());
    image
}

/// A message being written from another one.
struct Image<'m> {
    message: &'m Message<'m>,
    /// Owner of each record, lower case.
    owners: Vec<Vec<u8>>,
    taken: Vec<bool>,
    bytes: Vec<u8>,
    ttls: Vec<u16>,
    ttl_secs: u32,
    withhold: bool,
    counts: [u16; 2],
    /// Names that stand in `bytes` and can be pointed to.
    known: Vec<(Vec<u8>, usize)>,
}

impl<'m> Image<'m> {
    fn new(message: &'m Message<'m>, asked: &Asked<'_>) -> Result<Self, Malformed> {
        let mut owners = Vec::with_capacity(message.records.len());
        for record in &message.records {
            let mut owner = match record.section {
                // Never looked at.
                Section::Additional => Vec::new(),
                _ => message.name(record.owner)?,
            };
            owner.make_ascii_lowercase();
            owners.push(owner);
        }
        let kept = message.flags & (bits::AD | 0xf);
        Ok(Self {
            message,
            taken: vec![false; owners.len()],
            owners,
            bytes: head(bits::QR | bits::RA | kept, asked),
            ttls: Vec::new(),
            ttl_secs: TTL_SECS_MAX,
            withhold: false,
            counts: [0; 2],
            known: vec![(asked.name.to_vec(), HEADER_LEN)],
        })
    }

    /// Takes the records of the question's name and of what it is an alias of. Gives the last name and whether it has what
    /// was asked for.
    fn chain(&mut self, asked: &Asked<'_>) -> Result<(Vec<u8>, bool), Malformed> {
        let mut current = asked.name.to_vec();
        let mut found = false;
        for _ in 0..ALIASES_MAX {
            let mut next = None;
            for at in 0..self.owners.len() {
                let record = &self.message.records[at];
                if record.section != Section::Answer || record.class != asked.qclass || self.taken[at] {
                    continue;
                }
                let signed = covered(self.message, record);
                let dname = signed == rtype::DNAME && asked.qtype != rtype::DNAME;
                let here = if dname {
                    self.owners[at] != current && name::is_within(&current, &self.owners[at])
                } else {
                    self.owners[at] == current
                        && (signed == asked.qtype || signed == rtype::CNAME || asked.qtype == rtype::RRSIG)
                };
                if !here || (record.rtype == rtype::RRSIG && !asked.dnssec_ok && asked.qtype != rtype::RRSIG)
                {
                    continue;
                }
                if !dname && (record.rtype == asked.qtype || asked.qtype == rtype::ANY) {
                    found = true;
                } else if record.rtype == rtype::CNAME {
                    next = Some(record.data.start);
                }
                self.withhold |= rebind::points_inside(self.message.bytes, record);
                self.take(at, 0)?;
            }
            match next {
                Some(target) if !found => {
                    current = self.message.name(target)?;
                    current.make_ascii_lowercase();
                }
                _ => break,
            }
        }
        Ok((current, found))
    }

    /// The SOA record over the last name and, with DNSSEC, all proofs.
    fn negative(&mut self, last: &[u8], asked: &Asked<'_>) -> Result<(), Malformed> {
        let mut secs = NEGATIVE_SECS;
        for at in 0..self.owners.len() {
            let record = &self.message.records[at];
            if record.section != Section::Authority
                || record.class != asked.qclass
                || record.rtype != rtype::SOA
            {
                continue;
            }
            if name::is_within(last, &self.owners[at]) {
                let minimum = self.message.bytes[record.data.clone()].last_chunk::<4>();
                let minimum = minimum.map_or(0, |bytes| u32::from_be_bytes(*bytes));
                secs = record.ttl_secs.min(minimum).min(NEGATIVE_SECS_MAX);
                let limit = secs;
                self.take(at, 1)?;
                self.limit_last(limit);
                break;
            }
        }
        if asked.dnssec_ok {
            self.proofs(asked)?;
        }
        self.ttl_secs = self.ttl_secs.min(secs);
        Ok(())
    }

    /// Records that prove what is not there (RFC 4035 §3.1.3), with their signatures.
    fn proofs(&mut self, asked: &Asked<'_>) -> Result<(), Malformed> {
        for at in 0..self.owners.len() {
            let record = &self.message.records[at];
            let proof = matches!(
                covered(self.message, record),
                rtype::NSEC | rtype::NSEC3 | rtype::SOA
            ) && (record.rtype != rtype::SOA);
            if record.section == Section::Authority && record.class == asked.qclass && proof {
                self.take(at, 1)?;
            }
        }
        Ok(())
    }

    /// The TTL of the record written last becomes `secs` at most.
    fn limit_last(&mut self, secs: u32) {
        if let Some(at) = self.ttls.last().map(|at| usize::from(*at)) {
            self.bytes[at..at + 4].copy_from_slice(&secs.to_be_bytes());
        }
    }

    fn take(&mut self, at: usize, section: usize) -> Result<(), Malformed> {
        if std::mem::replace(&mut self.taken[at], true) {
            return Ok(());
        }
        let record = self.message.records[at].clone();
        let owner = std::mem::take(&mut self.owners[at]);
        self.write_name(&owner);
        self.owners[at] = owner;
        let ttl_secs = record.ttl_secs.min(TTL_SECS_MAX);
        self.ttl_secs = self.ttl_secs.min(ttl_secs);
        self.bytes.extend(record.rtype.to_be_bytes());
        self.bytes.extend(record.class.to_be_bytes());
        // Pointers and these marks reach 16 KiB and 64 KiB; longer answers are none.
        self.ttls
            .push(u16::try_from(self.bytes.len()).map_err(|_| Malformed)?);
        self.bytes.extend(ttl_secs.to_be_bytes());
        self.bytes.extend([0, 0]);
        let start = self.bytes.len();
        self.write_data(&record)?;
        let len = u16::try_from(self.bytes.len() - start).map_err(|_| Malformed)?;
        self.bytes[start - 2..start].copy_from_slice(&len.to_be_bytes());
        self.counts[section] += 1;
        Ok(())
    }

    /// A name that stands above, or behind a label of one that does, is pointed to.
    fn write_name(&mut self, name: &[u8]) {
        let mut best: Option<(usize, usize)> = None;
        for (known, at) in self.known.iter().rev() {
            if best.is_some_and(|(least, _)| least == 0) {
                break;
            }
            // How much of `name` stands before the part they share.
            for part in name::upwards(name).filter(|part| part.len() > 1) {
                if name::is_within(known, part) {
                    let before = name.len() - part.len();
                    if best.is_none_or(|(least, _)| before < least) {
                        best = Some((before, at + known.len() - part.len()));
                    }
                    break;
                }
            }
        }
        let here = self.bytes.len();
        match best.filter(|(_, at)| *at < 0x4000) {
            Some((before, at)) => {
                self.bytes.extend_from_slice(&name[..before]);
                self.bytes.extend((0xc000 | at as u16).to_be_bytes());
                // Names that only borrow their end cannot be pointed into as one piece.
            }
            None => {
                self.bytes.extend_from_slice(name);
                if self.known.len() < ALIASES_MAX && here < 0x3f00 {
                    self.known.push((name.to_vec(), here));
                }
            }
        }
    }

    /// Types of RFC 1035 may be compressed in an answer; all later ones are not (RFC 3597 §4).
    fn write_data(&mut self, record: &Record) -> Result<(), Malformed> {
        let data = &self.message.bytes[record.data.clone()];
        let (before, names) = match record.rtype {
            rtype::NS | rtype::CNAME | rtype::PTR | rtype::DNAME => (0, 1),
            rtype::MX => (2, 1),
            rtype::SRV => (6, 1),
            rtype::SOA => (0, 2),
            _ => {
                self.bytes.extend_from_slice(data);
                return Ok(());
            }
        };
        self.bytes.extend_from_slice(data.get(..before).ok_or(Malformed)?);
        let mut at = record.data.start + before;
        for _ in 0..names {
            let mut name = Vec::new();
            at = self.message.name_into(at, &mut name)?;
            if record.rtype == rtype::CNAME {
                // Owners that follow point here, in its own letters.
                let here = self.bytes.len();
                self.bytes.extend_from_slice(&name);
                name.make_ascii_lowercase();
                if self.known.len() < ALIASES_MAX && here < 0x3f00 {
                    self.known.push((name, here));
                }
            } else {
                self.bytes.extend_from_slice(&name);
            }
        }
        let rest = self.message.bytes.get(at..record.data.end).ok_or(Malformed)?;
        let expected = if record.rtype == rtype::SOA { 20 } else { 0 };
        if rest.len() != expected {
            return Err(Malformed);
        }
        self.bytes.extend_from_slice(rest);
        Ok(())
    }

    fn done(mut self) -> Digest {
        for (at, count) in [6, 8].into_iter().zip(self.counts) {
            self.bytes[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
        Digest {
            image: self.bytes,
            ttls: self.ttls,
            ttl_secs: self.ttl_secs,
            why: None,
        }
    }
}

/// The type a record is about: its own, or that which it signs (RFC 4034 §3.1.1).
fn covered(message: &Message<'_>, record: &Record) -> u16 {
    let data = &message.bytes[record.data.clone()];
    match (record.rtype, data.first_chunk::<2>()) {
        (rtype::RRSIG, Some(bytes)) => u16::from_be_bytes(*bytes),
        (rtype, _) => rtype,
    }
}

#[cfg(test)]
#[path = "tests/digest.rs"]
mod tests;
