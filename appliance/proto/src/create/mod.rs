//! Torrents we make (BEP 3, 47): the bytes of a folder in, finished pieces and an info dictionary out.
//!
//! Pure: a [`Builder`] is told the files and then given their bytes in order, and hands out each piece as it is
//! complete, so that the caller stores it at once. Memory is one piece, whatever the size of the site. The same folder
//! gives the same infohash on every machine, because the order is ours and nothing of the machine is written.
//!
//! Reading order: this file, `layout` (order, pads and rules of the files), `torrent` (the `.torrent` file around the dictionary).

mod layout;
mod torrent;

use std::collections::VecDeque;

use aws_lc_rs::digest;

pub use torrent::{Extras, encode_torrent};

use layout::{check_paths, entry, files_first, padded, sum};

use crate::{
    bencode::Value,
    metainfo::{self, FILES_MAX, Fault, Info, METADATA_MAX, PIECE_LENGTH_MAX, component},
};

/// Smallest piece we make, bytes: one block of the wire protocol.
pub const PIECE_LENGTH_LEAST: u32 = 16 << 10;

/// Largest piece chosen without being asked, bytes. A larger one would make a seek in a film wait for more.
const PIECE_LENGTH_MOST: u64 = 16 << 20;

/// What kind of torrent to make.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Bytes per piece: a power of two from [`PIECE_LENGTH_LEAST`]; `None` chooses by size.
    pub piece_length: Option<u32>,
    /// Begin every file at a piece (BEP 47 pad files): a file that did not change keeps its pieces in the next version,
    /// at the price of up to a piece of zeros per file.
    pub pad: bool,
    /// BEP 27: only for swarms with their own tracker.
    pub private: bool,
}

/// Why a torrent cannot be made of these files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the name \"{name}\": {fault}")]
    Name { name: String, fault: Fault },
    #[error("the path \"{path}\": {fault}")]
    Path { path: String, fault: Fault },
    #[error("the path \"{0}\" is there twice")]
    Twice(String),
    #[error(
        "a piece length of {0} bytes; it must be a power of two from {PIECE_LENGTH_LEAST} to {PIECE_LENGTH_MAX}"
    )]
    PieceLength(u32),
    #[error("more than {FILES_MAX} files")]
    Files,
    #[error(
        "the metadata would take more than {METADATA_MAX} bytes; larger pieces or fewer files make it smaller"
    )]
    Metadata,
    #[error("there is nothing to share: no file has a byte of content")]
    Empty,
    #[error("the sizes of the files add up to more than any disk holds")]
    Total,
    #[error("more bytes were given than the files have: one of them grew while it was read")]
    TooMany,
    #[error("{0} bytes are missing: a file shrank while it was read")]
    TooFew(u64),
    #[error("the torrent made breaks a rule of ours: {0}")]
    Rule(#[from] metainfo::Error),
}

/// A finished piece. Its bytes are lent until the builder is fed again.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    pub index: u32,
    /// SHA-1 of the bytes.
    pub hash: [u8; 20],
    pub bytes: &'a [u8],
}

/// A finished torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub info: Info,
    /// The info dictionary; its SHA-1 is the infohash.
    pub raw_info: Vec<u8>,
}

/// Makes one torrent. Ask [`Builder::expects`] for the file to read next, feed its bytes, store the pieces, finish.
#[derive(Debug)]
pub struct Builder {
    name: String,
    options: Options,
    piece_length: u32,
    /// What is still to come, in torrent order.
    runs: VecDeque<Run>,
    /// The bencoded `files` list; `None` for a single file.
    files: Option<Value>,
    total: u64,
    /// Bytes of the piece being filled; whole until the next call when it was just handed out.
    held: Vec<u8>,
    handed_out: bool,
    hashes: Vec<u8>,
}

/// A file of the caller's list or zeros of ours, and the bytes of it not fed yet.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Index in the caller's list; `None` for a pad.
    file: Option<usize>,
    left: u64,
}

/// The power of two that gives about a thousand pieces: few enough for small metadata, small enough that a visitor who
/// wants one page fetches little besides it.
pub fn piece_length_for(total: u64) -> u32 {
    let aim = (total / 1_024).clamp(u64::from(PIECE_LENGTH_LEAST), PIECE_LENGTH_MOST);
    aim.next_power_of_two() as u32
}

impl Builder {
    /// A folder: paths below it with their lengths, in any order.
    pub fn folder(name: &str, files: &[(Vec<String>, u64)], options: Options) -> Result<Self, Error> {
        if files.len() > FILES_MAX {
            return Err(Error::Files);
        }
        check_paths(files)?;
        let mut order: Vec<usize> = (0..files.len()).collect();
        order.sort_by(|a, b| files_first(&files[*a].0, &files[*b].0));
        let content = sum(files.iter().map(|f| f.1))?;
        let piece_length = options.piece_length.unwrap_or_else(|| piece_length_for(content));
        let mut runs: VecDeque<Run> = order
            .iter()
            .map(|index| Run {
                file: Some(*index),
                left: files[*index].1,
            })
            .collect();
        if options.pad {
            runs = padded(&runs, u64::from(piece_length.max(1)));
        }
        let entries = runs.iter().map(|run| entry(run, files)).collect();
        Self::new(name, Some(Value::List(entries)), runs, piece_length, options)
    }

    /// One file without a folder around it.
    pub fn file(name: &str, length: u64, options: Options) -> Result<Self, Error> {
        let piece_length = options.piece_length.unwrap_or_else(|| piece_length_for(length));
        let run = Run {
            file: Some(0),
            left: length,
        };
        Self::new(name, None, VecDeque::from([run]), piece_length, options)
    }

    fn new(
        name: &str,
        files: Option<Value>,
        runs: VecDeque<Run>,
        piece_length: u32,
        options: Options,
    ) -> Result<Self, Error> {
        component(name.as_bytes()).map_err(|fault| Error::Name {
            name: name.to_owned(),
            fault,
        })?;
        if !piece_length.is_power_of_two() || !(PIECE_LENGTH_LEAST..=PIECE_LENGTH_MAX).contains(&piece_length)
        {
            return Err(Error::PieceLength(piece_length));
        }
        let total = sum(runs.iter().map(|run| run.left))?;
        if total == 0 {
            return Err(Error::Empty);
        }
        let pieces = total.div_ceil(u64::from(piece_length));
        let list = files.as_ref().map_or(0, |files| files.encode().len() as u64);
        // The other keys take less than 512 bytes with the longest name.
        if pieces * 20 + list + 512 > METADATA_MAX as u64 {
            return Err(Error::Metadata);
        }
        let mut builder = Builder {
            name: name.to_owned(),
            options,
            piece_length,
            runs,
            files,
            total,
            held: Vec::new(),
            handed_out: false,
            hashes: Vec::with_capacity(pieces as usize * 20),
        };
        builder.drop_finished();
        Ok(builder)
    }

    pub fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// Bytes of the torrent, pad files included.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The file to feed next, as its index in the list given, and how many bytes of it are to come; `None` when all are
    /// in. Empty files are never asked for.
    pub fn expects(&self) -> Option<(usize, u64)> {
        self.runs.iter().find_map(|run| Some((run.file?, run.left)))
    }

    /// Takes bytes from the front of `input` until a piece is complete or the input is used up (`None`). Call it in a
    /// `while let` until `None`.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Piece<'_>>, Error> {
        if std::mem::take(&mut self.handed_out) {
            self.held.clear();
        }
        let piece_length = self.piece_length as usize;
        while let Some(run) = self.runs.front_mut() {
            let room = (piece_length - self.held.len()).min(usize::try_from(run.left).unwrap_or(usize::MAX));
            let taken = match run.file {
                Some(_) => {
                    let (now, rest) = input.split_at(room.min(input.len()));
                    self.held.extend_from_slice(now);
                    *input = rest;
                    now.len()
                }
                None => {
                    self.held.resize(self.held.len() + room, 0);
                    room
                }
            };
            run.left -= taken as u64;
            self.drop_finished();
            if self.held.len() == piece_length || self.runs.is_empty() {
                return Ok(Some(self.hand_out()));
            }
            if taken == 0 {
                return Ok(None);
            }
        }
        if input.is_empty() {
            Ok(None)
        } else {
            Err(Error::TooMany)
        }
    }

    /// The torrent, when every byte was fed. It is read back by the same rules as a stranger's.
    pub fn finish(self) -> Result<Made, Error> {
        let missing: u64 = self.runs.iter().map(|run| run.left).sum();
        if missing > 0 {
            return Err(Error::TooFew(missing));
        }
        let mut entries = vec![
            ("name", Value::text(&self.name)),
            ("piece length", Value::Int(i64::from(self.piece_length))),
            ("pieces", Value::Bytes(self.hashes)),
            match self.files {
                Some(files) => ("files", files),
                None => ("length", Value::Int(self.total as i64)),
            },
        ];
        if self.options.private {
            entries.push(("private", Value::Int(1)));
        }
        let raw_info = Value::dict(entries).encode();
        Ok(Made {
            info: metainfo::parse_info(&raw_info)?,
            raw_info,
        })
    }

    fn hand_out(&mut self) -> Piece<'_> {
        let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.held);
        let index = (self.hashes.len() / 20) as u32;
        self.hashes.extend_from_slice(digest.as_ref());
        self.handed_out = true;
        Piece {
            index,
            hash: digest.as_ref().try_into().expect("SHA-1 gives 20 bytes"),
            bytes: &self.held,
        }
    }

    fn drop_finished(&mut self) {
        while self.runs.front().is_some_and(|run| run.left == 0) {
            self.runs.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
