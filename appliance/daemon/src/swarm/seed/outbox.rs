//! Bytes on their way to one peer: borrowed from what was read, written many blocks at a time, encrypted if need be.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes};
use proto::peer::{message::Message, rc4::Rc4};

/// Buffers handed to the kernel in one call.
pub const SLICES: usize = 64;

#[derive(Default)]
pub struct Outbox {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    cipher: Option<Rc4>,
}

impl Outbox {
    pub fn new(cipher: Option<Rc4>) -> Self {
        Self {
            cipher,
            ..Self::default()
        }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Payload is shared, not copied, unless it has to be encrypted.
    pub fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        self.bytes += chunk.len();
        let chunk = match &mut self.cipher {
            None => chunk,
            Some(cipher) => {
                let mut sealed = chunk.to_vec();
                cipher.apply(&mut sealed);
                sealed.into()
            }
        };
        self.chunks.push_back(chunk);
    }

    pub fn message(&mut self, message: Message<'_>) {
        let mut out = Vec::with_capacity(32);
        message.encode(&mut out);
        self.push(out.into());
    }

    /// The first chunks, for a vectored write.
    pub fn slices(&self) -> ([IoSlice<'_>; SLICES], usize) {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        (slices, count)
    }

    /// The kernel took `written` bytes.
    pub fn advance(&mut self, mut written: usize) {
        self.bytes = self.bytes.saturating_sub(written);
        while let Some(front) = self.chunks.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_way_the_kernel_takes_it_the_bytes_stay_in_order() {
        for step in [1, 3, 4, 7, 100] {
            let mut outbox = Outbox::new(None);
            for chunk in [&b"one"[..], b"", b"three", b"seventeen"] {
                outbox.push(Bytes::from_static(chunk));
            }
            let mut sent = Vec::new();
            while !outbox.is_empty() {
                let (slices, count) = outbox.slices();
                let all: Vec<u8> = slices[..count].iter().flat_map(|s| s.iter().copied()).collect();
                let n = step.min(all.len());
                sent.extend_from_slice(&all[..n]);
                outbox.advance(n);
            }
            assert_eq!(sent, b"onethreeseventeen");
            assert_eq!(outbox.slices().1, 0);
        }
    }

    #[test]
    fn an_encrypted_stream_is_one_stream() {
        let key = [9; 20];
        let mut outbox = Outbox::new(Some(Rc4::new(&key)));
        outbox.push(Bytes::from_static(b"first "));
        outbox.push(Bytes::from_static(b"second"));
        let (slices, count) = outbox.slices();
        let mut all: Vec<u8> = slices[..count].iter().flat_map(|s| s.iter().copied()).collect();
        Rc4::new(&key).apply(&mut all);
        assert_eq!(all, b"first second");
    }
}
