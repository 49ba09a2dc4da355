//! Reading without a tree: a [`Raw`] is the checked bytes of one value, and its parts are found by walking them.
//!
//! A torrent of 170,000 files fits into 4 MiB and would be 100 MiB as a tree; walked, it costs nothing but time, and
//! that stays linear because nobody walks deeper than the few levels a format has.

use super::{Error, Reader};

/// Exactly one well-formed value. Keys may come in any order: the bytes are what is signed or hashed, and old torrents
/// are unsorted; [`Raw::fields`] refuses a key it was asked for when that comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(&'a [u8]);

/// Checks that `input` is one value and nothing else, at most [`super::DEPTH_MAX`] deep. Allocates nothing.
pub fn scan(input: &[u8]) -> Result<Raw<'_>, Error> {
    let mut reader = Reader::new(input, false);
    reader.skip(0)?;
    if reader.at == input.len() {
        Ok(Raw(input))
    } else {
        Err(Error::Trailing(reader.at))
    }
}

impl<'a> Raw<'a> {
    /// The value as it was written.
    pub fn raw(self) -> &'a [u8] {
        self.0
    }

    pub fn int(self) -> Option<i64> {
        let mut reader = self.enter(b'i')?;
        reader.number(b'e').ok()
    }

    pub fn bytes(self) -> Option<&'a [u8]> {
        self.0.first().filter(|b| b.is_ascii_digit())?;
        Reader::new(self.0, false).string().ok()
    }

    /// Bytes that are UTF-8.
    pub fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// The values of a list; `None` when it is none.
    pub fn items(self) -> Option<impl Iterator<Item = Raw<'a>>> {
        let mut reader = self.enter(b'l')?;
        Some(std::iter::from_fn(move || reader.value()))
    }

    /// The keys and values of a dictionary in the order written; `None` when it is none.
    pub fn entries(self) -> Option<impl Iterator<Item = (&'a [u8], Raw<'a>)>> {
        let mut reader = self.enter(b'd')?;
        Some(std::iter::from_fn(move || {
            reader.peek().ok().filter(|b| *b != b'e')?;
            let key = reader.string().ok()?;
            Some((key, reader.value()?))
        }))
    }

    /// The values of `keys` in one walk. `Ok(None)` when this is no dictionary; [`Error::Keys`] when one of them comes
    /// twice, because then two readers could see two different torrents.
    pub fn fields<const N: usize>(self, keys: [&str; N]) -> Result<Option<[Option<Raw<'a>>; N]>, Error> {
        let Some(entries) = self.entries() else {
            return Ok(None);
        };
        let mut found = [None; N];
        for (key, value) in entries {
            let Some(slot) = keys.iter().position(|k| k.as_bytes() == key) else {
                continue;
            };
            if found[slot].replace(value).is_some() {
                return Err(Error::Keys(value.0.as_ptr() as usize - self.0.as_ptr() as usize));
            }
        }
        Ok(Some(found))
    }

    fn enter(self, mark: u8) -> Option<Reader<'a>> {
        (self.0.first() == Some(&mark)).then(|| {
            let mut reader = Reader::new(self.0, false);
            reader.at = 1;
            reader
        })
    }
}

impl<'a> Reader<'a> {
    /// The next value of a list or dictionary that was checked before; `None` at its end.
    fn value(&mut self) -> Option<Raw<'a>> {
        self.peek().ok().filter(|b| *b != b'e')?;
        let start = self.at;
        self.skip(0).ok()?;
        Some(Raw(&self.input[start..self.at]))
    }

    fn skip(&mut self, depth: usize) -> Result<(), Error> {
        if depth > super::DEPTH_MAX {
            return Err(Error::Deep);
        }
        let dictionary = match self.peek()? {
            b'i' => {
                self.at += 1;
                self.number(b'e')?;
                return Ok(());
            }
            b'0'..=b'9' => {
                self.string()?;
                return Ok(());
            }
            b'l' => false,
            b'd' => true,
            _ => return Err(Error::Syntax(self.at)),
        };
        self.at += 1;
        while self.peek()? != b'e' {
            if dictionary {
                if !self.peek()?.is_ascii_digit() {
                    return Err(Error::Syntax(self.at));
                }
                self.string()?;
            }
            self.skip(depth + 1)?;
        }
        self.at += 1;
        Ok(())
    }
}
