//! Block lists: from the texts that the world publishes to a file that answers "is this name listed?" in well under a
//! microsecond, and the household's own names over them.
//!
//! # The compiled file
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | `89 47 52 42 4c 4b 0d 0a`; a file that went through a text converter is not taken for one |
//! | 8–11 | version, 1 |
//! | 12–15 | labels of the longest name |
//! | 16–31 | key of the hash |
//! | 32–39 | names that are blocked |
//! | 40–47 | names that are excepted |
//! | 48–55 | hash of the tables |
//! | 56–63 | hash of bytes 0–55 under a key of zeros |
//! | 64– | the table of blocked names, then that of excepted ones |
//!
//! Numbers are little-endian. A table is a sorted row of 64-bit words: 63 bits of the keyed hash of the name in wire form,
//! and in the lowest bit whether everything below the name is meant too. The key is drawn anew for every compilation and
//! never leaves the box, so nobody can craft a name that hits by accident: with a million names one in ten million million
//! strange names does.
//!
//! Reading order: `line` (what a line says), `compile`, `hash`, `list` (the compiled file, look-up), `own` (the household's names
//! over the lists').

mod compile;
mod hash;
mod line;
mod list;
mod own;

#[cfg(test)]
mod tests;

pub use compile::{Compiler, Counts};
pub use line::LINE_BYTES_MAX;
pub use list::{Damage, Key, List, Listed};
pub use own::Own;
