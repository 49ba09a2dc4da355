//! ZIP (APPNOTE 6.3.10): stored entries with a data descriptor, because the CRC is known only when the bytes have passed.

use super::Item;

/// From here on a size or offset needs ZIP64.
const BIG: u64 = 0xffff_ffff;
/// Bit 3: sizes and CRC follow the data; bit 11: names are UTF-8.
const FLAGS: u16 = 1 << 3 | 1 << 11;
/// 1 January 1980: archives of the same files are the same bytes.
const DATE: u16 = 1 << 5 | 1;

#[derive(Default)]
pub struct Zip {
    offset: u64,
    /// Offset and CRC of each entry so far.
    done: Vec<(u64, u32)>,
}

impl Zip {
    pub fn before(&mut self, item: &Item) -> Vec<u8> {
        let bytes = local(item);
        self.done.push((self.offset, 0));
        self.offset += bytes.len() as u64;
        bytes
    }

    pub fn after(&mut self, item: &Item, crc: u32) -> Vec<u8> {
        if let Some(last) = self.done.last_mut() {
            last.1 = crc;
        }
        let bytes = descriptor(item, crc);
        self.offset += item.length + bytes.len() as u64;
        bytes
    }

    pub fn end(&mut self, items: &[Item]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (item, &(offset, crc)) in items.iter().zip(&self.done) {
            central(&mut bytes, item, offset, crc);
        }
        finish(&mut bytes, items.len() as u64, self.offset);
        bytes
    }
}

/// The whole archive's length, bytes.
pub fn length(items: &[Item]) -> u64 {
    let mut offset = 0;
    let mut directory = Vec::new();
    let mut directory_sum = 0;
    for item in items {
        directory.clear();
        central(&mut directory, item, offset, 0);
        directory_sum += directory.len() as u64;
        offset += local(item).len() as u64 + item.length + descriptor(item, 0).len() as u64;
    }
    let tail = if items.len() as u64 >= 0xffff || offset >= BIG || directory_sum >= BIG {
        56 + 20 + 22
    } else {
        22
    };
    offset + directory_sum + tail
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// A name longer than ZIP can say is cut at a character.
fn name(item: &Item) -> &[u8] {
    let mut end = item.name.len().min(0xffff);
    while !item.name.is_char_boundary(end) {
        end -= 1;
    }
    &item.name.as_bytes()[..end]
}

fn local(item: &Item) -> Vec<u8> {
    let big = item.length >= BIG;
    let mut out = Vec::with_capacity(50 + item.name.len());
    put32(&mut out, 0x0403_4b50);
    put16(&mut out, if big { 45 } else { 20 });
    put16(&mut out, FLAGS);
    put16(&mut out, 0);
    put16(&mut out, 0);
    put16(&mut out, DATE);
    put32(&mut out, 0);
    // The sizes are known even though the CRC is not: readers that stream need them for stored entries.
    put32(&mut out, small(item.length));
    put32(&mut out, small(item.length));
    put16(&mut out, name(item).len() as u16);
    put16(&mut out, if big { 20 } else { 0 });
    out.extend_from_slice(name(item));
    if big {
        put16(&mut out, 1);
        put16(&mut out, 16);
        put64(&mut out, item.length);
        put64(&mut out, item.length);
    }
    out
}

fn descriptor(item: &Item, crc: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(24);
    put32(&mut out, 0x0807_4b50);
    put32(&mut out, crc);
    for _ in 0..2 {
        if item.length >= BIG {
            put64(&mut out, item.length);
        } else {
            put32(&mut out, small(item.length));
        }
    }
    out
}

fn central(out: &mut Vec<u8>, item: &Item, offset: u64, crc: u32) {
    let (big, far) = (item.length >= BIG, offset >= BIG);
    let extra = if big { 16 } else { 0 } + if far { 8 } else { 0 };
    put32(out, 0x0201_4b50);
    // Made on Unix, so that the permission bits below count.
    put16(out, 3 << 8 | 45);
    put16(out, if big || far { 45 } else { 20 });
    put16(out, FLAGS);
    put16(out, 0);
    put16(out, 0);
    put16(out, DATE);
    put32(out, crc);
    put32(out, small(item.length));
    put32(out, small(item.length));
    put16(out, name(item).len() as u16);
    put16(out, if extra > 0 { extra + 4 } else { 0 });
    put16(out, 0);
    put16(out, 0);
    put16(out, 0);
    put32(out, 0o100_644 << 16);
    put32(out, small(offset));
    out.extend_from_slice(name(item));
    if extra > 0 {
        put16(out, 1);
        put16(out, extra);
        if big {
            put64(out, item.length);
            put64(out, item.length);
        }
        if far {
            put64(out, offset);
        }
    }
}

/// The end of the central directory that `out` holds and that begins at `offset`.
fn finish(out: &mut Vec<u8>, count: u64, offset: u64) {
    let size = out.len() as u64;
    if count >= 0xffff || offset >= BIG || size >= BIG {
        put32(out, 0x0606_4b50);
        put64(out, 44);
        put16(out, 3 << 8 | 45);
        put16(out, 45);
        put32(out, 0);
        put32(out, 0);
        put64(out, count);
        put64(out, count);
        put64(out, size);
        put64(out, offset);
        put32(out, 0x0706_4b50);
        put32(out, 0);
        put64(out, offset + size);
        put32(out, 1);
    }
    put32(out, 0x0605_4b50);
    put32(out, 0);
    let few = u16::try_from(count).unwrap_or(u16::MAX);
    put16(out, few);
    put16(out, few);
    put32(out, small(size));
    put32(out, small(offset));
    put16(out, 0);
}
