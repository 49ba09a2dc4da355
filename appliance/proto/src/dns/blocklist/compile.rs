//! From texts to the compiled file: one pass, bounded memory, nothing kept of a line but its hashes.

use super::{
    super::name::{LABEL_MAX, NAME_MAX},
    hash::sip13,
    line::{self, LINE_BYTES_MAX, Line, Rule},
    list::{self, Key},
};

/// What became of the lines of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub lines: u64,
    /// Names to block, before double ones are counted once.
    pub blocked: u64,
    /// Exceptions.
    pub excepted: u64,
    /// Rules that DNS cannot follow; left out.
    pub unsupported: u64,
    /// Lines that make no sense; left out.
    pub bad: u64,
    /// Modifiers of rules that were taken, without effect here.
    pub modifiers: u64,
    /// Names over the bound; left out.
    pub over: u64,
}

/// Takes lists in pieces, as they arrive.
pub struct Compiler {
    key: Key,
    names_max: usize,
    blocked: Vec<u64>,
    excepted: Vec<u64>,
    labels_max: u32,
    /// The begin of a line whose end has not arrived.
    line: Vec<u8>,
    /// The line under way is too long: the rest of it is skipped.
    skipping: bool,
    counts: Counts,
}

impl Compiler {
    /// `key`: random, drawn for this compilation. `names_max`: eight bytes of memory each, here and in the file.
    pub fn new(key: Key, names_max: usize) -> Self {
        Self {
            key,
            names_max,
            blocked: Vec::new(),
            excepted: Vec::new(),
            labels_max: 0,
            line: Vec::new(),
            skipping: false,
            counts: Counts::default(),
        }
    }

    /// The next bytes of a list.
    pub fn read(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            if self.skipping || self.line.len() + line.len() > LINE_BYTES_MAX {
                self.counts.lines += 1;
                self.counts.bad += 1;
                self.line.clear();
                self.skipping = false;
            } else if self.line.is_empty() {
                self.take_line(line);
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.take_line(&whole);
                whole.clear();
                self.line = whole;
            }
            rest = after;
        }
        if self.line.len() + rest.len() > LINE_BYTES_MAX {
            self.line.clear();
            self.skipping = true;
        } else if !self.skipping {
            self.line.extend_from_slice(rest);
        }
    }

    /// The list is over; what became of it. The next one may follow.
    pub fn end(&mut self) -> Counts {
        if !self.line.is_empty() || self.skipping {
            self.read(b"\n");
        }
        std::mem::take(&mut self.counts)
    }

    /// Blocks one name with everything below; false: it is no name, or one too many.
    pub fn block(&mut self, name: &str) -> bool {
        self.take(Rule {
            name,
            below: true,
            except: false,
        })
    }

    /// Excepts one name with everything below.
    pub fn except(&mut self, name: &str) -> bool {
        self.take(Rule {
            name,
            below: true,
            except: true,
        })
    }

    /// The file: [`super`] says how it looks.
    pub fn finish(mut self) -> Vec<u8> {
        sort(&mut self.blocked);
        sort(&mut self.excepted);
        list::write(&self.key, self.labels_max, &self.blocked, &self.excepted)
    }

    /// Bytes held of a line whose end has not come.
    #[cfg(test)]
    pub(super) fn line_bytes(&self) -> usize {
        self.line.len()
    }

    fn take_line(&mut self, line: &[u8]) {
        self.counts.lines += 1;
        let Ok(text) = std::str::from_utf8(line) else {
            self.counts.bad += 1;
            return;
        };
        match line::read(text, |rule| self.take(rule)) {
            Line::Nothing => {}
            Line::Rules { modifiers } => self.counts.modifiers += u64::from(modifiers),
            Line::Unsupported => self.counts.unsupported += 1,
            Line::Bad => self.counts.bad += 1,
        }
    }

    fn take(&mut self, rule: Rule<'_>) -> bool {
        let mut buffer = [0; NAME_MAX];
        let Some((wire, labels)) = to_wire(rule.name, &mut buffer) else {
            return false;
        };
        let hash = list::entry(sip13(&self.key, wire), rule.below);
        if self.blocked.len() + self.excepted.len() >= self.names_max {
            self.counts.over += 1;
            return true;
        }
        self.labels_max = self.labels_max.max(labels);
        match rule.except {
            true => {
                self.counts.excepted += 1;
                self.excepted.push(hash);
            }
            false => {
                self.counts.blocked += 1;
                self.blocked.push(hash);
            }
        }
        true
    }
}

/// Each name once; "with everything below" covers the name alone.
fn sort(hashes: &mut Vec<u64>) {
    hashes.sort_unstable();
    // `dedup_by` drops the later of two, which is the wider one: it is kept by widening the earlier.
    hashes.dedup_by(|later, earlier| {
        let same = *later | 1 == *earlier | 1;
        if same {
            *earlier |= *later;
        }
        same
    });
}

/// The name in lower-case wire form and its number of labels. Names in other scripts become what is asked for them in DNS
/// (UTS 46). `None`: not a name of a host.
fn to_wire<'a>(name: &str, buffer: &'a mut [u8; NAME_MAX]) -> Option<(&'a [u8], u32)> {
    if name.is_ascii() {
        return ascii_to_wire(name, buffer);
    }
    let ascii = idna::domain_to_ascii(name).ok()?;
    ascii_to_wire(&ascii, buffer)
}

fn ascii_to_wire<'a>(name: &str, buffer: &'a mut [u8; NAME_MAX]) -> Option<(&'a [u8], u32)> {
    let name = name.strip_suffix('.').unwrap_or(name).as_bytes();
    // Each dot becomes a length byte; the first length byte and the root's zero are two more.
    if name.is_empty() || name.len() + 2 > NAME_MAX {
        return None;
    }
    let (mut start, mut labels, mut only_digits) = (0, 0, true);
    for (at, byte) in name.iter().chain(b".").enumerate() {
        if *byte != b'.' {
            let byte = byte.to_ascii_lowercase();
            if !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') {
                return None;
            }
            only_digits &= byte.is_ascii_digit();
            buffer[at + 1] = byte;
            continue;
        }
        let len = at - start;
        if len == 0 || len > LABEL_MAX {
            return None;
        }
        buffer[start] = len as u8;
        labels += 1;
        start = at + 1;
        // An address is no name.
        if at == name.len() && only_digits {
            return None;
        }
        only_digits = true;
    }
    buffer[start] = 0;
    Some((&buffer[..=start], labels))
}
