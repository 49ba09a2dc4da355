//! Builders the tests of this crate share.
#![allow(dead_code)]

pub mod household;
pub mod rows;
pub mod sim;
pub mod trial;

use std::path::Path;

use bytes::Bytes;
use granary_store::{Config, Store};
use proto::{
    id::InfoHash,
    metainfo::{Info, parse_info},
};

pub const MIB: u64 = 1 << 20;

pub fn config(dir: &Path) -> Config {
    Config {
        state_dir: dir.join("state"),
        content_dir: dir.join("content"),
        segment_bytes_max: 64 * MIB,
        pending_bytes_max: 16 << 20,
        visited_bytes_max: 1 << 40,
        free_floor_bytes: 0,
    }
}

/// A folder in memory where there is one: what a killed process wrote is there without any fsync.
pub fn quick_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("folder")
}

pub fn open(dir: &Path) -> Store {
    std::fs::create_dir_all(dir.join("content")).expect("content folder");
    Store::open(config(dir), 1).expect("store opens")
}

pub fn sha1(data: &[u8]) -> [u8; 20] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, data);
    digest.as_ref().try_into().expect("20 bytes")
}

/// Small and good enough to tell bytes apart.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % below.max(1)
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            out.extend_from_slice(&self.roll(u64::MAX).to_le_bytes());
        }
        out.truncate(len);
        out
    }
}

/// A torrent of the given pieces.
pub struct Torrent {
    pub info: Info,
    pub raw: Vec<u8>,
    pub data: Vec<Bytes>,
}

impl Torrent {
    pub fn of(name: &str, piece_length: u32, data: Vec<Vec<u8>>) -> Self {
        let pieces: Vec<[u8; 20]> = data.iter().map(|piece| sha1(piece)).collect();
        let total: usize = data.iter().map(Vec::len).sum();
        let mut raw = format!(
            "d6:lengthi{total}e4:name{}:{name}12:piece lengthi{piece_length}e6:pieces{}:",
            name.len(),
            pieces.len() * 20
        )
        .into_bytes();
        raw.extend_from_slice(&pieces.concat());
        raw.push(b'e');
        let info = parse_info(&raw).expect("a good torrent");
        Self {
            info,
            raw,
            data: data.into_iter().map(Bytes::from).collect(),
        }
    }

    pub fn random(seed: u64, piece_length: u32, pieces: usize, last: usize) -> Self {
        let mut dice = Dice(seed * 2 + 1);
        let len = |i: usize| {
            if i + 1 == pieces {
                last
            } else {
                piece_length as usize
            }
        };
        let data = (0..pieces).map(|i| dice.bytes(len(i))).collect();
        Self::of(&format!("torrent {seed}"), piece_length, data)
    }

    pub fn ih(&self) -> InfoHash {
        self.info.infohash
    }
}
