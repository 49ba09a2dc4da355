//! Which answers count, and what a server that is not good enough leads to.

use std::{collections::HashSet, time::Duration};

use tokio::{net::UdpSocket, time::Instant};

use super::{super::Error, world::*};

#[tokio::test]
async fn an_answer_comes_back_with_id_zero_and_in_lower_case() {
    let (world, fake) = one(|asked| {
        let mut message = good(asked, 7);
        message[3] |= 0x20;
        vec![message]
    })
    .await;
    let wanted = query("a-rather-long-name.with-many-letters.example");
    let message = world.upstreams().ask(&wanted).await.expect("answered");
    assert_eq!(message[..2], [0, 0]);
    assert_eq!(message[12..12 + wanted.name.len()], *wanted.name);
    assert_eq!(last_of(&message), 7);
    assert_eq!(message[3] & 0x20, 0, "anybody on the way could have written AD");
    let asked = fake.asked();
    assert_eq!(asked.len(), 1);
    assert_ne!(
        asked[0].bytes[12..12 + wanted.name.len()],
        *wanted.name,
        "random letters"
    );
    assert_eq!(asked[0].bytes[2..4], [1, 0], "recursion desired, nothing else");
}

#[tokio::test]
async fn what_a_device_wants_of_dnssec_is_passed_on() {
    let (world, fake) = one(|asked| vec![good(asked, 1)]).await;
    let mut wanted = query("example");
    (wanted.dnssec_ok, wanted.checking_disabled) = (true, true);
    world.upstreams().ask(&wanted).await.expect("answered");
    let asked = &fake.asked()[0];
    assert_eq!(asked.bytes[3] & 0x10, 0x10);
    assert_eq!(asked.bytes[asked.question_end() + 7] & 0x80, 0x80);
}

#[tokio::test]
async fn a_wrong_id_is_ignored_and_many_move_the_question_to_tcp() {
    let wrong = |asked: &Asked, by| {
        let mut message = good(asked, 66);
        message[..2].copy_from_slice(&asked.id().wrapping_add(by).to_be_bytes());
        message
    };
    let (world, _fake) = one(move |asked| vec![wrong(asked, 1), good(asked, 1)]).await;
    let upstreams = world.upstreams();
    let message = upstreams.ask(&query("example")).await.expect("answered");
    assert_eq!((last_of(&message), upstreams.ignored()), (1, 1));

    let (world, fake) = one(move |asked| match asked.by_tcp {
        true => vec![good(asked, 2)],
        false => (1..10).map(|by| wrong(asked, by)).collect(),
    })
    .await;
    let message = world.upstreams().ask(&query("example")).await.expect("answered");
    assert_eq!(last_of(&message), 2);
    assert!(fake.asked().iter().any(|asked| asked.by_tcp));
}

#[tokio::test]
async fn another_question_or_no_answer_at_all_is_ignored() {
    let (world, _fake) = one(|asked| {
        let mut other = good(asked, 66);
        other[13] = b'-';
        let mut question = good(asked, 66);
        question[2] &= 0x7f;
        vec![other, question, good(asked, 1)]
    })
    .await;
    let upstreams = world.upstreams();
    let message = upstreams.ask(&query("example")).await.expect("answered");
    assert_eq!((last_of(&message), upstreams.ignored()), (1, 2));
}

#[tokio::test]
async fn the_right_answer_from_a_wrong_source_is_never_heard() {
    let liar = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
    let liar = liar.into_std().expect("a socket");
    let (world, _fake) = one(move |asked| {
        if !asked.by_tcp {
            let _ = liar.send_to(&good(asked, 66), asked.from);
        }
        vec![good(asked, 1)]
    })
    .await;
    let message = world.upstreams().ask(&query("example")).await.expect("answered");
    assert_eq!(last_of(&message), 1);
}

#[tokio::test]
async fn a_server_that_does_not_keep_letters_is_asked_by_tcp_and_then_in_lower_case() {
    let (world, fake) = one(|asked| {
        let mut message = good(asked, 1);
        let end = asked.question_end();
        message[12..end - 4].make_ascii_lowercase();
        vec![message]
    })
    .await;
    let upstreams = world.upstreams();
    let wanted = query("a-name-with-enough-letters.example");
    upstreams.ask(&wanted).await.expect("answered");
    let ways: Vec<_> = fake.asked().iter().map(|asked| asked.by_tcp).collect();
    assert_eq!(ways, [false, true, true]);
    upstreams.ask(&wanted).await.expect("answered");
    let asked = fake.asked();
    assert!(asked.len() == 4 && !asked[3].by_tcp, "the server is known now");
    assert_eq!(asked[3].bytes[12..12 + wanted.name.len()], *wanted.name);
}

#[tokio::test]
async fn a_torn_answer_is_fetched_by_tcp_whose_connection_is_kept() {
    let (world, fake) = one(|asked| {
        let mut message = good(asked, 1);
        if !asked.by_tcp {
            message.truncate(asked.question_end());
            message[2] |= 2;
            message[6..12].fill(0);
        } else if asked.nth == 1 {
            // The largest there can be.
            message.resize(0xffff, 0);
        }
        vec![message]
    })
    .await;
    let upstreams = world.upstreams();
    let message = upstreams.ask(&query("example")).await.expect("answered");
    assert_eq!((last_of(&message), message.len()), (1, 0xffff));
    upstreams.ask(&query("example")).await.expect("answered");
    let ports: HashSet<_> = fake
        .asked()
        .iter()
        .filter(|asked| asked.by_tcp)
        .map(|asked| asked.from)
        .collect();
    assert_eq!(ports.len(), 1);
}

#[tokio::test]
async fn cookies_are_remembered_and_missed() {
    let (world, fake) = one(|asked| {
        let mut message = good(asked, 1);
        if asked.has_edns() && asked.nth != 2 {
            let client = &asked.cookie()[..8];
            let option = [&[0, 10, 0, 16][..], client, b"SERVERCK"].concat();
            let at = message.len() - 2;
            message.truncate(at);
            message.extend_from_slice(&(option.len() as u16).to_be_bytes());
            message.extend_from_slice(&option);
        }
        vec![message]
    })
    .await;
    let upstreams = world.upstreams();
    for _ in 0..3 {
        let message = upstreams.ask(&query("example")).await.expect("answered");
        assert!(
            message.windows(8).all(|part| part != b"SERVERCK"),
            "it is between us"
        );
    }
    let asked = fake.asked();
    assert_eq!(asked[0].cookie().len(), 8);
    assert_eq!(asked[1].cookie()[8..], *b"SERVERCK");
    // The third answer came without: somebody may have forged it.
    assert!(asked.len() == 4 && !asked[2].by_tcp && asked[3].by_tcp);
}

#[tokio::test]
async fn a_foreign_cookie_is_a_forgery() {
    let (world, _fake) = one(|asked| {
        let mut forged = good(asked, 66);
        let at = forged.len() - 2;
        forged.truncate(at);
        forged.extend_from_slice(b"\x00\x14\x00\x0a\x00\x10GUESSED!SERVERCK");
        vec![forged, good(asked, 1)]
    })
    .await;
    let message = world.upstreams().ask(&query("example")).await.expect("answered");
    assert_eq!(last_of(&message), 1);
}

#[tokio::test]
async fn servers_from_before_edns_are_understood() {
    for bare in [true, false] {
        let (world, fake) = one(move |asked| {
            if !asked.has_edns() {
                return vec![good(asked, 1)];
            }
            let end = if bare { 12 } else { asked.question_end() };
            let mut refusal = asked.bytes[..end].to_vec();
            refusal[2] = 0x81;
            refusal[3] = 0x81;
            refusal[4..12].copy_from_slice(&[0, u8::from(!bare), 0, 0, 0, 0, 0, 0]);
            vec![refusal]
        })
        .await;
        let upstreams = world.upstreams();
        for _ in 0..2 {
            let message = upstreams.ask(&query("example")).await.expect("answered");
            assert_eq!(last_of(&message), 1);
        }
        assert_eq!(fake.asked().len(), 3, "it is asked with EDNS once");
    }
}

#[tokio::test]
async fn records_nobody_asked_for_are_taken_out() {
    let (world, _fake) = one(|asked| {
        let mut message = good(asked, 1);
        message[7] = 2;
        let at = message.len() - 11;
        let stray = b"\x04bank\x03com\x00\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xcb\x00\x71\x01";
        message.splice(at..at, stray.iter().copied());
        vec![message]
    })
    .await;
    let message = world.upstreams().ask(&query("example")).await.expect("answered");
    assert_eq!((last_of(&message), message[7]), (1, 1));
    assert!(message.windows(4).all(|part| part != b"bank"));
}

#[tokio::test]
async fn a_datagram_larger_than_asked_for_is_read() {
    let (world, _fake) = one(|asked| {
        let mut message = good(asked, 1);
        message.resize(4000, 0);
        vec![message]
    })
    .await;
    let message = world.upstreams().ask(&query("example")).await.expect("answered");
    assert_eq!(message.len(), 4000);
}

#[tokio::test]
async fn ids_and_ports_tell_nothing() {
    const QUESTIONS: usize = 4_000;
    let (world, fake) = one(|asked| vec![good(asked, 1)]).await;
    let upstreams = world.upstreams();
    for n in 0..QUESTIONS {
        let answered = upstreams.ask(&query(&format!("n{n}.example"))).await;
        answered.expect("answered");
    }
    let asked = fake.asked();
    // On a busy machine some are asked twice.
    assert!(asked.len() >= QUESTIONS);
    let mut bins = [0_u32; 64];
    for one in &asked {
        bins[usize::from(one.id() >> 10)] += 1;
    }
    let expected = asked.len() as f64 / bins.len() as f64;
    let chi: f64 = bins
        .iter()
        .map(|n| (f64::from(*n) - expected).powi(2) / expected)
        .sum();
    // 63 degrees of freedom: one honest run in a million is above.
    assert!(chi < 125.0, "chi square of ids is {chi}");
    let ports: HashSet<_> = asked.iter().map(|one| one.from.port()).collect();
    assert!(ports.len() > QUESTIONS / 20, "{} ports", ports.len());
    let mut row = 1;
    for pair in asked.windows(2) {
        row = if pair[0].from == pair[1].from { row + 1 } else { 1 };
        assert!(row <= 16, "a port is used too long");
    }
}

/// It is moved and kept for every question under way.
#[tokio::test]
async fn a_question_under_way_takes_little_room() {
    let world = world(&["127.0.0.1:9".into()]);
    let upstreams = world.upstreams();
    let asked = query("example.org");
    let bytes = std::mem::size_of_val(&upstreams.ask(&asked));
    assert!(bytes <= 1024, "{bytes} bytes");
    let servers = upstreams.set().servers.clone();
    let bytes = std::mem::size_of_val(&servers[0].attempt(&asked));
    assert!(bytes <= 1024, "{bytes} bytes");
}

#[tokio::test]
async fn without_upstreams_and_without_a_name_the_error_says_so() {
    let nobody = world(&[]);
    assert_eq!(
        nobody.upstreams().ask(&query("example")).await,
        Err(Error::Nobody)
    );
}

#[tokio::test]
async fn a_change_of_the_settings_counts_at_once() {
    let (world, _first) = one(|asked| vec![good(asked, 1)]).await;
    let upstreams = world.upstreams();
    assert_eq!(
        last_of(&upstreams.ask(&query("example")).await.expect("answered")),
        1
    );
    let second = fake(&world.tasks, |asked| vec![good(asked, 2)]).await;
    world.change(|settings| settings.dns.upstreams = vec![second.text()]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while upstreams.facts()[0].address != second.text() {
        assert!(Instant::now() < deadline, "the old upstream stays");
        tokio::task::yield_now().await;
    }
    assert_eq!(
        last_of(&upstreams.ask(&query("example")).await.expect("answered")),
        2
    );
    let facts = &upstreams.facts()[0];
    assert!(facts.healthy && !facts.learned && facts.millis.is_some() && facts.queries == 1);
}
