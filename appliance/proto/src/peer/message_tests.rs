use super::*;

const SEED: Bounds = Bounds {
    pieces: Some(10),
    block_max: 0,
};
const LEECH: Bounds = Bounds {
    pieces: Some(10),
    block_max: BLOCK,
};

#[test]
fn every_message_survives_the_wire() {
    let block = Block {
        piece: 1,
        begin: 16384,
        length: 16384,
    };
    let all = [
        Message::KeepAlive,
        Message::Choke,
        Message::Unchoke,
        Message::Interested,
        Message::NotInterested,
        Message::Have(9),
        Message::Bitfield(&[0xff, 0xc0]),
        Message::Request(block),
        Message::Piece {
            piece: 1,
            begin: 2,
            data: b"data",
        },
        Message::Cancel(block),
        Message::Port(6881),
        Message::Suggest(3),
        Message::HaveAll,
        Message::HaveNone,
        Message::Reject(block),
        Message::AllowedFast(4),
        Message::Extended {
            id: 3,
            payload: b"de",
        },
    ];
    let mut wire = Vec::new();
    all.iter().for_each(|m| m.encode(&mut wire));
    let mut rest = &wire[..];
    for message in all {
        let (decoded, used) = decode(rest, &LEECH).expect("valid").expect("whole");
        assert_eq!(decoded, message);
        // Every proper prefix asks for more and never errs.
        for cut in 0..used {
            assert_eq!(decode(&rest[..cut], &LEECH), Ok(None), "{message:?} cut at {cut}");
        }
        rest = &rest[used..];
    }
    assert!(rest.is_empty());
}

#[test]
fn a_wrong_length_is_refused_before_its_bytes_arrive() {
    let cases: &[(&[u8], u8)] = &[
        (&[0xff, 0xff, 0xff, 0xff], 0xff),
        (&[0, 0x20, 0, 0, 7], 0xff),
        (&[0, 0, 0, 2, 0], 0),
        (&[0, 0, 0, 4, 4], 4),
        (&[0, 0, 0, 2, 5], 5),
        (&[0, 0, 0, 4, 5], 5),
        (&[0, 0, 0, 12, 6], 6),
        (&[0, 0, 0, 14, 6], 6),
        (&[0, 0, 0, 10, 7], 7),
        (&[0, 0, 0, 13, 9], 9),
        (&[0, 0, 0, 2, 14], 14),
        (&[0, 0, 0, 1, 20], 20),
        (&[0, 0, 0x10, 0x01, 99], 99),
    ];
    for (bytes, kind) in cases {
        match decode(bytes, &SEED) {
            Err(Error::Length { id, .. }) => assert_eq!(id, *kind, "{bytes:?}"),
            other => panic!("{bytes:?} gave {other:?}"),
        }
    }
}

#[test]
fn spare_bits_must_be_zero() {
    assert!(
        decode(&[0, 0, 0, 3, 5, 0xff, 0xc0], &SEED)
            .expect("valid")
            .is_some()
    );
    assert_eq!(decode(&[0, 0, 0, 3, 5, 0xff, 0xe0], &SEED), Err(Error::SpareBits));
    // Without metadata the last piece is not known yet.
    let open = Bounds {
        pieces: None,
        block_max: 0,
    };
    assert!(
        decode(&[0, 0, 0, 3, 5, 0xff, 0xff], &open)
            .expect("valid")
            .is_some()
    );
}

#[test]
fn an_unknown_kind_is_skipped() {
    assert_eq!(
        decode(&[0, 0, 0, 3, 77, 1, 2, 0], &SEED),
        Ok(Some((Message::Unknown(77), 7)))
    );
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300), pieces in proptest::option::of(0u32..5000), block_max in 0u32..200) {
        let _ = decode(&bytes, &Bounds { pieces, block_max });
    }

    #[test]
    fn a_decoded_message_takes_at_most_the_buffer(length in 0u32..40, id in proptest::num::u8::ANY, fill in proptest::num::u8::ANY) {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.push(id);
        bytes.extend(std::iter::repeat_n(fill, 40));
        if let Ok(Some((_, used))) = decode(&bytes, &LEECH) {
            proptest::prop_assert!(used <= bytes.len());
            proptest::prop_assert_eq!(used, 4 + length as usize);
        }
    }
}
