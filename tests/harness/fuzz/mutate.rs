//! Small damage to good input.

use rand::{Rng, SeedableRng, rngs::StdRng};

/// Mutants are cut to this: what a parser does with more, the hostile corpus shows.
const INPUT_MAX: usize = 8_192;

/// What the formats are made of, and numbers where mistakes are made.
const TOKENS: &[&[u8]] = &[
    b"d",
    b"l",
    b"e",
    b"i0e",
    b"i-1e",
    b"de",
    b"le",
    b"0:",
    b"1:",
    b"20:",
    b":",
    b"-",
    b"9223372036854775807",
    b"18446744073709551616",
    b"4294967295",
    b"4294967296",
    b"65536",
    b"..",
    b"/",
    b"\\",
    b"\0",
    b"\r\n",
    b"\n",
    b" ",
    b"%",
    b"%2e",
    b"%00",
    b"&",
    b"=",
    b"&amp;",
    b"+",
    b"?",
    b"#",
    b".",
    b"-pk",
    b"-ih",
    b"-pkx",
    b"-44",
    b"-dl",
    b".btlink",
    b"magnet:?",
    b"xt=urn:btih:",
    b"xs=urn:btpk:",
    b"info",
    b"files",
    b"path",
    b"pieces",
    b"length",
    b"attr",
    b"http://",
    b"\xff",
    b"\xc3\xa4",
    b"\xe2\x80\xae",
    b"[",
    b"]",
    b"::",
    b"\x7f",
    b"\t",
    b"d1:ad",
    b"1:q",
    b"1:y1:q",
    b"GET ",
    b"HTTP/1.1",
];

pub(super) struct Mutator(StdRng);

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Mutator(StdRng::seed_from_u64(seed))
    }

    /// One of the corpus, damaged one to eight times.
    pub fn mutant(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.one_of(corpus);
        input.truncate(INPUT_MAX);
        for _ in 0..self.0.random_range(1..=8) {
            self.damage(&mut input, corpus);
        }
        input.truncate(INPUT_MAX);
        input
    }

    fn one_of(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        match corpus.len() {
            0 => Vec::new(),
            n => corpus[self.0.random_range(0..n)].clone(),
        }
    }

    fn damage(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.0.random_range(0..=input.len());
        let run = at..(at + self.0.random_range(0..=32)).min(input.len());
        match self.0.random_range(0..9) {
            0 => input
                .get_mut(at)
                .into_iter()
                .for_each(|byte| *byte ^= 1 << self.0.random_range(0..8)),
            1 => input
                .get_mut(at)
                .into_iter()
                .for_each(|byte| *byte = self.0.random()),
            2 => drop(input.drain(run)),
            3 => {
                let copy = input[run].to_vec();
                input.splice(at..at, copy);
            }
            4 | 5 => {
                let token = TOKENS[self.0.random_range(0..TOKENS.len())];
                input.splice(at..at, token.iter().copied());
            }
            6 => {
                let token = TOKENS[self.0.random_range(0..TOKENS.len())];
                input.splice(run, token.iter().copied());
            }
            7 => {
                // The front of this one and the back of another.
                let other = self.one_of(corpus);
                let from = self.0.random_range(0..=other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => self.count(input, at),
        }
    }

    /// Makes the next number one larger or smaller: lengths that are nearly right reach deepest.
    fn count(&mut self, input: &mut [u8], at: usize) {
        if let Some(digit) = input[at..].iter_mut().find(|b| b.is_ascii_digit()) {
            let step = if self.0.random() { 1 } else { 9 };
            *digit = b'0' + (*digit - b'0' + step) % 10;
        }
    }
}
