//! Numbers nobody outside can guess, from one seed: transaction ids, tokens and targets. SHA-256 in counter mode, so that
//! this crate needs no source of randomness and a simulation can be repeated.

use aws_lc_rs::digest::{SHA256, digest};

/// A stream of bytes; the same seed gives the same stream.
pub struct Random {
    seed: [u8; 32],
    counter: u64,
    pool: [u8; 32],
    used: usize,
}

impl Random {
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            seed,
            counter: 0,
            pool: [0; 32],
            used: 32,
        }
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    pub fn number(&mut self) -> u32 {
        u32::from_be_bytes(self.bytes())
    }

    /// A number below `end`; 0 when `end` is 0. The bias of the remainder does not matter for choosing among few.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.number() as usize % end }
    }

    fn byte(&mut self) -> u8 {
        if self.used == self.pool.len() {
            let block = [&self.seed[..], &self.counter.to_be_bytes()].concat();
            self.pool.copy_from_slice(digest(&SHA256, &block).as_ref());
            self.counter += 1;
            self.used = 0;
        }
        self.used += 1;
        self.pool[self.used - 1]
    }
}
