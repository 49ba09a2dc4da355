//! Bencoding (BEP 3): a reader that keeps the exact bytes of every value, and a canonical writer.
//!
//! Signatures and infohashes cover bytes, not meanings, so [`Node::raw`] is the slice as it came and is never re-encoded.
//! Nothing is allocated from a length prefix before the bytes are there, and depth and node count are bounded.
//! `scan` reads without building a tree, for documents as large as torrents; [`parse`] is for messages.

pub mod scan;
pub mod show;

use thiserror::Error;

/// Deepest nesting accepted. Real torrents need six (v2 file trees more: one per folder).
pub const DEPTH_MAX: usize = 64;

/// Most values in one tree. A node takes 64 bytes for as little as two bytes of input, so this is what bounds memory;
/// the largest messages of the wire protocols have a few thousand. Torrents are read by [`scan`] instead.
pub const NODES_MAX: usize = 100_000;

/// Why bytes are not bencoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Error {
    #[error("bencoding ends early at byte {0}")]
    Truncated(usize),
    #[error("unexpected byte at {0}")]
    Syntax(usize),
    #[error("number out of range or not canonical at byte {0}")]
    Number(usize),
    #[error("dictionary keys unsorted or repeated at byte {0}")]
    Keys(usize),
    #[error("nested deeper than {DEPTH_MAX}")]
    Deep,
    #[error("more than {NODES_MAX} values")]
    Large,
    #[error("bytes after the end at {0}")]
    Trailing(usize),
}

/// One value and the exact bytes it was written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node<'a> {
    pub raw: &'a [u8],
    pub kind: Kind<'a>,
}

/// The four kinds of value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    List(Vec<Node<'a>>),
    Dict(Vec<(&'a [u8], Node<'a>)>),
}

impl<'a> Node<'a> {
    pub fn int(&self) -> Option<i64> {
        if let Kind::Int(n) = self.kind {
            Some(n)
        } else {
            None
        }
    }

    pub fn bytes(&self) -> Option<&'a [u8]> {
        if let Kind::Bytes(b) = self.kind {
            Some(b)
        } else {
            None
        }
    }

    /// Bytes that are UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        self.bytes().and_then(|b| std::str::from_utf8(b).ok())
    }

    pub fn list(&self) -> Option<&[Node<'a>]> {
        if let Kind::List(l) = &self.kind {
            Some(l)
        } else {
            None
        }
    }

    pub fn dict(&self) -> Option<&[(&'a [u8], Node<'a>)]> {
        if let Kind::Dict(d) = &self.kind {
            Some(d)
        } else {
            None
        }
    }

    /// The value under `key`, when this is a dictionary that has it.
    pub fn get(&self, key: &[u8]) -> Option<&Node<'a>> {
        self.dict()?.iter().find(|(k, _)| *k == key).map(|(_, v)| v)
    }
}

/// Reads exactly one value; dictionary keys must be sorted and unique, as BEP 3 demands.
pub fn parse(input: &[u8]) -> Result<Node<'_>, Error> {
    let (node, end) = parse_prefix(input)?;
    if end == input.len() {
        Ok(node)
    } else {
        Err(Error::Trailing(end))
    }
}

/// Reads one value from the front and says where it ended: ut_metadata and some trackers append payload (BEP 9).
pub fn parse_prefix(input: &[u8]) -> Result<(Node<'_>, usize), Error> {
    Reader::new(input, true).document()
}

/// Like [`parse`], but keys in any order are accepted (not repeated ones): some trackers and old torrents are unsorted.
pub fn parse_unsorted(input: &[u8]) -> Result<Node<'_>, Error> {
    let (node, end) = Reader::new(input, false).document()?;
    if end == input.len() {
        Ok(node)
    } else {
        Err(Error::Trailing(end))
    }
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    nodes: usize,
    sorted: bool,
}

impl<'a> Reader<'a> {
    fn new(input: &'a [u8], sorted: bool) -> Self {
        Reader {
            input,
            at: 0,
            nodes: 0,
            sorted,
        }
    }

    fn document(mut self) -> Result<(Node<'a>, usize), Error> {
        let node = self.node(0)?;
        Ok((node, self.at))
    }

    fn peek(&self) -> Result<u8, Error> {
        self.input.get(self.at).copied().ok_or(Error::Truncated(self.at))
    }

    fn node(&mut self, depth: usize) -> Result<Node<'a>, Error> {
        if depth > DEPTH_MAX {
            return Err(Error::Deep);
        }
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(Error::Large);
        }
        let start = self.at;
        let kind = match self.peek()? {
            b'i' => {
                self.at += 1;
                Kind::Int(self.number(b'e')?)
            }
            b'0'..=b'9' => Kind::Bytes(self.string()?),
            b'l' => {
                self.at += 1;
                let mut items = Vec::new();
                while self.peek()? != b'e' {
                    items.push(self.node(depth + 1)?);
                }
                self.at += 1;
                Kind::List(items)
            }
            b'd' => {
                self.at += 1;
                Kind::Dict(self.entries(depth)?)
            }
            _ => return Err(Error::Syntax(start)),
        };
        Ok(Node {
            raw: &self.input[start..self.at],
            kind,
        })
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<(&'a [u8], Node<'a>)>, Error> {
        let mut entries: Vec<(&'a [u8], Node<'a>)> = Vec::new();
        while self.peek()? != b'e' {
            let at = self.at;
            if !self.peek()?.is_ascii_digit() {
                return Err(Error::Syntax(at));
            }
            let key = self.string()?;
            if self.sorted && entries.last().is_some_and(|(last, _)| *last >= key) {
                return Err(Error::Keys(at));
            }
            let value = self.node(depth + 1)?;
            entries.push((key, value));
        }
        if !self.sorted {
            let mut keys: Vec<_> = entries.iter().map(|(k, _)| *k).collect();
            keys.sort_unstable();
            if keys.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(Error::Keys(self.at));
            }
        }
        self.at += 1;
        Ok(entries)
    }

    fn string(&mut self) -> Result<&'a [u8], Error> {
        let start = self.at;
        let length = usize::try_from(self.number(b':')?).map_err(|_| Error::Number(start))?;
        let end = self.at.checked_add(length).ok_or(Error::Number(start))?;
        let bytes = self
            .input
            .get(self.at..end)
            .ok_or(Error::Truncated(self.input.len()))?;
        self.at = end;
        Ok(bytes)
    }

    /// Digits up to `end`, which is consumed. Canonical only: no leading zeros, no "-0", no sign on lengths.
    fn number(&mut self, end: u8) -> Result<i64, Error> {
        let start = self.at;
        // 20 characters hold every i64; a longer run is an error before it is scanned.
        let window = &self.input[start..self.input.len().min(start + 21)];
        let Some(length) = window.iter().position(|b| *b == end) else {
            let short = window.len() < 21 && window.iter().all(|b| b.is_ascii_digit() || *b == b'-');
            return Err(if short {
                Error::Truncated(self.input.len())
            } else {
                Error::Number(start)
            });
        };
        let digits = &window[..length];
        let (negative, magnitude) = match digits {
            [b'-', rest @ ..] if end == b'e' => (true, rest),
            _ => (false, digits),
        };
        let canonical = match magnitude {
            [] => false,
            [b'0'] => !negative,
            [b'0', ..] => false,
            _ => magnitude.iter().all(u8::is_ascii_digit),
        };
        let value = std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse().ok());
        match value {
            Some(value) if canonical => {
                self.at = start + length + 1;
                Ok(value)
            }
            _ => Err(Error::Number(start)),
        }
    }
}

/// A value to write. Dictionaries are sorted when written, so the output is always canonical.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Dict(Vec<(Vec<u8>, Value)>),
    /// Already bencoded: copied verbatim.
    Raw(Vec<u8>),
}

impl Value {
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Value::Bytes(bytes.into())
    }

    pub fn text(text: &str) -> Self {
        Value::Bytes(text.as_bytes().to_vec())
    }

    /// A dictionary from `(key, value)` pairs in any order; keys must differ.
    pub fn dict<K: Into<Vec<u8>>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Value::Dict(entries.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Int(n) => out.extend_from_slice(format!("i{n}e").as_bytes()),
            Value::Bytes(bytes) => write_bytes(out, bytes),
            Value::List(items) => {
                out.push(b'l');
                items.iter().for_each(|item| item.write(out));
                out.push(b'e');
            }
            Value::Dict(entries) => {
                let mut sorted: Vec<_> = entries.iter().collect();
                sorted.sort_by(|a, b| a.0.cmp(&b.0));
                out.push(b'd');
                for (key, value) in sorted {
                    write_bytes(out, key);
                    value.write(out);
                }
                out.push(b'e');
            }
            Value::Raw(raw) => out.extend_from_slice(raw),
        }
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests;
