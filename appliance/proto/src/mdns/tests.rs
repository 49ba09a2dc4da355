use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

use super::{
    wire::{
        A, AAAA, ANY, CLASS_IN, Message, NSEC, Name, PTR, Question, RESPONSE, Record, SRV, TRUNCATED, TXT,
    },
    *,
};

const NEIGHBOUR: &str = "192.168.1.9:5353";

fn addrs(text: &str) -> Vec<IpAddr> {
    text.split(' ')
        .map(|one| one.parse().expect("an address"))
        .collect()
}

fn from(text: &str) -> SocketAddr {
    text.parse().expect("an address with a port")
}

fn responder(addresses: &str) -> Responder {
    let mut responder = Responder::new(Service {
        host: "granary".into(),
        instance: "Granary".into(),
        port: 80,
    });
    responder.set_links(0, 0, &[(2, addrs(addresses))]);
    responder
}

/// Lets time pass until `until`, and returns what was sent and when.
fn run(responder: &mut Responder, until: u64) -> Vec<(u64, Output)> {
    let mut sent = Vec::new();
    while let Some(due) = responder.due().filter(|due| *due <= until) {
        sent.extend(responder.tick(due).into_iter().map(|output| (due, output)));
    }
    sent
}

fn settled(addresses: &str) -> Responder {
    let mut responder = responder(addresses);
    run(&mut responder, 10_000);
    assert_eq!(responder.name().as_deref(), Some("granary.local"));
    responder
}

fn read(output: &Output) -> Message {
    Message::read(&output.packet).expect("what we write can be read")
}

fn question(name: &str, kind: u16) -> Question {
    Question {
        name: Name::text(name),
        kind,
        class: CLASS_IN,
        unicast: false,
    }
}

fn query(name: &str, kind: u16) -> Message {
    Message {
        questions: vec![question(name, kind)],
        ..Message::default()
    }
}

/// What is sent when `message` arrives at `now`, long after anything else.
fn answers(responder: &mut Responder, now: u64, asker: &str, message: &Message) -> Vec<Output> {
    responder.heard(now, 50, 2, from(asker), &message.write());
    let mut out = responder.tick(now);
    out.extend(run(responder, now + 600).into_iter().map(|(_, output)| output));
    out
}

fn kinds(records: &[Record]) -> Vec<u16> {
    records.iter().map(|record| record.kind).collect()
}

#[test]
fn a_name_is_asked_for_three_times_and_then_announced_twice() {
    let mut responder = responder("192.168.1.2 fd12::53");
    assert_eq!(responder.name(), None);
    let sent = run(&mut responder, 100_000);
    let times: Vec<_> = sent.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 250, 500, 750, 1750]);
    for (_, probe) in &sent[..3] {
        let message = read(probe);
        assert!(!message.is_response() && message.questions.iter().all(|one| one.kind == ANY));
        assert_eq!(kinds(&message.authorities), [A, AAAA, SRV, TXT]);
    }
    let announced = read(&sent[3].1);
    assert_eq!((announced.id, announced.flags), (0, RESPONSE));
    assert_eq!(kinds(&announced.answers), [A, AAAA, SRV, TXT, PTR, PTR]);
    assert!(
        announced
            .answers
            .iter()
            .all(|one| one.flush == (one.kind != PTR) && one.ttl > 0)
    );
    assert_eq!(responder.name().as_deref(), Some("granary.local"));
}

#[test]
fn an_answer_has_exactly_these_bytes() {
    let mut responder = settled("192.168.1.2");
    let out = answers(&mut responder, 20_000, NEIGHBOUR, &query("Granary.LOCAL", A));
    let expected = concat!(
        "000084000000000100000001",
        "076772616e617279056c6f63616c00",
        "00018001000000780004c0a80102",
        "c00c002f80010000007800",
        "12",
        "076772616e617279056c6f63616c00000140"
    );
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].to, To::Group);
    assert_eq!(data_encoding::HEXLOWER.encode(&out[0].packet), expected);
}

#[test]
fn browsing_for_web_servers_finds_the_box_and_all_that_is_asked_next() {
    let mut responder = settled("192.168.1.2 fd12::53");
    let out = answers(&mut responder, 20_000, NEIGHBOUR, &query("_http._tcp.local", PTR));
    let message = read(&out[0]);
    assert_eq!(kinds(&message.answers), [PTR]);
    assert_eq!(kinds(&message.additionals), [SRV, TXT, A, AAAA]);
    assert_eq!(
        message.additionals[0].name,
        Name::text("Granary._http._tcp.local")
    );
    assert_eq!(message.additionals[1].data, b"\x06path=/");
    let out = answers(
        &mut responder,
        30_000,
        NEIGHBOUR,
        &query("_services._dns-sd._udp.local", PTR),
    );
    assert_eq!(kinds(&read(&out[0]).answers), [PTR]);
}

#[test]
fn what_does_not_exist_is_said_at_once_and_other_names_are_no_business_of_ours() {
    let mut responder = settled("192.168.1.2");
    let out = answers(&mut responder, 20_000, NEIGHBOUR, &query("granary.local", AAAA));
    assert_eq!(kinds(&read(&out[0]).answers), [NSEC]);
    for (name, kind) in [
        ("other.local", A),
        ("local", ANY),
        ("_ipp._tcp.local", PTR),
        ("_http._tcp.local", A),
        ("x.granary.local", A),
    ] {
        assert_eq!(answers(&mut responder, 30_000, NEIGHBOUR, &query(name, kind)), []);
    }
    let mut chaos = query("granary.local", A);
    chaos.questions[0].class = 3;
    assert_eq!(answers(&mut responder, 40_000, NEIGHBOUR, &chaos), []);
}

#[test]
fn what_the_asker_knows_is_not_repeated() {
    let mut responder = settled("192.168.1.2");
    let pointer = |ttl| Record {
        name: Name::text("_http._tcp.local"),
        kind: PTR,
        class: CLASS_IN,
        flush: false,
        ttl,
        data: wire::data_of_name(&Name::text("Granary._http._tcp.local")),
    };
    let knowing = |ttl| Message {
        answers: vec![pointer(ttl)],
        ..query("_http._tcp.local", PTR)
    };
    assert_eq!(answers(&mut responder, 20_000, NEIGHBOUR, &knowing(2250)), []);
    assert_eq!(
        answers(&mut responder, 30_000, NEIGHBOUR, &knowing(2249)).len(),
        1
    );
    // A list too long for one packet: the rest of it still counts.
    let long = Message {
        flags: TRUNCATED,
        ..query("_http._tcp.local", PTR)
    };
    let rest = Message {
        answers: vec![pointer(4000)],
        ..Message::default()
    };
    responder.heard(40_000, 50, 2, from(NEIGHBOUR), &long.write());
    responder.heard(40_100, 50, 2, from("192.168.1.77:5353"), &rest.write());
    responder.heard(40_200, 50, 2, from(NEIGHBOUR), &rest.write());
    assert!(run(&mut responder, 50_000).is_empty());
    responder.heard(60_000, 50, 2, from(NEIGHBOUR), &long.write());
    assert_eq!(
        run(&mut responder, 70_000)
            .iter()
            .map(|(at, _)| *at)
            .collect::<Vec<_>>(),
        [60_450]
    );
}

#[test]
fn who_asks_as_from_a_server_gets_an_ordinary_answer() {
    let mut responder = settled("192.168.1.2");
    let mut message = query("granary.local", A);
    message.id = 4711;
    message.flags = wire::RECURSION;
    let out = answers(&mut responder, 20_000, "192.168.1.9:40000", &message);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].to, To::One(from("192.168.1.9:40000")));
    let answer = read(&out[0]);
    assert_eq!((answer.id, answer.questions.len()), (4711, 1));
    assert!(answer.answers.iter().all(|one| !one.flush && one.ttl <= 10));
    assert_eq!(answer.answers[0].addr(), Some(addrs("192.168.1.2")[0]));
    assert_eq!(
        answers(
            &mut responder,
            30_000,
            "192.168.1.9:40000",
            &query("else.local", A)
        ),
        []
    );
}

#[test]
fn who_wants_an_answer_for_itself_gets_it_when_all_others_have_a_fresh_one() {
    let mut responder = settled("192.168.1.2");
    let mut message = query("granary.local", A);
    message.questions[0].unicast = true;
    let out = answers(&mut responder, 20_000, NEIGHBOUR, &message);
    assert_eq!(out[0].to, To::One(from(NEIGHBOUR)));
    let out = answers(&mut responder, 60_000, NEIGHBOUR, &message);
    assert_eq!(out[0].to, To::Group, "30 seconds are a quarter of the lifetime");
}

#[test]
fn no_record_is_sent_to_all_twice_in_a_second() {
    let mut responder = settled("192.168.1.2");
    let mut sent = 0;
    for now in (20_000..25_000).step_by(10) {
        sent += answers(&mut responder, now, NEIGHBOUR, &query("granary.local", A)).len();
    }
    assert_eq!(sent, 5);
}

#[test]
fn a_name_that_somebody_has_is_left_to_them_and_the_next_one_taken() {
    let mut other = settled("192.168.1.3");
    let mut ours = responder("192.168.1.2");
    let probe = ours.tick(0);
    other.heard(20_000, 0, 2, from("192.168.1.2:5353"), &probe[0].packet);
    let defence = other.tick(20_000);
    assert_eq!(defence.len(), 1, "a name is defended at once");
    assert_eq!(defence[0].to, To::Group);
    ours.heard(10, 0, 2, from("192.168.1.3:5353"), &defence[0].packet);
    run(&mut ours, 10_000);
    assert_eq!(ours.name().as_deref(), Some("granary-2.local"));
    let found = answers(&mut ours, 20_000, NEIGHBOUR, &query("granary-2.local", A));
    assert_eq!(read(&found[0]).answers[0].addr(), Some(addrs("192.168.1.2")[0]));
    assert_eq!(other.name().as_deref(), Some("granary.local"));
}

/// Two boxes on one cable; what one sends the other hears.
#[test]
fn of_two_that_start_together_one_gets_the_name_and_the_other_the_next() {
    let mut boxes = [responder("192.168.1.2"), responder("192.168.1.3")];
    let places = ["192.168.1.2:5353", "192.168.1.3:5353"];
    for now in 0..15_000 {
        for me in [0, 1] {
            for output in boxes[me].tick(now) {
                boxes[1 - me].heard(now, 100, 2, from(places[me]), &output.packet);
                // Also what was sent comes back to its sender.
                boxes[me].heard(now, 100, 2, from(places[me]), &output.packet);
            }
        }
    }
    let names = boxes.each_ref().map(|one| one.name().expect("both have one"));
    assert_eq!(
        names,
        ["granary-2.local", "granary.local"],
        "the later address wins"
    );
    let out = answers(&mut boxes[0], 20_000, NEIGHBOUR, &query("_http._tcp.local", PTR));
    let srv = &read(&out[0]).additionals[0];
    assert_eq!(srv.name, Name::of(&["Granary (2)", "_http", "_tcp", "local"]));
}

#[test]
fn a_name_claimed_later_is_asked_for_again_and_kept_when_nobody_defends_it() {
    let mut ours = settled("192.168.1.2");
    let mut claim = Message {
        flags: RESPONSE,
        answers: vec![Record {
            name: Name::text("granary.local"),
            kind: A,
            class: CLASS_IN,
            flush: true,
            ttl: 120,
            data: vec![192, 168, 1, 66],
        }],
        ..Message::default()
    };
    ours.heard(20_000, 0, 2, from("192.168.1.66:9999"), &claim.write());
    assert!(ours.name().is_some(), "not from the port: no conflict");
    ours.heard(20_000, 0, 2, from("192.168.1.66:5353"), &claim.write());
    assert_eq!(ours.name(), None);
    run(&mut ours, 30_000);
    assert_eq!(ours.name().as_deref(), Some("granary.local"));
    claim.answers[0].ttl = 0;
    ours.heard(40_000, 0, 2, from("192.168.1.66:5353"), &claim.write());
    claim.answers[0].ttl = 120;
    claim.answers[0].data = vec![192, 168, 1, 2];
    ours.heard(40_000, 0, 2, from("192.168.1.2:5353"), &claim.write());
    assert!(
        ours.name().is_some(),
        "a goodbye and our own words are no conflict"
    );
}

#[test]
fn whoever_claims_every_name_slows_us_down_and_no_more() {
    let mut ours = responder("192.168.1.2");
    let mut renamed = 0;
    for now in 0..60_000u64 {
        for output in ours.tick(now) {
            let asked = read(&output);
            let Some(question) = asked.questions.first() else {
                continue;
            };
            renamed += 1;
            let claim = Message {
                flags: RESPONSE,
                answers: vec![Record {
                    name: question.name.clone(),
                    kind: A,
                    class: CLASS_IN,
                    flush: true,
                    ttl: 120,
                    data: vec![192, 168, 1, 66],
                }],
                ..Message::default()
            };
            ours.heard(now, 7, 2, from("192.168.1.66:5353"), &claim.write());
        }
    }
    assert!((15..40).contains(&renamed), "{renamed} attempts in a minute");
}

#[test]
fn a_goodbye_takes_back_everything_that_was_announced() {
    let mut responder = settled("192.168.1.2 fd12::53");
    let out = responder.goodbye();
    assert_eq!(out.len(), 1);
    let message = read(&out[0]);
    assert_eq!(kinds(&message.answers), [A, AAAA, SRV, TXT, PTR, PTR]);
    assert!(message.answers.iter().all(|record| record.ttl == 0));
    assert_eq!(
        super::tests::responder("192.168.1.2").goodbye(),
        [],
        "nothing was announced yet"
    );
}

#[test]
fn a_changed_address_is_announced_and_a_new_interface_probed() {
    let mut responder = settled("192.168.1.2");
    responder.set_links(20_000, 0, &[(2, addrs("192.168.1.5"))]);
    let sent = run(&mut responder, 30_000);
    assert_eq!(sent.len(), 2);
    assert_eq!(read(&sent[0].1).answers[0].addr(), Some(addrs("192.168.1.5")[0]));
    responder.set_links(30_000, 0, &[(2, addrs("192.168.1.5")), (3, addrs("10.0.0.2"))]);
    let sent = run(&mut responder, 40_000);
    assert!(sent.iter().all(|(_, output)| output.link == 3) && sent.len() == 5);
    responder.set_links(40_000, 0, &[]);
    assert_eq!((responder.name(), responder.due()), (None, None));
}

#[test]
fn names_that_point_at_themselves_or_forward_are_refused() {
    let with_name = |name: &[u8]| {
        let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        packet.extend(name);
        packet.extend([0, 1, 0, 1]);
        Message::read(&packet)
    };
    assert!(with_name(&[1, b'a', 0]).is_some());
    for (what, name) in [
        ("itself", &[0xc0, 12][..]),
        ("forward", &[0xc0, 14, 0]),
        ("back into itself", &[1, b'a', 0xc0, 12]),
        ("the head", &[0xc0, 0, 0xc0]),
        ("a reserved length", &[0x80, 1, 0]),
        ("beyond the end", &[63, b'a']),
    ] {
        assert_eq!(with_name(name).filter(|_| what != "the head"), None, "{what}");
    }
    let long: Vec<u8> = std::iter::repeat_n([&[63u8][..], &[b'a'; 63]].concat(), 5)
        .flatten()
        .chain([0])
        .collect();
    assert_eq!(with_name(&long), None, "a name of more than 255 bytes");
}

fn samples() -> Vec<Vec<u8>> {
    let mut ours = responder("192.168.1.2 fd12::53");
    let mut all: Vec<_> = run(&mut ours, 5_000)
        .into_iter()
        .map(|(_, output)| output.packet)
        .collect();
    all.push(query("_http._tcp.local", PTR).write());
    all
}

#[test]
fn a_packet_cut_anywhere_is_refused() {
    for packet in samples() {
        for cut in 0..packet.len() {
            assert_eq!(Message::read(&packet[..cut]), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Damaged packets are read, answered or left, and the responder goes on.
    #[test]
    fn damaged_packets_do_no_harm(
        which in 0usize..6,
        hits in proptest::collection::vec((0usize..300, any::<u8>()), 1..8),
        tail in proptest::collection::vec(any::<u8>(), 0..8),
        port in prop_oneof![Just(5353u16), Just(4000)],
    ) {
        let mut packet = samples().swap_remove(which);
        for (at, byte) in hits {
            let len = packet.len();
            packet[at % len] = byte;
        }
        packet.extend(tail);
        let mut ours = settled("192.168.1.2 fd12::53");
        ours.heard(20_000, 1, 2, from(&format!("192.168.1.9:{port}")), &packet);
        let mut answered: Vec<Output> = ours.tick(20_000);
        answered.extend(run(&mut ours, 40_000).into_iter().map(|(_, output)| output));
        prop_assert!(answered.len() <= 8);
        prop_assert!(ours.name().is_some());
    }

    #[test]
    fn what_is_read_can_be_written_and_read_again(which in 0usize..6, at in 12usize..300, byte: u8) {
        let mut packet = samples().swap_remove(which);
        let len = packet.len();
        packet[at % len] = byte;
        if let Some(message) = Message::read(&packet) {
            prop_assert_eq!(Message::read(&message.write()), Some(message));
        }
    }
}
