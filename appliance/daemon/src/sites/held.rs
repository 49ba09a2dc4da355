//! How much of a file is here: arithmetic over pieces, pure.

use proto::metainfo::Info;

/// Bytes of file `file` that lie in pieces `readable` says yes to. Asks once per piece of the file.
pub fn file(info: &Info, file: usize, readable: impl Fn(u32) -> bool) -> u64 {
    let Some(f) = info.files.get(file) else {
        return 0;
    };
    let length = u64::from(info.piece_length);
    let held = |piece: &u32| readable(*piece);
    let overlap = |piece: u32| {
        let start = u64::from(piece) * length;
        (start + length).min(f.offset + f.length) - start.max(f.offset)
    };
    info.pieces_of(file).filter(held).map(overlap).sum()
}
