//! How values of rows are written: numbers little-endian, texts with their length in front. A later release may add fields
//! at the end of a row and of a list's entries; this one skips what it does not know.

use proto::{id::InfoHash, key::PublicKey, record::Mutable};

use crate::tables::{Reader, put_text};

pub(super) use crate::tables::Reader as Row;

pub(super) fn put_u64(out: &mut Vec<u8>, words: &[u64]) {
    for word in words {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

pub(super) fn put_u32(out: &mut Vec<u8>, word: u32) {
    out.extend_from_slice(&word.to_le_bytes());
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, bytes.len() as u32);
    out.extend_from_slice(bytes);
}

pub(super) fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    put_u32(out, texts.len() as u32);
    texts.iter().for_each(|text| put_text(out, text));
}

/// 20 bytes of zeros stand for none: no torrent has that hash.
pub(super) fn put_infohash(out: &mut Vec<u8>, ih: Option<InfoHash>) {
    out.extend_from_slice(&ih.map_or([0; 20], |ih| ih.0));
}

/// Entries of one size.
pub(super) fn put_list(out: &mut Vec<u8>, size: usize, entries: &[Vec<u8>]) {
    put_u32(out, entries.len() as u32);
    put_u32(out, size as u32);
    entries.iter().for_each(|entry| out.extend_from_slice(entry));
}

pub(super) fn put_item(out: &mut Vec<u8>, item: &Mutable) {
    out.extend_from_slice(&item.key.0);
    out.extend_from_slice(&item.sig);
    out.extend_from_slice(&item.seq.to_le_bytes());
    put_bytes(out, &item.salt);
    put_bytes(out, &item.value);
}

pub(super) fn read_item(row: &mut Reader) -> Option<Mutable> {
    Some(Mutable {
        key: PublicKey(row.array()?),
        sig: row.array()?,
        seq: i64::from_le_bytes(row.array()?),
        salt: row.bytes()?.to_vec(),
        value: row.bytes()?.to_vec(),
    })
}

impl<'a> Reader<'a> {
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()? as usize;
        self.take(len)
    }

    pub fn texts(&mut self) -> Option<Vec<String>> {
        let count = self.u32()?;
        (0..count).map(|_| self.text()).collect()
    }

    pub fn infohash(&mut self) -> Option<Option<InfoHash>> {
        let ih: [u8; 20] = self.array()?;
        Some((ih != [0; 20]).then_some(InfoHash(ih)))
    }

    /// What [`put_list`] wrote; entries may be longer than `read` knows.
    pub fn list<T>(&mut self, read: impl Fn(&mut Reader) -> Option<T>) -> Option<Vec<T>> {
        let (count, size) = (self.u32()?, self.u32()? as usize);
        (0..count).map(|_| read(&mut Reader(self.take(size)?))).collect()
    }
}
