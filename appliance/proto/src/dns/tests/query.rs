use super::super::{
    Rcode,
    packets::{question, read, with_opt},
};
use super::*;

const FORMERR: Fault = Fault::Answer(Rcode::FormErr);

#[test]
fn a_question_is_read_in_place() {
    let packet = with_opt(
        question("WwW.Example.ORG", 28),
        4096,
        0,
        0x80,
        b"\0\x0c\0\x02\0\0",
    );
    let query = read(&packet);
    assert_eq!(query.name.wire(), b"\x03www\x07example\x03org\0");
    assert_eq!(&query.question[..5], b"\x03WwW\x07");
    assert_eq!(
        (query.name.top(), query.name.first(), query.name.labels()),
        (&b"org"[..], &b"www"[..], 3)
    );
    assert_eq!((query.qtype, query.qclass, query.id), (28, 1, 0x1234));
    assert!(query.dnssec_ok() && query.wants_recursion() && query.wants_ad());
    assert_eq!(query.udp_limit(), 1232);
    assert!(
        query
            .edns
            .is_some_and(|edns| edns.padding && edns.cookie.is_none())
    );
    let root = question(".", 2);
    assert_eq!(
        (read(&root).name.wire(), read(&root).name.top()),
        (&b"\0"[..], &b""[..])
    );
    assert_eq!(read(&root).udp_limit(), 512);
}

/// Each packet has this fault, and an answer that says so is a head alone.
#[track_caller]
fn have_faults(cases: Vec<(&str, Vec<u8>, Fault)>) {
    for (what, packet, fault) in cases {
        assert_eq!(read_fault(&packet), Some(fault), "{what}");
        let mut out = Vec::new();
        if let Fault::Answer(rcode) = fault {
            write_fault(&packet, rcode, &mut out);
            assert_eq!(out.len(), 12, "{what}");
            assert_eq!(
                (out[2] & 0x80, out[3] & 0xf, &out[..2]),
                (0x80, rcode as u8, &packet[..2]),
                "{what}"
            );
        }
    }
}

#[test]
fn what_is_no_question_gets_the_code_that_says_so() {
    let good = question("a.example", 1);
    let changed = |at: usize, byte: u8| {
        let mut packet = good.clone();
        packet[at] = byte;
        packet
    };
    let mut long = b"\0\0\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    long.extend([b"\x3f".to_vec(), vec![b'a'; 63]].concat().repeat(4));
    long.extend(b"\0\0\x01\0\x01");
    let cases: Vec<(&str, Vec<u8>, Fault)> = vec![
        ("nothing", vec![], Fault::Silent),
        ("too short", good[..11].to_vec(), Fault::Silent),
        ("a response", changed(2, 0x81), Fault::Silent),
        ("an update", changed(2, 0x28), Fault::Answer(Rcode::NotImp)),
        ("a notify", changed(2, 0x20), Fault::Answer(Rcode::NotImp)),
        ("a status", changed(2, 0x10), Fault::Answer(Rcode::NotImp)),
        ("truncated", changed(2, 0x03), FORMERR),
        ("no question", changed(5, 0), FORMERR),
        ("two questions", changed(5, 2), FORMERR),
        ("an answer", changed(7, 1), FORMERR),
        ("an authority", changed(9, 1), FORMERR),
        ("an additional that is not there", changed(11, 1), FORMERR),
        ("two additional", changed(11, 2), FORMERR),
        ("a pointer", changed(12, 0xc0), FORMERR),
        ("an unknown kind of label", changed(12, 0x40), FORMERR),
        ("cut in the name", good[..15].to_vec(), FORMERR),
        ("cut in the type", good[..good.len() - 3].to_vec(), FORMERR),
        ("header alone", good[..12].to_vec(), FORMERR),
        ("type 0", question("a.example", 0), FORMERR),
        ("type OPT", question("a.example", 41), FORMERR),
        ("a name of 257 bytes", long, FORMERR),
        (
            "a record that is no OPT",
            [changed(11, 1), b"\0\0\x01\0\x01\0\0\0\0\0\0".to_vec()].concat(),
            FORMERR,
        ),
        (
            "an OPT with a name",
            [changed(11, 1), b"\x01a\0\0\x29\x10\0\0\0\0\0\0\0".to_vec()].concat(),
            FORMERR,
        ),
        (
            "an OPT cut short",
            [changed(11, 1), b"\0\0\x29\x10\0\0\0".to_vec()].concat(),
            FORMERR,
        ),
    ];
    have_faults(cases);
}

#[test]
fn options_that_are_none_get_the_code_that_says_so() {
    let good = question("a.example", 1);
    let cases: Vec<(&str, Vec<u8>, Fault)> = vec![
        (
            "options longer than the packet",
            with_opt(good.clone(), 1232, 0, 0, b"\0\x0a\0\x09abc"),
            FORMERR,
        ),
        (
            "half an option",
            with_opt(good.clone(), 1232, 0, 0, b"\0\x0a\0"),
            FORMERR,
        ),
        (
            "a cookie of 7 bytes",
            with_opt(good.clone(), 1232, 0, 0, b"\0\x0a\0\x07abcdefg"),
            FORMERR,
        ),
        (
            "a cookie of 12 bytes",
            with_opt(good.clone(), 1232, 0, 0, b"\0\x0a\0\x0cabcdefghabcd"),
            FORMERR,
        ),
        (
            "a cookie of 41 bytes",
            with_opt(
                good.clone(),
                1232,
                0,
                0,
                &[b"\0\x0a\0\x29".to_vec(), vec![1; 41]].concat(),
            ),
            FORMERR,
        ),
    ];
    have_faults(cases);
}

fn read_fault(packet: &[u8]) -> Option<Fault> {
    super::read(packet).err()
}

#[test]
fn what_stands_behind_the_question_and_unknown_options_are_not_minded() {
    for tail in [&b"x"[..], &[0; 100]] {
        let packet = [question("a.example", 1), tail.to_vec()].concat();
        assert_eq!(read_fault(&packet), None);
    }
    // Client subnet, name server identifier, and an option nobody knows.
    let options = b"\0\x08\0\x07\0\x01\x18\0\xc0\0\x02\0\x03\0\0\xff\xf0\0\x01x";
    let packet = with_opt(question("a.example", 1), 0, 0, 0, options);
    assert_eq!(read(&packet).udp_limit(), 512);
    // Of a later version only the version is read.
    let packet = with_opt(question("a.example", 1), 1232, 7, 0, b"\xff");
    assert_eq!(read(&packet).edns.map(|edns| edns.version), Some(7));
}

#[test]
fn a_name_may_have_255_bytes_and_no_more() {
    let label = "a".repeat(63);
    let most = format!("{label}.{label}.{label}.{}", "b".repeat(61));
    let packet = question(&most, 1);
    let query = read(&packet);
    assert_eq!(query.name.wire().len(), 255);
    let packet = question(&format!("{label}.{label}.{label}.{}", "b".repeat(62)), 1);
    assert_eq!(read_fault(&packet), Some(FORMERR));
    let packet = question(&"a.".repeat(127), 1);
    assert_eq!(read(&packet).name.labels(), 127);
}
