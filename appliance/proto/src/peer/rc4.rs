//! RC4, only because MSE/PE demands it. It hides the protocol from simple filters and protects nothing.

/// A key stream; both directions of a connection have their own.
#[derive(Clone)]
pub struct Rc4 {
    state: [u8; 256],
    i: u8,
    j: u8,
}

impl Rc4 {
    /// `key` must not be empty; MSE's are 20 bytes.
    pub fn new(key: &[u8; 20]) -> Self {
        Self::with_key(key)
    }

    fn with_key(key: &[u8]) -> Self {
        let mut state = [0u8; 256];
        for (i, slot) in state.iter_mut().enumerate() {
            *slot = i as u8;
        }
        let mut j = 0u8;
        for i in 0..256 {
            j = j.wrapping_add(state[i]).wrapping_add(key[i % key.len()]);
            state.swap(i, usize::from(j));
        }
        Self { state, i: 0, j: 0 }
    }

    /// Throws away the first bytes of the stream; MSE drops 1024.
    pub fn discard(mut self, bytes: usize) -> Self {
        for _ in 0..bytes {
            self.next();
        }
        self
    }

    fn next(&mut self) -> u8 {
        self.i = self.i.wrapping_add(1);
        let a = self.state[usize::from(self.i)];
        self.j = self.j.wrapping_add(a);
        let b = self.state[usize::from(self.j)];
        self.state[usize::from(self.i)] = b;
        self.state[usize::from(self.j)] = a;
        self.state[usize::from(a.wrapping_add(b))]
    }

    /// Encrypts or decrypts in place.
    pub fn apply(&mut self, data: &mut [u8]) {
        for byte in data {
            *byte ^= self.next();
        }
    }
}

impl std::fmt::Debug for Rc4 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rc4")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stream_is_that_of_rfc_6229() {
        let mut stream = [0u8; 16];
        Rc4::with_key(&[1, 2, 3, 4, 5]).apply(&mut stream);
        assert_eq!(
            stream,
            [
                0xb2, 0x39, 0x63, 0x05, 0xf0, 0x3d, 0xc0, 0x27, 0xcc, 0xc3, 0x52, 0x4a, 0x0a, 0x11, 0x18,
                0xa8
            ]
        );
        let mut later = [0u8; 16];
        Rc4::with_key(&[1, 2, 3, 4, 5]).discard(1024).apply(&mut later);
        assert_eq!(
            later,
            [
                0x30, 0xab, 0xbc, 0xc7, 0xc2, 0x0b, 0x01, 0x60, 0x9f, 0x23, 0xee, 0x2d, 0x5f, 0x6b, 0xb7,
                0xdf
            ]
        );
    }
}
