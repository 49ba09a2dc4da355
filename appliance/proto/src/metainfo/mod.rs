//! Torrent metadata (BEP 3, 9, 27, 47, 52): strict, bounded reading, and the file and piece tables the house works with.
//!
//! Everything a torrent can lie about is checked here once, so that the store, the engine and the gateway need not: an
//! [`Info`] that exists has lengths that add up, pieces that cover them and paths that stay inside their folder. It is
//! the wall in front of the engine, whose own reader divides by a piece length of zero.
//!
//! Reading order: this file (what a torrent is), `parse`, `path` (which names are safe), `hint`
//! (which file is the same elsewhere), `table` (files ↔ pieces),
//! `verdict` (the same as one answer for `granary check-torrent`).

mod hint;
mod parse;
mod path;
mod table;
mod verdict;

use thiserror::Error;

pub use parse::{parse_info, parse_torrent};
pub use path::{Fault, component};
pub use table::Span;
pub use verdict::{Verdict, verdict};

use crate::{bencode, id::InfoHash};

/// Largest info dictionary accepted, bytes. A page of 10,000 files needs 1 MiB; peers can make us hold this much
/// before the hash can be checked.
pub const METADATA_MAX: usize = 4 << 20;

/// Largest `.torrent` file accepted, bytes: the metadata plus the piece layers of a hybrid (32 bytes per piece).
pub const TORRENT_MAX: usize = 3 * METADATA_MAX;

/// Smallest piece length accepted, bytes. Every known client makes 16 KiB or more; below this, hashing and the piece
/// table cost more than the content.
pub const PIECE_LENGTH_MIN: u32 = 1 << 10;

/// Largest piece length accepted, bytes: a piece is verified in memory.
pub const PIECE_LENGTH_MAX: u32 = 64 << 20;

/// Most files, pad files included.
pub const FILES_MAX: usize = 200_000;

/// Most trackers, and most web seeds, taken from one torrent or magnet; the others are ignored.
pub const TRACKERS_MAX: usize = 20;

/// A validated info dictionary. Every bound that protects the rest of the house is checked before one exists, which is
/// why only [`parse_info`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// SHA-1 of the raw info dictionary.
    pub infohash: InfoHash,
    /// SHA-256 of the raw info dictionary when it is a hybrid (`meta version` 2 beside v1 fields). The v2 file tree of
    /// a hybrid is not used and not checked.
    pub infohash_v2: Option<[u8; 32]>,
    /// The suggested name; one safe path component.
    pub name: String,
    /// Bytes per piece, [`PIECE_LENGTH_MIN`] to [`PIECE_LENGTH_MAX`].
    pub piece_length: u32,
    /// SHA-1 of each piece, in order; never empty.
    pub pieces: Vec<[u8; 20]>,
    /// All files in torrent order, pad files included; offsets are absolute. At least one is no pad file.
    pub files: Vec<File>,
    /// Sum of all file lengths, bytes; never 0.
    pub total: u64,
    /// False for a single-file torrent: its one file has the path `[name]`.
    pub multi_file: bool,
    /// BEP 27: trackers only; never DHT, PEX, LSD or republication.
    pub private: bool,
    /// Files whose path here is not the torrent's own, in torrent order: it was not UTF-8, or an earlier file has it.
    /// They stay readable under a name that tells them apart; an engine that demands distinct names must be told.
    pub renamed: Vec<u32>,
    /// Indices of the files that are no pads, in order of their paths: what finds a file without a scan.
    by_path: Vec<u32>,
}

/// One file of a torrent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// Components below the torrent's own folder; for single-file torrents `[name]`. Never empty, each one safe, and
    /// no other file has the same (pad files excepted).
    pub path: Vec<String>,
    /// Bytes.
    pub length: u64,
    /// Absolute offset of the first byte within the torrent.
    pub offset: u64,
    /// BEP 47 pad file: zeros, never listed, never served.
    pub pad: bool,
    /// BEP 47 `x`: the maker's copy was executable. We never act on it; `granary fetch` says so.
    pub executable: bool,
    /// BEP 47 `h`: the maker's copy was hidden.
    pub hidden: bool,
    /// The same in two torrents of one kind: most likely the same content. BEP 47's `sha1`, or the start of BEP 52's
    /// `pieces root`. Unchecked.
    pub hint: Option<[u8; 20]>,
}

/// A whole `.torrent` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torrent {
    pub info: Info,
    /// The info dictionary as it was written; its SHA-1 is the infohash.
    pub raw_info: Vec<u8>,
    /// `announce` and all tiers of `announce-list` in order, without repetitions: `http`, `https` and `udp` only.
    /// Untrusted: they may point into the home network.
    pub trackers: Vec<String>,
    /// `url-list` (BEP 19): `http` and `https` only. Untrusted likewise.
    pub web_seeds: Vec<String>,
    pub comment: Option<String>,
    pub created_by: Option<String>,
}

/// Why a torrent is refused. All but [`Error::V2Only`] mean that nobody should open it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    #[error("not a torrent: {0}")]
    Bencode(#[from] bencode::Error),
    #[error("not a torrent: the outermost value is no dictionary")]
    NotADictionary,
    #[error("{bytes} bytes of metadata, more than the {max} accepted")]
    Large { bytes: usize, max: usize },
    #[error("the torrent has no {0}")]
    Missing(&'static str),
    #[error("{0} is not of the kind it must be")]
    Kind(&'static str),
    #[error("v2-only torrents cannot be fetched by a v1 swarm; ask its maker for a hybrid")]
    V2Only,
    #[error("a piece length of {0} bytes, outside {PIECE_LENGTH_MIN} to {PIECE_LENGTH_MAX}")]
    PieceLength(i64),
    #[error("{0} bytes of piece hashes, not a multiple of 20")]
    PieceHashes(usize),
    #[error("{has} pieces where the file lengths need {needs}")]
    PieceCount { has: usize, needs: u64 },
    #[error("file {file} has a length of {length} bytes")]
    Length { file: usize, length: i64 },
    #[error("the lengths of the files add up to more than any disk holds")]
    Total,
    #[error("there is nothing in it: no file has a byte of content")]
    Empty,
    #[error("it is both a single file and a folder")]
    BothKinds,
    #[error("more than {FILES_MAX} files")]
    Files,
    #[error("file {file}: {fault}")]
    Path { file: usize, fault: Fault },
    #[error("the name of the torrent: {0}")]
    Name(Fault),
    #[error("file {0} is a symbolic link, which could point out of the torrent")]
    Symlink(usize),
    #[error("file {file} is also a folder of file {below}")]
    FileAndFolder { file: usize, below: usize },
}

#[cfg(test)]
mod tests;
