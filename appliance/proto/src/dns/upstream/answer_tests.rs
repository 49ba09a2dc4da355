use super::{
    super::question::{Cookie, Dress, Edns, Question},
    *,
};

const NAME: &[u8] = b"\x03www\x07example\x03com\x00";
const A: u16 = 1;

fn sent() -> Sent {
    let question = Question {
        name: NAME,
        qtype: A,
        qclass: 1,
        dnssec_ok: false,
        checking_disabled: false,
    };
    let mut cookie = Cookie::new(*b"clientck");
    cookie.set_server(b"servercookie");
    let dress = Dress {
        id: 0x1234,
        case: Some([0x5555_5555_5555_5555; 4]),
        edns: Some(Edns { cookie: Some(cookie) }),
    };
    Sent::new(&question, &dress).expect("a name")
}

/// Header and question as a good server gives them back.
fn head(sent: &Sent, counts: [u16; 3]) -> Vec<u8> {
    let mut message = sent.as_bytes()[..sent.question_end].to_vec();
    message[2] |= 0x80;
    message[3] |= 0x80;
    for (at, count) in [6, 8, 10].into_iter().zip(counts) {
        message[at..at + 2].copy_from_slice(&count.to_be_bytes());
    }
    message
}

fn record(owner: &[u8], rtype: u16, rdata: &[u8]) -> Vec<u8> {
    [
        owner,
        &rtype.to_be_bytes(),
        &[0, 1, 0, 0, 0, 60],
        &(rdata.len() as u16).to_be_bytes(),
        rdata,
    ]
    .concat()
}

fn opt(options: &[u8]) -> Vec<u8> {
    let length = (options.len() as u16).to_be_bytes();
    [&b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00"[..], &length, options].concat()
}

fn option(code: u16, body: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat()
}

fn good(sent: &Sent) -> Vec<u8> {
    let options = [
        option(8, b"\x00\x01\x18\x00\x0a\x00\x00"),
        option(COOKIE, b"clientckSERVERCOOKIE"),
        option(EXTENDED_ERROR, b"\x00\x06why"),
    ];
    [
        head(sent, [1, 0, 1]),
        record(b"\xc0\x0c", A, &[192, 0, 2, 1]),
        opt(&options.concat()),
    ]
    .concat()
}

#[test]
fn a_good_answer_is_taken_and_what_was_between_us_and_the_server_is_taken_out() {
    let sent = sent();
    let mut message = good(&sent);
    let facts = judge(&message, &sent).expect("it is good");
    assert!(facts.edns && facts.cookie && !facts.strays && !facts.truncated);
    assert_eq!(facts.server_cookie(&message), b"SERVERCOOKIE");
    let before = message.len();
    clean(&mut message, &facts, &sent);
    assert_eq!(message.len(), before);
    assert_eq!(&message[..2], [0, 0]);
    assert_eq!(&message[12..12 + NAME.len()], NAME);
    let text = message.windows(5);
    assert!(text.clone().all(|part| part != b"SERVE" && part != b"clien"));
    assert!(message.ends_with(b"\x00\x0f\x00\x05\x00\x06why"));
    // The subnet option is padding now.
    assert!(
        message
            .windows(11)
            .any(|part| part == b"\x00\x0c\x00\x07\0\0\0\0\0\0\0")
    );
}

#[test]
fn each_mismatch_has_its_name() {
    let sent = sent();
    let change = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut message = good(&sent);
        change(&mut message);
        judge(&message, &sent).expect_err("it is bad")
    };
    assert_eq!(change(&|m| m.truncate(11)), Mismatch::Header);
    assert_eq!(change(&|m| m[2] &= 0x7f), Mismatch::Header);
    assert_eq!(change(&|m| m[2] |= 0x28), Mismatch::Header);
    assert_eq!(change(&|m| m[1] ^= 1), Mismatch::Id);
    assert_eq!(change(&|m| m[5] = 2), Mismatch::Question);
    assert_eq!(change(&|m| m[5] = 0), Mismatch::Question);
    assert_eq!(change(&|m| m[13] = b'x'), Mismatch::Question);
    assert_eq!(change(&|m| m[30] = 28), Mismatch::Question);
    assert_eq!(change(&|m| m[32] = 3), Mismatch::Question);
    assert_eq!(change(&|m| m[13] ^= 0x20), Mismatch::Case);
    assert_eq!(change(&|m| m[7] = 9), Mismatch::Garbage);
    let at = good(&sent)
        .windows(8)
        .position(|part| part == b"clientck")
        .expect("ours");
    assert_eq!(change(&|m| m[at] ^= 1), Mismatch::Cookie);
    // A class of 0x41 is not 0x61, although letters are compared without case.
    assert_eq!(change(&|m| m[29] ^= 0x20), Mismatch::Question);
}

#[test]
fn a_refusal_without_a_question_is_told_apart() {
    let sent = sent();
    let mut message = sent.as_bytes()[..12].to_vec();
    message[2..12].copy_from_slice(&[0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]);
    let facts = judge(&message, &sent).expect("a bare refusal");
    assert!(facts.bare && facts.rcode == FORMERR);
    clean(&mut message, &facts, &sent);
    message[3] = 0x80;
    message[..2].copy_from_slice(&[0x12, 0x34]);
    assert_eq!(judge(&message, &sent), Err(Mismatch::Question));
}

#[test]
fn the_upper_bits_of_the_code_come_from_edns() {
    let sent = sent();
    let mut bad = opt(&option(COOKIE, b"clientckSERVERCOOKIE"));
    bad[5] = 1;
    let mut message = [head(&sent, [0, 0, 1]), bad].concat();
    message[3] |= 7;
    assert_eq!(judge(&message, &sent).expect("whole").rcode, BADCOOKIE);
}

#[test]
fn records_that_nobody_asked_for_are_strays() {
    let sent = sent();
    let stray = |records: &[Vec<u8>]| {
        let message = [head(&sent, [records.len() as u16, 0, 0]), records.concat()].concat();
        judge(&message, &sent).expect("whole").strays
    };
    let direct = record(b"\xc0\x0c", A, &[1; 4]);
    let alias = record(b"\xc0\x0c", CNAME, b"\x03cdn\x03net\x00");
    let target = record(b"\x03CDN\x03net\x00", A, &[1; 4]);
    let foreign = record(b"\x04bank\x03com\x00", A, &[1; 4]);
    let dname = record(b"\xc0\x10", DNAME, b"\x03net\x00");
    assert!(!stray(&[direct.clone(), direct.clone()]));
    assert!(!stray(&[alias.clone(), target.clone()]));
    assert!(
        !stray(&[target.clone(), alias.clone()]),
        "servers give them in any order"
    );
    assert!(!stray(&[dname, alias.clone(), target.clone()]));
    assert!(stray(&[direct, foreign.clone()]));
    assert!(stray(&[alias, target.clone(), foreign]));
    assert!(stray(&[target]));
}

#[test]
fn a_circle_of_aliases_ends() {
    let sent = sent();
    let records: Vec<_> = (0..40_u8)
        .map(|n| {
            let (here, next) = ([1, n + 1, 0], [1, (n + 2) % 40 + 1, 0]);
            record(&here, CNAME, &next)
        })
        .chain([record(b"\xc0\x0c", CNAME, &[1, 1, 0])])
        .collect();
    let message = [head(&sent, [records.len() as u16, 0, 0]), records.concat()].concat();
    assert!(
        judge(&message, &sent).expect("whole").strays,
        "more aliases than we follow"
    );
}

#[test]
fn every_cut_and_every_flipped_byte_is_judged_without_harm() {
    let sent = sent();
    let message = good(&sent);
    for end in 0..message.len() {
        assert!(judge(&message[..end], &sent).is_err(), "cut at {end}");
    }
    let mut judged = 0;
    for at in 0..message.len() {
        for bit in 0..8 {
            let mut bad = message.clone();
            bad[at] ^= 1 << bit;
            if let Ok(facts) = judge(&bad, &sent) {
                clean(&mut bad, &facts, &sent);
                judged += 1;
            }
            assert!(at >= 2 || judged == 0, "another id");
        }
    }
}

#[test]
fn edns_stands_once_and_in_its_place() {
    let sent = sent();
    let judged = |counts, parts: &[Vec<u8>]| judge(&[head(&sent, counts), parts.concat()].concat(), &sent);
    assert!(judged([0, 0, 1], &[opt(&[])]).is_ok());
    assert!(judged([0, 0, 2], &[opt(&[]), opt(&[])]).is_err());
    assert!(judged([0, 1, 0], &[opt(&[])]).is_err());
    assert!(judged([0, 0, 1], &[opt(b"\x00\x0a\x00\xff")]).is_err());
    assert!(judged([0, 0, 1], &[record(b"\x01a\x00", OPT, &[])]).is_err());
}
