//! Torrent metadata (BEP 3, 9, 27, 47, 52): strict reading, file and piece tables.
use crate::id::InfoHash;

/// A validated info dictionary. Every bound that protects the rest of the house is checked before one exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// SHA-1 of the raw info dictionary.
    pub infohash: InfoHash,
    /// SHA-256 of the raw info dictionary when it is a hybrid (`meta version` 2 beside v1 fields).
    pub infohash_v2: Option<[u8; 32]>,
    /// The suggested name; one safe path component.
    pub name: String,
    /// Bytes per piece; a positive number, at most [`PIECE_LENGTH_MAX`].
    pub piece_length: u32,
    /// SHA-1 of each piece, in order.
    pub pieces: Vec<[u8; 20]>,
    /// All files in torrent order, pad files included; offsets are absolute.
    pub files: Vec<File>,
    /// Sum of all file lengths, bytes.
    pub total: u64,
    /// False for a single-file torrent: its one file has the path `[name]`.
    pub multi_file: bool,
    /// BEP 27: trackers only; never DHT, PEX, LSD or republication.
    pub private: bool,
}

/// One file of a torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Components below the torrent's own folder; for single-file torrents `[name]`. Never empty, each one safe.
    pub path: Vec<String>,
    /// Bytes.
    pub length: u64,
    /// Absolute offset of the first byte within the torrent.
    pub offset: u64,
    /// BEP 47 pad file: zeros, never listed, never served.
    pub pad: bool,
}

/// Largest piece length accepted, bytes.
pub const PIECE_LENGTH_MAX: u32 = 64 << 20;

impl Info {
    /// Length of piece `index`, bytes; the last one may be shorter. `None` past the end.
    pub fn piece_len(&self, index: u32) -> Option<u32> {
        let start = u64::from(index) * u64::from(self.piece_length);
        (start < self.total).then(|| (self.total - start).min(u64::from(self.piece_length)) as u32)
    }
}
