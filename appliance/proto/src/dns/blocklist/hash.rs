//! SipHash-1-3 (Aumasson and Bernstein, 2012): short, fast on short input, and without the key nobody finds collisions.

use super::Key;

struct State([u64; 4]);

/// The hash of `bytes` under `key`.
pub fn sip13(key: &Key, bytes: &[u8]) -> u64 {
    let (low, high) = (word(&key[..8]), word(&key[8..]));
    let mut state = State([
        low ^ 0x736f_6d65_7073_6575,
        high ^ 0x646f_7261_6e64_6f6d,
        low ^ 0x6c79_6765_6e65_7261,
        high ^ 0x7465_6462_7974_6573,
    ]);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        state.take(word(chunk));
    }
    // The last word: what is left, and the length in its highest byte.
    state.take(word(chunks.remainder()) | (bytes.len() as u64) << 56);
    state.0[2] ^= 0xff;
    for _ in 0..3 {
        state.round();
    }
    state.0.iter().fold(0, |all, part| all ^ part)
}

/// Up to eight bytes, little-endian.
pub fn word(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => bytes
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

impl State {
    #[inline]
    fn take(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.0[0] ^= word;
    }

    #[inline]
    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b = b.rotate_left(13) ^ a;
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32).wrapping_add(d);
        c = c.wrapping_add(b);
        d = d.rotate_left(21) ^ a;
        b = b.rotate_left(17) ^ c;
        self.0 = [a, b, c.rotate_left(32), d];
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, Hasher};

    use super::*;

    /// The standard library's hash is SipHash-1-3 with a key of zeros when nothing random is mixed in.
    #[test]
    fn it_is_the_standard_librarys_hash() {
        let standard = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
        let bytes: Vec<u8> = (0..=255).collect();
        for len in 0..bytes.len() {
            let mut hasher = standard.build_hasher();
            hasher.write(&bytes[..len]);
            assert_eq!(sip13(&[0; 16], &bytes[..len]), hasher.finish(), "{len}");
        }
        assert_ne!(sip13(&[1; 16], b"a"), sip13(&[2; 16], b"a"));
    }
}
