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

#[cfg(test)]
mod tests {
    use proto::{bencode::Value, metainfo::parse_info};

    #[test]
    fn a_file_counts_only_its_own_bytes_of_shared_pieces() {
        let entry = |name: &str, length: i64| {
            Value::dict(vec![
                ("length", Value::Int(length)),
                ("path", Value::List(vec![Value::text(name)])),
            ])
        };
        let raw = Value::dict(vec![
            (
                "files",
                Value::List(vec![entry("a", 1500), entry("b", 1000), entry("c", 0)]),
            ),
            ("name", Value::text("site")),
            ("piece length", Value::Int(1024)),
            ("pieces", Value::Bytes(vec![0; 60])),
        ]);
        let info = parse_info(&raw.encode()).expect("a good torrent");
        assert_eq!(super::file(&info, 0, |_| true), 1500);
        assert_eq!(super::file(&info, 0, |piece| piece == 1), 476, "its end");
        assert_eq!(super::file(&info, 1, |piece| piece == 1), 548, "its beginning");
        assert_eq!(super::file(&info, 2, |_| true), 0);
        assert_eq!(super::file(&info, 9, |_| true), 0);
    }
}
