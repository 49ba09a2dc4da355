//! What an upstream resolver may send.

use proto::dns::upstream::{
    answer,
    manners::Manners,
    question::{Question, Sent},
};

use super::seen;

fn sent() -> Sent {
    let question = Question {
        name: b"\x03www\x07example\x03com\x00",
        qtype: 1,
        qclass: 1,
        dnssec_ok: true,
        checking_disabled: false,
    };
    let dress =
        Manners::new(*b"clientck").dress(0x1234, [0x5555_5555_5555_5555; 4], std::time::Instant::now());
    Sent::new(&question, &dress).expect("a name")
}

/// The question as it comes back, then records.
fn reply(counts: [u8; 3], records: &[u8]) -> Vec<u8> {
    let sent = sent();
    let mut message = sent.as_bytes()[..12 + 17 + 4].to_vec();
    message[2] |= 0x80;
    for (at, count) in [7, 9, 11].into_iter().zip(counts) {
        message[at] = count;
    }
    message.extend_from_slice(records);
    message
}

pub fn answers() -> Vec<Vec<u8>> {
    const OPT: &[u8] =
        b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x25\x00\x0a\x00\x10clientckSERVERCK\x00\x08\x00\x07\0\x01\x18\0\x0a\0\0\x00\x0f\x00\x02\x00\x06";
    const A: &[u8] = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01";
    const ALIAS: &[u8] = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x09\x03cdn\x03net\x00";
    const TARGET: &[u8] = b"\x03cdn\x03net\x00\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01";
    const DNAME: &[u8] = b"\xc0\x10\x00\x27\x00\x01\x00\x00\x00\x3c\x00\x05\x03net\x00";
    const SOA: &[u8] = b"\xc0\x10\x00\x06\x00\x01\x00\x00\x00\x3c\x00\x18\xc0\x10\xc0\x10\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05";
    vec![
        reply([1, 0, 1], &[A, OPT].concat()),
        reply([2, 0, 1], &[ALIAS, TARGET, OPT].concat()),
        reply([3, 0, 0], &[DNAME, ALIAS, TARGET].concat()),
        reply([0, 1, 1], &[SOA, OPT].concat()),
        reply([0, 0, 0], &[]),
        sent().as_bytes()[..12].to_vec(),
    ]
}

/// What is taken for an answer has our id and question, and what leaves carries neither id nor cookie.
pub fn answer(input: &[u8]) -> u64 {
    let sent = sent();
    let judged = answer::judge(input, &sent);
    if let Ok(facts) = &judged {
        let mut message = input.to_vec();
        answer::clean(&mut message, facts, &sent);
        assert_eq!(message.len(), input.len(), "nothing moves");
        assert_eq!(message[..2], [0, 0]);
        assert!(facts.bare || message[12..29] == *b"\x03www\x07example\x03com\x00");
        assert!(input[2] & 0x80 != 0 && input[..2] == [0x12, 0x34]);
    }
    seen(&judged)
}
