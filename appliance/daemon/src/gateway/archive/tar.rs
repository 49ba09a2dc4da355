//! TAR: ustar entries (POSIX.1-1988), preceded by a pax header (POSIX.1-2001) where name or size does not fit.

use super::Item;

const BLOCK: usize = 512;
/// The largest size eleven octal digits say.
const SIZE_MAX: u64 = 0o777_7777_7777;

pub fn before(item: &Item) -> Vec<u8> {
    let mut out = Vec::new();
    let fits = item.name.len() <= 100 && item.name.is_ascii() && item.length <= SIZE_MAX;
    if !fits {
        let mut records = record("path", &item.name);
        records.push_str(&record("size", &item.length.to_string()));
        out.extend(header("././@PaxHeader", records.len() as u64, b'x'));
        out.extend_from_slice(records.as_bytes());
        out.resize(out.len() + padding(records.len() as u64), 0);
    }
    out.extend(header(&item.name, item.length, b'0'));
    out
}

pub fn after(item: &Item) -> Vec<u8> {
    vec![0; padding(item.length)]
}

pub fn end() -> Vec<u8> {
    vec![0; 2 * BLOCK]
}

/// The whole archive's length, bytes.
pub fn length(items: &[Item]) -> u64 {
    let one = |item: &Item| before(item).len() as u64 + item.length + padding(item.length) as u64;
    items.iter().map(one).sum::<u64>() + 2 * BLOCK as u64
}

fn padding(length: u64) -> usize {
    (length as usize).wrapping_neg() % BLOCK
}

/// `<length> <key>=<value>\n`, where the length counts itself.
fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n")
}

fn header(name: &str, length: u64, kind: u8) -> [u8; BLOCK] {
    let mut block = [0u8; BLOCK];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    let mut cut = name.len().min(100);
    while !name.is_char_boundary(cut) {
        cut -= 1;
    }
    put(0, &name.as_bytes()[..cut]);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", length.min(SIZE_MAX)).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
