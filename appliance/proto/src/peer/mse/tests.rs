use super::*;

const TORRENT: InfoHash = InfoHash([0x42; 20]);

fn secrets(seed: u8, pad: usize) -> Secrets {
    Secrets {
        private: std::array::from_fn(|i| seed.wrapping_mul(31).wrapping_add(i as u8) | 1),
        pad: vec![seed; pad],
    }
}

/// Moves bytes in chunks of `chunk` until both sides are done.
fn shake(
    pads: (usize, usize),
    chunk: usize,
    ours: Policy,
    theirs: Policy,
    after: &[u8],
) -> Result<(Done, Done, Vec<u8>), Error> {
    let (mut to_b, mut to_a) = (Vec::new(), Vec::new());
    let mut a = Initiator::new(TORRENT, b"hello", secrets(1, pads.0), theirs, &mut to_b)?;
    let mut b = Responder::new(secrets(2, pads.1), ours);
    let (mut in_a, mut in_b) = (Vec::new(), Vec::new());
    let (mut done_a, mut done_b) = (None, None);
    for _ in 0..20_000 {
        let n = chunk.min(to_b.len());
        in_b.extend(to_b.drain(..n));
        let n = chunk.min(to_a.len());
        in_a.extend(to_a.drain(..n));
        if done_b.is_none() {
            match b.step(&mut in_b, &mut to_a)? {
                Step::Done(done) => {
                    done_b = Some(*done);
                    to_a.extend_from_slice(after);
                }
                Step::Lookup(hash) => b.torrent((hash == key_hash(&TORRENT)).then_some(TORRENT))?,
                Step::More => {}
            }
        }
        if done_a.is_none()
            && let Step::Done(done) = a.step(&mut in_a, &mut to_b)?
        {
            done_a = Some(*done);
        }
        if to_a.is_empty() && to_b.is_empty() && done_a.is_some() && done_b.is_some() {
            break;
        }
    }
    match (done_a, done_b) {
        (Some(a), Some(b)) => Ok((a, b, in_a)),
        _ => Err(Error::Sync),
    }
}

#[test]
fn both_roles_agree_whatever_the_padding_and_the_chunks() {
    for pads in [(0, 0), (512, 512), (1, 511), (37, 0)] {
        for chunk in [1, 7, 96, 4096] {
            let (a, b, left) =
                shake(pads, chunk, Policy::PreferPlaintext, Policy::OnlyRc4, b"").expect("agreement");
            assert_eq!((b.infohash, &b.initial[..]), (TORRENT, &b"hello"[..]));
            assert!(left.is_empty());
            let (mut a, mut b) = (a.ciphers.expect("RC4"), b.ciphers.expect("RC4"));
            let mut text = *b"to the responder";
            a.send.apply(&mut text);
            assert_ne!(&text, b"to the responder");
            b.receive.apply(&mut text);
            assert_eq!(&text, b"to the responder");
            b.send.apply(&mut text);
            a.receive.apply(&mut text);
            assert_eq!(&text, b"to the responder");
        }
    }
}

#[test]
fn plaintext_payload_is_chosen_when_both_allow_it() {
    let prefer = Policy::PreferPlaintext;
    let (a, b, left) = shake((10, 20), 4096, prefer, prefer, b"plain").expect("agreement");
    assert!(a.ciphers.is_none() && b.ciphers.is_none());
    assert_eq!(left, b"plain");
    let (a, _, _) = shake((10, 20), 4096, Policy::OnlyRc4, prefer, b"").expect("agreement");
    assert!(a.ciphers.is_some());
}

#[test]
fn an_unknown_torrent_ends_the_handshake() {
    let mut out = Vec::new();
    let mut input = Vec::new();
    let mut a =
        Initiator::new(InfoHash([1; 20]), b"", secrets(1, 3), Policy::OnlyRc4, &mut input).expect("start");
    let mut b = Responder::new(secrets(2, 5), Policy::PreferPlaintext);
    assert!(matches!(b.step(&mut input, &mut out), Ok(Step::More)));
    a.step(&mut out, &mut input).expect("step 3");
    assert!(matches!(b.step(&mut input, &mut Vec::new()), Ok(Step::Lookup(_))));
    assert_eq!(b.torrent(None), Err(Error::UnknownTorrent));
    assert!(b.step(&mut input, &mut Vec::new()).is_err());
}

#[test]
fn noise_ends_after_the_longest_padding() {
    let mut b = Responder::new(secrets(2, 0), Policy::PreferPlaintext);
    let mut input = vec![0x55; KEY_LEN + PAD_MAX + 19];
    assert!(matches!(b.step(&mut input, &mut Vec::new()), Ok(Step::More)));
    input.push(0x55);
    assert_eq!(b.step(&mut input, &mut Vec::new()).err(), Some(Error::Sync));
    for trivial in [0u8, 0xff] {
        let mut b = Responder::new(secrets(2, 0), Policy::PreferPlaintext);
        let result = b.step(&mut vec![trivial; KEY_LEN], &mut Vec::new());
        assert_eq!(result.err(), Some(Error::Key));
    }
}

#[test]
fn nothing_is_answered_before_a_whole_key() {
    let mut b = Responder::new(secrets(2, 512), Policy::PreferPlaintext);
    let mut out = Vec::new();
    b.step(&mut vec![7; KEY_LEN - 1], &mut out).expect("more");
    assert!(out.is_empty());
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..1500), as_initiator: bool) {
        let mut input = bytes;
        let mut out = Vec::new();
        if as_initiator {
            let mut a = Initiator::new(TORRENT, b"x", secrets(3, 9), Policy::PreferPlaintext, &mut out).expect("start");
            let _ = a.step(&mut input, &mut out);
        } else {
            let mut b = Responder::new(secrets(3, 9), Policy::PreferPlaintext);
            let _ = b.step(&mut input, &mut out);
        }
    }

    #[test]
    fn a_broken_third_step_never_panics_and_never_succeeds_by_luck(at in 0usize..40, flip in 1u8..) {
        let (mut to_b, mut to_a) = (Vec::new(), Vec::new());
        let mut a = Initiator::new(TORRENT, b"hello", secrets(1, 0), Policy::OnlyRc4, &mut to_b).expect("start");
        let mut b = Responder::new(secrets(2, 0), Policy::PreferPlaintext);
        b.step(&mut to_b, &mut to_a).expect("key");
        a.step(&mut to_a, &mut to_b).expect("step 3");
        to_b[at] ^= flip;
        match b.step(&mut to_b, &mut to_a) {
            Ok(Step::Lookup(hash)) => proptest::prop_assert!(hash != key_hash(&TORRENT)),
            Ok(Step::Done(_)) => proptest::prop_assert!(false, "a broken handshake was taken"),
            _ => {}
        }
    }
}
