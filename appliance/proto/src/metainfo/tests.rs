use super::*;
use crate::bencode::Value;

fn info(files: &[(&[&str], i64)], piece_length: i64) -> Vec<u8> {
    let total: i64 = files.iter().map(|f| f.1).sum();
    let list = files
        .iter()
        .map(|(path, length)| {
            Value::dict([
                ("length", Value::Int(*length)),
                ("path", Value::List(path.iter().map(|p| Value::text(p)).collect())),
            ])
        })
        .collect();
    let pieces = (total as usize).div_ceil(piece_length as usize);
    Value::dict([
        ("files", Value::List(list)),
        ("name", Value::text("site")),
        ("piece length", Value::Int(piece_length)),
        ("pieces", Value::bytes(vec![7; pieces * 20])),
    ])
    .encode()
}

#[test]
fn a_folder_of_files_becomes_tables() {
    let raw = info(
        &[
            (&["index.html"], 20_000),
            (&["css", "s.css"], 0),
            (&["css", "a"], 20_000),
        ],
        16_384,
    );
    let info = parse_info(&raw).expect("valid");
    assert_eq!(
        (info.total, info.piece_count(), info.multi_file),
        (40_000, 3, true)
    );
    assert_eq!(info.piece_len(2), Some(40_000 - 32_768));
    assert_eq!(info.piece_len(3), None);
    assert_eq!(info.file_at(&["css", "a"]), Some(2));
    assert_eq!(info.file_at(&["css"]), None);
    assert_eq!(info.under(&["css"]), [2, 1]);
    assert_eq!(info.under::<&str>(&[]), [2, 1, 0]);
    assert!(info.is_folder(&["css"]) && !info.is_folder(&["index.html"]));
    assert_eq!(
        (
            info.pieces_of(0),
            info.pieces_of(1),
            info.pieces_of(2),
            info.pieces_of(9)
        ),
        (0..2, 0..0, 1..3, 0..0)
    );
    let spans: Vec<_> = info.span(2, 10_000..u64::MAX).collect();
    let span = |piece, offset, len| Span { piece, offset, len };
    assert_eq!(spans, [span(1, 13_616, 2_768), span(2, 0, 7_232)]);
    assert_eq!(info.span(2, 20_000..20_001).count(), 0);
    assert_eq!(info.top_folder(), None);
}
