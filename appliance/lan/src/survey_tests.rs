use proto::mdns::wire::{RESPONSE, Record};

use super::*;

const OWN: [Ipv4Addr; 1] = [Ipv4Addr::new(192, 168, 1, 2)];

fn record(name: &str, kind: u16, data: &[u8]) -> Record {
    Record {
        name: Name::text(name),
        kind,
        class: CLASS_IN,
        flush: false,
        ttl: 60,
        data: data.into(),
    }
}

/// A resolver on loopback: `answer` changes an empty answer, or returns false for silence.
async fn resolver(answer: fn(&Question, &mut Message) -> bool) -> (SocketAddr, impl Future<Output = ()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let addr = socket.local_addr().expect("it is bound");
    let serve = async move {
        let mut buffer = [0; 512];
        loop {
            let (len, from) = socket.recv_from(&mut buffer).await.expect("loopback works");
            let asked = Message::read(&buffer[..len]).expect("we ask well");
            let mut reply = Message {
                id: asked.id,
                flags: RESPONSE,
                questions: asked.questions.clone(),
                ..Message::default()
            };
            if answer(&asked.questions[0], &mut reply) {
                socket
                    .send_to(&reply.write(), from)
                    .await
                    .expect("loopback works");
            }
        }
    };
    (addr, serve)
}

async fn seen(answer: fn(&Question, &mut Message) -> bool) -> Router {
    let (addr, serve) = resolver(answer).await;
    tokio::select! {
        found = router(addr, &OWN) => found,
        () = serve => unreachable!("it serves for ever"),
    }
}

fn ours(question: &Question) -> bool {
    format!("{:?}", question.name).ends_with(&format!(".{TLD}\""))
}

/// What our zone says to a question, before the router touches it.
fn zone(question: &Question, reply: &mut Message) -> bool {
    if question.class == CLASS_CHAOS {
        reply
            .answers
            .push(record("version.bind", TXT, b"\x0cdnsmasq-2.90"));
    } else if !ours(question) {
        reply
            .answers
            .push(record("use-application-dns.net", A, &[203, 0, 113, 7]));
    } else if question.kind == A {
        reply.answers.push(record("x.btlink", A, &OWN[0].octets()));
    } else {
        reply.authorities.push(record(TLD, SOA, &[0; 22]));
    }
    true
}

#[tokio::test]
async fn a_router_that_sends_our_zone_to_us_is_recognised() {
    let found = seen(zone).await;
    assert_eq!(
        found,
        Router {
            resolves: true,
            software: Some("dnsmasq-2.90".into()),
            forwards: true,
            drops_private: false,
            canary: Some(false),
        }
    );
}

#[tokio::test]
async fn a_router_that_drops_answers_into_the_home_is_recognised() {
    let found = seen(|question, reply| {
        zone(question, reply);
        reply.answers.retain(|one| one.addr() != Some(OWN[0].into()));
        true
    })
    .await;
    assert!(found.drops_private && !found.forwards && found.resolves);
}

#[tokio::test]
async fn a_router_that_asks_the_root_or_invents_answers_does_not_forward() {
    // NXDOMAIN with the SOA of the root, and Firefox asked to stay.
    let found = seen(|question, reply| {
        reply.flags |= NOT_EXISTING;
        if ours(question) {
            reply.authorities.push(record("", SOA, &[0; 22]));
        }
        true
    })
    .await;
    assert!(found.resolves && !found.forwards && !found.drops_private);
    assert_eq!((found.canary, found.software), (Some(true), None));
    // A provider that sells every mistyped name.
    let found = seen(|question, reply| {
        if question.kind == A {
            reply.answers.push(record("x", A, &[203, 0, 113, 9]));
        }
        true
    })
    .await;
    assert!(found.resolves && !found.forwards && !found.drops_private);
}

#[tokio::test]
async fn a_router_that_refuses_or_is_silent_does_not_resolve() {
    let refuses = seen(|_, reply| {
        reply.flags |= REFUSED;
        true
    })
    .await;
    assert_eq!(refuses, Router::default());
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline() {
    let start = tokio::time::Instant::now();
    assert_eq!(seen(|_, _| false).await, Router::default());
    assert!(start.elapsed() <= ANSWER_DEADLINE * TRIES as u32 + Duration::from_millis(50));
}

#[tokio::test]
async fn answers_with_another_number_or_question_are_not_ours() {
    let (addr, serve) = resolver(|question, reply| {
        reply.id ^= 1;
        zone(question, reply)
    })
    .await;
    let name = Name::text(TLD);
    let ask = timeout(Duration::from_millis(300), ask_once(addr, &name, A, CLASS_IN));
    tokio::select! {
        answer = ask => assert!(answer.is_err(), "{answer:?}"),
        () = serve => {}
    }
}

#[test]
fn the_name_of_a_resolver_is_plain_text_and_short() {
    let answer = |data: &[u8]| Message {
        answers: vec![record("version.bind", TXT, data)],
        ..Message::default()
    };
    assert_eq!(shown(&answer(b"\x09<b>x</b>\n")).as_deref(), Some("bx/b"));
    assert_eq!(
        shown(&answer(&[&[200][..], &[b'a'; 200]].concat())).map(|text| text.len()),
        Some(48)
    );
    for data in [&b""[..], b"\x05ab", b"\x00", b"\x02\n\n"] {
        assert_eq!(shown(&answer(data)), None);
    }
}

#[test]
fn what_was_seen_becomes_the_recommendation() {
    let mut survey = Survey {
        addr: Some(OWN[0]),
        gateway: Some(Ipv4Addr::new(192, 168, 1, 1)),
        router_resolves: true,
        handed_out_as_resolver: true,
        ..Survey::default()
    };
    let mut settings = Settings::default();
    assert_eq!(recommend(&survey, &settings).step, advice::Step::Nothing);
    survey.routers6.push(Router6 {
        addr: "fe80::1".parse().expect("an address"),
        lifetime_secs: 1800,
        dns: vec!["fd00::1".parse().expect("an address")],
        search: Vec::new(),
        prefixes: Vec::new(),
        heard_secs_ago: 1,
    });
    assert_eq!(recommend(&survey, &settings).step, advice::Step::Ipv6);
    survey.addrs6.push("fd00::1".parse().expect("an address"));
    assert_eq!(recommend(&survey, &settings).step, advice::Step::Nothing);
    survey.addrs6.clear();
    settings.ra.enabled = true;
    assert_eq!(recommend(&survey, &settings).step, advice::Step::Nothing);
}
