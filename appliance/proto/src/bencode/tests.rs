use super::*;

#[test]
fn a_document_keeps_the_raw_bytes_of_each_value() {
    let node = parse(b"d2:ih3:abc1:vd1:xi-7eee").expect("valid");
    assert_eq!(node.get(b"v").expect("v").raw, b"d1:xi-7ee");
    assert_eq!(
        node.get(b"v").and_then(|v| v.get(b"x")).and_then(Node::int),
        Some(-7)
    );
    assert_eq!(node.get(b"ih").and_then(Node::text), Some("abc"));
}

#[test]
fn what_is_not_canonical_is_refused() {
    let cases: &[&[u8]] = &[
        b"",
        b"i",
        b"ie",
        b"i-0e",
        b"i01e",
        b"i+1e",
        b"i1",
        b"i9223372036854775808e",
        b"01:a",
        b"-1:a",
        b"2:a",
        b"l",
        b"d",
        b"di1e1:ae",
        b"d1:a",
        b"d1:b1:x1:a1:ye",
        b"d1:a1:x1:a1:ye",
        b"x",
        b"i1ei2e",
        b"99999999999999999999:a",
        b"i1 e",
        b"9223372036854775807:a",
        b"d1:ae",
    ];
    for case in cases {
        assert!(parse(case).is_err(), "{:?}", String::from_utf8_lossy(case));
    }
    assert_eq!(
        parse_unsorted(b"d1:b1:x1:a1:ye")
            .expect("unsorted")
            .get(b"a")
            .and_then(Node::text),
        Some("y")
    );
    assert_eq!(parse_unsorted(b"d1:a1:x1:a1:ye"), Err(Error::Keys(13)));
    assert_eq!(parse_prefix(b"i1eDATA").expect("prefix").1, 3);
}

#[test]
fn depth_is_bounded() {
    let deep = [vec![b'l'; 100_000], vec![b'e'; 100_000]].concat();
    assert_eq!(parse(&deep), Err(Error::Deep));
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = parse(&bytes);
        let _ = parse_unsorted(&bytes);
    }

    #[test]
    fn written_values_read_back(n in proptest::num::i64::ANY, b in proptest::collection::vec(proptest::num::u8::ANY, 0..50)) {
        let raw = Value::dict([("z", Value::Int(n)), ("a", Value::List(vec![Value::bytes(b.clone())]))]).encode();
        let node = parse(&raw).expect("canonical");
        proptest::prop_assert_eq!(node.get(b"z").and_then(Node::int), Some(n));
        proptest::prop_assert_eq!(node.get(b"a").and_then(Node::list).and_then(|l| l[0].bytes()), Some(&b[..]));
    }
}
