//! The rows of a large store, made directly: its bytes are not there, its size in the tables is.

use std::path::Path;

use granary_store::Keep;
use proto::metainfo::parse_info;
use redb::{Database, TableDefinition};

use super::{Dice, open};

const PIECES: TableDefinition<[u8; 20], [u8; 20]> = TableDefinition::new("pieces-1");
const SITES: TableDefinition<[u8; 20], &[u8]> = TableDefinition::new("sites-1");
const SEGMENTS: TableDefinition<u32, (u64, u64, u8)> = TableDefinition::new("segments-1");
const PIECE_LENGTH: u32 = 262_144;
const PIECES_PER_SEGMENT: u32 = 4096;

/// `sites` complete sites of `pieces` pieces each.
pub fn make(dir: &Path, sites: u64, pieces: u32) {
    let mut all = Vec::new();
    {
        let store = open(dir);
        for seed in 0..sites {
            let hashes = Dice(seed * 2 + 1).bytes(pieces as usize * 20);
            let total = u64::from(PIECE_LENGTH) * u64::from(pieces);
            let mut raw = format!(
                "d6:lengthi{total}e4:name4:rows12:piece lengthi{PIECE_LENGTH}e6:pieces{}:",
                hashes.len()
            )
            .into_bytes();
            raw.extend_from_slice(&hashes);
            raw.push(b'e');
            let info = parse_info(&raw).expect("a good torrent");
            store.add_site(&info, &raw, &[], Keep::Kept, 1).expect("added");
            let keys = hashes
                .chunks_exact(20)
                .map(|hash| <[u8; 20]>::try_from(hash).expect("20"));
            all.extend(keys.map(|key| (key, seed as u32 + 1)));
        }
        store.close().expect("closes");
    }
    let numbered: Vec<([u8; 20], u32, u32)> = (0..).zip(all).map(|(i, (key, site))| (key, i, site)).collect();
    write(dir, numbered, pieces);
}

fn write(dir: &Path, mut rows: Vec<([u8; 20], u32, u32)>, pieces: u32) {
    let db = Database::builder()
        .set_cache_size(256 << 20)
        .open(dir.join("state/state.redb"))
        .expect("opens");
    let mut txn = db.begin_write().expect("begins");
    txn.set_quick_repair(true);
    {
        let mut segments = txn.open_table(SEGMENTS).expect("table");
        for no in 0..rows.len().div_ceil(PIECES_PER_SEGMENT as usize) as u32 {
            segments
                .insert(no + 1, (1 << 30, u64::from(PIECES_PER_SEGMENT), 0))
                .expect("inserts");
        }
        rows.sort_unstable();
        let mut table = txn.open_table(PIECES).expect("table");
        for (key, i, site) in rows {
            let mut value = [0; 20];
            let words = [
                i / PIECES_PER_SEGMENT + 1,
                i % PIECES_PER_SEGMENT + 1,
                PIECE_LENGTH,
                1,
                site,
            ];
            for (place, word) in value.chunks_exact_mut(4).zip(words) {
                place.copy_from_slice(&word.to_le_bytes());
            }
            table.insert(key, value).expect("inserts");
        }
        let mut sites = txn.open_table(SITES).expect("table");
        let keys: Vec<([u8; 20], Vec<u8>)> = {
            use redb::ReadableTable;
            let all = sites.iter().expect("rows").map(|row| row.expect("row"));
            all.map(|(key, row)| (key.value(), row.value().to_vec()))
                .collect()
        };
        for (key, mut row) in keys {
            // The count of held pieces stands after number, place of hashes, flags, piece length and piece count.
            row[17..21].copy_from_slice(&pieces.to_le_bytes());
            sites.insert(key, row.as_slice()).expect("inserts");
        }
    }
    txn.commit().expect("commits");
}

pub fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .expect("VmRSS");
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<u64>().ok())
        .expect("number")
        / 1024
}
